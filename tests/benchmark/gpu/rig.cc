#include "tests/benchmark/gpu/rig.h"

#include <dlfcn.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <set>
#include <sluice/testing/chain_description.hpp>

namespace sluice::benchmark {
namespace {

using sdk::testing::FakeFrame;
using sdk::testing::FakeHost;
using sdk::testing::FakePool;
using sdk::testing::Holder;

constexpr std::chrono::seconds kDeadline{10};

/// Who waits for a timeline of the fake host, which cannot be waited for itself. Told only when the
/// point has come: being woken costs more than what is measured.
class Waiter {
 public:
  /// Of this thread.
  static Waiter& Mine() {
    thread_local Waiter waiter;
    return waiter;
  }
  /// Returns the fence's status: 1, or negative; 0 when ten seconds have passed.
  int32_t Wait(const sluice_fence& fence) {
    {
      const std::lock_guard lock(Mutex());
      fence_ = fence;
      told_ = false;
      All().push_back(this);
    }
    // Without the lock, which the timeline's thread takes: asking may lock what that thread has.
    if (StatusOf(fence) == 0) {
      std::unique_lock lock(Mutex());
      raised_.wait_for(lock, kDeadline, [&] { return told_; });
    }
    {
      const std::lock_guard lock(Mutex());
      std::erase(All(), this);
    }
    return StatusOf(fence);
  }
  /// From the timeline's thread.
  static void Tell(const sluice_timeline* timeline, uint64_t point) {
    const std::lock_guard lock(Mutex());
    for (Waiter* waiter : All()) {
      if (waiter->fence_.timeline != timeline || waiter->fence_.point > point) continue;
      waiter->told_ = true;
      waiter->raised_.notify_one();
    }
  }

 private:
  static std::mutex& Mutex() {
    static std::mutex mutex;
    return mutex;
  }
  static std::vector<Waiter*>& All() {
    static std::vector<Waiter*> all;
    return all;
  }
  static int32_t StatusOf(const sluice_fence& fence) {
    return FakeHost::TimelineApi().status(fence.timeline, fence.point);
  }
  sluice_fence fence_{};
  bool told_ = false;
  std::condition_variable raised_;
};

void SignalAndTell(sluice_timeline* timeline, uint64_t point) {
  Rig::TimelinePace().Sample();
  FakeHost::TimelineApi().signal(timeline, point);
  Waiter::Tell(timeline, point);
}

void FailAndTell(sluice_timeline* timeline, uint64_t point, int32_t code) {
  FakeHost::TimelineApi().fail(timeline, point, code);
  Waiter::Tell(timeline, point);
}

/// Pools whose frames only the device knows.
class DevicePools {
 public:
  static void Add(const FakePool* pool) {
    const std::lock_guard lock(Mutex());
    All().insert(pool);
  }
  static void Remove(const FakePool* pool) {
    const std::lock_guard lock(Mutex());
    All().erase(pool);
  }
  static bool Has(const sluice_frame* frame) {
    const std::lock_guard lock(Mutex());
    return All().count(FakeFrame::From(frame)->pool) != 0;
  }

 private:
  static std::mutex& Mutex() {
    static std::mutex mutex;
    return mutex;
  }
  static std::set<const FakePool*>& All() {
    static std::set<const FakePool*> all;
    return all;
  }
};

uint32_t ViewsOf(const sluice_frame* frame) {
  return DevicePools::Has(frame) ? SLUICE_VIEW_DEVICE : FakeHost::FrameApi().views(frame);
}

int32_t SharedBytesOf(const sluice_frame* frame, sluice_shm_view* out) {
  return DevicePools::Has(frame) ? SLUICE_E_UNSUPPORTED : FakeHost::FrameApi().shm(frame, out);
}

}  // namespace

sluice_format MakeRgbFormat(uint32_t fourcc, uint32_t width, uint32_t height) {
  sluice_format format = sdk::testing::MakeFormat(fourcc, width, height);
  format.color.primaries = SLUICE_PRIMARIES_BT709;
  format.color.transfer = SLUICE_TRANSFER_SRGB;
  format.color.matrix = SLUICE_MATRIX_RGB;
  format.color.range = SLUICE_RANGE_FULL;
  return format;
}

Plugin::Plugin(const std::string& path) {
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) throw Failure(dlerror());
  entry_ = static_cast<const sluice_entry*>(dlsym(library, "sluice_plugin"));
  if (entry_ == nullptr) throw Failure(path + " has no sluice_plugin");
}

