// The lease machine of docs/leases.md against a model in plain data: random
// interleavings, compared after every step.

#include <dirent.h>
#include <algorithm>
#include <array>
#include <condition_variable>
#include <deque>
#include <map>
#include <random>
#include <string>
#include <tuple>
#include <vector>

#include <gtest/gtest.h>

#include "engine/media/buffer_pool.h"

namespace sluice::media {
namespace {

using sync::Fence;
using sync::Timeline;

/// Buffers without memory: thousands of pools in a second.
struct HollowAllocator : Allocator {
  std::string_view name() const override { return "hollow"; }
  uint32_t views() const override { return 0; }
  uint32_t granularity() const override { return 1; }
  Result<std::unique_ptr<Memory>> Allocate(std::string_view, uint64_t size) override {
    std::vector<Memory::Part> parts(1);
    parts[0].size = size;
    return std::make_unique<Memory>(std::move(parts), 0);
  }
};

/// The pool holds the only reference after SetFreedListener: its end is the pool's.
struct Watcher : FreedListener {
  Watcher(int* freed_count, bool* gone_flag) : freed(freed_count), gone(gone_flag) {}
  ~Watcher() override { *gone = true; }
  void OnFreed() override { ++*freed; }
  int* freed;
  bool* gone;
};

constexpr const char* kHolders[] = {"clip.out", "look.in", "show.in", "file.in"};
constexpr int kTimelines = 5;

struct ModelFence {
  int timeline = -1;  // -1: none
  uint64_t point = 0;
  friend bool operator==(const ModelFence&, const ModelFence&) = default;
};
struct ModelTimeline {
  uint64_t completed = 0;
  std::vector<uint64_t> failed;
};
struct ModelPending {
  ModelFence fence;
  int holder;
};
struct ModelBuffer {
  BufferState state = BufferState::kFree;
  bool published = false;
  int64_t draining_since = 0;
  bool dead = false;  // failed: nobody will give it back
  std::vector<ModelPending> pending;
};
struct ModelLease {
  Frame* frame;  // the key only
  uint32_t buffer;
  int holder;
  bool writing;
  uint64_t sequence;
  ModelFence acquire;
};
/// {buffer, holder, signaller, failed}
using ModelVerdict = std::tuple<uint32_t, std::string, std::string, bool>;

/// What docs/leases.md says, in plain data.
struct Model {
  std::vector<ModelBuffer> buffers;
  std::array<ModelTimeline, kTimelines> timelines;
  std::vector<ModelLease> leases;
  std::vector<ModelVerdict> failures;
  size_t max_leases = 0;
  uint32_t reserve = 0;
  bool retired = false;
  int told = 0;

