// drm.display and drm.writeback on a real kernel, without the engine: vkms and virtio-gpu.

#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <sluice/testing/node_runner.hpp>

#include "nodes/drm/guest_kit.h"

extern "C" const sluice_entry sluice_plugin;

namespace sluice::drm {
namespace {

using guest::CardOf;
using guest::CountFds;
using guest::CountFramebuffers;
using guest::SwSync;
using sdk::testing::HeldFrame;
using sdk::testing::MakeFormat;
using sdk::testing::NodeRunner;
using sdk::testing::Parameters;
using sdk::testing::PortSpec;

constexpr uint32_t kWidth = 640;
constexpr uint32_t kHeight = 480;

PortSpec Pictures(uint32_t width = kWidth, uint32_t height = kHeight) {
  PortSpec port;
  port.format = MakeFormat(SLUICE_FORMAT_XR24, width, height);
  port.device_access = true;
  port.views = SLUICE_VIEW_DMABUF | SLUICE_VIEW_CPU;
  port.sync = SLUICE_SYNC_SYNC_FILE;
  return port;
}

Parameters On(const std::string& card) {
  return Parameters().String("device", card.c_str()).String("mode", "640x480");
}

class DisplayGuestTest : public testing::Test {
 protected:
  void SetUp() override {
    card_ = CardOf("vkms");
    ASSERT_NE(card_, "") << "no vkms";
  }

  /// A display that was started.
  std::unique_ptr<NodeRunner> Show(Parameters parameters, const PortSpec& port = Pictures()) {
    auto runner =
        std::make_unique<NodeRunner>(sluice_plugin, "drm.display", std::move(parameters), "screen");
    EXPECT_EQ(runner->created(), SLUICE_OK) << runner->error();
    EXPECT_EQ(runner->Probe(), SLUICE_OK) << runner->error();
    runner->Input("in", port);
    EXPECT_EQ(runner->Configure(), SLUICE_OK) << runner->error();
    EXPECT_EQ(runner->Start(), SLUICE_OK) << runner->error();
    return runner;
  }
  static HeldFrame Painted(NodeRunner& runner, uint32_t sequence) {
    HeldFrame frame = runner.NewFrame();
    EXPECT_TRUE(frame);
    if (!frame) return frame;
    guest::Paint(frame, sequence);
    frame.Info().sequence = sequence;
    frame.Info().pts_ns = int64_t{sequence} * 33'333'333;
    frame.Info().crop_width = frame.Format().width;
    frame.Info().crop_height = frame.Format().height;
    return frame;
  }
  static int32_t PushAndWait(NodeRunner& runner, HeldFrame frame) {
    const int32_t result = runner.Push(std::move(frame));
    return result == SLUICE_PROCESS_ASYNC ? runner.WaitComplete() : result;
  }
  static void ExpectClean(NodeRunner& runner) {
    EXPECT_EQ(runner.Leaked(), 0u);
    for (const std::string& violation : runner.violations()) ADD_FAILURE() << violation;
  }

