#include "nodes/v4l2/output_node.h"

#include <sys/epoll.h>
#include <time.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "nodes/v4l2/controls.h"
#include "nodes/v4l2/find_device.h"
#include "nodes/v4l2/source_input.h"

namespace sluice::v4l2 {
namespace {

constexpr const char* kInName = "in";
/// A frame of a device that does not say how long one is.
constexpr int64_t kFrameNs = 40'000'000;
/// A device that finishes nothing for so many frames will not any more.
constexpr int64_t kQuietFrames = 25;

int64_t NowNs() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

}  // namespace

sdk::Expected<std::unique_ptr<OutputNode>> OutputNode::Create(const sdk::NodeContext& context,
                                                              const sdk::Params& params) {
  auto wish = WishOf(params);
  if (!wish.ok()) return wish.status();
  return std::make_unique<OutputNode>(context, params, *wish);
}

OutputNode::OutputNode(const sdk::NodeContext& context, const sdk::Params& params, const Wish& wish)
    : Node(context),
      wanted_(params.String("device")),
      output_name_(params.String("output")),
      wish_(wish),
      hold_(static_cast<uint32_t>(params.Int("buffers", 3))),
      stream_(context.host()) {}

OutputNode::~OutputNode() {
  StreamOff();
  stream_.Close();
}

sdk::Status OutputNode::EnsureOpen() {
  if (stream_.open()) return {};
  auto device = FindDevice(wanted_, Direction::kOutput);
  if (!device.ok()) return device.status();
  if (sdk::Status status = SelectOutput(**device, output_name_); !status.ok()) return status;
  stream_.SetDevice(*std::move(device));
  context().Note(sdk::Format("%s is %s (%s)", stream_.device().path().c_str(),
                             stream_.device().identity().card.c_str(),
                             stream_.device().identity().bus_info.c_str())
                     .c_str());
  return {};
}

sdk::Status OutputNode::Probe(sdk::OfferSink& sink) {
  if (sdk::Status status = EnsureOpen(); !status.ok()) return status;
  auto formats = EnumerateFormats(stream_.device(), wish_);
  if (!formats.ok()) return formats.status();
  // It says which colours it was given last; it takes any.
  for (DeviceFormat& format : *formats) format.color = {};
  const auto least = static_cast<uint32_t>(std::clamp<int64_t>(
      GetControl(stream_.device(), V4L2_CID_MIN_BUFFERS_FOR_OUTPUT, 1), 1, kMaxBuffers - 1));
  Stream::OfferTerms terms;
  terms.hold_min = least;
  terms.hold_max = std::max(hold_, least);
  return stream_.Offer(kInName, MakeGroups(*formats, wish_), terms, sink);
}

sdk::Status OutputNode::Allocate(int32_t /*direction*/, uint32_t /*port*/,
                                 const sluice_pool_request& request, sdk::PoolSink& sink) {
  if (sdk::Status status = EnsureOpen(); !status.ok()) return status;
  StreamOff();
  return stream_.Allocate(request, sink);
}

sdk::Status OutputNode::Configure(const sdk::Configuration& configuration) {
  auto port = configuration.Port(kInName);
  if (!port.ok()) return port.status();
  if (sdk::Status status = EnsureOpen(); !status.ok()) return status;
  StreamOff();
  return stream_.Configure(**port);
}

sdk::Status OutputNode::TestImport(int32_t /*direction*/, uint32_t /*port*/, sdk::FrameRef frame) {
  return stream_.TestImport(frame);
}

void OutputNode::ReleasePool(uint32_t pool, uint32_t epoch) {
  if (stream_.Made(pool, epoch)) StreamOff();
  stream_.ReleasePool(pool, epoch);
}

sdk::Status OutputNode::Reconfigure(const sdk::Configuration& configuration) {
  StreamOff();
  return Configure(configuration);
}

sdk::Status OutputNode::Collect() {
  while (true) {
    auto done = stream_.Get();
    if (!done.ok()) return done.status();
    if (!done->has_value()) return {};
    last_event_ns_ = NowNs();
    if (((*done)->buffer.flags & V4L2_BUF_FLAG_ERROR) != 0) {
      context().CountDrop(kInName, 1, "the device could not send it");
    }
  }
}

sdk::Status OutputNode::StreamOn() {
  if (sdk::Status status = stream_.StreamOn(); !status.ok()) return status;
  // Not before: a device without buffers that is polled for writing goes over to write().
  writable_.reset(epoll_create1(EPOLL_CLOEXEC));
  epoll_event event{};
  event.events = EPOLLOUT;
  if (!writable_ || epoll_ctl(writable_.get(), EPOLL_CTL_ADD, stream_.device().fd(), &event) != 0) {
    return stream_.device().Error(errno, "epoll");
  }
  return {};
}

void OutputNode::StreamOff() {
  if (writable_) context().UnwatchFd(writable_.get());
  writable_.reset();
  if (stream_.open()) stream_.StreamOff();
}

sdk::Expected<sdk::Process> OutputNode::Process(sdk::Invocation& invocation) {
  if (sdk::Status status = Collect(); !status.ok()) return status;
  if (sdk::Frame frame = invocation.TakeInput(0)) {
    if (sdk::Status status = stream_.Put(std::move(frame)); !status.ok()) return status;
    last_event_ns_ = NowNs();
    if (!stream_.streaming()) {
      if (sdk::Status status = StreamOn(); !status.ok()) return status;
    }
  }
  if (invocation.draining() && Finished()) return sdk::Process::kEnd;
  if (stream_.queued() > 0) {
    if (sdk::Status status = context().WatchFd(writable_.get()); !status.ok()) {
      return status;
    }
  }
  return sdk::Process::kNeedMore;
}

sdk::Status OutputNode::Drain() { return {}; }

bool OutputNode::Finished() {
  if (stream_.queued() == 0) return true;
  const sluice_rate rate = stream_.rate();
  const int64_t frame_ns =
      rate.numerator == 0 ? kFrameNs : int64_t{1'000'000'000} * rate.denominator / rate.numerator;
  // The last frame stays in the device until another one comes: it gets its time, and no more.
  const int64_t due = last_event_ns_ + (stream_.queued() == 1 ? 1 : kQuietFrames) * frame_ns;
  if (NowNs() >= due) return true;
  context().WakeAt(due);
  return false;
}

void OutputNode::Stop(int64_t /*deadline_ns*/, bool /*completed*/) { StreamOff(); }

}  // namespace sluice::v4l2
