#include "engine/media/buffer_pool.h"

#include <dirent.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <new>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace {
std::atomic<uint64_t> g_allocations{0};
}

// Every operator new of this test counts, so that a steady state can be seen.
void* operator new(size_t size) {
  g_allocations.fetch_add(1, std::memory_order_relaxed);
  if (void* memory = std::malloc(size)) return memory;
  std::abort();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }

namespace sluice::media {
namespace {

using sync::Fence;
using sync::Timeline;

size_t OpenFds() {
  size_t count = 0;
  DIR* dir = opendir("/proc/self/fd");
  while (readdir(dir) != nullptr) ++count;
  closedir(dir);
  return count;
}

/// Mappings of memfds that a pool named `name` made.
size_t MappingsOf(const std::string& name) {
  std::ifstream maps("/proc/self/maps");
  size_t count = 0;
  for (std::string line; std::getline(maps, line);) {
    if (line.find("sluice:" + name + ":") != std::string::npos) ++count;
  }
  return count;
}

BufferPool::Options Small(std::string name, uint32_t buffers) {
  BufferPool::Options options;
  options.name = std::move(name);
  options.format.fourcc = kYu12;
  options.format.width = 64;
  options.format.height = 32;
  options.layout = *ComputeLayout(options.format, {});
  options.buffers = buffers;
  return options;
}

class BufferPoolTest : public testing::Test {
 protected:
  RefPtr<BufferPool> Make(BufferPool::Options options) {
    options.clock = &clock_;
    auto pool = BufferPool::Create(std::move(options), *allocator_);
    EXPECT_TRUE(pool) << pool.error().message;
    return pool ? *pool : nullptr;
  }
  RefPtr<BufferPool> Make(uint32_t buffers) { return Make(Small("clip.out", buffers)); }
  Frame* Acquire(BufferPool& pool) {
    Frame* frame = pool.TryAcquire(clock_.Now());
    EXPECT_NE(frame, nullptr);
    return frame;
  }

