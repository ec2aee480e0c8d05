// What comes from a peer is a claim: every message that is not in order is refused, and no fd is
// left open.
#include "nodes/vulkan/sharing/wire.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include "nodes/vulkan/sharing/socket.h"
#include "nodes/vulkan/sharing/wire_testing.h"

namespace sluice::vulkan {
namespace {

namespace fs = std::filesystem;
using testing::AnyPool;

constexpr int kAnswerMs = 5000;

std::string ErrorOf(const WireMessage& message) {
  const auto decoded = Decode(Encode(message).span());
  return decoded ? "" : decoded.error().message;
}

/// The error of a hello whose pool was changed by `change`.
template <typename F>
std::string ErrorOfHello(F&& change) {
  SharedPool pool = AnyPool();
  change(pool);
  return ErrorOf(HelloMessage{pool});
}

template <typename F>
std::string ErrorOfFrame(F&& change) {
  FrameMessage frame;
  change(frame);
  return ErrorOf(frame);
}

TEST(WireTest, AHelloArrivesAsItWasSent) {
  const auto decoded = Decode(Encode(HelloMessage{AnyPool()}).span());
  ASSERT_TRUE(decoded) << decoded.error().message;
  const SharedPool pool = std::get<HelloMessage>(*decoded).pool, want = AnyPool();
  EXPECT_EQ(pool.device_uuid, want.device_uuid);
  EXPECT_EQ(pool.driver_uuid, want.driver_uuid);
  EXPECT_EQ(pool.device_name, want.device_name);
  EXPECT_EQ(std::memcmp(&pool.format, &want.format, sizeof pool.format), 0);
  EXPECT_EQ(std::memcmp(&pool.layout, &want.layout, sizeof pool.layout), 0);
  EXPECT_EQ(pool.buffers, 3u);
  EXPECT_EQ(pool.memory.buffer_bytes, 8192u);
  EXPECT_EQ(pool.memory.allocation_bytes, 12288u);
  EXPECT_EQ(pool.memory.memory_type, 1u);
  EXPECT_EQ(pool.memory.usage, kBufferUsage);
}

TEST(WireTest, AFrameArrivesWithAllThatTravelsWithIt) {
  FrameMessage frame;
  frame.index = 31;
  sluice_frame_info& info = frame.info;
  info.pts_ns = -5;
  info.duration_ns = 40'000'000;
  info.pts_ticks = 7;
  info.duration_ticks = 1;
  info.time_base_num = 1;
  info.time_base_den = 25;
  info.sequence = uint64_t{1} << 40;
  info.flags =
      SLUICE_FRAME_DISCONTINUITY | SLUICE_FRAME_CORRUPT | SLUICE_FRAME_KEY | SLUICE_FRAME_MIRRORED;
  info.field_order = SLUICE_FIELD_TOP_FIRST;
  info.crop_x = 1;
  info.crop_y = 2;
  info.crop_width = 3;
  info.crop_height = 4;
  info.aspect_num = 4;
  info.aspect_den = 3;
  info.rotation_degrees = 270;
  info.captured_ns = 99;
  const auto decoded = Decode(Encode(frame).span());
  ASSERT_TRUE(decoded) << decoded.error().message;
  EXPECT_EQ(std::get<FrameMessage>(*decoded).index, 31u);
  EXPECT_EQ(std::memcmp(&std::get<FrameMessage>(*decoded).info, &info, sizeof info), 0);
}

TEST(WireTest, WhatALeavingReaderKeepsArrives) {
  const auto decoded = Decode(Encode(LeaveMessage{0x80000001}).span());
  ASSERT_TRUE(decoded) << decoded.error().message;
  EXPECT_EQ(std::get<LeaveMessage>(*decoded).kept, 0x80000001);
}

TEST(WireTest, EveryNumberOfAHelloIsChecked) {
  using P = SharedPool;
  EXPECT_EQ(ErrorOfHello([](P&) {}), "");
  EXPECT_NE(ErrorOfHello([](P& p) { p.format.width = 0; }), "");
  EXPECT_NE(ErrorOfHello([](P& p) { p.format.height = 16385; }), "");
  EXPECT_NE(ErrorOfHello([](P& p) { p.format.modifier = 1; }), "");
  EXPECT_NE(ErrorOfHello([](P& p) { p.format.rate = {25, 0}; }), "");
  EXPECT_NE(ErrorOfHello([](P& p) { p.format.color.matrix = 9; }), "");
  EXPECT_NE(ErrorOfHello([](P& p) { p.layout.coded_width = 63; }), "");
  EXPECT_NE(ErrorOfHello([](P& p) { p.layout.plane_count = 0; }), "");
  EXPECT_NE(ErrorOfHello([](P& p) { p.layout.plane_count = 5; }), "");
  EXPECT_NE(ErrorOfHello([](P& p) { p.layout.planes[0].stride = 0; }), "");
  EXPECT_NE(ErrorOfHello([](P& p) { p.layout.planes[0].offset = UINT64_MAX; }), "");
  EXPECT_NE(ErrorOfHello([](P& p) { p.layout.planes[0].size = UINT64_MAX; }), "");
  EXPECT_NE(ErrorOfHello([](P& p) { p.layout.planes[0].offset = 4096; }), "");
  EXPECT_NE(ErrorOfHello([](P& p) { p.layout.size = UINT64_MAX; }), "");
  EXPECT_EQ(ErrorOfHello([](P& p) { p.buffers = 33; }), "a message with a count of buffers of 33");
  EXPECT_NE(ErrorOfHello([](P& p) { p.buffers = 0; }), "");
  EXPECT_NE(ErrorOfHello([](P& p) { p.memory.buffer_bytes = 8191; }), "");
  EXPECT_NE(ErrorOfHello([](P& p) { p.memory.allocation_bytes = 8191; }), "");
  EXPECT_NE(ErrorOfHello([](P& p) { p.memory.allocation_bytes = UINT64_MAX; }), "");
  EXPECT_NE(ErrorOfHello([](P& p) { p.memory.memory_type = 32; }), "");
}

TEST(WireTest, EveryNumberOfAFrameIsChecked) {
  using F = FrameMessage;
  EXPECT_EQ(ErrorOfFrame([](F&) {}), "");
  EXPECT_EQ(ErrorOfFrame([](F& f) { f.index = 32; }), "a message with a buffer 32");
  EXPECT_NE(ErrorOfFrame([](F& f) { f.info.field_order = 3; }), "");
  EXPECT_NE(ErrorOfFrame([](F& f) { f.info.time_base_num = 1; }), "");
  EXPECT_NE(ErrorOfFrame([](F& f) { f.info.aspect_den = 1; }), "");
  EXPECT_NE(ErrorOfFrame([](F& f) { f.info.crop_width = UINT32_MAX; }), "");
  EXPECT_NE(ErrorOfFrame([](F& f) { f.info.rotation_degrees = 45; }), "");
  EXPECT_NE(ErrorOf(ReleaseMessage{32}), "");
  EXPECT_NE(ErrorOf(ByeMessage{static_cast<ByeMessage::Why>(4), 0}), "");
}

TEST(WireTest, AnotherVersionASizeThatIsNotTheKindsAndNoiseAreRefused) {
  WireBytes bytes = Encode(StartMessage{});
  bytes.bytes[4] = std::byte{9};
  auto other = Decode(bytes.span());
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().message, "version 9 of the protocol; this is version 1");
  bytes = Encode(HelloMessage{AnyPool()});
  for (size_t size = 0; size < bytes.size; ++size)
    EXPECT_FALSE(Decode(std::span(bytes.bytes).first(size))) << size;
  for (uint32_t kind = 0; kind < 8; ++kind) {
    bytes.bytes[8] = static_cast<std::byte>(kind);
    EXPECT_EQ(Decode(bytes.span()).has_value(), kind == 1) << kind;
  }
  EXPECT_FALSE(Decode(std::vector<std::byte>(64, std::byte{0xff})));
}

// --- Sockets -------------------------------------------------------------------------------------

class SocketTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = ::testing::TempDir() + "/wire_XXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::string Path() const { return folder_ + "/socket"; }
  static size_t CountFds() {
    return static_cast<size_t>(std::distance(fs::directory_iterator("/proc/self/fd"), {}));
  }
  static bool Wait(int fd) {
    pollfd wait{fd, POLLIN, 0};
    return poll(&wait, 1, kAnswerMs) == 1;
  }
  /// Both ends of a connection.
  void Connect(WireSocket* sender, WireSocket* reader) {
    auto listener = WireListener::Listen(Path());
    ASSERT_TRUE(listener) << listener.error().message;
    auto connected = WireSocket::Connect(Path());
    ASSERT_TRUE(connected) << connected.error().message;
    ASSERT_TRUE(Wait(listener->fd()));
    auto accepted = listener->Accept();
    ASSERT_TRUE(accepted && *accepted);
    *sender = std::move(*accepted);
    *reader = std::move(*connected);
  }
  static std::vector<sdk::UniqueFd> Fds(size_t count) {
    std::vector<sdk::UniqueFd> fds;
    for (size_t i = 0; i < count; ++i) fds.emplace_back(open("/dev/null", O_RDONLY | O_CLOEXEC));
    return fds;
  }
  std::string folder_;
};

