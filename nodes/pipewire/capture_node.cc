#include "nodes/pipewire/capture_node.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace sluice::pipewire {
namespace {

constexpr uint32_t kOut = 0;
constexpr const char* kOutName = "out";
/// How long a daemon and a peer may take for one answer.
constexpr int64_t kAnswerNs = 3'000'000'000;
constexpr int64_t kLinkAgainNs = 200'000'000;
/// How long a source is waited for to show where its rows lie. One that has nothing new to send is
/// taken to have rows without gaps.
constexpr int64_t kFirstPictureNs = 1'500'000'000;
/// How long a source may take to fill each of its buffers once before the graph begins.
constexpr int64_t kParkNs = 400'000'000;
/// How many frames wait to be copied: a source that finds all of its buffers in use may stop.
constexpr size_t kMostUncopied = 2;
constexpr const char* kCopyReason = "the source's memory cannot be lent";

/// Of 32, the rest is for those who read them.
constexpr uint32_t kMostBuffers = 28;

constexpr uint32_t Bit(uint32_t type) { return 1u << type; }
/// Whatever is no dma-buf: which of the two it becomes is the peer's and the daemon's affair.
constexpr uint32_t kPlainMemory = Bit(SPA_DATA_MemFd) | Bit(SPA_DATA_MemPtr);

sdk::Status Unsupported(const Target& target, const char* what) {
  return sdk::Status::Error(SLUICE_E_UNSUPPORTED, "%s: %s", target.Text().c_str(), what);
}

}  // namespace

sdk::Expected<std::unique_ptr<CaptureNode>> CaptureNode::Create(const sdk::NodeContext& context,
                                                                const sdk::Params& params) {
  auto wish = CaptureWishOf(params);
  if (!wish.ok()) return wish.status();
  return std::make_unique<CaptureNode>(context, params, *wish);
}

CaptureNode::CaptureNode(const sdk::NodeContext& context, const sdk::Params& params,
                         const CaptureWish& wish)
    : Node(context),
      wanted_(params.String("target")),
      remote_(params.String("remote")),
      fd_(static_cast<int>(params.Int("fd", -1))),
      wish_(wish),
      reserve_(static_cast<uint32_t>(params.Int("buffers", 4))),
      frame_limit_(static_cast<uint64_t>(params.Int("frames", 0))),
      timeout_ns_(params.DurationNs("timeout", 0)) {}

CaptureNode::~CaptureNode() { CloseStream(); }

// --- Setting up ----------------------------------------------------------------------------------

sdk::Status CaptureNode::EnsureConnection() {
  if (connection_ != nullptr) {
    const Connection::Lock lock(*connection_);
    if (connection_->alive()) return {};
  }
  CloseStream();
  target_.reset();
  connection_.reset();
  if (fd_ < 0) {
    auto opened = Connection::Open(remote_, kAnswerNs);
    if (!opened.ok()) return opened.status();
    connection_ = *std::move(opened);
    return {};
  }
  // The parameter's fd stays the caller's.
  sdk::UniqueFd own = sdk::UniqueFd::Dup(fd_);
  if (!own) {
    return sdk::Status::Error(SLUICE_E_NOT_FOUND, "fd %d: %s", fd_, strerror(errno));
  }
  auto opened = Connection::OpenFd(own.release(), kAnswerNs);
  if (!opened.ok()) return opened.status();
  connection_ = *std::move(opened);
  return {};
}

uint32_t CaptureNode::Reserve() const {
  // A driver fills its buffers in turn: the more there are, the longer a frame may be read.
  const uint32_t more = target_ && target_->plain_dmabufs ? 4 : 0;
  // Another number than before, so that a pool of the peer's earlier buffers, which are gone, is
  // not taken for one of its new ones.
  return std::min(reserve_ + more + generation_ % 2, kMostBuffers);
}

void CaptureNode::CloseStream() {
  stream_.reset();
  copier_.Forget();
}

