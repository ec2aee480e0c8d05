#include "nodes/pipewire/filter_out_node.h"

#include <algorithm>
#include <utility>

namespace sluice::pipewire {
namespace {

constexpr uint32_t kIn = 0;
constexpr const char* kInPort = "in";
constexpr uint32_t kPage = 4096;
constexpr uint32_t kMostBuffers = 32;
/// Between two looks whether readers are done, where nothing tells.
constexpr int64_t kLookNs = 5'000'000;

}  // namespace

sdk::Expected<std::unique_ptr<FilterOutNode>> FilterOutNode::Create(const sdk::NodeContext& context,
                                                                    const sdk::Params& params) {
  FilterPair::Options options;
  options.remote = params.String("remote");
  options.name = params.String("name");
  auto pair = FilterPair::Join(FilterPair::kOut, options, context);
  if (!pair.ok()) return pair.status();
  return std::make_unique<FilterOutNode>(context, params, *std::move(pair));
}

FilterOutNode::FilterOutNode(sdk::NodeContext context, const sdk::Params& params,
                             std::shared_ptr<FilterPair> pair)
    : Node(context),
      memory_(params.String("memory", "auto")),
      hold_(static_cast<uint32_t>(params.Int("buffers", 6))),
      pair_(std::move(pair)) {}

FilterOutNode::~FilterOutNode() { pair_->Leave(FilterPair::kOut); }

sdk::Status FilterOutNode::Probe(sdk::OfferSink& offers) {
  const auto add = [&](uint32_t view, uint32_t align) {
    sdk::OfferBuilder offer;
    for (const FormatEntry& entry : AllFormats()) {
      if (!entry.compressed()) offer.Format(entry.drm);
    }
    offer.Views(view)
        .Sync(SLUICE_SYNC_CPU_DONE)
        .Align(1, 1, align, align)
        .Buffers(0, kMostBuffers)
        .Hold(hold_, hold_);
    return offers.Add(kInPort, offer);
  };
  if (memory_ != "shm") {
    if (sdk::Status status = add(SLUICE_VIEW_DMABUF, 1); !status.ok()) return status;
  }
  return memory_ == "dma-buf" ? sdk::Status() : add(SLUICE_VIEW_SHM, kPage);
}

sdk::Status FilterOutNode::Configure(const sdk::Configuration& configuration) {
  const auto port = configuration.Port(kInPort);
  if (!port.ok()) return port.status();
  if (sdk::Status status = pair_->CheckComplete(FilterPair::kOut); !status.ok()) return status;
  pool_.format = (*port)->format;
  pool_.layout = (*port)->layout;
  // A pool that lives on in a new epoch is not imported again: its buffers stay.
  if (pool_.buffers.size() < (*port)->buffers) pool_.buffers.resize((*port)->buffers);
  return {};
}

sdk::Status FilterOutNode::TestImport(int32_t /*direction*/, uint32_t /*port*/,
                                      sdk::FrameRef frame) {
  const sluice_buffer_id id = frame.BufferId();
  if (id.index >= kMostBuffers) {
    return sdk::Status::Error(SLUICE_E_UNSUPPORTED, "in: a pool of more than %u buffers",
                              kMostBuffers);
  }
  if (id.pool != pool_id_.pool || id.epoch != pool_id_.epoch) {
    pool_id_ = id;
    pool_.buffers.clear();
  }
  pool_.layout = frame.Layout();
  if (id.index >= pool_.buffers.size()) pool_.buffers.resize(id.index + 1);
  const bool dmabuf = memory_ != "shm" && (frame.Views() & SLUICE_VIEW_DMABUF) != 0;
  auto memory = sdk::Memory(context().host(), frame, dmabuf ? SLUICE_VIEW_DMABUF : SLUICE_VIEW_SHM);
  if (!memory.ok()) return memory.status();
  (dmabuf ? pool_.buffers[id.index].dmabuf : pool_.buffers[id.index].shm) = *memory;
  return {};
}

void FilterOutNode::ForgetPool(uint32_t pool, uint32_t epoch) {
  if (pool != pool_id_.pool || epoch != pool_id_.epoch) return;
  pair_->Stop(FilterPair::kOut);
  pool_ = {};
  pool_id_ = {};
}

sdk::Status FilterOutNode::Start() {
  pair_->SetPool(pool_);
  return pair_->Start(FilterPair::kOut);
}

sdk::Status FilterOutNode::Reconfigure(const sdk::Configuration& configuration) {
  pair_->Stop(FilterPair::kOut);
  // Its buffers are shown after this: Process() starts the pair again.
  sdk::Status status = Configure(configuration);
  if (status.ok()) context().Wake();
  return status;
}

sdk::Expected<sdk::Process> FilterOutNode::Process(sdk::Invocation& invocation) {
  if (!pair_->started(FilterPair::kOut)) {
    if (sdk::Status status = Start(); !status.ok()) return status;
  }
  if (sdk::Frame frame = invocation.TakeInput(kIn)) pair_->Send(std::move(frame));
  if (pair_->LetHome()) context().WakeAt(NowNs() + kLookNs);
  return invocation.draining() ? sdk::Process::kEnd : sdk::Process::kNeedMore;
}

void FilterOutNode::Stop(int64_t /*deadline_ns*/, bool /*completed*/) {
  pair_->Stop(FilterPair::kOut);
}

}  // namespace sluice::pipewire
