// Frames in device memory from one process to another: two real commands, or one and a reader that
// the test plays.
#include <sys/mman.h>
#include <sys/stat.h>

#include "tests/integration/sharing_testing.h"

namespace sluice::testing {
namespace {

TEST_F(SharingTest, ThePicturesAreThoseOfOneProcessAndNothingIsCopied) {
  constexpr int kFrames = 120;
  const std::string expected = Expected(kFrames);
  const std::vector<std::string> validated = {"SLUICE_VULKAN_VALIDATION=1"};
  Running receiver = Start("receive.yaml", Receiving(), validated);
  Running sender = Start("send.yaml", Sending(kFrames), validated);
  const auto [sent, received] = Finish(sender, receiver);
  EXPECT_THAT(sent.err, Not(HasSubstr("vulkan validation:")));
  EXPECT_THAT(received.err, Not(HasSubstr("vulkan validation:")));
  EXPECT_EQ(Read("received.txt"), expected);
  EXPECT_THAT(sent.out, HasSubstr("120 frames were handed over"));
  EXPECT_THAT(received.out, HasSubstr("frames are finished when they come"));
  EXPECT_FALSE(fs::exists(Socket()));
}

TEST_F(SharingTest, AReaderThatIsKilledGivesItsFramesBackAndTheNextOneGoesOn) {
  constexpr int kFrames = 60, kKilled = 6;
  const std::string expected = Expected(kFrames);
  Running sender = Start("send.yaml", Sending(kFrames));
  size_t fds = 0;
  for (int i = 0; i < kKilled; ++i) {
    ASSERT_NO_FATAL_FAILURE(TakeAllAndDie());
    // The one more is the socket of the reader that is gone.
    if (i == 0) {
      ASSERT_TRUE(sender.WaitForStderr("4 frames come home"));
      fds = FdsOf(sender.pid());
    }
    EXPECT_TRUE(Eventually([&] { return FdsOf(sender.pid()) <= fds; })) << FdsOf(sender.pid());
  }
  Running receiver = Start("receive.yaml", Receiving());
  Finish(sender, receiver);
  EXPECT_EQ(Read("received.txt"), LinesFrom(expected, kKilled * static_cast<int>(kMost)));
}

TEST_F(SharingTest, ASenderThatIsKilledEndsItsReaderByItsPolicy) {
  Running receiver = Start("receive.yaml", Receiving());
  Running sender = Start("send.yaml", Sending(0));
  ASSERT_TRUE(receiver.WaitForStderr("frames come from process"));
  sender.Signal(SIGKILL);
  EXPECT_EQ(sender.Wait().signal, SIGKILL);
  const Outcome outcome = receiver.Wait();
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_EQ(outcome.signal, 0);
  EXPECT_THAT(outcome.err, HasSubstr("it is gone, in mid-stream"));
}

TEST_F(SharingTest, AReaderThatRestartsTakesTheNextSendersFramesAndKeepsNothingOfTheLast) {
  Running receiver = Start(
      "receive.yaml",
      Receiving(
          ", on_error: { action: restart, attempts: 0, backoff: 10 ms, max_backoff: 20 ms }"));
  size_t fds = 0;
  for (int i = 0; i < 5; ++i) {
    Running sender = Start("send.yaml", Sending(0));
    const std::string who = "frames come from process " + std::to_string(sender.pid());
    ASSERT_TRUE(receiver.WaitForStderr(who)) << receiver.Wait().err;
    // The pool of the sender before goes when the engine next looks.
    if (i == 1) {
      size_t last = 0;
      EXPECT_TRUE(Eventually([&] {
        last = std::exchange(fds, FdsOf(receiver.pid()));
        poll(nullptr, 0, 250);
        return fds == last;
      }));
    }
    if (i > 1) {
      EXPECT_TRUE(Eventually([&] { return FdsOf(receiver.pid()) <= fds; }))
          << FdsOf(receiver.pid()) << " instead of " << fds;
    }
    sender.Signal(SIGKILL);
    EXPECT_EQ(sender.Wait().signal, SIGKILL);
  }
  const std::string expected = Expected(40);
  Running last = Start("send.yaml", Sending(40));
  Finish(last, receiver);
  EXPECT_THAT(Read("received.txt"), ::testing::EndsWith(expected));
}

TEST_F(SharingTest, ANewEpochOfTheReaderLosesNothing) {
  constexpr int kFrames = 60;
  const std::string expected = Expected(kFrames);
  Running receiver = StartWithEpochs("receive.yaml", Receiving());
  Running sender = Start("send.yaml", Sending(kFrames));
  const auto [sent, received] = Finish(sender, receiver);
  EXPECT_EQ(Json::parse(received.out, nullptr, false)["epochs"], 2);
  EXPECT_EQ(Read("received.txt"), expected);
}

TEST_F(SharingTest, AnEpochOfTheSenderDoesNotWaitForAReaderAndTheNextOneDoes) {
  constexpr size_t kFrames = 30;
  Running sender = StartWithEpochs("send.yaml", Sending(kFrames));
  ASSERT_TRUE(sender.WaitForStderr("epoch 2: 'other' changed its format")) << sender.Wait().err;
  auto peer = Peer::Connect(Socket());
  ASSERT_TRUE(peer && peer->NextOf<vk::HelloMessage>());
  ASSERT_TRUE(peer->socket().Send(vk::StartMessage{}));
  size_t frames = 0;
  while (const auto frame = peer->NextOf<vk::FrameMessage>()) {
    ++frames;
    ASSERT_TRUE(peer->socket().Send(vk::ReleaseMessage{frame->index}));
  }
  const Outcome outcome = sender.Wait();
  ExpectDone(outcome);
  const Json report = Json::parse(outcome.out, nullptr, false);
  EXPECT_EQ(report["epochs"], 2);
  // What was under way when the epoch ended is all that is missing; where the device was slow, that
  // is nothing.
  EXPECT_GT(frames, kFrames / 2);
  size_t dropped = 0;
  for (const auto& [why, count] : report["nodes"][2]["drops"].items()) {
    EXPECT_THAT(why, HasSubstr("nobody reads"));
    dropped += count.get<size_t>();
  }
  EXPECT_EQ(frames + dropped, kFrames) << report;
}

/// A file that stands for device memory, as software Vulkan has it; its bytes as one number.
std::optional<size_t> HashOf(const sdk::UniqueFd& fd) {
  struct stat file {};
  if (fstat(fd.get(), &file) != 0 || !S_ISREG(file.st_mode) || file.st_size == 0)
    return std::nullopt;
  const auto size = static_cast<size_t>(file.st_size);
  void* base = mmap(nullptr, size, PROT_READ, MAP_SHARED, fd.get(), 0);
  if (base == MAP_FAILED) return std::nullopt;
  const size_t hash = std::hash<std::string_view>{}({static_cast<const char*>(base), size});
  munmap(base, size);
  return hash;
}

TEST_F(SharingTest, AReaderThatKeepsItsFramesIsNamedAndTheyStayAsTheyAreWhileTheGraphGoesOn) {
  constexpr int kFrames = 200;
  Running sender = Start("send.yaml", Sending(kFrames, ", timeout: 100 ms"));
  auto peer = Peer::Connect(Socket());
  ASSERT_TRUE(peer);
  std::vector<sdk::UniqueFd> fds;
  ASSERT_TRUE(peer->NextOf<vk::HelloMessage>(&fds));
  ASSERT_TRUE(peer->socket().Send(vk::StartMessage{}));
  std::vector<std::pair<uint32_t, std::optional<size_t>>> kept;
  for (uint32_t i = 0; i < kMost; ++i) {
    const auto frame = peer->NextOf<vk::FrameMessage>();
    ASSERT_TRUE(frame);
    ASSERT_LT(frame->index, fds.size());
    EXPECT_EQ(frame->info.sequence, i);
    kept.emplace_back(frame->index, HashOf(fds[frame->index]));
  }
  if (!kept.front().second) GTEST_SKIP() << "this device's memory is no file";
  EXPECT_NE(kept[0].second, kept[1].second);
  // It sends all there is, past this reader, through the buffers that are left.
  const auto end = peer->NextOf<vk::ByeMessage>();
  ASSERT_TRUE(end);
  EXPECT_EQ(end->why, vk::ByeMessage::Why::kEnded);
  for (const auto& [index, hash] : kept) EXPECT_EQ(HashOf(fds[index]), hash) << index;
  const Outcome outcome = sender.Wait();
  ExpectDone(outcome);
  EXPECT_THAT(outcome.err, HasSubstr("process " + std::to_string(getpid()) +
                                     ", has 4 frames and has given none back for 0.1 s"));
  const Json report = Json::parse(outcome.out);
  EXPECT_THAT(report["nodes"][2].dump(), HasSubstr("196"));
}

TEST_F(SharingTest, OneReadsAndAnotherIsToldWho) {
  Running sender = Start("send.yaml", Sending(0));
  auto first = Peer::Connect(Socket());
  ASSERT_TRUE(first && first->NextOf<vk::HelloMessage>());
  auto second = Peer::Connect(Socket());
  ASSERT_TRUE(second);
  const auto bye = second->NextOf<vk::ByeMessage>();
  ASSERT_TRUE(bye);
  EXPECT_EQ(bye->why, vk::ByeMessage::Why::kBusy);
  EXPECT_EQ(bye->reader, getpid());
  const Outcome third = Sluice({"run", Write("receive.yaml", Receiving())});
  EXPECT_NE(third.exit_code, 0);
  EXPECT_THAT(third.err, HasSubstr("process " + std::to_string(getpid()) + " reads its frames"));
}

TEST_F(SharingTest, AReaderThatBreaksTheRulesIsSentAwayAndTheSenderGoesOn) {
  const std::string expected = Expected(40);
  Running sender = Start("send.yaml", Sending(40));
  const auto connect = [&] {
    auto peer = Peer::Connect(Socket());
    EXPECT_TRUE(peer && peer->NextOf<vk::HelloMessage>());
    return peer;
  };
  auto peer = connect();
  ASSERT_TRUE(peer->socket().Send(vk::ReleaseMessage{3}));  // it has none
  EXPECT_TRUE(peer->IsSentAway());
  peer = connect();
  ASSERT_TRUE(peer->socket().Send(vk::ByeMessage{}));  // a sender's
  EXPECT_TRUE(peer->IsSentAway());
  peer = connect();
  const std::string noise(300, 'x');
  ASSERT_EQ(write(peer->socket().fd(), noise.data(), noise.size()), 300);
  EXPECT_TRUE(peer->IsSentAway());
  peer.reset();
  Running receiver = Start("receive.yaml", Receiving());
  Finish(sender, receiver);
  EXPECT_EQ(Read("received.txt"), expected);
}

TEST_F(SharingTest, TheRunOfASenderThatNobodyReadsEndsWhenItIsAskedTo) {
  Running sender = Start("send.yaml", Sending(0));
  { ASSERT_TRUE(Peer::Connect(Socket())); }
  sender.Signal(SIGINT);
  const Outcome outcome = sender.Wait();
  EXPECT_EQ(outcome.exit_code, 130) << outcome.err;
  EXPECT_FALSE(fs::exists(Socket()));
}

TEST_F(SharingTest, TheGraphsOfTheRepositoryMakeAMovieWithoutACopyBetweenThem) {
  constexpr const char* kClip =
      "/usr/share/forensics-samples/original-files/movie1/VID_20191220_170832.mp4";
  if (!fs::exists(kClip)) GTEST_SKIP() << kClip << " is missing: run ./setup";
  const auto start = [&](const std::string& graph, const std::vector<std::string>& settings) {
    std::vector<std::string> arguments = {"run", "--json", "-v",
                                          Runfile("graphs/" + graph + ".yaml")};
    for (const std::string& setting : settings)
      arguments.insert(arguments.end(), {"--set", setting});
    return std::make_unique<Running>(folder_, arguments);
  };
  const auto sender = start("send-gpu", {"frames=5"});
  ASSERT_TRUE(Eventually([&] { return Exists("sluice-gpu"); }));
  const auto receiver = start("receive-gpu", {});
  const auto [sent, received] = Finish(*sender, *receiver);
  EXPECT_THAT(sent.out, HasSubstr("5 frames were handed over"));
  EXPECT_TRUE(Exists("received.mp4"));
}

}  // namespace
}  // namespace sluice::testing
