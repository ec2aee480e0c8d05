#include "engine/plugin/loader.h"

#include <dlfcn.h>
#include <fmt/format.h>
#include <link.h>

#include <cstring>
#include <mutex>
#include <set>

#include "engine/plugin/abi_values.h"
#include "engine/plugin/elf_section.h"
#include "engine/plugin/sha256.h"
#include "sluice/abi.h"

namespace sluice::plugin {
namespace {

constexpr const char* kEntrySymbol = "sluice_plugin";
// A factory that counts further is broken, and would otherwise have us loop for ever.
constexpr uint32_t kMaxFactoryTypes = 4096;

/// What init() was called for. The dynamic linker maps a file once for the
/// whole process, so that this, too, is the process's.
struct Initialised {
  const sluice_host* host = nullptr;
  int32_t result = SLUICE_OK;
};
struct InitialisedPlugins {
  std::mutex mutex;
  std::map<const sluice_entry*, Initialised> entries;  // Guarded by mutex.
};
InitialisedPlugins& AllInitialised() {
  static auto* plugins =
      new InitialisedPlugins;  // Never destroyed: plugins outlive static objects.
  return *plugins;
}

Status InitOnce(const sluice_entry* entry, const sluice_host* host) {
  InitialisedPlugins& all = AllInitialised();
  const std::lock_guard lock(all.mutex);
  auto [found, is_new] = all.entries.try_emplace(entry);
  if (is_new) found->second = {host, entry->init(host)};
  if (found->second.host != host) {
    return Fail(Code::kAlreadyExists, "was initialised for another host of this process");
  }
  const int32_t result = found->second.result;
  if (result == SLUICE_OK) return {};
  const Code code = CodeFromAbi(result);
  return Fail(code, fmt::format("its init() failed: {} ({})", CodeName(code), result));
}

/// The file must still be the one whose manifest was read.
Status CheckFile(const PluginInfo& plugin) {
  const auto section =
      ReadElfSection(plugin.path, SLUICE_MANIFEST_SECTION, SLUICE_MANIFEST_MAX_BYTES);
  if (!section) return tl::unexpected(section.error());
  if (Sha256Hex(section->bytes) != plugin.manifest_sha256) {
    return Fail(Code::kInvalidArgument, "was changed since its manifest was read");
  }
  return {};
}

Result<const sluice_entry*> FindEntry(const std::string& path) {
  // Never dlclose: pointers into plugins are everywhere, and so may be its threads.
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  if (library == nullptr) {
    const char* reason = dlerror();
    return Fail(Code::kUnsupported,
                fmt::format("cannot be loaded: {}", reason != nullptr ? reason : "?"));
  }
  void* address = dlsym(library, kEntrySymbol);
  if (address == nullptr) {
    return Fail(Code::kUnsupported,
                fmt::format("exports no symbol {}: it is not a plugin", kEntrySymbol));
  }
  Dl_info info{};
  ElfW(Sym)* symbol = nullptr;
  if (dladdr1(address, &info, reinterpret_cast<void**>(&symbol), RTLD_DL_SYMENT) != 0 &&
      symbol != nullptr) {
    // ELF32_ST_TYPE and ELF64_ST_TYPE are the same macro.
    const bool is_object = ELF64_ST_TYPE(symbol->st_info) == STT_OBJECT;
    if (!is_object || symbol->st_size < sizeof(sluice_version)) {
      return Fail(Code::kInvalidArgument,
                  fmt::format("exports a symbol {} that is no sluice_entry", kEntrySymbol));
    }
  }
  return static_cast<const sluice_entry*>(address);
}

Status CheckEntry(const sluice_entry& entry, const PluginInfo& plugin) {
  SLUICE_RETURN_IF_ERROR(CheckAbiVersion(entry.abi));
  if (entry.manifest_hash != plugin.manifest_hash) {
    return Fail(Code::kInvalidArgument,
                fmt::format("was built with another manifest: the code says {:016x}, and its "
                            "section {} has {:016x}",
                            entry.manifest_hash, SLUICE_MANIFEST_SECTION, plugin.manifest_hash));
  }
  if (entry.init == nullptr || entry.get_factory == nullptr) {
    return Fail(Code::kInvalidArgument,
                fmt::format("has a {} without init or get_factory", kEntrySymbol));
  }
  return {};
}

/// What a factory says it makes. `what` is for messages.
template <typename Factory>
Result<std::set<std::string>> FactoryIds(const Factory& factory,
                                         const char* (*id_of)(const Factory&, uint32_t),
                                         std::string_view what) {
  if (factory.struct_size < sizeof(Factory)) {
    return Fail(Code::kInvalidArgument,
                fmt::format("has a {} factory of {} bytes; at least {} are needed", what,
                            factory.struct_size, sizeof(Factory)));
  }
  if (factory.count == nullptr || factory.create == nullptr) {
    return Fail(Code::kInvalidArgument, fmt::format("has a {} factory without functions", what));
  }
  const uint32_t count = factory.count();
  if (count > kMaxFactoryTypes) {
    return Fail(Code::kInvalidArgument,
                fmt::format("has a {} factory that counts {} entries", what, count));
  }
  std::set<std::string> ids;
  for (uint32_t i = 0; i < count; ++i) {
    const char* id = id_of(factory, i);
    if (id == nullptr) {
      return Fail(Code::kInvalidArgument,
                  fmt::format("has a {} factory without a name for entry {}", what, i));
    }
    if (!ids.insert(id).second) {
      return Fail(Code::kInvalidArgument,
                  fmt::format("has a {} factory that lists '{}' twice", what, id));
    }
  }
  return ids;
}

/// Both ways: what is declared is made, and what is made is declared.
Status CompareIds(const std::set<std::string>& declared, const std::set<std::string>& made,
                  std::string_view what) {
  for (const std::string& id : declared) {
    if (made.count(id) == 0) {
      return Fail(Code::kInvalidArgument,
                  fmt::format("declares the {} '{}', but has no factory for it", what, id));
    }
  }
  for (const std::string& id : made) {
    if (declared.count(id) == 0) {
      return Fail(Code::kInvalidArgument,
                  fmt::format("has a factory for the {} '{}', which its manifest does not declare",
                              what, id));
    }
  }
  return {};
}

template <typename Factory>
Status CheckFactory(const Factory* factory, const char* (*id_of)(const Factory&, uint32_t),
                    const std::set<std::string>& declared, std::string_view what) {
  if (factory == nullptr) return CompareIds(declared, {}, what);
  const auto made = FactoryIds(*factory, id_of, what);
  if (!made) return tl::unexpected(made.error());
  return CompareIds(declared, *made, what);
}

const char* NodeId(const sluice_node_factory& factory, uint32_t index) {
  return factory.type_id == nullptr ? nullptr : factory.type_id(index);
}
const char* DomainId(const sluice_domain_factory& factory, uint32_t index) {
  return factory.domain_id == nullptr ? nullptr : factory.domain_id(index);
}

}  // namespace

Status CheckAbiVersion(sluice_version abi) {
  const bool same_major = abi.major == kAbiVersion.major;
  // Before 1.0 nothing is frozen: every minor version is another ABI.
  const bool same_minor = kAbiVersion.major != 0 || abi.minor == kAbiVersion.minor;
  if (same_major && same_minor) return {};
  return Fail(Code::kUnsupported,
              fmt::format("was built for plugin ABI {}.{}; this engine has {}.{}", abi.major,
                          abi.minor, kAbiVersion.major, kAbiVersion.minor));
}

Result<Loader::Library> Loader::Open(const PluginInfo& plugin) const {
  SLUICE_RETURN_IF_ERROR(CheckFile(plugin));
  const auto entry = FindEntry(plugin.path);
  if (!entry) return tl::unexpected(entry.error());
  SLUICE_RETURN_IF_ERROR(CheckEntry(**entry, plugin));
  SLUICE_RETURN_IF_ERROR(InitOnce(*entry, host_));

  Library library;
  library.nodes =
      static_cast<const sluice_node_factory*>((*entry)->get_factory(SLUICE_NODE_FACTORY_ID));
  library.domains =
      static_cast<const sluice_domain_factory*>((*entry)->get_factory(SLUICE_DOMAIN_FACTORY_ID));
  const auto* doctor = static_cast<const sluice_doctor*>((*entry)->get_factory(SLUICE_DOCTOR_ID));
  if (doctor != nullptr && doctor->struct_size >= sizeof(sluice_doctor)) library.doctor = doctor;
  const auto* passes = static_cast<const sluice_passes*>((*entry)->get_factory(SLUICE_PASSES_ID));
  if (passes != nullptr && passes->struct_size >= sizeof(sluice_passes)) library.passes = passes;
  const auto* profiler =
      static_cast<const sluice_profile*>((*entry)->get_factory(SLUICE_PROFILE_ID));
  if (profiler != nullptr && profiler->struct_size >= sizeof(sluice_profile)) {
    library.profiler = profiler;
  }
  std::set<std::string> types;
  for (const ManifestNode& node : plugin.manifest.nodes) types.insert(node.type.id);
  std::set<std::string> domains;
  for (const ManifestDomain& domain : plugin.manifest.domains) domains.insert(domain.id);
  SLUICE_RETURN_IF_ERROR(CheckFactory(library.nodes, NodeId, types, "node type"));
  SLUICE_RETURN_IF_ERROR(CheckFactory(library.domains, DomainId, domains, "domain"));
  return library;
}

const Result<Loader::Library>& Loader::Load(const PluginInfo& plugin) {
  const auto found = loaded_.find(&plugin);
  if (found != loaded_.end()) return found->second;
  Result<Library> library = Open(plugin);
  if (!library) library.error().message = plugin.path + ": " + library.error().message;
  return loaded_.emplace(&plugin, std::move(library)).first->second;
}

Result<NodeMaker> Loader::FindNode(std::string_view type_id) {
  const ManifestNode* node = registry_->FindNode(type_id);
  if (node == nullptr)
    return Fail(Code::kNotFound, fmt::format("no plugin has the node type '{}'", type_id));
  NodeMaker maker;
  maker.type_id = node->type.id;
  maker.plugin = registry_->PluginOfType(type_id);
  if (node->implementation.given()) {
    maker.file = maker.plugin->folder + "/" + node->implementation.file;
    maker.type_id = node->implementation.type_id;
    maker.plugin = registry_->PluginOfType(maker.type_id);
    if (maker.plugin == nullptr || !maker.plugin->has_code) {
      return Fail(
          Code::kNotFound,
          fmt::format("'{}' is implemented by the node type '{}', which no plugin with code has",
                      type_id, maker.type_id));
    }
  }
  const Result<Library>& library = Load(*maker.plugin);
  if (!library) return tl::unexpected(library.error());
  maker.factory = library->nodes;
  return maker;
}

Result<DomainMaker> Loader::FindDomain(std::string_view domain_id) {
  const PluginInfo* plugin = registry_->PluginOfDomain(domain_id);
  if (plugin == nullptr)
    return Fail(Code::kNotFound, fmt::format("no plugin has the domain '{}'", domain_id));
  const Result<Library>& library = Load(*plugin);
  if (!library) return tl::unexpected(library.error());
  return DomainMaker{library->domains, library->passes};
}

std::vector<FailedPlugin> Loader::CheckAll() {
  std::vector<FailedPlugin> failed;
  for (const auto& plugin : registry_->plugins()) {
    if (!plugin->has_code) continue;
    const Result<Library>& library = Load(*plugin);
    if (library) continue;
    // The path stands beside it already.
    failed.push_back({plugin->path, library.error().message.substr(plugin->path.size() + 2)});
  }
  return failed;
}

std::vector<const sluice_doctor*> Loader::Doctors() {
  std::vector<const sluice_doctor*> doctors;
  for (const auto& plugin : registry_->plugins()) {
    if (!plugin->has_code) continue;
    const Result<Library>& library = Load(*plugin);
    if (library && library->doctor != nullptr) doctors.push_back(library->doctor);
  }
  return doctors;
}

std::vector<const sluice_profile*> Loader::Profilers() {
  std::vector<const sluice_profile*> profilers;
  for (const auto& plugin : registry_->plugins()) {
    if (!plugin->has_code) continue;
    const Result<Library>& library = Load(*plugin);
    if (library && library->profiler != nullptr) profilers.push_back(library->profiler);
  }
  return profilers;
}

void DeinitPlugins() {
  std::map<const sluice_entry*, Initialised> entries;
  InitialisedPlugins& all = AllInitialised();
  {
    const std::lock_guard lock(all.mutex);
    entries.swap(all.entries);
  }
  for (const auto& [entry, initialised] : entries) {
    if (initialised.result == SLUICE_OK && entry->deinit != nullptr) entry->deinit();
  }
}

}  // namespace sluice::plugin