  SteppableClock clock_{1000};
  std::unique_ptr<Allocator> allocator_ = CreateMemfdAllocator();
};

struct CountingListener : FreedListener {
  void OnFreed() override { ++freed; }
  std::atomic<int> freed{0};
};

TEST_F(BufferPoolTest, HandsOutEachBufferOnceAndThenNone) {
  auto pool = Make(3);
  EXPECT_EQ(pool->FreeCount(), 3u);
  Frame* frames[3];
  for (uint32_t i = 0; i < 3; ++i) {
    frames[i] = Acquire(*pool);
    EXPECT_EQ(frames[i]->buffer().id().index, i);
    EXPECT_EQ(frames[i]->buffer().state(), BufferState::kWriting);
    EXPECT_TRUE(frames[i]->writing());
    EXPECT_FALSE(frames[i]->buffer().published());
  }
  EXPECT_EQ(pool->TryAcquire(0), nullptr);
  EXPECT_EQ(pool->PeakLeased(), 3u);
  for (Frame* frame : frames) frame->Release();
  EXPECT_EQ(pool->FreeCount(), 3u);
  EXPECT_EQ(pool->Outstanding(), 0u);
}

TEST_F(BufferPoolTest, FanOutReturnsTheBufferAfterTheLastRelease) {
  auto pool = Make(1);
  HolderId look = pool->AddHolder("look"), show = pool->AddHolder("show");
  Frame* frame = Acquire(*pool);
  frame->info.pts_ns = 40;
  frame->Publish({}, 77);
  EXPECT_TRUE(frame->buffer().published());
  Frame* second = pool->Share(*frame, show, 5);
  frame->HandOver(look, 5);
  EXPECT_EQ(second->info.pts_ns, 40);
  EXPECT_EQ(second->born_ns(), 77);
  EXPECT_FALSE(second->writing());
  second->info.pts_ns = 41;
  EXPECT_EQ(frame->info.pts_ns, 40) << "each holder has an info of its own";
  frame->Release();
  EXPECT_EQ(second->buffer().state(), BufferState::kLent);
  EXPECT_EQ(pool->TryAcquire(6), nullptr);
  second->Release();
  EXPECT_EQ(pool->FreeCount(), 1u);
}

TEST_F(BufferPoolTest, NextTripStartsBlank) {
  auto pool = Make(1);
  Frame* frame = Acquire(*pool);
  frame->info.sequence = 9;
  frame->Publish({}, 5);
  frame->Release();
  frame = Acquire(*pool);
  EXPECT_EQ(frame->info.sequence, 0u);
  EXPECT_EQ(frame->info.pts_ns, kPtsNone);
  EXPECT_EQ(frame->born_ns(), 0);
  EXPECT_TRUE(frame->writing());
  EXPECT_FALSE(frame->buffer().published());
  EXPECT_EQ(frame->acquire().timeline, nullptr);
  frame->Release();
}

TEST_F(BufferPoolTest, SharesNoMoreLeasesThanItHas) {
  auto options = Small("clip.out", 2);
  options.max_leases = 2;
  auto pool = Make(options);
  Frame* frame = Acquire(*pool);
  frame->Publish({}, 0);
  Frame* second = pool->Share(*frame, kProducer, 0);
  EXPECT_EQ(pool->Share(*frame, kProducer, 0), nullptr);
  EXPECT_EQ(pool->TryAcquire(0), nullptr) << "a buffer is free, a lease is not";
  second->Release();
  frame->Release();
  EXPECT_EQ(pool->FreeCount(), 2u);
}

TEST_F(BufferPoolTest, WaitsForEveryReleaseFence) {
  auto pool = Make(1);
  auto listener = MakeRef<CountingListener>();
  pool->SetFreedListener(listener);
  auto gpu = MakeRef<Timeline>("gpu"), display = MakeRef<Timeline>("display");
  Frame* frame = Acquire(*pool);
  frame->Publish({}, 0);
  Frame* second = pool->Share(*frame, kProducer, 0);
  frame->Release({gpu, 1});
  second->Release({display, 1});
  EXPECT_EQ(pool->Ledger()[0].state, BufferState::kDraining);
  EXPECT_EQ(pool->Outstanding(), 1u);
  gpu->Signal(1);
  EXPECT_EQ(pool->Ledger()[0].state, BufferState::kDraining);
  EXPECT_EQ(listener->freed, 0);
  display->Signal(1);
  EXPECT_EQ(pool->Ledger()[0].state, BufferState::kFree);
  EXPECT_EQ(listener->freed, 1);
}

TEST_F(BufferPoolTest, MoreFencesThanWaitersAreAllWaitedFor) {
  auto options = Small("clip.out", 1);
  options.max_leases = 40;
  auto pool = Make(options);
  std::vector<RefPtr<Timeline>> timelines;
  Frame* frame = Acquire(*pool);
  frame->Publish({}, 0);
  for (int i = 0; i < 30; ++i) {
    timelines.push_back(MakeRef<Timeline>("t" + std::to_string(i)));
    pool->Share(*frame, kProducer, 0)->Release({timelines.back(), 1});
  }
  frame->Release();
  // The last first: rounds start with those that have not passed.
  for (size_t i = timelines.size(); i-- > 0;) {
    EXPECT_EQ(pool->Ledger()[0].state, BufferState::kDraining) << i;
    timelines[i]->Signal(1);
  }
  EXPECT_EQ(pool->FreeCount(), 1u);
}

TEST_F(BufferPoolTest, ManyFailedFencesDoNotEndTheWaitForTheOthers) {
  auto pool = Make(2);
  auto gpu = MakeRef<Timeline>("gpu"), display = MakeRef<Timeline>("display");
  Frame* frame = Acquire(*pool);
  frame->Publish({}, 0);
  for (uint64_t point = 1; point <= 10; ++point) {
    gpu->Fail(point, Code::kDeviceLost);
    pool->Share(*frame, kProducer, 0)->Release({gpu, point});
  }
  frame->Release({display, 1});
  gpu->Signal(10);
  EXPECT_EQ(pool->Ledger()[0].state, BufferState::kDraining);
  display->Signal(1);
  EXPECT_EQ(pool->Ledger()[0].state, BufferState::kQuarantined);
  EXPECT_EQ(pool->CheckDeadlines(0, 1).size(), 10u);
}

TEST_F(BufferPoolTest, SkippedFrameIsNotRewrittenWhileItsProducerStillWrites) {
  auto pool = Make(1);
  auto gpu = MakeRef<Timeline>("gpu");
  Frame* frame = Acquire(*pool);
  frame->Publish({gpu, 1}, 0);
  Frame* second = pool->Share(*frame, kProducer, 0);
  frame->Release();
  second->Release();
  EXPECT_EQ(pool->Ledger()[0].state, BufferState::kDraining);
  gpu->Signal(1);
  EXPECT_EQ(pool->Ledger()[0].state, BufferState::kFree);
}

TEST_F(BufferPoolTest, LateReleaseNamesItsHolderAndSignaller) {
  auto pool = Make(2);
  HolderId look = pool->AddHolder("look.in"), show = pool->AddHolder("show.in");
  auto gpu = MakeRef<Timeline>("gpu"), display = MakeRef<Timeline>("display");
  Frame* frame = Acquire(*pool);
  frame->Publish({}, 0);
  Frame* second = pool->Share(*frame, show, 0);
  frame->HandOver(look, 0);
  second->Release({display, 1});
  frame->Release({gpu, 1});
  gpu->Signal(1);
  clock_.Step(99);
  EXPECT_TRUE(pool->CheckDeadlines(clock_.Now(), 100).empty());
  clock_.Step(1);
  auto verdicts = pool->CheckDeadlines(clock_.Now(), 100);
  ASSERT_EQ(verdicts.size(), 1u);
  EXPECT_EQ(verdicts[0].holder, "show.in") << "not the one who released last";
  EXPECT_EQ(verdicts[0].signaller, "display");
  EXPECT_EQ(verdicts[0].waited_ns, 100);
  EXPECT_FALSE(verdicts[0].failed);
  EXPECT_EQ(pool->Ledger()[0].state, BufferState::kQuarantined);
  EXPECT_TRUE(pool->CheckDeadlines(clock_.Now() + 1000, 100).empty()) << "said once";
  EXPECT_EQ(pool->FreeCount(), 1u) << "time alone frees nothing";
  display->Signal(1);
  EXPECT_EQ(pool->FreeCount(), 2u) << "late, but it came";
}

TEST_F(BufferPoolTest, HolderThatKeepsItsLeaseIsNotLate) {
  auto pool = Make(1);
  Frame* frame = Acquire(*pool);
  frame->Publish({}, 0);
  clock_.Step(1'000'000);
  EXPECT_TRUE(pool->CheckDeadlines(clock_.Now(), 1).empty());
  EXPECT_EQ(frame->buffer().state(), BufferState::kLent);
  frame->Release();
}

TEST_F(BufferPoolTest, FailedReleaseQuarantinesForGood) {
  auto pool = Make(2);
  auto listener = MakeRef<CountingListener>();
  pool->SetFreedListener(listener);
  auto gpu = MakeRef<Timeline>("gpu");
  Frame* frame = Acquire(*pool);
  frame->Publish({}, 0);
  frame->HandOver(pool->AddHolder("look.in"), 0);
  frame->Release({gpu, 1});
  gpu->Fail(1, Code::kDeviceLost);
  gpu->Signal(2);
  EXPECT_EQ(pool->Ledger()[0].state, BufferState::kQuarantined);
  EXPECT_EQ(pool->Outstanding(), 0u);
  EXPECT_EQ(listener->freed, 0);
  auto verdicts = pool->CheckDeadlines(0, 1);
  ASSERT_EQ(verdicts.size(), 1u);
  EXPECT_TRUE(verdicts[0].failed);
  EXPECT_EQ(verdicts[0].holder, "look.in");
  EXPECT_EQ(verdicts[0].signaller, "gpu");
  frame = Acquire(*pool);
  EXPECT_EQ(frame->buffer().id().index, 1u);
  EXPECT_EQ(pool->TryAcquire(0), nullptr);
  frame->Release();
}

TEST_F(BufferPoolTest, EarlierFailureOnTheSameTimelineIsNotHiddenByALaterPoint) {
  auto pool = Make(1);
  auto gpu = MakeRef<Timeline>("gpu");
  Frame* frame = Acquire(*pool);
  frame->Publish({}, 0);
  Frame* second = pool->Share(*frame, kProducer, 0);
  frame->Release({gpu, 1});
  second->Release({gpu, 2});
  gpu->Fail(1, Code::kDeviceLost);
  gpu->Signal(2);
  EXPECT_EQ(pool->Ledger()[0].state, BufferState::kQuarantined);
}

TEST_F(BufferPoolTest, RetiredPoolHandsOutNothingAndTakesEverythingBack) {
  auto pool = Make(3);
  auto gpu = MakeRef<Timeline>("gpu");
  Frame* held = Acquire(*pool);
  Frame* draining = Acquire(*pool);
  draining->Release({gpu, 1});
  pool->Retire();
  EXPECT_EQ(pool->FreeCount(), 0u);
  EXPECT_EQ(pool->TryAcquire(0), nullptr);
  EXPECT_EQ(pool->Outstanding(), 2u);
  held->Release();
  gpu->Signal(1);
  EXPECT_EQ(pool->Outstanding(), 0u);
  for (const auto& row : pool->Ledger()) EXPECT_EQ(row.state, BufferState::kRetired);
}

TEST_F(BufferPoolTest, LedgerNamesWhoHoldsWhatSinceWhen) {
  auto pool = Make(2);
  HolderId look = pool->AddHolder("look.in");
  Frame* frame = Acquire(*pool);
  frame->Publish({}, 0);
  Frame* second = pool->Share(*frame, look, 3);
  auto rows = pool->Ledger();
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0].state, BufferState::kLent);
  EXPECT_EQ(rows[0].since_ns, 1000);
  EXPECT_EQ(rows[0].holders.size(), 2u);
  EXPECT_TRUE(rows[1].holders.empty());
  frame->Release();
  rows = pool->Ledger();
  EXPECT_EQ(rows[0].holders, std::vector<std::string>{"look.in"});
  second->Release();
}

