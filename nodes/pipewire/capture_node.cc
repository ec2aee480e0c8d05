#include "nodes/pipewire/capture_node.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

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
constexpr int64_t kSpareNs = 2'000'000;
constexpr const char* kCopyReason = "the source's memory cannot be lent";

/// Of 32, the rest is for those who read them.
constexpr uint32_t kMostBuffers = 28;

constexpr uint32_t Bit(uint32_t type) { return 1u << type; }
/// Whatever is no dma-buf: which of the two it becomes is the peer's and the daemon's affair.
constexpr uint32_t kPlainMemory = Bit(SPA_DATA_MemFd) | Bit(SPA_DATA_MemPtr);

bool SameLayout(const sluice_layout& a, const sluice_layout& b) {
  if (a.coded_width != b.coded_width || a.coded_height != b.coded_height ||
      a.plane_count != b.plane_count || a.part_count != b.part_count || a.size != b.size) {
    return false;
  }
  for (uint32_t i = 0; i < a.plane_count && i < SLUICE_MAX_PLANES; ++i) {
    const sluice_plane &p = a.planes[i], &q = b.planes[i];
    if (p.part != q.part || p.offset != q.offset || p.stride != q.stride || p.size != q.size) {
      return false;
    }
  }
  return true;
}

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
  // First, so that no buffer of a frame that is given back is still with the peer.
  stream_.reset();
  fences_ = {};
  slots_.clear();
  copy_from_.clear();
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
  request.lent = std::min(buffers, Reserve());
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
    if (status.ok() && stream_->AwaitPicture(lock, NowNs() + kFirstPictureNs)) {
      hint_ = stream_->geometry();
      hint_format_ = stream_->format();
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
  if (sdk::Status status = OpenLending(request, types); !status.ok()) return status;
  sdk::Status status;
  {
    const Connection::Lock lock(*connection_);
    status = TakeFences(lock);
  }
  if (!status.ok() && !std::exchange(fences_refused_, true)) {
    CloseStream();
    return Allocate(SLUICE_PORT_OUTPUT, kOut, request, sink);
  }
  if (status.ok()) status = Lend(request, sink);
  // What cannot be lent this way may be lent in another one.
  if (!status.ok() && status.code() != SLUICE_E_UNSUPPORTED) CloseStream();
  return status;
}

/// A source that counts its readers leaves alone what it was not given back: the whole pool can be
/// its own. One that does not fills its buffers in turn, and gets no more than are given back to
/// it.
sdk::Status CaptureNode::OpenLending(const sluice_pool_request& request, uint32_t types) {
  const uint32_t wanted = target_ && target_->plain_dmabufs ? Reserve() : request.buffers;
  if (sdk::Status status = OpenStream(request.format, types, wanted); !status.ok()) return status;
  {
    const Connection::Lock lock(*connection_);
    if (stream_->peer_counts_readers() || stream_->buffer_count() <= Reserve()) return {};
  }
  CloseStream();
  return OpenStream(request.format, types, Reserve());
}

sdk::Status CaptureNode::TakeFences(const Connection::Lock& /*lock*/) {
  const std::string who = target_->Text();
  for (uint32_t i = 0; i < stream_->buffer_count(); ++i) {
    const PeerBuffer& buffer = stream_->buffer(i);
    if (!buffer.acquire) return {};
    if (!render_node_) return Unsupported(*target_, "fences, and no device that knows them");
    if (sdk::Status status = fences_.Add(context(), buffer, render_node_.get(), who);
        !status.ok()) {
      return Unsupported(*target_, status.c_message());
    }
  }
  // Always signalled: a source that waits for a picture that was dropped would wait for ever.
  stream_->SetRelease([this](uint32_t index, uint64_t point) { fences_.Release(index, point); });
  return {};
}