  sync::FenceState State(const ModelFence& fence) const {
    if (fence.timeline < 0) return sync::FenceState::kSignalled;
    const ModelTimeline& timeline = timelines[fence.timeline];
    if (fence.point > timeline.completed) return sync::FenceState::kPromised;
    bool failed = std::count(timeline.failed.begin(), timeline.failed.end(), fence.point) > 0;
    return failed ? sync::FenceState::kFailed : sync::FenceState::kSignalled;
  }
  uint32_t Free() const {
    return static_cast<uint32_t>(std::count_if(
        buffers.begin(), buffers.end(), [](auto& b) { return b.state == BufferState::kFree; }));
  }
  uint32_t Busy() const {
    return static_cast<uint32_t>(std::count_if(buffers.begin(), buffers.end(), [](auto& b) {
      return b.state != BufferState::kFree && b.state != BufferState::kRetired && !b.dead;
    }));
  }
  uint32_t ProducerHolds() const {
    std::vector<bool> held(buffers.size());
    for (const ModelLease& lease : leases)
      held[lease.buffer] = held[lease.buffer] || lease.holder == 0;
    return static_cast<uint32_t>(std::count(held.begin(), held.end(), true));
  }
  bool CanAcquire() const {
    return !retired && Free() > 0 && leases.size() < max_leases &&
           (reserve == 0 || ProducerHolds() < reserve);
  }
  int LeasesOf(uint32_t buffer) const {
    return static_cast<int>(
        std::count_if(leases.begin(), leases.end(), [&](auto& l) { return l.buffer == buffer; }));
  }
  void AddPending(ModelBuffer& buffer, const ModelFence& fence, int holder) {
    if (State(fence) == sync::FenceState::kSignalled) return;
    for (auto& present : buffer.pending) {
      if (present.fence == fence) return;
    }
    buffer.pending.push_back({fence, holder});
  }
  void Release(size_t index, const ModelFence& done, int64_t now) {
    ModelLease lease = leases[index];
    leases.erase(leases.begin() + static_cast<ptrdiff_t>(index));
    ModelBuffer& buffer = buffers[lease.buffer];
    AddPending(buffer, lease.acquire, 0);
    AddPending(buffer, done, lease.holder);
    if (LeasesOf(lease.buffer) != 0) return;
    buffer.state = BufferState::kDraining;
    buffer.draining_since = now;
    Settle(lease.buffer);
  }
  /// Ends the trip of a buffer whose fences have all passed.
  void Settle(uint32_t index) {
    ModelBuffer& buffer = buffers[index];
    bool waits = buffer.state == BufferState::kDraining ||
                 (buffer.state == BufferState::kQuarantined && !buffer.dead);
    if (!waits) return;
    for (auto& pending : buffer.pending) {
      if (State(pending.fence) == sync::FenceState::kPromised) return;
    }
    for (auto& pending : buffer.pending) {
      if (State(pending.fence) != sync::FenceState::kFailed) continue;
      buffer.dead = true;
      failures.emplace_back(index, kHolders[pending.holder],
                            "t" + std::to_string(pending.fence.timeline), true);
    }
    buffer.pending.clear();
    buffer.state = buffer.dead ? BufferState::kQuarantined
                   : retired   ? BufferState::kRetired
                               : BufferState::kFree;
    told += !buffer.dead;
  }
  void SettleAll() {
    for (uint32_t i = 0; i < buffers.size(); ++i) Settle(i);
  }
  std::vector<ModelVerdict> CheckDeadlines(int64_t now, int64_t limit) {
    std::vector<ModelVerdict> verdicts = std::move(failures);
    failures.clear();
    for (uint32_t i = 0; i < buffers.size(); ++i) {
      ModelBuffer& buffer = buffers[i];
      if (buffer.state != BufferState::kDraining || now - buffer.draining_since < limit) continue;
      buffer.state = BufferState::kQuarantined;
      for (auto& pending : buffer.pending) {
        if (State(pending.fence) != sync::FenceState::kPromised) continue;
        verdicts.emplace_back(i, kHolders[pending.holder],
                              "t" + std::to_string(pending.fence.timeline), false);
      }
    }
    return verdicts;
  }
};

/// One run: the real pool and the model, moved together by a seed.
class Play {
 public:
  explicit Play(uint64_t seed) : random_(seed) {
    BufferPool::Options options;
    options.name = kHolders[0];
    options.format.fourcc = kR8;
    options.format.width = options.format.height = 8;
    options.layout = *ComputeLayout(options.format, {});
    options.buffers = 1 + Pick(5);
    options.max_leases = options.buffers * (1 + Pick(14));
    options.dynamic_reserve = Pick(3) == 0 ? 1 + Pick(options.buffers) : 0;
    options.clock = &clock_;
    model_.buffers.resize(options.buffers);
    model_.max_leases = options.max_leases;
    model_.reserve = options.dynamic_reserve;
    HollowAllocator allocator;
    owner_ = *BufferPool::Create(options, allocator);
    pool_ = owner_.get();
    for (int i = 1; i < 4; ++i) owner_->AddHolder(kHolders[i]);
    owner_->SetFreedListener(MakeRef<Watcher>(&told_, &gone_));
    for (int i = 0; i < kTimelines; ++i) {
      timelines_[i] = MakeRef<Timeline>("t" + std::to_string(i));
    }
  }

  void Go(int steps) {
    for (int i = 0; i < steps && !gone_; ++i) {
      Step();
      Compare();
      if (testing::Test::HasFatalFailure()) return;
    }
    End();
  }

 private:
  uint32_t Pick(uint32_t below) { return static_cast<uint32_t>(random_() % below); }