TEST_F(BufferPoolTest, DynamicProducerHoldsNoMoreThanItsReserve) {
  auto options = Small("decoder.out", 4);
  options.dynamic_reserve = 2;
  auto pool = Make(options);
  HolderId show = pool->AddHolder("show.in");
  EXPECT_TRUE(pool->ReserveCovered());
  Frame* a = Acquire(*pool);
  Frame* b = Acquire(*pool);
  EXPECT_EQ(pool->TryAcquire(0), nullptr);
  EXPECT_TRUE(pool->ReserveCovered());
  // A reference frame is shown: the producer's share of it still counts.
  a->Publish({}, 0);
  Frame* shown = pool->Share(*a, show, 0);
  EXPECT_EQ(pool->TryAcquire(0), nullptr);
  a->Release();
  Frame* c = Acquire(*pool);
  b->HandOver(show, 0);
  Frame* d = Acquire(*pool);
  EXPECT_TRUE(pool->ReserveCovered()) << "holds its two";
  c->HandOver(show, 0);
  EXPECT_FALSE(pool->ReserveCovered()) << "holds one, none is free";
  shown->Release();
  EXPECT_TRUE(pool->ReserveCovered());
  for (Frame* frame : {b, c, d}) frame->Release();
  EXPECT_EQ(pool->FreeCount(), 4u);
}

