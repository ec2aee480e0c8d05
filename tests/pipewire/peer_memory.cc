#include "tests/pipewire/peer_memory.h"

#include <fcntl.h>
#include <linux/dma-buf.h>
#include <linux/dma-heap.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace sluice::testing {
namespace {

Result<UniqueFd> MakeDmabuf(size_t bytes) {
  UniqueFd heap(open("/dev/dma_heap/system", O_RDWR | O_CLOEXEC));
  if (!heap.valid()) return FailErrno("/dev/dma_heap/system", errno);
  dma_heap_allocation_data request{};
  request.len = bytes;
  request.fd_flags = O_RDWR | O_CLOEXEC;
  if (ioctl(heap.get(), DMA_HEAP_IOCTL_ALLOC, &request) != 0) return FailErrno("allocate", errno);
  return UniqueFd(static_cast<int>(request.fd));
}

}  // namespace

bool IsDmabuf(int fd) {
  dma_buf_sync sync{.flags = DMA_BUF_SYNC_START | DMA_BUF_SYNC_READ};
  if (ioctl(fd, DMA_BUF_IOCTL_SYNC, &sync) != 0) return false;
  sync.flags = DMA_BUF_SYNC_END | DMA_BUF_SYNC_READ;
  ioctl(fd, DMA_BUF_IOCTL_SYNC, &sync);
  return true;
}

Result<UniqueFd> MakeMemory(bool dmabuf, size_t bytes) {
  const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  const size_t rounded = (bytes + page - 1) / page * page;
  if (dmabuf) return MakeDmabuf(rounded);
  UniqueFd fd(memfd_create("peer-frame", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!fd.valid()) return FailErrno("memfd_create", errno);
  if (ftruncate(fd.get(), static_cast<off_t>(rounded)) != 0) return FailErrno("ftruncate", errno);
  fcntl(fd.get(), F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL);
  return fd;
}

BlockMap& BlockMap::operator=(BlockMap&& other) noexcept {
  std::swap(mapped_, other.mapped_);
  std::swap(mapped_size_, other.mapped_size_);
  start_ = other.start_;
  size_ = other.size_;
  fd_ = other.fd_;
  inode_ = other.inode_;
  dmabuf_ = other.dmabuf_;
  return *this;
}

BlockMap::~BlockMap() {
  if (mapped_) munmap(mapped_, mapped_size_);
}

Result<BlockMap> BlockMap::Map(const spa_data& data, bool writable) {
  BlockMap map;
  if (data.type == SPA_DATA_MemPtr) {
    map.start_ = static_cast<uint8_t*>(data.data);
    map.size_ = data.maxsize;
    if (!map.start_) return Fail(Code::kUnsupported, "a MemPtr that is null");
    return map;
  }
  if (data.type != SPA_DATA_MemFd && data.type != SPA_DATA_DmaBuf) {
    return Fail(Code::kUnsupported, "memory of type " + MemoryTypeName(data.type));
  }
  map.fd_ = static_cast<int>(data.fd);
  map.dmabuf_ = IsDmabuf(map.fd_);
  struct stat status {};
  if (fstat(map.fd_, &status) == 0) map.inode_ = status.st_ino;
  // A dma-buf need not say how long it is; its file does.
  const off_t end = lseek(map.fd_, 0, SEEK_END);
  const size_t available = end > 0 ? static_cast<size_t>(end) : data.mapoffset + data.maxsize;
  const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  const size_t skipped = data.mapoffset / page * page;
  if (available <= data.mapoffset) return Fail(Code::kIo, "a buffer beyond the end of its memory");
  map.mapped_size_ = available - skipped;
  void* mapped = mmap(nullptr, map.mapped_size_, writable ? PROT_READ | PROT_WRITE : PROT_READ,
                      MAP_SHARED, map.fd_, static_cast<off_t>(skipped));
  if (mapped == MAP_FAILED) return FailErrno("mmap", errno);
  map.mapped_ = mapped;
  map.start_ = static_cast<uint8_t*>(mapped) + (data.mapoffset - skipped);
  map.size_ = available - data.mapoffset;
  return map;
}

std::span<uint8_t> BlockMap::Bytes(const spa_chunk& chunk) const {
  const size_t offset = std::min<size_t>(chunk.offset, size_);
  return {start_ + offset, std::min<size_t>(chunk.size, size_ - offset)};
}

void BlockMap::Sync(bool write, bool end) const {
  if (!dmabuf_) return;
  dma_buf_sync sync{};
  sync.flags =
      (end ? DMA_BUF_SYNC_END : DMA_BUF_SYNC_START) | (write ? DMA_BUF_SYNC_RW : DMA_BUF_SYNC_READ);
  while (ioctl(fd_, DMA_BUF_IOCTL_SYNC, &sync) != 0 && errno == EINTR) {
  }
}

std::string MemoryTypeName(uint32_t type) {
  switch (type) {
    case SPA_DATA_MemPtr:
      return "MemPtr";
    case SPA_DATA_MemFd:
      return "MemFd";
    case SPA_DATA_DmaBuf:
      return "DmaBuf";
    default:
      return "type " + std::to_string(type);
  }
}

}  // namespace sluice::testing
