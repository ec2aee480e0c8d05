#include "engine/media/memory.h"

#include <cerrno>
#include <fcntl.h>
#include <string>
#include <sys/mman.h>
#include <unistd.h>

#include <fmt/format.h>

namespace sluice::media {

Memory::Memory(UniqueFd fd, void* mapping, uint64_t size, uint32_t views)
    : fd_(std::move(fd)), mapping_(mapping), size_(size), views_(views) {}

Memory::~Memory() {
  if (mapping_ != nullptr) munmap(mapping_, size_);
}

namespace {

class MemfdAllocator final : public Allocator {
 public:
  std::string_view name() const override { return "memfd"; }
  uint32_t views() const override { return kViewShm | kViewCpu; }
  uint32_t granularity() const override { return static_cast<uint32_t>(sysconf(_SC_PAGESIZE)); }

  Result<std::unique_ptr<Memory>> Allocate(std::string_view label, uint64_t size) override {
    uint64_t page = granularity();
    uint64_t rounded = 0;
    if (size == 0 || !CheckedAdd(size, page - 1, &rounded)) {
      return Fail(Code::kInvalidArgument, fmt::format("a buffer of {} bytes", size));
    }
    rounded -= rounded % page;
    // The kernel refuses longer names; this one is for /proc only.
    UniqueFd fd(memfd_create(std::string(label.substr(0, 200)).c_str(), MFD_CLOEXEC | MFD_ALLOW_SEALING));
    if (!fd.valid()) return FailErrno("memfd_create", errno);
    // fallocate, unlike a later touch, reports a full machine as an error.
    int error = 0;
    do {
      error = posix_fallocate(fd.get(), 0, static_cast<off_t>(rounded));
    } while (error == EINTR);
    if (error != 0) {
      return Fail(Code::kResourceExhausted,
                  fmt::format("no {} bytes of shared memory for {}", rounded, label));
    }
    if (fcntl(fd.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) {
      return FailErrno("seal memfd", errno);
    }
    void* mapping = mmap(nullptr, rounded, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE,
                         fd.get(), 0);
    if (mapping == MAP_FAILED) return FailErrno(fmt::format("map {} bytes", rounded), errno);
    return std::make_unique<Memory>(std::move(fd), mapping, rounded, views());
  }
};

}  // namespace

std::unique_ptr<Allocator> CreateMemfdAllocator() { return std::make_unique<MemfdAllocator>(); }

}  // namespace sluice::media
