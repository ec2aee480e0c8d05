#ifndef SLUICE_SDK_NODE_HPP_
#define SLUICE_SDK_NODE_HPP_

#include <bitset>
#include <concepts>
#include <cstdarg>
#include <cstring>
#include <exception>
#include <memory>
#include <new>
#include <span>
#include <utility>

#include <sluice/node.h>
#include <sluice/frame.hpp>
#include <sluice/memory.hpp>
#include <sluice/offer.hpp>
#include <sluice/params.hpp>

namespace sluice::sdk {

/// The most ports of a node that the SDK handles.
inline constexpr uint32_t kMaxPorts = 64;

/// The node's handle to its host. A small value: copy it freely, into other threads too.
/// Threads: [thread-safe] unless said. Valid until the node is destroyed.
class NodeContext {
 public:
  NodeContext() = default;
  NodeContext(const Host& host, sluice_node_host* node) : host_(host), node_(node) {}

  const Host& host() const { return host_; }
  sluice_node_host* c() const { return node_; }
  /// The node's name in the graph.
  const char* name() const { return api()->name(node_); }

  /// Sends `frame` out of the output `port`: an acquired frame, a share, or an input that is passed
  /// on. Errors: what the host says; the frame is gone in any case.
  Status Emit(uint32_t port, Frame frame, const Fence& fence = {}) const {
    return Check(api()->emit(node_, port, frame.Take(), fence.c()), "emit");
  }
  /// The same for an output that this invocation has reserved. `frame` may not be used afterwards.
  Status EmitReserved(uint32_t port, FrameRef frame, const Fence& fence = {}) const {
    return Check(api()->emit(node_, port, frame.c(), fence.c()), "emit");
  }
  /// A buffer to write, for ports with `acquire: dynamic`. Never waits.
  /// Errors: WOULD_BLOCK when the node holds its reserve; CANCELLED while stopping.
  Expected<Frame> Acquire(uint32_t port) const {
    sluice_frame* frame = nullptr;
    const int32_t code = api()->acquire(node_, port, &frame);
    // No message: this is asked for often and would allocate.
    if (code < 0) return Status(code);
    return Frame(host_.frames(), frame);
  }
  /// The same, but buffer `index` of a pool that this node made; for whoever is told by somebody
  /// outside which one was filled. Never waits.
  /// Errors: WOULD_BLOCK while it is not free, and as Acquire(); INVALID_ARGUMENT (no such buffer);
  /// UNSUPPORTED (the host is older).
  Expected<Frame> AcquireBuffer(uint32_t port, uint32_t index) const {
    if (host_.own_buffers() == nullptr) return Status(SLUICE_E_UNSUPPORTED);
    sluice_frame* frame = nullptr;
    const int32_t code = host_.own_buffers()->acquire(node_, port, index, &frame);
    if (code < 0) return Status(code);
    return Frame(host_.frames(), frame);
  }
  /// Whether all leases of buffer `index` are home, and what they left to wait for has passed: it
  /// may go back to whoever fills it. A live node is woken for each that becomes free.
  bool IsFree(uint32_t port, uint32_t index) const {
    return host_.own_buffers() != nullptr && host_.own_buffers()->is_free(node_, port, index) == 1;
  }
  /// Ends the ASYNC invocation `id`, exactly once. `result`: SLUICE_PROCESS_* or an error code.
  void Complete(uint64_t id, int32_t result = SLUICE_PROCESS_DONE) const {
    api()->complete(node_, id, result);
  }
  /// Ends it with an error and its message.
  void Complete(uint64_t id, const Status& status) const {
    Fail(status);
    api()->complete(node_, id, status.code());
  }
  /// Has Process() called as soon as it may run.
  void Wake() const { api()->wake(node_); }
  /// The same at CLOCK_MONOTONIC `at_ns`; the latest call counts.
  void WakeAt(int64_t at_ns) const { api()->wake_at(node_, at_ns); }
  /// Has Process() called, once, as soon as `fd` (borrowed) is ready for `events` (SLUICE_WATCH_*).
  Status WatchFd(int32_t fd, uint32_t events = SLUICE_WATCH_READABLE) const {
    return Check(api()->watch_fd(node_, fd, events), "watch");
  }
  void UnwatchFd(int32_t fd) const { api()->unwatch_fd(node_, fd); }
  /// The formats of this output no longer hold.
  Status RequestRenegotiate(uint32_t port) const {
    return Check(api()->request_renegotiate(node_, port), "request-renegotiate");
  }
  /// The same for an input whose frames go to somebody outside who needs others. What is under way
  /// comes first. Where Probe() then offers what leads to no plan, it is called once more before
  /// Reconfigure(), and may offer more. Errors: UNSUPPORTED (the host is older).
  Status RequestRenegotiateInput(uint32_t port) const {
    if (host_.inputs() == nullptr) {
      return Status::Error(SLUICE_E_UNSUPPORTED, "the host lacks %s", SLUICE_INPUTS_API_ID);
    }
    return Check(host_.inputs()->request_renegotiate(node_, port), "request-renegotiate");
  }

