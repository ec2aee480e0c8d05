#include "tests/pipewire/client.h"

#include <pipewire/pipewire.h>

#include <cstring>

namespace sluice::testing {
namespace {

// One global that is watched. Its proxy's events point to it, so it stays where it is.
struct Watched {
  NodeSeen* node = nullptr;
  LinkSeen* link = nullptr;
  pw_proxy* proxy = nullptr;
  spa_hook listener{};
};

std::map<std::string, std::string> Copy(const spa_dict* dict) {
  std::map<std::string, std::string> copy;
  if (!dict) return copy;
  for (uint32_t i = 0; i < dict->n_items; ++i) {
    copy[dict->items[i].key] = dict->items[i].value ? dict->items[i].value : "";
  }
  return copy;
}

uint32_t Number(const spa_dict* dict, const char* key) {
  const char* text = dict ? spa_dict_lookup(dict, key) : nullptr;
  return text ? static_cast<uint32_t>(std::strtoul(text, nullptr, 10)) : SPA_ID_INVALID;
}

struct Port {
  uint32_t node = 0;
  bool input = false;
};

}  // namespace

struct Client::Impl {
  pw_main_loop* loop = nullptr;
  pw_context* context = nullptr;
  pw_core* core = nullptr;
  pw_registry* registry = nullptr;
  spa_hook core_listener{};
  spa_hook registry_listener{};
  int synced = 0;
  std::string lost;

  std::map<uint32_t, NodeSeen> nodes;
  std::map<uint32_t, LinkSeen> links;
  std::map<uint32_t, Port> ports;
  std::map<uint32_t, Watched> watched;
  std::map<uint32_t, pw_proxy*> own_links;  // By global id.