  void Step() {
    switch (Pick(40)) {
      case 0:
        return Pick(4) == 0 ? Retire() : Fail();
      case 1:
        return Pick(6) == 0 ? DropOwner() : Fail();
      case 2:
      case 3:
      case 4:
      case 5:
      case 6:
      case 7:
      case 8:
      case 9:
      case 10:
        return Acquire();
      case 11:
      case 12:
      case 13:
      case 14:
      case 15:
        return Share();
      case 16:
      case 17:
      case 18:
      case 19:
      case 20:
      case 21:
        return Publish();
      case 22:
      case 23:
      case 24:
        return HandOver();
      case 25:
      case 26:
      case 27:
      case 28:
      case 29:
      case 30:
      case 31:
      case 32:
        return Release();
      case 33:
        return CheckDeadlines();
      default:
        return Signal();
    }
  }

  /// None, passed already, or to come: on a timeline that signals, fails or stays.
  ModelFence PickFence() {
    if (Pick(3) == 0) return {};
    int timeline = static_cast<int>(Pick(kTimelines));
    uint64_t completed = model_.timelines[timeline].completed;
    if (Pick(5) == 0 && completed > 0) return {timeline, 1 + random_() % completed};
    return {timeline, completed + 1 + Pick(4)};
  }
  Fence Real(const ModelFence& fence) {
    if (fence.timeline < 0) return {};
    return {timelines_[fence.timeline], fence.point};
  }
  ModelLease* PickLease() {
    return model_.leases.empty()
               ? nullptr
               : &model_.leases[Pick(static_cast<uint32_t>(model_.leases.size()))];
  }

  void Acquire() {
    if (!owner_) return;
    const bool any = Pick(2) == 0;
    const uint32_t wanted = Pick(static_cast<uint32_t>(model_.buffers.size()));
    const bool wanted_is_free = model_.buffers[wanted].state == BufferState::kFree;
    ASSERT_EQ(pool_->IsFree(wanted), wanted_is_free);
    Frame* frame =
        any ? pool_->TryAcquire(clock_.Now()) : pool_->TryAcquireBuffer(wanted, clock_.Now());
    ASSERT_EQ(frame != nullptr, model_.CanAcquire() && (any || wanted_is_free));
    if (frame == nullptr) return;
    uint32_t index = frame->buffer().id().index;
    ASSERT_TRUE(any || index == wanted);
    ModelBuffer& buffer = model_.buffers[index];
    ASSERT_EQ(buffer.state, BufferState::kFree) << "buffer " << index << " was handed out";
    buffer.state = BufferState::kWriting;
    buffer.published = false;
    frame->info.sequence = ++sequence_;
    model_.leases.push_back({frame, index, 0, true, sequence_, {}});
    peak_ = std::max(peak_, model_.Busy());
  }
  void Share() {
    ModelLease* lease = PickLease();
    if (lease == nullptr) return;
    auto holder = static_cast<HolderId>(Pick(4));
    Frame* frame = pool_->Share(*lease->frame, holder, clock_.Now());
    ASSERT_EQ(frame != nullptr, model_.leases.size() < model_.max_leases);
    if (frame == nullptr) return;
    ModelLease shared = *lease;
    shared.frame = frame;
    shared.holder = holder;
    model_.leases.push_back(shared);
  }
  void Publish() {
    ModelLease* lease = PickLease();
    if (lease == nullptr || !lease->writing) return;
    lease->acquire = PickFence();
    lease->writing = false;
    lease->frame->Publish(Real(lease->acquire), 0);
    model_.buffers[lease->buffer].state = BufferState::kLent;
    model_.buffers[lease->buffer].published = true;
  }
  void HandOver() {
    ModelLease* lease = PickLease();
    if (lease == nullptr) return;
    lease->holder = static_cast<int>(Pick(4));
    lease->frame->HandOver(static_cast<HolderId>(lease->holder), clock_.Now());
  }
  void Release() {
    if (model_.leases.empty()) return;
    size_t index = Pick(static_cast<uint32_t>(model_.leases.size()));
    Frame* frame = model_.leases[index].frame;
    ModelFence done = PickFence();
    model_.Release(index, done, clock_.Now());
    frame->Release(Real(done));
  }
  void Signal() {
    int timeline = static_cast<int>(Pick(kTimelines - 1));  // the last one never does
    uint64_t point = model_.timelines[timeline].completed + Pick(4);
    SignalTo(timeline, point);
  }
  void SignalTo(int timeline, uint64_t point) {
    ModelTimeline& line = model_.timelines[timeline];
    line.completed = std::max(line.completed, point);
    model_.SettleAll();
    timelines_[timeline]->Signal(point);
  }
  void Fail() {
    int timeline = static_cast<int>(Pick(kTimelines));
    ModelTimeline& line = model_.timelines[timeline];
    uint64_t point = line.completed + Pick(3);
    if (point > line.completed) line.failed.push_back(point);
    timelines_[timeline]->Fail(point, Code::kDeviceLost);
  }
  void CheckDeadlines() {
    clock_.Step(Pick(100));
    int64_t limit = 50 + Pick(100);
    auto expected = model_.CheckDeadlines(clock_.Now(), limit);
    std::vector<ModelVerdict> verdicts;
    for (const auto& v : pool_->CheckDeadlines(clock_.Now(), limit)) {
      verdicts.emplace_back(v.buffer.index, v.holder, v.signaller, v.failed);
    }
    std::sort(expected.begin(), expected.end());
    std::sort(verdicts.begin(), verdicts.end());
    ASSERT_EQ(verdicts, expected);
  }
  void Retire() {
    pool_->Retire();
    model_.retired = true;
    for (ModelBuffer& buffer : model_.buffers) {
      if (buffer.state == BufferState::kFree) buffer.state = BufferState::kRetired;
    }
  }
  void DropOwner() { owner_ = nullptr; }

