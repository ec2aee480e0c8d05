#ifndef SLUICE_SDK_TESTING_NODE_RUNNER_HPP_
#define SLUICE_SDK_TESTING_NODE_RUNNER_HPP_

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include <sluice/testing/fake_host.hpp>

namespace sluice::sdk::testing {

/// What Push() and Step() answer beside SLUICE_PROCESS_* and SLUICE_E_*: the node was not called,
/// because an output had no buffer left, an input was not ready, or an invocation was running.
inline constexpr int32_t kNotRunnable = 1000;

/// How the runner treats a port; the test says what the manifest would.
struct PortSpec {
  sluice_format format{};
  bool connected = true;
  uint32_t buffers = 4;
  bool dynamic = false;        ///< outputs: `acquire: dynamic`
  uint32_t reserve = 4;        ///< of a dynamic output
  bool passthrough = false;    ///< outputs: no pool of its own
  bool device_access = false;  ///< inputs: called before the acquire fence has signalled
  uint32_t views = SLUICE_VIEW_CPU | SLUICE_VIEW_SHM;
  uint32_t sync = SLUICE_SYNC_CPU_DONE;
  /// Zero: MakeLayout(format). What the plan would make of the port's multiples and tail otherwise.
  sluice_layout layout{};
};

/// An offer that probe() made, with its own copies.
struct RecordedOffer {
  std::string port;
  sluice_offer offer;
  std::vector<uint32_t> fourccs;
  std::vector<uint64_t> modifiers;
  std::string copies;  ///< empty: it does not copy
};

struct RecordedDrop {
  std::string port;
  uint64_t frames;
  std::string reason;
};

struct RecordedCopy {
  std::string port;
  uint64_t bytes;
  std::string reason;
};

/// Runs one node of a plugin in the test: creates it, walks it through its verbs, feeds and
/// collects frames. The verbs are called in any order the test likes; a good test keeps to the
/// state machine. Threads: the test's; the node may call back from its own.
class NodeRunner final : public NodeEvents {
 public:
  /// `entry`: of the plugin under test (link it, or dlsym "sluice_plugin").
  NodeRunner(const sluice_entry& entry, const char* type, Parameters params = {},
             const char* name = "node")
      : name_(name), params_(std::move(params)) {
    init_status_ = entry.init == nullptr ? SLUICE_OK : entry.init(host_.c());
    deinit_ = entry.deinit;
    if (init_status_ < 0) return;
    const auto* factory =
        static_cast<const sluice_node_factory*>(entry.get_factory(SLUICE_NODE_FACTORY_ID));
    created_ = factory == nullptr ? SLUICE_E_UNSUPPORTED
                                  : factory->create(host_.c(), type, params_.c(), c(), &node_);
    exists_ = created_ >= 0;
    if (exists_ &&
        (node_.configure == nullptr || node_.stop == nullptr || node_.destroy == nullptr)) {
      host_.ledger().Report("configure, stop or destroy is NULL");
    }
  }
  NodeRunner(const NodeRunner&) = delete;
  NodeRunner& operator=(const NodeRunner&) = delete;
  ~NodeRunner() override {
    if (active_) Stop(false);
    Destroy();
    emitted_.clear();
    if (init_status_ >= 0 && deinit_ != nullptr) deinit_();
  }

  /// Result of the factory's create().
  int32_t created() const { return init_status_ < 0 ? init_status_ : created_; }
  const sluice_node& node() const { return node_; }
  FakeHost& host() { return host_; }

