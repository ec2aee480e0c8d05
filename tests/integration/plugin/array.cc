#include "tests/integration/plugin/array.h"

#include <chrono>
#include <cstring>

namespace sluice::probe {
namespace {

Step* StepOf(const sluice_node& node) {
  return static_cast<Step*>(const_cast<void*>(node.get_extension(node.self, Step::kId)));
}

/// Calls `pixel` for each byte: (output, inputs as far as they are connected).
template <typename F>
void ForEach(const Step::Work& work, F pixel) {
  std::vector<uint8_t> in(work.inputs.size());
  for (uint32_t y = 0; y < work.height; ++y) {
    for (uint32_t x = 0; x < work.width; ++x) {
      for (size_t i = 0; i < in.size(); ++i) {
        const Image& image = work.inputs[i];
        in[i] = image.base == nullptr ? 0 : image.base[y * image.stride + x];
      }
      uint8_t* out = work.output.base == nullptr ? nullptr : work.output.base + y * work.output.stride + x;
      pixel(out, in, x == 0 && y == 0);
    }
  }
}

uint64_t BytesOf(const sluice_format& format) { return uint64_t{format.width} * format.height; }

/// A node goes into the pass of the only node before it.
void Plan(const sluice_island_desc& desc, uint64_t bytes,
          std::vector<std::unique_ptr<Array::Island::Pass>>* passes, std::vector<uint32_t>* of_node) {
  for (uint32_t n = 0; n < desc.node_count; ++n) {
    std::vector<uint32_t> before;
    for (uint32_t e = 0; e < desc.edge_count; ++e) {
      if (desc.edges[e].to.node == n) before.push_back(desc.edges[e].from.node);
    }
    uint32_t readers = 0;
    for (uint32_t e = 0; e < desc.edge_count && before.size() == 1; ++e) {
      readers += desc.edges[e].from.node == before[0];
    }
    for (uint32_t o = 0; o < desc.output_count && before.size() == 1; ++o) {
      readers += desc.outputs[o].node == before[0];
    }
    const bool joins = before.size() == 1 && readers == 1 && StepOf(*desc.nodes[n])->fuses() &&
                       (*passes)[(*of_node)[before[0]]]->nodes.back() == before[0];
    if (joins) {
      of_node->push_back((*of_node)[before[0]]);
    } else {
      of_node->push_back(static_cast<uint32_t>(passes->size()));
      passes->push_back(std::make_unique<Array::Island::Pass>());
      Array::Island::Pass& pass = *passes->back();
      if (n != 0) pass.apart = readers > 1 ? "others read what comes before" : "does not join";
      pass.bytes_written = bytes;
      uint32_t inputs = static_cast<uint32_t>(before.size());
      for (uint32_t i = 0; i < desc.input_count; ++i) inputs += desc.inputs[i].node == n;
      pass.bytes_read = inputs * bytes;
    }
    Array::Island::Pass& pass = *(*passes)[of_node->back()];
    pass.label += (pass.label.empty() ? "node " : " + node ") + std::to_string(n);
    pass.nodes.push_back(n);
  }
}

}  // namespace

Array::Array(const sdk::Host& host, std::string device) : host_(host), device_(std::move(device)) {
  timeline_ = *sdk::Timeline::Create(host, "the probe array");
  thread_ = std::thread([this] { Run(); });
}

Array::~Array() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

sdk::Expected<std::unique_ptr<Array>> Array::Create(const sdk::Host& host,
                                                    const sdk::Params& params) {
  std::string device = params.String("device");
  if (device.empty()) device = "one";
  if (device == "uno") device = "one";  // the same device by another name
  if (device != "one" && device != "two") {
    return sdk::Status::Error(SLUICE_E_NOT_FOUND, "no device '%s'; there are: one, two",
                              device.c_str());
  }
  return std::make_unique<Array>(host, device);
}

sdk::Status Array::Describe(sluice_domain_info& info) {
  std::snprintf(info.device_name, sizeof info.device_name, "probe array %s", device_.c_str());
  info.device_uuid[0] = device_ == "one" ? 1 : 2;
  info.views = SLUICE_VIEW_SHM;
  return {};
}

sdk::Expected<std::unique_ptr<Array::Island>> Array::CreateIsland(const sluice_island_desc& desc) {
  auto island = std::make_unique<Island>();
  island->name = desc.name;
  sluice_format format{};
  island->nodes.resize(desc.node_count);
  for (uint32_t n = 0; n < desc.node_count; ++n) {
    island->nodes[n].step = StepOf(*desc.nodes[n]);
    island->nodes[n].inputs.resize(3);
  }
  for (uint32_t i = 0; i < desc.input_count; ++i) {
    island->nodes[desc.inputs[i].node].inputs[desc.inputs[i].port] = {Island::Place::Kind::kInput, i};
  }
  for (uint32_t i = 0; i < desc.output_count; ++i) {
    island->nodes[desc.outputs[i].node].outputs.push_back({Island::Place::Kind::kOutput, i});
  }
  for (uint32_t e = 0; e < desc.edge_count; ++e) {
    const sluice_island_edge& edge = desc.edges[e];
    if (edge.from.node >= edge.to.node) {
      return sdk::Status::Error(SLUICE_E_INVALID_ARGUMENT, "%s: edges go backwards", desc.name);
    }
    format = edge.format;
    auto& outputs = island->nodes[edge.from.node].outputs;
    if (outputs.empty() || outputs.back().kind != Island::Place::Kind::kInner) {
      outputs.push_back({Island::Place::Kind::kInner, static_cast<uint32_t>(island->inner.size())});
      island->inner.emplace_back(BytesOf(format));
    }
    island->nodes[edge.to.node].inputs[edge.to.port] = outputs.back();
  }
  island->width = format.width;
  island->height = format.height;
  std::vector<uint32_t> of_node;
  Plan(desc, BytesOf(format), &island->passes, &of_node);
  for (uint32_t n = 0; n < desc.node_count; ++n) island->nodes[n].pass = of_node[n];
  return island;
}

sdk::Expected<Image> Array::ImageOf(sluice_frame* frame, Island& island) const {
  sluice_shm_view view{};
  if (frame == nullptr || host_.frames()->shm(frame, &view) < 0) {
    return sdk::Status(SLUICE_E_UNSUPPORTED, "a frame without shared memory");
  }
  const sluice_layout& layout = *host_.frames()->layout(frame);
  island.width = host_.frames()->format(frame)->width;
  island.height = host_.frames()->format(frame)->height;
  return Image{static_cast<uint8_t*>(view.base) + layout.planes[0].offset, layout.planes[0].stride};
}

sdk::Status Array::Submit(Island& island, const sluice_batch& batch,
                          std::span<sluice_fence> fences) {
  Job job;
  job.island = &island;
  for (uint32_t i = 0; i < batch.input_count; ++i) {
    auto image = ImageOf(batch.inputs[i], island);
    if (!image.ok()) return image.status();
    job.inputs.push_back(*image);
  }
  for (uint32_t i = 0; i < batch.output_count; ++i) {
    auto image = ImageOf(batch.outputs[i], island);
    if (!image.ok()) return image.status();
    job.outputs.push_back(*image);
  }
  for (const Island::Node& node : island.nodes) {
    if (sdk::Status begun = node.step->Begin(); !begun.ok()) return begun;
    job.values.push_back(node.step->value());
  }
  job.width = island.width;
  job.height = island.height;
  std::lock_guard order(submit_mutex_);
  job.point = ++next_;
  timeline_.Submitted(job.point);
  for (sluice_fence& fence : fences) fence = *sdk::Fence::At(timeline_, job.point).c();
  std::lock_guard lock(mutex_);
  jobs_.push_back(std::move(job));
  changed_.notify_all();
  return {};
}

void Array::Run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return stopping_ || !jobs_.empty(); });
    if (jobs_.empty()) return;
    Job job = std::move(jobs_.front());
    jobs_.pop_front();
    lock.unlock();
    Execute(job);
    timeline_.Signal(job.point);
    lock.lock();
    done_ = job.point;
    changed_.notify_all();
  }
}

