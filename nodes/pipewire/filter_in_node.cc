#include "nodes/pipewire/filter_in_node.h"

#include <utility>

namespace sluice::pipewire {
namespace {

constexpr uint32_t kOut = 0;
constexpr const char* kOutPort = "out";
constexpr const char* kWhyCopied = "PipeWire's buffers come and go with their links";

}  // namespace

sdk::Expected<std::unique_ptr<FilterInNode>> FilterInNode::Create(const sdk::NodeContext& context,
                                                                  const sdk::Params& params) {
  FilterPair::Options options;
  options.remote = params.String("remote");
  options.name = params.String("name");
  options.description = params.String("description", "Sluice filter");
  auto pair = FilterPair::Join(FilterPair::kIn, options, context);
  if (!pair.ok()) return pair.status();
  return std::make_unique<FilterInNode>(context, params, *std::move(pair));
}

FilterInNode::FilterInNode(sdk::NodeContext context, const sdk::Params& params,
                           std::shared_ptr<FilterPair> pair)
    : Node(context),
      frame_limit_(static_cast<uint64_t>(params.Int("frames", 0))),
      pair_(std::move(pair)) {}

FilterInNode::~FilterInNode() { pair_->Leave(FilterPair::kIn); }

sdk::Status FilterInNode::Configure(const sdk::Configuration& configuration) {
  const auto port = configuration.Port(kOutPort);
  if (!port.ok()) return port.status();
  if (sdk::Status status = pair_->CheckComplete(FilterPair::kIn); !status.ok()) return status;
  if (PackedPixelBytes((*port)->format.fourcc) == 0 || FindDrm((*port)->format.fourcc) == nullptr) {
    return sdk::Status::Error(SLUICE_E_UNSUPPORTED, "%s: %s is not carried here", kOutPort,
                              FourccName((*port)->format.fourcc).c_str());
  }
  pair_->SetFormat((*port)->format);
  return {};
}

sdk::Status FilterInNode::Start() {
  delivered_ = 0;
  return pair_->Start(FilterPair::kIn);
}

sdk::Status FilterInNode::Reconfigure(const sdk::Configuration& configuration) {
  pair_->Stop(FilterPair::kIn);
  spare_.Release();
  if (sdk::Status status = Configure(configuration); !status.ok()) return status;
  return pair_->Start(FilterPair::kIn);
}

void FilterInNode::Stop(int64_t /*deadline_ns*/, bool /*completed*/) {
  pair_->Stop(FilterPair::kIn);
  spare_.Release();
}

sdk::Expected<sdk::Process> FilterInNode::Process(sdk::Invocation& /*invocation*/) {
  if (sdk::Status status = pair_->lost(); !status.ok()) return status;
  for (bool more = true; more;) {
    if (frame_limit_ != 0 && delivered_ >= frame_limit_) return sdk::Process::kEnd;
    if (sdk::Status status = Deliver(&more); !status.ok()) return status;
  }
  return sdk::Process::kNeedMore;
}

sdk::Status FilterInNode::Deliver(bool* more) {
  *more = false;
  if (!pair_->InputWaiting()) return {};
  if (!spare_) {
    auto frame = context().Acquire(kOut);
    if (!frame.ok()) {
      // The engine wakes a node whose buffer comes home. CANCELLED: stop() is about to come.
      const int32_t code = frame.status().code();
      if (code == SLUICE_E_WOULD_BLOCK || code == SLUICE_E_CANCELLED) return {};
      return frame.status();
    }
    spare_ = *std::move(frame);
  }
  std::optional<uint64_t> copied;
  {
    auto mapping = spare_.Map(SLUICE_MAP_WRITE);
    if (!mapping.ok()) return mapping.status();
    copied = pair_->CopyNext(*mapping, spare_.InfoMut());
  }
  *more = true;
  if (!copied) return {};
  context().CountCopy(kOutPort, *copied, kWhyCopied);
  ++delivered_;
  return context().Emit(kOut, std::exchange(spare_, {}));
}

}  // namespace sluice::pipewire
