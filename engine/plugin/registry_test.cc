#include "engine/plugin/registry.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "engine/plugin/sha256.h"
#include "engine/plugin/testing/elf_image.h"

namespace sluice::plugin {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::string ManifestText(const std::string& plugin, const std::string& type,
                         const std::string& more = "") {
  return "sluice_manifest: 1\nplugin: {name: " + plugin + ", version: 1}\nnodes:\n  " + type +
         ":\n    doc: Text.\n    ports: {in: {direction: input, offers: [{}]}}\n" + more;
}

/// A folder of its own for each test.
class RegistryTest : public ::testing::Test {
 protected:
  RegistryTest()
      : root_(fs::path(::testing::TempDir()) /
              (std::string("registry_") +
               ::testing::UnitTest::GetInstance()->current_test_info()->name())) {
    fs::create_directories(root_);
  }
  ~RegistryTest() override { fs::remove_all(root_); }

  std::string Path(const std::string& name) const { return (root_ / name).string(); }
  std::string Write(const std::string& name, const std::string& bytes) const {
    fs::create_directories((root_ / name).parent_path());
    std::ofstream(root_ / name, std::ios::binary) << bytes;
    return Path(name);
  }
  std::string WriteLibrary(const std::string& name, const std::string& manifest) const {
    return Write(name, testing::LibraryWithManifest(manifest));
  }
  Registry Scan(const std::vector<std::string>& names) const {
    SearchPath path;
    for (const std::string& name : names)
      path.places.push_back({Path(name), SearchOrigin::kCommandLine, true});
    return Registry::Scan(path);
  }

