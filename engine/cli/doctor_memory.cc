#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <memory>

#include <fmt/format.h>

#include "engine/cli/doctor.h"
#include "engine/media/allocator.h"

namespace sluice::cli {
namespace {

constexpr char kMemory[] = "memory";

Finding Memfd() {
  Finding finding{.section = kMemory, .name = "memfd", .required = true};
  const auto memory = media::CreateMemfdAllocator()->Allocate("doctor", 1 << 20);
  if (memory && (*memory)->Map()) {
    finding.detail = "sealed shared memory can be made and mapped; the engine's own allocator";
    return finding;
  }
  finding.health = Health::kMissing;
  finding.detail = memory ? "shared memory cannot be mapped" : memory.error().message;
  finding.advice =
      "memfd_create with sealing needs Linux 3.17 or newer and must not be forbidden by a sandbox "
      "(seccomp)";
  return finding;
}

Finding FromProbe(std::string name, const media::AllocatorProbe& probe) {
  return {.section = kMemory,
          .name = std::move(name),
          .health = probe.usable ? Health::kOk : Health::kMissing,
          .detail = probe.detail,
          .advice = probe.advice};
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
  findings->push_back(FromProbe("udmabuf", media::ProbeUdmabuf()));
  const std::vector<std::string> heaps = NamesIn("/dev/dma_heap", "");
  for (const std::string& heap : heaps) {
    findings->push_back(FromProbe("dma-heap " + heap, media::ProbeDmaHeap(heap)));
  }
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
