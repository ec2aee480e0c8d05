#include "nodes/vulkan/read_mapping.h"

#include <fcntl.h>
#include <linux/dma-buf.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>

namespace sluice::vulkan {

bool ReadMapping::IsReadOnly(int fd) {
  const int flags = fcntl(fd, F_GETFL);
  return flags >= 0 && (flags & O_ACCMODE) == O_RDONLY;
}

Result<ReadMapping> ReadMapping::Of(int fd, uint64_t size) {
  const auto page = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  const uint64_t whole = (size + page - 1) / page * page;
  sdk::UniqueFd own = sdk::UniqueFd::Dup(fd);
  void* base = own ? mmap(nullptr, whole, PROT_READ, MAP_SHARED, own.get(), 0) : MAP_FAILED;
  if (base == MAP_FAILED) {
    return Fail(SLUICE_E_UNSUPPORTED, "a mapping of " + std::to_string(whole) +
                                          " bytes to be read: " + std::strerror(errno));
  }
  return ReadMapping(std::move(own), base, whole);
}

ReadMapping::~ReadMapping() {
  if (base_ != nullptr) munmap(base_, size_);
}

// What is no dma-buf, and stands for one on a machine without, knows no such thing.
void ReadMapping::Sync(bool begin) const {
  dma_buf_sync sync{};
  sync.flags = DMA_BUF_SYNC_READ | (begin ? DMA_BUF_SYNC_START : DMA_BUF_SYNC_END);
  while (ioctl(fd_.get(), DMA_BUF_IOCTL_SYNC, &sync) != 0 && (errno == EINTR || errno == EAGAIN)) {
  }
}

}  // namespace sluice::vulkan