sdk::Status CaptureNode::Lend(const sluice_pool_request& request, sdk::PoolSink& sink) {
  const bool mapped = (request.views & (SLUICE_VIEW_DMABUF | SLUICE_VIEW_SHM)) == 0;
  const uint32_t type =
      (request.views & SLUICE_VIEW_DMABUF) != 0 ? SPA_DATA_DmaBuf : SPA_DATA_MemFd;
  Kept kept{request.pool, request.epoch, {}};
  Lent lent{request.pool, request.epoch, request.views, request.format, {}, {}, 0};
  const Connection::Lock lock(*connection_);
  const auto count = static_cast<uint32_t>(stream_->buffer_count());
  if (!stream_->lost().ok()) return stream_->lost();
  if (count == 0) {
    return sdk::Status::Error(SLUICE_E_DEVICE_LOST, "%s has taken its buffers away",
                              target_->Text().c_str());
  }
  lent.real =
      std::min(count, stream_->peer_counts_readers() ? request.buffers
                                                     : std::min(request.buffers, Reserve()));
  // One is being filled, one is on its way, one is read.
  if (lent.real < 3) return Unsupported(*target_, "it has too few buffers to lend any");
  if (count > lent.real && !stream_->peer_counts_readers()) {
    return sdk::Status::Error(SLUICE_E_UNSUPPORTED,
                              "%s fills its %u buffers in turn, and %u of them can be lent",
                              target_->Text().c_str(), count, lent.real);
  }
  // Of a source that has sent nothing yet, by the time before; else its rows have no gaps.
  const VideoFormat& format = stream_->format();
  if (hint_ && hint_format_.entry == format.entry && hint_format_.size == format.size &&
      hint_format_.modifiers == format.modifiers) {
    lent.geometry = *hint_;
  }
  lent.geometry.blocks.resize(stream_->buffer(0).blocks.size());
  for (uint32_t i = 0; i < lent.real; ++i) {
    const PeerBuffer& buffer = stream_->buffer(i);
    if (!mapped && !buffer.Only(type)) {
      return Unsupported(*target_, type == SPA_DATA_DmaBuf ? "its buffers are no dma-bufs"
                                                           : "its buffers have no fds");
    }
    if (std::any_of(buffer.blocks.begin(), buffer.blocks.end(),
                    [](const PeerBlock& block) { return !block.sealed; })) {
      return Unsupported(*target_, "its memory is not sealed: it may shrink while it is read");
    }
    auto layout = LayoutOf(*stream_->format().entry, stream_->format().size, buffer, lent.geometry);
    if (!layout.ok()) return Unsupported(*target_, layout.status().c_message());
    if (i == 0) lent.layout = *layout;
    if (!SameLayout(lent.layout, *layout)) {
      return Unsupported(*target_, "its buffers are not laid out alike");
    }
    if (sdk::Status status = AddBuffer(buffer, *layout, mapped, sink, &kept); !status.ok()) {
      return status;
    }
  }
  for (uint32_t i = lent.real; i < request.buffers; ++i) {
    if (sdk::Status status = AddSpare(lent.layout, request.views, sink, &kept); !status.ok()) {
      return status;
    }
  }
  if (!stream_->peer_counts_readers()) {
    context().Note(sdk::Format("%s writes its %u buffers in turn, whoever reads them: a frame that "
                               "is held for longer is overwritten, and counted",
                               target_->Text().c_str(), lent.real)
                       .c_str());
  }
  slots_.resize(request.buffers);
  lent_ = std::move(lent);
  kept_.push_back(std::move(kept));
  return {};
}