TEST_F(SocketTest, TheFileIsTheUsersAloneAndGoesWithTheListener) {
  {
    auto listener = WireListener::Listen(Path());
    ASSERT_TRUE(listener) << listener.error().message;
    struct stat file {};
    ASSERT_EQ(stat(Path().c_str(), &file), 0);
    EXPECT_EQ(file.st_mode & 07777, 0600u);
    const auto second = WireListener::Listen(Path());
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code, SLUICE_E_ALREADY_EXISTS);
  }
  EXPECT_FALSE(fs::exists(Path()));
  const auto nobody = WireSocket::Connect(Path());
  ASSERT_FALSE(nobody);
  EXPECT_EQ(nobody.error().code, SLUICE_E_NOT_FOUND);
}

TEST_F(SocketTest, WhatADeadProcessLeftIsReplacedAndAnythingElseIsNot) {
  auto listener = WireListener::Listen(Path());
  ASSERT_TRUE(listener);
  fs::create_hard_link(Path(), folder_ + "/kept");
  *listener = WireListener();
  fs::rename(folder_ + "/kept", Path());
  EXPECT_TRUE(WireListener::Listen(Path()));
  const std::string file = folder_ + "/file";
  sdk::UniqueFd made(open(file.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
  EXPECT_FALSE(WireListener::Listen(file));
  EXPECT_TRUE(fs::exists(file));
  EXPECT_FALSE(WireListener::Listen(folder_ + "/" + std::string(120, 'a')));
}

TEST_F(SocketTest, FdsComeWithAHelloAndAreAsManyAsItHasBuffers) {
  WireSocket sender, reader;
  ASSERT_NO_FATAL_FAILURE(Connect(&sender, &reader));
  const size_t before = CountFds();
  for (size_t count : {0, 1, 2, 4, 32}) {
    const std::vector<sdk::UniqueFd> fds = Fds(count);
    ASSERT_TRUE(sender.Send(HelloMessage{AnyPool()}, fds));
    const auto received = reader.Receive();
    ASSERT_FALSE(received) << count;
    EXPECT_EQ(received.error().message,
              "a message with " + std::to_string(count) + " fds for 3 buffers");
  }
  EXPECT_EQ(CountFds(), before);
  ASSERT_TRUE(sender.Send(HelloMessage{AnyPool()}, Fds(3)));
  {
    const auto received = reader.Receive();
    ASSERT_TRUE(received && *received);
    EXPECT_EQ((*received)->fds.size(), 3u);
  }
  ASSERT_TRUE(sender.Send(ByeMessage{}, Fds(1)));
  EXPECT_FALSE(reader.Receive());
  EXPECT_EQ(CountFds(), before);
}

TEST_F(SocketTest, NothingThereAPeerThatIsGoneAndAPacketThatIsTooLongAreToldApart) {
  WireSocket sender, reader;
  ASSERT_NO_FATAL_FAILURE(Connect(&sender, &reader));
  auto received = reader.Receive();
  ASSERT_TRUE(received);
  EXPECT_FALSE(*received);
  const std::vector<char> noise(5000, 'x');
  ASSERT_EQ(send(sender.fd(), noise.data(), noise.size(), MSG_NOSIGNAL), 5000);
  received = reader.Receive();
  ASSERT_FALSE(received);
  EXPECT_EQ(received.error().code, SLUICE_E_INVALID_ARGUMENT);
  sender.Close();
  received = reader.Receive();
  ASSERT_FALSE(received);
  EXPECT_EQ(received.error().code, SLUICE_E_IO);
  EXPECT_FALSE(reader.Send(StartMessage{}));
}

TEST_F(SocketTest, TheLastWordOfAPeerThatHasNotReadAllArrives) {
  WireSocket sender, reader;
  ASSERT_NO_FATAL_FAILURE(Connect(&sender, &reader));
  ASSERT_TRUE(reader.Send(ReleaseMessage{1}));
  ASSERT_TRUE(sender.Send(ByeMessage{ByeMessage::Why::kChanged, 0}));
  sender.Close();
  auto received = reader.Receive();
  ASSERT_TRUE(received && *received);
  EXPECT_TRUE(std::holds_alternative<ByeMessage>((*received)->message));
  received = reader.Receive();
  ASSERT_FALSE(received);
  EXPECT_EQ(received.error().code, SLUICE_E_IO);
}

}  // namespace
}  // namespace sluice::vulkan