  std::string card_;
};

TEST_F(DisplayGuestTest, ShowsPicturesFromUdmabufs) {
  const auto runner = Show(On(card_));
  for (uint32_t i = 0; i < 20; ++i) {
    ASSERT_EQ(PushAndWait(*runner, Painted(*runner, i)), SLUICE_PROCESS_DONE) << runner->error();
    ASSERT_EQ(runner->Leaked(), 1u) << "only the picture on the screen is held";
  }
  runner->Stop();
  ExpectClean(*runner);
  for (const std::string& note : runner->notes()) printf("  note: %s\n", note.c_str());
}

TEST_F(DisplayGuestTest, OffersWhatThePlaneTakes) {
  NodeRunner runner(sluice_plugin, "drm.display", Parameters().String("device", card_.c_str()));
  ASSERT_EQ(runner.Probe(), SLUICE_OK) << runner.error();
  bool xr24 = false;
  for (const auto& offer : runner.offers()) {
    EXPECT_EQ(offer.port, "in");
    EXPECT_EQ(offer.offer.views, SLUICE_VIEW_DMABUF);
    EXPECT_EQ(offer.offer.hold_max, 1u);
    for (const uint32_t fourcc : offer.fourccs) xr24 |= fourcc == SLUICE_FORMAT_XR24;
  }
  EXPECT_TRUE(xr24);
}

TEST_F(DisplayGuestTest, WritesBackExactlyWhatItShows) {
  const auto screen = Show(On(card_));
  NodeRunner writeback(sluice_plugin, "drm.writeback", On(card_), "back");
  ASSERT_EQ(writeback.created(), SLUICE_OK) << writeback.error();
  ASSERT_EQ(writeback.Probe(), SLUICE_OK) << writeback.error();
  PortSpec port = Pictures();
  port.dynamic = true;
  port.reserve = 3;
  port.buffers = 6;
  writeback.Output("out", port);
  ASSERT_EQ(writeback.Configure(), SLUICE_OK) << writeback.error();
  ASSERT_EQ(writeback.Start(), SLUICE_OK) << writeback.error();
  for (uint32_t i = 0; i < 10; ++i) {
    ASSERT_EQ(writeback.Step(), SLUICE_PROCESS_NEED_MORE) << writeback.error();
    HeldFrame shown = Painted(*screen, i);
    HeldFrame copy = screen->NewFrame();
    guest::Paint(copy, i);
    ASSERT_EQ(PushAndWait(*screen, std::move(shown)), SLUICE_PROCESS_DONE) << screen->error();
    ASSERT_EQ(writeback.Step(), SLUICE_PROCESS_NEED_MORE) << writeback.error();
    HeldFrame back = writeback.Take();
    ASSERT_TRUE(back);
    EXPECT_EQ(back.Info().sequence, i);
    for (int wait = 0; wait < 200 && back.AcquireStatus() == 0; ++wait) poll(nullptr, 0, 10);
    ASSERT_EQ(back.AcquireStatus(), 1);
    EXPECT_EQ(guest::Differences(copy, back), 0u) << "frame " << i;
  }
  ASSERT_EQ(screen->Drain(), SLUICE_PROCESS_END);
  EXPECT_EQ(writeback.Step(), SLUICE_PROCESS_END) << "it ends with the display";
  EXPECT_TRUE(writeback.drops().empty());
  writeback.Stop();
  screen->Stop();
  ExpectClean(writeback);
  ExpectClean(*screen);
}

TEST_F(DisplayGuestTest, AFenceThatIsHeldBackDelaysItsPictureAlone) {
  SwSync timeline;
  ASSERT_TRUE(timeline);
  const auto runner = Show(On(card_));
  ASSERT_EQ(PushAndWait(*runner, Painted(*runner, 0)), SLUICE_PROCESS_DONE) << runner->error();
  const sdk::UniqueFd fence = timeline.MakeFence(1);
  HeldFrame frame = Painted(*runner, 1);
  frame.SetAcquireFence({SLUICE_FENCE_SYNC_FILE, fence.get(), nullptr, 0});
  ASSERT_EQ(runner->Push(std::move(frame)), SLUICE_PROCESS_ASYNC) << runner->error();
  EXPECT_EQ(runner->WaitComplete(std::chrono::milliseconds(300)), SLUICE_E_TIMEOUT);
  int free_buffers = 0;
  {
    std::vector<HeldFrame> all;
    while (HeldFrame one = runner->NewFrame()) all.push_back(std::move(one));
    free_buffers = static_cast<int>(all.size());
  }
  EXPECT_EQ(free_buffers, 2) << "of four: one is on the screen, one waits";
  timeline.Signal();
  EXPECT_EQ(runner->WaitComplete(), SLUICE_PROCESS_DONE) << runner->error();
  ASSERT_EQ(PushAndWait(*runner, Painted(*runner, 2)), SLUICE_PROCESS_DONE) << runner->error();
  runner->Stop();
  ExpectClean(*runner);
}

TEST_F(DisplayGuestTest, TheKernelWaitsForAFenceThatItAnswersFor) {
  const std::string vgem = CardOf("vgem");
  ASSERT_NE(vgem, "") << "no vgem";
  guest::VgemFence fence(vgem);
  ASSERT_GE(fence.get(), 0);
  const auto runner = Show(On(card_));
  ASSERT_EQ(PushAndWait(*runner, Painted(*runner, 0)), SLUICE_PROCESS_DONE) << runner->error();
  HeldFrame frame = Painted(*runner, 1);
  frame.SetAcquireFence({SLUICE_FENCE_SYNC_FILE, fence.get(), nullptr, 0});
  ASSERT_EQ(runner->Push(std::move(frame)), SLUICE_PROCESS_ASYNC) << runner->error();
  EXPECT_EQ(runner->Leaked(), 1u) << "the one before was given back with the fence of this commit";
  EXPECT_EQ(runner->WaitComplete(std::chrono::milliseconds(300)), SLUICE_E_TIMEOUT);
  int free_buffers = 0;
  {
    std::vector<HeldFrame> all;
    while (HeldFrame one = runner->NewFrame()) all.push_back(std::move(one));
    free_buffers = static_cast<int>(all.size());
  }
  EXPECT_EQ(free_buffers, 2) << "but it is not free before that fence";
  fence.Signal();
  EXPECT_EQ(runner->WaitComplete(), SLUICE_PROCESS_DONE) << runner->error();
  runner->Stop();
  ExpectClean(*runner);
}

TEST_F(DisplayGuestTest, AFenceThatNeverSignalsIsAnErrorWhichNamesItsSignaller) {
  SwSync timeline;
  const auto runner = Show(On(card_).DurationNs("timeout", 300'000'000));
  ASSERT_EQ(PushAndWait(*runner, Painted(*runner, 0)), SLUICE_PROCESS_DONE) << runner->error();
  sdk::UniqueFd fence = timeline.MakeFence(1);
  HeldFrame frame = Painted(*runner, 1);
  frame.SetAcquireFence({SLUICE_FENCE_SYNC_FILE, fence.get(), nullptr, 0});
  ASSERT_EQ(runner->Push(std::move(frame)), SLUICE_PROCESS_ASYNC) << runner->error();
  EXPECT_EQ(runner->WaitComplete(), SLUICE_E_TIMEOUT);
  printf("  error: %s\n", runner->error().c_str());
  EXPECT_NE(runner->error().find("sw_sync"), std::string::npos) << runner->error();
  EXPECT_NE(runner->error().find("frame 1"), std::string::npos) << runner->error();
  const auto before = std::chrono::steady_clock::now();
  runner->Stop(false);
  EXPECT_LT(std::chrono::steady_clock::now() - before, std::chrono::seconds(2));
  ExpectClean(*runner);
  // Nothing is left of it: the display is free for the next one.
  runner->Destroy();
  const auto next = Show(On(card_));
  ASSERT_EQ(PushAndWait(*next, Painted(*next, 0)), SLUICE_PROCESS_DONE) << next->error();
  next->Stop();
}

TEST_F(DisplayGuestTest, APictureWhoseProducerFailedIsNotShown) {
  SwSync timeline;
  const auto runner = Show(On(card_));
  const sdk::UniqueFd fence = timeline.MakeFence(1);
  timeline.Close();
  HeldFrame frame = Painted(*runner, 0);
  frame.SetAcquireFence({SLUICE_FENCE_SYNC_FILE, fence.get(), nullptr, 0});
  EXPECT_EQ(runner->Push(std::move(frame)), SLUICE_PROCESS_DONE) << runner->error();
  ASSERT_EQ(runner->drops().size(), 1u);
  ASSERT_EQ(PushAndWait(*runner, Painted(*runner, 1)), SLUICE_PROCESS_DONE) << runner->error();
  runner->Stop();
  ExpectClean(*runner);
}

TEST_F(DisplayGuestTest, KeepsItsFdsAndFramebuffersOver500Flips) {
  const int fds_before = CountFds();
  {
    const auto runner = Show(On(card_));
    int fds = 0;
    int framebuffers = 0;
    for (uint32_t i = 0; i < 500; ++i) {
      HeldFrame frame = runner->NewFrame();
      ASSERT_TRUE(frame);
      frame.Info().sequence = i;
      ASSERT_EQ(PushAndWait(*runner, std::move(frame)), SLUICE_PROCESS_DONE) << runner->error();
      if (i == 50) {
        fds = CountFds();
        framebuffers = CountFramebuffers(card_);
        EXPECT_GT(framebuffers, 0);
      }
    }
    EXPECT_EQ(CountFds(), fds);
    EXPECT_EQ(CountFramebuffers(card_), framebuffers);
    runner->Stop();
    ExpectClean(*runner);
  }
  EXPECT_EQ(CountFds(), fds_before);
}

TEST_F(DisplayGuestTest, InRealTimePicturesWaitForTheirTimeAndLateOnesAreCounted) {
  auto runner = std::make_unique<NodeRunner>(sluice_plugin, "drm.display", On(card_), "screen");
  ASSERT_EQ(runner->Probe(), SLUICE_OK) << runner->error();
  runner->Input("in", Pictures());
  runner->set_realtime(true);
  ASSERT_EQ(runner->Configure(), SLUICE_OK) << runner->error();
  ASSERT_EQ(runner->Start(), SLUICE_OK) << runner->error();
  const auto push = [&](uint32_t sequence, int64_t pts_ns) {
    HeldFrame frame = Painted(*runner, sequence);
    frame.Info().pts_ns = pts_ns;
    return PushAndWait(*runner, std::move(frame));
  };
  ASSERT_EQ(push(0, 0), SLUICE_PROCESS_DONE) << runner->error();
  const auto before = std::chrono::steady_clock::now();
  ASSERT_EQ(push(1, 400'000'000), SLUICE_PROCESS_DONE) << runner->error();
  EXPECT_GT(std::chrono::steady_clock::now() - before, std::chrono::milliseconds(300));
  // Its time was long ago, but not so long that the clock starts anew.
  ASSERT_EQ(push(2, 200'000'000), SLUICE_PROCESS_DONE) << runner->error();
  runner->Stop();
  EXPECT_NE(runner->notes().back().find("3 frames shown, "), std::string::npos);
  EXPECT_EQ(runner->notes().back().find(" 0 of them late"), std::string::npos)
      << runner->notes().back();
  ExpectClean(*runner);
}

TEST_F(DisplayGuestTest, ALosslessWritebackHoldsTheDisplayUntilThereIsABuffer) {
  const auto screen = Show(On(card_));
  NodeRunner writeback(sluice_plugin, "drm.writeback", On(card_).Bool("lossless", true), "back");
  ASSERT_EQ(writeback.Probe(), SLUICE_OK) << writeback.error();
  PortSpec port = Pictures();
  port.dynamic = true;
  port.reserve = 3;
  writeback.Output("out", port);
  ASSERT_EQ(writeback.Configure(), SLUICE_OK) << writeback.error();
  ASSERT_EQ(writeback.Start(), SLUICE_OK) << writeback.error();
  ASSERT_EQ(screen->Push(Painted(*screen, 0)), SLUICE_PROCESS_ASYNC) << screen->error();
  EXPECT_EQ(screen->WaitComplete(std::chrono::milliseconds(200)), SLUICE_E_TIMEOUT);
  ASSERT_EQ(writeback.Step(), SLUICE_PROCESS_NEED_MORE) << writeback.error();
  EXPECT_EQ(screen->WaitComplete(), SLUICE_PROCESS_DONE) << screen->error();
  ASSERT_EQ(writeback.Step(), SLUICE_PROCESS_NEED_MORE) << writeback.error();
  EXPECT_TRUE(writeback.Take());
  EXPECT_TRUE(writeback.drops().empty());
  screen->Stop();
  writeback.Stop();
  ExpectClean(*screen);
  ExpectClean(writeback);
}

TEST_F(DisplayGuestTest, AWritebackWithoutADisplaySaysSo) {
  NodeRunner writeback(sluice_plugin, "drm.writeback", On(card_).Size("size", 640, 480), "back");
  ASSERT_EQ(writeback.Probe(), SLUICE_OK) << writeback.error();
  PortSpec port = Pictures();
  port.dynamic = true;
  writeback.Output("out", port);
  ASSERT_EQ(writeback.Configure(), SLUICE_OK) << writeback.error();
  EXPECT_EQ(writeback.Start(), SLUICE_E_NOT_FOUND);
  EXPECT_NE(writeback.error().find("drm.display"), std::string::npos) << writeback.error();
}

TEST_F(DisplayGuestTest, AnotherProgramThatTakesTheDisplayIsAnError) {
  const auto runner = Show(On(card_));
  ASSERT_EQ(PushAndWait(*runner, Painted(*runner, 0)), SLUICE_PROCESS_DONE) << runner->error();
  // As a switch to another console does it: the node's own fd is master no more.
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    std::error_code error;
    if (std::filesystem::read_symlink(entry.path(), error) == card_) {
      drmDropMaster(std::stoi(entry.path().filename()));
    }
  }
  EXPECT_EQ(PushAndWait(*runner, Painted(*runner, 1)), SLUICE_E_PERMISSION_DENIED);
  printf("  error: %s\n", runner->error().c_str());
  runner->Stop(false);
  ExpectClean(*runner);
}

TEST_F(DisplayGuestTest, AConnectorIsForOneDisplay) {
  const auto runner = Show(On(card_));
  NodeRunner second(sluice_plugin, "drm.display", On(card_), "second");
  EXPECT_EQ(second.Probe(), SLUICE_E_ALREADY_EXISTS);
  EXPECT_NE(second.error().find("Virtual-1"), std::string::npos) << second.error();
  runner->Stop();
}

TEST_F(DisplayGuestTest, ADisplayThatHasGoneLeavesItsConnectorEvenWhereAWritebackHoldsItsScreen) {
  const auto screen = Show(On(card_));
  NodeRunner writeback(sluice_plugin, "drm.writeback", On(card_), "back");
  ASSERT_EQ(writeback.Probe(), SLUICE_OK) << writeback.error();
  PortSpec port = Pictures();
  port.dynamic = true;
  port.reserve = 3;
  writeback.Output("out", port);
  ASSERT_EQ(writeback.Configure(), SLUICE_OK) << writeback.error();
  ASSERT_EQ(writeback.Start(), SLUICE_OK) << writeback.error();
  screen->Stop();
  screen->Destroy();
  const auto next = Show(On(card_));
  ASSERT_EQ(PushAndWait(*next, Painted(*next, 0)), SLUICE_PROCESS_DONE) << next->error();
  next->Stop();
  writeback.Stop();
  ExpectClean(writeback);
}

TEST_F(DisplayGuestTest, WhatIsNotThereIsNamedWithWhatIs) {
  const auto error = [&](Parameters parameters) {
    NodeRunner runner(sluice_plugin, "drm.display", std::move(parameters));
    EXPECT_LT(runner.Probe(), 0);
    return runner.error();
  };
  const char* card = card_.c_str();
  EXPECT_NE(error(Parameters().String("device", card).String("mode", "641x480")).find("640x480"),
            std::string::npos);
  EXPECT_NE(
      error(Parameters().String("device", card).String("connector", "DP-9")).find("Virtual-1"),
      std::string::npos);
  EXPECT_NE(error(Parameters().String("device", "/dev/null")).find("/dev/null"), std::string::npos);
  EXPECT_NE(error(Parameters().String("device", "/dev/dri/card9")).find("card9"),
            std::string::npos);
}

// ---- what the display showed before

TEST_F(DisplayGuestTest, TheConsoleIsBackAfterwards) {
  const std::string before = guest::StateOf(card_);
  {
    const auto runner = Show(On(card_));
    ASSERT_EQ(PushAndWait(*runner, Painted(*runner, 0)), SLUICE_PROCESS_DONE) << runner->error();
    EXPECT_NE(guest::StateOf(card_), before);
    runner->Stop();
    EXPECT_EQ(guest::StateOf(card_), before) << "already at the stop";
    ExpectClean(*runner);
  }
  EXPECT_EQ(guest::StateOf(card_), before);
}

TEST_F(DisplayGuestTest, TheConsoleIsBackAfterAStopThatCameBeforeTheFlip) {
  // Another file of the card: its last close would bring the console back by itself.
  const sdk::UniqueFd other(open(card_.c_str(), O_RDWR | O_CLOEXEC));
  drmDropMaster(other.get());
  const std::string vgem = CardOf("vgem");
  ASSERT_NE(vgem, "") << "no vgem";
  const std::string before = guest::StateOf(card_);
  const auto runner = Show(On(card_).DurationNs("timeout", 300'000'000));
  guest::VgemFence fence(vgem);
  ASSERT_EQ(PushAndWait(*runner, Painted(*runner, 0)), SLUICE_PROCESS_DONE) << runner->error();
  HeldFrame frame = Painted(*runner, 1);
  frame.SetAcquireFence({SLUICE_FENCE_SYNC_FILE, fence.get(), nullptr, 0});
  ASSERT_EQ(runner->Push(std::move(frame)), SLUICE_PROCESS_ASYNC) << runner->error();
  EXPECT_EQ(runner->WaitComplete(), SLUICE_E_TIMEOUT);
  runner->Stop(false);
  EXPECT_NE(guest::StateOf(card_), before);
  fence.Signal();
  // All four are free again when the flip has come.
  for (int wait = 0; wait < 200; ++wait) {
    std::vector<HeldFrame> all;
    while (HeldFrame one = runner->NewFrame()) all.push_back(std::move(one));
    if (all.size() == 4) break;
    poll(nullptr, 0, 10);
  }
  runner->Destroy();
  EXPECT_EQ(guest::StateOf(card_), before);
  ExpectClean(*runner);
}

TEST_F(DisplayGuestTest, TheKernelBringsTheConsoleBackAfterAKill) {
  const std::string before = guest::StateOf(card_);
  int ready[2];
  ASSERT_EQ(pipe2(ready, O_CLOEXEC), 0);
  const pid_t child = fork();
  if (child == 0) {
    const auto runner = Show(On(card_));
    const int32_t shown = PushAndWait(*runner, Painted(*runner, 0));
    const char answer = shown == SLUICE_PROCESS_DONE ? 'y' : 'n';
    if (write(ready[1], &answer, 1) != 1) _exit(1);
    pause();
    _exit(1);
  }
  close(ready[1]);
  char answer = 'n';
  ASSERT_EQ(read(ready[0], &answer, 1), 1);
  close(ready[0]);
  EXPECT_EQ(answer, 'y');
  EXPECT_NE(guest::StateOf(card_), before);
  kill(child, SIGKILL);
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFSIGNALED(status));
  EXPECT_EQ(guest::StateOf(card_), before);
}