sdk::Status CaptureNode::AddBuffer(const PeerBuffer& buffer, const sluice_layout& layout,
                                   bool mapped, sdk::PoolSink& sink, Kept* kept) const {
  sluice_buffer_desc description{};
  description.layout = layout;
  if (mapped) {
    if (buffer.blocks.size() != 1) return Unsupported(*target_, "its planes are in several blocks");
    std::shared_ptr<Mapping> mapping = buffer.blocks[0].mapping;
    if (mapping == nullptr) {
      auto made = Mapping::OfFd(buffer.blocks[0].fd.get(), 0, buffer.blocks[0].fd_size);
      if (!made.ok()) return made.status();
      mapping = *std::move(made);
    }
    description.base = mapping->base();
    kept->mappings.push_back(std::move(mapping));
    return sink.Add(description);
  }
  description.memory.view = buffer.Only(SPA_DATA_DmaBuf) ? SLUICE_VIEW_DMABUF : SLUICE_VIEW_SHM;
  description.memory.part_count = static_cast<uint32_t>(buffer.blocks.size());
  sdk::UniqueFd fds[SLUICE_MAX_PLANES];
  for (size_t i = 0; i < buffer.blocks.size(); ++i) {
    fds[i] = sdk::UniqueFd::Dup(buffer.blocks[i].fd.get());
    if (!fds[i]) {
      return sdk::Status::Error(SLUICE_E_RESOURCE_EXHAUSTED, "a second fd: %s", strerror(errno));
    }
  }
  for (size_t i = 0; i < buffer.blocks.size(); ++i) {
    description.memory.parts[i].fd = fds[i].release();
    description.memory.parts[i].size = buffer.blocks[i].fd_size;
  }
  return sink.Add(description);
}

