// The sending end without a device: frames of a fake host, and a reader that the test plays.
#include "nodes/vulkan/sharing/server.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <filesystem>
#include <sluice/testing/fake_host.hpp>
#include <string>

namespace sluice::vulkan {
namespace {

namespace fs = std::filesystem;
using sdk::testing::FakeHost;
using sdk::testing::FakePool;
using sdk::testing::Holder;

constexpr std::chrono::seconds kPatience{30};
constexpr int kPatienceMs = 30'000;

using Completion = std::pair<uint64_t, int32_t>;

/// The node that the server belongs to.
class FakeNode final : public sdk::testing::NodeEvents {
 public:
  const char* Name() override { return "send"; }
  void Complete(uint64_t invocation, int32_t result) override {
    const std::lock_guard lock(mutex_);
    completed_.emplace_back(invocation, result);
    changed_.notify_all();
  }
  void CountDrop(const char*, uint64_t frames, const char*) override {
    const std::lock_guard lock(mutex_);
    dropped_ += frames;
  }
  /// The next completion, or {0, 0} when none comes.
  std::pair<uint64_t, int32_t> NextCompletion() {
    std::unique_lock lock(mutex_);
    if (!changed_.wait_for(lock, kPatience, [&] { return !completed_.empty(); })) return {0, 0};
    const auto next = completed_.front();
    completed_.pop_front();
    return next;
  }
  /// Waits until a message says `text`.
  bool WaitForLog(const std::string& text) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, kPatience, [&] { return Count(text) > 0; });
  }
  size_t CountLogs(const std::string& text) const {
    const std::lock_guard lock(mutex_);
    return Count(text);
  }
  uint64_t dropped() const {
    const std::lock_guard lock(mutex_);
    return dropped_;
  }

  int32_t Offer(const char*, const sluice_offer&) override { return SLUICE_OK; }
  int32_t Emit(uint32_t, sdk::testing::FakeFrame*, const sluice_fence*) override {
    return SLUICE_E_UNSUPPORTED;
  }
  int32_t Acquire(uint32_t, sluice_frame**) override { return SLUICE_E_UNSUPPORTED; }
  void Wake() override {}
  void WakeAt(int64_t) override {}
  int32_t RequestRenegotiate(uint32_t) override { return SLUICE_E_UNSUPPORTED; }
  void SetError(int32_t, const char*) override {}
  void CountCopy(const char*, uint64_t, const char*) override {}
  void Note(const char*) override {}
  void Progress(uint64_t, uint64_t) override {}
  void Log(int32_t, const char* text) override {
    const std::lock_guard lock(mutex_);
    logs_.emplace_back(text);
    changed_.notify_all();
  }
  void* Domain() override { return nullptr; }

 private:
  size_t Count(const std::string& text) const {
    return static_cast<size_t>(
        std::count_if(logs_.begin(), logs_.end(),
                      [&](const std::string& log) { return log.find(text) != std::string::npos; }));
  }

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::pair<uint64_t, int32_t>> completed_;
  std::vector<std::string> logs_;
  uint64_t dropped_ = 0;
};

/// While it lives, this process can open no fd.
class NoFdsLeft {
 public:
  NoFdsLeft() {
    getrlimit(RLIMIT_NOFILE, &before_);
    // Not 0: poll() takes no more fds than the limit.
    const auto lowest_free = static_cast<rlim_t>(sdk::UniqueFd::Dup(0).get());
    const rlimit none{lowest_free, before_.rlim_max};
    setrlimit(RLIMIT_NOFILE, &none);
  }
  ~NoFdsLeft() { setrlimit(RLIMIT_NOFILE, &before_); }
  NoFdsLeft(const NoFdsLeft&) = delete;
  NoFdsLeft& operator=(const NoFdsLeft&) = delete;

 private:
  rlimit before_{};
};

class ServerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = ::testing::TempDir() + "/server_XXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
    options_.path = folder_ + "/socket";
    options_.most = 2;
    options_.patience_ns = kPatience.count() * 1'000'000'000;
  }
  void TearDown() override {
    server_.reset();
    EXPECT_EQ(host_.LeasesOfNode(), 0u);
    fs::remove_all(folder_);
  }

  void Open() {
    Listen();
    Serve();
  }
  void Listen() {
    auto server = FrameServer::Open(sdk::NodeContext(host_.host(), node_.c()), options_);
    ASSERT_TRUE(server.ok()) << server.status().c_message();
    server_ = *std::move(server);
  }
  /// Another pool.
  void Serve() {
    MakeShared();
    server_->Serve(shared_);
  }
  void MakeShared() {
    const sluice_format format = sdk::testing::MakeFormat(SLUICE_FORMAT_AB24, 16, 16);
    pool_ = &host_.MakePool(format, 4);
    auto shared = std::make_shared<FrameServer::Shared>();
    shared->pool.format = format;
    shared->pool.layout = pool_->layout();
    shared->pool.buffers = 4;
    shared->pool.memory.buffer_bytes = shared->pool.memory.allocation_bytes = pool_->layout().size;
    for (int i = 0; i < 4; ++i) shared->fds.push_back(sdk::UniqueFd::Dup(0));
    {
      const std::lock_guard lock(host_.mutex());
      sdk::testing::FakeFrame* frame = pool_->TakeBuffer(Holder::kHost);
      shared->id = frame->buffer->id;
      pool_->Return(*frame, nullptr);
    }
    shared_ = std::move(shared);
  }
  /// A frame goes in as `invocation`.
  void Submit(uint64_t invocation) {
    const auto status = server_->Submit(Take(), invocation);
    ASSERT_TRUE(status.ok()) << status.c_message();
  }
  sdk::Frame Take() {
    const std::lock_guard lock(host_.mutex());
    sdk::testing::FakeFrame* taken = pool_->TakeBuffer(Holder::kNode);
    return taken != nullptr ? sdk::Frame(host_.host().frames(), taken->c()) : sdk::Frame();
  }
  WireSocket Connect() {
    auto socket = WireSocket::Connect(options_.path);
    EXPECT_TRUE(socket) << socket.error().message;
    return socket ? std::move(*socket) : WireSocket();
  }
  /// One that has begun to read.
  WireSocket StartReader() {
    WireSocket reader = Connect();
    EXPECT_TRUE(Next<HelloMessage>(reader));
    EXPECT_TRUE(reader.Send(StartMessage{}));
    return reader;
  }
  /// A frame goes in as `invocation` and arrives there; its buffer.
  uint32_t Hand(uint64_t invocation, const WireSocket& reader) {
    Submit(invocation);
    EXPECT_EQ(node_.NextCompletion(), Completion(invocation, SLUICE_PROCESS_DONE));
    const auto frame = Next<FrameMessage>(reader);
    EXPECT_TRUE(frame);
    return frame ? frame->index : 0;
  }
  template <typename T>
  static std::optional<T> Next(const WireSocket& reader) {
    pollfd wait{reader.fd(), POLLIN, 0};
    if (poll(&wait, 1, kPatienceMs) != 1) return std::nullopt;
    auto received = reader.Receive();
    if (!received || !*received) return std::nullopt;
    const T* message = std::get_if<T>(&(*received)->message);
    return message != nullptr ? std::optional<T>(*message) : std::nullopt;
  }
  static bool IsGone(const WireSocket& reader) {
    pollfd wait{reader.fd(), POLLIN, 0};
    return poll(&wait, 1, kPatienceMs) == 1 && !reader.Receive();
  }

  FakeHost host_;
  FakeNode node_;
  FrameServer::Options options_;
  std::string folder_;
  FakePool* pool_ = nullptr;
  std::shared_ptr<const FrameServer::Shared> shared_;
  std::unique_ptr<FrameServer> server_;
};

