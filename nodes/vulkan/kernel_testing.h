#ifndef SLUICE_NODES_VULKAN_KERNEL_TESTING_H_
#define SLUICE_NODES_VULKAN_KERNEL_TESTING_H_

#include <fcntl.h>
#include <linux/dma-buf.h>
#include <linux/dma-heap.h>
#include <linux/udmabuf.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <iterator>
#include <map>
#include <sluice/testing/fake_host.hpp>
#include <sluice/unique_fd.hpp>
#include <utility>
#include <vector>

/// What the kernel makes, for tests: dma-bufs, and fences that a test signals when it wants.
namespace sluice::vulkan::testing {

/// Pages as a dma-buf; where the kernel makes none, the memfd that software Vulkan takes for one.
/// That shows that the plumbing holds, and nothing about dma-bufs.
inline sdk::UniqueFd MakePages(uint64_t size) {
  sdk::UniqueFd memory(memfd_create("pages", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (ftruncate(memory.get(), static_cast<off_t>(size)) != 0) return {};
  fcntl(memory.get(), F_ADD_SEALS, F_SEAL_SHRINK);
  const sdk::UniqueFd device(open("/dev/udmabuf", O_RDWR | O_CLOEXEC));
  if (!device) return memory;
  udmabuf_create request{};
  request.memfd = static_cast<uint32_t>(memory.get());
  request.flags = UDMABUF_FLAGS_CLOEXEC;
  request.size = size;
  return sdk::UniqueFd(ioctl(device.get(), UDMABUF_CREATE, &request));
}

/// A dma-buf of the system heap; empty where there is none.
inline sdk::UniqueFd MakeHeapBuffer(uint64_t size) {
  const sdk::UniqueFd heap(open("/dev/dma_heap/system", O_RDWR | O_CLOEXEC));
  dma_heap_allocation_data request{};
  request.len = size;
  request.fd_flags = O_RDWR | O_CLOEXEC;
  if (!heap || ioctl(heap.get(), DMA_HEAP_IOCTL_ALLOC, &request) != 0) return {};
  return sdk::UniqueFd(static_cast<int>(request.fd));
}

/// A CPU's view of an fd's first bytes, in the brackets that a dma-buf wants.
class CpuView {
 public:
  CpuView(int fd, uint64_t size) : fd_(fd), size_(size) {
    void* base = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    base_ = base == MAP_FAILED ? nullptr : static_cast<uint8_t*>(base);
    Sync(DMA_BUF_SYNC_START | DMA_BUF_SYNC_RW);
  }
  ~CpuView() {
    Sync(DMA_BUF_SYNC_END | DMA_BUF_SYNC_RW);
    if (base_ != nullptr) munmap(base_, size_);
  }
  CpuView(const CpuView&) = delete;
  CpuView& operator=(const CpuView&) = delete;
  uint8_t* base() const { return base_; }

 private:
  void Sync(uint64_t flags) const {
    dma_buf_sync sync{flags};
    (void)ioctl(fd_, DMA_BUF_IOCTL_SYNC, &sync);  // a memfd knows no such thing
  }
  const int fd_;
  const uint64_t size_;
  uint8_t* base_ = nullptr;
};

/// A timeline of the kernel whose fences a test signals. drivers/dma-buf/sw_sync.c, which has no
/// header for programs.
class SwSync {
 public:
  SwSync() : fd_(open("/sys/kernel/debug/sync/sw_sync", O_RDWR | O_CLOEXEC)) {}
  bool IsThere() const { return static_cast<bool>(fd_); }
  /// A sync_file that signals when the timeline reaches `value`.
  sdk::UniqueFd Fence(uint32_t value) const {
    struct {
      uint32_t value;
      char name[32];
      int32_t fence;
    } request{value, "test", -1};
    if (ioctl(fd_.get(), _IOWR('W', 0, decltype(request)), &request) != 0) return {};
    return sdk::UniqueFd(request.fence);
  }
  void Advance(uint32_t by = 1) const { (void)ioctl(fd_.get(), _IOW('W', 1, uint32_t), &by); }

 private:
  sdk::UniqueFd fd_;
};

/// Whether a sync_file or a dma-buf's fences have signalled.
inline bool IsReady(int fd, short events = POLLIN) {
  pollfd entry{fd, events, 0};
  return poll(&entry, 1, 0) == 1;
}

/// Open descriptors of this process.
inline int64_t OpenFds() {
  const std::filesystem::directory_iterator list("/proc/self/fd");
  return std::distance(begin(list), end(list));
}

/// The host's memory table, with buffers that a test gives fds of its own, and with the implicit
/// fences of dma-bufs.
class KernelMemory {
 public:
  /// From now on the buffer is this memory. Borrows the fds.
  static void Give(const sluice_buffer_id& id, const sluice_memory& memory) {
    Given()[{id.pool, id.index}] = memory;
  }
  static void Clear() {
    Given().clear();
    Imported().clear();
  }
  /// SLUICE_ACCESS_* of every fence that was put into a dma-buf since Clear().
  static std::vector<uint32_t>& Imported() {
    static std::vector<uint32_t> imported;
    return imported;
  }

  static const sluice_memory_api& Api() {
    static const sluice_memory_api api = {sizeof(sluice_memory_api),
                                          0,
                                          Fds,
                                          sdk::testing::FakeHost::MemoryApi().add_buffer,
                                          ExportSyncFile,
                                          ImportSyncFile};
    return api;
  }

 private:
  using Key = std::pair<uint32_t, uint32_t>;
  static std::map<Key, sluice_memory>& Given() {
    static std::map<Key, sluice_memory> given;
    return given;
  }
  static int32_t Fds(const sluice_frame* frame, uint32_t view, sluice_memory* out) {
    const sluice_buffer_id id = sdk::testing::FakeFrame::From(frame)->buffer->id;
    const auto found = Given().find({id.pool, id.index});
    if (found == Given().end()) return sdk::testing::FakeHost::MemoryApi().fds(frame, view, out);
    *out = found->second;
    return (view & out->view) != 0 ? SLUICE_OK : SLUICE_E_UNSUPPORTED;
  }
  static uint32_t Flags(uint32_t access) {
    return access == SLUICE_ACCESS_READ ? DMA_BUF_SYNC_READ : DMA_BUF_SYNC_WRITE;
  }
  static int32_t ExportSyncFile(const sluice_frame* frame, uint32_t access, int32_t* fd) {
    sluice_memory memory{};
    if (const int32_t code = Fds(frame, SLUICE_VIEW_DMABUF, &memory); code < 0) return code;
    dma_buf_export_sync_file request{Flags(access), -1};
    if (ioctl(memory.parts[0].fd, DMA_BUF_IOCTL_EXPORT_SYNC_FILE, &request) != 0) {
      return SLUICE_E_UNSUPPORTED;
    }
    *fd = request.fd;
    return SLUICE_OK;
  }
  static int32_t ImportSyncFile(const sluice_frame* frame, uint32_t access, int32_t fd) {
    sluice_memory memory{};
    if (const int32_t code = Fds(frame, SLUICE_VIEW_DMABUF, &memory); code < 0) return code;
    Imported().push_back(access);
    dma_buf_import_sync_file request{Flags(access), fd};
    return ioctl(memory.parts[0].fd, DMA_BUF_IOCTL_IMPORT_SYNC_FILE, &request) == 0
               ? SLUICE_OK
               : SLUICE_E_UNSUPPORTED;
  }
};

}  // namespace sluice::vulkan::testing

#endif  // SLUICE_NODES_VULKAN_KERNEL_TESTING_H_
