#include "nodes/ffmpeg/read_node.h"

#include <algorithm>

namespace sluice::ffmpeg {
namespace {

constexpr uint32_t kOut = 0;
constexpr const char* kOutName = "out";
constexpr AVRational kNanoseconds{1, 1'000'000'000};
/// How far a probe reads for one frame that decodes.
constexpr int kProbePackets = 512;
/// Packets that are written at once, and one that waits for its time.
constexpr uint32_t kPacketReserve = 2;
constexpr const char* kPacketCopy = "the packet is copied into the pool";
/// How long to wait before asking for a buffer again that should have been there.
constexpr int64_t kRetryNs = 1'000'000;

int64_t ToNs(int64_t ticks, AVRational base) {
  if (ticks == AV_NOPTS_VALUE) return SLUICE_PTS_NONE;
  return av_rescale_q(ticks, base, kNanoseconds);
}

sluice_rate RateOf(const AVStream& stream) {
  // A stream whose average differs from its base rate is variable.
  const AVRational average = stream.avg_frame_rate;
  const AVRational base = stream.r_frame_rate;
  if (average.num <= 0 || average.den <= 0 || av_cmp_q(average, base) != 0) return {0, 0};
  return {static_cast<uint32_t>(average.num), static_cast<uint32_t>(average.den)};
}

std::string InputOf(const sdk::Params& params) {
  return params.Has("path") ? params.String("path") : params.String("url");
}

}  // namespace

sdk::Expected<std::unique_ptr<ReadNode>> ReadNode::Create(const sdk::NodeContext& context,
                                                          const sdk::Params& params) {
  if (params.Has("path") == params.Has("url")) {
    return sdk::Status::Error(SLUICE_E_INVALID_ARGUMENT,
                              "ffmpeg.read needs either path or url, and not both");
  }
  return std::make_unique<ReadNode>(context, params);
}

ReadNode::ReadNode(const sdk::NodeContext& context, const sdk::Params& params)
    : Node(context),
      input_{InputOf(params), params.Int("stream", -1), params.DurationNs("timeout", 0)},
      threads_(static_cast<int>(params.Int("threads", 0))),
      start_ns_(params.DurationNs("start", 0)),
      loop_(params.Int("loop", 0)),
      frame_limit_(static_cast<uint64_t>(params.Int("frames", 0))),
      pace_(params.String("pace") == "realtime" ? Pace::kRealtime
            : params.String("pace") == "free"   ? Pace::kFree
                                                : Pace::kGraph),
      decode_(params.Bool("decode", true)),
      output_(context, kOut, kOutName),
      packet_(av_packet_alloc()),
      frame_(av_frame_alloc()) {}

// --- Opening -------------------------------------------------------------------------------------

sdk::Status ReadNode::Open() {
  auto demuxer = Demuxer::Open(input_);
  if (!demuxer.ok()) return demuxer.status();
  demuxer_ = *std::move(demuxer);
  if (decode_) return {};
  const AVCodecID codec = demuxer_->stream().codecpar->codec_id;
  if (CompressedFourcc(codec) == 0) {
    return sdk::Status::Error(SLUICE_E_UNSUPPORTED,
                              "%s: decode: false hands out mjpeg, h264 and hevc, and this is %s",
                              input_.location.c_str(), avcodec_get_name(codec));
  }
  auto annex_b = AnnexB::For(demuxer_->stream());
  if (!annex_b.ok()) return annex_b.status();
  annex_b_ = *std::move(annex_b);
  return {};
}

sdk::Status ReadNode::DecodeFirst() {
  const AVStream& stream = demuxer_->stream();
  auto opened = OpenDecoder(*stream.codecpar, stream.time_base, 1, nullptr);
  if (!opened.ok()) {
    return sdk::Status::Error(opened.status().code(), "%s: %s", input_.location.c_str(),
                              opened.status().message().c_str());
  }
  const CodecPtr decoder = *std::move(opened);
  const FramePtr frame(av_frame_alloc());
  int result = AVERROR(EAGAIN);
  int read = 0;
  bool ended = false;
  while (result < 0 && !ended) {
    PacketPtr packet(av_packet_alloc());
    read =
        static_cast<int>(kept_.size()) < kProbePackets ? demuxer_->Read(packet.get()) : AVERROR_EOF;
    ended = read < 0;
    avcodec_send_packet(decoder.get(), ended ? nullptr : packet.get());
    if (!ended) kept_.push_back(std::move(packet));
    // An error says that these packets do not decode; later ones may.
    result = avcodec_receive_frame(decoder.get(), frame.get());
  }
  if (result < 0) {
    return sdk::Status::Error(
        SLUICE_E_IO, "%s: stream %d (%s): none of %zu packets could be decoded",
        input_.location.c_str(), demuxer_->stream().index,
        avcodec_get_name(demuxer_->stream().codecpar->codec_id), kept_.size());
  }
  picture_ = DescribePicture(*frame, *demuxer_->stream().codecpar);
  if (picture_.fourcc == 0) {
    const char* name = av_get_pix_fmt_name(picture_.format);
    return sdk::Status::Error(SLUICE_E_UNSUPPORTED, "%s: pixel format %s cannot be carried",
                              input_.location.c_str(), name == nullptr ? "unknown" : name);
  }
  layout_ = LayoutFor(decoder.get(), picture_.fourcc, picture_.width, picture_.height);
  reserve_ = DecoderReserve(*decoder, demuxer_->stream().codecpar->video_delay, threads_);
  return {};
}

sdk::Status ReadNode::Probe(sdk::OfferSink& sink) {
  if (renegotiating_) {
    picture_ = DescribePicture(*frame_, *demuxer_->stream().codecpar);
    if (picture_.fourcc == 0) {
      return sdk::Status::Error(SLUICE_E_UNSUPPORTED,
                                "%s: its pixel format changes to one that cannot be carried",
                                input_.location.c_str());
    }
    layout_ = LayoutFor(decoder_.get(), picture_.fourcc, picture_.width, picture_.height);
    reserve_ = std::max(reserve_, DecoderReserve(*decoder_, decoder_->has_b_frames, threads_));
    return Offer(sink);
  }
  if (sdk::Status status = EnsureOpen(); !status.ok()) return status;
  NoteFacts();
  return Offer(sink);
}

sdk::Status ReadNode::EnsureOpen() {
  if (demuxer_ != nullptr) return {};
  sdk::Status status = Open();
  if (status.ok()) status = DecodeFirst();
  if (!status.ok()) {
    demuxer_.reset();
    kept_.clear();
  }
  return status;
}

std::string ReadNode::KnownCopy() const {
  if (!decode_) return kPacketCopy;
  const AVCodec* codec = avcodec_find_decoder(demuxer_->stream().codecpar->codec_id);
  return PictureOutput::KnownReason(picture_, *codec);
}

sdk::Status ReadNode::Offer(sdk::OfferSink& sink) {
  const auto start = [this](const std::string& copies) {
    sdk::OfferBuilder offer;
    offer.Views(SLUICE_VIEW_CPU | SLUICE_VIEW_SHM)
        .Sync(SLUICE_SYNC_CPU_DONE)
        .Size(picture_.width, picture_.height)
        .Rate(RateOf(demuxer_->stream()))
        .Copies(copies.empty() ? nullptr : copies.c_str());
    return offer;
  };
  const std::string copies = KnownCopy();
  if (!decode_) {
    sdk::OfferBuilder packets = start(copies);
    packets.Format(CompressedFourcc(demuxer_->stream().codecpar->codec_id))
        .Color(picture_.source.color, picture_.source.assumed)
        .DynamicReserve(kPacketReserve);
    return sink.Add(kOutName, packets);
  }
  const auto add = [&](uint32_t fourcc, const std::string& reason) {
    sdk::OfferBuilder pictures = start(reason);
    pictures.Format(fourcc)
        .Color(picture_.color.color, picture_.color.assumed)
        .Align(layout_.stride_multiple, layout_.stride_multiple, 1, 1)
        .CodedMultiples(layout_.width_multiple, layout_.height_multiple)
        .TailBytes(layout_.tail_bytes)
        .DynamicReserve(reserve_);
    return sink.Add(kOutName, pictures);
  };
  sdk::Status status = add(picture_.fourcc, copies);
  if (!status.ok() || picture_.fourcc != SLUICE_FORMAT_P010) return status;
  // For who takes eight bits alone: one conversion, and not one more behind it.
  return add(SLUICE_FORMAT_YU12,
             PictureOutput::ConversionText(picture_.format, SLUICE_FORMAT_YU12));
}

void ReadNode::NoteFacts() {
  if (noted_) return;
  noted_ = true;
  for (const std::string& note : demuxer_->NotCarried()) context().Note(note.c_str());
  if (!demuxer_->rotation().exact) {
    context().Note("the display matrix turns by an odd angle; only quarter turns are kept");
  }
}

sdk::Status ReadNode::Configure(const sdk::Configuration& configuration) {
  auto port = configuration.Port(kOutName);
  if (!port.ok()) return port.status();
  if (sdk::Status status = EnsureOpen(); !status.ok()) return status;
  const sluice_format& format = (*port)->format;
  const uint32_t fourcc =
      decode_ ? picture_.fourcc : CompressedFourcc(demuxer_->stream().codecpar->codec_id);
  const bool cut_to_eight =
      decode_ && fourcc == SLUICE_FORMAT_P010 && format.fourcc == SLUICE_FORMAT_YU12;
  if ((format.fourcc != fourcc && !cut_to_eight) || format.width != picture_.width ||
      format.height != picture_.height) {
    return sdk::Status::Error(SLUICE_E_INVALID_ARGUMENT,
                              "the stream is %ux%u %s, and %ux%u %s was asked for", picture_.width,
                              picture_.height, FourccName(fourcc).c_str(), format.width,
                              format.height, FourccName(format.fourcc).c_str());
  }
  out_fourcc_ = format.fourcc;
  realtime_ = pace_ == Pace::kRealtime || (pace_ == Pace::kGraph && configuration.realtime());
  return {};
}

sdk::Status ReadNode::Reconfigure(const sdk::Configuration& configuration) {
  auto port = configuration.Port(kOutName);
  if (!port.ok()) return port.status();
  // The decoder goes on; its next buffers come from the new pool.
  output_.pool().Retire();
  out_fourcc_ = (*port)->format.fourcc;
  output_.pool().SetLending(IsLent());
  renegotiating_ = false;
  return {};
}

sdk::Status ReadNode::Start() {
  // Closed when it was stopped before.
  if (sdk::Status status = EnsureOpen(); !status.ok()) return status;
  const AVStream& stream = demuxer_->stream();
  if (decode_) {
    output_.pool().SetLending(IsLent());
    auto opened = OpenDecoder(*stream.codecpar, stream.time_base, threads_, &output_.pool());
    if (!opened.ok()) return opened.status();
    decoder_ = *std::move(opened);
  }
  if (start_ns_ > 0) return SeekToStart();
  return {};
}

// Packets begin with the key frame before the start: what follows refers to it.
sdk::Status ReadNode::SeekToStart() {
  const AVRational base = demuxer_->stream().time_base;
  start_ticks_ = demuxer_->start_ticks() + av_rescale_q(start_ns_, kNanoseconds, base);
  seeking_ = true;
  // Where it cannot seek, all is decoded from the beginning; the result is the same.
  if (demuxer_->Seek(start_ticks_) >= 0) {
    kept_.clear();
    first_after_seek_ = true;
  }
  return {};
}

// --- Decoding ------------------------------------------------------------------------------------

int64_t ReadNode::Ticks(const AVFrame& frame) const {
  return frame.pts != AV_NOPTS_VALUE ? frame.pts : frame.best_effort_timestamp;
}

int ReadNode::ReadPacket() {
  if (kept_.empty()) return demuxer_->Read(packet_.get());
  av_packet_move_ref(packet_.get(), kept_.front().get());
  kept_.pop_front();
  return 0;
}

// A node that waits in a read cannot be told to stop.
bool ReadNode::IsStarved() {
  const bool before = starved_fd_ >= 0;
  starved_fd_ = kept_.empty() && !input_ended_ ? demuxer_->StarvedFd() : -1;
  if (!before) starved_since_ns_ = NowNs();
  return starved_fd_ >= 0;
}

sdk::Expected<sdk::Process> ReadNode::AwaitInput() {
  if (input_.timeout_ns > 0) {
    const int64_t limit = starved_since_ns_ + input_.timeout_ns;
    if (NowNs() >= limit) {
      return sdk::Status::Error(SLUICE_E_TIMEOUT, "%s: nothing came for %.3g s",
                                input_.location.c_str(),
                                static_cast<double>(input_.timeout_ns) / 1e9);
    }
    context().WakeAt(limit);
  }
  watched_fd_ = starved_fd_;
  if (sdk::Status status = context().WatchFd(watched_fd_); !status.ok()) return status;
  return sdk::Process::kNeedMore;
}

void ReadNode::CloseInput() {
  if (watched_fd_ >= 0) context().UnwatchFd(watched_fd_);
  watched_fd_ = starved_fd_ = -1;
  demuxer_.reset();
}

void ReadNode::CountPacket() {
  if ((packet_->flags & AV_PKT_FLAG_CORRUPT) != 0) {
    damage_.Add(sdk::Format("packet %lld is incomplete", static_cast<long long>(packets_)));
  }
  if ((packet_->flags & AV_PKT_FLAG_DISCARD) == 0) ++packets_;
}

void ReadNode::Feed() {
  const int read = input_ended_ ? AVERROR_EOF : ReadPacket();
  if (read < 0) {
    if (read != AVERROR_EOF) damage_.Add(ErrorText(read));
    input_ended_ = true;
    draining_ = true;
    avcodec_send_packet(decoder_.get(), nullptr);
    return;
  }
  CountPacket();
  const int sent = avcodec_send_packet(decoder_.get(), packet_.get());
  if (sent < 0 && sent != AVERROR(EAGAIN)) {
    damage_.Add(sdk::Format("packet %lld does not decode (%s)",
                            static_cast<long long>(packets_ - 1), ErrorText(sent).c_str()));
  }
  av_packet_unref(packet_.get());
}

bool ReadNode::BeforeStart(const AVFrame& frame) const {
  const int64_t ticks = Ticks(frame);
  return seeking_ && ticks != AV_NOPTS_VALUE && ticks < start_ticks_;
}

sdk::Status ReadNode::DecodeNext() {
  while (!pending_) {
    const int result = avcodec_receive_frame(decoder_.get(), frame_.get());
    if (result == AVERROR(EAGAIN) && !draining_) {
      if (IsStarved()) return {};
      Feed();
      continue;
    }
    if (result == AVERROR_EOF || result == AVERROR(EAGAIN)) return {};
    if (result < 0) {
      damage_.Add(sdk::Format("a frame does not decode (%s)", ErrorText(result).c_str()));
      continue;
    }
    if (first_after_seek_) {
      first_after_seek_ = false;
      const int64_t ticks = Ticks(*frame_);
      if (ticks != AV_NOPTS_VALUE && ticks > start_ticks_) {
        // It went too far (indices hold decoding times): decode from the beginning.
        if (sdk::Status status = Rewind(); !status.ok()) return status;
        continue;
      }
    }
    if (BeforeStart(*frame_)) {
      av_frame_unref(frame_.get());
      continue;
    }
    seeking_ = false;
    pending_ = true;
  }
  return {};
}

/// Opens the input once more: the only way to its beginning that every container has.
sdk::Status ReadNode::Rewind() {
  av_frame_unref(frame_.get());
  kept_.clear();
  CloseInput();
  if (sdk::Status status = Open(); !status.ok()) return status;
  if (decoder_ != nullptr) avcodec_flush_buffers(decoder_.get());
  input_ended_ = false;
  draining_ = false;
  packets_ = 0;
  return {};
}

// --- The end -------------------------------------------------------------------------------------

sdk::Status ReadNode::Verdict() const {
  const int64_t expected = demuxer_->expected_frames();
  const bool whole_pass = start_ns_ == 0;
  const bool short_of_packets = whole_pass && expected > 0 && packets_ < expected;
  const int64_t missing = demuxer_->missing_bytes();
  if (damage_.count == 0 && !short_of_packets && missing == 0) return {};
  const std::string expectation =
      expected > 0 && whole_pass ? sdk::Format("expected %lld", static_cast<long long>(expected))
                                 : std::string("expected: not stated by the file");
  const std::string reason = damage_.count > 0 ? damage_.first
                             : missing > 0
                                 ? sdk::Format("%lld bytes are missing at the end of the file",
                                               static_cast<long long>(missing))
                                 : std::string("the data ends early");
  return sdk::Status::Error(SLUICE_E_IO, "%s: truncated or damaged: frames delivered %llu, %s; %s",
                            input_.location.c_str(),
                            static_cast<unsigned long long>(delivered_in_pass_),
                            expectation.c_str(), reason.c_str());
}

sdk::Expected<sdk::Process> ReadNode::Finish() {
  if (sdk::Status status = Verdict(); !status.ok()) return status;
  if (delivered_in_pass_ == 0) {
    return sdk::Status::Error(SLUICE_E_NOT_FOUND, "%s: no frame at or after the start time",
                              input_.location.c_str());
  }
  const bool again = loop_ < 0 || passes_ < loop_;
  if (!again) return sdk::Process::kEnd;
  ++passes_;
  loop_offset_ += pass_end_ - pass_begin_;
  delivered_in_pass_ = 0;
  discontinuity_ = true;
  if (sdk::Status status = Rewind(); !status.ok()) return status;
  if (start_ns_ > 0) {
    if (sdk::Status status = SeekToStart(); !status.ok()) return status;
  }
  return sdk::Process::kDone;
}

// --- Emitting ------------------------------------------------------------------------------------

bool ReadNode::Due(int64_t pts_ns) {
  if (!realtime_ || pts_ns == SLUICE_PTS_NONE) return true;
  const int64_t now = NowNs();
  const int64_t due = picture_pace_.DueNs(pts_ns, now);
  if (now >= due) return true;
  context().WakeAt(due);
  return false;
}

void ReadNode::DescribeTime(int64_t ticks, int64_t duration, AVFrame* frame,
                            sluice_frame_info* info) {
  const AVStream& stream = demuxer_->stream();
  const AVRational base = stream.time_base;
  *info = {};
  info->time_base_num = static_cast<uint32_t>(base.num);
  info->time_base_den = static_cast<uint32_t>(base.den);
  info->pts_ticks = ticks == AV_NOPTS_VALUE ? SLUICE_PTS_NONE : ticks + loop_offset_;
  info->pts_ns = ticks == AV_NOPTS_VALUE ? SLUICE_PTS_NONE : ToNs(ticks + loop_offset_, base);
  info->duration_ticks = std::max<int64_t>(duration, 0);
  info->duration_ns = ToNs(info->duration_ticks, base);
  info->sequence = delivered_;
  if (discontinuity_) info->flags |= SLUICE_FRAME_DISCONTINUITY;
  info->crop_width = picture_.width;
  info->crop_height = picture_.height;
  const AVRational aspect =
      av_guess_sample_aspect_ratio(demuxer_->format(), const_cast<AVStream*>(&stream), frame);
  if (aspect.num > 0 && aspect.den > 0) {
    info->aspect_num = static_cast<uint32_t>(aspect.num);
    info->aspect_den = static_cast<uint32_t>(aspect.den);
  }
  const Rotation rotation = demuxer_->rotation();
  info->rotation_degrees = rotation.degrees;
  if (rotation.mirrored) info->flags |= SLUICE_FRAME_MIRRORED;
  if (ticks == AV_NOPTS_VALUE) return;
  if (pass_begin_ == AV_NOPTS_VALUE) pass_begin_ = ticks;
  pass_begin_ = std::min(pass_begin_, ticks);
  pass_end_ = std::max(pass_end_, ticks + std::max<int64_t>(duration, 1));
}

void ReadNode::Describe(const AVFrame& frame, sluice_frame_info* info) {
  DescribeTime(Ticks(frame), DurationTicks(frame), const_cast<AVFrame*>(&frame), info);
  if (IsKey(frame)) info->flags |= SLUICE_FRAME_KEY;
  if (IsCorrupt(frame)) info->flags |= SLUICE_FRAME_CORRUPT;
  info->field_order = FieldOrder(frame);
}

sdk::Status ReadNode::EmitPending(sdk::Frame out, const sluice_frame_info& info) {
  *out.InfoMut() = info;
  pending_ = false;
  discontinuity_ = false;
  ++delivered_;
  ++delivered_in_pass_;
  if (sdk::Status status = context().Emit(kOut, std::move(out)); !status.ok()) return status;
  context().Progress(delivered_, loop_ == 0 && start_ns_ == 0
                                     ? static_cast<uint64_t>(demuxer_->expected_frames())
                                     : 0);
  return {};
}

sdk::Expected<sdk::Process> ReadNode::Process(sdk::Invocation& /*invocation*/) {
  if (frame_limit_ != 0 && delivered_ >= frame_limit_) return sdk::Process::kEnd;
  if (!decode_) return ProcessPacket();
  output_.pool().Resume();
  if (!pending_) {
    if (sdk::Status status = DecodeNext(); !status.ok()) return status;
    if (!pending_) return starved_fd_ >= 0 ? AwaitInput() : Finish();
    if (IsCorrupt(*frame_)) {
      damage_.Add(sdk::Format("frame %llu is decoded with errors",
                              static_cast<unsigned long long>(delivered_)));
    }
  }
  const Picture picture = DescribePicture(*frame_, *demuxer_->stream().codecpar);
  if (!picture.SameFormat(picture_)) {
    renegotiating_ = true;
    if (sdk::Status status = context().RequestRenegotiate(kOut); !status.ok()) return status;
    return sdk::Process::kDone;
  }
  const int64_t ticks = Ticks(*frame_);
  if (ticks != AV_NOPTS_VALUE && !Due(ToNs(ticks + loop_offset_, demuxer_->stream().time_base))) {
    return sdk::Process::kNeedMore;
  }
  sluice_frame_info info;
  Describe(*frame_, &info);
  sdk::Expected<sdk::Frame> out =
      output_.Take(frame_.get(), picture, *decoder_->codec, out_fourcc_ == picture.fourcc);
  if (!out.ok()) {
    return sdk::Status::Error(out.status().code(), "%s: %s", input_.location.c_str(),
                              out.status().message().c_str());
  }
  if (!*out) {
    context().WakeAt(NowNs() + kRetryNs);
    return sdk::Process::kNeedMore;
  }
  av_frame_unref(frame_.get());
  if (sdk::Status status = EmitPending(*std::move(out), info); !status.ok()) return status;
  return sdk::Process::kDone;
}

// --- Packets -------------------------------------------------------------------------------------

sdk::Status ReadNode::ReadPending() {
  while (!pending_ && !input_ended_) {
    if (IsStarved()) return {};
    const int read = ReadPacket();
    if (read < 0) {
      if (read != AVERROR_EOF) damage_.Add(ErrorText(read));
      input_ended_ = true;
      return {};
    }
    CountPacket();
    if (const int filtered = annex_b_.Filter(packet_.get()); filtered < 0) {
      damage_.Add(sdk::Format("packet %lld is malformed (%s)", static_cast<long long>(packets_ - 1),
                              ErrorText(filtered).c_str()));
      continue;
    }
    pending_ = true;
  }
  return {};
}

sdk::Expected<sdk::Frame> ReadNode::PacketToPool() {
  sdk::Expected<sdk::Frame> acquired = context().Acquire(kOut);
  if (!acquired.ok()) {
    if (acquired.status().code() == SLUICE_E_WOULD_BLOCK) return sdk::Frame();
    return acquired.status();
  }
  const auto bytes = static_cast<uint64_t>(packet_->size);
  const uint64_t room = acquired->Layout().planes[0].size;
  if (bytes > room) {
    return sdk::Status::Error(SLUICE_E_RESOURCE_EXHAUSTED,
                              "%s: packet %lld has %llu bytes, more than the %llu of a buffer",
                              input_.location.c_str(), static_cast<long long>(packets_ - 1),
                              static_cast<unsigned long long>(bytes),
                              static_cast<unsigned long long>(room));
  }
  {
    auto mapping = acquired->Map(SLUICE_MAP_WRITE);
    if (!mapping.ok()) return mapping.status();
    std::copy_n(packet_->data, bytes, mapping->plane(0));
  }
  context().CountCopy(kOutName, bytes, kPacketCopy);
  return acquired;
}

sdk::Expected<sdk::Process> ReadNode::ProcessPacket() {
  if (!pending_) {
    if (sdk::Status status = ReadPending(); !status.ok()) return status;
    if (!pending_) return starved_fd_ >= 0 ? AwaitInput() : Finish();
  }
  // Pictures that are decoded early are shown late: packets come in their decoding order.
  const int64_t due = packet_->dts != AV_NOPTS_VALUE ? packet_->dts : packet_->pts;
  if (due != AV_NOPTS_VALUE && !Due(ToNs(due + loop_offset_, demuxer_->stream().time_base))) {
    return sdk::Process::kNeedMore;
  }
  sdk::Expected<sdk::Frame> out = PacketToPool();
  if (!out.ok()) return out.status();
  if (!*out) {
    context().WakeAt(NowNs() + kRetryNs);
    return sdk::Process::kNeedMore;
  }
  sluice_frame_info info;
  DescribeTime(packet_->pts, packet_->duration, nullptr, &info);
  info.bytes_used = static_cast<uint64_t>(packet_->size);
  if ((packet_->flags & AV_PKT_FLAG_KEY) != 0) info.flags |= SLUICE_FRAME_KEY;
  if ((packet_->flags & AV_PKT_FLAG_CORRUPT) != 0) info.flags |= SLUICE_FRAME_CORRUPT;
  av_packet_unref(packet_.get());
  if (sdk::Status status = EmitPending(*std::move(out), info); !status.ok()) return status;
  return sdk::Process::kDone;
}

void ReadNode::Stop(int64_t /*deadline_ns*/, bool /*completed*/) {
  av_frame_unref(frame_.get());
  av_packet_unref(packet_.get());
  pending_ = false;
  // Joins the codec's threads and gives its leases back.
  decoder_.reset();
  CloseInput();
  kept_.clear();
  renegotiating_ = input_ended_ = draining_ = seeking_ = first_after_seek_ = false;
  packets_ = passes_ = loop_offset_ = pass_end_ = 0;
  pass_begin_ = AV_NOPTS_VALUE;
  delivered_ = delivered_in_pass_ = 0;
  picture_pace_.Restart();
  damage_ = {};
}

}  // namespace sluice::ffmpeg