TEST_F(ServerTest, AFrameIsHeldFromItsMessageToItsRelease) {
  ASSERT_NO_FATAL_FAILURE(Open());
  const WireSocket reader = Connect();
  ASSERT_TRUE(Next<HelloMessage>(reader));
  ASSERT_TRUE(reader.Send(StartMessage{}));
  for (uint64_t i = 1; i <= 10; ++i) {
    Submit(i);
    EXPECT_EQ(node_.NextCompletion(), Completion(i, SLUICE_PROCESS_DONE));
    const auto frame = Next<FrameMessage>(reader);
    ASSERT_TRUE(frame);
    EXPECT_EQ(host_.LeasesOfNode(), 1u);
    ASSERT_TRUE(reader.Send(ReleaseMessage{frame->index}));
    // In order behind the release: the next submission's frame is sent when that was heard.
  }
  EXPECT_EQ(server_->handed(), 10u);
}

TEST_F(ServerTest, TheFrameThatWaitsGoesToTheNextReader) {
  ASSERT_NO_FATAL_FAILURE(Open());
  WireSocket reader = Connect();
  ASSERT_TRUE(Next<HelloMessage>(reader));
  ASSERT_TRUE(reader.Send(StartMessage{}));
  for (uint64_t i = 1; i <= 2; ++i) {
    Submit(i);
    EXPECT_EQ(node_.NextCompletion(), Completion(i, SLUICE_PROCESS_DONE));
    ASSERT_TRUE(Next<FrameMessage>(reader));
  }
  Submit(3);  // it has all it may have
  reader.Close();
  reader = Connect();
  ASSERT_TRUE(Next<HelloMessage>(reader));
  ASSERT_TRUE(reader.Send(StartMessage{}));
  EXPECT_EQ(node_.NextCompletion(), Completion(3, SLUICE_PROCESS_DONE));
  ASSERT_TRUE(Next<FrameMessage>(reader));
  EXPECT_EQ(host_.LeasesOfNode(), 1u);
  EXPECT_EQ(node_.dropped(), 0u);
}

TEST_F(ServerTest, AReaderThatKeepsItsFramesCostsFramesUntilItGivesOneBack) {
  options_.patience_ns = 1'000'000;
  ASSERT_NO_FATAL_FAILURE(Open());
  const WireSocket reader = Connect();
  ASSERT_TRUE(Next<HelloMessage>(reader));
  ASSERT_TRUE(reader.Send(StartMessage{}));
  uint32_t index = 0;
  for (uint64_t i = 1; i <= 4; ++i) {
    Submit(i);
    EXPECT_EQ(node_.NextCompletion(), Completion(i, SLUICE_PROCESS_DONE));
    if (i <= 2) index = Next<FrameMessage>(reader)->index;
  }
  EXPECT_EQ(node_.dropped(), 2u);
  EXPECT_EQ(host_.LeasesOfNode(), 2u);
  ASSERT_TRUE(reader.Send(ReleaseMessage{index}));
  Submit(5);
  EXPECT_EQ(node_.NextCompletion(), Completion(5, SLUICE_PROCESS_DONE));
  EXPECT_TRUE(Next<FrameMessage>(reader));
}

TEST_F(ServerTest, AnotherPoolSendsTheReaderAwayWithItsReason) {
  ASSERT_NO_FATAL_FAILURE(Open());
  const WireSocket reader = Connect();
  ASSERT_TRUE(Next<HelloMessage>(reader));
  ASSERT_TRUE(reader.Send(StartMessage{}));
  Submit(1);
  EXPECT_EQ(node_.NextCompletion(), Completion(1, SLUICE_PROCESS_DONE));
  ASSERT_TRUE(Next<FrameMessage>(reader));
  Serve();
  const auto bye = Next<ByeMessage>(reader);
  ASSERT_TRUE(bye);
  EXPECT_EQ(bye->why, ByeMessage::Why::kChanged);
  EXPECT_TRUE(IsGone(reader));
  EXPECT_EQ(host_.LeasesOfNode(), 0u);
  EXPECT_TRUE(Next<HelloMessage>(Connect()));
}

