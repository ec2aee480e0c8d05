#include <algorithm>
#include <atomic>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <new>
#include <string>

#include <gtest/gtest.h>

#include "tests/integration/harness.h"

// Every allocation of the process is counted, plugins included.

namespace {
std::atomic<uint64_t> g_allocations{0};
}  // namespace

void* operator new(size_t size) {
  g_allocations.fetch_add(1, std::memory_order_relaxed);
  if (void* memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }

namespace sluice::testing {
namespace {

long ResidentPages() {
  std::ifstream statm("/proc/self/statm");
  long total = 0, resident = 0;
  statm >> total >> resident;
  return resident;
}

std::string Graph(int frames) {
  return R"(
sluice: 1
name: steady
nodes:
  source: { type: core.testsrc, size: 64x36, format: YU12, frames: )" +
         std::to_string(frames) + R"( }
  a: { type: core.identity }
  b: { type: core.select, every: 2 }
  sum: { type: core.checksum }
  other: { type: core.null }
edges:
  - source -> a -> b -> sum
  - { from: a, to: other, queue: { depth: 4, when_full: block } }
)";
}

/// Allocations of a whole run of `frames` frames.
uint64_t AllocationsFor(int frames) {
  uint64_t before = g_allocations.load();
  Ran ran = RunGraph(Graph(frames));
  EXPECT_EQ(ran.report.result, "done") << ran.Errors();
  EXPECT_EQ(ran.node("other").frames_in, static_cast<uint64_t>(frames));
  return g_allocations.load() - before;
}

TEST(SteadyStateTest, AllocatesNothingForAFrame) {
  AllocationsFor(100);  // what is made once in a process
  uint64_t few = AllocationsFor(100);
  uint64_t many = AllocationsFor(20'100);
  std::printf("allocations: %llu for 100 frames, %llu for 20,100\n",
              static_cast<unsigned long long>(few), static_cast<unsigned long long>(many));
  // Ticks and the control loop's events may differ by a few, frames may not.
  EXPECT_LT(many, few + 500);
}

TEST(SteadyStateTest, AllocatesNothingForAChangedParameter) {
  constexpr int kFirst = 100, kChanges = 10'100;
  int changes = 0;
  uint64_t before = 0, after = 0;
  Ran ran = RunGraph(R"(
sluice: 1
name: changing
nodes:
  source: { type: probe.source, frames: 0 }
  sink: { type: core.null }
edges: [ source -> sink ]
)",
                     {}, [&](runtime::Engine& engine) {
                       static std::function<void(const Status&)> next;
                       next = [&](const Status& changed) {
                         ASSERT_TRUE(changed) << changed.error().message;
                         ++changes;
                         if (changes == kFirst) before = g_allocations.load();
                         if (changes == kChanges) after = g_allocations.load();
                         const bool more = changes < kChanges;
                         if (changes > kChanges) return;
                         engine.ChangeParam("source", "frames", more ? "0" : "1", false,
                                            [](const Status& status) { next(status); });
                       };
                       engine.ChangeParam("source", "frames", "0", false,
                                          [](const Status& status) { next(status); });
                     });
  ASSERT_EQ(ran.report.result, "done") << ran.Errors();
  std::printf("allocations for %d changes: %llu\n", kChanges - kFirst,
              static_cast<unsigned long long>(after - before));
  EXPECT_LT(after - before, 100u);  // ticks of the control loop
}

TEST(SteadyStateTest, KeepsDescriptorsAndMemoryConstantOver100000Frames) {
  size_t fds_min = SIZE_MAX, fds_max = 0;
  long pages_min = LONG_MAX, pages_max = 0;
  Ran ran = RunGraph(Graph(100'000), [&](runtime::Engine::Options& options) {
    // Called ten times a second from the control loop.
    options.progress = [&](const runtime::ProgressInfo& info) {
      if (info.frames < 100) return;
      size_t fds = CountFds();
      long pages = ResidentPages();
      fds_min = std::min(fds_min, fds);
      fds_max = std::max(fds_max, fds);
      pages_min = std::min(pages_min, pages);
      pages_max = std::max(pages_max, pages);
    };
  });
  ASSERT_EQ(ran.report.result, "done") << ran.Errors();
  EXPECT_EQ(ran.node("other").frames_in, 100'000u);
  if (fds_max == 0) GTEST_SKIP() << "the run was over before the first look at it";
  std::printf("fds %zu..%zu, resident pages %ld..%ld, %.0f frames/s\n", fds_min, fds_max, pages_min,
              pages_max, ran.node("source").fps);
  EXPECT_EQ(fds_min, fds_max);
  EXPECT_LE(pages_max - pages_min, 256);  // 1 MiB
}

}  // namespace
}  // namespace sluice::testing
