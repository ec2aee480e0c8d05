#ifndef NODES_PIPEWIRE_CONNECTION_H_
#define NODES_PIPEWIRE_CONNECTION_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <pipewire/pipewire.h>

#include <sluice/status.hpp>

namespace sluice::pipewire {

/// An object that the daemon announced, as its registry describes it.
struct Global {
  uint32_t id = 0;
  std::string type;  ///< PW_TYPE_INTERFACE_*
  std::map<std::string, std::string> properties;

  /// Empty where there is none of this key.
  const std::string& Property(const char* key) const;
};

/// The connection to a PipeWire daemon, with a mirror of its registry.
///
/// All nodes of a process that name the same daemon share one. Its loop runs on a thread of its
/// own: PipeWire calls back while the engine's threads are busy or wait in a verb for just these
/// calls, and a frame that comes back must not wait until some node runs. Spec:
/// pipewire/thread-loop.h: everything that touches the core, a proxy or a stream from another
/// thread holds the loop's lock.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  /// What a node hears from its connection. Called on the loop's thread, with the lock held.
  class Listener {
   public:
    /// The daemon is gone; nothing that was made through this connection works any more.
    virtual void OnDisconnected(const sdk::Status& reason) = 0;
    virtual void OnGlobal(const Global& /*global*/) {}
    /// Still in the mirror during the call.
    virtual void OnGlobalRemoved(const Global& /*global*/) {}

   protected:
    ~Listener() = default;
  };

  /// Holds the loop still.
  class Lock {
   public:
    explicit Lock(const Connection& connection) : loop_(connection.thread_loop_) {
      pw_thread_loop_lock(loop_);
    }
    Lock(const Lock&) = delete;
    Lock& operator=(const Lock&) = delete;
    ~Lock() { pw_thread_loop_unlock(loop_); }

   private:
    pw_thread_loop* loop_;
  };

  /// The connection to the daemon `remote` (a socket's name or path; empty: $PIPEWIRE_REMOTE, or
  /// the default), with its registry read. One that is alive is shared. Errors: NOT_FOUND (no
  /// daemon), TIMEOUT (none that answers within `timeout_ns`).
  static sdk::Expected<std::shared_ptr<Connection>> Open(const std::string& remote,
                                                         int64_t timeout_ns = 3'000'000'000);
  /// The same by a socket that somebody else connected (a portal's). Takes `fd`. Never shared.
  static sdk::Expected<std::shared_ptr<Connection>> OpenFd(int fd,
                                                           int64_t timeout_ns = 3'000'000'000);

  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  /// Not on the loop's thread. Whatever was made through it is gone before.
  ~Connection();

  pw_core* core() const { return core_; }
  /// Under the lock. For binding what its mirror shows.
  pw_registry* registry() const { return registry_; }
  pw_loop* loop() const { return pw_thread_loop_get_loop(thread_loop_); }
  /// "1.4.2". Of the library that this process runs with.
  static const char* LibraryVersion() { return pw_get_library_version(); }

  // Under the lock, or on the loop's thread:

  /// False once the daemon is gone.
  bool alive() const { return lost_.ok(); }
  const sdk::Status& lost() const { return lost_; }
  const std::map<uint32_t, Global>& globals() const { return globals_; }
  /// "1.4.2"; of the daemon.
  const std::string& daemon_version() const { return daemon_version_; }
  /// "pipewire-0"; of the daemon.
  const std::string& daemon_name() const { return daemon_name_; }
  void AddListener(Listener* listener) { listeners_.push_back(listener); }
  void RemoveListener(Listener* listener);

  /// Waits, holding `lock` but while asleep, until `done` holds, the daemon is gone or
  /// CLOCK_MONOTONIC is `deadline_ns`; asked again after each Signal(). Not on the loop's thread.
  /// Returns done().
  bool WaitUntil(const Lock& lock, int64_t deadline_ns, const std::function<bool()>& done) const;
  /// Wakes those that wait.
  void Signal() const { pw_thread_loop_signal(thread_loop_, false); }
  /// Waits until the daemon has answered everything that was asked before.
  /// Errors: DEVICE_LOST, TIMEOUT.
  sdk::Status RoundTrip(const Lock& lock, int64_t timeout_ns);

 private:
  Connection() = default;

  static sdk::Expected<std::shared_ptr<Connection>> Make(const std::string& remote, int fd,
                                                         int64_t timeout_ns);
  sdk::Status Connect(const std::string& remote, int fd, int64_t timeout_ns);
  void Lose(const sdk::Status& reason);

  static void OnCoreInfo(void* data, const pw_core_info* info);
  static void OnCoreDone(void* data, uint32_t id, int seq);
  static void OnCoreError(void* data, uint32_t id, int seq, int res, const char* message);
  static void OnRegistryGlobal(void* data, uint32_t id, uint32_t permissions, const char* type,
                               uint32_t version, const spa_dict* properties);
  static void OnRegistryGlobalRemove(void* data, uint32_t id);

  pw_thread_loop* thread_loop_ = nullptr;
  pw_context* context_ = nullptr;
  pw_core* core_ = nullptr;
  pw_registry* registry_ = nullptr;
  spa_hook core_hook_{};
  spa_hook registry_hook_{};
  std::map<uint32_t, Global> globals_;
  std::string daemon_version_;
  std::string daemon_name_;
  std::vector<Listener*> listeners_;
  sdk::Status lost_;
  int done_seq_ = -1;  ///< the latest round trip that was answered
};

/// CLOCK_MONOTONIC.
int64_t NowNs();

}  // namespace sluice::pipewire

#endif  // NODES_PIPEWIRE_CONNECTION_H_