TEST_F(ServerTest, AReaderThatNeverStartsKeepsNobodyOut) {
  options_.start_ns = 1'000'000;
  ASSERT_NO_FATAL_FAILURE(Open());
  const WireSocket idle = Connect();
  ASSERT_TRUE(Next<HelloMessage>(idle));
  EXPECT_TRUE(IsGone(idle));
}

TEST_F(ServerTest, TheEndIsToldAndDoesNotWaitForAReaderThatLeaves) {
  ASSERT_NO_FATAL_FAILURE(Open());
  WireSocket reader = Connect();
  ASSERT_TRUE(Next<HelloMessage>(reader));
  ASSERT_TRUE(reader.Send(StartMessage{}));
  Submit(1);
  EXPECT_EQ(node_.NextCompletion(), Completion(1, SLUICE_PROCESS_DONE));
  ASSERT_TRUE(Next<FrameMessage>(reader));
  server_->End(2);
  const auto bye = Next<ByeMessage>(reader);
  ASSERT_TRUE(bye);
  EXPECT_EQ(bye->why, ByeMessage::Why::kEnded);
  reader.Close();
  EXPECT_EQ(node_.NextCompletion(), Completion(2, SLUICE_PROCESS_END));
}

TEST_F(ServerTest, WhoComesAfterTheEndHearsOfTheEndAndOfNothingElse) {
  ASSERT_NO_FATAL_FAILURE(Open());
  server_->End(1);
  EXPECT_EQ(node_.NextCompletion(), Completion(1, SLUICE_PROCESS_END));
  const WireSocket late = Connect();
  const auto bye = Next<ByeMessage>(late);
  ASSERT_TRUE(bye);
  EXPECT_EQ(bye->why, ByeMessage::Why::kEnded);
  EXPECT_TRUE(IsGone(late));
}

TEST_F(ServerTest, WhatWaitsForNobodyIsDroppedWhenTheRunEnds) {
  ASSERT_NO_FATAL_FAILURE(Open());
  Submit(1);
  server_->EndSoon();
  EXPECT_EQ(node_.NextCompletion(), Completion(1, SLUICE_PROCESS_DONE));
  EXPECT_EQ(node_.dropped(), 1u);
  server_->End(2);
  EXPECT_EQ(node_.NextCompletion(), Completion(2, SLUICE_PROCESS_END));
}

TEST_F(ServerTest, InTheNextEpochFramesWaitForAReaderAgain) {
  ASSERT_NO_FATAL_FAILURE(Open());
  server_->EndSoon();
  server_->Serve(shared_);
  Submit(1);
  const WireSocket reader = StartReader();
  EXPECT_EQ(node_.NextCompletion(), Completion(1, SLUICE_PROCESS_DONE));
  ASSERT_EQ(node_.dropped(), 0u);
  EXPECT_TRUE(Next<FrameMessage>(reader));
}

TEST_F(ServerTest, AReaderIsWaitedForWhileTheEpochEnds) {
  ASSERT_NO_FATAL_FAILURE(Open());
  const WireSocket reader = StartReader();
  Hand(1, reader);
  const uint32_t index = Hand(2, reader);
  server_->EndSoon();
  Submit(3);
  ASSERT_TRUE(Next<ByeMessage>(Connect()));  // by now the server has looked at the frame
  ASSERT_TRUE(reader.Send(ReleaseMessage{index}));
  EXPECT_EQ(node_.NextCompletion(), Completion(3, SLUICE_PROCESS_DONE));
  ASSERT_EQ(node_.dropped(), 0u);
  EXPECT_TRUE(Next<FrameMessage>(reader));
}

