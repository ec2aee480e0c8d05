#include "tests/conformance/conformance.h"

#include <dirent.h>
#include <dlfcn.h>

#include <algorithm>
#include <cstring>
#include <utility>

namespace sluice::conformance {
namespace {

using sdk::testing::HeldFrame;
using sdk::testing::kNotRunnable;

int CountFds() {
  int count = 0;
  DIR* folder = opendir("/proc/self/fd");
  while (folder != nullptr && readdir(folder) != nullptr) ++count;
  if (folder != nullptr) closedir(folder);
  return count;
}

}  // namespace

std::string NameOf(const testing::TestParamInfo<Subject>& info) {
  std::string name = info.param.type;
  std::replace_if(
      name.begin(), name.end(), [](unsigned char c) { return std::isalnum(c) == 0; }, '_');
  return name;
}

void ConformanceTest::SetUp() {
  // Never closed: a plugin stays for the life of the process, as in the engine.
  void* library = dlopen(GetParam().plugin.c_str(), RTLD_NOW | RTLD_LOCAL);
  ASSERT_NE(library, nullptr) << dlerror();
  entry_ = static_cast<const sluice_entry*>(dlsym(library, "sluice_plugin"));
  ASSERT_NE(entry_, nullptr) << dlerror();
}

std::unique_ptr<NodeRunner> ConformanceTest::Make() const {
  return std::make_unique<NodeRunner>(*entry_, GetParam().type.c_str(), GetParam().parameters());
}

void ConformanceTest::Advance(NodeRunner& runner, Stage stage) const {
  ASSERT_EQ(runner.created(), SLUICE_OK) << runner.error();
  if (stage == Stage::kCreated) return;
  ASSERT_EQ(runner.Probe(), SLUICE_OK) << runner.error();
  GetParam().ports(runner);
  if (stage == Stage::kProbed) return;
  ASSERT_EQ(runner.Configure(), SLUICE_OK) << runner.error();
  if (stage == Stage::kConfigured) return;
  ASSERT_EQ(runner.Start(), SLUICE_OK) << runner.error();
  if (stage == Stage::kStarted) return;
  const int32_t fed = Feed(runner, GetParam().frames);
  ASSERT_GE(fed, 0) << runner.error();
  if (stage == Stage::kFed) return;
  if (fed != SLUICE_PROCESS_END && runner.node().process != nullptr) {
    ASSERT_EQ(runner.Drain(), SLUICE_PROCESS_END) << runner.error();
  }
  if (stage == Stage::kDrained) return;
  runner.Stop();
  if (stage == Stage::kStopped) return;
  // Into configured and active once more. An output file may exist by now.
  runner.set_overwrite(true);
  ASSERT_EQ(runner.Configure(), SLUICE_OK) << runner.error();
  ASSERT_EQ(runner.Start(), SLUICE_OK) << runner.error();
}

int32_t ConformanceTest::Feed(NodeRunner& runner, int frames) const {
  int32_t result = SLUICE_PROCESS_DONE;
  for (int i = 0; i < frames && runner.node().process != nullptr; ++i) {
    const int64_t tick = fed_[&runner]++;
    std::vector<HeldFrame> inputs;
    for (uint32_t port = 0; port < runner.input_count(); ++port) {
      HeldFrame frame = runner.NewFrame(port);
      if (!frame) return kNotRunnable;  // the node keeps more than it was given buffers for
      for (uint32_t plane = 0; plane < frame.planes(); ++plane) *frame.Row(plane, 0) = 77;
      frame.Info().sequence = static_cast<uint64_t>(tick);
      frame.Info().pts_ns = tick * 40'000'000;
      frame.Info().pts_ticks = tick;
      frame.Info().duration_ticks = 1;
      frame.Info().time_base_num = 1;
      frame.Info().time_base_den = 25;
      if (GetParam().fill) GetParam().fill(frame);
      inputs.push_back(std::move(frame));
    }
    result = runner.Process(std::move(inputs));
    if (result == SLUICE_PROCESS_ASYNC) result = runner.WaitComplete();
    for (uint32_t port = 0; port < runner.output_count(); ++port) {
      while (runner.Take(port)) {
      }
    }
    if (result < 0 || result == SLUICE_PROCESS_END) return result;
  }
  return result;
}

void ConformanceTest::ExpectClean(NodeRunner& runner, const std::string& where) {
  EXPECT_EQ(runner.Leaked(), 0u) << where;
  for (const std::string& violation : runner.violations()) ADD_FAILURE() << where << violation;
}

TEST_P(ConformanceTest, IsListedByItsFactory) {
  const auto* factory =
      static_cast<const sluice_node_factory*>(entry_->get_factory(SLUICE_NODE_FACTORY_ID));
  ASSERT_NE(factory, nullptr);
  bool listed = false;
  for (uint32_t i = 0; i < factory->count(); ++i) listed |= GetParam().type == factory->type_id(i);
  EXPECT_TRUE(listed);
  EXPECT_EQ(factory->type_id(factory->count()), nullptr);
  EXPECT_EQ(entry_->get_factory("sluice.no-such-factory/1"), nullptr);
}

TEST_P(ConformanceTest, ItsPluginRefusesATypeThatItDoesNotMake) {
  NodeRunner runner(*entry_, "no.such-type");
  EXPECT_EQ(runner.created(), SLUICE_E_NOT_FOUND);
}

TEST_P(ConformanceTest, ItsPluginRefusesAHostOfAnotherAbi) {
  sdk::testing::FakeHost host;
  host.SetVersion({SLUICE_ABI_MAJOR + 1, 0});
  EXPECT_EQ(entry_->init(host.c()), SLUICE_E_UNSUPPORTED);
}

TEST_P(ConformanceTest, SurvivesDestroyInEveryState) {
  const int step = GetParam().costly ? 3 : 1;  // created, started, stopped
  for (int stage = 0; stage <= static_cast<int>(Stage::kRestarted); stage += step) {
    SCOPED_TRACE("stage " + std::to_string(stage));
    const auto runner = Make();
    ASSERT_NO_FATAL_FAILURE(Advance(*runner, static_cast<Stage>(stage)));
    if (stage >= static_cast<int>(Stage::kStarted)) runner->Stop(false);
    runner->Destroy();
    ExpectClean(*runner, "");
  }
}

TEST_P(ConformanceTest, GivesEveryLeaseBackByStop) {
  const auto runner = Make();
  ASSERT_NO_FATAL_FAILURE(Advance(*runner, Stage::kFed));
  runner->Stop(false);
  ExpectClean(*runner, "after stop");
}

TEST_P(ConformanceTest, RunsAgainAfterAStop) {
  const auto runner = Make();
  ASSERT_NO_FATAL_FAILURE(Advance(*runner, Stage::kRestarted));
  EXPECT_GE(Feed(*runner, 2), 0) << runner->error();
  runner->Stop(false);
  ExpectClean(*runner, "");
}

TEST_P(ConformanceTest, IsConfiguredTwiceWhenAPlanIsSolvedAgain) {
  const auto runner = Make();
  ASSERT_NO_FATAL_FAILURE(Advance(*runner, Stage::kConfigured));
  ASSERT_EQ(runner->Configure(), SLUICE_OK) << runner->error();
  ASSERT_EQ(runner->Start(), SLUICE_OK) << runner->error();
  EXPECT_GE(Feed(*runner, 2), 0) << runner->error();
}

TEST_P(ConformanceTest, RefusesFormatsThatItDoesNotTakeAndSaysWhy) {
  for (const sluice_format& format : GetParam().refused) {
    const auto runner = Make();
    ASSERT_NO_FATAL_FAILURE(Advance(*runner, Stage::kProbed));
    runner->SetFormat(runner->input_count() > 0 ? SLUICE_PORT_INPUT : SLUICE_PORT_OUTPUT, 0,
                      format);
    EXPECT_LT(runner->Configure(), 0);
    EXPECT_LT(runner->error_code(), 0);
    EXPECT_NE(runner->error(), "");
    runner->Destroy();
    ExpectClean(*runner, "");
  }
}

TEST_P(ConformanceTest, RefusesToBeLeftWithoutItsPorts) {
  const auto runner = Make();
  ASSERT_NO_FATAL_FAILURE(Advance(*runner, Stage::kProbed));
  runner->DisconnectAll();
  // A type that looks at no port may accept it; nothing may break.
  runner->Configure();
  runner->Destroy();
  ExpectClean(*runner, "");
}

TEST_P(ConformanceTest, LeaksNoFdAndNoTimelineOverItsWholeLife) {
  const auto live = [&] {
    const auto runner = Make();
    ASSERT_NO_FATAL_FAILURE(Advance(*runner, Stage::kStopped));
    runner->Destroy();
  };
  ASSERT_NO_FATAL_FAILURE(live());  // what a library keeps from its first use is no leak
  const int fds = CountFds();
  const int timelines = sdk::testing::FakeHost::LiveTimelines();
  const int lives = GetParam().costly ? 1 : 3;
  for (int i = 0; i < lives; ++i) ASSERT_NO_FATAL_FAILURE(live());
  EXPECT_EQ(CountFds(), fds);
  EXPECT_EQ(sdk::testing::FakeHost::LiveTimelines(), timelines);
}

TEST_P(ConformanceTest, WaitsWhenNoBufferIsFreeAndGoesOnAfterwards) {
  const auto runner = Make();
  ASSERT_NO_FATAL_FAILURE(Advance(*runner, Stage::kStarted));
  if (runner->node().process == nullptr) return;
  runner->set_refuse_acquire(true);
  EXPECT_GE(Feed(*runner, 1), 0) << runner->error();
  runner->set_refuse_acquire(false);
  EXPECT_GE(Feed(*runner, GetParam().frames), 0) << runner->error();
  runner->Stop(false);
  ExpectClean(*runner, "");
}

TEST_P(ConformanceTest, TwoOfATypeDoNotDisturbEachOther) {
  if (GetParam().exclusive) GTEST_SKIP() << "its device is for one alone";
  const auto one = Make();
  const auto two = Make();
  ASSERT_NO_FATAL_FAILURE(Advance(*one, Stage::kStarted));
  ASSERT_NO_FATAL_FAILURE(Advance(*two, Stage::kStarted));
  EXPECT_GE(Feed(*one, 2), 0);
  EXPECT_GE(Feed(*two, 2), 0);
  one->Stop(false);
  one->Destroy();
  EXPECT_GE(Feed(*two, 2), 0);
  two->Stop(false);
  ExpectClean(*one, "");
  ExpectClean(*two, "");
}

}  // namespace sluice::conformance