void Array::Execute(const Job& job) {
  Island& island = *job.island;
  auto at = [&](const Island::Place& place) {
    switch (place.kind) {
      case Island::Place::Kind::kInput: return job.inputs[place.index];
      case Island::Place::Kind::kOutput: return job.outputs[place.index];
      case Island::Place::Kind::kInner: return Image{island.inner[place.index].data(), job.width};
      case Island::Place::Kind::kNone: break;
    }
    return Image{};
  };
  for (size_t n = 0; n < island.nodes.size(); ++n) {
    const auto begin = std::chrono::steady_clock::now();
    const Island::Node& node = island.nodes[n];
    Step::Work work;
    for (const Island::Place& place : node.inputs) work.inputs.push_back(at(place));
    work.width = job.width;
    work.height = job.height;
    work.value = job.values[n];
    if (node.outputs.empty()) node.step->Run(work);
    for (const Island::Place& place : node.outputs) {
      work.output = at(place);
      node.step->Run(work);
    }
    const uint64_t ns = static_cast<uint64_t>(
        std::chrono::nanoseconds(std::chrono::steady_clock::now() - begin).count());
    Island::Pass& pass = *island.passes[node.pass];
    std::lock_guard lock(pass.mutex);
    if (pass.nodes.back() == n) ++pass.frames;
    pass.total_ns += ns;
    pass.min_ns = pass.min_ns == 0 ? ns : std::min(pass.min_ns, ns);
    pass.max_ns = std::max(pass.max_ns, ns);
  }
}