sdk::Status CaptureNode::Probe(sdk::OfferSink& sink) {
  if (renegotiating_ || !active_) CloseStream();
  if (sdk::Status status = EnsureConnection(); !status.ok()) return status;
  std::vector<VideoFormat> formats;
  {
    const Connection::Lock lock(*connection_);
    const int64_t deadline = NowNs() + kAnswerNs;
    auto target = FindTarget(*connection_, lock, wanted_, deadline);
    if (!target.ok()) return target.status();
    if (!target_ || target_->serial != target->serial) {
      context().Note(sdk::Format("the source is %s", target->Text().c_str()).c_str());
    }
    target_ = *std::move(target);
    auto found = EnumerateFormats(*connection_, lock, &*target_, deadline);
    if (!found.ok()) return found.status();
    formats_ = *std::move(found);
  }
  const std::vector<CaptureGroup> groups = MakeGroups(formats_, wish_, target_->plain_dmabufs);
  if (groups.empty()) return Unsupported(*target_, "none of its formats is what is wished for");
  const bool lends = !target_->stalls_when_held;
  if (!lends) {
    context().Note(sdk::Format("%s stands still for good when it meets a buffer that is still "
                               "read: its frames are copied at once",
                               target_->Text().c_str())
                       .c_str());
  }
  return AddOffers(groups, wish_.memory, lends, Reserve(), sink);
}

sdk::Status CaptureNode::OpenStream(const sluice_format& format, uint32_t data_types,
                                    uint32_t buffers) {
  if (IsOpenFor(format, data_types)) return {};
  CloseStream();
  if (sdk::Status status = EnsureConnection(); !status.ok()) return status;
  if (!target_) {
    return sdk::Status::Error(SLUICE_E_DEVICE_LOST, "the PipeWire daemon was started anew");
  }
  CaptureStream::Request request;
  request.name = sdk::Format("sluice.%s", context().name());
  request.format.entry = FindDrm(format.fourcc);
  if (request.format.entry == nullptr) return Unsupported(*target_, "an unknown format");
  Size size{format.width, format.height};
  request.format.size = request.format.size_min = request.format.size_max = size;
  request.format.rate = format.rate;
  request.data_types = data_types;
  request.buffers = buffers;
  request.lent = buffers;
  if ((data_types & Bit(SPA_DATA_DmaBuf)) != 0) {
    const bool listed = std::any_of(formats_.begin(), formats_.end(), [&](const VideoFormat& one) {
      return one.entry == request.format.entry &&
             std::find(one.modifiers.begin(), one.modifiers.end(), format.modifier) !=
                 one.modifiers.end();
    });
    if (listed) {
      request.format.modifiers = {format.modifier};
      request.format.modifiers_open = true;
    }
    if (!render_node_) render_node_ = PeerFences::OpenRenderNode();
    request.explicit_sync = static_cast<bool>(render_node_) && !fences_refused_;
  }
  const int64_t deadline = NowNs() + kAnswerNs;
  while (true) {
    const sdk::Status status = Connect(request, deadline);
    // A session manager that has only just seen the source may not know yet how to link it.
    if (status.code() != SLUICE_E_NOT_FOUND || NowNs() + kLinkAgainNs >= deadline) return status;
    const Connection::Lock lock(*connection_);
    connection_->WaitUntil(lock, NowNs() + kLinkAgainNs, [] { return false; });
  }
}

sdk::Status CaptureNode::Connect(const CaptureStream::Request& request, int64_t deadline_ns) {
  stream_ = std::make_unique<CaptureStream>(connection_, *target_, request,
                                            [context = context()] { context.Wake(); });
  sdk::Status status;
  {
    const Connection::Lock lock(*connection_);
    status = stream_->Connect(lock, deadline_ns);
    bool seen = false;
    while (status.ok()) {
      // At once: a source waits for the release of its very first frames.
      status = TakeFences(lock);
      seen = status.ok() && stream_->AwaitPicture(lock, NowNs() + kFirstPictureNs);
      if (!status.ok() || !stream_->changed() || NowNs() >= deadline_ns) break;
      status = stream_->TakeNewBuffers(lock, deadline_ns);
    }
    if (status.ok()) format_ = stream_->format();
    if (status.ok() && seen) {
      hint_ = stream_->geometry();
      hint_format_ = format_;
      if (stream_->peer_counts_readers()) stream_->AwaitParked(lock, NowNs() + kParkNs);
    }
  }
  if (!status.ok()) CloseStream();
  return status;
}

bool CaptureNode::IsOpenFor(const sluice_format& format, uint32_t data_types) const {
  if (stream_ == nullptr) return false;
  const Connection::Lock lock(*connection_);
  if (!connection_->alive() || !stream_->lost().ok() || stream_->changed()) return false;
  const VideoFormat& has = stream_->format();
  return has.entry == FindDrm(format.fourcc) && has.size.width == format.width &&
         has.size.height == format.height && stream_->data_types() == data_types &&
         (!has.dmabuf() || has.modifiers[0] == format.modifier);
}

