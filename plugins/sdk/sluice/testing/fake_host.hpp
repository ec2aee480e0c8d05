#ifndef SLUICE_SDK_TESTING_FAKE_HOST_HPP_
#define SLUICE_SDK_TESTING_FAKE_HOST_HPP_

#include <atomic>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include <sluice/domain.h>
#include <sluice/node.h>
#include <sluice/sdk.hpp>
#include <sluice/testing/fake_media.hpp>

namespace sluice::sdk::testing {

/// What the fake host's node handle forwards to; NodeRunner implements it.
class NodeEvents {
 public:
  virtual ~NodeEvents() = default;
  virtual const char* Name() = 0;
  virtual int32_t Offer(const char* port, const sluice_offer& offer) = 0;
  virtual int32_t Emit(uint32_t output, FakeFrame* frame, const sluice_fence* fence) = 0;
  virtual int32_t Acquire(uint32_t output, sluice_frame** out) = 0;
  virtual int32_t AcquireBuffer(uint32_t /*output*/, uint32_t /*index*/, sluice_frame** /*out*/) {
    return SLUICE_E_UNSUPPORTED;
  }
  virtual int32_t IsFree(uint32_t /*output*/, uint32_t /*index*/) { return SLUICE_E_UNSUPPORTED; }
  virtual void Complete(uint64_t invocation, int32_t result) = 0;
  virtual void Wake() = 0;
  virtual void WakeAt(int64_t at_ns) = 0;
  virtual int32_t RequestRenegotiate(uint32_t output) = 0;
  virtual int32_t RequestRenegotiateInput(uint32_t /*input*/) { return SLUICE_E_UNSUPPORTED; }
  virtual void SetError(int32_t code, const char* message) = 0;
  virtual void CountCopy(const char* port, uint64_t bytes, const char* reason) = 0;
  virtual void CountDrop(const char* port, uint64_t frames, const char* reason) = 0;
  virtual void Note(const char* text) = 0;
  virtual void Progress(uint64_t done, uint64_t total) = 0;
  virtual void Log(int32_t level, const char* message) = 0;
  virtual void* Domain() = 0;
  virtual int32_t WatchFd(int32_t /*fd*/, uint32_t /*events*/) { return SLUICE_E_UNSUPPORTED; }
  virtual void UnwatchFd(int32_t /*fd*/) {}

  sluice_node_host* c() { return reinterpret_cast<sluice_node_host*>(this); }
  static NodeEvents* From(sluice_node_host* node) { return reinterpret_cast<NodeEvents*>(node); }
};

/// A sluice_host in the test's own process, with frames over memfd, timelines and node handles.
/// It does what the engine does as far as a node can see it, and records every broken rule.
/// Threads: what the ABI says of each call; the rest from one thread.
class FakeHost {
 public:
  FakeHost() {
    table_.host = sluice_host{
        {SLUICE_ABI_MAJOR, SLUICE_ABI_MINOR},
        "fake",
        "0",
        [](const sluice_host* host, const char* id) { return Self(host)->FindExtension(id); },
        [](const sluice_host* host, int32_t level, const char* category, const char* message) {
          Self(host)->RecordLog(level, category, message);
        }};
    table_.self = this;
    extensions_[SLUICE_FRAME_API_ID] = &FrameApi();
    extensions_[SLUICE_TIMELINE_API_ID] = &TimelineApi();
    extensions_[SLUICE_NODE_HOST_API_ID] = &NodeHostApi();
    extensions_[SLUICE_MEMORY_API_ID] = &MemoryApi();
    extensions_[SLUICE_OWN_BUFFERS_API_ID] = &OwnBuffersApi();
    extensions_[SLUICE_INPUTS_API_ID] = &InputsApi();
  }
  FakeHost(const FakeHost&) = delete;
  FakeHost& operator=(const FakeHost&) = delete;

  const sluice_host* c() const { return &table_.host; }
  Host host() const { return Host(c()); }

  /// Offers a table to the plugin, or hides one (null). Borrows it.
  void SetExtension(const char* id, const void* table) { extensions_[id] = table; }
  /// States another ABI version, to see it refused.
  void SetVersion(sluice_version version) { table_.host.abi = version; }