Rig::Rig(const Plugin& plugin, const std::string& device)
    : plugin_(plugin), timelines_(FakeHost::TimelineApi()), frames_(FakeHost::FrameApi()) {
  frames_.views = ViewsOf;
  frames_.shm = SharedBytesOf;
  host_.SetExtension(SLUICE_FRAME_API_ID, &frames_);
  timelines_.signal = SignalAndTell;
  timelines_.fail = FailAndTell;
  host_.SetExtension(SLUICE_TIMELINE_API_ID, &timelines_);
  if (plugin_.entry().init(host_.c()) != SLUICE_OK) throw Failure("the plugin's init() failed");
  const auto* factory = static_cast<const sluice_domain_factory*>(
      plugin_.entry().get_factory(SLUICE_DOMAIN_FACTORY_ID));
  sluice_param selector{};
  selector.name = "device";
  selector.type = SLUICE_VALUE_STRING;
  selector.given = 1;
  selector.s = device.c_str();
  const sluice_param_set params{device.empty() ? 0U : 1U, 0, &selector};
  char error[1024] = "";
  if (factory->create(host_.c(), "vulkan", &params, &domain_, error, sizeof error) < 0) {
    throw Failure(std::string("the domain vulkan: ") + error);
  }
}

Pace& Rig::TimelinePace() {
  static Pace pace;
  return pace;
}

Rig::~Rig() { domain_.destroy(domain_.self); }

std::string Rig::device_name() const {
  sluice_domain_info info{};
  domain_.describe(domain_.self, &info);
  return info.device_name;
}

std::string Rig::driver() const {
  sluice_domain_info info{};
  domain_.describe(domain_.self, &info);
  return info.driver;
}

/// A node, and what it says.
class RigNode final : public sdk::testing::NodeEvents {
 public:
  RigNode(Rig& rig, const NodeSpec& spec) : domain_(rig.domain().self) {
    std::vector<sluice_param> params;
    for (const auto& [name, text] : spec.texts) {
      params.push_back({name.c_str(), SLUICE_VALUE_STRING, 1, 0, 0, text.c_str()});
    }
    for (const auto& [name, number] : spec.numbers) {
      params.push_back({name.c_str(), SLUICE_VALUE_FLOAT, 1, 0, number, nullptr});
    }
    const auto* factory = static_cast<const sluice_node_factory*>(
        rig.plugin().entry().get_factory(SLUICE_NODE_FACTORY_ID));
    const sluice_param_set set{static_cast<uint32_t>(params.size()), 0, params.data()};
    if (factory->create(rig.host().c(), spec.type.c_str(), &set, c(), &node_) < 0) {
      throw Failure(spec.type + ": " + (error_.empty() ? "it could not be created" : error_));
    }
  }
  ~RigNode() override { node_.destroy(node_.self); }

