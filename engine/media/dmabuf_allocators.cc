#include <fcntl.h>
#include <grp.h>
#include <linux/dma-buf.h>
#include <linux/dma-heap.h>
#include <linux/udmabuf.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <string>

#include <fmt/format.h>

#include "engine/media/allocator.h"
#include "engine/media/memfd.h"

namespace sluice::media {
namespace {

constexpr char kUdmabufDevice[] = "/dev/udmabuf";

/// 0 or an errno.
int Ioctl(int fd, unsigned long request, void* argument) {
  while (ioctl(fd, request, argument) < 0) {
    if (errno != EINTR && errno != EAGAIN) return errno;
  }
  return 0;
}

// For /proc and the debug files of the kernel. It takes 31 characters; the end of a
// label says which buffer it is.
void NameDmabuf(int fd, std::string_view label) {
  constexpr size_t kLongest = 31;
  if (label.size() > kLongest) label = label.substr(label.size() - kLongest);
  ioctl(fd, DMA_BUF_SET_NAME_B, std::string(label).c_str());
}

/// How to be allowed to open `path`, for which open() said `error`.
std::string Advice(const std::string& path, int error, std::string_view missing) {
  if (error == ENOENT || error == ENODEV || error == ENXIO) return std::string(missing);
  struct stat info {};
  if ((error != EACCES && error != EPERM) || stat(path.c_str(), &info) != 0) return {};
  const group* owner = getgrgid(info.st_gid);
  const bool group_may = (info.st_mode & S_IRGRP) != 0 && (info.st_mode & S_IWGRP) != 0;
  if (!group_may || owner == nullptr || info.st_gid == 0) {
    return fmt::format("only its owner may open it: a udev rule can give {} to a group", path);
  }
  return fmt::format("sudo usermod -aG {} $USER, then log in again", owner->gr_name);
}

/// Rounds a size and holds it against the bound of `allocator`.
Result<uint64_t> CheckedSize(const Allocator& allocator, std::string_view label, uint64_t size,
                             std::string_view bound) {
  auto rounded = RoundToPages(size);
  if (!rounded || allocator.max_bytes() == 0 || *rounded <= allocator.max_bytes()) return rounded;
  return Fail(Code::kResourceExhausted,
              fmt::format("{} needs {} bytes, {} gives at most {} ({})", label, *rounded,
                          allocator.name(), allocator.max_bytes(), bound));
}

// --- udmabuf: Documentation/ABI has no page; drivers/dma-buf/udmabuf.c ----------------------

constexpr char kUdmabufBound[] = "/sys/module/udmabuf/parameters/size_limit_mb";

uint64_t UdmabufMaxBytes() {
  std::ifstream parameter(kUdmabufBound);
  int64_t megabytes = 0;
  // What cannot be read is the kernel's default.
  if (!(parameter >> megabytes) || megabytes <= 0) megabytes = 64;
  return static_cast<uint64_t>(megabytes) << 20;
}

class UdmabufAllocator final : public Allocator {
 public:
  explicit UdmabufAllocator(UniqueFd device)
      : device_(std::move(device)), max_bytes_(UdmabufMaxBytes()) {}
  std::string_view name() const override { return "udmabuf"; }
  uint32_t views() const override { return kViewDmabuf | kViewShm | kViewCpu; }
  uint32_t granularity() const override { return PageSize(); }
  uint64_t max_bytes() const override { return max_bytes_; }

  Result<std::unique_ptr<Memory>> Allocate(std::string_view label, uint64_t size) override {
    auto rounded = CheckedSize(*this, label, size, kUdmabufBound);
    if (!rounded) return tl::unexpected(std::move(rounded).error());
    // The driver allocates the pages. Those of fallocate are zeroed at the first touch through
    // a mapping only, which would wipe out what a device has written through the dma-buf by then
    // (mm/shmem.c; seen with 6.12).
    auto memfd = CreateSealedMemfd(label, *rounded, Pages::kLater);
    if (!memfd) return tl::unexpected(std::move(memfd).error());
    // One memfd for each buffer, so one item: the driver's list_limit is never reached.
    udmabuf_create request{};
    request.memfd = static_cast<uint32_t>(memfd->get());
    request.flags = UDMABUF_FLAGS_CLOEXEC;
    request.size = *rounded;
    int fd = -1;
    do {
      fd = ioctl(device_.get(), UDMABUF_CREATE, &request);
    } while (fd < 0 && errno == EINTR);
    if (fd < 0) return FailErrno(fmt::format("UDMABUF_CREATE of {} bytes", *rounded), errno);
    std::vector<Memory::Part> parts(1);
    parts[0].dmabuf.Reset(fd);
    parts[0].shm = std::move(*memfd);
    parts[0].size = *rounded;
    NameDmabuf(fd, label);
    return std::make_unique<Memory>(std::move(parts), views());
  }

