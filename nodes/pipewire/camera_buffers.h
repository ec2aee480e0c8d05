#ifndef NODES_PIPEWIRE_CAMERA_BUFFERS_H_
#define NODES_PIPEWIRE_CAMERA_BUFFERS_H_

#include <cstdint>
#include <optional>
#include <vector>

#include <spa/buffer/buffer.h>

#include <sluice/memory.h>
#include <sluice/frame.hpp>
#include <sluice/unique_fd.hpp>

#include "nodes/pipewire/formats.h"

namespace sluice::pipewire {

/// One buffer of the engine's pool, as its readers can have it. The fds are borrowed.
struct SharedBuffer {
  std::optional<sluice_memory> dmabuf;
  std::optional<sluice_memory> shm;
};

/// What a virtual camera shows: the format of one epoch, and all buffers of its pool.
struct SharedPool {
  sluice_format format{};
  sluice_layout layout{};
  std::vector<SharedBuffer> buffers;  ///< by the pool's index

  /// Whether each buffer has it.
  bool dmabuf() const;
  bool shm() const;
};

/// Whether the planes lie behind each other with the rows that readers expect who are given a
/// picture of several planes in one piece: those of GStreamer's default layout, which are those of
/// cameras.
bool InOnePiece(const sluice_layout& layout, const sluice_format& format);
/// How many pieces of memory a buffer of the pool is for a reader.
uint32_t BlocksOf(const SharedPool& pool, bool dmabuf);

/// The pool's format, as one end of a link can have it.
VideoFormat FormatOf(const SharedPool& pool, bool dmabuf);
/// SPA_PARAM_Buffers and SPA_PARAM_Meta for buffers of the pool; with `sync`, first those that have
/// a SyncPair each.
void AddBufferParams(const SharedPool& pool, bool dmabuf, PodList& pods, bool sync = false);
/// Whether PipeWire asks for a SyncPair in this one.
bool WantsSync(const SharedPool& pool, bool dmabuf, const spa_buffer& buffer);

/// Says of a buffer that nobody is to read it, until DescribeFrame() does: the numbers in a link's
/// places outlive the buffers that they were of, and by them a reader takes one that is not
/// published.
void MarkEmpty(spa_buffer& buffer);
/// Leaves nothing in a buffer that could not be filled: PipeWire passes on whatever stands there.
void ForgetMemory(spa_buffer& buffer);

/// Puts `from` into what PipeWire asks to be filled. The fds in it are duplicates, which the
/// returned ones own. Errors: UNSUPPORTED (the other end takes no such memory), IO.
sdk::Expected<std::vector<sdk::UniqueFd>> FillBuffer(const SharedPool& pool,
                                                     const SharedBuffer& from, bool dmabuf,
                                                     spa_buffer& buffer);
/// Says where `frame` lies in its buffer, and what travels with it. `now_ns`: where it does not
/// know when it was taken.
void DescribeFrame(const SharedPool& pool, const sdk::FrameRef& frame, int64_t now_ns,
                   spa_buffer& buffer);

}  // namespace sluice::pipewire

#endif  // NODES_PIPEWIRE_CAMERA_BUFFERS_H_