  /// Says what the next negative result means.
  void Fail(const Status& status) const {
    if (!status.ok()) api()->set_error(node_, status.code(), status.c_message());
  }
  /// The same, and returns it: `return context().Fail(SLUICE_E_IO, "%s: ...", path);`
  [[gnu::format(printf, 3, 4)]] Status Fail(int32_t code, const char* format, ...) const {
    std::va_list args;
    va_start(args, format);
    Status status(code, VFormat(format, args));
    va_end(args);
    Fail(status);
    return status;
  }

  /// A copy of pixels that this node made.
  void CountCopy(const char* port, uint64_t bytes, const char* reason) const {
    api()->count_copy(node_, port, bytes, reason);
  }
  /// Frames that were lost or dropped.
  void CountDrop(const char* port, uint64_t frames, const char* reason) const {
    api()->count_drop(node_, port, frames, reason);
  }
  /// A fact for the plan and the report.
  void Note(const char* text) const { api()->note(node_, text); }
  /// `total` 0 = unknown.
  void Progress(uint64_t done, uint64_t total) const { api()->progress(node_, done, total); }
  /// Level: SLUICE_LOG_*. Nothing per frame above debug.
  [[gnu::format(printf, 3, 4)]] void Log(int32_t level, const char* format, ...) const {
    std::va_list args;
    va_start(args, format);
    api()->log(node_, level, VFormat(format, args).c_str());
    va_end(args);
  }
  /// The plugin's own object for the domain of this node's type, or null. [main-thread]
  void* Domain() const { return api()->domain(node_); }

 private:
  const sluice_node_host_api* api() const { return host_.nodes(); }
  static Status Check(int32_t code, const char* what) {
    if (code >= 0) return {};
    return Status::Error(code, "%s: %s", what, CodeName(code));
  }

  Host host_;
  sluice_node_host* node_ = nullptr;
};

/// What one epoch is. A view: valid for the call.
class Configuration {
 public:
  explicit Configuration(const sluice_configuration& configuration)
      : configuration_(&configuration) {}

  uint32_t epoch() const { return configuration_->epoch; }
  bool realtime() const { return configuration_->realtime != 0; }
  bool overwrite() const { return configuration_->overwrite != 0; }
  std::span<const sluice_port_config> ports() const {
    return {configuration_->ports, configuration_->port_count};
  }
  /// A connected port by name, or null.
  const sluice_port_config* Find(const char* name) const {
    for (const sluice_port_config& port : ports()) {
      if (std::strcmp(port.name, name) == 0) return port.connected != 0 ? &port : nullptr;
    }
    return nullptr;
  }
  /// A connected port by name.
  /// Errors: INVALID_ARGUMENT.
  Expected<const sluice_port_config*> Port(const char* name) const {
    const sluice_port_config* port = Find(name);
    if (port != nullptr) return port;
    return Status::Error(SLUICE_E_INVALID_ARGUMENT, "port %s is not connected", name);
  }
  const sluice_configuration& c() const { return *configuration_; }

 private:
  const sluice_configuration* configuration_;
};

/// One call of Process(). Inputs that nobody takes are released when it returns.
class Invocation {
 public:
  Invocation(const sluice_frame_api* api, const sluice_invocation& invocation)
      : api_(api), invocation_(invocation) {}
  Invocation(const Invocation&) = delete;
  Invocation& operator=(const Invocation&) = delete;
  ~Invocation() {
    for (uint32_t i = 0; i < input_count(); ++i) TakeInput(i).Release();
  }

  uint64_t id() const { return invocation_.id; }
  /// No more input comes; answer kEnd when everything is out.
  bool draining() const { return (invocation_.flags & SLUICE_INVOCATION_DRAINING) != 0; }
  uint32_t input_count() const { return invocation_.input_count; }
  uint32_t output_count() const { return invocation_.output_count; }

