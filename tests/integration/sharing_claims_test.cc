// A receiver and a sender that lies.
#include "tests/integration/sharing_testing.h"

namespace sluice::testing {
namespace {

/// A sender that the test plays, with memory of a real one.
class PlayedSenderTest : public SharingTest {
 protected:
  void SetUp() override {
    SharingTest::SetUp();
    Running sender = Start("send.yaml", Sending(0));
    auto peer = Peer::Connect(Socket());
    ASSERT_TRUE(peer);
    auto hello = peer->NextOf<vk::HelloMessage>(&fds_);
    ASSERT_TRUE(hello);
    pool_ = hello->pool;
    sender.Signal(SIGINT);
    sender.Wait();
    ASSERT_FALSE(fs::exists(Socket()));
  }

  using Talk = std::function<void(Peer&)>;
  /// How a receiver ends that is greeted by `talk`.
  Outcome Greet(const Talk& talk) { return Greet(Receiving(), talk); }
  Outcome Greet(const std::string& graph, const Talk& talk) {
    auto listener = vk::WireListener::Listen(Socket());
    EXPECT_TRUE(listener) << listener.error().message;
    if (!listener) return {};
    listener_ = std::move(*listener);
    Running receiver(folder_, {"run", "-q", Write("receive.yaml", graph)});
    auto peer = Accept();
    if (!peer) return {};
    talk(*peer);
    peer.reset();
    const Outcome outcome = receiver.Wait();
    listener_ = vk::WireListener();
    return outcome;
  }
  std::optional<Peer> Accept() {
    pollfd wait{listener_.fd(), POLLIN, 0};
    EXPECT_EQ(poll(&wait, 1, static_cast<int>(kPatienceNs / 1'000'000)), 1);
    auto socket = listener_.Accept();
    EXPECT_TRUE(socket && *socket);
    if (!socket || !*socket) return std::nullopt;
    return Peer(std::move(*socket));
  }
  /// A receiver that gets a hello with a pool changed by `change` fails, and says `why`.
  void ExpectRefused(const std::string& why, const std::function<void(vk::SharedPool&)>& change) {
    SCOPED_TRACE(why);
    vk::SharedPool pool = pool_;
    change(pool);
    ExpectFails(why, [&](Peer& peer) {
      EXPECT_TRUE(peer.socket().Send(vk::HelloMessage{pool}, fds_));
      peer.IsSentAway();
    });
  }
  void ExpectFails(const std::string& why, const Talk& talk) {
    SCOPED_TRACE(why);
    const Outcome outcome = Greet(talk);
    EXPECT_GT(outcome.exit_code, 0) << outcome.err;
    EXPECT_EQ(outcome.signal, 0);
    EXPECT_THAT(outcome.err, HasSubstr(why));
    EXPECT_THAT(outcome.err, HasSubstr("receive"));
  }
  bool Begin(Peer& peer) {
    return peer.socket().Send(vk::HelloMessage{pool_}, fds_) &&
           peer.NextOf<vk::StartMessage>().has_value();
  }
  vk::FrameMessage FrameIn(uint32_t index) const {
    vk::FrameMessage frame;
    frame.index = index;
    frame.info.crop_width = pool_.format.width;
    frame.info.crop_height = pool_.format.height;
    return frame;
  }