TEST_F(BufferPoolTest, TheBufferThatIsAskedForIsHandedOutIfItIsFree) {
  auto pool = Make(Small("camera.out", 4));
  HolderId look = pool->AddHolder("look.in");
  Frame* third = pool->TryAcquireBuffer(2, 0);
  ASSERT_NE(third, nullptr);
  EXPECT_EQ(third->buffer().id().index, 2u);
  EXPECT_EQ(pool->TryAcquireBuffer(2, 0), nullptr);
  EXPECT_FALSE(pool->IsFree(2));
  // The others still come in their order.
  std::vector<Frame*> others;
  for (uint32_t index : {0u, 1u, 3u}) {
    EXPECT_TRUE(pool->IsFree(index));
    others.push_back(Acquire(*pool));
    EXPECT_EQ(others.back()->buffer().id().index, index);
  }
  EXPECT_EQ(pool->FreeCount(), 0u);
  // Home is not free: a reader's device is at work still.
  auto timeline = MakeRef<Timeline>("gpu");
  third->Publish({}, 0);
  third->HandOver(look, 0);
  third->Release({timeline, 1});
  EXPECT_FALSE(pool->IsFree(2));
  EXPECT_EQ(pool->TryAcquireBuffer(2, 0), nullptr);
  timeline->Signal(1);
  EXPECT_TRUE(pool->IsFree(2));
  third = pool->TryAcquireBuffer(2, 0);
  ASSERT_NE(third, nullptr);
  third->Release();
  for (Frame* frame : others) frame->Release();
  pool->Retire();
  EXPECT_EQ(pool->TryAcquireBuffer(2, 0), nullptr);
  EXPECT_FALSE(pool->IsFree(2));
}