sdk::Status CaptureNode::Allocate(int32_t /*direction*/, uint32_t /*port*/,
                                  const sluice_pool_request& request, sdk::PoolSink& sink) {
  const bool dmabuf = (request.views & SLUICE_VIEW_DMABUF) != 0;
  const uint32_t types = dmabuf ? Bit(SPA_DATA_DmaBuf) : kPlainMemory;
  if (lent_) CloseStream();
  lent_.reset();
  const bool refused_before = fences_refused_;
  sdk::Status status = OpenStream(request.format, types, request.buffers);
  // Without fences it may do.
  if (!status.ok() && fences_refused_ && !refused_before) {
    status = OpenStream(request.format, types, request.buffers);
  }
  if (status.ok()) status = Lend(request, sink);
  // What cannot be lent this way may be lent in another one.
  if (!status.ok() && status.code() != SLUICE_E_UNSUPPORTED) CloseStream();
  return status;
}

sdk::Status CaptureNode::TakeFences(const Connection::Lock& /*lock*/) {
  if (!stream_->fenced()) return {};
  sdk::Status status;
  if (!render_node_) {
    status = Unsupported(*target_, "fences, and no device that knows them");
  } else if (sdk::Status taken = stream_->TakeFences(context(), render_node_.get()); !taken.ok()) {
    status = Unsupported(*target_, taken.c_message());
  }
  fences_refused_ |= !status.ok();
  return status;
}

sdk::Status CaptureNode::Lend(const sluice_pool_request& request, sdk::PoolSink& sink) {
  const Connection::Lock lock(*connection_);
  // Of a source that has sent nothing yet, by the time before.
  const VideoFormat& format = format_;
  const bool known = hint_ && hint_format_.entry == format.entry &&
                     hint_format_.size == format.size && hint_format_.modifiers == format.modifiers;
  auto lent = LendPool(*stream_, request, known ? &*hint_ : nullptr, sink);
  if (!lent.ok()) return lent.status();
  if (!stream_->peer_counts_readers()) {
    context().Note(sdk::Format("%s writes its %u buffers in turn, whoever reads them: a frame that "
                               "is held for longer is overwritten, and counted",
                               target_->Text().c_str(), lent->real)
                       .c_str());
  }
  lent_ = *std::move(lent);
  kept_.push_back({request.pool, request.epoch, std::exchange(lent_->mappings, {})});
  return {};
}

sdk::Status CaptureNode::Configure(const sdk::Configuration& configuration) {
  auto port = configuration.Port(kOutName);
  if (!port.ok()) return port.status();
  if (lent_ && stream_ != nullptr && lent_->IsOf(**port)) return {};
  if (lent_) CloseStream();
  lent_.reset();
  return OpenStream((*port)->format, kPlainMemory, 0);
}

void CaptureNode::ReleasePool(uint32_t pool, uint32_t epoch) {
  if (lent_ && lent_->pool == pool && lent_->epoch == epoch) {
    CloseStream();
    lent_.reset();
  }
  std::erase_if(kept_, [&](const Kept& kept) { return kept.pool == pool && kept.epoch == epoch; });
}

sdk::Status CaptureNode::Start() {
  clock_ = {};
  delivered_ = 0;
  last_event_ns_ = NowNs();
  active_ = true;
  {
    const Connection::Lock lock(*connection_);
    if (stream_ != nullptr) stream_->Run(true, lent_ ? 0 : kMostUncopied);
  }
  context().Wake();
  return {};
}

sdk::Status CaptureNode::Reconfigure(const sdk::Configuration& configuration) {
  renegotiating_ = false;
  last_event_ns_ = NowNs();
  if (sdk::Status status = Configure(configuration); !status.ok()) return status;
  {
    const Connection::Lock lock(*connection_);
    stream_->Run(true, lent_ ? 0 : kMostUncopied);
  }
  context().Wake();
  return {};
}

void CaptureNode::Stop(int64_t /*deadline_ns*/, bool /*completed*/) {
  if (stream_ != nullptr) {
    const Connection::Lock lock(*connection_);
    stream_->Run(false);
  }
  active_ = renegotiating_ = false;
}