sdk::Status CaptureNode::AddSpare(const sluice_layout& layout, uint32_t views, sdk::PoolSink& sink,
                                  Kept* kept) const {
  if ((views & SLUICE_VIEW_DMABUF) != 0) {
    return AddBuffer(stream_->buffer(0), layout, false, sink, kept);
  }
  // Never touched, so without pages.
  sluice_buffer_desc description{};
  description.layout = layout;
  description.memory.view = SLUICE_VIEW_SHM;
  description.memory.part_count = layout.part_count;
  sdk::UniqueFd fds[SLUICE_MAX_PLANES];
  const bool mapped = (views & SLUICE_VIEW_SHM) == 0;
  for (uint32_t i = 0; i < layout.part_count && i < SLUICE_MAX_PLANES; ++i) {
    const uint64_t size = mapped ? layout.size : stream_->buffer(0).blocks[i].fd_size;
    fds[i] = sdk::UniqueFd(memfd_create("sluice:spare", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    if (!fds[i] || ftruncate(fds[i].get(), static_cast<off_t>(size)) != 0 ||
        fcntl(fds[i].get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) {
      return sdk::Status::Error(SLUICE_E_RESOURCE_EXHAUSTED, "a spare buffer: %s", strerror(errno));
    }
    description.memory.parts[i].size = size;
  }
  if (mapped) {
    auto mapping = Mapping::OfFd(fds[0].get(), 0, layout.size);
    if (!mapping.ok()) return mapping.status();
    sluice_buffer_desc own{};
    own.layout = layout;
    own.base = (*mapping)->base();
    kept->mappings.push_back(*std::move(mapping));
    return sink.Add(own);
  }
  for (uint32_t i = 0; i < layout.part_count && i < SLUICE_MAX_PLANES; ++i) {
    description.memory.parts[i].fd = fds[i].release();
  }
  return sink.Add(description);
}

bool CaptureNode::IsLent(const sluice_port_config& port) const {
  return lent_ && stream_ != nullptr && port.buffers == slots_.size() &&
         port.format.fourcc == lent_->format.fourcc &&
         port.format.modifier == lent_->format.modifier && SameLayout(port.layout, lent_->layout);
}

sdk::Status CaptureNode::Configure(const sdk::Configuration& configuration) {
  auto port = configuration.Port(kOutName);
  if (!port.ok()) return port.status();
  if (IsLent(**port)) return {};
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
  for (Slot& slot : slots_) slot = {};
  spare_.Release();
  active_ = renegotiating_ = false;
}

// --- Running -------------------------------------------------------------------------------------

sdk::Expected<sdk::Process> CaptureNode::Process(sdk::Invocation& /*invocation*/) {
  if (renegotiating_) return sdk::Process::kNeedMore;
  if (frame_limit_ != 0 && delivered_ >= frame_limit_) return sdk::Process::kEnd;
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
  if (lent_) {
    if (sdk::Status status = Fill(deliveries); !status.ok()) return status;
  }
  for (const Delivery& delivery : deliveries) {
    if (sdk::Status status = lent_ ? Deliver(delivery) : Copy(delivery); !status.ok()) {
      return status;
    }
    if (renegotiating_) return sdk::Process::kNeedMore;
    if (frame_limit_ != 0 && delivered_ >= frame_limit_) return sdk::Process::kEnd;
  }
  if (changed) {
    if (sdk::Status status = Renegotiate(); !status.ok()) return status;
    return sdk::Process::kNeedMore;
  }
  if (lent_) {
    if (sdk::Status status = Fill({}); !status.ok()) return status;
  }
  if (sdk::Status status = CheckTime(); !status.ok()) return status;
  return sdk::Process::kNeedMore;
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
  if (delivery.index >= slots_.size()) return {};
  Slot& slot = slots_[delivery.index];
  const SourceClock::Stamp stamp = StampOf(delivery);
  if (delivery.bytes == 0) {
    // Nothing of a picture: a marker, or what is left after an error.
    if (slot.frame) Return(delivery.index);
    return {};
  }
  const bool compressed = stream_->format().entry->compressed();
  bool elsewhere = delivery.geometry.blocks.size() != lent_->geometry.blocks.size();
  for (size_t i = 0; !elsewhere && i < lent_->geometry.blocks.size(); ++i) {
    const Geometry::Block &has = delivery.geometry.blocks[i], &had = lent_->geometry.blocks[i];
    const uint64_t stride = has.stride < 0 ? 0 : static_cast<uint64_t>(has.stride);
    elsewhere = has.offset != had.offset || has.stride < 0 ||
                (!compressed && stride != 0 && stride != lent_->layout.planes[i].stride);
  }
  if (elsewhere) {
    context().CountDrop(kOutName, 1, "the source moved its rows: a new epoch");
    hint_ = delivery.geometry;
    hint_format_ = stream_->format();
    return Renegotiate();
  }
  if (!slot.frame) {
    context().CountDrop(kOutName, 1,
                        slot.out ? "the source wrote over a frame that was still read"
                                 : "the source filled a buffer that it was not lent yet");
    if (!slot.out) {
      const Connection::Lock lock(*connection_);
      stream_->Drop(delivery.index);
    }
    return {};
  }
  sluice_frame_info* info = slot.frame.InfoMut();
  Describe(delivery, stamp, info);
  if (compressed) {
    info->bytes_used = std::min<uint64_t>(delivery.bytes, lent_->layout.planes[0].size);
  }
  slot.out = true;
  ++delivered_;
  return context().Emit(kOut, std::move(slot.frame),
                        fences_.Acquire(delivery.index, delivery.acquire_point));
}

SourceClock::Stamp CaptureNode::StampOf(const Delivery& delivery) {
  const SourceClock::Stamp stamp = clock_.Next(delivery);
  if (stamp.lost != 0) context().CountDrop(kOutName, stamp.lost, "lost by the source");
  return stamp;
}

void CaptureNode::Describe(const Delivery& delivery, const SourceClock::Stamp& stamp,
                           sluice_frame_info* info) {
  const VideoFormat& format = stream_->format();
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

sdk::Status CaptureNode::Fill(const std::vector<Delivery>& delivered) {
  spare_.Release();
  while (true) {
    auto frame = context().Acquire(kOut);
    if (!frame.ok()) {
      // CANCELLED: stop() is about to come.
      const int32_t code = frame.status().code();
      if (code == SLUICE_E_WOULD_BLOCK || code == SLUICE_E_CANCELLED) return {};
      return frame.status();
    }
    const sluice_buffer_id id = (*frame).BufferId();
    if (id.pool != lent_->pool || id.epoch != lent_->epoch || id.index >= slots_.size() ||
        slots_[id.index].frame) {
      return sdk::Status::Error(SLUICE_E_INTERNAL,
                                "buffer %u of pool %u, epoch %u, is none of the source's", id.index,
                                id.pool, id.epoch);
    }
    if (id.index >= lent_->real) {
      // A spare one: nothing else is home. Kept for a while, as giving it back would bring us here
      // again at once.
      spare_ = *std::move(frame);
      context().WakeAt(NowNs() + kSpareNs);
      return {};
    }
    slots_[id.index].frame = *std::move(frame);
    slots_[id.index].out = false;
    const bool fresh =
        std::any_of(delivered.begin(), delivered.end(),
                    [&](const Delivery& delivery) { return delivery.index == id.index; });
    if (!fresh) Return(id.index);
  }
}

sdk::Status CaptureNode::CheckTime() {
  if (timeout_ns_ == 0) return {};
  // It cannot be late while it has no buffer.
  const bool waits = !lent_ || std::any_of(slots_.begin(), slots_.end(), [](const Slot& slot) {
    return static_cast<bool>(slot.frame);
  });
  if (!waits) last_event_ns_ = NowNs();
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
          LayoutOf(*stream_->format().entry, stream_->format().size, buffer, delivery.geometry);
      auto map = frame->Map(SLUICE_MAP_WRITE);
      if (!map.ok()) return map.status();
      copied = layout.ok() && CopyPlanes(buffer, delivery.index, *layout, *map, &bytes);
    }
    stream_->Return(delivery.index);
  }
  if (!copied) {
    context().CountDrop(kOutName, 1, "its picture does not lie within the source's buffer");
    return {};
  }
  sluice_frame_info* info = frame->InfoMut();
  Describe(delivery, stamp, info);
  if (stream_->format().entry->compressed()) info->bytes_used = bytes;
  ++delivered_;
  context().CountCopy(kOutName, bytes, kCopyReason);
  return context().Emit(kOut, *std::move(frame));
}

bool CaptureNode::CopyPlanes(const PeerBuffer& buffer, uint32_t index, const sluice_layout& from,
                             const sdk::Mapping& to, uint64_t* bytes) {
  const FormatEntry& entry = *stream_->format().entry;
  const Size size = stream_->format().size;
  for (uint32_t i = 0; i < entry.plane_count && i < to.planes(); ++i) {
    const sluice_plane& plane = from.planes[i];
    const PeerBlock& block = buffer.blocks[plane.part];
    uint64_t row_bytes = RowBytes(entry, i, size.width);
    uint64_t rows = RowCount(entry, i, size.height);
    if (entry.compressed()) {
      row_bytes = std::min<uint64_t>(plane.size, to.stride(0));
      rows = 1;
    }
    std::shared_ptr<Mapping> mapping = block.mapping;
    if (mapping == nullptr && block.sealed) {
      const size_t key = size_t{index} * SLUICE_MAX_PLANES + plane.part;
      if (copy_from_.size() <= key) copy_from_.resize(key + 1);
      if (copy_from_[key] == nullptr) {
        auto made = Mapping::OfFd(block.fd.get(), 0, block.fd_size);
        if (!made.ok()) return false;
        copy_from_[key] = *std::move(made);
      }
      mapping = copy_from_[key];
    }
    for (uint64_t row = 0; row < rows; ++row) {
      const uint64_t offset = plane.offset + row * plane.stride;
      if (mapping != nullptr) {
        std::memcpy(to.Row(i, row), mapping->base() + offset, row_bytes);
      } else if (pread(block.fd.get(), to.Row(i, row), row_bytes, static_cast<off_t>(offset)) !=
                 static_cast<ssize_t>(row_bytes)) {
        // What may shrink is read, not mapped: an early end is an answer and not a signal.
        return false;
      }
    }
    *bytes += rows * row_bytes;
  }
  return true;
}

}  // namespace sluice::pipewire
