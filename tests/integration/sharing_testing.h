#pragma once

// What the tests of frames between processes have in common.
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "nodes/vulkan/sharing/socket.h"
#include "tests/cli/command.h"

namespace sluice::testing {

using ::testing::HasSubstr;
using ::testing::Not;
using Json = nlohmann::json;
namespace fs = std::filesystem;
namespace vk = sluice::vulkan;

inline constexpr int64_t kPatienceNs =
    60'000'000'000;                   // for a process to answer, on a busy machine
inline constexpr uint32_t kMost = 4;  // of `frames` below

inline size_t FdsOf(pid_t pid) {
  std::error_code error;
  const fs::directory_iterator list("/proc/" + std::to_string(pid) + "/fd", error);
  return error ? 0 : static_cast<size_t>(std::distance(begin(list), end(list)));
}

/// Asks again and again, since nothing tells of it, until `done` or the deadline.
inline bool Eventually(const std::function<bool()>& done) {
  const int64_t deadline = vk::NowNs() + kPatienceNs;
  while (!done()) {
    if (vk::NowNs() >= deadline) return false;
    poll(nullptr, 0, 5);
  }
  return true;
}

/// A peer that the test plays.
class Peer {
 public:
  explicit Peer(vk::WireSocket socket) : socket_(std::move(socket)) {}
  /// A reader; waits for a sender.
  static std::optional<Peer> Connect(const std::string& path) {
    std::optional<Peer> peer;
    Eventually([&] {
      auto socket = vk::WireSocket::Connect(path);
      if (socket) peer.emplace(std::move(*socket));
      return peer.has_value();
    });
    return peer;
  }

  const vk::WireSocket& socket() const { return socket_; }
  /// The next message; nothing when the other end is gone, or says nothing.
  std::optional<vk::Received> Next() {
    pollfd wait{socket_.fd(), POLLIN, 0};
    if (poll(&wait, 1, static_cast<int>(kPatienceNs / 1'000'000)) != 1) return std::nullopt;
    auto received = socket_.Receive();
    return received ? std::move(*received) : std::nullopt;
  }
  template <typename T>
  std::optional<T> NextOf(std::vector<sdk::UniqueFd>* fds = nullptr) {
    auto received = Next();
    if (!received || !std::holds_alternative<T>(received->message)) return std::nullopt;
    if (fds != nullptr) *fds = std::move(received->fds);
    return std::get<T>(std::move(received->message));
  }
  /// Whether the other end closes the connection.
  bool IsSentAway() {
    for (;;) {
      pollfd wait{socket_.fd(), POLLIN, 0};
      if (poll(&wait, 1, static_cast<int>(kPatienceNs / 1'000'000)) != 1) return false;
      auto received = socket_.Receive();
      if (!received) return received.error().code == SLUICE_E_IO;
    }
  }

 private:
  vk::WireSocket socket_;
};

class SharingTest : public CommandTest {
 protected:
  std::string Socket() const { return Path("socket"); }

  std::string Source(int frames) {
    return "  source: { type: core.testsrc, size: 320x180, format: AB24, frames: " +
           std::to_string(frames) + " }\n  warm: { type: vulkan.look, look: warm }\n";
  }
  std::string Sending(int frames, const std::string& more = "") {
    return "sluice: 1\nname: sending\nnodes:\n" + Source(frames) +
           "  send: { type: vulkan.send, socket: socket" + more +
           " }\nedges: [ source -> warm -> send ]\n";
  }
  std::string Receiving(const std::string& more = "") {
    return "sluice: 1\nname: receiving\nnodes:\n  receive: { type: vulkan.receive, socket: socket, "
           "wait: 60 s" +
           more +
           " }\n  sepia: { type: vulkan.look, look: sepia }\n  sum: { type: core.checksum, path: "
           "received.txt, overwrite: true }\nedges: [ receive -> sepia -> sum ]\n";
  }
  /// The sums of the same chain in one process. Cut: within an island frames are not rounded to
  /// their format.
  std::string Expected(int frames) {
    const std::string graph =
        "sluice: 1\nname: one\nnodes:\n" + Source(frames) +
        "  sepia: { type: vulkan.look, look: sepia, island: cut }\n  sum: { type: core.checksum, "
        "path: expected.txt, overwrite: true }\nedges: [ source -> warm -> sepia -> sum ]\n";
    const Outcome outcome = Sluice({"run", "-q", Write("one.yaml", graph)});
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    return Read("expected.txt");
  }
  Running Start(const std::string& file, const std::string& graph,
                const std::vector<std::string>& environment = {}) {
    return Running(folder_, {"run", "--json", "-v", Write(file, graph)}, environment);
  }
  /// Beside a source that changes its size in mid-stream.
  Running StartWithEpochs(const std::string& file, std::string graph) {
    const std::string edges = "edges: [ ";
    graph.replace(graph.find(edges), edges.size(),
                  "  other: { type: probe.source, frames: 50, resize_at: 20 }\n  nobody: { type: "
                  "core.null }\nedges: [ other -> nobody, ");
    return Running(folder_, {"run", "--json", "-v", "--plugin-path",
                             Runfile("tests/integration/probe.so"), Write(file, graph)});
  }
  static void ExpectDone(const Outcome& outcome) {
    EXPECT_EQ(outcome.exit_code, 0) << "signal " << outcome.signal << "\n" << outcome.err;
    const Json report = Json::parse(outcome.out, nullptr, false);
    ASSERT_TRUE(report.is_object()) << outcome.out;
    EXPECT_EQ(report["result"], "done");
    EXPECT_EQ(report["bytes_copied"], 0);
    for (const Json& pool : report["pools"]) EXPECT_EQ(pool["outstanding"], 0) << pool;
  }
  /// Both ended well. A sender whose reader failed would wait for another one.
  static std::pair<Outcome, Outcome> Finish(Running& sender, Running& receiver) {
    const Outcome received = receiver.Wait();
    if (received.exit_code != 0) sender.Signal(SIGINT);
    const Outcome sent = sender.Wait();
    ExpectDone(received);
    ExpectDone(sent);
    return {sent, received};
  }
  /// A reader in a process of its own that has taken all it may have, and is then killed.
  void TakeAllAndDie() {
    int ends[2];
    ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
    const pid_t pid = fork();
    if (pid == 0) {
      auto peer = Peer::Connect(Socket());
      bool good =
          peer && peer->NextOf<vk::HelloMessage>() && peer->socket().Send(vk::StartMessage{});
      for (uint32_t i = 0; good && i < kMost; ++i)
        good = peer->NextOf<vk::FrameMessage>().has_value();
      (void)!write(ends[1], good ? "y" : "n", 1);
      pause();
      _exit(0);
    }
    char answer = 0;
    EXPECT_EQ(read(ends[0], &answer, 1), 1);
    EXPECT_EQ(answer, 'y');
    kill(pid, SIGKILL);
    EXPECT_EQ(waitpid(pid, nullptr, 0), pid);
    close(ends[0]);
    close(ends[1]);
  }
  static std::string LinesFrom(const std::string& text, int line) {
    size_t at = 0;
    for (int i = 0; i < line; ++i) at = text.find('\n', at) + 1;
    return text.substr(at);
  }
};

}  // namespace sluice::testing