TEST_F(ServerTest, AReaderThatKeepsItsFramesHoldsUpTheEndForALimitedTime) {
  options_.ending_ns = 1'000'000;
  ASSERT_NO_FATAL_FAILURE(Open());
  const WireSocket reader = StartReader();
  Hand(1, reader);
  Hand(2, reader);
  server_->EndSoon();
  Submit(3);
  EXPECT_EQ(node_.NextCompletion(), Completion(3, SLUICE_PROCESS_DONE));
  EXPECT_EQ(node_.dropped(), 1u);
  server_->End(4);
  EXPECT_EQ(node_.NextCompletion(), Completion(4, SLUICE_PROCESS_END));
}

TEST_F(ServerTest, WhoCannotBeTakenForWantOfAnFdIsNamedOnceAndTakenLater) {
  ASSERT_NO_FATAL_FAILURE(Listen());
  MakeShared();
  const WireSocket reader = Connect();
  {
    const NoFdsLeft tight;
    server_->Serve(shared_);
    ASSERT_TRUE(node_.WaitForLog("Too many open files"));
  }
  EXPECT_TRUE(Next<HelloMessage>(reader));
  EXPECT_EQ(node_.CountLogs("Too many open files"), 1u);
}

TEST_F(ServerTest, AReaderThatLeavesMakesRoomAndKeepsWhatItStillReads) {
  options_.most = 3;
  ASSERT_NO_FATAL_FAILURE(Open());
  WireSocket first = StartReader();
  const uint32_t released = Hand(1, first);
  const uint32_t kept = Hand(2, first);
  Submit(3);  // on its way, and never read
  EXPECT_EQ(node_.NextCompletion(), Completion(3, SLUICE_PROCESS_DONE));
  ASSERT_TRUE(first.Send(LeaveMessage{1u << released | 1u << kept}));
  const WireSocket second = StartReader();
  EXPECT_EQ(host_.LeasesOfNode(), 2u);
  const uint32_t index = Hand(4, second);
  EXPECT_NE(index, kept);
  Submit(5);  // three are out, two of them with who left
  ASSERT_TRUE(first.Send(ReleaseMessage{released}));
  EXPECT_EQ(node_.NextCompletion(), Completion(5, SLUICE_PROCESS_DONE));
  EXPECT_TRUE(Next<FrameMessage>(second));
  Submit(6);
  first.Close();
  EXPECT_EQ(node_.NextCompletion(), Completion(6, SLUICE_PROCESS_DONE));
  EXPECT_TRUE(Next<FrameMessage>(second));
  EXPECT_EQ(host_.LeasesOfNode(), 3u);
  EXPECT_EQ(node_.dropped(), 0u);
}

TEST_F(ServerTest, AReaderThatSaysItKeepsWhatItDoesNotHaveIsSentAway) {
  ASSERT_NO_FATAL_FAILURE(Open());
  const WireSocket reader = StartReader();
  const uint32_t index = Hand(1, reader);
  ASSERT_TRUE(reader.Send(LeaveMessage{1u << index | 2u << index}));
  EXPECT_TRUE(IsGone(reader));
  StartReader();
  EXPECT_EQ(host_.LeasesOfNode(), 0u);
}

TEST_F(ServerTest, WhatReadersThatLeftStillReadComesHomeWithThePool) {
  ASSERT_NO_FATAL_FAILURE(Open());
  const WireSocket reader = StartReader();
  ASSERT_TRUE(reader.Send(LeaveMessage{1u << Hand(1, reader)}));
  ASSERT_TRUE(Next<HelloMessage>(Connect()));
  EXPECT_EQ(host_.LeasesOfNode(), 1u);
  Serve();
  EXPECT_EQ(host_.LeasesOfNode(), 0u);
}

TEST_F(ServerTest, AFrameOfAnotherPoolIsNotTaken) {
  ASSERT_NO_FATAL_FAILURE(Open());
  FakePool* first = pool_;
  Serve();
  pool_ = first;
  const auto status = server_->Submit(Take(), 1);
  EXPECT_EQ(status.code(), SLUICE_E_INTERNAL);
}

}  // namespace
}  // namespace sluice::vulkan