// ---- memory that the display makes

/// Pools of dumb buffers, mapped.
class DumbPool {
 public:
  DumbPool(NodeRunner& runner, uint32_t pool, uint32_t epoch, const sluice_format& format,
           uint32_t buffers) {
    allocator_ = static_cast<const sluice_allocator*>(
        runner.node().get_extension(runner.node().self, SLUICE_ALLOCATOR_ID));
    self_ = runner.node().self;
    pool_ = pool;
    epoch_ = epoch;
    sluice_pool_request request{};
    request.pool = pool;
    request.epoch = epoch;
    request.buffers = buffers;
    request.views = SLUICE_VIEW_DMABUF;
    request.format = format;
    request.stride_multiple = 64;
    result_ = allocator_->allocate(self_, SLUICE_PORT_INPUT, 0, &request, sink_.c());
    for (const sluice_buffer_desc& buffer : sink_.buffers()) {
      void* base = mmap(nullptr, buffer.layout.size, PROT_READ | PROT_WRITE, MAP_SHARED,
                        buffer.memory.parts[0].fd, 0);
      bases_.push_back(base == MAP_FAILED ? nullptr : static_cast<uint8_t*>(base));
    }
  }
  ~DumbPool() {
    for (std::size_t i = 0; i < bases_.size(); ++i) {
      if (bases_[i] != nullptr) munmap(bases_[i], sink_.buffers()[i].layout.size);
    }
    allocator_->release_pool(self_, pool_, epoch_);
  }
  int32_t result() const { return result_; }
  uint8_t* base(uint32_t index) const { return bases_.at(index); }
  const sluice_layout& layout(uint32_t index) const { return sink_.buffers().at(index).layout; }