  /// Borrows; empty when there is none, or it was taken.
  FrameRef Input(uint32_t index) const {
    if (index >= input_count() || index >= kMaxPorts || taken_[index]) return {};
    return {api_, invocation_.inputs[index]};
  }
  /// Moves the lease to the caller; empty when there is none.
  Frame TakeInput(uint32_t index) {
    const FrameRef input = Input(index);
    if (!input) return {};
    taken_.set(index);
    return {api_, input.c()};
  }
  /// The buffer reserved for this output; empty when not connected, dynamic or passing through.
  FrameRef Output(uint32_t index) const {
    if (index >= output_count()) return {};
    return {api_, invocation_.outputs[index]};
  }

 private:
  const sluice_frame_api* api_;
  const sluice_invocation& invocation_;
  std::bitset<kMaxPorts> taken_;
};

/// What Process() answers when nothing failed.
enum class Process : int32_t {
  kDone = SLUICE_PROCESS_DONE,
  kAsync = SLUICE_PROCESS_ASYNC,         ///< Complete() follows, once.
  kNeedMore = SLUICE_PROCESS_NEED_MORE,  ///< nothing to do until input or a wake-up.
  kEnd = SLUICE_PROCESS_END,             ///< this node will emit nothing more.
};

/// How much the wrapper distrusts its host.
enum class CheckingLevel {
  kNone,
  kMinimal,  ///< the order of the verbs: one comparison for each call.
};

/// Base of a node class T. T states
///     static constexpr const char* kType = "family.name";
/// and a constructor T(NodeContext, const Params&), or, when that can fail,
///     static Expected<std::unique_ptr<T>> Create(NodeContext, const Params&);
/// and any of these verbs (one that is missing is NULL in the ABI, with the meaning given there):
///     Status Probe(OfferSink&);                   [main-thread]
///     Status Configure(const Configuration&);     [main-thread]
///     Status Start();                             [main-thread]
///     Expected<Process> Process(Invocation&);     [process-thread]
///     Status Drain();  Status Flush();            [process-thread]
///     void Stop(int64_t deadline_ns, bool completed);  [main-thread]
///     Status Reconfigure(const Configuration&);   [main-thread]
///     Status SetParam(const sluice_param&);       [thread-safe]
///     void EndSoon();                             [thread-safe] sluice_ending
///     const void* GetExtension(const char* id);   [thread-safe]
/// A node with a port that allocates states both of
///     Status Allocate(int32_t direction, uint32_t port, const sluice_pool_request&, PoolSink&);
///     void ReleasePool(uint32_t pool, uint32_t epoch);              [main-thread]
/// and one that imports what others make both of
///     Status TestImport(int32_t direction, uint32_t port, FrameRef);
///     void ForgetPool(uint32_t pool, uint32_t epoch);               [main-thread]
/// An exception that leaves a verb becomes INTERNAL (RESOURCE_EXHAUSTED for std::bad_alloc) with
/// its text.
template <class T, CheckingLevel Level = CheckingLevel::kMinimal>
class Node {
 public:
  static constexpr CheckingLevel kCheckingLevel = Level;
  explicit Node(NodeContext context) : context_(context) {}
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

 protected:
  ~Node() = default;
  const NodeContext& context() const { return context_; }

 private:
  NodeContext context_;
};

namespace internal {

/// Runs `body` (returns int32_t) and turns exceptions into codes.
template <class Body, class Report>
int32_t Guard(Body&& body, Report&& report) noexcept {
  try {
    try {
      return body();
    } catch (const std::bad_alloc&) {
      report(SLUICE_E_RESOURCE_EXHAUSTED, "out of memory");
      return SLUICE_E_RESOURCE_EXHAUSTED;
    } catch (const std::exception& error) {
      report(SLUICE_E_INTERNAL, error.what());
    } catch (...) {
      report(SLUICE_E_INTERNAL, "an exception of unknown type");
    }
  } catch (...) {
    // The report itself failed: the code is all that is left.
  }
  return SLUICE_E_INTERNAL;
}

enum class State : uint8_t { kCreated, kConfigured, kActive };

/// What `sluice_node.self` points to, and the functions of the table.
template <class T>
struct NodeInstance {
  NodeContext context;
  std::unique_ptr<T> node;
  State state = State::kCreated;

  static NodeInstance& From(void* self) { return *static_cast<NodeInstance*>(self); }

  template <class Body>
  int32_t Run(Body&& body) noexcept {
    return Guard(body, [this](int32_t code, const char* text) {
      context.host().nodes()->set_error(context.c(), code, text);
    });
  }
  int32_t Code(const Status& status) const {
    context.Fail(status);
    return status.code();
  }
  /// Whether the host called a verb out of order.
  bool Misplaced(State wanted, const char* verb) const {
    if constexpr (T::kCheckingLevel == CheckingLevel::kNone) return false;
    if (state == wanted) return false;
    context.host().nodes()->log(context.c(), SLUICE_LOG_ERROR,
                                "the host called a verb out of order");
    context.host().nodes()->set_error(context.c(), SLUICE_E_INTERNAL, verb);
    return true;
  }