  // Ports, in manifest order. Before Configure().
  NodeRunner& Input(const char* port, const PortSpec& spec) {
    inputs_.push_back(Port{port, spec, nullptr, {}});
    return *this;
  }
  NodeRunner& Output(const char* port, const PortSpec& spec) {
    outputs_.push_back(Port{port, spec, nullptr, {}});
    return *this;
  }
  /// Sets what reconfigure() will say; index among the ports of its direction.
  void SetFormat(int32_t direction, uint32_t index, const sluice_format& format) {
    (direction == SLUICE_PORT_INPUT ? inputs_ : outputs_).at(index).spec.format = format;
  }
  void SetLayout(int32_t direction, uint32_t index, const sluice_layout& layout) {
    (direction == SLUICE_PORT_INPUT ? inputs_ : outputs_).at(index).spec.layout = layout;
  }
  uint32_t input_count() const { return static_cast<uint32_t>(inputs_.size()); }
  uint32_t output_count() const { return static_cast<uint32_t>(outputs_.size()); }
  /// Takes the edges off all ports.
  void DisconnectAll() {
    for (Port& port : inputs_) port.spec.connected = false;
    for (Port& port : outputs_) port.spec.connected = false;
  }
  void set_realtime(bool realtime) { realtime_ = realtime; }
  void set_overwrite(bool overwrite) { overwrite_ = overwrite; }
  void set_domain(void* self) { domain_ = self; }
  /// Emitted frames are handed to `sink` instead of being kept.
  void set_on_emit(std::function<void(uint32_t output, HeldFrame)> sink) {
    on_emit_ = std::move(sink);
  }
  /// Reserved outputs and dynamic acquisition find no buffer while true.
  void set_refuse_acquire(bool refuse) {
    const std::lock_guard lock(mutex_);
    refuse_acquire_ = refuse;
  }

  // Verbs. Each returns what the node did; SLUICE_OK where the node has NULL.
  int32_t Probe() {
    offers_.clear();
    if (node_.probe == nullptr) return SLUICE_OK;
    return node_.probe(node_.self,
                       reinterpret_cast<sluice_offer_sink*>(static_cast<NodeEvents*>(this)));
  }
  int32_t Configure() {
    ++epoch_;
    BuildPorts();
    return node_.configure(node_.self, &configuration_);
  }
  int32_t Start() {
    const int32_t code = node_.start == nullptr ? SLUICE_OK : node_.start(node_.self);
    active_ = code >= 0;
    return code;
  }
  int32_t Reconfigure() {
    if (node_.reconfigure == nullptr) return SLUICE_E_UNSUPPORTED;
    ++epoch_;
    BuildPorts();
    return node_.reconfigure(node_.self, &configuration_);
  }
  /// process() with these inputs (as many as there are input ports; empty ones are NULL).
  int32_t Process(std::vector<HeldFrame> inputs) {
    for (std::size_t i = 0; i < inputs.size(); ++i) Arrive(i, std::move(inputs[i]));
    return Fire();
  }
  /// process() with one frame for the first input.
  int32_t Push(HeldFrame frame) {
    Arrive(0, std::move(frame));
    return Fire();
  }
  /// process() without input: what a source gets, and what follows wake().
  int32_t Step() { return Fire(); }
  /// drain(), then process() with DRAINING until END, an error or `limit` calls.
  /// Returns the last result; SLUICE_PROCESS_END where the node has no drain().
  int32_t Drain(int limit = 10'000) {
    if (node_.drain == nullptr) return SLUICE_PROCESS_END;
    if (const int32_t code = node_.drain(node_.self); code < 0) return code;
    draining_ = true;
    int32_t result = SLUICE_PROCESS_DONE;
    for (int i = 0; i < limit && result != SLUICE_PROCESS_END && result >= 0; ++i) {
      result = Fire();
      if (result == SLUICE_PROCESS_ASYNC) result = WaitComplete();
      if (result == kNotRunnable) break;
    }
    return result;
  }
  int32_t Flush() { return node_.flush == nullptr ? SLUICE_OK : node_.flush(node_.self); }
  void Stop(bool completed = true, int64_t deadline_ns = INT64_MAX) {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    if (node_.stop != nullptr) node_.stop(node_.self, deadline_ns, completed ? 1 : 0);
    active_ = false;
    const std::lock_guard lock(mutex_);
    stopping_ = false;
    draining_ = false;
    ReturnReserved();
  }
  void Destroy() {
    if (!exists_) return;
    exists_ = false;
    if (node_.destroy != nullptr) node_.destroy(node_.self);
  }
  int32_t SetParam(const sluice_param& param) {
    return node_.set_param == nullptr ? SLUICE_E_UNSUPPORTED : node_.set_param(node_.self, &param);
  }

