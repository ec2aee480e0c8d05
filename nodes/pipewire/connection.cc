#include "nodes/pipewire/connection.h"

#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <mutex>
#include <utility>

namespace sluice::pipewire {
namespace {

/// The shared connections by the daemon's name.
struct Shared {
  std::mutex mutex;
  std::map<std::string, std::weak_ptr<Connection>> by_remote;
};

Shared& SharedConnections() {
  static Shared shared;
  return shared;
}

sdk::Status Unreachable(const std::string& remote, const char* why) {
  return sdk::Status::Error(SLUICE_E_NOT_FOUND, "the PipeWire daemon%s%s cannot be reached: %s",
                            remote.empty() ? "" : " ", remote.c_str(), why);
}

}  // namespace

int64_t NowNs() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

const std::string& Global::Property(const char* key) const {
  static const std::string none;
  const auto found = properties.find(key);
  return found == properties.end() ? none : found->second;
}

sdk::Expected<std::shared_ptr<Connection>> Connection::Open(const std::string& remote,
                                                            int64_t timeout_ns) {
  Shared& shared = SharedConnections();
  const std::lock_guard guard(shared.mutex);
  if (std::shared_ptr<Connection> connection = shared.by_remote[remote].lock()) {
    const Lock lock(*connection);
    if (connection->alive()) return connection;
  }
  auto made = Make(remote, -1, timeout_ns);
  if (made.ok()) shared.by_remote[remote] = *made;
  return made;
}

sdk::Expected<std::shared_ptr<Connection>> Connection::OpenFd(int fd, int64_t timeout_ns) {
  return Make("", fd, timeout_ns);
}

sdk::Expected<std::shared_ptr<Connection>> Connection::Make(const std::string& remote, int fd,
                                                            int64_t timeout_ns) {
  std::shared_ptr<Connection> connection(new Connection);
  if (sdk::Status status = connection->Connect(remote, fd, timeout_ns); !status.ok()) return status;
  return connection;
}

sdk::Status Connection::Connect(const std::string& remote, int fd, int64_t timeout_ns) {
  // Counted by the library: each connection ends what it began.
  pw_init(nullptr, nullptr);
  thread_loop_ = pw_thread_loop_new("pipewire", nullptr);
  if (thread_loop_ != nullptr) context_ = pw_context_new(loop(), nullptr, 0);
  if (context_ == nullptr || pw_thread_loop_start(thread_loop_) < 0) {
    if (fd >= 0) close(fd);
    return sdk::Status::Error(SLUICE_E_INTERNAL, "PipeWire's loop: %s", strerror(errno));
  }
  const Lock lock(*this);
  pw_properties* properties =
      remote.empty() ? nullptr : pw_properties_new(PW_KEY_REMOTE_NAME, remote.c_str(), nullptr);
  core_ = fd >= 0 ? pw_context_connect_fd(context_, fd, properties, 0)
                  : pw_context_connect(context_, properties, 0);
  if (core_ == nullptr) return Unreachable(remote, strerror(errno));

  static constexpr pw_core_events kCoreEvents = [] {
    pw_core_events events{};
    events.version = PW_VERSION_CORE_EVENTS;
    events.info = OnCoreInfo;
    events.done = OnCoreDone;
    events.error = OnCoreError;
    return events;
  }();
  static constexpr pw_registry_events kRegistryEvents = [] {
    pw_registry_events events{};
    events.version = PW_VERSION_REGISTRY_EVENTS;
    events.global = OnRegistryGlobal;
    events.global_remove = OnRegistryGlobalRemove;
    return events;
  }();
  pw_core_add_listener(core_, &core_hook_, &kCoreEvents, this);
  registry_ = pw_core_get_registry(core_, PW_VERSION_REGISTRY, 0);
  if (registry_ == nullptr) return Unreachable(remote, strerror(errno));
  pw_registry_add_listener(registry_, &registry_hook_, &kRegistryEvents, this);
  return RoundTrip(lock, timeout_ns);
}

Connection::~Connection() {
  if (thread_loop_ != nullptr) {
    pw_thread_loop_lock(thread_loop_);
    if (registry_ != nullptr) {
      spa_hook_remove(&registry_hook_);
      pw_proxy_destroy(reinterpret_cast<pw_proxy*>(registry_));
    }
    if (core_ != nullptr) {
      spa_hook_remove(&core_hook_);
      pw_core_disconnect(core_);
    }
    pw_thread_loop_unlock(thread_loop_);
    pw_thread_loop_stop(thread_loop_);
    if (context_ != nullptr) pw_context_destroy(context_);
    pw_thread_loop_destroy(thread_loop_);
  }
  pw_deinit();
}

void Connection::RemoveListener(Listener* listener) { std::erase(listeners_, listener); }

bool Connection::WaitUntil(const Lock& /*lock*/, int64_t deadline_ns,
                           const std::function<bool()>& done) const {
  while (!done()) {
    if (!alive()) return false;
    const int64_t left_ns = deadline_ns - NowNs();
    timespec until{};
    if (left_ns <= 0 || pw_thread_loop_get_time(thread_loop_, &until, left_ns) < 0) return false;
    pw_thread_loop_timed_wait_full(thread_loop_, &until);
  }
  return true;
}

sdk::Status Connection::RoundTrip(const Lock& lock, int64_t timeout_ns) {
  const int seq = pw_core_sync(core_, PW_ID_CORE, 0);
  if (seq < 0) return Unreachable("", strerror(-seq));
  // Sequence numbers wrap: a difference tells their order.
  const bool answered = WaitUntil(lock, NowNs() + timeout_ns,
                                  [&] { return done_seq_ - seq >= 0 && done_seq_ != -1; });
  if (answered) return {};
  if (!alive()) return lost_;
  return sdk::Status::Error(SLUICE_E_TIMEOUT, "the PipeWire daemon has not answered for %lld ms",
                            static_cast<long long>(timeout_ns / 1'000'000));
}

void Connection::Lose(const sdk::Status& reason) {
  if (!alive()) return;
  lost_ = reason;
  // One that hears of it may take itself or another off the list.
  for (Listener* listener : std::vector<Listener*>(listeners_)) {
    if (std::find(listeners_.begin(), listeners_.end(), listener) != listeners_.end()) {
      listener->OnDisconnected(reason);
    }
  }
  Signal();
}

void Connection::OnCoreInfo(void* data, const pw_core_info* info) {
  auto* me = static_cast<Connection*>(data);
  if (info->version != nullptr) me->daemon_version_ = info->version;
  if (info->name != nullptr) me->daemon_name_ = info->name;
}

void Connection::OnCoreDone(void* data, uint32_t id, int seq) {
  auto* me = static_cast<Connection*>(data);
  if (id != PW_ID_CORE) return;
  me->done_seq_ = seq;
  me->Signal();
}

void Connection::OnCoreError(void* data, uint32_t id, int /*seq*/, int res, const char* message) {
  // Errors of other objects reach those who made them.
  if (id != PW_ID_CORE || res != -EPIPE) return;
  static_cast<Connection*>(data)->Lose(
      sdk::Status::Error(SLUICE_E_DEVICE_LOST, "the PipeWire daemon is gone (%s)", message));
}

void Connection::OnRegistryGlobal(void* data, uint32_t id, uint32_t /*permissions*/,
                                  const char* type, uint32_t /*version*/,
                                  const spa_dict* properties) {
  auto* me = static_cast<Connection*>(data);
  Global global{id, type, {}};
  for (uint32_t i = 0; properties != nullptr && i < properties->n_items; ++i) {
    const spa_dict_item& item = properties->items[i];
    if (item.value != nullptr) global.properties.emplace(item.key, item.value);
  }
  const Global& kept = me->globals_.insert_or_assign(id, std::move(global)).first->second;
  for (Listener* listener : std::vector<Listener*>(me->listeners_)) listener->OnGlobal(kept);
  me->Signal();
}

void Connection::OnRegistryGlobalRemove(void* data, uint32_t id) {
  auto* me = static_cast<Connection*>(data);
  const auto found = me->globals_.find(id);
  if (found == me->globals_.end()) return;
  for (Listener* listener : std::vector<Listener*>(me->listeners_))
    listener->OnGlobalRemoved(found->second);
  me->globals_.erase(found);
  me->Signal();
}

}  // namespace sluice::pipewire