sdk::Status Array::WaitIdle(int64_t deadline_ns) {
  uint64_t last = 0;
  {
    std::lock_guard order(submit_mutex_);
    last = next_;
  }
  std::unique_lock lock(mutex_);
  const auto until = std::chrono::steady_clock::time_point(std::chrono::nanoseconds(deadline_ns));
  if (changed_.wait_until(lock, until, [&] { return done_ >= last; })) return {};
  return {SLUICE_E_TIMEOUT, "the probe array is at work"};
}

sdk::Expected<uint64_t> Array::Predict(const sluice_island_desc& desc,
                                       std::span<const sluice_format> inputs,
                                       std::span<const sluice_format> outputs,
                                       sdk::PassSink& sink) {
  uint64_t bytes = 0;
  if (!inputs.empty()) bytes = BytesOf(inputs[0]);
  if (!outputs.empty()) bytes = BytesOf(outputs[0]);
  std::vector<std::unique_ptr<Island::Pass>> passes;
  std::vector<uint32_t> of_node;
  Plan(desc, bytes, &passes, &of_node);
  for (const auto& pass : passes) {
    sink.Add({pass->label.c_str(), pass->apart.c_str(), pass->nodes.data(),
              static_cast<uint32_t>(pass->nodes.size()), 0, pass->bytes_read,
              pass->bytes_written});
  }
  return passes.empty() ? 0 : (passes.size() - 1) * bytes;
}

sdk::Status Array::Measured(const Island& island, sdk::PassTimeSink& sink) {
  for (const auto& pass : island.passes) {
    std::lock_guard lock(pass->mutex);
    sink.Add({pass->label.c_str(), pass->nodes.data(), static_cast<uint32_t>(pass->nodes.size()), 0,
              pass->frames, pass->total_ns, pass->min_ns, pass->max_ns});
  }
  return {};
}

// ---- nodes

Add::Add(sdk::NodeContext context, const sdk::Params& params)
    : Node(context),
      value_(params.Int("value")),
      fail_at_(params.Int("fail_at")),
      renegotiate_at_(params.Int("renegotiate_at")),
      accuse_(params.Bool("accuse")),
      fail_times_(params.Int("fail_times")) {}

sdk::Status Add::SetParam(const sluice_param& param) {
  value_ = param.i;
  return {};
}

const void* Add::GetExtension(const char* id) {
  return std::strcmp(id, kId) == 0 ? static_cast<Step*>(this) : nullptr;
}

sdk::Status Add::Begin() {
  if (firing_ == fail_at_ && fail_times_ > 0) {
    --fail_times_;
    if (accuse_) return context().Fail(SLUICE_E_IO, "cannot add any more");
    return {SLUICE_E_IO, ""};
  }
  if (firing_++ == renegotiate_at_) return context().RequestRenegotiate(0);
  return {};
}

void Add::Run(const Work& work) const {
  ForEach(work, [&](uint8_t* out, const std::vector<uint8_t>& in, bool) {
    *out = static_cast<uint8_t>(in[0] + work.value);
  });
}

const void* Mix::GetExtension(const char* id) {
  return std::strcmp(id, kId) == 0 ? static_cast<Step*>(this) : nullptr;
}

void Mix::Run(const Work& work) const {
  ForEach(work, [&](uint8_t* out, const std::vector<uint8_t>& in, bool) {
    *out = static_cast<uint8_t>(in[0] + 3 * in[1] + 5 * in[2]);
  });
}

