// Ctrl-C at every stage, a full disk, a missing driver, a closed stdout: the real binary with
// films under way. What it says is tested in tests/cli; here, what it leaves behind.

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/cli/command.h"
#include "tests/integration/media_fixture.h"

namespace sluice::testing {
namespace {

using ::testing::AllOf;
using ::testing::AnyOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Json = nlohmann::json;

constexpr int kWaitMs = 60'000;

/// Reports what appears in a folder.
class Watch {
 public:
  explicit Watch(const std::string& folder) : fd_(inotify_init1(IN_CLOEXEC)) {
    inotify_add_watch(fd_, folder.c_str(), IN_CREATE | IN_MODIFY);
  }
  ~Watch() { close(fd_); }
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

  /// Returns when a file whose name has `part` was made (or written to, for `mask` IN_MODIFY);
  /// false after a minute.
  bool Wait(const std::string& part, uint32_t mask) {
    for (;;) {
      pollfd poll_fd{fd_, POLLIN, 0};
      const int ready = poll(&poll_fd, 1, kWaitMs);
      if (ready < 0 && errno == EINTR) continue;
      if (ready <= 0) return false;
      alignas(inotify_event) char buffer[4096];
      const ssize_t size = read(fd_, buffer, sizeof buffer);
      for (ssize_t at = 0; at < size;) {
        const auto* event = reinterpret_cast<const inotify_event*>(buffer + at);
        at += static_cast<ssize_t>(sizeof(inotify_event) + event->len);
        if (event->len == 0 || (event->mask & mask) == 0) continue;
        if (std::string(event->name).find(part) != std::string::npos) return true;
      }
    }
  }