  /// A pool of `count` buffers; the host keeps it to its own end.
  FakePool& MakePool(const sluice_format& format, uint32_t count, uint32_t epoch = 1) {
    return MakePool(format, MakeLayout(format), count, epoch);
  }
  FakePool& MakePool(const sluice_format& format, const sluice_layout& layout, uint32_t count,
                     uint32_t epoch = 1) {
    pools_.push_back(std::make_unique<FakePool>(
        &ledger_, &mutex_, static_cast<uint32_t>(pools_.size() + 1), epoch, format, layout, count));
    return *pools_.back();
  }
  /// A timeline that the test signals. One reference, the caller's.
  Timeline MakeTimeline(const char* signaller = "test") {
    sluice_timeline* timeline = nullptr;
    TimelineApi().create(signaller, nullptr, nullptr, &timeline);
    return Timeline(&TimelineApi(), timeline);
  }

  Ledger& ledger() { return ledger_; }
  std::mutex& mutex() { return mutex_; }
  /// Leases that the node still has.
  uint32_t LeasesOfNode() const { return Count(Holder::kNode); }
  /// Timelines of this process that are still referred to.
  static int LiveTimelines() { return LiveTimelineCount().load(); }
  std::vector<std::string> logs() const {
    const std::lock_guard lock(log_mutex_);
    return logs_;
  }

  static const sluice_frame_api& FrameApi();
  static const sluice_timeline_api& TimelineApi();
  static const sluice_node_host_api& NodeHostApi();
  static const sluice_memory_api& MemoryApi();
  static const sluice_own_buffers_api& OwnBuffersApi();
  static const sluice_inputs_api& InputsApi();

 private:
  // The ABI hands back a sluice_host; this finds its FakeHost. Standard layout, host first.
  struct Table {
    sluice_host host;
    FakeHost* self;
  };
  static FakeHost* Self(const sluice_host* host) {
    return reinterpret_cast<const Table*>(host)->self;
  }
  static std::atomic<int>& LiveTimelineCount() {
    static std::atomic<int> count{0};
    return count;
  }
  const void* FindExtension(const char* id) const {
    const auto found = extensions_.find(id);
    return found == extensions_.end() ? nullptr : found->second;
  }
  void RecordLog(int32_t level, const char* category, const char* message) {
    const std::lock_guard lock(log_mutex_);
    logs_.push_back(Format("%d %s: %s", level, category, message));
  }
  uint32_t Count(Holder holder) const {
    const std::lock_guard lock(mutex_);
    uint32_t count = 0;
    for (const auto& pool : pools_) count += pool->CountHeldBy(holder);
    return count;
  }

