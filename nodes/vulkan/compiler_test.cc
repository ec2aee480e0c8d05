// What is kept between runs: whole, of this text and this driver, or as if it were not there.
#include "nodes/vulkan/compiler.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <string>
#include <vector>

namespace sluice::vulkan {
namespace {

namespace fs = std::filesystem;

constexpr char kText[] =
    "#version 460\nlayout(local_size_x = 8) in;\nlayout(std430, binding = 0) buffer B { uint v[]; "
    "};"
    "\nvoid main() { v[gl_GlobalInvocationID.x] += 7u; }\n";
constexpr uint32_t kSpirvMagic = 0x07230203;

using Bytes = std::vector<char>;

Bytes ReadAll(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}
void WriteAll(const fs::path& path, const Bytes& bytes) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

class CompilerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const std::string name = ::testing::UnitTest::GetInstance()->current_test_info()->name();
    cache_ = fs::path(::testing::TempDir()) / ("cache-" + name);
    std::error_code error;
    fs::permissions(cache_, fs::perms::owner_all, error);
    fs::remove_all(cache_, error);
  }

  /// As a process of its own would: nothing in memory. Returns how many texts it had to compile.
  uint64_t Compile(const std::string& text = kText) {
    Compiler compiler(cache_);
    auto spirv = compiler.Compile(text, "test");
    EXPECT_TRUE(spirv) << spirv.error().message;
    if (spirv) {
      EXPECT_EQ(spirv->front(), kSpirvMagic);
      if (first_.empty()) first_ = *spirv;
      EXPECT_EQ(*spirv, first_) << "another SPIR-V than the first time";
    }
    return compiler.compiled();
  }

  /// The one file that is kept.
  fs::path Kept() const {
    std::vector<fs::path> files;
    for (const auto& entry : fs::directory_iterator(cache_ / "shaders"))
      files.push_back(entry.path());
    EXPECT_EQ(files.size(), 1U);
    return files.empty() ? fs::path() : files.front();
  }

  fs::path cache_;
  std::vector<uint32_t> first_;
};

TEST_F(CompilerTest, WhatAnEarlierRunCompiledIsTaken) {
  EXPECT_EQ(Compile(), 1U);
  EXPECT_EQ(Compile(), 0U);
}

TEST_F(CompilerTest, ATextIsCompiledOnceInARun) {
  Compiler compiler(cache_);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(compiler.Compile(kText, "test"));
  EXPECT_EQ(compiler.compiled(), 1U);
}

TEST_F(CompilerTest, WithoutACacheItCompiles) {
  cache_.clear();
  EXPECT_EQ(Compile(), 1U);
  EXPECT_EQ(Compile(), 1U);
}

struct Damage {
  const char* name;
  std::function<void(Bytes&)> apply;
};
void PrintTo(const Damage& damage, std::ostream* out) { *out << damage.name; }

class DamageTest : public CompilerTest, public ::testing::WithParamInterface<Damage> {
 protected:
  void SetUp() override {
    std::string name = GetParam().name;
    cache_ = fs::path(::testing::TempDir()) / ("damaged-" + name);
    fs::remove_all(cache_);
  }
};

TEST_P(DamageTest, ADamagedFileIsCompiledAnewAndWrittenWhole) {
  ASSERT_EQ(Compile(), 1U);
  const fs::path file = Kept();
  const Bytes whole = ReadAll(file);
  ASSERT_GT(whole.size(), 100U);
  Bytes damaged = whole;
  GetParam().apply(damaged);
  ASSERT_NE(damaged, whole);
  WriteAll(file, damaged);
  EXPECT_EQ(Compile(), 1U);
  EXPECT_EQ(ReadAll(file), whole);
  EXPECT_EQ(Compile(), 0U);
}

INSTANTIATE_TEST_SUITE_P(
    All, DamageTest,
    ::testing::Values(Damage{"Empty", [](Bytes& b) { b.clear(); }},
                      Damage{"HalfAHeader", [](Bytes& b) { b.resize(10); }},
                      Damage{"CutOff", [](Bytes& b) { b.resize(b.size() / 2); }},
                      Damage{"LastByteMissing", [](Bytes& b) { b.pop_back(); }},
                      Damage{"OneBitInTheCode", [](Bytes& b) { b[b.size() - 5] ^= 1; }},
                      Damage{"OneBitInTheText", [](Bytes& b) { b[40] ^= 1; }},
                      Damage{"AnotherMagic", [](Bytes& b) { b[0] = 'X'; }},
                      // Must neither be believed nor allocated.
                      Damage{"AHugeLength",
                             [](Bytes& b) { std::fill_n(b.begin() + 16, 8, '\x7f'); }},
                      Damage{"AHugeKey", [](Bytes& b) { std::fill_n(b.begin() + 8, 8, '\x7f'); }},
                      Damage{"Noise", [](Bytes& b) { std::fill(b.begin(), b.end(), '\x5a'); }}),
    [](const auto& instance) { return std::string(instance.param.name); });