  void Configure(const sluice_format& format, Place in, Place out) {
    sluice_port_config ports[2]{};
    for (int i = 0; i < 2; ++i) {
      ports[i].name = i == 0 ? "in" : "out";
      ports[i].direction = i;
      ports[i].connected = 1;
      const Place place = i == 0 ? in : out;
      ports[i].views = place == Place::kDevice ? SLUICE_VIEW_DEVICE : SLUICE_VIEW_SHM;
      ports[i].sync = SLUICE_SYNC_TIMELINE;
      ports[i].format = format;
      ports[i].layout = sdk::testing::MakeLayout(format);
    }
    const sluice_configuration configuration{1, 2, ports, 0, 0};
    if (node_.configure(node_.self, &configuration) < 0) throw Failure("configure: " + error_);
  }
  void SetNumber(const char* name, double value) {
    const sluice_param param{name, SLUICE_VALUE_FLOAT, 1, 0, value, nullptr};
    if (node_.set_param(node_.self, &param) < 0) throw Failure(std::string(name) + ": " + error_);
  }
  /// Makes the buffers of a pool of its output.
  void Allocate(const sluice_pool_request& request) {
    const auto* allocator =
        static_cast<const sluice_allocator*>(node_.get_extension(node_.self, SLUICE_ALLOCATOR_ID));
    if (allocator == nullptr) throw Failure("the plugin makes no pools");
    if (allocator->allocate(node_.self, SLUICE_PORT_OUTPUT, 0, &request, sink_.c()) < 0) {
      throw Failure("no memory of the device for frames: " + error_);
    }
  }
  void Release(uint32_t pool, uint32_t epoch) {
    const auto* allocator =
        static_cast<const sluice_allocator*>(node_.get_extension(node_.self, SLUICE_ALLOCATOR_ID));
    if (allocator != nullptr) allocator->release_pool(node_.self, pool, epoch);
  }
  const sluice_node* c_node() const { return &node_; }
  uint64_t bytes_copied() const { return bytes_copied_; }

  const char* Name() override { return "node"; }
  int32_t Offer(const char*, const sluice_offer&) override { return SLUICE_OK; }
  int32_t Emit(uint32_t, FakeFrame*, const sluice_fence*) override { return SLUICE_E_UNSUPPORTED; }
  int32_t Acquire(uint32_t, sluice_frame**) override { return SLUICE_E_UNSUPPORTED; }
  void Complete(uint64_t, int32_t) override {}
  void Wake() override {}
  void WakeAt(int64_t) override {}
  int32_t RequestRenegotiate(uint32_t) override { return SLUICE_E_UNSUPPORTED; }
  void SetError(int32_t, const char* message) override { error_ = message; }
  void CountCopy(const char*, uint64_t bytes, const char*) override { bytes_copied_ += bytes; }
  void CountDrop(const char*, uint64_t, const char*) override {}
  void Note(const char*) override {}
  void Progress(uint64_t, uint64_t) override {}
  void Log(int32_t, const char*) override {}
  void* Domain() override { return domain_; }

 private:
  void* const domain_;
  sluice_node node_{};
  sdk::testing::FakePoolSink sink_;
  std::string error_;
  uint64_t bytes_copied_ = 0;
};

Frames::Frames(Rig& rig, const sluice_format& format, uint32_t count, Place place)
    : rig_(rig), place_(place), pool_(&rig.host().MakePool(format, count)) {
  for (uint32_t i = 0; i < count; ++i) {
    const std::lock_guard lock(rig.host().mutex());
    frames_.push_back(pool_->TakeBuffer(Holder::kHost));
  }
  if (place == Place::kDevice) AllocateOnDevice();
}

Frames::~Frames() {
  const sluice_buffer_id id = frames_[0]->buffer->id;
  if (maker_ != nullptr) {
    maker_->Release(id.pool, id.epoch);
    DevicePools::Remove(pool_);
  } else {
    rig_.domain().forget_pool(rig_.domain().self, id.pool, id.epoch);
  }
}

void Frames::AllocateOnDevice() {
  maker_ = std::make_unique<RigNode>(rig_, NodeSpec{"vulkan.convert", {}, {}});
  const sluice_buffer_id id = frames_[0]->buffer->id;
  sluice_pool_request request{};
  request.pool = id.pool;
  request.epoch = id.epoch;
  request.buffers = count();
  request.views = SLUICE_VIEW_DEVICE;
  request.format = pool_->format();
  request.layout = pool_->layout();
  maker_->Allocate(request);
  DevicePools::Add(pool_);
}

void Carry(Rig& rig, const Frames& in, const Frames& out) {
  IslandRig island(rig, {{"vulkan.convert", {}, {}}}, in, out);
  for (uint32_t i = 0; i < out.count(); ++i) island.Submit(1);
  island.Finish();
}

