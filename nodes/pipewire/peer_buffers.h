#ifndef NODES_PIPEWIRE_PEER_BUFFERS_H_
#define NODES_PIPEWIRE_PEER_BUFFERS_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <pipewire/pipewire.h>
#include <spa/buffer/buffer.h>

#include <sluice/memory.h>
#include <sluice/status.hpp>
#include <sluice/unique_fd.hpp>

#include "nodes/pipewire/formats.h"

namespace sluice::pipewire {

/// A mapping of our own: it lasts as long as somebody reads it, whatever its maker does.
class Mapping {
 public:
  /// `offset`..`offset` + `size` of `fd` (borrowed), read-only. Errors: IO.
  static sdk::Expected<std::shared_ptr<Mapping>> OfFd(int fd, uint64_t offset, uint64_t size);
  /// A second mapping of shared memory that is mapped at `address`. Errors: IO.
  static sdk::Expected<std::shared_ptr<Mapping>> OfMapped(const void* address, uint64_t size);

  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;
  ~Mapping();

  const uint8_t* data() const { return base_ + inset_; }
  /// What data() lies in, page aligned.
  uint8_t* base() const { return base_; }
  /// From base() to data(), bytes.
  uint64_t inset() const { return inset_; }
  uint64_t size() const { return size_ - inset_; }

 private:
  Mapping(uint8_t* base, uint64_t size, uint64_t inset) : base_(base), size_(size), inset_(inset) {}

  uint8_t* base_;
  uint64_t size_;
  uint64_t inset_;
};

/// One spa_data of a buffer, checked. A driver's buffer that is called shared memory counts as a
/// MemPtr.
struct PeerBlock {
  uint32_t type = 0;  ///< SPA_DATA_MemPtr, SPA_DATA_MemFd or SPA_DATA_DmaBuf
  sdk::UniqueFd fd;   ///< none for MemPtr
  uint64_t fd_size = 0;
  uint64_t offset = 0;               ///< of the block in its fd
  uint64_t size = 0;                 ///< bytes from there on that may be read
  bool sealed = false;               ///< its end cannot vanish under a reader
  std::shared_ptr<Mapping> mapping;  ///< of a MemPtr: our own, which nobody takes away

  /// Where the block begins, bytes from its fd's beginning or from the base of its mapping.
  uint64_t begin() const { return mapping != nullptr ? mapping->inset() : offset; }
  /// What it is read by: its own mapping, or one of all of its fd. Null where its end can vanish
  /// under a reader. Errors: IO.
  sdk::Expected<std::shared_ptr<Mapping>> Map() const;
  /// Copies `bytes` at `at`, counted as begin() is, by what Map() gave. False: it has become
  /// smaller, or cannot be read.
  bool Read(const Mapping* map, uint64_t at, uint64_t bytes, uint8_t* to) const;
};

/// A buffer as its peer describes it, after every number was held against the memory itself.
struct PeerBuffer {
  std::vector<PeerBlock> blocks;
  sdk::UniqueFd acquire, release;  ///< timeline syncobjs; none where the peer gives none

  bool Only(uint32_t type) const;
};

/// Takes references of its own to everything. `pool` knows the memory that lies behind a MemPtr.
/// Errors: UNSUPPORTED, INVALID_ARGUMENT, with the numbers.
sdk::Expected<PeerBuffer> CheckBuffer(const spa_buffer& buffer, pw_mempool* pool);

/// Where the picture lies in each block, as its chunks say; what is not known is derived.
struct Geometry {
  struct Block {
    uint32_t offset = 0;
    int32_t stride = 0;  ///< 0: rows without a gap

    bool operator==(const Block&) const = default;
  };
  std::vector<Block> blocks;

  bool operator==(const Geometry&) const = default;
};
/// How many blocks of the buffer are memory; the rest are fences.
uint32_t BlockCount(const spa_buffer& buffer);
/// Of a filled buffer.
Geometry GeometryOf(const spa_buffer& buffer, size_t block_count);

/// The layout of a picture in such a buffer: one block for all planes, or one for each.
/// A block of memory that has no fd starts at its mapping's page.
/// Errors: UNSUPPORTED, with the numbers, where the picture does not fit.
sdk::Expected<sluice_layout> LayoutOf(const FormatEntry& entry, Size size, const PeerBuffer& buffer,
                                      const Geometry& geometry);

/// The least bytes that a picture has, its rows without a gap; of a compressed one, a bound.
uint64_t PictureBytes(const FormatEntry& entry, Size size);
/// Bytes and rows of a plane. Requires: not compressed.
uint64_t RowBytes(const FormatEntry& entry, uint32_t plane, uint32_t width);
uint64_t RowCount(const FormatEntry& entry, uint32_t plane, uint32_t height);

}  // namespace sluice::pipewire

#endif  // NODES_PIPEWIRE_PEER_BUFFERS_H_