 private:
  UniqueFd device_;
  uint64_t max_bytes_;
};

// --- dma-heap: linux/dma-heap.h ---------------------------------------------------------------

class DmaHeapAllocator final : public Allocator {
 public:
  DmaHeapAllocator(UniqueFd device, std::string_view heap)
      : device_(std::move(device)), name_(fmt::format("dma-heap {}", heap)) {}
  std::string_view name() const override { return name_; }
  uint32_t views() const override { return kViewDmabuf | kViewCpu; }
  uint32_t granularity() const override { return PageSize(); }

  Result<std::unique_ptr<Memory>> Allocate(std::string_view label, uint64_t size) override {
    auto rounded = CheckedSize(*this, label, size, "");
    if (!rounded) return tl::unexpected(std::move(rounded).error());
    SLUICE_RETURN_IF_ERROR(CheckRam(label, *rounded));
    dma_heap_allocation_data request{};
    request.len = *rounded;
    request.fd_flags = O_RDWR | O_CLOEXEC;
    if (int error = Ioctl(device_.get(), DMA_HEAP_IOCTL_ALLOC, &request); error != 0) {
      return FailErrno(fmt::format("{}: {} bytes for {}", name_, *rounded, label), error);
    }
    std::vector<Memory::Part> parts(1);
    parts[0].dmabuf.Reset(static_cast<int>(request.fd));
    parts[0].size = *rounded;
    NameDmabuf(parts[0].dmabuf.get(), label);
    return std::make_unique<Memory>(std::move(parts), views());
  }

 private:
  UniqueFd device_;
  std::string name_;
};

std::string HeapPath(const std::string& heap) { return "/dev/dma_heap/" + heap; }

Result<UniqueFd> Open(const std::string& path, int flags) {
  UniqueFd fd(open(path.c_str(), flags | O_CLOEXEC));
  if (!fd.valid()) return FailErrno(path, errno);
  return fd;
}

/// `allocator` makes one page, or says why not.
AllocatorProbe Try(Allocator& allocator, std::string works) {
  auto page = allocator.Allocate("probe", 1);
  if (!page) return {false, 0, page.error().message, ""};
  return {true, allocator.max_bytes(), std::move(works), ""};
}

AllocatorProbe CannotOpen(const std::string& path, const Error& error, std::string_view missing) {
  // The errno is behind the code: three of them matter here.
  int number = 0;
  if (error.code == Code::kNotFound) number = ENOENT;
  if (error.code == Code::kDeviceLost) number = ENODEV;
  if (error.code == Code::kPermissionDenied) number = EACCES;
  return {false, 0, error.message, Advice(path, number, missing)};
}

}  // namespace

Result<std::unique_ptr<Allocator>> CreateUdmabufAllocator() {
  auto device = Open(kUdmabufDevice, O_RDWR);
  if (!device) return tl::unexpected(std::move(device).error());
  return std::make_unique<UdmabufAllocator>(std::move(*device));
}

Result<std::unique_ptr<Allocator>> CreateDmaHeapAllocator(std::string heap) {
  if (heap.empty() || heap.find('/') != std::string::npos) {
    return Fail(Code::kInvalidArgument, fmt::format("\"{}\" is no name of a dma-heap", heap));
  }
  auto device = Open(HeapPath(heap), O_RDONLY);
  if (!device) return tl::unexpected(std::move(device).error());
  return std::make_unique<DmaHeapAllocator>(std::move(*device), heap);
}

AllocatorProbe ProbeUdmabuf() {
  auto allocator = CreateUdmabufAllocator();
  if (!allocator) {
    return CannotOpen(kUdmabufDevice, allocator.error(),
                      "sudo modprobe udmabuf, or a kernel with CONFIG_UDMABUF=y (Linux 4.20 or "
                      "newer)");
  }
  return Try(**allocator, fmt::format("dma-bufs can be made over memfd, up to {} MiB a buffer",
                                      (*allocator)->max_bytes() >> 20));
}

AllocatorProbe ProbeDmaHeap(const std::string& heap) {
  auto allocator = CreateDmaHeapAllocator(heap);
  if (!allocator) {
    return CannotOpen(HeapPath(heap), allocator.error(),
                      "a kernel with CONFIG_DMABUF_HEAPS=y and CONFIG_DMABUF_HEAPS_SYSTEM=y "
                      "(Linux 5.6 or newer)");
  }
  return Try(**allocator, "dma-bufs can be allocated");
}

std::vector<std::unique_ptr<Allocator>> MakeAllocators() {
  std::vector<std::unique_ptr<Allocator>> allocators;
  allocators.push_back(CreateMemfdAllocator());
  // A device that opens may still refuse: the probe makes a page.
  if (ProbeUdmabuf().usable) {
    if (auto udmabuf = CreateUdmabufAllocator()) allocators.push_back(std::move(*udmabuf));
  }
  if (ProbeDmaHeap().usable) {
    if (auto heap = CreateDmaHeapAllocator()) allocators.push_back(std::move(*heap));
  }
  return allocators;
}

}  // namespace sluice::media
