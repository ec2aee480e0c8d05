#include <fcntl.h>
#include <sys/mman.h>
#include <sys/sysinfo.h>
#include <unistd.h>
#include <cerrno>
#include <string>

#include <fmt/format.h>

#include "engine/media/allocator.h"
#include "engine/media/memfd.h"

namespace sluice::media {

uint32_t PageSize() { return static_cast<uint32_t>(sysconf(_SC_PAGESIZE)); }

Result<uint64_t> RoundToPages(uint64_t size) {
  const uint64_t page = PageSize();
  uint64_t rounded = 0;
  // off_t is signed.
  if (size == 0 || !CheckedAdd(size, page - 1, &rounded) || rounded > INT64_MAX) {
    return Fail(Code::kInvalidArgument, fmt::format("a buffer of {} bytes", size));
  }
  return rounded - rounded % page;
}

Status CheckRam(std::string_view label, uint64_t size) {
  struct sysinfo info {};
  if (sysinfo(&info) != 0) return {};
  const uint64_t total = (uint64_t{info.totalram} + info.totalswap) * info.mem_unit;
  if (size <= total) return {};
  return Fail(Code::kResourceExhausted, fmt::format("{} needs {} bytes, the machine has {}", label,
                                                    size, total));
}

Result<UniqueFd> CreateSealedMemfd(std::string_view label, uint64_t size, Pages pages) {
  SLUICE_RETURN_IF_ERROR(CheckRam(label, size));
  // The kernel refuses longer names; this one is for /proc only.
  UniqueFd fd(memfd_create(std::string(label.substr(0, 200)).c_str(),
                           MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!fd.valid()) return FailErrno("memfd_create", errno);
  // fallocate, unlike a later touch, reports a full machine as an error.
  int error = 0;
  do {
    const off_t bytes = static_cast<off_t>(size);
    if (pages == Pages::kNow) {
      error = posix_fallocate(fd.get(), 0, bytes);
    } else {
      error = ftruncate(fd.get(), bytes) == 0 ? 0 : errno;
    }
  } while (error == EINTR);
  if (error != 0) {
    return Fail(Code::kResourceExhausted,
                fmt::format("no {} bytes of shared memory for {}", size, label));
  }
  if (fcntl(fd.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) {
    return FailErrno("seal memfd", errno);
  }
  return fd;
}

namespace {

class MemfdAllocator final : public Allocator {
 public:
  std::string_view name() const override { return "memfd"; }
  uint32_t views() const override { return kViewShm | kViewCpu; }
  uint32_t granularity() const override { return PageSize(); }

  Result<std::unique_ptr<Memory>> Allocate(std::string_view label, uint64_t size) override {
    auto rounded = RoundToPages(size);
    if (!rounded) return tl::unexpected(std::move(rounded).error());
    auto fd = CreateSealedMemfd(label, *rounded);
    if (!fd) return tl::unexpected(std::move(fd).error());
    std::vector<Memory::Part> parts(1);
    parts[0].shm = std::move(*fd);
    parts[0].size = *rounded;
    return std::make_unique<Memory>(std::move(parts), views());
  }
};

}  // namespace

std::unique_ptr<Allocator> CreateMemfdAllocator() { return std::make_unique<MemfdAllocator>(); }

}  // namespace sluice::media