 private:
  const sluice_allocator* allocator_;
  void* self_;
  uint32_t pool_, epoch_;
  sdk::testing::FakePoolSink sink_;
  std::vector<uint8_t*> bases_;
  int32_t result_ = SLUICE_E_INTERNAL;
};

TEST_F(DisplayGuestTest, ShowsWhatIsPaintedIntoItsDumbBuffers) {
  const int fds = CountFds();
  const int framebuffers = CountFramebuffers(card_);
  {
    const auto screen = Show(On(card_));
    NodeRunner writeback(sluice_plugin, "drm.writeback", On(card_), "back");
    ASSERT_EQ(writeback.Probe(), SLUICE_OK) << writeback.error();
    PortSpec port = Pictures();
    port.dynamic = true;
    port.reserve = 3;
    port.buffers = 6;
    writeback.Output("out", port);
    ASSERT_EQ(writeback.Configure(), SLUICE_OK) << writeback.error();
    ASSERT_EQ(writeback.Start(), SLUICE_OK) << writeback.error();

    HeldFrame first = screen->NewFrame();
    const sluice_buffer_id id = first.BufferId();
    first.Release();
    // The display knows the buffers of this pool as its own ones.
    const DumbPool pool(*screen, id.pool, id.epoch, Pictures().format, 4);
    ASSERT_EQ(pool.result(), SLUICE_OK) << screen->error();
    EXPECT_EQ(pool.layout(0).planes[0].stride % 64, 0u);
    for (uint32_t i = 0; i < 6; ++i) {
      ASSERT_EQ(writeback.Step(), SLUICE_PROCESS_NEED_MORE) << writeback.error();
      HeldFrame frame = screen->NewFrame();
      const uint32_t index = frame.BufferId().index;
      ASSERT_NE(pool.base(index), nullptr);
      guest::Paint(pool.base(index), pool.layout(index).planes[0].stride, Pictures().format, i);
      guest::Paint(frame, i + 1000);  // nobody looks here
      ASSERT_EQ(PushAndWait(*screen, std::move(frame)), SLUICE_PROCESS_DONE) << screen->error();
      ASSERT_EQ(writeback.Step(), SLUICE_PROCESS_NEED_MORE) << writeback.error();
      HeldFrame back = writeback.Take();
      ASSERT_TRUE(back);
      for (int wait = 0; wait < 200 && back.AcquireStatus() == 0; ++wait) poll(nullptr, 0, 10);
      HeldFrame wanted = screen->NewFrame();
      guest::Paint(wanted, i);
      EXPECT_EQ(guest::Differences(wanted, back), 0u) << "frame " << i;
    }
    writeback.Stop();
    screen->Stop();
    ExpectClean(*screen);
    ExpectClean(writeback);
  }
  EXPECT_EQ(CountFds(), fds);
  EXPECT_EQ(CountFramebuffers(card_), framebuffers);
}

