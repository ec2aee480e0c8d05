// Leases on several threads: only the end can be compared with what must be.

#include <dirent.h>
#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "engine/media/buffer_pool.h"

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

constexpr auto kPatience = std::chrono::seconds(60);

struct Bell : FreedListener {
  void OnFreed() override {
    std::lock_guard lock(mutex);
    ++rung;
    condition.notify_all();
  }
  /// False: nothing was freed since `seen` for very long.
  bool WaitPast(uint64_t seen) {
    std::unique_lock lock(mutex);
    return condition.wait_for(lock, kPatience, [&] { return rung > seen; });
  }
  uint64_t Rung() {
    std::lock_guard lock(mutex);
    return rung;
  }
  std::mutex mutex;
  std::condition_variable condition;
  uint64_t rung = 0;
};

/// Frames on their way to one holder; null ends.
class Queue {
 public:
  void Push(Frame* frame) {
    std::lock_guard lock(mutex_);
    frames_.push_back(frame);
    condition_.notify_one();
  }
  Frame* Pop() {
    std::unique_lock lock(mutex_);
    if (!condition_.wait_for(lock, kPatience, [&] { return !frames_.empty(); })) return nullptr;
    Frame* frame = frames_.front();
    frames_.pop_front();
    return frame;
  }

 private:
  std::mutex mutex_;
  std::condition_variable condition_;
  std::deque<Frame*> frames_;
};

/// Promises points; its signaller follows behind on another thread.
struct Device {
  RefPtr<Timeline> timeline;
  std::atomic<uint64_t> promised{0};
  Fence Promise() { return {timeline, promised.fetch_add(1) + 1}; }
};

class Stress {
 public:
  Stress(uint64_t seed, bool owner_leaves) : seed_(seed), owner_leaves_(owner_leaves) {
    BufferPool::Options options;
    options.name = "stress";
    options.format.fourcc = kR8;
    options.format.width = options.format.height = 16;
    options.layout = *ComputeLayout(options.format, {});
    options.buffers = kBuffers;
    options.poison = seed % 2 == 0;
    auto allocator = CreateMemfdAllocator();
    pool_ = *BufferPool::Create(options, *allocator);
    for (int i = 0; i < kConsumers; ++i) pool_->AddHolder("consumer " + std::to_string(i));
    pool_->SetFreedListener(bell_);
    for (auto& device : devices_) device.timeline = MakeRef<Timeline>("device");
  }

  void Play() {
    std::vector<std::thread> threads;
    for (int i = 0; i < kConsumers; ++i) threads.emplace_back([this, i] { Consume(i); });
    std::thread signaller([this] { SignalBehind(); });
    Produce();
    if (owner_leaves_) pool_ = nullptr;  // leases and fences are still out
    for (auto& queue : queues_) queue.Push(nullptr);
    for (auto& thread : threads) thread.join();
    stop_ = true;
    signaller.join();
    for (auto& device : devices_) device.timeline->Signal(device.promised);
    if (!pool_) return;
    EXPECT_EQ(pool_->Outstanding(), 0u);
    uint32_t failed = 0;
    for (const auto& row : pool_->Ledger()) {
      EXPECT_TRUE(row.holders.empty());
      failed += row.state == BufferState::kQuarantined;
    }
    EXPECT_EQ(pool_->FreeCount() + failed, kBuffers);
  }

 private:
  static constexpr uint32_t kBuffers = 6;
  static constexpr int kConsumers = 3;
  static constexpr int kFrames = 250;

  Fence Promise(std::mt19937_64& random) { return devices_[random() % devices_.size()].Promise(); }

  void Produce() {
    std::mt19937_64 random(seed_);
    for (int i = 0; i < kFrames; ++i) {
      uint64_t rung = bell_->Rung();
      Frame* frame = pool_->TryAcquire(i);
      while (frame == nullptr) {
        if (!bell_->WaitPast(rung)) {
          ADD_FAILURE() << "the pool never came back";
          return;
        }
        rung = bell_->Rung();
        frame = pool_->TryAcquire(i);
      }
      frame->info.sequence = static_cast<uint64_t>(i);
      frame->buffer().memory().mapping()[0] = static_cast<uint8_t>(i);
      frame->Publish(random() % 4 == 0 ? Promise(random) : Fence{}, 0);
      for (int c = 1; c < kConsumers; ++c) {
        if (Frame* shared = pool_->Share(*frame, static_cast<HolderId>(c + 1), i)) {
          queues_[c].Push(shared);
        }
      }
      frame->HandOver(1, i);
      queues_[0].Push(frame);
      if (i % 16 == 0) {
        pool_->CheckDeadlines(Clock::Real().Now(), 0);
        pool_->Ledger();
      }
    }
  }