Paint::Paint(sdk::NodeContext context, const sdk::Params& params)
    : Node(context),
      value_(params.Int("value")),
      frames_(params.Int("frames")),
      size_(params.Size("size")),
      pause_(params.Bool("pause")) {}

sdk::Status Paint::Probe(sdk::OfferSink& sink) {
  sdk::OfferBuilder offer;
  sluice_color color{};
  color.range = SLUICE_RANGE_FULL;
  offer.Format(SLUICE_FORMAT_R8)
      .Views(SLUICE_VIEW_SHM)
      .Sync(SLUICE_SYNC_TIMELINE | SLUICE_SYNC_CPU_DONE)
      .Size(size_.width, size_.height)
      .Color(color);
  return sink.Add("out", offer);
}

const void* Paint::GetExtension(const char* id) {
  return std::strcmp(id, kId) == 0 ? static_cast<Step*>(this) : nullptr;
}

sdk::Expected<sdk::Process> Paint::Process(sdk::Invocation& invocation) {
  if (frames_ != 0 && next_ == frames_) return sdk::Process::kEnd;
  if (pause_ && !paused_) {
    paused_ = true;
    context().WakeAt(1);  // long ago: at once
    return sdk::Process::kNeedMore;
  }
  paused_ = false;
  if (invocation.Output(0)) {
    sluice_frame_info* info = context().host().frames()->info_mut(invocation.Output(0).c());
    info->sequence = static_cast<uint64_t>(next_);
    info->pts_ns = next_ * 1'000'000;
  }
  ++next_;
  return sdk::Process::kDone;
}

void Paint::Run(const Work& work) const {
  ForEach(work, [&](uint8_t* out, const std::vector<uint8_t>&, bool) {
    *out = static_cast<uint8_t>(work.value);
  });
}

const void* Swallow::GetExtension(const char* id) {
  return std::strcmp(id, kId) == 0 ? static_cast<Step*>(this) : nullptr;
}

sdk::Status Swallow::Begin() {
  if (wrong_) return context().Fail(SLUICE_E_INTERNAL, "a byte is wrong");
  return {};
}

void Swallow::Run(const Work& work) const {
  ForEach(work, [&](uint8_t*, const std::vector<uint8_t>& in, bool first) {
    if (!first && in[0] != static_cast<uint8_t>(work.value)) wrong_ = true;
  });
}

Expect::Expect(sdk::NodeContext context, const sdk::Params& params)
    : Node(context),
      plus_(params.Int("plus")),
      times_(params.Int("times")),
      settles_(params.Int("settles")),
      stamped_(params.Bool("stamped")) {}

sdk::Status Expect::Configure(const sdk::Configuration& configuration) {
  auto port = configuration.Port("in");
  if (!port.ok()) return port.status();
  width_ = (*port)->format.width;
  height_ = (*port)->format.height;
  return {};
}

std::string Expect::Problem(sdk::Frame& frame) const {
  const sluice_frame_info& info = frame.Info();
  const auto sequence = static_cast<int64_t>(info.sequence);
  const std::string name = "frame " + std::to_string(sequence) + " has ";
  if (stamped_ && info.pts_ns != sequence * 1'000'000) {
    return name + "pts " + std::to_string(info.pts_ns);
  }
  auto mapping = frame.Map(SLUICE_MAP_READ);
  if (!mapping.ok()) return name + "no mapping";
  for (uint32_t y = 0; y < height_; ++y) {
    for (uint32_t x = 0; x < width_; ++x) {
      const int64_t more = x == 0 && y == 0 ? times_ * sequence : 0;
      const auto expected = static_cast<uint8_t>(plus_ + more);
      const uint8_t seen = mapping->plane(0)[y * mapping->stride(0) + x];
      if (seen == expected) continue;
      return name + std::to_string(seen) + " at " + std::to_string(x) + "," + std::to_string(y) +
             " instead of " + std::to_string(expected);
    }
  }
  return "";
}

sdk::Expected<sdk::Process> Expect::Process(sdk::Invocation& invocation) {
  sdk::Frame frame = invocation.TakeInput(0);
  if (!frame) return sdk::Process::kNeedMore;
  const std::string problem = Problem(frame);
  if (problem.empty()) {
    return ++right_ == settles_ ? sdk::Process::kEnd : sdk::Process::kDone;
  }
  if (settles_ != 0 && right_ == 0) return sdk::Process::kDone;
  return context().Fail(SLUICE_E_INTERNAL, "%s", problem.c_str());
}

}  // namespace sluice::probe