  /// A writable frame for the input `index`; empty when its pool has none left.
  HeldFrame NewFrame(uint32_t index = 0) {
    const std::lock_guard lock(host_.mutex());
    return HeldFrame(inputs_.at(index).pool->TakeBuffer(Holder::kHost));
  }
  /// Waits (at most `timeout`) until the running ASYNC invocation completes; its result, or
  /// TIMEOUT.
  int32_t WaitComplete(std::chrono::milliseconds timeout = std::chrono::seconds(20)) {
    std::unique_lock lock(mutex_);
    if (!changed_.wait_for(lock, timeout, [this] { return !running_; })) return SLUICE_E_TIMEOUT;
    return async_result_;
  }
  /// Waits (at most `timeout`) until `count` frames lie in the output.
  bool WaitEmitted(uint32_t output, std::size_t count,
                   std::chrono::milliseconds timeout = std::chrono::seconds(20)) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, timeout, [&] { return emitted_[output].size() >= count; });
  }

  // What the node did.
  /// Takes the oldest frame emitted on `output`; empty when there is none.
  HeldFrame Take(uint32_t output = 0) {
    const std::lock_guard lock(mutex_);
    if (output >= emitted_.size() || emitted_[output].empty()) return {};
    HeldFrame frame = std::move(emitted_[output].front());
    emitted_[output].pop_front();
    return frame;
  }
  std::size_t emitted(uint32_t output = 0) const {
    const std::lock_guard lock(mutex_);
    return output < emitted_.size() ? emitted_[output].size() : 0;
  }
  /// Leases that the node has and owes.
  uint32_t Leaked() const { return host_.LeasesOfNode(); }
  /// Broken rules, in words. Empty is the only good answer.
  std::vector<std::string> violations() { return host_.ledger().violations(); }
  const std::vector<RecordedOffer>& offers() const { return offers_; }
  std::vector<std::string> notes() const { return Copy(notes_); }
  std::vector<RecordedDrop> drops() const { return Copy(drops_); }
  std::vector<RecordedCopy> copies() const { return Copy(copies_); }
  std::string error() const { return Copy(error_); }
  int32_t error_code() const { return Copy(error_code_); }
  /// The last wake_at(), or -1.
  int64_t wake_at_ns() const { return Copy(wake_at_ns_); }
  /// Waits until a watched fd is ready and wakes the node. False: none was, for `timeout_ms`.
  bool WaitForFd(int timeout_ms) {
    std::vector<pollfd> entries;
    {
      const std::lock_guard lock(mutex_);
      for (const auto& [fd, events] : watches_) {
        const int wanted = ((events & SLUICE_WATCH_READABLE) != 0 ? POLLIN : 0) |
                           ((events & SLUICE_WATCH_PRIORITY) != 0 ? POLLPRI : 0);
        entries.push_back({fd, static_cast<short>(wanted), 0});
      }
    }
    if (poll(entries.data(), entries.size(), timeout_ms) <= 0) return false;
    for (const pollfd& entry : entries) {
      if (entry.revents != 0) UnwatchFd(entry.fd);
    }
    Wake();
    return true;
  }
  uint64_t wakes() const { return Copy(wakes_); }
  uint64_t renegotiations() const { return Copy(renegotiations_); }
  FakePool* output_pool(uint32_t index) { return outputs_.at(index).pool; }
  FakePool* input_pool(uint32_t index) { return inputs_.at(index).pool; }

  // NodeEvents: called by the node.
  const char* Name() override { return name_.c_str(); }
  int32_t Offer(const char* port, const sluice_offer& offer) override {
    RecordedOffer record{port,
                         offer,
                         {offer.fourccs, offer.fourccs + offer.fourcc_count},
                         {offer.modifiers, offer.modifiers + offer.modifier_count},
                         offer.copies == nullptr ? "" : offer.copies};
    record.offer.fourccs = nullptr;
    record.offer.modifiers = nullptr;
    record.offer.copies = nullptr;
    offers_.push_back(std::move(record));
    return SLUICE_OK;
  }
  int32_t Emit(uint32_t output, FakeFrame* frame, const sluice_fence* fence) override {
    {
      const std::lock_guard lock(host_.mutex());
      if (!CheckEmit(output, frame)) return SLUICE_E_INVALID_ARGUMENT;
      frame->emitted = true;
      frame->buffer->emitted = true;
      frame->holder = Holder::kHost;
      frame->acquire = OwnedFence(fence);
    }
    HeldFrame held(frame);
    if (on_emit_) {
      on_emit_(output, std::move(held));
      return SLUICE_OK;
    }
    const std::lock_guard lock(mutex_);
    emitted_[output].push_back(std::move(held));
    changed_.notify_all();
    return SLUICE_OK;
  }
  int32_t Acquire(uint32_t output, sluice_frame** out) override {
    return AcquireFrom(output, out, [](FakePool& pool) { return pool.TakeBuffer(Holder::kNode); });
  }
  int32_t AcquireBuffer(uint32_t output, uint32_t index, sluice_frame** out) override {
    return AcquireFrom(output, out,
                       [index](FakePool& pool) { return pool.TakeBuffer(Holder::kNode, index); });
  }
  int32_t IsFree(uint32_t output, uint32_t index) override {
    const std::lock_guard lock(mutex_);
    const std::lock_guard host_lock(host_.mutex());
    if (output >= outputs_.size()) return SLUICE_E_INVALID_ARGUMENT;
    if (stopping_) return SLUICE_E_CANCELLED;
    return outputs_[output].pool->IsFree(index) ? 1 : 0;
  }
  template <class Take>
  int32_t AcquireFrom(uint32_t output, sluice_frame** out, Take take) {
    *out = nullptr;
    const std::lock_guard lock(mutex_);
    const std::lock_guard host_lock(host_.mutex());
    if (output >= outputs_.size() || !outputs_[output].spec.dynamic) {
      host_.ledger().Report("acquire on a port that is not dynamic");
      return SLUICE_E_INVALID_ARGUMENT;
    }
    if (stopping_) return SLUICE_E_CANCELLED;
    Port& port = outputs_[output];
    if (refuse_acquire_ || port.pool->CountAcquiredByNode() >= port.spec.reserve) {
      return SLUICE_E_WOULD_BLOCK;
    }
    FakeFrame* frame = take(*port.pool);
    if (frame == nullptr) return SLUICE_E_WOULD_BLOCK;
    frame->by_node = true;
    *out = frame->c();
    return SLUICE_OK;
  }
  void Complete(uint64_t invocation, int32_t result) override {
    const std::lock_guard lock(mutex_);
    if (!running_ || invocation != invocation_id_ || completed_early_) {
      host_.ledger().Report("complete of an invocation that is not running");
      return;
    }
    async_result_ = result;
    if (in_process_) {
      completed_early_ = true;  // before process() has returned ASYNC
      return;
    }
    running_ = false;
    ReturnReserved();
    changed_.notify_all();
  }
  void Wake() override {
    const std::lock_guard lock(mutex_);
    ++wakes_;
    changed_.notify_all();
  }
  void WakeAt(int64_t at_ns) override {
    const std::lock_guard lock(mutex_);
    wake_at_ns_ = at_ns;
  }
  int32_t RequestRenegotiate(uint32_t /*output*/) override {
    const std::lock_guard lock(mutex_);
    ++renegotiations_;
    return SLUICE_OK;
  }
  int32_t RequestRenegotiateInput(uint32_t input) override {
    if (input >= inputs_.size()) return SLUICE_E_INVALID_ARGUMENT;
    return RequestRenegotiate(input);
  }
  void SetError(int32_t code, const char* message) override {
    const std::lock_guard lock(mutex_);
    error_code_ = code;
    error_ = message;
  }
  void CountCopy(const char* port, uint64_t bytes, const char* reason) override {
    const std::lock_guard lock(mutex_);
    copies_.push_back({port, bytes, reason});
  }
  void CountDrop(const char* port, uint64_t frames, const char* reason) override {
    const std::lock_guard lock(mutex_);
    drops_.push_back({port, frames, reason});
  }
  void Note(const char* text) override {
    const std::lock_guard lock(mutex_);
    notes_.emplace_back(text);
  }
  void Progress(uint64_t /*done*/, uint64_t /*total*/) override {}
  void Log(int32_t level, const char* message) override {
    const std::lock_guard lock(mutex_);
    notes_.push_back(Format("log %d: %s", level, message));
  }
  void* Domain() override { return domain_; }
  int32_t WatchFd(int32_t fd, uint32_t events) override {
    const std::lock_guard lock(mutex_);
    watches_[fd] = events;
    return SLUICE_OK;
  }
  void UnwatchFd(int32_t fd) override {
    const std::lock_guard lock(mutex_);
    watches_.erase(fd);
  }

 private:
  struct Port {
    std::string name;
    PortSpec spec;
    FakePool* pool;  ///< inputs: the feeding one
    sluice_port_config config;
  };

  template <class T>
  T Copy(const T& value) const {
    const std::lock_guard lock(mutex_);
    return value;
  }

  void BuildPorts() {
    configs_.clear();
    for (std::size_t i = 0; i < inputs_.size(); ++i) AddPort(inputs_[i], SLUICE_PORT_INPUT, i);
    for (std::size_t i = 0; i < outputs_.size(); ++i) AddPort(outputs_[i], SLUICE_PORT_OUTPUT, i);
    configuration_ = {epoch_, static_cast<uint32_t>(configs_.size()), configs_.data(),
                      realtime_ ? 1 : 0, overwrite_ ? 1 : 0};
    arrived_.assign(inputs_.size(), nullptr);
    in_frames_.assign(inputs_.size(), nullptr);
    out_frames_.assign(outputs_.size(), nullptr);
    reserved_.assign(outputs_.size(), nullptr);
    if (emitted_.size() < outputs_.size()) emitted_.resize(outputs_.size());
  }
  void AddPort(Port& port, int32_t direction, std::size_t index) {
    sluice_port_config config{};
    config.name = port.name.c_str();
    config.index = static_cast<uint32_t>(index);
    config.direction = direction;
    config.connected = port.spec.connected ? 1 : 0;
    if (port.spec.connected) {
      const bool has_pool = direction == SLUICE_PORT_INPUT || !port.spec.passthrough;
      const sluice_layout layout =
          port.spec.layout.size != 0 ? port.spec.layout : MakeLayout(port.spec.format);
      port.pool =
          has_pool ? &host_.MakePool(port.spec.format, layout, port.spec.buffers, epoch_) : nullptr;
      config.views = port.spec.views;
      config.format = port.spec.format;
      config.layout = layout;
      config.buffers = port.spec.buffers;
      config.sync = port.spec.sync;
    }
    configs_.push_back(config);
  }

  /// A frame that could not go in before is dropped.
  void Arrive(std::size_t input, HeldFrame frame) {
    const HeldFrame before(std::exchange(arrived_.at(input), frame.Take()));
  }
  bool InputsReady() {
    for (std::size_t i = 0; i < arrived_.size(); ++i) {
      if (arrived_[i] == nullptr || inputs_[i].spec.device_access) continue;
      if (arrived_[i]->acquire.StatusNow() == 0) return false;
    }
    return true;
  }
  /// Reserves all outputs or none.
  bool Reserve() {
    const std::lock_guard lock(host_.mutex());
    for (std::size_t i = 0; i < outputs_.size(); ++i) {
      const PortSpec& spec = outputs_[i].spec;
      if (!spec.connected || spec.passthrough || spec.dynamic) continue;
      reserved_[i] = refuse_acquire_ ? nullptr : outputs_[i].pool->TakeBuffer(Holder::kReserved);
      if (reserved_[i] != nullptr) continue;
      ReturnReservedLocked();
      return false;
    }
    return true;
  }
  void ReturnReserved() {
    const std::lock_guard lock(host_.mutex());
    ReturnReservedLocked();
  }
  void ReturnReservedLocked() {
    for (FakeFrame*& frame : reserved_) {
      if (frame != nullptr && frame->holder == Holder::kReserved) {
        if (frame->mapped != 0) host_.ledger().Report("a reserved frame was left mapped");
        frame->pool->Return(*frame, nullptr);
      }
      frame = nullptr;
    }
  }
  /// Inputs that wait in arrived_ go in when the node may run; otherwise they wait on.
  int32_t Fire() {
    if (!active_ || running_ || !InputsReady() || !Reserve()) return kNotRunnable;
    sluice_invocation invocation{};
    {
      const std::lock_guard lock(mutex_);
      const std::lock_guard host_lock(host_.mutex());
      running_ = true;
      in_process_ = true;
      completed_early_ = false;
      invocation.id = ++invocation_id_;
      for (std::size_t i = 0; i < arrived_.size(); ++i) {
        FakeFrame* frame = std::exchange(arrived_[i], nullptr);
        in_frames_[i] = frame == nullptr ? nullptr : frame->c();
        if (frame == nullptr) continue;
        frame->holder = Holder::kNode;
        frame->emitted = true;
        frame->buffer->emitted = true;
      }
      for (std::size_t i = 0; i < reserved_.size(); ++i) {
        out_frames_[i] = reserved_[i] == nullptr ? nullptr : reserved_[i]->c();
      }
    }
    invocation.input_count = static_cast<uint32_t>(in_frames_.size());
    invocation.output_count = static_cast<uint32_t>(out_frames_.size());
    invocation.inputs = in_frames_.data();
    invocation.outputs = out_frames_.data();
    invocation.flags = draining_ ? SLUICE_INVOCATION_DRAINING : 0;
    const int32_t result = node_.process(node_.self, &invocation);
    const std::lock_guard lock(mutex_);
    in_process_ = false;
    if (result == SLUICE_PROCESS_ASYNC && !completed_early_) return result;
    if (result != SLUICE_PROCESS_ASYNC && completed_early_) {
      host_.ledger().Report("complete was called, but process did not return ASYNC");
    }
    running_ = false;
    ReturnReserved();
    return result;
  }
  bool CheckEmit(uint32_t output, FakeFrame* frame) {
    Ledger& ledger = host_.ledger();
    if (output >= outputs_.size() || !outputs_[output].spec.connected) {
      ledger.Report("emit on an output that does not exist or is not connected");
      // emit() takes the frame, whatever happens.
      if (frame != nullptr && frame->holder == Holder::kNode) frame->pool->Return(*frame, nullptr);
      return false;
    }
    if (frame == nullptr || frame->holder == Holder::kFree || frame->holder == Holder::kHost) {
      ledger.Report("emit of a frame that the node does not own");
      return false;
    }
    if (frame->mapped != 0) ledger.Report("emit of a frame that is still mapped");
    if (frame->holder == Holder::kReserved && reserved_[output] != frame) {
      ledger.Report("emit of a buffer that was reserved for another output");
    }
    if (!outputs_[output].spec.passthrough && frame->pool != outputs_[output].pool) {
      ledger.Report("emit of a foreign buffer on an output that does not pass through");
    }
    return true;
  }

  FakeHost host_;
  const std::string name_;
  Parameters params_;
  sluice_node node_{};
  void (*deinit_)() = nullptr;
  int32_t init_status_ = SLUICE_OK;
  int32_t created_ = SLUICE_E_INTERNAL;
  bool exists_ = false;
  bool active_ = false;
  bool realtime_ = false;
  bool overwrite_ = false;
  void* domain_ = nullptr;
  uint32_t epoch_ = 0;
  std::vector<Port> inputs_;
  std::vector<Port> outputs_;
  std::vector<sluice_port_config> configs_;
  sluice_configuration configuration_{};
  std::vector<RecordedOffer> offers_;
  std::function<void(uint32_t, HeldFrame)> on_emit_;

  // Of the invocation. The vectors keep their size, so that a step allocates nothing.
  std::vector<FakeFrame*> arrived_;
  std::vector<FakeFrame*> reserved_;
  std::vector<sluice_frame*> in_frames_;
  std::vector<sluice_frame*> out_frames_;

  mutable std::mutex mutex_;  // taken before the host's
  std::condition_variable changed_;
  std::vector<std::deque<HeldFrame>> emitted_;
  std::vector<std::string> notes_;
  std::vector<RecordedDrop> drops_;
  std::vector<RecordedCopy> copies_;
  std::string error_;
  int32_t error_code_ = SLUICE_OK;
  int64_t wake_at_ns_ = -1;
  std::map<int32_t, uint32_t> watches_;
  uint64_t wakes_ = 0;
  uint64_t renegotiations_ = 0;
  uint64_t invocation_id_ = 0;
  int32_t async_result_ = SLUICE_OK;
  bool refuse_acquire_ = false;
  bool running_ = false;
  bool in_process_ = false;
  bool completed_early_ = false;
  bool stopping_ = false;
  bool draining_ = false;
};

}  // namespace sluice::sdk::testing

#endif  // SLUICE_SDK_TESTING_NODE_RUNNER_HPP_
