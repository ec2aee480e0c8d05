// What PipeWire does, and does not do, for several readers of one camera; the virtual camera rests
// on it.

#include <gtest/gtest.h>
#include <signal.h>

#include <string>
#include <vector>

#include "tests/pipewire/client.h"
#include "tests/pipewire/daemon.h"
#include "tests/pipewire/peers.h"

namespace sluice::testing {
namespace {

constexpr int kBuffers = 5;

struct Reader {
  int hold = 0;      // Frames that it keeps beside the one that comes.
  bool sync = true;  // Within the camera's cycle, or whenever it wakes up.
};

class FanOutTest : public DaemonTest {
 protected:
  // A camera without a clock: it makes the next frame when the cycle of the last has ended and a
  // buffer is free, so that nothing depends on how long anything takes.
  void StartCamera(const std::string& count, int buffers = kBuffers,
                   std::vector<std::string> more = {}) {
    more.insert(more.begin(),
                {"source", "--lockstep", "--buffers", std::to_string(buffers), "--count", count});
    auto camera = Peer::Start(more);
    ASSERT_TRUE(camera) << camera.error().ToString();
    camera_ = std::move(*camera);
  }

  void StartReaders(const std::vector<Reader>& readers, int frames = 200) {
    auto client = Client::Connect();
    ASSERT_TRUE(client) << client.error().ToString();
    client_ = std::move(*client);
    for (size_t i = 0; i < readers.size(); ++i) {
      const std::string name = "reader-" + std::to_string(readers_.size());
      std::vector<std::string> arguments{"sink",
                                         "--name",
                                         name,
                                         "--hold",
                                         std::to_string(readers[i].hold),
                                         "--frames",
                                         std::to_string(frames),
                                         "--announce",
                                         "1"};
      if (readers[i].sync) arguments.push_back("--sync");
      auto reader = Peer::Start(arguments);
      ASSERT_TRUE(reader) << reader.error().ToString();
      readers_.push_back(std::move(*reader));
      auto link = client_->Link("peer-source", name);
      ASSERT_TRUE(link) << link.error().ToString();
    }
  }

  nlohmann::json Ended(size_t reader) {
    auto summary = readers_[reader].Ended();
    EXPECT_TRUE(summary) << summary.error().ToString();
    return summary ? *summary : nlohmann::json::object();
  }