TEST_F(BufferPoolTest, AskingForOneBufferDoesNotExceedTheReserve) {
  auto options = Small("camera.out", 4);
  options.dynamic_reserve = 2;
  auto pool = Make(options);
  Frame* a = pool->TryAcquireBuffer(3, 0);
  Frame* b = pool->TryAcquireBuffer(1, 0);
  ASSERT_TRUE(a != nullptr && b != nullptr);
  EXPECT_EQ(pool->TryAcquireBuffer(0, 0), nullptr);
  EXPECT_TRUE(pool->IsFree(0));
  a->Release();
  Frame* c = pool->TryAcquireBuffer(0, 0);
  ASSERT_NE(c, nullptr);
  b->Release();
  c->Release();
}

TEST_F(BufferPoolTest, PoolOutlivesItsOwnerUntilTheLastLease) {
  size_t fds = OpenFds();
  auto gpu = MakeRef<Timeline>("gpu");
  auto pool = Make(Small("outlives", 2));
  Frame* a = Acquire(*pool);
  Frame* b = Acquire(*pool);
  pool = nullptr;
  EXPECT_EQ(MappingsOf("outlives"), 0u) << "nobody asked";
  std::memset(a->buffer().memory().mapping(), 1, a->buffer().memory().size());
  std::memset(b->buffer().memory().mapping(), 1, b->buffer().memory().size());
  a->Release();
  b->Release({gpu, 1});
  EXPECT_EQ(MappingsOf("outlives"), 2u) << "a device still reads";
  gpu->Signal(1);
  EXPECT_EQ(MappingsOf("outlives"), 0u);
  EXPECT_EQ(OpenFds(), fds);
}

TEST_F(BufferPoolTest, FailedBufferDoesNotKeepThePoolOfAnOwnerThatLeft) {
  size_t fds = OpenFds();
  auto gpu = MakeRef<Timeline>("gpu");
  auto pool = Make(Small("failed", 1));
  Acquire(*pool)->Release({gpu, 1});
  pool = nullptr;
  gpu->Fail(1, Code::kDeviceLost);
  gpu->Signal(1);
  EXPECT_EQ(OpenFds(), fds);
}

// A listener may use the pool: it is called without its lock.
TEST_F(BufferPoolTest, ListenerMayAcquireAtOnce) {
  struct Acquiring : FreedListener {
    void OnFreed() override {
      if (pool != nullptr) frame = pool->TryAcquire(7);
    }
    BufferPool* pool = nullptr;
    Frame* frame = nullptr;
  };
  auto pool = Make(1);
  auto listener = MakeRef<Acquiring>();
  listener->pool = pool.get();
  pool->SetFreedListener(listener);
  auto gpu = MakeRef<Timeline>("gpu");
  Acquire(*pool)->Release({gpu, 1});
  gpu->Signal(1);
  ASSERT_NE(listener->frame, nullptr);
  EXPECT_EQ(pool->FreeCount(), 0u);
  listener->pool = nullptr;
  listener->frame->Release();
}

// The last reference to a timeline may run a plugin, which may ask the pool.
TEST_F(BufferPoolTest, TimelineThatDiesWithItsFenceMayUseThePool) {
  static BufferPool* asked;
  static int destroyed;
  sync::TimelineBackend backend;
  backend.destroy = [](void*) {
    ++destroyed;
    asked->Outstanding();
  };
  auto pool = Make(2);
  asked = pool.get();
  destroyed = 0;
  auto gpu = MakeRef<Timeline>("gpu", &backend), display = MakeRef<Timeline>("display");
  Frame* frame = Acquire(*pool);
  frame->Publish({gpu, 1}, 0);
  frame->Release({display, 1});
  gpu->Signal(1);
  gpu = nullptr;
  EXPECT_EQ(destroyed, 0);
  display->Signal(1);
  EXPECT_EQ(destroyed, 1);
  gpu = MakeRef<Timeline>("gpu", &backend);
  gpu->Signal(1);
  frame = Acquire(*pool);
  frame->Publish({gpu, 1}, 0);
  frame->Release({std::move(gpu), 1});
  EXPECT_EQ(destroyed, 2);
}