  Table table_{};
  std::map<std::string, const void*, std::less<>> extensions_;
  mutable std::mutex mutex_;
  mutable std::mutex log_mutex_;
  std::vector<std::string> logs_;
  Ledger ledger_;
  std::vector<std::unique_ptr<FakePool>> pools_;
};

namespace internal {

inline int32_t MapFrame(sluice_frame* c_frame, uint32_t flags, sluice_mapping* out) {
  FakeFrame& frame = *FakeFrame::From(c_frame);
  const std::lock_guard lock(frame.pool->mutex());
  Ledger& ledger = frame.pool->ledger();
  if (frame.holder == Holder::kFree) {
    ledger.Report("map of a frame that was released");
    return SLUICE_E_INVALID_ARGUMENT;
  }
  if ((flags & SLUICE_MAP_WRITE) != 0 && (frame.emitted || frame.buffer->emitted)) {
    return SLUICE_E_PERMISSION_DENIED;
  }
  if (frame.acquire.StatusNow() == 0) ledger.Report("map before the acquire fence has signalled");
  const sluice_layout& layout = frame.pool->layout();
  *out = {};
  out->plane_count = layout.plane_count;
  out->flags = flags;
  for (uint32_t i = 0; i < layout.plane_count; ++i) {
    out->planes[i] = frame.buffer->base + layout.planes[i].offset;
    out->strides[i] = layout.planes[i].stride;
  }
  ++frame.mapped;
  return SLUICE_OK;
}

inline void UnmapFrame(sluice_frame* c_frame, uint32_t /*flags*/) {
  FakeFrame& frame = *FakeFrame::From(c_frame);
  const std::lock_guard lock(frame.pool->mutex());
  if (frame.mapped == 0) {
    frame.pool->ledger().Report("unmap without map");
    return;
  }
  --frame.mapped;
}

inline void ReleaseFrame(sluice_frame* c_frame, const sluice_fence* fence) {
  FakeFrame& frame = *FakeFrame::From(c_frame);
  const std::lock_guard lock(frame.pool->mutex());
  Ledger& ledger = frame.pool->ledger();
  if (frame.holder != Holder::kNode) {
    ledger.Report("release of a frame that the node does not own");
    return;
  }
  if (frame.mapped != 0) ledger.Report("release of a frame that is still mapped");
  frame.pool->Return(frame, fence);
}

inline sluice_frame* ShareFrame(sluice_frame* c_frame) {
  FakeFrame& frame = *FakeFrame::From(c_frame);
  const std::lock_guard lock(frame.pool->mutex());
  if (frame.holder == Holder::kFree) {
    frame.pool->ledger().Report("share of a frame that was released");
    return nullptr;
  }
  FakeFrame* share = frame.pool->Share(frame);
  if (share == nullptr) return nullptr;
  share->holder = Holder::kNode;
  share->by_node = true;
  return share->c();
}

inline int32_t FrameShm(const sluice_frame* c_frame, sluice_shm_view* out) {
  const FakeFrame& frame = *FakeFrame::From(c_frame);
  *out = {-1, 0, frame.buffer->base, frame.pool->layout().size};
  return SLUICE_OK;
}

}  // namespace internal

inline const sluice_frame_api& FakeHost::FrameApi() {
  static const sluice_frame_api api = {
      sizeof(sluice_frame_api),
      0,
      [](const sluice_frame* f) -> const sluice_frame_info* { return &FakeFrame::From(f)->info; },
      [](sluice_frame* f) -> sluice_frame_info* {
        FakeFrame* frame = FakeFrame::From(f);
        return frame->emitted ? nullptr : &frame->info;
      },
      [](const sluice_frame* f) { return &FakeFrame::From(f)->pool->format(); },
      [](const sluice_frame* f) { return &FakeFrame::From(f)->pool->layout(); },
      [](const sluice_frame* f) { return FakeFrame::From(f)->buffer->id; },
      [](const sluice_frame*) -> uint32_t { return SLUICE_VIEW_SHM | SLUICE_VIEW_CPU; },
      internal::FrameShm,
      internal::MapFrame,
      internal::UnmapFrame,
      [](const sluice_frame* f) { return FakeFrame::From(f)->acquire.c(); },
      [](const sluice_frame*, sluice_fence*, uint32_t) -> uint32_t { return 0; },
      internal::ShareFrame,
      internal::ReleaseFrame,
  };
  return api;
}

inline const sluice_timeline_api& FakeHost::TimelineApi() {
  static const sluice_timeline_api api = {
      sizeof(sluice_timeline_api),
      0,
      [](const char* signaller, const sluice_timeline_ops* ops, void* self,
         sluice_timeline** out) -> int32_t {
        *out = (new FakeTimeline(signaller, ops, self, &LiveTimelineCount()))->c();
        return SLUICE_OK;
      },
      [](sluice_timeline* t) { FakeTimeline::From(t)->Ref(); },
      [](sluice_timeline* t) { FakeTimeline::From(t)->Unref(); },
      [](sluice_timeline* t, const sluice_timeline_ops* ops) {
        return FakeTimeline::From(t)->SelfFor(ops);
      },
      [](sluice_timeline* t, uint64_t point) { FakeTimeline::From(t)->Submitted(point); },
      [](sluice_timeline* t, uint64_t point) { FakeTimeline::From(t)->Signal(point); },
      [](sluice_timeline* t, uint64_t point, int32_t code) {
        FakeTimeline::From(t)->Fail(point, code);
      },
      [](sluice_timeline* t, uint64_t point) { return FakeTimeline::From(t)->StatusOf(point); },
      [](sluice_timeline* t, uint64_t point, int32_t* fd) {
        return FakeTimeline::From(t)->ToSyncFile(point, fd);
      },
      // No kernel timelines here.
      [](sluice_node_host*, const char*, int32_t, int32_t, sluice_timeline**) -> int32_t {
        return SLUICE_E_UNSUPPORTED;
      },
      [](sluice_timeline*, uint64_t) -> int32_t { return SLUICE_E_UNSUPPORTED; },
      [](sluice_timeline*, uint64_t, int32_t) -> int32_t { return SLUICE_E_UNSUPPORTED; },
  };
  return api;
}

inline const sluice_node_host_api& FakeHost::NodeHostApi() {
  using N = sluice_node_host;
  static const sluice_node_host_api api = {
      sizeof(sluice_node_host_api),
      0,
      [](N* n) { return NodeEvents::From(n)->Name(); },
      [](sluice_offer_sink* sink, const char* port, const sluice_offer* offer) {
        return reinterpret_cast<NodeEvents*>(sink)->Offer(port, *offer);
      },
      [](N* n, uint32_t output, sluice_frame* frame, const sluice_fence* fence) {
        return NodeEvents::From(n)->Emit(output, FakeFrame::From(frame), fence);
      },
      [](N* n, uint32_t output, sluice_frame** out) {
        return NodeEvents::From(n)->Acquire(output, out);
      },
      [](N* n, uint64_t id, int32_t result) { NodeEvents::From(n)->Complete(id, result); },
      [](N* n) { NodeEvents::From(n)->Wake(); },
      [](N* n, int64_t at_ns) { NodeEvents::From(n)->WakeAt(at_ns); },
      [](N* n, uint32_t output) { return NodeEvents::From(n)->RequestRenegotiate(output); },
      [](N* n, int32_t code, const char* text) { NodeEvents::From(n)->SetError(code, text); },
      [](N* n, const char* port, uint64_t bytes, const char* reason) {
        NodeEvents::From(n)->CountCopy(port, bytes, reason);
      },
      [](N* n, const char* port, uint64_t frames, const char* reason) {
        NodeEvents::From(n)->CountDrop(port, frames, reason);
      },
      [](N* n, const char* text) { NodeEvents::From(n)->Note(text); },
      [](N* n, uint64_t done, uint64_t total) { NodeEvents::From(n)->Progress(done, total); },
      [](N* n, int32_t level, const char* text) { NodeEvents::From(n)->Log(level, text); },
      [](N* n) { return NodeEvents::From(n)->Domain(); },
      [](N* n, int32_t fd, uint32_t events) { return NodeEvents::From(n)->WatchFd(fd, events); },
      [](N* n, int32_t fd) { NodeEvents::From(n)->UnwatchFd(fd); },
  };
  return api;
}

inline const sluice_inputs_api& FakeHost::InputsApi() {
  static const sluice_inputs_api api = {
      sizeof(sluice_inputs_api),
      0,
      [](sluice_node_host* n, uint32_t input) {
        return NodeEvents::From(n)->RequestRenegotiateInput(input);
      },
  };
  return api;
}

inline const sluice_own_buffers_api& FakeHost::OwnBuffersApi() {
  using N = sluice_node_host;
  static const sluice_own_buffers_api api = {
      sizeof(sluice_own_buffers_api),
      0,
      [](N* n, uint32_t output, uint32_t index, sluice_frame** out) {
        return NodeEvents::From(n)->AcquireBuffer(output, index, out);
      },
      [](N* n, uint32_t output, uint32_t index) {
        return NodeEvents::From(n)->IsFree(output, index);
      },
  };
  return api;
}

inline const sluice_memory_api& FakeHost::MemoryApi() {
  static const sluice_memory_api api = {
      sizeof(sluice_memory_api),
      0,
      // Without /dev/udmabuf the memfd stands for a dma-buf too: whoever needs a real one tests in
      // the guest.
      [](const sluice_frame* f, uint32_t view, sluice_memory* out) -> int32_t {
        FakeBuffer& buffer = *FakeFrame::From(f)->buffer;
        const std::lock_guard lock(buffer.pool->mutex());
        const uint64_t size = buffer.pool->layout().size;
        if (view != SLUICE_VIEW_SHM && view != SLUICE_VIEW_DMABUF) return SLUICE_E_UNSUPPORTED;
        *out = {view, 1, {{view == SLUICE_VIEW_SHM ? buffer.fd : buffer.DmaBuf(size), 0, size}}};
        return SLUICE_OK;
      },
      [](sluice_pool_sink* sink, const sluice_buffer_desc* buffer) -> int32_t {
        FakePoolSink::From(sink)->Add(*buffer);
        return SLUICE_OK;
      },
      [](const sluice_frame*, uint32_t, int32_t*) -> int32_t { return SLUICE_E_UNSUPPORTED; },
      [](const sluice_frame*, uint32_t, int32_t) -> int32_t { return SLUICE_E_UNSUPPORTED; },
  };
  return api;
}

/// Parameters as the host would pass them. Owns its strings.
class Parameters {
 public:
  Parameters& Int(const char* name, int64_t value) {
    return Add(name, SLUICE_VALUE_INT, value, static_cast<double>(value));
  }
  Parameters& Float(const char* name, double value) {
    return Add(name, SLUICE_VALUE_FLOAT, 0, value);
  }
  Parameters& Bool(const char* name, bool value) {
    return Add(name, SLUICE_VALUE_BOOL, value ? 1 : 0, 0);
  }
  Parameters& Size(const char* name, uint32_t width, uint32_t height) {
    return Add(name, SLUICE_VALUE_SIZE, Pack(width, height), 0);
  }
  Parameters& Rate(const char* name, uint32_t numerator, uint32_t denominator) {
    return Add(name, SLUICE_VALUE_RATE, Pack(numerator, denominator), 0);
  }
  Parameters& DurationNs(const char* name, int64_t value) {
    return Add(name, SLUICE_VALUE_DURATION, value, 0);
  }
  Parameters& String(const char* name, const char* value, int32_t type = SLUICE_VALUE_STRING) {
    return Add(name, type, 0, 0, value);
  }
  Parameters& Enum(const char* name, const char* value) {
    return String(name, value, SLUICE_VALUE_ENUM);
  }
  Parameters& Path(const char* name, const std::string& value) {
    return String(name, value.c_str(), SLUICE_VALUE_PATH);
  }
  /// JSON object text.
  Parameters& Map(const char* name, const char* json) {
    return String(name, json, SLUICE_VALUE_MAP);
  }

  /// Valid until this object changes or ends.
  const sluice_param_set* c() {
    params_.clear();
    for (const Entry& entry : entries_) {
      sluice_param param{};
      param.name = entry.name.c_str();
      param.type = entry.type;
      param.given = 1;
      param.i = entry.i;
      param.f = entry.f;
      param.s = entry.has_text ? entry.text.c_str() : nullptr;
      params_.push_back(param);
    }
    set_ = {static_cast<uint32_t>(params_.size()), 0, params_.data()};
    return &set_;
  }

 private:
  struct Entry {
    std::string name;
    int32_t type;
    int64_t i;
    double f;
    std::string text;
    bool has_text;
  };
  static int64_t Pack(uint32_t high, uint32_t low) {
    return static_cast<int64_t>(uint64_t{high} << 32 | low);
  }
  Parameters& Add(const char* name, int32_t type, int64_t i, double f, const char* text = nullptr) {
    entries_.push_back({name, type, i, f, text == nullptr ? "" : text, text != nullptr});
    return *this;
  }

  std::vector<Entry> entries_;
  std::vector<sluice_param> params_;
  sluice_param_set set_{};
};

}  // namespace sluice::sdk::testing

#endif  // SLUICE_SDK_TESTING_FAKE_HOST_HPP_