// ---- virtio-gpu: no foreign buffers, planes that must be covered, and a device that can go

class VirtioGuestTest : public DisplayGuestTest {
 protected:
  void SetUp() override {
    card_ = CardOf("virtio_gpu");
    ASSERT_NE(card_, "") << "no virtio-gpu";
  }
};

TEST_F(VirtioGuestTest, RefusesForeignBuffersWithTheDriversWords) {
  const auto runner = Show(On(card_));
  const HeldFrame frame = runner->NewFrame();
  const auto* importer = static_cast<const sluice_importer*>(
      runner->node().get_extension(runner->node().self, SLUICE_IMPORTER_ID));
  ASSERT_NE(importer, nullptr);
  EXPECT_EQ(importer->test(runner->node().self, SLUICE_PORT_INPUT, 0, frame.frame()->c()),
            SLUICE_E_UNSUPPORTED);
  printf("  error: %s\n", runner->error().c_str());
  EXPECT_NE(runner->error().find("virtio_gpu"), std::string::npos) << runner->error();
  runner->Stop();
  ExpectClean(*runner);
}

TEST_F(VirtioGuestTest, ShowsItsDumbBuffers) {
  const std::string before = guest::StateOf(card_);
  const auto runner = Show(On(card_));
  HeldFrame first = runner->NewFrame();
  const sluice_buffer_id id = first.BufferId();
  first.Release();
  const DumbPool pool(*runner, id.pool, id.epoch, Pictures().format, 4);
  ASSERT_EQ(pool.result(), SLUICE_OK) << runner->error();
  const auto* importer = static_cast<const sluice_importer*>(
      runner->node().get_extension(runner->node().self, SLUICE_IMPORTER_ID));
  {
    const HeldFrame frame = runner->NewFrame();
    EXPECT_EQ(importer->test(runner->node().self, SLUICE_PORT_INPUT, 0, frame.frame()->c()),
              SLUICE_OK)
        << runner->error();
  }
  for (uint32_t i = 0; i < 20; ++i) {
    HeldFrame frame = runner->NewFrame();
    const uint32_t index = frame.BufferId().index;
    guest::Paint(pool.base(index), pool.layout(index).planes[0].stride, Pictures().format, i);
    ASSERT_EQ(PushAndWait(*runner, std::move(frame)), SLUICE_PROCESS_DONE) << runner->error();
  }
  runner->Stop();
  EXPECT_EQ(guest::StateOf(card_), before);
  ExpectClean(*runner);
}