// --- Running -------------------------------------------------------------------------------------

sdk::Expected<sdk::Process> CaptureNode::Process(sdk::Invocation& /*invocation*/) {
  if (renegotiating_) return sdk::Process::kNeedMore;
  if (IsAtLimit()) return sdk::Process::kEnd;
  if (stream_ == nullptr) return sdk::Status::Error(SLUICE_E_INTERNAL, "no stream");
  std::vector<Delivery> deliveries;
  bool changed = false;
  uint64_t skipped = 0;
  {
    const Connection::Lock lock(*connection_);
    if (!stream_->lost().ok()) return stream_->lost();
    deliveries = stream_->Take();
    skipped = stream_->TakeSkipped();
    changed = stream_->changed();
  }
  if (skipped != 0) context().CountDrop(kOutName, skipped, "the graph was late to copy it");
  if (!deliveries.empty()) last_event_ns_ = NowNs();
  for (const Delivery& delivery : deliveries) {
    if (sdk::Status status = lent_ ? Deliver(delivery) : Copy(delivery); !status.ok()) {
      return status;
    }
    if (renegotiating_) return sdk::Process::kNeedMore;
    if (IsAtLimit()) return End(deliveries);
  }
  if (changed) {
    if (sdk::Status status = Renegotiate(); !status.ok()) return status;
    return sdk::Process::kNeedMore;
  }
  if (lent_) ReturnFree();
  if (sdk::Status status = CheckTime(); !status.ok()) return status;
  return sdk::Process::kNeedMore;
}

sdk::Process CaptureNode::End(const std::vector<Delivery>& deliveries) {
  // The source goes on, and is not to miss what nobody will read.
  const Connection::Lock lock(*connection_);
  for (const Delivery& delivery : deliveries) {
    if (!lent_ || context().IsFree(kOut, delivery.index)) stream_->Return(delivery.index);
  }
  stream_->Run(false);
  return sdk::Process::kEnd;
}

sdk::Status CaptureNode::Renegotiate() {
  renegotiating_ = true;
  ++generation_;
  return context().RequestRenegotiate(kOut);
}

void CaptureNode::Return(uint32_t index) {
  const Connection::Lock lock(*connection_);
  stream_->Return(index);
}

sdk::Status CaptureNode::Deliver(const Delivery& delivery) {
  const SourceClock::Stamp stamp = StampOf(delivery);
  if (delivery.index >= lent_->real) {
    // The source has more buffers than the pool: it is left without this one.
    const Connection::Lock lock(*connection_);
    stream_->Drop(delivery.index);
    return {};
  }
  // Nothing of a picture: a marker, or what is left after an error.
  if (delivery.bytes == 0) return {};
  const bool compressed = format_.entry->compressed();
  if (!lent_->Holds(delivery, compressed)) {
    context().CountDrop(kOutName, 1, "the source moved its rows: a new epoch");
    hint_ = delivery.geometry;
    hint_format_ = format_;
    return Renegotiate();
  }
  auto frame = context().AcquireBuffer(kOut, delivery.index);
  if (!frame.ok()) {
    const int32_t code = frame.status().code();
    if (code == SLUICE_E_CANCELLED) return {};  // stop() is about to come
    if (code != SLUICE_E_WOULD_BLOCK) return frame.status();
    context().CountDrop(kOutName, 1, "the source wrote over a frame that was still read");
    return {};
  }
  const sluice_buffer_id id = frame->BufferId();
  if (!lent_->Is(id)) {
    return sdk::Status::Error(SLUICE_E_INTERNAL, "pool %u, epoch %u, is none of the source's",
                              id.pool, id.epoch);
  }
  sluice_frame_info* info = frame->InfoMut();
  Describe(delivery, stamp, info);
  if (compressed) {
    info->bytes_used = std::min<uint64_t>(delivery.bytes, lent_->layout.planes[0].size);
  }
  ++delivered_;
  sdk::Fence fence;
  {
    const Connection::Lock lock(*connection_);
    fence = stream_->Acquire(delivery);
  }
  return context().Emit(kOut, *std::move(frame), fence);
}

SourceClock::Stamp CaptureNode::StampOf(const Delivery& delivery) {
  const SourceClock::Stamp stamp = clock_.Next(delivery);
  if (stamp.lost != 0) context().CountDrop(kOutName, stamp.lost, "lost by the source");
  return stamp;
}