  ~Impl();
  void Watch(uint32_t id, const char* type);
  void Add(uint32_t id, const char* type, const spa_dict* properties);
  void Remove(uint32_t id);
  void CollectPorts(NodeSeen& node) const;
  Status RoundTrip(Client& client);
};

namespace {

void OnDone(void* data, uint32_t id, int sequence) {
  if (id == PW_ID_CORE) static_cast<int*>(data)[0] = sequence;
}

void OnNodeInfo(void* data, const pw_node_info* info) {
  NodeSeen& node = *static_cast<Watched*>(data)->node;
  node.state = pw_node_state_as_string(info->state);
  if (info->change_mask & PW_NODE_CHANGE_MASK_PROPS) node.properties = Copy(info->props);
}

void OnLinkInfo(void* data, const pw_link_info* info) {
  LinkSeen& link = *static_cast<Watched*>(data)->link;
  link.state = pw_link_state_as_string(info->state);
  link.error = info->error ? info->error : "";
  link.output_node = info->output_node_id;
  link.input_node = info->input_node_id;
}

constexpr pw_node_events kNodeEvents = [] {
  pw_node_events events{};
  events.version = PW_VERSION_NODE_EVENTS;
  events.info = OnNodeInfo;
  return events;
}();

constexpr pw_link_events kLinkEvents = [] {
  pw_link_events events{};
  events.version = PW_VERSION_LINK_EVENTS;
  events.info = OnLinkInfo;
  return events;
}();

}  // namespace

Client::Impl::~Impl() {
  for (auto& [id, proxy] : own_links) pw_proxy_destroy(proxy);
  for (auto& [id, entry] : watched) pw_proxy_destroy(entry.proxy);
  if (registry) pw_proxy_destroy(reinterpret_cast<pw_proxy*>(registry));
  if (core) pw_core_disconnect(core);
  if (context) pw_context_destroy(context);
  if (loop) pw_main_loop_destroy(loop);
  pw_deinit();
}

void Client::Impl::Watch(uint32_t id, const char* type) {
  Watched& entry = watched[id];
  entry.proxy = static_cast<pw_proxy*>(pw_registry_bind(registry, id, type, 3, 0));
  if (!entry.proxy) {
    watched.erase(id);
    return;
  }
  const auto node = nodes.find(id);
  const auto link = links.find(id);
  if (node != nodes.end()) {
    entry.node = &node->second;
    pw_node_add_listener(reinterpret_cast<pw_node*>(entry.proxy), &entry.listener, &kNodeEvents,
                         &entry);
  } else {
    entry.link = &link->second;
    pw_link_add_listener(reinterpret_cast<pw_link*>(entry.proxy), &entry.listener, &kLinkEvents,
                         &entry);
  }
}

void Client::Impl::Add(uint32_t id, const char* type, const spa_dict* properties) {
  if (std::strcmp(type, PW_TYPE_INTERFACE_Node) == 0) {
    nodes[id] = {.id = id, .properties = Copy(properties)};
    Watch(id, type);
  } else if (std::strcmp(type, PW_TYPE_INTERFACE_Link) == 0) {
    links[id] = {.id = id,
                 .output_node = Number(properties, PW_KEY_LINK_OUTPUT_NODE),
                 .input_node = Number(properties, PW_KEY_LINK_INPUT_NODE)};
    Watch(id, type);
  } else if (std::strcmp(type, PW_TYPE_INTERFACE_Port) == 0) {
    const char* direction = properties ? spa_dict_lookup(properties, PW_KEY_PORT_DIRECTION) : "";
    ports[id] = {.node = Number(properties, PW_KEY_NODE_ID),
                 .input = direction && std::strcmp(direction, "in") == 0};
  }
}

void Client::Impl::Remove(uint32_t id) {
  if (const auto found = watched.find(id); found != watched.end()) {
    spa_hook_remove(&found->second.listener);
    pw_proxy_destroy(found->second.proxy);
    watched.erase(found);
  }
  if (const auto found = own_links.find(id); found != own_links.end()) {
    pw_proxy_destroy(found->second);
    own_links.erase(found);
  }
  nodes.erase(id);
  links.erase(id);
  ports.erase(id);
}

void Client::Impl::CollectPorts(NodeSeen& node) const {
  for (const auto& [id, port] : ports) {
    if (port.node == node.id) (port.input ? node.inputs : node.outputs).push_back(id);
  }
}

Status Client::Impl::RoundTrip(Client& client) {
  const int wanted = pw_core_sync(core, PW_ID_CORE, 0);
  return client.WaitUntil("an answer of the daemon", [&] { return synced == wanted; });
}

Client::Client(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Client::~Client() = default;

Result<std::unique_ptr<Client>> Client::Connect() {
  static const pw_core_events kCoreEvents = [] {
    pw_core_events events{};
    events.version = PW_VERSION_CORE_EVENTS;
    events.done = [](void* data, uint32_t id, int sequence) {
      OnDone(&static_cast<Impl*>(data)->synced, id, sequence);
    };
    events.error = [](void* data, uint32_t id, int, int result, const char* message) {
      if (id == PW_ID_CORE && result == -EPIPE) static_cast<Impl*>(data)->lost = message;
    };
    return events;
  }();
  static const pw_registry_events kRegistryEvents = [] {
    pw_registry_events events{};
    events.version = PW_VERSION_REGISTRY_EVENTS;
    events.global = [](void* data, uint32_t id, uint32_t, const char* type, uint32_t,
                       const spa_dict* properties) {
      static_cast<Impl*>(data)->Add(id, type, properties);
    };
    events.global_remove = [](void* data, uint32_t id) { static_cast<Impl*>(data)->Remove(id); };
    return events;
  }();

  pw_init(nullptr, nullptr);
  std::unique_ptr<Client> client(new Client(std::make_unique<Impl>()));
  Impl& impl = *client->impl_;
  impl.loop = pw_main_loop_new(nullptr);
  if (!impl.loop) return FailErrno("pw_main_loop_new", errno);
  impl.context = pw_context_new(pw_main_loop_get_loop(impl.loop), nullptr, 0);
  if (!impl.context) return FailErrno("pw_context_new", errno);
  impl.core = pw_context_connect(impl.context,
                                 pw_properties_new(PW_KEY_REMOTE_INTENTION, "manager", nullptr), 0);
  if (!impl.core) return FailErrno("no connection to PipeWire", errno);
  pw_core_add_listener(impl.core, &impl.core_listener, &kCoreEvents, &impl);
  impl.registry = pw_core_get_registry(impl.core, PW_VERSION_REGISTRY, 0);
  if (!impl.registry) return FailErrno("pw_core_get_registry", errno);
  pw_registry_add_listener(impl.registry, &impl.registry_listener, &kRegistryEvents, &impl);
  // Once for the globals, once for the nodes and links that were bound meanwhile.
  SLUICE_RETURN_IF_ERROR(impl.RoundTrip(*client));
  SLUICE_RETURN_IF_ERROR(impl.RoundTrip(*client));
  return client;
}

std::vector<NodeSeen> Client::nodes() const {
  std::vector<NodeSeen> all;
  for (const auto& [id, node] : impl_->nodes) {
    all.push_back(node);
    impl_->CollectPorts(all.back());
  }
  return all;
}

std::vector<LinkSeen> Client::links() const {
  std::vector<LinkSeen> all;
  for (const auto& [id, link] : impl_->links) all.push_back(link);
  return all;
}

Status Client::WaitUntil(const std::string& what, const std::function<bool()>& ready,
                         std::chrono::milliseconds patience) {
  using Clock = std::chrono::steady_clock;
  const auto deadline = Clock::now() + patience;
  pw_loop* loop = pw_main_loop_get_loop(impl_->loop);
  pw_loop_enter(loop);
  Status status;
  for (;;) {
    if (!impl_->lost.empty()) {
      status = Fail(Code::kDeviceLost, "PipeWire is gone: " + impl_->lost);
      break;
    }
    if (ready()) break;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
    if (left <= 0) {
      std::string there;
      for (const auto& [id, node] : impl_->nodes) there += " " + node.name() + ":" + node.state;
      for (const auto& [id, link] : impl_->links) there += " link:" + link.state;
      status = Fail(Code::kTimeout, "waited in vain for " + what + "; there are:" + there);
      break;
    }
    pw_loop_iterate(loop, static_cast<int>(left));
  }
  pw_loop_leave(loop);
  return status;
}

Result<NodeSeen> Client::WaitForNode(const std::string& name) {
  NodeSeen found;
  SLUICE_RETURN_IF_ERROR(WaitUntil("node " + name, [&] {
    for (const auto& [id, node] : impl_->nodes) {
      if (node.name() != name) continue;
      NodeSeen candidate = node;
      impl_->CollectPorts(candidate);
      if (candidate.inputs.empty() && candidate.outputs.empty()) continue;
      const auto serial = [](const NodeSeen& seen) {
        return std::strtoull(seen.property(PW_KEY_OBJECT_SERIAL).c_str(), nullptr, 10);
      };
      if (found.id == 0 || serial(candidate) > serial(found)) found = candidate;
    }
    return found.id != 0;
  }));
  return found;
}

Status Client::WaitForNodeState(const std::string& name, const std::string& state) {
  return WaitUntil("node " + name + " in state " + state, [&] {
    for (const auto& [id, node] : impl_->nodes) {
      if (node.name() == name && node.state == state) return true;
    }
    return false;
  });
}

Status Client::WaitUntilGone(const std::string& name) {
  return WaitUntil("the end of node " + name, [&] {
    for (const auto& [id, node] : impl_->nodes) {
      if (node.name() == name) return false;
    }
    return true;
  });
}

Result<uint32_t> Client::Link(const std::string& output_node, const std::string& input_node) {
  auto output = WaitForNode(output_node);
  if (!output) return tl::unexpected(output.error());
  auto input = WaitForNode(input_node);
  if (!input) return tl::unexpected(input.error());
  if (output->outputs.empty()) return Fail(Code::kInvalidArgument, output_node + " has no output");
  if (input->inputs.empty()) return Fail(Code::kInvalidArgument, input_node + " has no input");
  pw_properties* properties = pw_properties_new(nullptr, nullptr);
  // By ports: by nodes alone, the factory wants a new port for a second link.
  pw_properties_setf(properties, PW_KEY_LINK_OUTPUT_NODE, "%u", output->id);
  pw_properties_setf(properties, PW_KEY_LINK_OUTPUT_PORT, "%u", output->outputs.front());
  pw_properties_setf(properties, PW_KEY_LINK_INPUT_NODE, "%u", input->id);
  pw_properties_setf(properties, PW_KEY_LINK_INPUT_PORT, "%u", input->inputs.front());
  auto* proxy = static_cast<pw_proxy*>(pw_core_create_object(
      impl_->core, "link-factory", PW_TYPE_INTERFACE_Link, PW_VERSION_LINK, &properties->dict, 0));
  pw_properties_free(properties);
  if (!proxy) return FailErrno("create a link", errno);

  struct Creation {
    uint32_t id = SPA_ID_INVALID;
    std::string error;
    bool removed = false;
  } creation;
  spa_hook listener{};
  pw_proxy_events events{};
  events.version = PW_VERSION_PROXY_EVENTS;
  events.bound = [](void* data, uint32_t id) { static_cast<Creation*>(data)->id = id; };
  events.removed = [](void* data) { static_cast<Creation*>(data)->removed = true; };
  events.error = [](void* data, int, int, const char* message) {
    static_cast<Creation*>(data)->error = message;
  };
  pw_proxy_add_listener(proxy, &listener, &events, &creation);
  Status status = WaitUntil("a link of " + output_node + " to " + input_node, [&] {
    return !creation.error.empty() || creation.removed ||
           (creation.id != SPA_ID_INVALID && impl_->links.contains(creation.id));
  });
  spa_hook_remove(&listener);
  if (!status || !creation.error.empty() || creation.removed) {
    pw_proxy_destroy(proxy);
    if (!status) return tl::unexpected(status.error());
    return Fail(Code::kIo, output_node + " to " + input_node + ": " + creation.error);
  }
  impl_->own_links[creation.id] = proxy;
  return creation.id;
}

Status Client::Unlink(uint32_t id) {
  const auto found = impl_->own_links.find(id);
  if (found == impl_->own_links.end()) return Fail(Code::kNotFound, "no such link of ours");
  pw_proxy_destroy(found->second);
  impl_->own_links.erase(found);
  return WaitUntil("the end of a link", [&] { return !impl_->links.contains(id); });
}

Status Client::WaitForLinkState(uint32_t id, const std::string& state) {
  std::string error;
  SLUICE_RETURN_IF_ERROR(WaitUntil("link in state " + state, [&] {
    const auto found = impl_->links.find(id);
    if (found == impl_->links.end()) error = "the link is gone";
    if (found != impl_->links.end()) error = found->second.error;
    return !error.empty() || found->second.state == state;
  }));
  if (!error.empty()) return Fail(Code::kIo, error);
  return {};
}

Status Client::Destroy(uint32_t id) {
  pw_registry_destroy(impl_->registry, id);
  return impl_->RoundTrip(*this);
}

std::string NodeSeen::property(const std::string& key) const {
  const auto found = properties.find(key);
  return found == properties.end() ? "" : found->second;
}

}  // namespace sluice::testing
