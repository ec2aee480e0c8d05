#include "nodes/pipewire/doctor_cameras.h"

#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <utility>

namespace sluice::pipewire {
namespace {

namespace fs = std::filesystem;

/// A proxy and one listener, both of which end with it. Made and destroyed under the lock.
class Bound {
 public:
  Bound(Connection& connection, const Global& global, uint32_t version)
      : proxy_(static_cast<pw_proxy*>(
            pw_registry_bind(connection.registry(), global.id, global.type.c_str(), version, 0))) {}
  Bound(const Bound&) = delete;
  Bound& operator=(const Bound&) = delete;
  ~Bound() {
    if (proxy_ == nullptr) return;
    spa_hook_remove(&hook_);
    pw_proxy_destroy(proxy_);
  }

  template <class Object>
  Object* As() const {
    return reinterpret_cast<Object*>(proxy_);
  }
  bool made() const { return proxy_ != nullptr; }
  spa_hook* hook() { return &hook_; }

 private:
  pw_proxy* proxy_;
  spa_hook hook_{};
};

void AddFormats(void* data, int /*seq*/, uint32_t id, uint32_t /*index*/, uint32_t /*next*/,
                const spa_pod* param) {
  auto* camera = static_cast<CameraSeen*>(data);
  if (id != SPA_PARAM_EnumFormat) return;
  const auto formats = ParseFormats(param);
  if (formats.ok()) {
    camera->formats.insert(camera->formats.end(), formats->begin(), formats->end());
  } else {
    camera->unknown_formats = true;
  }
}

void AddProperties(void* data, const pw_node_info* info) {
  auto* camera = static_cast<CameraSeen*>(data);
  if ((info->change_mask & PW_NODE_CHANGE_MASK_PROPS) == 0 || info->props == nullptr) return;
  for (uint32_t i = 0; i < info->props->n_items; ++i) {
    const spa_dict_item& item = info->props->items[i];
    if (item.value != nullptr) camera->properties[item.key] = item.value;
  }
}

const Global* FirstOutput(const Connection& connection, uint32_t node_id) {
  const std::string id = std::to_string(node_id);
  for (const auto& [_, global] : connection.globals()) {
    if (global.type == PW_TYPE_INTERFACE_Port && global.Property(PW_KEY_NODE_ID) == id &&
        global.Property(PW_KEY_PORT_DIRECTION) == "out") {
      return &global;
    }
  }
  return nullptr;
}

/// The device node of a device number, as libcamera names its devices.
std::string PathOfNumber(dev_t number) {
  std::error_code error;
  for (fs::directory_iterator entry("/dev", error), end; !error && entry != end;
       entry.increment(error)) {
    struct stat status {};
    const std::string path = entry->path().string();
    if (path.starts_with("/dev/video") && lstat(path.c_str(), &status) == 0 &&
        S_ISCHR(status.st_mode) && status.st_rdev == number) {
      return path;
    }
  }
  return {};
}

}  // namespace

const std::string& CameraSeen::Property(const char* key) const {
  static const std::string none;
  const auto found = properties.find(key);
  return found == properties.end() ? none : found->second;
}

std::string CameraSeen::Device() const {
  std::error_code error;
  if (const std::string& path = Property("api.v4l2.path"); !path.empty()) {
    const fs::path resolved = fs::canonical(path, error);
    return error ? path : resolved.string();
  }
  // Of libcamera: the numbers of all devices that make up the camera, its video nodes among them.
  const std::string& numbers = Property("device.devids");
  for (const char* at = numbers.c_str(); *at != '\0';) {
    char* end = nullptr;
    const unsigned long long number = std::strtoull(at, &end, 10);
    if (end == at) {
      ++at;
      continue;
    }
    at = end;
    if (std::string path = PathOfNumber(static_cast<dev_t>(number)); !path.empty()) return path;
  }
  return {};
}

bool CameraSeen::DriverBuffers() const {
  return Property("device.api") == "v4l2" || Property("factory.name") == "api.v4l2.source";
}

std::vector<CameraSeen> FindCameras(Connection& connection, int64_t deadline_ns) {
  static constexpr pw_node_events kNodeEvents = [] {
    pw_node_events events{};
    events.version = PW_VERSION_NODE_EVENTS;
    events.info = AddProperties;
    return events;
  }();
  static constexpr pw_port_events kPortEvents = [] {
    pw_port_events events{};
    events.version = PW_VERSION_PORT_EVENTS;
    events.param = AddFormats;
    return events;
  }();
  const Connection::Lock lock(connection);
  std::vector<std::unique_ptr<CameraSeen>> cameras;  // stay where they are: callbacks have them
  std::vector<std::unique_ptr<Bound>> bound;
  for (const auto& [id, global] : connection.globals()) {
    if (global.type != PW_TYPE_INTERFACE_Node) continue;
    if (global.Property(PW_KEY_MEDIA_CLASS) != "Video/Source") continue;
    auto& camera = cameras.emplace_back(std::make_unique<CameraSeen>());
    camera->id = id;
    camera->properties = global.properties;
    auto& node = bound.emplace_back(std::make_unique<Bound>(connection, global, PW_VERSION_NODE));
    if (node->made()) {
      pw_node_add_listener(node->As<pw_node>(), node->hook(), &kNodeEvents, camera.get());
    }
    const Global* output = FirstOutput(connection, id);
    if (output == nullptr) continue;
    auto& port = bound.emplace_back(std::make_unique<Bound>(connection, *output, PW_VERSION_PORT));
    if (!port->made()) continue;
    pw_port_add_listener(port->As<pw_port>(), port->hook(), &kPortEvents, camera.get());
    pw_port_enum_params(port->As<pw_port>(), 0, SPA_PARAM_EnumFormat, 0, UINT32_MAX, nullptr);
  }
  // What has not come by then is missing; the rest is told.
  if (!bound.empty()) (void)connection.RoundTrip(lock, std::max<int64_t>(deadline_ns - NowNs(), 0));
  bound.clear();
  std::vector<CameraSeen> seen;
  for (auto& camera : cameras) seen.push_back(std::move(*camera));
  return seen;
}

}  // namespace sluice::pipewire