  Peer camera_;
  std::unique_ptr<Client> client_;
  std::vector<Peer> readers_;
};

void ExpectWhole(const nlohmann::json& seen, int frames = 200) {
  EXPECT_EQ(seen["frames"], frames) << seen;
  EXPECT_EQ(seen["rewritten"], 0) << seen;
  EXPECT_EQ(seen["torn"], 0) << seen;
  EXPECT_EQ(seen["without_band"], 0) << seen;
  EXPECT_EQ(seen["status"], 0) << seen;
}

// It looks and gives back within the cycle, and the camera waits for the cycle's end. One that does
// not, or that has given up on a cycle, writes on while the reader looks: PipeWire then begins the
// next cycle without it.
TEST_F(FanOutTest, OneReaderThatGivesBackAtOnceIsSafeWithANaiveCameraThatWaitsForItsCycles) {
  StartCamera("none");
  StartReaders({{.hold = 0}});
  const nlohmann::json seen = Ended(0);
  auto camera = camera_.Stop();
  ASSERT_TRUE(camera) << camera.error().ToString();
  EXPECT_EQ(seen["frames"], 200) << seen;
  if ((*camera)["unfinished"] != 0) GTEST_SKIP() << "the camera gave up on a cycle: " << *camera;
  ExpectWhole(seen);
}

// More frames are out than there are buffers: PipeWire gives a buffer back to the camera although
// no reader has given it back, and only the camera's own count can keep it from being written.
TEST_F(FanOutTest, ANaiveCameraRewritesWhatReadersHold) {
  StartCamera("none");
  StartReaders({{.hold = kBuffers}, {.hold = kBuffers}});
  for (size_t i = 0; i < readers_.size(); ++i) {
    const nlohmann::json seen = Ended(i);
    EXPECT_EQ(seen["frames"], 200) << seen;
    EXPECT_GT(seen["rewritten"], 0) << seen;
    EXPECT_EQ(seen["status"], 1) << seen;
  }
}

// PipeWire itself counts no returns: that of the fast reader frees nothing, and the lack of the
// slow one's keeps nothing from being handed back.
TEST_F(FanOutTest, ANaiveCameraRewritesWhatOneOfTwoReadersHolds) {
  StartCamera("none");
  StartReaders({{.hold = 0}, {.hold = kBuffers}});
  EXPECT_GT(Ended(1)["rewritten"], 0);
}

TEST_F(FanOutTest, ACameraThatCountsNeverRewritesWhatReadersHold) {
  StartCamera("guarded");
  StartReaders({{.hold = kBuffers - 3}, {.hold = kBuffers - 3}});
  ExpectWhole(Ended(0));
  ExpectWhole(Ended(1));
}

// They miss frames, so each may hold other ones: there are buffers for all of them, the two newest
// frames, and the next.
TEST_F(FanOutTest, NorWhatReadersHoldThatRunWhenTheyLike) {
  StartCamera("guarded", 2 + 1 + 2 + 1);
  StartReaders({{.hold = 2, .sync = false}, {.hold = 1, .sync = false}, {.hold = 0}});
  for (size_t i = 0; i < readers_.size(); ++i) ExpectWhole(Ended(i));
}

// trigger_done does not say that everybody has taken the frame: most applications' streams run when
// they like.
TEST_F(FanOutTest, ACycleEndsWithoutAReaderThatRunsWhenItLikes) {
  StartCamera("guarded", kBuffers, {"--announce", "100"});
  StartReaders({{.hold = 0, .sync = false}}, 0);
  ASSERT_TRUE(readers_[0].WaitForFrames(1));
  readers_[0].process().Signal(SIGSTOP);
  auto before = camera_.WaitForEvent("frames");
  ASSERT_TRUE(before) << before.error().ToString();
  EXPECT_TRUE(camera_.WaitForFrames((*before)["frames"].get<uint64_t>() + 300));
  readers_[0].process().Signal(SIGCONT);
  auto seen = readers_[0].Stop();
  ASSERT_TRUE(seen) << seen.error().ToString();
  EXPECT_EQ((*seen)["torn"], 0) << *seen;
}

// So it may be taken long after: when the camera has nothing new, one of its last two frames lies
// there still.
TEST_F(FanOutTest, AFrameIsTakenLongAfterItsCycle) {
  StartCamera("guarded", kBuffers, {"--announce", "1", "--frames", "1000", "--linger"});
  StartReaders({{.hold = 0, .sync = false}}, 0);
  ASSERT_TRUE(readers_[0].WaitForFrames(1));
  readers_[0].process().Signal(SIGSTOP);
  ASSERT_TRUE(camera_.WaitForFrames(1000));
  readers_[0].process().Signal(SIGCONT);
  auto last = readers_[0].WaitForEvent(
      "frames", [](const nlohmann::json& line) { return line["sequence"].get<int>() >= 999; });
  EXPECT_TRUE(last) << last.error().ToString();
}

// A frame that lies in a link is counted by nobody: a camera short of buffers writes into it unless
// it waits for newer ones to take its place there.
TEST_F(FanOutTest, CountedReadersAloneDoNotGuardWhatLiesInALink) {
  StartCamera("busy");
  StartReaders({{.hold = kBuffers - 2, .sync = false}});
  auto reader = readers_[0].Ended();
  ASSERT_TRUE(reader) << reader.error().ToString();
  auto camera = camera_.Stop();
  ASSERT_TRUE(camera) << camera.error().ToString();
  EXPECT_GT((*camera)["newest_rewritten"], 0) << *camera;
}

// Nobody takes back what a killed reader has counted while another one keeps the buffers in use.
TEST_F(FanOutTest, AKilledReadersCountsStayWhileAnotherReads) {
  StartCamera("guarded", 2 + 2 + 1 + 1);
  StartReaders({{.hold = 2}, {.hold = 0}}, 0);
  const Status holding = readers_[0].WaitForFrames(10);
  ASSERT_TRUE(holding) << holding.error().ToString();
  readers_[0].process().Kill();
  ASSERT_TRUE(client_->WaitUntilGone("reader-0"));
  const Status reading = readers_[1].WaitForFrames(100);
  ASSERT_TRUE(reading) << reading.error().ToString();
  auto camera = camera_.Stop();
  ASSERT_TRUE(camera) << camera.error().ToString();
  EXPECT_GE((*camera)["busy"], 2) << *camera;
}

// Its counts stay in the buffers: with its link the buffers go, too.
TEST_F(FanOutTest, AReaderKilledWithAllBuffersInItsHandsIsFollowedByAnother) {
  StartCamera("guarded");
  StartReaders({{.hold = kBuffers}}, 0);
  const Status holding = readers_[0].WaitForFrames(kBuffers);
  ASSERT_TRUE(holding) << holding.error().ToString();
  readers_[0].process().Kill();
  ASSERT_TRUE(client_->WaitUntilGone("reader-0"));
  StartReaders({{.hold = 0}}, 50);
  ExpectWhole(Ended(1), 50);
}

}  // namespace
}  // namespace sluice::testing