  fs::path root_;
};

TEST_F(RegistryTest, FindsLibrariesByTheirManifestsAlone) {
  const std::string text = ManifestText("a", "a.node", "domains: {dev: {doc: D.}}\n");
  const std::string path = WriteLibrary("p/a.so", text);
  WriteLibrary("p/b.so", ManifestText("b", "b.node"));
  const Registry registry = Scan({"p"});
  EXPECT_THAT(registry.failed(), IsEmpty());
  EXPECT_THAT(registry.Names(), ElementsAre("a.node", "b.node"));
  EXPECT_THAT(registry.DomainNames(), ElementsAre("dev"));
  ASSERT_NE(registry.Find("a.node"), nullptr);
  EXPECT_EQ(registry.Find("a.node")->plugin, "a");
  EXPECT_EQ(registry.Find("a.nod"), nullptr);
  const PluginInfo* plugin = registry.PluginOfType("a.node");
  ASSERT_NE(plugin, nullptr);
  EXPECT_EQ(plugin, registry.FindPlugin("a"));
  EXPECT_EQ(plugin, registry.PluginOfDomain("dev"));
  EXPECT_EQ(plugin->path, path);
  EXPECT_EQ(plugin->folder, Path("p"));
  EXPECT_TRUE(plugin->has_code);
  EXPECT_EQ(plugin->origin, SearchOrigin::kCommandLine);
  EXPECT_EQ(plugin->manifest_hash, ManifestHash(text));
  EXPECT_EQ(plugin->manifest_sha256, Sha256Hex(text));
}

TEST_F(RegistryTest, PointersOutliveAMove) {
  WriteLibrary("p/a.so", ManifestText("a", "a.node"));
  Registry registry = Scan({"p"});
  const graph::NodeType* type = registry.Find("a.node");
  const Registry moved = std::move(registry);
  EXPECT_EQ(moved.Find("a.node"), type);
}

TEST_F(RegistryTest, FindsFoldersWithAManifestAndNoCode) {
  Write("p/gain/gain.comp", "void main() {}");
  Write("p/gain/gain.sluice.yaml",
        ManifestText("gain", "x.gain", "    implementation: {vulkan.shader: gain.comp}\n"));
  const Registry registry = Scan({"p"});
  EXPECT_THAT(registry.failed(), IsEmpty());
  const PluginInfo* plugin = registry.PluginOfType("x.gain");
  ASSERT_NE(plugin, nullptr);
  EXPECT_FALSE(plugin->has_code);
  EXPECT_EQ(plugin->folder, Path("p/gain"));
  EXPECT_EQ(registry.FindNode("x.gain")->implementation.file, "gain.comp");
}

TEST_F(RegistryTest, AFolderOrAFileCanBeNamedItself) {
  Write("gain/gain.comp", "");
  Write("gain/gain.sluice.yaml",
        ManifestText("gain", "x.gain", "    implementation: {vulkan.shader: gain.comp}\n"));
  WriteLibrary("a.so", ManifestText("a", "a.node"));
  EXPECT_THAT(Scan({"gain", "a.so"}).Names(), ElementsAre("a.node", "x.gain"));
}

TEST_F(RegistryTest, AManifestBesideItsLibraryIsNotASecondPlugin) {
  WriteLibrary("p/a.so", ManifestText("a", "a.node"));
  Write("p/a.sluice.yaml", ManifestText("a", "a.node"));
  const Registry registry = Scan({"p"});
  EXPECT_THAT(registry.failed(), IsEmpty());
  EXPECT_EQ(registry.plugins().size(), 1u);
}

TEST_F(RegistryTest, RefusesPluginsWithoutCodeThatNeedSome) {
  Write("p/a/a.sluice.yaml", ManifestText("a", "a.node"));
  Write("p/b/b.sluice.yaml",
        ManifestText("b", "b.node", "    implementation: {vulkan.shader: gone.comp}\n"));
  WriteLibrary("p/c.so",
               ManifestText("c", "c.node", "    implementation: {vulkan.shader: c.comp}\n"));
  const Registry registry = Scan({"p"});
  ASSERT_EQ(registry.failed().size(), 3u);
  EXPECT_EQ(registry.failed()[0].reason,
            "'a.node' has no `implementation`, which a plugin without code needs");
  EXPECT_EQ(registry.failed()[1].reason,
            "'b.node' is implemented by " + Path("p/b/gone.comp") + ", which is not a file");
  EXPECT_EQ(registry.failed()[2].reason,
            "'c.node' has an `implementation`, which is for plugins without code");
}

TEST_F(RegistryTest, OfTwoPluginsWithOneTypeTheFirstWins) {
  const std::string first = WriteLibrary("1/x.so", ManifestText("a", "x.node"));
  const std::string second = WriteLibrary("2/x.so", ManifestText("b", "x.node"));
  const Registry registry = Scan({"1", "2"});
  EXPECT_EQ(registry.PluginOfType("x.node")->path, first);
  ASSERT_EQ(registry.failed().size(), 1u);
  EXPECT_EQ(registry.failed()[0].path, second);
  EXPECT_EQ(registry.failed()[0].reason,
            "the node type 'x.node' of " + second + " is already that of " + first);
}

TEST_F(RegistryTest, OfTwoPluginsWithOneNameOrDomainTheFirstWins) {
  WriteLibrary("1/x.so", ManifestText("a", "a.node", "domains: {dev: {doc: D.}}\n"));
  WriteLibrary("2/x.so", ManifestText("a", "b.node"));
  WriteLibrary("3/x.so", ManifestText("c", "c.node", "domains: {dev: {doc: D.}}\n"));
  const Registry registry = Scan({"1", "2", "3"});
  ASSERT_EQ(registry.failed().size(), 2u);
  EXPECT_THAT(registry.failed()[0].reason, HasSubstr("the plugin name 'a' of " + Path("2/x.so")));
  EXPECT_THAT(registry.failed()[1].reason, HasSubstr("the domain 'dev' of " + Path("3/x.so")));
  EXPECT_THAT(registry.Names(), ElementsAre("a.node"));
}

TEST_F(RegistryTest, OneFileThroughTwoLinksIsOnePlugin) {
  WriteLibrary("1/x.so", ManifestText("a", "x.node"));
  fs::create_directories(root_ / "2");
  fs::create_symlink(root_ / "1/x.so", root_ / "2/x.so");
  const Registry registry = Scan({"1", "2"});
  EXPECT_THAT(registry.failed(), IsEmpty());
  EXPECT_EQ(registry.plugins().size(), 1u);
}

TEST_F(RegistryTest, SaysWhyAFileIsNoPlugin) {
  Write("p/a.so", "INPUT(libfoo.so.1)\n");
  testing::Elf64Image image;
  image.Finish();
  Write("p/b.so", image.Bytes());
  WriteLibrary("p/c.so", "sluice_manifest: 1\nplugin: [\n");
  Write("p/notes.txt", "ignored");
  const Registry registry = Scan({"p"});
  ASSERT_EQ(registry.failed().size(), 3u);
  EXPECT_EQ(registry.failed()[0].path, Path("p/a.so"));
  EXPECT_EQ(registry.failed()[0].reason, "is not an ELF file (wrong first bytes)");
  EXPECT_EQ(registry.failed()[1].reason, "has no section .sluice.manifest");
  EXPECT_THAT(registry.failed()[2].reason, HasSubstr(Path("p/c.so") + "(.sluice.manifest):"));
  EXPECT_THAT(registry.plugins(), IsEmpty());
}

TEST_F(RegistryTest, APlaceThatWasAskedForMustBeThere) {
  SearchPath path;
  path.places.push_back({Path("asked"), SearchOrigin::kCommandLine, true});
  path.places.push_back({Path("default"), SearchOrigin::kUser, false});
  path.refused.push_back({"relative", "because"});
  const Registry registry = Registry::Scan(path);
  ASSERT_EQ(registry.failed().size(), 2u);
  EXPECT_EQ(registry.failed()[0].reason, "because");
  EXPECT_EQ(registry.failed()[1].path, Path("asked"));
  EXPECT_EQ(registry.failed()[1].reason, "No such file or directory");
}

TEST_F(RegistryTest, DoesNotLookForLibrariesInSubfolders) {
  WriteLibrary("p/parts/x.so", ManifestText("a", "x.node"));
  const Registry registry = Scan({"p"});
  EXPECT_THAT(registry.plugins(), IsEmpty());
  EXPECT_THAT(registry.failed(), IsEmpty());
}

}  // namespace
}  // namespace sluice::plugin
