// What another process says, changed in thousands of ways: it is refused, or every number of it is
// within the bounds that the wire's header gives.
#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "nodes/vulkan/sharing/wire.h"
#include "nodes/vulkan/sharing/wire_testing.h"
#include "tests/robustness/mutator.h"

namespace sluice::vulkan {
namespace {

using sluice::testing::Mutator;
using testing::AnyPool;

constexpr int kMessages = 50'000;

std::string ToText(const WireBytes& message) {
  return {reinterpret_cast<const char*>(message.bytes.data()), message.size};
}

std::span<const std::byte> ToBytes(const std::string& text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

template <typename T>
std::string Little(T value) {
  std::string bytes(sizeof value, '\0');
  std::memcpy(bytes.data(), &value, sizeof value);
  return bytes;
}

/// Within the bounds, whatever was sent.
struct Check {
  void operator()(const HelloMessage& hello) const {
    const SharedPool& pool = hello.pool;
    EXPECT_GE(pool.buffers, 1U);
    EXPECT_LE(pool.buffers, kMostShared);
    EXPECT_GE(pool.format.width, 1U);
    EXPECT_GE(pool.format.height, 1U);
    EXPECT_GE(pool.layout.plane_count, 1U);
    EXPECT_LE(pool.layout.plane_count, uint32_t{SLUICE_MAX_PLANES});
    for (uint32_t i = 0; i < pool.layout.plane_count; ++i) {
      const sluice_plane& plane = pool.layout.planes[i];
      EXPECT_LE(plane.offset, pool.layout.size);
      EXPECT_LE(plane.size, pool.layout.size - plane.offset);
    }
    EXPECT_LE(pool.layout.size, pool.memory.buffer_bytes);
    EXPECT_LE(pool.memory.buffer_bytes, pool.memory.allocation_bytes);
    for (const char c : pool.device_name) EXPECT_TRUE(c >= 0x20 && c < 0x7f);
  }
  void operator()(const FrameMessage& frame) const { EXPECT_LT(frame.index, kMostShared); }
  void operator()(const ReleaseMessage& release) const { EXPECT_LT(release.index, kMostShared); }
  void operator()(const StartMessage&) const {}
  void operator()(const LeaveMessage&) const {}
  void operator()(const ByeMessage& bye) const {
    EXPECT_TRUE(bye.why == ByeMessage::Why::kEnded || bye.why == ByeMessage::Why::kBusy ||
                bye.why == ByeMessage::Why::kChanged);
  }
};

TEST(MessagesTest, WhatAnotherProcessSaysIsRefusedOrWithinItsBounds) {
  FrameMessage frame;
  frame.index = 2;
  frame.info.pts_ns = 40'000'000;
  frame.info.time_base_num = 1;
  frame.info.time_base_den = 25;
  std::vector<std::string> messages;
  for (const WireMessage& message :
       {WireMessage(HelloMessage{AnyPool()}), WireMessage(StartMessage{}), WireMessage(frame),
        WireMessage(ReleaseMessage{1}), WireMessage(LeaveMessage{5}),
        WireMessage(ByeMessage{ByeMessage::Why::kBusy, 42})}) {
    messages.push_back(ToText(Encode(message)));
  }
  const std::vector<std::string> words = {
      Little(uint32_t{0}),       Little(uint32_t{1}),          Little(uint32_t{32}),
      Little(UINT32_MAX),        Little(uint32_t{0x7fffffff}), Little(UINT64_MAX),
      Little(uint64_t{1} << 63), Little(uint64_t{1} << 32),    Little(kWireMagic)};
  Mutator mutator(7, messages, words);
  int taken = 0;
  for (int i = 0; i < kMessages && !HasFailure(); ++i) {
    const std::string bytes = mutator.Next();
    const auto message = Decode(ToBytes(bytes));
    if (!message) {
      EXPECT_FALSE(message.error().message.empty());
      continue;
    }
    ++taken;
    std::visit(Check{}, *message);
    const auto again = Decode(Encode(*message).span());
    EXPECT_TRUE(again.has_value() && again->index() == message->index()) << i;
    if (HasFailure()) ADD_FAILURE() << "message " << i << ": " << sluice::testing::Escaped(bytes);
  }
  EXPECT_GT(taken, kMessages / 100);
  EXPECT_LT(taken, kMessages);
}

}  // namespace
}  // namespace sluice::vulkan
