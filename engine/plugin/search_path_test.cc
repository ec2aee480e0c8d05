#include "engine/plugin/search_path.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <map>

namespace sluice::plugin {
namespace {

using ::testing::ElementsAre;

using Environment = std::map<std::string, std::string>;

SearchPathOptions Options(Environment environment, std::vector<std::string> plugin_path = {}) {
  SearchPathOptions options;
  options.plugin_path = std::move(plugin_path);
  options.executable = "/opt/app/bin/sluice";
  options.environment =
      [environment = std::move(environment)](const char* name) -> std::optional<std::string> {
    const auto found = environment.find(name);
    if (found == environment.end()) return std::nullopt;
    return found->second;
  };
  return options;
}

std::vector<std::string> Paths(const SearchPath& path) {
  std::vector<std::string> paths;
  for (const SearchPlace& place : path.places) paths.push_back(place.path);
  return paths;
}

TEST(SearchPathTest, SearchesInTheDocumentedOrder) {
  const SearchPath path = FindSearchPath(Options(
      {{"SLUICE_PLUGIN_PATH", "/env/a:/env/b"}, {"XDG_DATA_HOME", "/data"}, {"HOME", "/home/me"}},
      {"/cli/a:/cli/b", "/cli/c"}));
  EXPECT_THAT(Paths(path),
              ElementsAre("/cli/a", "/cli/b", "/cli/c", "/env/a", "/env/b", "/data/sluice/plugins",
                          "/opt/app/bin/plugins", "/opt/app/lib/sluice/plugins"));
  EXPECT_EQ(path.places[0].origin, SearchOrigin::kCommandLine);
  EXPECT_EQ(path.places[3].origin, SearchOrigin::kEnvironment);
  EXPECT_EQ(path.places[5].origin, SearchOrigin::kUser);
  EXPECT_EQ(path.places[6].origin, SearchOrigin::kExecutable);
  EXPECT_EQ(path.places[7].origin, SearchOrigin::kInstallation);
  EXPECT_TRUE(path.places[4].asked_for);
  EXPECT_FALSE(path.places[5].asked_for);
}

TEST(SearchPathTest, TheUsersFolderIsBelowHomeWithoutXdgDataHome) {
  EXPECT_EQ(Paths(FindSearchPath(Options({{"HOME", "/home/me"}}))).front(),
            "/home/me/.local/share/sluice/plugins");
  EXPECT_EQ(
      Paths(FindSearchPath(Options({{"HOME", "/home/me"}, {"XDG_DATA_HOME", "relative"}}))).front(),
      "/home/me/.local/share/sluice/plugins");
}

TEST(SearchPathTest, EmptyAndRelativeElementsNeverMeanTheWorkingDirectory) {
  const SearchPath path =
      FindSearchPath(Options({{"SLUICE_PLUGIN_PATH", "::plugins:/env:"}, {"HOME", ""}}, {":", ""}));
  EXPECT_THAT(Paths(path),
              ElementsAre("/env", "/opt/app/bin/plugins", "/opt/app/lib/sluice/plugins"));
  ASSERT_EQ(path.refused.size(), 1u);
  EXPECT_EQ(path.refused[0].path, "plugins");
  EXPECT_EQ(path.refused[0].reason, "SLUICE_PLUGIN_PATH may hold only absolute paths");
}

TEST(SearchPathTest, ARelativePathOnTheCommandLineIsTheUsersOwn) {
  const SearchPath path = FindSearchPath(Options({}, {"./here/"}));
  EXPECT_EQ(path.places[0].path, (std::filesystem::current_path() / "here").string());
}

TEST(SearchPathTest, ListsEachPlaceOnceWithItsFirstOrigin) {
  const SearchPath path = FindSearchPath(Options({{"SLUICE_PLUGIN_PATH", "/p/:/p/../p"}}, {"/p"}));
  EXPECT_THAT(Paths(path),
              ElementsAre("/p", "/opt/app/bin/plugins", "/opt/app/lib/sluice/plugins"));
  EXPECT_EQ(path.places[0].origin, SearchOrigin::kCommandLine);
}

TEST(SearchPathTest, FindsTheFamiliesOfNodesInRunfiles) {
  const std::filesystem::path root =
      std::filesystem::path(::testing::TempDir()) / "search_path_runfiles";
  std::filesystem::create_directories(root / "sluice.runfiles/sluice/nodes/vulkan");
  std::filesystem::create_directories(root / "sluice.runfiles/sluice/nodes/core");
  std::filesystem::create_directories(root / "test/sluice/nodes/other");
  SearchPathOptions options = Options({});
  options.executable = (root / "sluice").string();
  const std::string nodes = (root / "sluice.runfiles/sluice/nodes/").string();
  EXPECT_EQ(Paths(FindSearchPath(options))[1], nodes + "core");
  EXPECT_EQ(Paths(FindSearchPath(options))[2], nodes + "vulkan");
  // The tree of the test that runs it comes first: it is of this build.
  options = Options({{"TEST_SRCDIR", (root / "test").string()}});
  options.executable = (root / "sluice").string();
  EXPECT_EQ(Paths(FindSearchPath(options))[1], (root / "test/sluice/nodes/other").string());
}

TEST(SearchPathTest, EveryOriginHasAName) {
  for (const SearchOrigin origin :
       {SearchOrigin::kCommandLine, SearchOrigin::kEnvironment, SearchOrigin::kUser,
        SearchOrigin::kExecutable, SearchOrigin::kInstallation}) {
    EXPECT_STRNE(SearchOriginName(origin), "unknown");
  }
}

}  // namespace
}  // namespace sluice::plugin