void CaptureNode::Describe(const Delivery& delivery, const SourceClock::Stamp& stamp,
                           sluice_frame_info* info) {
  const VideoFormat& format = format_;
  info->captured_ns = stamp.captured_ns;
  info->pts_ns = stamp.pts_ns;
  info->pts_ticks = SLUICE_PTS_NONE;
  info->duration_ns =
      format.rate.numerator == 0
          ? 0
          : int64_t{1'000'000'000} * format.rate.denominator / format.rate.numerator;
  info->sequence = stamp.sequence;
  info->flags = delivery.corrupted ? SLUICE_FRAME_CORRUPT : 0;
  info->field_order = SLUICE_FIELD_PROGRESSIVE;
  info->bytes_used = 0;
  info->crop_x = info->crop_y = 0;
  info->crop_width = format.size.width;
  info->crop_height = format.size.height;
  const bool cropped = delivery.crop_width != 0 && delivery.crop_height != 0;
  if (cropped && uint64_t{delivery.crop_x} + delivery.crop_width <= format.size.width &&
      uint64_t{delivery.crop_y} + delivery.crop_height <= format.size.height) {
    info->crop_x = delivery.crop_x;
    info->crop_y = delivery.crop_y;
    info->crop_width = delivery.crop_width;
    info->crop_height = delivery.crop_height;
  }
}

void CaptureNode::ReturnFree() {
  const Connection::Lock lock(*connection_);
  for (uint32_t i = 0; i < lent_->real; ++i) {
    if (stream_->held(i) && !stream_->arrived(i) && context().IsFree(kOut, i)) stream_->Return(i);
  }
}

sdk::Status CaptureNode::CheckTime() {
  if (timeout_ns_ == 0) return {};
  if (lent_) {
    // It cannot be late while it has no buffer.
    const Connection::Lock lock(*connection_);
    bool waits = false;
    for (uint32_t i = 0; i < lent_->real; ++i) waits |= !stream_->held(i);
    if (!waits) last_event_ns_ = NowNs();
  }
  const int64_t due = last_event_ns_ + timeout_ns_;
  if (NowNs() >= due) {
    return sdk::Status::Error(SLUICE_E_TIMEOUT, "%s has sent no frame for %lld ms",
                              target_->Text().c_str(),
                              static_cast<long long>(timeout_ns_ / 1'000'000));
  }
  context().WakeAt(due);
  return {};
}

// --- Copying -------------------------------------------------------------------------------------

sdk::Status CaptureNode::Copy(const Delivery& delivery) {
  const SourceClock::Stamp stamp = StampOf(delivery);
  if (delivery.bytes == 0) {
    Return(delivery.index);
    return {};
  }
  auto frame = context().Acquire(kOut);
  if (!frame.ok()) {
    Return(delivery.index);
    const int32_t code = frame.status().code();
    if (code == SLUICE_E_CANCELLED) return {};
    if (code != SLUICE_E_WOULD_BLOCK) return frame.status();
    context().CountDrop(kOutName, 1, "no buffer was free to copy it to");
    return {};
  }
  uint64_t bytes = 0;
  bool copied = false;
  {
    // The peer's buffers may leave while they are read; their memory stays as long as the lock.
    const Connection::Lock lock(*connection_);
    if (delivery.index < stream_->buffer_count() && !stream_->changed()) {
      const PeerBuffer& buffer = stream_->buffer(delivery.index);
      auto layout =
          LayoutOf(*format_.entry, format_.size, buffer, delivery.geometry);
      auto map = frame->Map(SLUICE_MAP_WRITE);
      if (!map.ok()) return map.status();
      copied = layout.ok() && copier_.Copy(format_, buffer, delivery.index, *layout, *map,
                                           &bytes);
    }
    stream_->Return(delivery.index);
  }
  if (!copied) {
    context().CountDrop(kOutName, 1, "its picture does not lie within the source's buffer");
    return {};
  }
  sluice_frame_info* info = frame->InfoMut();
  Describe(delivery, stamp, info);
  if (format_.entry->compressed()) info->bytes_used = bytes;
  ++delivered_;
  context().CountCopy(kOutName, bytes, kCopyReason);
  return context().Emit(kOut, *std::move(frame));
}

}  // namespace sluice::pipewire