  /// Keeps a frame or two, and lets go of them in any order.
  void Consume(int which) {
    std::mt19937_64 random(seed_ * 10 + static_cast<uint64_t>(which));
    std::vector<Frame*> held;
    auto release_one = [&] {
      size_t index = random() % held.size();
      Frame* frame = held[index];
      held.erase(held.begin() + static_cast<ptrdiff_t>(index));
      EXPECT_EQ(frame->buffer().memory().mapping()[0], static_cast<uint8_t>(frame->info.sequence));
      Fence done;
      if (random() % 3 != 0) done = Promise(random);
      // Few enough that the producer always has buffers left.
      if (done.timeline && random() % 64 == 0 && failures_.fetch_sub(1) > 0) {
        done.timeline->Fail(done.point, Code::kDeviceLost);
      }
      frame->Release(std::move(done));
    };
    while (Frame* frame = queues_[which].Pop()) {
      held.push_back(frame);
      while (held.size() > random() % 2) release_one();
    }
    while (!held.empty()) release_one();
  }

  void SignalBehind() {
    std::mt19937_64 random(seed_ + 7);
    while (!stop_) {
      for (auto& device : devices_) {
        uint64_t promised = device.promised;
        device.timeline->Signal(promised - std::min<uint64_t>(promised, random() % 3));
      }
      std::this_thread::yield();
    }
  }

  const uint64_t seed_;
  const bool owner_leaves_;
  RefPtr<Bell> bell_ = MakeRef<Bell>();
  RefPtr<BufferPool> pool_;
  std::array<Device, 3> devices_;
  std::array<Queue, kConsumers> queues_;
  std::atomic<bool> stop_{false};
  std::atomic<int> failures_{2};
};

TEST(BufferPoolStressTest, NothingIsOutstandingWhenAllHoldersAreDone) {
  size_t fds = OpenFds();
  for (uint64_t seed = 1; seed <= 20; ++seed) Stress(seed, false).Play();
  EXPECT_EQ(OpenFds(), fds);
}

TEST(BufferPoolStressTest, PoolWhoseOwnerLeftEndsWithItsLastLease) {
  size_t fds = OpenFds();
  for (uint64_t seed = 1; seed <= 20; ++seed) Stress(seed, true).Play();
  EXPECT_EQ(OpenFds(), fds);
}

/// Orders nothing, so that the thread sanitizer sees who relies on it.
struct Quiet : FreedListener {
  void OnFreed() override { rung.fetch_add(1, std::memory_order_relaxed); }
  std::atomic<int> rung{0};
};

// The last two leases of a pool without an owner, let go at the same moment.
TEST(BufferPoolStressTest, LastLeasesMayRace) {
  size_t fds = OpenFds();
  BufferPool::Options options;
  options.name = "race";
  options.format.fourcc = kR8;
  options.format.width = options.format.height = 16;
  options.layout = *ComputeLayout(options.format, {});
  options.buffers = 2;
  auto allocator = CreateMemfdAllocator();
  for (int round = 0; round < 150; ++round) {
    auto pool = *BufferPool::Create(options, *allocator);
    auto bell = MakeRef<Quiet>();
    pool->SetFreedListener(bell);
    Fence done[2] = {{MakeRef<Timeline>("gpu"), 1}, {MakeRef<Timeline>("display"), 1}};
    Frame* frames[2] = {pool->TryAcquire(0), pool->TryAcquire(0)};
    pool = nullptr;
    std::atomic<int> ready{0};
    // Each lets go on one thread and signals on another, or needs no fence.
    auto release = [&](int i) {
      bool plain = round % 3 == 1 || (round % 3 == 2 && i == 0);
      if (round % 2 == 0 && !plain) frames[i]->Release(done[i]);
      ++ready;
      while (ready < 4) std::this_thread::yield();
      if (plain) {
        frames[i]->Release();
      } else if (round % 2 != 0) {
        frames[i]->Release(done[i]);
      }
    };
    auto signal = [&](int i) {
      ++ready;
      while (ready < 4) std::this_thread::yield();
      done[i].timeline->Signal(1);
    };
    std::vector<std::thread> threads;
    for (int i = 0; i < 2; ++i) {
      threads.emplace_back(release, i);
      threads.emplace_back(signal, i);
    }
    for (auto& thread : threads) thread.join();
    ASSERT_EQ(bell->rung, 2);
  }
  EXPECT_EQ(OpenFds(), fds);
}

}  // namespace
}  // namespace sluice::media
