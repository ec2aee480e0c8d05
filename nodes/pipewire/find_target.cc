#include "nodes/pipewire/find_target.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <utility>

#include <pipewire/extensions/metadata.h>

namespace sluice::pipewire {
namespace {

bool Is(const Global& global, const char* type) { return global.type == type; }

bool SendsVideo(const Global& global) {
  if (!Is(global, PW_TYPE_INTERFACE_Node)) return false;
  const std::string& media_class = global.Property(PW_KEY_MEDIA_CLASS);
  return media_class.starts_with("Video/Source") || media_class == "Stream/Output/Video";
}

/// 0 for one that is no number.
long Number(const std::string& text) { return std::strtol(text.c_str(), nullptr, 10); }

Target TargetOf(const Global& global) {
  Target target;
  target.id = global.id;
  target.serial = global.Property(PW_KEY_OBJECT_SERIAL);
  target.name = global.Property(PW_KEY_NODE_NAME);
  target.description = global.Property(PW_KEY_NODE_DESCRIPTION);
  if (target.description.empty()) target.description = target.name;
  return target;
}

std::string ListSources(const Connection& connection) {
  std::string text;
  for (const auto& [id, global] : connection.globals()) {
    if (!SendsVideo(global)) continue;
    if (!text.empty()) text += ", ";
    text += TargetOf(global).Text();
  }
  return text.empty() ? "there is none" : "there are " + text;
}

const Global* FindNamed(const Connection& connection, const std::string& wanted) {
  // A name before a serial, and that before an id, which is used again and again.
  for (const char* key : {PW_KEY_NODE_NAME, PW_KEY_OBJECT_SERIAL, ""}) {
    const Global* newest = nullptr;
    for (const auto& [id, global] : connection.globals()) {
      if (!Is(global, PW_TYPE_INTERFACE_Node)) continue;
      const bool fits =
          *key == '\0' ? std::to_string(id) == wanted : global.Property(key) == wanted;
      if (!fits) continue;
      const auto serial = [](const Global& one) {
        return Number(one.Property(PW_KEY_OBJECT_SERIAL));
      };
      if (newest == nullptr || serial(global) > serial(*newest)) newest = &global;
    }
    if (newest != nullptr) return newest;
  }
  return nullptr;
}

/// What the session manager says of its defaults.
struct Defaults {
  std::string video_source;
};

int OnDefault(void* data, uint32_t subject, const char* key, const char* /*type*/,
              const char* value) {
  if (subject != PW_ID_CORE || key == nullptr || value == nullptr) return 0;
  if (std::strcmp(key, "default.video.source") != 0) return 0;
  // {"name":"v4l2_input.pci-0000_00_14.0"}
  const std::string text = value;
  const size_t name = text.find("\"name\"");
  const size_t begin = name == std::string::npos ? name : text.find('"', name + 6);
  const size_t end = begin == std::string::npos ? begin : text.find('"', begin + 1);
  if (end == std::string::npos) return 0;
  static_cast<Defaults*>(data)->video_source = text.substr(begin + 1, end - begin - 1);
  return 0;
}

/// Until `deadline_ns` at most, and not less than a moment: all that was asked for is answered.
sdk::Status Await(Connection& connection, const Connection::Lock& lock, int64_t deadline_ns) {
  return connection.RoundTrip(lock, std::max<int64_t>(deadline_ns - NowNs(), 1'000'000));
}

std::string DefaultName(Connection& connection, const Connection::Lock& lock, int64_t deadline_ns) {
  static constexpr pw_metadata_events kEvents = [] {
    pw_metadata_events events{};
    events.version = PW_VERSION_METADATA_EVENTS;
    events.property = OnDefault;
    return events;
  }();
  Defaults defaults;
  for (const auto& [id, global] : connection.globals()) {
    if (!Is(global, PW_TYPE_INTERFACE_Metadata)) continue;
    if (global.Property(PW_KEY_METADATA_NAME) != "default") continue;
    auto* proxy = static_cast<pw_metadata*>(pw_registry_bind(
        connection.registry(), id, PW_TYPE_INTERFACE_Metadata, PW_VERSION_METADATA, 0));
    if (proxy == nullptr) continue;
    spa_hook hook{};
    pw_metadata_add_listener(proxy, &hook, &kEvents, &defaults);
    const sdk::Status status = Await(connection, lock, deadline_ns);
    spa_hook_remove(&hook);
    pw_proxy_destroy(reinterpret_cast<pw_proxy*>(proxy));
    // The mirror may have changed meanwhile.
    if (!status.ok()) return {};
    return defaults.video_source;
  }
  return {};
}

const Global* FindDefault(Connection& connection, const Connection::Lock& lock,
                          int64_t deadline_ns) {
  if (const std::string name = DefaultName(connection, lock, deadline_ns); !name.empty()) {
    if (const Global* found = FindNamed(connection, name)) return found;
  }
  const Global* best = nullptr;
  const auto rank = [](const Global& global) {
    // Cameras before what other applications send.
    const bool camera = global.Property(PW_KEY_MEDIA_CLASS).starts_with("Video/Source");
    return std::pair(camera ? Number(global.Property("priority.session")) : -1,
                     -Number(global.Property(PW_KEY_OBJECT_SERIAL)));
  };
  for (const auto& [id, global] : connection.globals()) {
    if (!SendsVideo(global)) continue;
    if (best == nullptr || rank(global) > rank(*best)) best = &global;
  }
  return best;
}

// --- Formats -------------------------------------------------------------------------------------

/// Parameters of one object, as they come in.
struct Params {
  std::vector<VideoFormat> formats;
  bool any = false;
  bool gstreamer_driver = false;
  bool device = false;