 private:
  const int fd_;
};

class CliFaultTest : public CommandTest {
 protected:
  /// An endless film, and checksums beside it.
  std::string Endless() {
    return Write("graph.yaml", R"(
sluice: 1
name: endless
nodes:
  source: { type: core.testsrc, size: 64x48, rate: 25, pattern: noise }
  sum: { type: core.checksum, path: sums.txt }
  film: { type: ffmpeg.write, path: out.mp4, preset: ultrafast }
edges: [ source -> sum, source -> film ]
)");
  }
  std::string Film(const std::string& path, int frames) {
    return Write("graph.yaml", R"(
sluice: 1
name: film
nodes:
  source: { type: core.testsrc, size: 320x240, pattern: noise, frames: )" +
                                   std::to_string(frames) + R"( }
  film: { type: ffmpeg.write, codec: ffv1, path: )" +
                                   path + R"( }
edges: [ source -> film ]
)");
  }
  /// Frames that a player finds.
  size_t Frames(const std::string& file) { return FrameTimes(Path(file)).size(); }
};

uint64_t FramesIn(const Json& report, const std::string& node) {
  for (const Json& entry : report["nodes"]) {
    if (entry["name"] == node) return entry["frames_in"];
  }
  return 0;
}

// ---- Ctrl-C

TEST_F(CliFaultTest, CtrlCInMidStreamDrainsAndTheFilmHasEveryFrameUnderItsName) {
  for (const int signal : {SIGINT, SIGTERM}) {
    Watch watch(folder_);
    Running run(folder_, {"run", "--json", "--force", "--progress=always", Endless()});
    // Part files come when the film begins; progress comes when frames have gone through.
    ASSERT_TRUE(watch.Wait(".out.mp4.part-", IN_CREATE));
    ASSERT_TRUE(run.WaitForStderr(" fps"));
    run.Signal(signal);
    const Outcome outcome = run.Wait();
    EXPECT_EQ(outcome.exit_code, 130) << outcome.err;
    const Json report = Json::parse(outcome.out, nullptr, false);
    ASSERT_TRUE(report.is_object()) << outcome.out;
    EXPECT_EQ(report["result"], "stopped");
    EXPECT_TRUE(report["errors"].empty()) << report["errors"];
    EXPECT_THAT(Files(), ElementsAre("graph.yaml", "out.mp4", "sums.txt"));
    EXPECT_GT(FramesIn(report, "film"), 0u);
    EXPECT_EQ(Frames("out.mp4"), FramesIn(report, "film"));
    for (const Json& pool : report["pools"]) EXPECT_EQ(pool["outstanding"], 0);
  }
}

TEST_F(CliFaultTest, CtrlCDuringStartUpLeavesEitherAWholeFilmOrNone) {
  // The film's part file is made while nodes are started, before the first frame.
  for (int i = 0; i < 5; ++i) {
    Watch watch(folder_);
    Running run(folder_, {"run", "--force", Endless()});
    ASSERT_TRUE(watch.Wait(".part", IN_CREATE));
    run.Signal(SIGINT);
    const Outcome outcome = run.Wait();
    // With no frame in it there is no film, which is an error.
    EXPECT_THAT(outcome.exit_code, AnyOf(130, 1)) << outcome.err;
    for (const std::string& file : Files()) {
      EXPECT_THAT(file, AnyOf("graph.yaml", "out.mp4", "sums.txt"));
    }
    if (Exists("out.mp4")) {
      EXPECT_GT(Frames("out.mp4"), 0u);
    }
  }
}

TEST_F(CliFaultTest, TwoCtrlCStopAtOnceAndLeaveNoPartFile) {
  for (int i = 0; i < 5; ++i) {
    Watch watch(folder_);
    Running run(folder_, {"run", "--force", "--progress=always", Endless()});
    ASSERT_TRUE(watch.Wait(".out.mp4.part-", IN_CREATE));
    ASSERT_TRUE(run.WaitForStderr(" fps"));
    run.Signal(SIGINT);
    run.Signal(SIGTERM);  // Two of one kind may be delivered as one.
    const Outcome outcome = run.Wait();
    // The second may come when the run is over and signals have their usual effect again.
    EXPECT_TRUE(outcome.exit_code == 130 || outcome.signal == SIGTERM)
        << outcome.exit_code << outcome.err;
    for (const std::string& file : Files()) {
      EXPECT_THAT(file, AnyOf("graph.yaml", "out.mp4", "sums.txt"));
    }
    if (Exists("out.mp4")) {
      EXPECT_GT(Frames("out.mp4"), 0u);
    }
  }
}

TEST_F(CliFaultTest, CtrlCWhileTheGraphIsReadEndsTheCommandAtOnce) {
  ASSERT_EQ(mkfifo(Path("graph.yaml").c_str(), 0600), 0);
  Running run(folder_, {"run", "graph.yaml"});
  // Opens when the command does.
  const int writer = open(Path("graph.yaml").c_str(), O_WRONLY | O_CLOEXEC);
  ASSERT_GE(writer, 0);
  run.Signal(SIGINT);
  const Outcome outcome = run.Wait();
  EXPECT_TRUE(outcome.signal == SIGINT || outcome.exit_code == 130) << outcome.exit_code;
  close(writer);
  EXPECT_THAT(Files(), ElementsAre("graph.yaml"));
}

TEST_F(CliFaultTest, CtrlCWhileItPlansMakesNoFile) {
  // The plan waits for the clip, which is a pipe without data.
  ASSERT_EQ(mkfifo(Path("clip.ts").c_str(), 0600), 0);
  const std::string graph = Write("graph.yaml", R"(
sluice: 1
nodes:
  clip: { type: ffmpeg.read, path: clip.ts }
  film: { type: ffmpeg.write, path: out.mp4 }
edges: [ clip -> film ]
)");
  Running run(folder_, {"run", graph, "--report", "report.json"});
  const int writer = open(Path("clip.ts").c_str(), O_WRONLY | O_CLOEXEC);
  ASSERT_GE(writer, 0);
  run.Signal(SIGINT);
  close(writer);
  const Outcome outcome = run.Wait();
  EXPECT_TRUE(outcome.exit_code == 2 || outcome.exit_code == 130 || outcome.signal == SIGINT)
      << outcome.exit_code << outcome.err;
  EXPECT_THAT(Files(), ElementsAre("clip.ts", "graph.yaml"));
}

// ---- what is missing

TEST_F(CliFaultTest, WithoutAVulkanDriverItExitsWith3AndSaysWhatToInstallAndMakesNoFile) {
  const std::string graph = Write("graph.yaml", R"(
sluice: 1
nodes:
  source: { type: core.testsrc, size: 64x48, frames: 5 }
  look: { type: vulkan.look, look: noir }
  film: { type: ffmpeg.write, path: out.mp4 }
edges: [ source -> look -> film ]
)");
  const Outcome outcome =
      Sluice({.arguments = {"run", graph, "--report", "report.json"},
              .environment = {"VK_DRIVER_FILES=/nonexistent", "VK_ICD_FILENAMES=/nonexistent"}});
  EXPECT_EQ(outcome.exit_code, 3) << outcome.err;
  EXPECT_THAT(outcome.err, AllOf(HasSubstr("node 'look'"), HasSubstr("mesa-vulkan-drivers")));
  EXPECT_THAT(Files(), ElementsAre("graph.yaml"));
}

// ---- stdout

TEST_F(CliFaultTest, AStdoutThatCannotBeWrittenDoesNotSpoilTheFilm) {
  const std::string graph = Film("out.mkv", 5);
  for (const Stdout to : {Stdout::kClosed, Stdout::kNoReader, Stdout::kFullDevice}) {
    const Outcome outcome = Sluice({.arguments = {"run", "--force", graph}, .to = to});
    EXPECT_EQ(outcome.exit_code, 0) << ::testing::PrintToString(to) << outcome.err;
    EXPECT_EQ(outcome.signal, 0) << ::testing::PrintToString(to);
    EXPECT_EQ(Frames("out.mkv"), 5u);
    EXPECT_THAT(Files(), ElementsAre("graph.yaml", "out.mkv"));
  }
}

TEST_F(CliFaultTest, AStdoutAndStderrThatAreBothClosedDoNotEndUpInTheFilm) {
  // The first file that is opened would get their numbers.
  const std::string graph = Film("out.mkv", 5);
  const Outcome outcome =
      Sluice({.arguments = {"run", graph}, .to = Stdout::kClosed, .close_stderr = true});
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_EQ(Frames("out.mkv"), 5u);
}

TEST_F(CliFaultTest, AClosedStdoutWithTheReportAskedForIsAFailureThoughTheFilmIsWhole) {
  const std::string graph = Film("out.mkv", 5);
  const Outcome outcome =
      Sluice({.arguments = {"run", "--json", graph}, .to = Stdout::kFullDevice});
  EXPECT_EQ(outcome.exit_code, 1) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr("stdout"));
  EXPECT_EQ(Frames("out.mkv"), 5u);
}

// ---- a full disk

/// A file system of a few kilobytes on the folder `small`, seen by the command alone.
class FullDiskTest : public CliFaultTest {
 protected:
  void SetUp() override {
    CliFaultTest::SetUp();
    mkdir(Path("small").c_str(), 0700);
    for (const char* unshare : {"unshare -m", "unshare -rm"}) {
      unshare_ = unshare;
      if (InSmall("true", 64) == 0) return;
    }
    GTEST_SKIP() << "a small file system needs a mount namespace, which this machine refuses";
  }
  /// Exit status of a shell command with a file system of `kib` in `small`; stderr is in err.txt.
  int InSmall(const std::string& command, int kib) {
    const std::string script = "cd '" + folder_ + "' && " + unshare_ +
                               " sh -c 'mount -t tmpfs -o size=" + std::to_string(kib) +
                               "k small small && { " + command +
                               "; status=$?; ls -A small > left.txt; exit $status; }' 2> err.txt "
                               "> out.txt";
    const int status = system(script.c_str());
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }
  int SluiceInSmall(const std::string& arguments, int kib) {
    return InSmall("\"" + Runfile("engine/cli/sluice") + "\" " + arguments, kib);
  }