TEST_F(VirtioGuestTest, OffersNoSizeThatDoesNotCoverAMode) {
  NodeRunner runner(sluice_plugin, "drm.display", Parameters().String("device", card_.c_str()));
  ASSERT_EQ(runner.Probe(), SLUICE_OK) << runner.error();
  for (const auto& offer : runner.offers()) EXPECT_GE(offer.offer.width_min, 640u);
}

// Last: the card does not come back.
TEST_F(VirtioGuestTest, ZADisplayThatIsTakenAwayIsAnErrorAndNoHang) {
  const auto runner = Show(On(card_).DurationNs("timeout", 2'000'000'000));
  HeldFrame first = runner->NewFrame();
  const sluice_buffer_id id = first.BufferId();
  first.Release();
  {
    const DumbPool pool(*runner, id.pool, id.epoch, Pictures().format, 4);
    ASSERT_EQ(PushAndWait(*runner, runner->NewFrame()), SLUICE_PROCESS_DONE) << runner->error();
    const std::filesystem::path driver = "/sys/bus/virtio/drivers/virtio_gpu";
    for (const auto& entry : std::filesystem::directory_iterator(driver)) {
      const std::string name = entry.path().filename();
      if (name.rfind("virtio", 0) == 0) std::ofstream(driver / "unbind") << name;
    }
    int32_t result = SLUICE_PROCESS_DONE;
    for (int i = 0; i < 5 && result >= 0; ++i) result = PushAndWait(*runner, runner->NewFrame());
    printf("  error: %s\n", runner->error().c_str());
    EXPECT_EQ(result, SLUICE_E_DEVICE_LOST) << runner->error();
    EXPECT_EQ(runner->Probe(), SLUICE_E_DEVICE_LOST) << "not opened anew before its stop";
    runner->Stop(false);
  }
  ExpectClean(*runner);
}

}  // namespace
}  // namespace sluice::drm