  static int32_t Probe(void* self, sluice_offer_sink* sink) noexcept {
    NodeInstance& me = From(self);
    return me.Run([&] {
      OfferSink offers(me.context.host(), sink);
      return me.Code(me.node->Probe(offers));
    });
  }
  static int32_t Configure(void* self, const sluice_configuration* configuration) noexcept {
    NodeInstance& me = From(self);
    return me.Run([&]() -> int32_t {
      // From configured too: a plan that had to be solved again configures again.
      if (me.state == State::kActive && me.Misplaced(State::kCreated, "configure while active")) {
        return SLUICE_E_INTERNAL;
      }
      if (configuration->port_count > kMaxPorts) {
        return me.Code(Status(SLUICE_E_UNSUPPORTED, "too many ports"));
      }
      int32_t code = SLUICE_OK;
      if constexpr (requires(T & t, const Configuration& c) { t.Configure(c); }) {
        code = me.Code(me.node->Configure(Configuration(*configuration)));
      }
      me.state = code >= 0 ? State::kConfigured : State::kCreated;
      return code;
    });
  }
  static int32_t Start(void* self) noexcept {
    NodeInstance& me = From(self);
    return me.Run([&]() -> int32_t {
      if (me.Misplaced(State::kConfigured, "start while not configured")) return SLUICE_E_INTERNAL;
      int32_t code = SLUICE_OK;
      if constexpr (requires(T & t) { t.Start(); }) code = me.Code(me.node->Start());
      if (code >= 0) me.state = State::kActive;
      return code;
    });
  }
  static int32_t Process(void* self, const sluice_invocation* c_invocation) noexcept {
    NodeInstance& me = From(self);
    return me.Run([&]() -> int32_t {
      // First, so that the inputs are given back whatever happens.
      Invocation invocation(me.context.host().frames(), *c_invocation);
      if (me.Misplaced(State::kActive, "process while not active")) return SLUICE_E_INTERNAL;
      const Expected<sdk::Process> result = me.node->Process(invocation);
      if (result.ok()) return static_cast<int32_t>(*result);
      return me.Code(result.status());
    });
  }
  static int32_t Drain(void* self) noexcept {
    NodeInstance& me = From(self);
    return me.Run([&] { return me.Code(me.node->Drain()); });
  }
  static int32_t Flush(void* self) noexcept {
    NodeInstance& me = From(self);
    return me.Run([&] { return me.Code(me.node->Flush()); });
  }
  static void Stop(void* self, int64_t deadline_ns, int32_t completed) noexcept {
    NodeInstance& me = From(self);
    me.Run([&]() -> int32_t {
      if constexpr (requires(T & t) { t.Stop(int64_t{}, true); }) {
        me.node->Stop(deadline_ns, completed != 0);
      }
      return SLUICE_OK;
    });
    me.state = State::kConfigured;
  }
  static int32_t Reconfigure(void* self, const sluice_configuration* configuration) noexcept {
    NodeInstance& me = From(self);
    return me.Run([&]() -> int32_t {
      if (me.Misplaced(State::kActive, "reconfigure while not active")) return SLUICE_E_INTERNAL;
      return me.Code(me.node->Reconfigure(Configuration(*configuration)));
    });
  }
  static int32_t SetParam(void* self, const sluice_param* param) noexcept {
    NodeInstance& me = From(self);
    return me.Run([&] { return me.Code(me.node->SetParam(*param)); });
  }
  static constexpr bool kAllocates =
      requires(T& t, const sluice_pool_request& r, PoolSink& s) { t.Allocate(0, 0u, r, s); };
  static constexpr bool kEnds = requires(T& t) { t.EndSoon(); };
  static constexpr bool kImports = requires(T& t, FrameRef f) { t.TestImport(0, 0u, f); };

