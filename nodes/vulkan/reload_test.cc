// A user's shader that is written while frames run: each frame is made by the old text or the new
// one, none is lost, and a text that does not compile changes nothing.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <filesystem>
#include <fstream>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "nodes/vulkan/island_testing.h"
#include "nodes/vulkan/reloader.h"

namespace sluice::vulkan::testing {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds kLimit{120};
const sluice_format kFormat = MakeFormat(SLUICE_FORMAT_AB24, 64, 32);

std::string Grey(int code) {
  return "vec3 shade(vec3 color, ivec2 position) { return vec3(" + std::to_string(code) +
         ".0 / 255.0); }\n";
}

class ReloadTest : public IslandTest {
 protected:
  void SetUp() override {
    folder_ =
        fs::path(::testing::TempDir()) /
        (std::string("reload-") + ::testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::create_directories(folder_);
    path_ = folder_ / "filter.glsl";
    IslandTest::SetUp();
  }

  static void Write(const fs::path& path, const std::string& text) {
    std::ofstream(path, std::ios::trunc) << text;
  }
  /// As most editors do.
  static void Replace(const fs::path& path, const std::string& text) {
    const fs::path beside = path.string() + "~new";
    Write(beside, text);
    fs::rename(beside, path);
  }

  TestNode& AddShader(const fs::path& path) {
    paths_.push_back(path.string());
    return Add("vulkan.shader", {Text("shader", paths_.back().c_str()), Flag("reload", true)},
               kFormat, kFormat);
  }

  /// Sends one frame through and returns the code of all its pixels.
  int Frame() {
    Picture picture(kFormat);
    Fill(picture, Pattern::kNoise);
    const Picture got = RunOnce(picture);
    const uint8_t* const first = got.plane(0);
    for (uint64_t y = 0; y < got.height(); ++y) {
      for (uint64_t x = 0; x < got.width(); ++x) {
        const uint8_t* at = got.plane(0) + y * got.stride(0) + 4 * x;
        // A frame of two texts would show here.
        EXPECT_TRUE(at[0] == first[0] && at[1] == first[0] && at[2] == first[0]) << x << "," << y;
        if (::testing::Test::HasFailure()) return -1;
      }
    }
    ++frames_;
    return first[0];
  }
  /// Frames until one is `code`; all before are `before`.
  ::testing::AssertionResult FramesBecome(int before, int code) {
    const auto deadline = Clock::now() + kLimit;
    while (Clock::now() < deadline) {
      const int got = Frame();
      if (got == code) return ::testing::AssertionSuccess();
      if (got != before) return ::testing::AssertionFailure() << "a frame of neither text: " << got;
    }
    return ::testing::AssertionFailure() << "still " << before;
  }
  /// Frames of `code` until the node has said `part`.
  ::testing::AssertionResult FramesStay(int code, const TestNode& node, const std::string& part) {
    const auto deadline = Clock::now() + kLimit;
    while (Clock::now() < deadline) {
      if (const int got = Frame(); got != code)
        return ::testing::AssertionFailure() << "a frame is " << got;
      for (const std::string& log : node.logs()) {
        if (log.find(part) != std::string::npos) return ::testing::AssertionSuccess();
      }
    }
    return ::testing::AssertionFailure() << "it never said " << part;
  }

  fs::path folder_;
  fs::path path_;
  std::deque<std::string> paths_;  // what the parameters point to
  int frames_ = 0;
};

TEST_F(ReloadTest, ANewTextIsTakenBetweenTwoFrames) {
  Write(path_, Grey(10));
  AddShader(path_);
  ASSERT_EQ(Build(), SLUICE_OK);
  ASSERT_EQ(Frame(), 10);
  Write(path_, Grey(20));
  ASSERT_TRUE(FramesBecome(10, 20));
  Replace(path_, Grey(30));
  ASSERT_TRUE(FramesBecome(20, 30));
  for (int i = 0; i < 20; ++i) ASSERT_EQ(Frame(), 30) << "the old text is back";
  EXPECT_GE(frames_, 23);
}

TEST_F(ReloadTest, ATextThatIsWrittenBeforeTheIslandIsBuiltIsNotOverlooked) {
  Write(path_, Grey(10));
  paths_.push_back(path_.string());
  // Read when the node is made, watched from when it is configured.
  nodes_.push_back(std::make_unique<TestNode>(
      host_, "vulkan.shader",
      std::vector{Text("shader", paths_.back().c_str()), Flag("reload", true)}, domain_.self));
  Write(path_, Grey(20));
  ASSERT_EQ(nodes_.back()->Configure(kFormat, kFormat), SLUICE_OK) << nodes_.back()->error;
  from_ = kFormat;
  formats_.push_back(kFormat);
  ASSERT_EQ(Build(), SLUICE_OK);
  ASSERT_TRUE(FramesBecome(10, 20));
}

TEST_F(ReloadTest, ATextThatDoesNotCompileIsRefusedWithItsPlaceAndTheOldOneStays) {
  Write(path_, Grey(10));
  const TestNode& node = AddShader(path_);
  ASSERT_EQ(Build(), SLUICE_OK);
  ASSERT_EQ(Frame(), 10);
  Write(path_, "vec3 shade(vec3 color, ivec2 position) {\n  return colour;\n}\n");
  ASSERT_TRUE(FramesStay(10, node, "filter.glsl:2: "));
  // What the folder does while an editor saves.
  fs::remove(path_);
  Write(path_, "");
  ASSERT_TRUE(FramesStay(10, node, "filter.glsl: defines no"));
  Write(path_, Grey(40));
  ASSERT_TRUE(FramesBecome(10, 40));
}

TEST_F(ReloadTest, ATextOfAnotherKindIsTakenToo) {
  Write(path_, Grey(10));
  AddShader(path_);
  ASSERT_EQ(Build(), SLUICE_OK);
  ASSERT_EQ(Frame(), 10);
  // From one pixel to any pixel: other passes.
  Replace(path_,
          "vec4 shade(ivec2 position) {\n"
          "  return vec4(vec3(pixel0(position).r * 0.0 + 50.0 / 255.0), 1.0);\n}\n");
  ASSERT_TRUE(FramesBecome(10, 50));
}

TEST_F(ReloadTest, ATextBetweenTwoFiltersThatMovePixelsMayBeginToReadAround) {
  Write(path_, Grey(10));
  Add("vulkan.flip", {}, kFormat, kFormat);
  AddShader(path_);
  Add("vulkan.flip", {}, kFormat, kFormat);
  ASSERT_EQ(Build(), SLUICE_OK);
  ASSERT_EQ(Frame(), 10);
  // From one pass to three, and back.
  Replace(path_,
          "vec4 shade(ivec2 position) {\n"
          "  return vec4(vec3(pixel0(-position).r * 0.0 + 50.0 / 255.0), 1.0);\n}\n");
  ASSERT_TRUE(FramesBecome(10, 50));
  Replace(path_, Grey(20));
  ASSERT_TRUE(FramesBecome(50, 20));
}

TEST_F(ReloadTest, OneOfTwoFusedShadersChangesAlone) {
  const fs::path second = folder_ / "second.glsl";
  Write(path_, Grey(10));
  Write(second, "vec3 shade(vec3 color, ivec2 position) { return color; }\n");
  AddShader(path_);
  AddShader(second);
  ASSERT_EQ(Build(), SLUICE_OK);
  ASSERT_EQ(Frame(), 10);
  Replace(second,
          "vec3 shade(vec3 color, ivec2 position) { return color + vec3(100.0 / 255.0); }\n");
  ASSERT_TRUE(FramesBecome(10, 110));
  Replace(path_, Grey(20));
  ASSERT_TRUE(FramesBecome(110, 120));
}

TEST_F(ReloadTest, WritingOverAndOverWhileFramesRunLosesNone) {
  Write(path_, Grey(1));
  AddShader(path_);
  ASSERT_EQ(Build(), SLUICE_OK);
  constexpr int kTexts = 8;
  std::thread editor([this] {
    for (int i = 2; i <= kTexts; ++i) Replace(path_, Grey(i));
  });
  int last = 1;
  const auto deadline = Clock::now() + kLimit;
  while (last != kTexts && Clock::now() < deadline) {
    const int got = Frame();
    EXPECT_GE(got, last) << "an older text is back";
    if (HasFailure()) break;
    last = got;
  }
  editor.join();
  EXPECT_EQ(last, kTexts);
}

TEST_F(ReloadTest, WhatIsBeingMadeAnewMayBeGivenUp) {
  Write(path_, Grey(10));
  AddShader(path_);
  ASSERT_EQ(Build(), SLUICE_OK);
  ASSERT_EQ(Frame(), 10);
  Replace(path_, Grey(20));
  // The frame that may have asked for a new program is the last one.
  const int last = Frame();
  EXPECT_TRUE(last == 10 || last == 20) << last;
}

// ---- the thread behind it

class Counter final : public ReloadListener {
 public:
  void OnFileChanged() override {
    const std::lock_guard<std::mutex> lock(mutex_);
    ++count_;
    changed_.notify_all();
  }
  bool WaitFor(int count) {
    std::unique_lock<std::mutex> lock(mutex_);
    return changed_.wait_for(lock, kLimit, [&] { return count_ >= count; });
  }
  int count() const {
    const std::lock_guard<std::mutex> lock(mutex_);
    return count_;
  }

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  int count_ = 0;
};

class ReloaderTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(::testing::TempDir()) /
              (std::string("reloader-") +
               ::testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::create_directories(folder_);
  }
  std::string File(const char* name, const std::string& text = "x") const {
    std::ofstream(folder_ / name, std::ios::trunc) << text;
    return (folder_ / name).string();
  }
  /// Returns when all that was written before has been told.
  void Settle(Reloader& reloader) const {
    Counter marker;
    const std::string path = File("marker");
    ASSERT_TRUE(reloader.Watch(path, marker));
    File("marker");
    ASSERT_TRUE(marker.WaitFor(1));
    reloader.Unwatch(marker);
  }
  fs::path folder_;
};

TEST_F(ReloaderTest, OnlyTheFileThatIsWrittenIsTold) {
  Reloader reloader;
  Counter a, b;
  // Both are there before the first is watched: one watch serves a folder.
  const std::string path_a = File("a"), path_b = File("b");
  ASSERT_TRUE(reloader.Watch(path_a, a));
  ASSERT_TRUE(reloader.Watch(path_b, b));
  File("a");
  ASSERT_TRUE(a.WaitFor(1));
  Settle(reloader);
  EXPECT_EQ(b.count(), 0);
  reloader.Unwatch(a);
  reloader.Unwatch(b);
}

TEST_F(ReloaderTest, TwoMayWatchOneFileAndOneMayLeave) {
  Reloader reloader;
  Counter a, b;
  const std::string path = File("shared");
  ASSERT_TRUE(reloader.Watch(path, a));
  ASSERT_TRUE(reloader.Watch(path, b));
  reloader.Unwatch(a);
  File("shared");
  ASSERT_TRUE(b.WaitFor(1));
  EXPECT_EQ(a.count(), 0);
  reloader.Unwatch(b);
}

TEST_F(ReloaderTest, AFolderThatIsNotThereIsAnError) {
  Reloader reloader;
  Counter counter;
  const Status watched = reloader.Watch("/nonexistent/x.glsl", counter);
  ASSERT_FALSE(watched);
  EXPECT_EQ(watched.error().code, SLUICE_E_IO);
  EXPECT_NE(watched.error().message.find("/nonexistent"), std::string::npos);
}

TEST_F(ReloaderTest, AJobThatIsCancelledDoesNotRunAfterwards) {
  Reloader reloader;
  for (int i = 0; i < 100; ++i) {
    bool alive = true;
    ASSERT_TRUE(reloader.Post(&alive, [&alive] { EXPECT_TRUE(alive); }));
    reloader.Cancel(&alive);
    alive = false;
  }
}

TEST_F(ReloaderTest, WhoHasLeftIsNotToldWhileFilesAreWritten) {
  Reloader reloader;
  const std::string path = File("busy");
  std::atomic<bool> stop{false};
  std::thread editor([&] {
    while (!stop.load()) File("busy");
  });
  for (int i = 0; i < 50; ++i) {
    auto counter = std::make_unique<Counter>();
    ASSERT_TRUE(reloader.Watch(path, *counter));
    if (i % 2 == 0) {
      EXPECT_TRUE(counter->WaitFor(1));
    }
    reloader.Unwatch(*counter);
  }
  stop.store(true);
  editor.join();
}

}  // namespace
}  // namespace sluice::vulkan::testing
