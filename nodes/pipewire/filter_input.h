#ifndef NODES_PIPEWIRE_FILTER_INPUT_H_
#define NODES_PIPEWIRE_FILTER_INPUT_H_

#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include <pipewire/filter.h>

#include <sluice/node.hpp>
#include <sluice/unique_fd.hpp>

#include "nodes/pipewire/connection.h"
#include "nodes/pipewire/formats.h"
#include "nodes/pipewire/peer_buffers.h"

namespace sluice::pipewire {

/// The input port of a filter: pictures that another node of PipeWire made, in its memory.
///
/// A filter of PipeWire does not count itself among the readers of a buffer, as its streams do:
/// here it is done by hand, so that the peer leaves a picture alone until it was taken. Threads:
/// everything under the connection's lock, or on its loop.
class FilterInput {
 public:
  explicit FilterInput(sdk::NodeContext context) : context_(context) {}

  /// What the graph takes: this format alone.
  void SetFormat(const sluice_format& format) { format_ = format; }

  /// Adds the port to `filter`. Errors: INTERNAL.
  sdk::Status Attach(pw_filter* filter);
  /// The filter is gone, or about to go.
  void Detach();
  /// What PipeWire passes for the port.
  const void* port() const { return port_; }

  void OnFormat(const spa_pod* param);
  /// `pool` knows the memory that the peer has passed on by its address.
  void OnAddBuffer(pw_buffer* buffer, pw_mempool* pool);
  void OnRemoveBuffer(pw_buffer* buffer);
  void OnProcess();

  bool waiting() const;
  /// Copies the oldest picture that waits, and says what travels with it. The peer has its buffer
  /// back then. Nothing where none waits, or it holds no picture. Returns the bytes.
  std::optional<uint64_t> CopyNext(const sdk::Mapping& to, sluice_frame_info* info);

 private:
  /// Memory of the peer.
  struct Buffer {
    PeerBlock block;
    /// None: its end can vanish under a reader, and it is read instead.
    std::shared_ptr<Mapping> mapping;
  };
  /// Where a picture lies in its buffer.
  struct Place {
    uint64_t offset = 0, stride = 0, row_bytes = 0;
  };

  /// Errors: as CheckBuffer; UNSUPPORTED for several blocks; IO.
  static sdk::Expected<std::unique_ptr<Buffer>> Adopt(const spa_buffer& buffer, pw_mempool* pool);
  VideoFormat Offer(bool dmabuf) const;
  void Return(pw_buffer* buffer);
  /// Nothing where the buffer's numbers do not hold a picture.
  std::optional<Place> Find(const pw_buffer* buffer) const;
  bool CopyRows(const Buffer& from, const Place& place, const sdk::Mapping& to) const;

  sdk::NodeContext context_;
  sluice_format format_{};
  pw_filter* filter_ = nullptr;
  void* port_ = nullptr;
  mutable std::mutex mutex_;
  std::deque<pw_buffer*> arrived_;  ///< guarded by the mutex, as are their returns
  uint64_t counted_ = 0;            ///< for peers that do not count
  int64_t first_ns_ = -1;           ///< the peer's time of the first picture
};

/// Bytes of a pixel; 0 for formats of several planes and compressed ones.
uint32_t PackedPixelBytes(uint32_t fourcc);

/// SPA_META_Busy: how many read the buffer. False where the two ends have not agreed to count.
bool CountReader(pw_buffer* buffer, int32_t change);

}  // namespace sluice::pipewire

#endif  // NODES_PIPEWIRE_FILTER_INPUT_H_
