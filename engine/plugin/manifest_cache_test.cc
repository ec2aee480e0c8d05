// Trees of manifests that are kept between runs: whole, of this text, or as if they were not there.
#include "engine/plugin/manifest_cache.h"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/plugin/manifest.h"

namespace sluice::plugin {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

constexpr char kFile[] = "/plugins/wide.so(.sluice.manifest)";
constexpr char kText[] = R"(sluice_manifest: 1
plugin: { name: wide, version: 1.2.0, description: One node., license: MIT }
nodes:
  wide.sink:
    doc: Takes frames.
    ports:
      in: { direction: input, access: cpu, doc: Pictures., offers: [{ formats: [AB24], views: [cpu] }] }
)";

class ManifestCacheTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(::testing::TempDir()) /
              ("manifests-" +
               std::string(::testing::UnitTest::GetInstance()->current_test_info()->name()));
    fs::remove_all(folder_);
  }

  Result<Manifest> Parse(const std::string& text = kText) const {
    const ManifestCache cache(folder_.string());
    return ParseManifest(text, kFile, nullptr, &cache);
  }
  std::vector<fs::path> Files() const {
    std::error_code none;
    std::vector<fs::path> files;
    for (const auto& entry : fs::directory_iterator(folder_, none)) files.push_back(entry.path());
    return files;
  }
  bool Knows(const std::string& text = kText) const {
    return ManifestCache(folder_.string()).Find(kFile, text).has_value();
  }

  fs::path folder_;
};

TEST_F(ManifestCacheTest, ATreeThatIsKnownGivesTheSameManifest) {
  const auto first = Parse();
  ASSERT_TRUE(first) << first.error().message;
  ASSERT_TRUE(Knows());
  const auto second = Parse();
  ASSERT_TRUE(second) << second.error().message;
  EXPECT_EQ(second->version, "1.2.0");
  ASSERT_EQ(second->nodes.size(), 1u);
  EXPECT_EQ(second->nodes[0].type.doc, first->nodes[0].type.doc);
}

TEST_F(ManifestCacheTest, AnotherTextOfTheSameFileIsParsedAndReplacesIt) {
  ASSERT_TRUE(Parse());
  std::string newer = kText;
  newer.replace(newer.find("1.2.0"), 5, "1.3.0");
  EXPECT_EQ(Parse(newer).value().version, "1.3.0");
  EXPECT_TRUE(Knows(newer));
  EXPECT_FALSE(Knows());
  EXPECT_EQ(Files().size(), 1u);
}

TEST_F(ManifestCacheTest, ADamagedFileIsAsGoodAsNone) {
  ASSERT_TRUE(Parse());
  const fs::path file = Files().at(0);
  std::ifstream stream(file, std::ios::binary);
  const std::string whole{std::istreambuf_iterator<char>(stream), {}};
  for (size_t at = 0; at < whole.size(); at += 7) {
    std::string damaged = whole;
    damaged[at] = static_cast<char>(damaged[at] ^ 1);
    std::ofstream(file, std::ios::binary | std::ios::trunc) << damaged;
    EXPECT_FALSE(Knows()) << at;
  }
  EXPECT_EQ(Parse().value().version, "1.2.0");
  EXPECT_TRUE(Knows());
}

TEST_F(ManifestCacheTest, AManifestWithAFaultIsFoundFaultyEachTime) {
  std::string faulty = kText;
  faulty.replace(faulty.find("input"), 5, "inptu");
  for (int run = 0; run < 2; ++run) {
    const auto parsed = Parse(faulty);
    ASSERT_FALSE(parsed);
    EXPECT_THAT(parsed.error().message, HasSubstr("7:24"));
  }
  EXPECT_FALSE(Parse("a: [1\n"));
  EXPECT_FALSE(Knows("a: [1\n"));
}

TEST_F(ManifestCacheTest, WithoutAFolderNothingIsKept) {
  const ManifestCache none;
  EXPECT_TRUE(ParseManifest(kText, kFile, nullptr, &none));
  EXPECT_FALSE(none.Find(kFile, kText));
}

TEST_F(ManifestCacheTest, AFolderThatCannotBeMadeIsNobodysError) {
  std::ofstream(folder_.string()) << "a file";
  EXPECT_TRUE(Parse());
  EXPECT_FALSE(Knows());
  fs::remove(folder_);
}

}  // namespace
}  // namespace sluice::plugin
