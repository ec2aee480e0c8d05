#pragma once

#include <spa/buffer/buffer.h>
#include <sys/types.h>

#include <cstdint>
#include <span>
#include <string>

#include "engine/base/result.h"
#include "engine/base/unique_fd.h"

namespace sluice::testing {

/// Whether `fd` is a dma-buf indeed; nothing but the kernel knows.
bool IsDmabuf(int fd);

/// Memory of the source's own: a sealed memfd, or a dma-buf of the system heap.
Result<UniqueFd> MakeMemory(bool dmabuf, size_t bytes);

/// One block of a buffer, mapped into this process; shared memory stays with
/// its owner. Reads and writes go between Begin and End, which tell a dma-buf.
class BlockMap {
 public:
  BlockMap() = default;
  BlockMap(BlockMap&& other) noexcept { *this = std::move(other); }
  BlockMap& operator=(BlockMap&& other) noexcept;
  ~BlockMap();

  /// Errors: Io; Unsupported for memory that the CPU cannot reach.
  static Result<BlockMap> Map(const spa_data& data, bool writable);

  /// What the chunk says is there, as far as the memory reaches.
  std::span<uint8_t> Bytes(const spa_chunk& chunk) const;
  std::span<uint8_t> All() const { return {start_, size_}; }

  void Begin(bool write) const { Sync(write, false); }
  void End(bool write) const { Sync(write, true); }

  ino_t inode() const { return inode_; }
  bool dmabuf() const { return dmabuf_; }

 private:
  void Sync(bool write, bool end) const;

  void* mapped_ = nullptr;
  size_t mapped_size_ = 0;
  uint8_t* start_ = nullptr;
  size_t size_ = 0;
  int fd_ = -1;  // Borrowed.
  ino_t inode_ = 0;
  bool dmabuf_ = false;
};

/// "MemPtr", "MemFd", "DmaBuf", "SyncObj", or a number.
std::string MemoryTypeName(uint32_t type);

}  // namespace sluice::testing