  void Compare() {
    bool alive = owner_ || model_.Busy() > 0;
    ASSERT_EQ(gone_, !alive);
    ASSERT_EQ(told_, model_.told);
    if (!alive) return;
    ASSERT_EQ(pool_->FreeCount(), model_.Free());
    ASSERT_EQ(pool_->Outstanding(), model_.Busy());
    ASSERT_EQ(pool_->PeakLeased(), peak_);
    ASSERT_EQ(pool_->ReserveCovered(),
              model_.reserve == 0 || model_.ProducerHolds() + model_.Free() >= model_.reserve);
    auto rows = pool_->Ledger();
    ASSERT_EQ(rows.size(), model_.buffers.size());
    std::vector<std::vector<std::string>> holders(rows.size());
    for (const ModelLease& lease : model_.leases) {
      holders[lease.buffer].push_back(kHolders[lease.holder]);
      ASSERT_EQ(lease.frame->buffer().id().index, lease.buffer);
      ASSERT_EQ(lease.frame->holder(), lease.holder);
      ASSERT_EQ(lease.frame->writing(), lease.writing);
      ASSERT_EQ(lease.frame->info.sequence, lease.sequence);
      ASSERT_EQ(lease.frame->acquire().timeline, Real(lease.acquire).timeline);
      ASSERT_EQ(lease.frame->buffer().published(), model_.buffers[lease.buffer].published);
    }
    for (size_t i = 0; i < rows.size(); ++i) {
      ASSERT_EQ(Name(rows[i].state), Name(model_.buffers[i].state)) << "buffer " << i;
      std::sort(rows[i].holders.begin(), rows[i].holders.end());
      std::sort(holders[i].begin(), holders[i].end());
      ASSERT_EQ(rows[i].holders, holders[i]) << "buffer " << i;
    }
  }

  /// Everybody lets go; what never signalled keeps its buffers until it does.
  void End() {
    while (!model_.leases.empty()) {
      Release();
      Compare();
      if (testing::Test::HasFatalFailure()) return;
    }
    owner_ = nullptr;
    Compare();
    for (int i = 0; i < kTimelines; ++i) {
      SignalTo(i, model_.timelines[i].completed + 100);
      Compare();
      if (testing::Test::HasFatalFailure()) return;
    }
    ASSERT_TRUE(gone_);
  }

  std::mt19937_64 random_;
  SteppableClock clock_{1};
  Model model_;
  RefPtr<BufferPool> owner_;
  BufferPool* pool_ = nullptr;
  std::array<RefPtr<Timeline>, kTimelines> timelines_;
  uint64_t sequence_ = 0;
  uint32_t peak_ = 0;
  int told_ = 0;
  bool gone_ = false;
};

TEST(BufferPoolModelTest, EveryInterleavingMatchesTheModel) {
  for (uint64_t seed = 1; seed <= 2000; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Play play(seed);
    play.Go(150);
    if (HasFatalFailure()) return;
  }
}

}  // namespace
}  // namespace sluice::media
