#include <fcntl.h>
#include <linux/dma-heap.h>
#include <linux/udmabuf.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <memory>

#include <fmt/format.h>

#include "engine/base/unique_fd.h"
#include "engine/cli/doctor.h"
#include "engine/media/allocator.h"

namespace sluice::cli {
namespace {

constexpr char kMemory[] = "memory";

Finding Memfd() {
  Finding finding{.section = kMemory, .name = "memfd", .required = true};
  const auto memory = media::CreateMemfdAllocator()->Allocate("doctor", 1 << 20);
  if (memory) {
    finding.detail = "sealed shared memory can be made and mapped; the engine's own allocator";
    return finding;
  }
  finding.health = Health::kMissing;
  finding.detail = memory.error().message;
  finding.advice =
      "memfd_create with sealing needs Linux 3.17 or newer and must not be forbidden by a sandbox "
      "(seccomp)";
  return finding;
}

/// A sealed memfd of one page, as udmabuf wants it.
UniqueFd SealedPage() {
  UniqueFd fd(memfd_create("doctor", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!fd.valid()) return {};
  if (ftruncate(fd.get(), sysconf(_SC_PAGESIZE)) != 0) return {};
  if (fcntl(fd.get(), F_ADD_SEALS, F_SEAL_SHRINK) != 0) return {};
  return fd;
}

std::string UdmabufLimit() {
  const std::string megabytes = FirstLine("/sys/module/udmabuf/parameters/size_limit_mb");
  return megabytes.empty() ? "" : fmt::format(", up to {} MiB a buffer", megabytes);
}

Finding Udmabuf() {
  constexpr char kDevice[] = "/dev/udmabuf";
  Finding finding{.section = kMemory, .name = "udmabuf", .health = Health::kMissing};
  const UniqueFd device(open(kDevice, O_RDWR | O_CLOEXEC));
  if (!device.valid()) {
    const int error = errno;
    finding.detail = fmt::format("{}: {}", kDevice, std::strerror(error));
    finding.advice =
        error == ENOENT
            ? "sudo modprobe udmabuf, or a kernel with CONFIG_UDMABUF=y (Linux 4.20 or newer)"
            : AccessAdvice(kDevice);
    return finding;
  }
  const UniqueFd page = SealedPage();
  udmabuf_create request{};
  request.memfd = static_cast<uint32_t>(page.get());
  request.flags = UDMABUF_FLAGS_CLOEXEC;
  request.size = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  const UniqueFd buffer(ioctl(device.get(), UDMABUF_CREATE, &request));
  if (!buffer.valid()) {
    finding.detail = fmt::format("a dma-buf over a memfd cannot be made: {}", std::strerror(errno));
    return finding;
  }
  finding.health = Health::kOk;
  finding.detail = "dma-bufs can be made over memfd" + UdmabufLimit();
  return finding;
}

Finding Heap(const std::string& name) {
  const std::string path = "/dev/dma_heap/" + name;
  Finding finding{.section = kMemory, .name = "dma-heap " + name, .health = Health::kMissing};
  const UniqueFd heap(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!heap.valid()) {
    finding.detail = fmt::format("{}: {}", path, std::strerror(errno));
    finding.advice = AccessAdvice(path);
    return finding;
  }
  dma_heap_allocation_data request{};
  request.len = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  request.fd_flags = O_RDWR | O_CLOEXEC;
  if (ioctl(heap.get(), DMA_HEAP_IOCTL_ALLOC, &request) != 0) {
    finding.detail = fmt::format("a page cannot be allocated: {}", std::strerror(errno));
    return finding;
  }
  const UniqueFd buffer(static_cast<int>(request.fd));
  finding.health = Health::kOk;
  finding.detail = "dma-bufs can be allocated";
  return finding;
}

Finding OpenFiles() {
  Finding finding{.section = kMemory, .name = "open files"};
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return finding;
  finding.detail = fmt::format("up to {}; each buffer takes one", limit.rlim_cur);
  if (limit.rlim_cur < 1024) {
    finding.health = Health::kLimited;
    finding.advice = "ulimit -n 4096";
  }
  return finding;
}

}  // namespace

void ProbeKernel(Findings* findings) {
  Finding finding{.section = "system", .name = "kernel", .health = Health::kOk};
  utsname name{};
  if (uname(&name) == 0)
    finding.detail = fmt::format("{} {} {}", name.sysname, name.release, name.machine);
  findings->push_back(std::move(finding));
  findings->push_back({.section = "system",
                       .name = "processors",
                       .detail = fmt::format("{} usable", sysconf(_SC_NPROCESSORS_ONLN))});
}

void ProbeMemory(Findings* findings) {
  findings->push_back(Memfd());
  findings->push_back(OpenFiles());
  findings->push_back(Udmabuf());
  const std::vector<std::string> heaps = NamesIn("/dev/dma_heap", "");
  for (const std::string& heap : heaps) findings->push_back(Heap(heap));
  if (heaps.empty()) {
    findings->push_back({.section = kMemory,
                         .name = "dma-heap",
                         .health = Health::kMissing,
                         .detail = "no /dev/dma_heap",
                         .advice =
                             "a kernel with CONFIG_DMABUF_HEAPS=y and CONFIG_DMABUF_HEAPS_SYSTEM=y "
                             "(Linux 5.6 or newer)"});
  }
}

void ProbeBandwidth(Findings* findings) {
  constexpr size_t kBytes = 32 << 20;
  constexpr int kRounds = 6;
  const auto from = std::make_unique<char[]>(kBytes);
  const auto to = std::make_unique<char[]>(kBytes);
  std::memset(from.get(), 1, kBytes);
  double best_s = 1e9;
  for (int round = 0; round < kRounds; ++round) {
    const auto began = std::chrono::steady_clock::now();
    std::memcpy(to.get(), from.get(), kBytes);
    // Without it the copy might be left out, because nobody reads it.
    asm volatile("" : : "r"(to.get()) : "memory");
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
    best_s = std::min(best_s, std::max(took.count(), 1e-9));
  }
  findings->push_back(
      {.section = kMemory,
       .name = "copy",
       .detail = fmt::format("{:.1f} GB/s with one thread (best of {}, {} MiB): what a copied "
                             "frame costs at least",
                             static_cast<double>(kBytes) / best_s / 1e9, kRounds, kBytes >> 20)});
}

}  // namespace sluice::cli