TEST_F(BufferPoolTest, PoisonShowsAReaderAfterRelease) {
  auto options = Small("clip.out", 1);
  options.poison = true;
  auto pool = Make(options);
  Frame* frame = Acquire(*pool);
  const Memory& memory = frame->buffer().memory();
  memory.mapping()[100] = 1;
  frame->Release();
  EXPECT_EQ(memory.mapping()[0], 0xA5);
  EXPECT_EQ(memory.mapping()[100], 0xA5);
}

TEST_F(BufferPoolTest, RefusesImpossibleOptions) {
  auto none = BufferPool::Create(Small("clip.out", 0), *allocator_);
  ASSERT_FALSE(none);
  EXPECT_NE(none.error().message.find("clip.out"), std::string::npos);
  EXPECT_FALSE(BufferPool::Create(Small("clip.out", 4097), *allocator_));
  auto options = Small("clip.out", 1);
  options.layout.planes[2].stride = 1;
  EXPECT_FALSE(BufferPool::Create(options, *allocator_));
}

/// Gives what it is told to: too little, or nothing after some buffers.
struct FaultyAllocator : Allocator {
  std::string_view name() const override { return "faulty"; }
  uint32_t views() const override { return kViewShm; }
  uint32_t granularity() const override { return 1; }
  Result<std::unique_ptr<Memory>> Allocate(std::string_view label, uint64_t size) override {
    if (remaining-- == 0) return Fail(Code::kResourceExhausted, "no more");
    return real->Allocate(label, short_by < size ? size - short_by : size);
  }
  std::unique_ptr<Allocator> real = CreateMemfdAllocator();
  int remaining = 100;
  uint64_t short_by = 0;
};

TEST_F(BufferPoolTest, HalfAllocatedPoolGivesEverythingBack) {
  size_t fds = OpenFds();
  FaultyAllocator allocator;
  allocator.remaining = 2;
  auto pool = BufferPool::Create(Small("half", 4), allocator);
  ASSERT_FALSE(pool);
  EXPECT_EQ(pool.error().code, Code::kResourceExhausted);
  EXPECT_EQ(OpenFds(), fds);
  EXPECT_EQ(MappingsOf("half"), 0u);
}

TEST_F(BufferPoolTest, AllocatorThatGivesTooLittleIsRefused) {
  FaultyAllocator allocator;
  auto options = Small("clip.out", 1);
  options.layout.size = 1 << 16;
  allocator.short_by = 1 << 15;
  auto pool = BufferPool::Create(options, allocator);
  ASSERT_FALSE(pool);
  EXPECT_NE(pool.error().message.find("faulty"), std::string::npos);
}

using BufferPoolDeathTest = BufferPoolTest;
TEST_F(BufferPoolDeathTest, ReleasingTwiceEndsTheProcessAndNamesTheHolder) {
  auto pool = Make(1);
  Frame* frame = Acquire(*pool);
  frame->Publish({}, 1);
  frame->HandOver(pool->AddHolder("look.in"), clock_.Now());
  frame->Release();
  EXPECT_DEATH(frame->Release(), "a lease of look.in was released twice");
}

TEST_F(BufferPoolTest, SteadyStateAllocatesNothing) {
  auto pool = Make(4);
  HolderId look = pool->AddHolder("look"), show = pool->AddHolder("show");
  auto gpu = MakeRef<Timeline>("gpu"), display = MakeRef<Timeline>("display");
  uint64_t point = 0;
  auto trip = [&] {
    ++point;
    Frame* frame = pool->TryAcquire(clock_.Now());
    frame->Publish({gpu, point}, 1);
    Frame* second = pool->Share(*frame, show, clock_.Now());
    frame->HandOver(look, clock_.Now());
    frame->Release({gpu, point + 1});
    second->Release({display, point});
    gpu->Signal(++point);
    display->Signal(point);
    Frame* plain = pool->TryAcquire(clock_.Now());
    plain->Publish({}, 0);
    plain->Release();
    pool->CheckDeadlines(clock_.Now(), 1000);
  };
  trip();
  uint64_t before = g_allocations;
  for (int i = 0; i < 1000; ++i) trip();
  EXPECT_EQ(g_allocations - before, 0u);
  EXPECT_EQ(pool->FreeCount(), 4u);
  ::operator delete(::operator new(1));
  EXPECT_EQ(g_allocations - before, 1u) << "the counter counts";
}

}  // namespace
}  // namespace sluice::media
