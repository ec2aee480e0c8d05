#include "engine/plugin/loader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "engine/plugin/host.h"
#include "engine/plugin/registry.h"

namespace sluice::plugin {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

/// The folder with the fixtures, or the same folder's file `name`.
std::string Fixtures(const std::string& name = "") {
  const char* runfiles = std::getenv("TEST_SRCDIR");
  const std::string folder =
      std::string(runfiles != nullptr ? runfiles : ".") + "/sluice/tests/abi";
  return name.empty() ? folder : folder + "/" + name;
}

Registry Scan(std::vector<std::string> paths) {
  SearchPath path;
  for (std::string& p : paths)
    path.places.push_back({std::move(p), SearchOrigin::kCommandLine, true});
  return Registry::Scan(path);
}

/// Why the plugin `name` is refused when its first node type is asked for; "" if it is not.
std::string Refusal(const std::string& name) {
  const Registry registry = Scan({Fixtures(name + ".so")});
  if (!registry.failed().empty()) return "scan: " + registry.failed()[0].reason;
  Loader loader(&registry, Host());
  const auto maker = loader.FindNode(name + ".one");
  if (maker) return "";
  const std::string prefix = Fixtures(name + ".so") + ": ";
  EXPECT_EQ(maker.error().message.substr(0, prefix.size()), prefix);
  return maker.error().message.substr(prefix.size());
}

TEST(LoaderTest, LoadsAPluginThatIsWhatItSays) {
  const Registry registry = Scan({Fixtures("good.so")});
  ASSERT_THAT(registry.failed(), IsEmpty());
  Loader loader(&registry, Host());
  const auto maker = loader.FindNode("good.two");
  ASSERT_TRUE(maker) << maker.error().message;
  EXPECT_EQ(maker->type_id, "good.two");
  EXPECT_EQ(maker->file, "");
  EXPECT_EQ(maker->plugin, registry.FindPlugin("good"));
  EXPECT_STREQ(maker->factory->type_id(1), "good.two");
  const auto domain = loader.FindDomain("good");
  ASSERT_TRUE(domain) << domain.error().message;
  EXPECT_STREQ(domain->factory->domain_id(0), "good");
  EXPECT_THAT(loader.CheckAll(), IsEmpty());
}

TEST(LoaderTest, InitialisesAPluginOnceHoweverManyLoadersThereAre) {
  const Registry registry = Scan({Fixtures("good.so")});
  for (int i = 0; i < 2; ++i) {
    Loader loader(&registry, Host());
    const auto maker = loader.FindNode("good.one");
    ASSERT_TRUE(maker) << maker.error().message;
    // The fixture's answer: 10 * calls of init() + calls of deinit().
    EXPECT_EQ(maker->factory->create(Host(), "good.one", nullptr, nullptr, nullptr), 10);
  }
  const sluice_host other = *Host();
  Loader loader(&registry, &other);
  const auto maker = loader.FindNode("good.one");
  ASSERT_FALSE(maker);
  EXPECT_THAT(maker.error().message, HasSubstr("initialised for another host"));
}

TEST(LoaderTest, DeinitialisesAtTheEnd) {
  // A copy: other tests of this process go on to use the original.
  const std::string copy = ::testing::TempDir() + "/good_copy.so";
  fs::copy_file(Fixtures("good.so"), copy, fs::copy_options::overwrite_existing);
  const Registry registry = Scan({copy});
  Loader loader(&registry, Host());
  const auto maker = loader.FindNode("good.one");
  ASSERT_TRUE(maker) << maker.error().message;
  DeinitPlugins();
  EXPECT_EQ(maker->factory->create(Host(), "good.one", nullptr, nullptr, nullptr), 11);
}

TEST(LoaderTest, NamesBothVersionsOfTheAbi) {
  EXPECT_EQ(Refusal("abi_major"), "was built for plugin ABI 7.3; this engine has 0.2");
  EXPECT_EQ(Refusal("abi_minor"), "was built for plugin ABI 0.3; this engine has 0.2");
}

TEST(LoaderTest, RefusesAManifestThatIsNotTheCodes) {
  EXPECT_THAT(Refusal("other_hash"),
              HasSubstr("was built with another manifest: the code says 0123456789abcdef"));
}

TEST(LoaderTest, RefusesTypesWithoutFactoryAndFactoriesWithoutType) {
  EXPECT_EQ(Refusal("too_few_factories"),
            "declares the node type 'too_few_factories.two', but has no factory for it");
  EXPECT_EQ(Refusal("too_many_factories"),
            "has a factory for the node type 'too_many_factories.two', which its manifest does not "
            "declare");
  EXPECT_EQ(Refusal("no_factory"),
            "declares the node type 'no_factory.one', but has no factory for it");
}

TEST(LoaderTest, RefusesDomainsWithoutFactoryAndFactoriesWithoutDomain) {
  EXPECT_EQ(Refusal("no_domain_factory"),
            "declares the domain 'no_domain_factory', but has no factory for it");
  EXPECT_EQ(Refusal("hidden_domain"),
            "has a factory for the domain 'hidden_domain', which its manifest does not declare");
}

TEST(LoaderTest, RefusesBrokenFactories) {
  EXPECT_EQ(Refusal("small_factory"), "has a node type factory of 8 bytes; at least 32 are needed");
  EXPECT_EQ(Refusal("twice"), "has a node type factory that lists 'twice.one' twice");
  EXPECT_EQ(Refusal("nameless"), "has a node type factory without a name for entry 0");
  EXPECT_EQ(Refusal("endless"), "has a node type factory that counts 4294967295 entries");
}

TEST(LoaderTest, RefusesALibraryWithoutAnEntry) {
  EXPECT_EQ(Refusal("no_entry"), "exports no symbol sluice_plugin: it is not a plugin");
  EXPECT_EQ(Refusal("entry_is_function"), "exports a symbol sluice_plugin that is no sluice_entry");
}

TEST(LoaderTest, SaysWhatInitReturned) {
  EXPECT_EQ(Refusal("init_fails"), "its init() failed: device-lost (-6)");
  // Also the second time, without calling it again.
  EXPECT_EQ(Refusal("init_fails"), "its init() failed: device-lost (-6)");
}

TEST(LoaderTest, TheScanRefusesWhatHasNoManifestOrABadOne) {
  EXPECT_EQ(Refusal("no_plugin"), "scan: has no section .sluice.manifest");
  EXPECT_THAT(Refusal("syntax"), HasSubstr(Fixtures("syntax.so") + "(.sluice.manifest):"));
  EXPECT_THAT(Refusal("unknown_key"),
              AllOf(HasSubstr("(.sluice.manifest):6:5: error: unknown key 'prots'"),
                    HasSubstr("did you mean 'ports'?")));
}

TEST(LoaderTest, TheScanRefusesASecondPluginWithATypeThatIsTaken) {
  const Registry registry = Scan({Fixtures("good.so"), Fixtures("later_same_type.so")});
  ASSERT_EQ(registry.failed().size(), 1u);
  EXPECT_EQ(registry.failed()[0].path, Fixtures("later_same_type.so"));
  EXPECT_EQ(registry.failed()[0].reason, "the node type 'good.two' of " +
                                             Fixtures("later_same_type.so") +
                                             " is already that of " + Fixtures("good.so"));
}

TEST(LoaderTest, CheckAllListsEveryRefusalOfAFolder) {
  const Registry registry = Scan({Fixtures()});
  EXPECT_EQ(registry.failed().size(), 4u);  // no_plugin, syntax, unknown_key, later_same_type
  Loader loader(&registry, Host());
  const auto failed = loader.CheckAll();
  EXPECT_EQ(failed.size(), registry.plugins().size() - 1);  // All but `good`.
  for (const FailedPlugin& plugin : failed) {
    EXPECT_NE(plugin.path, Fixtures("good.so"));
    EXPECT_THAT(plugin.reason, ::testing::Not(HasSubstr(plugin.path)));
  }
}

TEST(LoaderTest, RefusesALibraryThatWasReplacedAfterTheScan) {
  const std::string path = ::testing::TempDir() + "/replaced.so";
  fs::copy_file(Fixtures("good.so"), path, fs::copy_options::overwrite_existing);
  const Registry registry = Scan({path});
  fs::remove(path);
  fs::copy_file(Fixtures("twice.so"), path);
  Loader loader(&registry, Host());
  const auto maker = loader.FindNode("good.one");
  ASSERT_FALSE(maker);
  EXPECT_EQ(maker.error().message, path + ": was changed since its manifest was read");
}

TEST(LoaderTest, UnknownNamesAreNotFound) {
  const Registry registry = Scan({Fixtures("good.so")});
  Loader loader(&registry, Host());
  EXPECT_EQ(loader.FindNode("good.three").error().code, Code::kNotFound);
  EXPECT_EQ(loader.FindDomain("vulkan").error().code, Code::kNotFound);
}

TEST(LoaderTest, ATypeWithoutCodeIsMadeByTheOneThatImplementsIt) {
  const fs::path folder = fs::path(::testing::TempDir()) / "no_code";
  fs::create_directories(folder);
  std::ofstream(folder / "gain.comp") << "void main() {}\n";
  std::ofstream(folder / "gain.sluice.yaml")
      << "sluice_manifest: 1\nplugin: {name: gain, version: 1}\nnodes:\n"
         "  x.gain:\n    doc: D.\n    ports: {in: {direction: input, offers: [{}]}}\n"
         "    implementation: {good.one: gain.comp}\n"
         "  x.lost:\n    doc: D.\n    ports: {in: {direction: input, offers: [{}]}}\n"
         "    implementation: {vulkan.nothing: gain.comp}\n";
  const Registry registry = Scan({Fixtures("good.so"), folder.string()});
  ASSERT_THAT(registry.failed(), IsEmpty());
  Loader loader(&registry, Host());
  const auto maker = loader.FindNode("x.gain");
  ASSERT_TRUE(maker) << maker.error().message;
  EXPECT_EQ(maker->type_id, "good.one");
  EXPECT_EQ(maker->file, (folder / "gain.comp").string());
  EXPECT_EQ(maker->plugin->manifest.name, "good");
  EXPECT_EQ(
      loader.FindNode("x.lost").error().message,
      "'x.lost' is implemented by the node type 'vulkan.nothing', which no plugin with code has");
}

TEST(FirstPartyPluginsTest, AreFoundInTheRunfilesAndPassEveryGate) {
  SearchPathOptions options;
  options.plugin_path = {Fixtures("../../plugins/examples")};
  const Registry registry = Registry::Scan(FindSearchPath(options));
  for (const char* type : {"core.testsrc", "ffmpeg.read", "vulkan.look", "example.invert",
                           "example.counter", "example.gain"}) {
    EXPECT_NE(registry.Find(type), nullptr) << type;
  }
  for (const FailedPlugin& plugin : registry.failed())
    ADD_FAILURE() << plugin.path << ": " << plugin.reason;
  Loader loader(&registry, Host());
  for (const FailedPlugin& plugin : loader.CheckAll())
    ADD_FAILURE() << plugin.path << ": " << plugin.reason;
  // Who implements the types without code is there, too.
  for (const std::string& type : registry.Names()) {
    const auto maker = loader.FindNode(type);
    EXPECT_TRUE(maker) << type << ": " << maker.error().message;
  }
}

}  // namespace
}  // namespace sluice::plugin
