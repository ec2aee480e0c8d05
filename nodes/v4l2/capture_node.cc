#include "nodes/v4l2/capture_node.h"

#include <poll.h>
#include <time.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "nodes/v4l2/find_device.h"

namespace sluice::v4l2 {
namespace {

constexpr uint32_t kOut = 0;
constexpr const char* kOutName = "out";

int64_t NowNs() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

}  // namespace

sdk::Expected<std::unique_ptr<CaptureNode>> CaptureNode::Create(const sdk::NodeContext& context,
                                                                const sdk::Params& params) {
  auto controls = ParseControls(params.String("controls"));
  if (!controls.ok()) return controls.status();
  auto wish = WishOf(params);
  if (!wish.ok()) return wish.status();
  return std::make_unique<CaptureNode>(context, params, *wish, *std::move(controls));
}

CaptureNode::CaptureNode(const sdk::NodeContext& context, const sdk::Params& params,
                         const Wish& wish, ControlMap controls)
    : Node(context),
      wanted_(params.String("device")),
      input_name_(params.String("input")),
      wish_(wish),
      reserve_(static_cast<uint32_t>(params.Int("buffers", 4))),
      frame_limit_(static_cast<uint64_t>(params.Int("frames", 0))),
      timeout_ns_(params.DurationNs("timeout", 0)),
      stream_(context.host()),
      controls_(std::move(controls)) {}

CaptureNode::~CaptureNode() {
  Unwatch();
  stream_.Close();
}

// --- Setting up ----------------------------------------------------------------------------------

void CaptureNode::Unwatch() {
  if (stream_.open()) context().UnwatchFd(stream_.device().fd());
}

void CaptureNode::ReleasePool(uint32_t pool, uint32_t epoch) {
  if (stream_.Made(pool, epoch)) Unwatch();
  stream_.ReleasePool(pool, epoch);
}

sdk::Status CaptureNode::EnsureOpen() {
  if (stream_.open()) return {};
  auto device = FindDevice(wanted_, Direction::kCapture);
  if (!device.ok()) return device.status();
  {
    const std::lock_guard lock(device_mutex_);
    stream_.SetDevice(*std::move(device));
    if (sdk::Status status = SetControls(stream_.device(), controls_); !status.ok()) {
      stream_.SetDevice(nullptr);
      return status;
    }
  }
  context().Note(sdk::Format("%s is %s (%s)", stream_.device().path().c_str(),
                             stream_.device().identity().card.c_str(),
                             stream_.device().identity().bus_info.c_str())
                     .c_str());
  return SelectSource();
}

sdk::Status CaptureNode::SelectSource() {
  auto input = SelectInput(stream_.device(), input_name_);
  if (!input.ok()) return input.status();
  input_ = *std::move(input);
  if (!input_.has_signal) {
    context().Note(sdk::Format("input %s has no signal", input_.name.c_str()).c_str());
  }
  SubscribeSourceChange(stream_.device(), input_.index);
  return {};
}

sdk::Status CaptureNode::Probe(sdk::OfferSink& sink) {
  if (!stream_.open()) {
    if (sdk::Status status = EnsureOpen(); !status.ok()) return status;
  } else if (renegotiating_ || !active_) {
    // Timings and formats change only while no buffer is allocated. Exported ones live on as long
    // as somebody has them. When it was another node that asked, the pool stays, and so must they.
    Unwatch();
    stream_.Close();
    if (sdk::Status status = SelectSource(); !status.ok()) return status;
  }
  Wish wish = wish_;
  // Some grabbers scale; unasked, the picture stays as it is sent.
  if (wish.size.width == 0 && input_.width != 0) wish.size = {input_.width, input_.height};
  auto formats = EnumerateFormats(stream_.device(), wish);
  if (!formats.ok()) return formats.status();
  const std::vector<Group> groups = MakeGroups(*formats, wish);
  if (groups.empty()) {
    return sdk::Status::Error(SLUICE_E_UNSUPPORTED, "%s (%s) has no %u/%u frames a second%s",
                              stream_.device().path().c_str(),
                              stream_.device().identity().card.c_str(), wish_.rate.numerator,
                              wish_.rate.denominator, wish_.size.width != 0 ? " at this size" : "");
  }
  const auto least = static_cast<uint32_t>(std::clamp<int64_t>(
      GetControl(stream_.device(), V4L2_CID_MIN_BUFFERS_FOR_CAPTURE, 1), 1, kMaxBuffers - 1));
  Stream::OfferTerms terms;
  terms.dynamic_reserve = std::max(reserve_, least + 1);
  return stream_.Offer(kOutName, groups, terms, sink);
}

sdk::Status CaptureNode::Allocate(int32_t /*direction*/, uint32_t /*port*/,
                                  const sluice_pool_request& request, sdk::PoolSink& sink) {
  if (sdk::Status status = EnsureOpen(); !status.ok()) return status;
  Unwatch();
  return stream_.Allocate(request, sink);
}

sdk::Status CaptureNode::Configure(const sdk::Configuration& configuration) {
  auto port = configuration.Port(kOutName);
  if (!port.ok()) return port.status();
  if (sdk::Status status = EnsureOpen(); !status.ok()) return status;
  Unwatch();
  return stream_.Configure(**port);
}

sdk::Status CaptureNode::TestImport(int32_t /*direction*/, uint32_t /*port*/, sdk::FrameRef frame) {
  return stream_.TestImport(frame);
}

sdk::Status CaptureNode::Start() {
  first_ = true;
  sequence_ = delivered_ = 0;
  last_event_ns_ = NowNs();
  active_ = true;
  context().Wake();
  return {};
}

sdk::Status CaptureNode::Reconfigure(const sdk::Configuration& configuration) {
  renegotiating_ = false;
  last_event_ns_ = NowNs();
  sdk::Status status = Configure(configuration);
  if (status.ok()) context().Wake();
  return status;
}

void CaptureNode::Stop(int64_t /*deadline_ns*/, bool /*completed*/) {
  Unwatch();
  stream_.StreamOff();
  active_ = renegotiating_ = false;
}

sdk::Status CaptureNode::SetParam(const sluice_param& param) {
  if (std::strcmp(param.name, "controls") != 0) {
    return sdk::Status::Error(SLUICE_E_UNSUPPORTED, "%s does not change while the graph runs",
                              param.name);
  }
  auto controls = ParseControls(param.s == nullptr ? "" : param.s);
  if (!controls.ok()) return controls.status();
  const std::lock_guard lock(device_mutex_);
  if (stream_.open()) {
    if (sdk::Status status = SetControls(stream_.device(), *controls); !status.ok()) return status;
  }
  for (const auto& [name, value] : *controls) controls_[name] = value;
  return {};
}

// --- Running -------------------------------------------------------------------------------------

sdk::Expected<sdk::Process> CaptureNode::Process(sdk::Invocation& /*invocation*/) {
  if (renegotiating_) return sdk::Process::kNeedMore;
  if (frame_limit_ != 0 && delivered_ >= frame_limit_) return sdk::Process::kEnd;
  if (stream_.streaming()) {
    pollfd state{stream_.device().fd(), POLLIN | POLLPRI, 0};
    poll(&state, 1, 0);
    if ((state.revents & POLLPRI) != 0 && TakeSourceChange(stream_.device()) &&
        (TimingsChanged(stream_.device(), input_) || stream_.FormatChanged())) {
      renegotiating_ = true;
      if (sdk::Status status = context().RequestRenegotiate(kOut); !status.ok()) return status;
      return sdk::Process::kNeedMore;
    }
    if ((state.revents & (POLLIN | POLLERR | POLLHUP)) != 0) {
      const uint64_t before = delivered_;
      const auto more = Collect();
      if (!more.ok()) return more.status();
      if (!*more) return sdk::Process::kEnd;
      if ((state.revents & (POLLERR | POLLHUP)) != 0 && delivered_ == before) return Broken();
    }
  }
  if (sdk::Status status = Fill(); !status.ok()) return status;
  if (sdk::Status status = CheckTime(); !status.ok()) return status;
  if (stream_.streaming()) {
    if (sdk::Status status =
            context().WatchFd(stream_.device().fd(), SLUICE_WATCH_READABLE | SLUICE_WATCH_PRIORITY);
        !status.ok()) {
      return status;
    }
  }
  return sdk::Process::kNeedMore;
}

sdk::Expected<bool> CaptureNode::Collect() {
  while (true) {
    auto done = stream_.Get();
    if (!done.ok()) return done.status();
    if (!done->has_value()) return true;
    last_event_ns_ = NowNs();
    if (sdk::Status status = Deliver(*std::move(*done)); !status.ok()) return status;
    if (frame_limit_ != 0 && delivered_ >= frame_limit_) return false;
  }
}

sdk::Status CaptureNode::Deliver(Stream::Done done) {
  const Dequeued& buffer = done.buffer;
  CountGap(buffer.sequence);
  NoteClock(buffer.flags);
  if (buffer.data_offset != 0) {
    return sdk::Status::Error(SLUICE_E_UNSUPPORTED,
                              "%s puts its picture %u bytes into the buffer, and says so only now",
                              stream_.device().path().c_str(), buffer.data_offset);
  }
  const bool damaged = (buffer.flags & V4L2_BUF_FLAG_ERROR) != 0;
  if (buffer.bytes_used[0] == 0 && (damaged || stream_.entry().compressed)) {
    // Nothing of the picture arrived: the buffer holds an older one.
    context().CountDrop(kOutName, 1, "empty: the driver received nothing of it");
    done.frame.Release();
    return {};
  }
  Describe(buffer, done.frame.InfoMut());
  ++delivered_;
  return context().Emit(kOut, std::move(done.frame));
}

void CaptureNode::Describe(const Dequeued& buffer, sluice_frame_info* info) {
  const bool monotonic =
      (buffer.flags & V4L2_BUF_FLAG_TIMESTAMP_MASK) == V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC;
  if (first_) first_ns_ = buffer.timestamp_ns;
  first_ = false;
  info->captured_ns = monotonic ? buffer.timestamp_ns : 0;
  info->pts_ns = buffer.timestamp_ns - first_ns_;
  const sluice_rate rate = stream_.rate();
  info->duration_ns =
      rate.numerator == 0 ? 0 : int64_t{1'000'000'000} * rate.denominator / rate.numerator;
  info->pts_ticks = SLUICE_PTS_NONE;
  info->sequence = sequence_;
  info->flags = 0;
  if ((buffer.flags & V4L2_BUF_FLAG_ERROR) != 0) info->flags |= SLUICE_FRAME_CORRUPT;
  if ((buffer.flags & V4L2_BUF_FLAG_KEYFRAME) != 0) info->flags |= SLUICE_FRAME_KEY;
  info->field_order = FieldOrder(buffer.field, input_.sixty_hertz);
  info->crop_width = stream_.format().width;
  info->crop_height = stream_.format().height;
  info->bytes_used = stream_.entry().compressed ? buffer.bytes_used[0] : 0;
}

void CaptureNode::CountGap(uint32_t sequence) {
  if (first_) {
    last_sequence_ = sequence;
    return;
  }
  // Modulo 2^32. A driver that does not count, or begins again, has lost nothing that we know of.
  uint32_t step = sequence - last_sequence_;
  if (step == 0 || step > UINT32_MAX / 2) step = 1;
  last_sequence_ = sequence;
  sequence_ += step;
  if (step > 1) context().CountDrop(kOutName, step - 1, "lost by the driver");
}

void CaptureNode::NoteClock(uint32_t flags) {
  if (std::exchange(clock_noted_, true)) return;
  switch (flags & V4L2_BUF_FLAG_TIMESTAMP_MASK) {
    case V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC:
      break;
    case V4L2_BUF_FLAG_TIMESTAMP_COPY:
      context().Note(
          "the driver copies timestamps from elsewhere; the time of capture is not known");
      return;
    default:
      context().Note(
          "the driver does not say by which clock it stamps; the time of capture is not "
          "known");
      return;
  }
  if ((flags & V4L2_BUF_FLAG_TSTAMP_SRC_MASK) == V4L2_BUF_FLAG_TSTAMP_SRC_EOF) {
    context().Note("the driver stamps frames when their last line has arrived, not the first");
  }
}

sdk::Status CaptureNode::Fill() {
  while (true) {
    auto frame = context().Acquire(kOut);
    if (!frame.ok()) {
      // CANCELLED: stop() is about to come.
      const int32_t code = frame.status().code();
      if (code == SLUICE_E_WOULD_BLOCK || code == SLUICE_E_CANCELLED) break;
      return frame.status();
    }
    if (sdk::Status status = stream_.Put(*std::move(frame)); !status.ok()) return status;
  }
  if (!stream_.streaming() && stream_.queued() > 0) {
    last_event_ns_ = NowNs();
    return stream_.StreamOn();
  }
  return {};
}

sdk::Status CaptureNode::CheckTime() {
  if (timeout_ns_ == 0 || !stream_.streaming()) return {};
  // The device cannot be late while it has no buffer.
  if (stream_.queued() == 0) last_event_ns_ = NowNs();
  const int64_t due = last_event_ns_ + timeout_ns_;
  if (NowNs() >= due) {
    return sdk::Status::Error(
        SLUICE_E_TIMEOUT, "%s (%s) has sent no frame for %lld ms", stream_.device().path().c_str(),
        stream_.device().identity().card.c_str(), static_cast<long long>(timeout_ns_ / 1'000'000));
  }
  context().WakeAt(due);
  return {};
}

sdk::Status CaptureNode::Broken() const {
  v4l2_capability capability{};
  if (const int error = stream_.device().Ioctl(VIDIOC_QUERYCAP, &capability); error != 0) {
    return stream_.device().Error(error, "poll");
  }
  return stream_.device().Error(EIO, "its stream broke off");
}

}  // namespace sluice::v4l2