  vk::WireListener listener_;
  vk::SharedPool pool_;
  std::vector<sdk::UniqueFd> fds_;
};

TEST_F(PlayedSenderTest, AnotherDeviceOrDriverIsRefusedByName) {
  ExpectRefused("no other device or driver can read", [](auto& p) { p.device_uuid[3] ^= 1; });
  ExpectRefused("no other device or driver can read", [](auto& p) { p.driver_uuid[3] ^= 1; });
  ExpectRefused("somebody's device (device ", [](auto& p) {
    p.device_name = "somebody's device";
    p.device_uuid[3] ^= 1;
  });
}

TEST_F(PlayedSenderTest, AHelloWhoseNumbersAreWrongIsRefused) {
  ExpectRefused("a count of buffers of 33", [](auto& p) { p.buffers = 33; });
  ExpectRefused(" fds for 2 buffers", [](auto& p) { p.buffers = 2; });
  ExpectRefused("a plane of 18446744073709551615",
                [](auto& p) { p.layout.planes[0].size = UINT64_MAX; });
  ExpectRefused("bytes that is said to have", [](auto& p) {
    p.memory.buffer_bytes = p.memory.allocation_bytes = uint64_t{1} << 33;
  });
  ExpectRefused("memory type 31", [](auto& p) { p.memory.memory_type = 31; });
  ExpectRefused("a buffer of usage 1", [](auto& p) { p.memory.usage = 1; });
  ExpectFails("version 7 of the protocol", [&](Peer& peer) {
    vk::WireBytes bytes = vk::Encode(vk::HelloMessage{pool_});
    bytes.bytes[4] = std::byte{7};
    EXPECT_GT(write(peer.socket().fd(), bytes.bytes.data(), bytes.size), 0);
    peer.IsSentAway();
  });
  ExpectFails("does not begin with a hello", [&](Peer& peer) {
    EXPECT_TRUE(peer.socket().Send(FrameIn(0)));
    peer.IsSentAway();
  });
}

TEST_F(PlayedSenderTest, FramesThatCannotBeAreRefusedInMidStream) {
  const auto buffers = static_cast<uint32_t>(fds_.size());
  const auto with = [&](std::vector<vk::FrameMessage> frames) {
    return [this, frames = std::move(frames)](Peer& peer) {
      ASSERT_TRUE(Begin(peer));
      for (const vk::FrameMessage& frame : frames) EXPECT_TRUE(peer.socket().Send(frame));
      peer.IsSentAway();
    };
  };
  ExpectFails("a frame in buffer " + std::to_string(buffers) + ", which is none",
              with({FrameIn(buffers)}));
  vk::FrameMessage wide = FrameIn(0);
  wide.info.crop_x = 1;
  ExpectFails("a frame visible up to 321,180 of 320x180", with({wide}));
}

TEST_F(PlayedSenderTest, EachBufferComesBackWhenItIsReadAndTheStreamEnds) {
  const Outcome outcome = Greet([&](Peer& peer) {
    ASSERT_TRUE(Begin(peer));
    for (uint32_t i = 0; i < 40; ++i) {
      const uint32_t index = i % pool_.buffers;
      ASSERT_TRUE(peer.socket().Send(FrameIn(index)));
      const auto back = peer.NextOf<vk::ReleaseMessage>();
      ASSERT_TRUE(back);
      EXPECT_EQ(back->index, index);
    }
    ASSERT_TRUE(peer.socket().Send(vk::ByeMessage{}));
    EXPECT_TRUE(peer.IsSentAway());
  });
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
}

TEST_F(PlayedSenderTest, ASenderWithAnotherPoolIsFollowedIntoANewEpoch) {
  const Outcome outcome = Greet([&](Peer& peer) {
    ASSERT_TRUE(Begin(peer));
    ASSERT_TRUE(peer.socket().Send(FrameIn(0)));
    ASSERT_TRUE(peer.socket().Send(vk::ByeMessage{vk::ByeMessage::Why::kChanged, 0}));
    auto again = Accept();
    ASSERT_TRUE(again);
    EXPECT_TRUE(peer.IsSentAway());
    pool_.buffers -= 1;
    fds_.pop_back();
    ASSERT_TRUE(Begin(*again));
    ASSERT_TRUE(again->socket().Send(FrameIn(1)));
    EXPECT_TRUE(again->NextOf<vk::ReleaseMessage>());
    ASSERT_TRUE(again->socket().Send(vk::ByeMessage{}));
    EXPECT_TRUE(again->IsSentAway());
  });
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
}

TEST_F(PlayedSenderTest, AReaderThatHasAllItAskedForGivesItBackAndGoes) {
  const Outcome outcome = Greet(Receiving(", frames: 2"), [&](Peer& peer) {
    ASSERT_TRUE(Begin(peer));
    for (uint32_t index : {0u, 1u, 2u}) ASSERT_TRUE(peer.socket().Send(FrameIn(index)));
    // The third stays where it is.
    uint32_t kept = 3;
    while (auto next = peer.Next()) {
      if (const auto* release = std::get_if<vk::ReleaseMessage>(&next->message))
        kept &= ~(1u << release->index);
      const auto* leave = std::get_if<vk::LeaveMessage>(&next->message);
      EXPECT_TRUE(leave == nullptr || leave->kept == kept);
    }
    EXPECT_EQ(kept, 0u);
  });
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
}

TEST_F(PlayedSenderTest, AReaderThatHasAllItAskedForKeepsNobodyOutWithWhatItStillReads) {
  const std::string graph =
      "sluice: 1\nname: receiving\nsettings: { clock: realtime }\nnodes:\n"
      "  base: { type: core.testsrc, size: 320x180, format: AB24, frames: 50 }\n"
      "  receive: { type: vulkan.receive, socket: socket, wait: 60 s, timeout: 1 s, frames: 1 }\n"
      "  picture: { type: vulkan.compose, sync: latest }\n  nobody: { type: core.null }\n"
      "edges: [ base -> picture.in0, receive -> picture.in1, picture -> nobody ]\n";
  const Outcome outcome = Greet(graph, [&](Peer& peer) {
    ASSERT_TRUE(Begin(peer));
    ASSERT_TRUE(peer.socket().Send(FrameIn(0)));  // stays as the sample, longer than the timeout
    const auto leave = peer.NextOf<vk::LeaveMessage>();
    ASSERT_TRUE(leave);
    EXPECT_EQ(leave->kept, 1u);
    EXPECT_TRUE(peer.NextOf<vk::ReleaseMessage>());
    EXPECT_TRUE(peer.IsSentAway());
  });
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
}

TEST_F(PlayedSenderTest, AReaderThatStartsAnewKeepsNobodyOutWithWhatItStillReads) {
  const std::string graph =
      "sluice: 1\nname: receiving\nsettings: { clock: realtime }\nnodes:\n"
      "  base: { type: core.testsrc, size: 320x180, format: AB24, frames: 0 }\n"
      "  receive: { type: vulkan.receive, socket: socket, wait: 60 s, timeout: 1 s, on_error: { "
      "action: restart, attempts: 0, backoff: 10 ms, max_backoff: 20 ms } }\n"
      "  picture: { type: vulkan.compose, sync: latest, end: any }\n"
      "  nobody: { type: core.null }\n"
      "edges: [ base -> picture.in0, receive -> picture.in1, picture -> nobody ]\n";
  const Outcome outcome = Greet(graph, [&](Peer& peer) {
    ASSERT_TRUE(Begin(peer));
    ASSERT_TRUE(peer.socket().Send(FrameIn(0)));  // stays as the sample until the epoch ends
    const auto leave = peer.NextOf<vk::LeaveMessage>();
    ASSERT_TRUE(leave);
    EXPECT_EQ(leave->kept, 1u);
    auto again = Accept();
    ASSERT_TRUE(again && Begin(*again));
    ASSERT_TRUE(again->socket().Send(FrameIn(1)));
    ASSERT_TRUE(again->socket().Send(vk::ByeMessage{}));
    EXPECT_TRUE(peer.IsSentAway());
  });
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
}

}  // namespace
}  // namespace sluice::testing