  static const sluice_allocator* AllocatorTable() {
    static constexpr sluice_allocator table = {
        sizeof(sluice_allocator), 0,
        [](void* self, int32_t direction, uint32_t port, const sluice_pool_request* request,
           sluice_pool_sink* c_sink) -> int32_t {
          NodeInstance& me = From(self);
          return me.Run([&] {
            PoolSink sink(me.context.host(), c_sink);
            return me.Code(me.node->Allocate(direction, port, *request, sink));
          });
        },
        [](void* self, uint32_t pool, uint32_t epoch) {
          NodeInstance& me = From(self);
          me.Run([&]() -> int32_t {
            me.node->ReleasePool(pool, epoch);
            return SLUICE_OK;
          });
        }};
    return &table;
  }
  static const sluice_importer* ImporterTable() {
    static constexpr sluice_importer table = {
        sizeof(sluice_importer), 0,
        [](void* self, int32_t direction, uint32_t port, sluice_frame* frame) -> int32_t {
          NodeInstance& me = From(self);
          return me.Run([&] {
            return me.Code(
                me.node->TestImport(direction, port, FrameRef(me.context.host().frames(), frame)));
          });
        },
        [](void* self, uint32_t pool, uint32_t epoch) {
          NodeInstance& me = From(self);
          me.Run([&]() -> int32_t {
            me.node->ForgetPool(pool, epoch);
            return SLUICE_OK;
          });
        }};
    return &table;
  }
  static const sluice_ending* EndingTable() {
    static constexpr sluice_ending table = {sizeof(sluice_ending), 0, [](void* self) {
                                              NodeInstance& me = From(self);
                                              me.Run([&]() -> int32_t {
                                                me.node->EndSoon();
                                                return SLUICE_OK;
                                              });
                                            }};
    return &table;
  }
  static const void* GetExtension(void* self, const char* id) noexcept {
    const void* extension = nullptr;
    NodeInstance& me = From(self);
    me.Run([&]() -> int32_t {
      if constexpr (kAllocates) {
        if (std::strcmp(id, SLUICE_ALLOCATOR_ID) == 0) extension = AllocatorTable();
      }
      if constexpr (kImports) {
        if (std::strcmp(id, SLUICE_IMPORTER_ID) == 0) extension = ImporterTable();
      }
      if constexpr (kEnds) {
        if (std::strcmp(id, SLUICE_ENDING_ID) == 0) extension = EndingTable();
      }
      if constexpr (requires(T & t) { t.GetExtension(""); }) {
        if (extension == nullptr) extension = me.node->GetExtension(id);
      }
      return SLUICE_OK;
    });
    return extension;
  }
  static void Destroy(void* self) noexcept {
    auto* me = static_cast<NodeInstance*>(self);
    me->Run([&]() -> int32_t {
      me->node.reset();
      return SLUICE_OK;
    });
    delete me;
  }

  static sluice_node Table(NodeInstance* self) {
    sluice_node table{};
    table.self = self;
    table.configure = Configure;
    table.start = Start;
    table.stop = Stop;
    table.destroy = Destroy;
    if constexpr (requires(T & t, OfferSink & s) { t.Probe(s); }) table.probe = Probe;
    if constexpr (requires(T & t, Invocation & i) { t.Process(i); }) table.process = Process;
    if constexpr (requires(T & t) { t.Drain(); }) table.drain = Drain;
    if constexpr (requires(T & t) { t.Flush(); }) table.flush = Flush;
    if constexpr (requires(T & t, const Configuration& c) { t.Reconfigure(c); }) {
      table.reconfigure = Reconfigure;
    }
    if constexpr (requires(T & t, const sluice_param& p) { t.SetParam(p); }) {
      table.set_param = SetParam;
    }
    if constexpr (kAllocates || kImports || kEnds || requires(T & t) { t.GetExtension(""); }) {
      table.get_extension = GetExtension;
    }
    return table;
  }
};

/// Creates a T behind a table. Reports a failure through the node's host.
template <class T>
int32_t MakeNode(const sluice_host* c_host, const sluice_param_set* params,
                 sluice_node_host* node_host, sluice_node* out) noexcept {
  const Host host(c_host);
  const NodeContext context(host, node_host);
  return Guard(
      [&]() -> int32_t {
        auto instance = std::make_unique<NodeInstance<T>>();
        instance->context = context;
        if constexpr (requires { T::Create(context, Params(params)); }) {
          Expected<std::unique_ptr<T>> made = T::Create(context, Params(params));
          if (!made.ok()) return instance->Code(made.status());
          instance->node = *std::move(made);
        } else {
          instance->node = std::make_unique<T>(context, Params(params));
        }
        *out = NodeInstance<T>::Table(instance.get());
        instance.release();
        return SLUICE_OK;
      },
      [&](int32_t code, const char* text) { host.nodes()->set_error(node_host, code, text); });
}

}  // namespace internal

/// The T behind a node of the same plugin, or null when it is of another type.
template <class T>
T* NodeCast(const sluice_node& node) {
  if (node.destroy != &internal::NodeInstance<T>::Destroy) return nullptr;
  return internal::NodeInstance<T>::From(node.self).node.get();
}

}  // namespace sluice::sdk

#endif  // SLUICE_SDK_NODE_HPP_
