#include "engine/media/memory.h"

#include <fcntl.h>
#include <linux/dma-buf.h>
#include <linux/magic.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>
#include <cerrno>

#include <fmt/format.h>

namespace sluice::media {

static_assert(uint32_t{kCpuRead} == DMA_BUF_SYNC_READ && uint32_t{kCpuWrite} == DMA_BUF_SYNC_WRITE);

namespace {

/// What DMA_BUF_IOCTL_SYNC would otherwise wait for without an end.
constexpr int kImplicitFenceMs = 1000;

// linux/dma-buf.h: START waits for the implicit fences of the other side, so what
// the CPU reads is what the writers left.
Status AwaitImplicitFences(int dmabuf, uint32_t flags) {
  pollfd ready{dmabuf, static_cast<short>((flags & kCpuWrite) != 0 ? POLLOUT : POLLIN), 0};
  int count = 0;
  do {
    count = poll(&ready, 1, kImplicitFenceMs);
  } while (count < 0 && errno == EINTR);
  if (count != 0) return {};  // an error of poll is one of the ioctl, which says it better
  return Fail(Code::kTimeout, fmt::format("a device has not finished with the dma-buf within {} ms",
                                          kImplicitFenceMs));
}

// Shared memory is coherent, whatever else sees its pages.
bool NeedsSync(const Memory::Part& part) { return !part.shm.valid() && part.dmabuf.valid(); }

Status SyncDmabuf(int dmabuf, uint64_t flags) {
  dma_buf_sync request{flags};
  int result = 0;
  do {
    result = ioctl(dmabuf, DMA_BUF_IOCTL_SYNC, &request);
  } while (result != 0 && (errno == EINTR || errno == EAGAIN));
  if (result != 0) return FailErrno("DMA_BUF_IOCTL_SYNC", errno);
  return {};
}

}  // namespace

Memory::Memory(std::vector<Part> parts, uint32_t views, void* base)
    : parts_(std::move(parts)), views_(views) {
  SLUICE_CHECK(!parts_.empty() && parts_.size() <= kMaxParts);
  SLUICE_CHECK(base == nullptr || parts_.size() == 1);
  if (base == nullptr) return;
  mappings_[0].writable = true;
  mappings_[0].base.store(static_cast<uint8_t*>(base), std::memory_order_release);
}

Memory::~Memory() {
  for (uint32_t i = 0; i < part_count(); ++i) {
    if (mappings_[i].owned) munmap(mappings_[i].base.load(), parts_[i].size);
  }
}

uint64_t Memory::size(uint32_t part) const { return part < part_count() ? parts_[part].size : 0; }

int Memory::fd(View view, uint32_t part) const {
  if (part >= part_count()) return -1;
  if (view == kViewShm) return parts_[part].shm.get();
  if (view == kViewDmabuf) return parts_[part].dmabuf.get();
  return -1;
}

bool Memory::mapped(uint32_t part) const {
  return part < part_count() && mappings_[part].base.load(std::memory_order_acquire) != nullptr;
}

bool Memory::writable(uint32_t part) const { return mapped(part) && mappings_[part].writable; }

Result<uint8_t*> Memory::Map(uint32_t part) const {
  if (part >= part_count()) {
    return Fail(Code::kInvalidArgument,
                fmt::format("part {} of a buffer that has {}", part, part_count()));
  }
  Mapping& mapping = mappings_[part];
  if (uint8_t* base = mapping.base.load(std::memory_order_acquire)) return base;
  const bool shm = parts_[part].shm.valid();
  const int fd = shm ? parts_[part].shm.get() : parts_[part].dmabuf.get();
  if (fd < 0 || (views_ & kViewCpu) == 0) {
    return Fail(Code::kUnsupported,
                fmt::format("the CPU cannot reach memory that is {}", ViewNames(views_)));
  }
  std::lock_guard lock(mutex_);
  if (uint8_t* base = mapping.base.load(std::memory_order_relaxed)) return base;
  const int flags = MAP_SHARED | (shm ? MAP_POPULATE : 0);
  mapping.writable = true;
  void* base = mmap(nullptr, parts_[part].size, PROT_READ | PROT_WRITE, flags, fd, 0);
  if (base == MAP_FAILED && (errno == EACCES || errno == EPERM)) {
    mapping.writable = false;  // a peer's: opened read-only, or sealed against writers
    base = mmap(nullptr, parts_[part].size, PROT_READ, flags, fd, 0);
  }
  if (base == MAP_FAILED) {
    return FailErrno(fmt::format("map {} bytes of {}", parts_[part].size, shm ? "shm" : "a dma-buf"),
                     errno);
  }
  mapping.owned = true;
  mapping.base.store(static_cast<uint8_t*>(base), std::memory_order_release);
  return static_cast<uint8_t*>(base);
}

Status Memory::BeginCpuAccess(uint32_t flags) const {
  for (size_t i = 0; i < parts_.size(); ++i) {
    if (!NeedsSync(parts_[i])) continue;
    const int dmabuf = parts_[i].dmabuf.get();
    Status begun = AwaitImplicitFences(dmabuf, flags);
    if (begun) begun = SyncDmabuf(dmabuf, DMA_BUF_SYNC_START | flags);
    if (begun) continue;
    while (i-- > 0) {
      if (NeedsSync(parts_[i])) (void)SyncDmabuf(parts_[i].dmabuf.get(), DMA_BUF_SYNC_END | flags);
    }
    return begun;
  }
  return {};
}

Status Memory::EndCpuAccess(uint32_t flags) const {
  Status status;
  for (const Part& part : parts_) {
    if (!NeedsSync(part)) continue;
    Status ended = SyncDmabuf(part.dmabuf.get(), DMA_BUF_SYNC_END | flags);
    if (!ended && status) status = std::move(ended);
  }
  return status;
}

// dma-bufs are the only files of their own file system (Linux 5.3), so nothing
// that a peer makes can pass for one.
bool IsDmabuf(int fd) {
  struct statfs info {};
  return fstatfs(fd, &info) == 0 && static_cast<uint64_t>(info.f_type) == DMA_BUF_MAGIC;
}

namespace {

Status CheckSize(const std::string& who, std::string_view kind, uint64_t claimed, uint64_t real) {
  if (claimed != 0 && claimed <= real) return {};
  return Fail(Code::kInvalidArgument,
              fmt::format("{}: {} bytes are claimed, the {} has {}", who, claimed, kind, real));
}

Status CheckDmabuf(const std::string& who, int fd, uint64_t claimed) {
  if (!IsDmabuf(fd)) {
    return Fail(Code::kInvalidArgument, fmt::format("{}: fd {} is no dma-buf", who, fd));
  }
  const off_t end = lseek(fd, 0, SEEK_END);
  if (end < 0) return FailErrno(fmt::format("{}: the size of dma-buf fd {}", who, fd), errno);
  return CheckSize(who, "dma-buf", claimed, static_cast<uint64_t>(end));
}

Status CheckShm(const std::string& who, int fd, uint64_t claimed, int64_t real) {
  const int seals = fcntl(fd, F_GET_SEALS);
  if (seals < 0) {
    return Fail(Code::kInvalidArgument, fmt::format("{}: fd {} is no memfd", who, fd));
  }
  if ((seals & F_SEAL_SHRINK) == 0) {
    return Fail(Code::kInvalidArgument,
                fmt::format("{}: the memfd {} is not sealed against shrinking (F_SEAL_SHRINK), "
                            "so its end could vanish under a reader",
                            who, fd));
  }
  return CheckSize(who, "memfd", claimed, static_cast<uint64_t>(real));
}

Status CheckPart(const std::string& who, uint32_t view, const AdoptOptions::Part& part) {
  struct stat info {};
  if (fstat(part.fd.get(), &info) != 0) {
    return Fail(Code::kInvalidArgument, fmt::format("{}: fd {} is not open", who, part.fd.get()));
  }
  return view == kViewDmabuf ? CheckDmabuf(who, part.fd.get(), part.size)
                             : CheckShm(who, part.fd.get(), part.size, info.st_size);
}

Result<std::unique_ptr<Memory>> AdoptMapped(const AdoptOptions& options) {
  const auto page = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  if (options.view != 0 || !options.parts.empty()) {
    return Fail(Code::kInvalidArgument,
                fmt::format("{}: memory that is mapped already has no fds, not {} of them",
                            options.label, options.parts.size()));
  }
  if (options.base_size == 0 || reinterpret_cast<uintptr_t>(options.base) % page != 0) {
    return Fail(Code::kInvalidArgument,
                fmt::format("{}: {} bytes at {} are not page aligned memory", options.label,
                            options.base_size, options.base));
  }
  std::vector<Memory::Part> parts(1);
  parts[0].size = options.base_size;
  return std::make_unique<Memory>(std::move(parts), kViewCpu, options.base);
}

/// Only its device reaches it: there is nothing to check but that nothing else is claimed.
Result<std::unique_ptr<Memory>> AdoptDevice(const AdoptOptions& options) {
  if (!options.parts.empty() || options.base_size == 0) {
    return Fail(Code::kInvalidArgument,
                fmt::format("{}: device memory has bytes and no fds, not {} bytes and {} fds",
                            options.label, options.base_size, options.parts.size()));
  }
  std::vector<Memory::Part> parts(1);
  parts[0].size = options.base_size;
  return std::make_unique<Memory>(std::move(parts), kViewDevice);
}

}  // namespace

Result<std::unique_ptr<Memory>> AdoptMemory(AdoptOptions options) {
  if (options.base != nullptr) return AdoptMapped(options);
  if (options.view == kViewDevice) return AdoptDevice(options);
  if (options.view != kViewDmabuf && options.view != kViewShm) {
    return Fail(Code::kInvalidArgument,
                fmt::format("{}: fds are either dma-bufs or shm, not \"{}\"", options.label,
                            ViewNames(options.view)));
  }
  if (options.parts.empty() || options.parts.size() > Memory::kMaxParts) {
    return Fail(Code::kInvalidArgument, fmt::format("{}: {} parts, not 1 to {}", options.label,
                                                    options.parts.size(), Memory::kMaxParts));
  }
  std::vector<Memory::Part> parts;
  for (size_t i = 0; i < options.parts.size(); ++i) {
    AdoptOptions::Part& claimed = options.parts[i];
    SLUICE_RETURN_IF_ERROR(
        CheckPart(fmt::format("{}: part {}", options.label, i), options.view, claimed));
    Memory::Part& part = parts.emplace_back();
    part.size = claimed.size;
    (options.view == kViewDmabuf ? part.dmabuf : part.shm) = std::move(claimed.fd);
  }
  return std::make_unique<Memory>(std::move(parts), options.view | kViewCpu);
}

}  // namespace sluice::media