TEST_F(CompilerTest, AnotherTextUnderTheSameNameIsNotTaken) {
  ASSERT_EQ(Compile(), 1U);
  const fs::path file = Kept();
  // As if two texts had the same hash.
  const std::string other = std::string(kText) + "// another\n";
  const std::string data = "abcd";
  WriteCached(file, other, reinterpret_cast<const uint8_t*>(data.data()), data.size());
  EXPECT_TRUE(ReadCached(file, other));
  EXPECT_EQ(Compile(), 1U);
  EXPECT_EQ(Compile(), 0U);
}

TEST_F(CompilerTest, ACacheOfAnotherDriverIsNotTaken) {
  const fs::path file = cache_ / "pipelines.bin";
  const std::vector<uint8_t> data(100, 3);
  WriteCached(file, "a GPU\ndriver 1", data.data(), data.size());
  EXPECT_EQ(ReadCached(file, "a GPU\ndriver 1"), data);
  EXPECT_FALSE(ReadCached(file, "a GPU\ndriver 2"));
}

TEST_F(CompilerTest, AFolderInTheFilesPlaceIsNotTaken) {
  ASSERT_EQ(Compile(), 1U);
  const fs::path file = Kept();
  fs::remove(file);
  fs::create_directory(file);
  EXPECT_EQ(Compile(), 1U);
  // It cannot be replaced, and nothing is left beside it.
  EXPECT_EQ(Kept(), file);
}

TEST_F(CompilerTest, AFileWhereTheCacheShouldBeIsNobodysError) {
  WriteAll(cache_, {'x'});
  EXPECT_EQ(Compile(), 1U);
  EXPECT_EQ(Compile(), 1U);
  EXPECT_EQ(ReadAll(cache_), Bytes{'x'});
  fs::remove(cache_);
}

TEST_F(CompilerTest, AFolderThatCannotBeWrittenIsNobodysError) {
  if (geteuid() == 0) GTEST_SKIP() << "root may write everywhere: /proc below has the same";
  ASSERT_TRUE(fs::create_directories(cache_ / "shaders"));
  fs::permissions(cache_ / "shaders", fs::perms::owner_read | fs::perms::owner_exec);
  EXPECT_EQ(Compile(), 1U);
  EXPECT_EQ(Compile(), 1U);
  fs::permissions(cache_ / "shaders", fs::perms::owner_all);
  EXPECT_TRUE(fs::is_empty(cache_ / "shaders"));
}

TEST_F(CompilerTest, AFileSystemThatTakesNoFilesIsNobodysError) {
  // For root too.
  cache_ = "/proc/self/fdinfo";
  EXPECT_EQ(Compile(), 1U);
  EXPECT_EQ(Compile(), 1U);
}

TEST_F(CompilerTest, AFileThatCannotBeReadIsCompiledAnewAndReplaced) {
  if (geteuid() == 0) GTEST_SKIP() << "root may read everything";
  ASSERT_EQ(Compile(), 1U);
  const fs::path file = Kept();
  fs::permissions(file, fs::perms::none);
  EXPECT_EQ(Compile(), 1U);
  EXPECT_EQ(Compile(), 0U);
}

TEST_F(CompilerTest, ATextThatDoesNotCompileIsRefusedAndNothingIsKept) {
  Compiler compiler(cache_);
  const auto spirv = compiler.Compile("#version 460\nvoid main() { nothing; }\n", "broken");
  ASSERT_FALSE(spirv);
  EXPECT_EQ(spirv.error().code, SLUICE_E_INVALID_ARGUMENT);
  EXPECT_NE(spirv.error().message.find("broken:2"), std::string::npos) << spirv.error().message;
  EXPECT_FALSE(fs::exists(cache_));
}

}  // namespace
}  // namespace sluice::vulkan