IslandRig::IslandRig(Rig& rig, const std::vector<NodeSpec>& specs, const Frames& in,
                     const Frames& out)
    : rig_(rig), in_(in), out_(out), fences_(std::max(in.count(), out.count())) {
  std::vector<const sluice_node*> nodes;
  for (const NodeSpec& spec : specs) {
    nodes_.push_back(std::make_unique<RigNode>(rig, spec));
    const bool is_first = nodes_.size() == 1;
    const bool is_last = nodes_.size() == specs.size();
    nodes_.back()->Configure(in.format(), is_first ? in.place() : Place::kMemfd,
                             is_last ? out.place() : Place::kMemfd);
    nodes.push_back(nodes_.back()->c_node());
  }
  const sdk::testing::ChainDescription island(
      std::move(nodes), std::vector<sluice_format>(specs.size(), in.format()));
  if (rig.domain().create_island(rig.domain().self, island.c(), &island_) < 0) {
    const std::vector<std::string> logs = rig.logs();
    throw Failure("create_island failed: " + (logs.empty() ? "it did not say why" : logs.back()));
  }
}

IslandRig::~IslandRig() {
  if (island_ == nullptr) return;
  rig_.domain().wait_idle(rig_.domain().self, INT64_MAX);
  rig_.domain().destroy_island(rig_.domain().self, island_);
}

void IslandRig::SetNumber(size_t node, const char* name, double value) {
  nodes_[node]->SetNumber(name, value);
}

void IslandRig::Await(const sluice_fence& fence) {
  if (fence.kind != SLUICE_FENCE_TIMELINE) return;
  const int32_t status = Waiter::Mine().Wait(fence);
  if (status == 0) throw Failure("a submission did not end in ten seconds");
  if (status < 0) throw Failure("a submission failed: " + std::to_string(status));
}

void IslandRig::Submit(uint32_t in_flight) {
  if (awaited_ + in_flight <= submitted_) {
    // A domain's submissions end in order.
    const uint64_t until = submitted_ - in_flight / 2;
    Await(fences_[(until - 1) % fences_.size()]);
    awaited_ = until;
  }
  sluice_frame* const inputs[] = {in_.at(submitted_)->c()};
  sluice_frame* const outputs[] = {out_.at(submitted_)->c()};
  const sluice_batch batch{submitted_, 1, 1, inputs, outputs};
  sluice_fence fences[2]{};
  const double before = ThreadSeconds();
  const int32_t result = rig_.domain().submit(rig_.domain().self, island_, &batch, fences);
  submit_cpu_s_ += ThreadSeconds() - before;
  if (result < 0) {
    const std::vector<std::string> logs = rig_.logs();
    throw Failure("submit: " + std::to_string(result) + (logs.empty() ? "" : ", " + logs.back()));
  }
  fences_[submitted_ % fences_.size()] = fences[0];
  ++submitted_;
}

void IslandRig::Finish() {
  if (awaited_ < submitted_) Await(fences_[(submitted_ - 1) % fences_.size()]);
  awaited_ = submitted_;
}

uint64_t IslandRig::bytes_copied() const {
  uint64_t bytes = 0;
  for (const auto& node : nodes_) bytes += node->bytes_copied();
  return bytes;
}

std::vector<IslandRig::Pass> IslandRig::Passes() const {
  const auto* api =
      static_cast<const sluice_passes*>(rig_.plugin().entry().get_factory(SLUICE_PASSES_ID));
  if (api == nullptr) return {};
  std::vector<Pass> passes;
  const sluice_pass_time_sink sink{&passes, [](void* self, const sluice_pass_time* time) {
                                     static_cast<std::vector<Pass>*>(self)->push_back(
                                         {time->label, time->frames, time->total_ns, time->min_ns});
                                   }};
  if (api->measured(rig_.domain().self, island_, &sink) < 0) return {};
  return passes;
}

}  // namespace sluice::benchmark