  std::string unshare_;
};

TEST_F(FullDiskTest, AFullDiskUnderTheFilmFailsWithItsPathAndLeavesNothing) {
  EXPECT_EQ(SluiceInSmall("run " + Film("small/out.mkv", 100), 256), 1) << Read("err.txt");
  EXPECT_THAT(Read("err.txt"), AllOf(HasSubstr("node 'film'"), HasSubstr("small/out.mkv"),
                                     HasSubstr("No space left on device")));
  EXPECT_EQ(Read("left.txt"), "");
}

TEST_F(FullDiskTest, ADiskThatIsFullOnlyAtTheEndOfTheFilmFailsToo) {
  // Everything is in the muxer's and encoder's memory until the film is closed.
  const std::string graph = Write("graph.yaml", R"(
sluice: 1
nodes:
  source: { type: core.testsrc, size: 64x48, pattern: noise, frames: 20 }
  film: { type: ffmpeg.write, path: small/out.mp4 }
edges: [ source -> film ]
)");
  EXPECT_EQ(SluiceInSmall("run " + graph, 8), 1) << Read("err.txt");
  EXPECT_THAT(Read("err.txt"), HasSubstr("No space left on device"));
  EXPECT_EQ(Read("left.txt"), "");
}

TEST_F(FullDiskTest, AFullDiskUnderTheChecksumsFailsWithTheirPathAndLeavesNothing) {
  const std::string graph = Write("graph.yaml", R"(
sluice: 1
nodes:
  source: { type: core.testsrc, size: 16x16, frames: 3000 }
  sum: { type: core.checksum, path: small/sums.txt }
edges: [ source -> sum ]
)");
  EXPECT_EQ(SluiceInSmall("run " + graph, 16), 1) << Read("err.txt");
  EXPECT_THAT(Read("err.txt"), AllOf(HasSubstr("node 'sum'"), HasSubstr("small/sums.txt"),
                                     HasSubstr("No space left on device")));
  EXPECT_EQ(Read("left.txt"), "");
}

TEST_F(FullDiskTest, AFullDiskUnderTheReportIsAFailureThoughTheFilmIsWhole) {
  const std::string graph = Film("out.mkv", 5);
  EXPECT_EQ(InSmall("head -c 4096 /dev/zero > small/filler; \"" + Runfile("engine/cli/sluice") +
                        "\" run --report small/report.json " + graph,
                    4),
            1);
  EXPECT_THAT(Read("err.txt"), AllOf(HasSubstr("--report"), HasSubstr("No space left on device")));
  EXPECT_EQ(Read("left.txt"), "filler\n");
  EXPECT_EQ(Frames("out.mkv"), 5u);
}

}  // namespace
}  // namespace sluice::testing