  void Add(const spa_pod* pod) {
    any = true;
    auto parsed = ParseFormats(pod);
    if (!parsed.ok()) return;
    formats.insert(formats.end(), parsed->begin(), parsed->end());
  }
};

void OnNodeParam(void* data, int /*seq*/, uint32_t id, uint32_t /*index*/, uint32_t /*next*/,
                 const spa_pod* param) {
  if (id == SPA_PARAM_EnumFormat) static_cast<Params*>(data)->Add(param);
}

void OnNodeInfo(void* data, const pw_node_info* info) {
  if (info->props == nullptr) return;
  const auto begins = [&](const char* key, const char* text) {
    const char* value = spa_dict_lookup(info->props, key);
    return value != nullptr && std::strncmp(value, text, std::strlen(text)) == 0;
  };
  // GStreamer's elements have no mark of their own but the name of their loop's thread, cut off.
  auto* params = static_cast<Params*>(data);
  params->gstreamer_driver =
      begins("node.loop.name", "pipewire-main-l") && begins(PW_KEY_NODE_DRIVER, "true");
  params->device = begins("device.api", "v4l2") || begins("device.api", "libcamera") ||
                   begins("factory.name", "api.v4l2.") || begins("factory.name", "api.libcamera.");
}

sdk::Status AskNode(Connection& connection, const Connection::Lock& lock, uint32_t id,
                    int64_t deadline_ns, Params* params) {
  static constexpr pw_node_events kEvents = [] {
    pw_node_events events{};
    events.version = PW_VERSION_NODE_EVENTS;
    events.info = OnNodeInfo;
    events.param = OnNodeParam;
    return events;
  }();
  auto* node = static_cast<pw_node*>(
      pw_registry_bind(connection.registry(), id, PW_TYPE_INTERFACE_Node, PW_VERSION_NODE, 0));
  if (node == nullptr) return sdk::Status::Error(SLUICE_E_NOT_FOUND, "node %u is gone", id);
  spa_hook hook{};
  pw_node_add_listener(node, &hook, &kEvents, params);
  pw_node_enum_params(node, 0, SPA_PARAM_EnumFormat, 0, UINT32_MAX, nullptr);
  sdk::Status status = Await(connection, lock, deadline_ns);
  spa_hook_remove(&hook);
  pw_proxy_destroy(reinterpret_cast<pw_proxy*>(node));
  return status;
}

sdk::Status AskPort(Connection& connection, const Connection::Lock& lock, uint32_t id,
                    int64_t deadline_ns, Params* params) {
  static constexpr pw_port_events kEvents = [] {
    pw_port_events events{};
    events.version = PW_VERSION_PORT_EVENTS;
    events.param = OnNodeParam;
    return events;
  }();
  auto* port = static_cast<pw_port*>(
      pw_registry_bind(connection.registry(), id, PW_TYPE_INTERFACE_Port, PW_VERSION_PORT, 0));
  if (port == nullptr) return sdk::Status::Error(SLUICE_E_NOT_FOUND, "port %u is gone", id);
  spa_hook hook{};
  pw_port_add_listener(port, &hook, &kEvents, params);
  pw_port_enum_params(port, 0, SPA_PARAM_EnumFormat, 0, UINT32_MAX, nullptr);
  sdk::Status status = Await(connection, lock, deadline_ns);
  spa_hook_remove(&hook);
  pw_proxy_destroy(reinterpret_cast<pw_proxy*>(port));
  return status;
}

std::vector<uint32_t> OutputPorts(const Connection& connection, uint32_t node) {
  std::vector<uint32_t> ports;
  for (const auto& [id, global] : connection.globals()) {
    if (Is(global, PW_TYPE_INTERFACE_Port) &&
        global.Property(PW_KEY_NODE_ID) == std::to_string(node) &&
        global.Property(PW_KEY_PORT_DIRECTION) == "out") {
      ports.push_back(id);
    }
  }
  return ports;
}

}  // namespace

std::string Target::Text() const {
  std::string text = name.empty() ? "node " + std::to_string(id) : name;
  if (!description.empty() && description != name) text += " (" + description + ")";
  return text;
}

sdk::Expected<Target> FindTarget(Connection& connection, const Connection::Lock& lock,
                                 const std::string& wanted, int64_t deadline_ns) {
  const Global* found =
      wanted.empty() ? FindDefault(connection, lock, deadline_ns) : FindNamed(connection, wanted);
  if (found != nullptr) return TargetOf(*found);
  return sdk::Status::Error(SLUICE_E_NOT_FOUND, "no video source%s%s in PipeWire; %s",
                            wanted.empty() ? "" : " ", wanted.c_str(),
                            ListSources(connection).c_str());
}

bool HasSessionManager(const Connection& connection) {
  return std::any_of(connection.globals().begin(), connection.globals().end(),
                     [](const auto& entry) {
                       return Is(entry.second, PW_TYPE_INTERFACE_Metadata) &&
                              entry.second.Property(PW_KEY_METADATA_NAME) == "default";
                     });
}

sdk::Expected<std::vector<VideoFormat>> EnumerateFormats(Connection& connection,
                                                         const Connection::Lock& lock,
                                                         Target* target, int64_t deadline_ns) {
  Params params;
  if (sdk::Status status = AskNode(connection, lock, target->id, deadline_ns, &params);
      !status.ok()) {
    return status;
  }
  target->stalls_when_held = params.gstreamer_driver;
  target->plain_dmabufs = params.device;
  if (params.formats.empty()) {
    for (const uint32_t port : OutputPorts(connection, target->id)) {
      if (sdk::Status status = AskPort(connection, lock, port, deadline_ns, &params);
          !status.ok()) {
        return status;
      }
    }
  }
  if (!params.formats.empty()) return std::move(params.formats);
  return sdk::Status::Error(
      SLUICE_E_UNSUPPORTED, "%s: %s", target->Text().c_str(),
      params.any ? "none of its formats is known" : "it does not say what it can send");
}

}  // namespace sluice::pipewire
