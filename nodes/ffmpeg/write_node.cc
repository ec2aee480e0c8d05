#include "nodes/ffmpeg/write_node.h"

#include <algorithm>
#include <filesystem>

namespace sluice::ffmpeg {
namespace {

constexpr const char* kInName = "in";
constexpr AVRational kNanoseconds{1, 1'000'000'000};

/// Whether every time in `from` is one in `to`.
bool Holds(AVRational to, AVRational from) {
  const int64_t numerator = int64_t{from.num} * to.den;
  const int64_t denominator = int64_t{from.den} * to.num;
  return denominator != 0 && numerator % denominator == 0;
}

void AddDisplayMatrix(AVStream* stream, const sluice_frame_info& info) {
  const bool mirrored = (info.flags & SLUICE_FRAME_MIRRORED) != 0;
  if (info.rotation_degrees == 0 && !mirrored) return;
  constexpr size_t kBytes = 9 * sizeof(int32_t);
#if LIBAVFORMAT_VERSION_INT >= AV_VERSION_INT(60, 16, 100)
  AVPacketSideData* data = av_packet_side_data_new(&stream->codecpar->coded_side_data,
                                                   &stream->codecpar->nb_coded_side_data,
                                                   AV_PKT_DATA_DISPLAYMATRIX, kBytes, 0);
  uint8_t* bytes = data == nullptr ? nullptr : data->data;
#else
  uint8_t* bytes = av_stream_new_side_data(stream, AV_PKT_DATA_DISPLAYMATRIX, kBytes);
#endif
  if (bytes == nullptr) return;
  WriteDisplayMatrix(info.rotation_degrees, mirrored, reinterpret_cast<int32_t*>(bytes));
}

/// The time scale that the mov muxer gives a track of this time base.
int64_t MovTimescale(AVRational time_base) {
  int64_t scale = time_base.den;
  while (scale < 10000) scale *= 2;
  return scale;
}

bool Knows(const AVClass* klass, const char* key) {
  return klass != nullptr &&
         av_opt_find(&klass, key, nullptr, 0, AV_OPT_SEARCH_FAKE_OBJ) != nullptr;
}

}  // namespace

sdk::Expected<std::unique_ptr<WriteNode>> WriteNode::Create(const sdk::NodeContext& context,
                                                            const sdk::Params& params) {
  const std::string path = params.String("path");
  auto choice = ChooseEncoder(path, params);
  if (!choice.ok()) return choice.status();
  // In a film's name a percent sign is only that.
  auto pattern = choice->pictures() ? IndexPattern::Parse(path) : IndexPattern();
  if (!pattern.ok()) return pattern.status();
  if (choice->pictures() && !pattern->many()) choice->threads = 1;
  return std::make_unique<WriteNode>(context, params, *std::move(choice), *std::move(pattern));
}

WriteNode::WriteNode(const sdk::NodeContext& context, const sdk::Params& params,
                     EncoderChoice choice, IndexPattern pattern)
    : Node(context),
      path_(params.String("path")),
      choice_(std::move(choice)),
      pattern_(std::move(pattern)),
      first_index_(static_cast<uint64_t>(params.Int("first_index", 0))),
      pixels_(params.String("pixels")),
      overwrite_param_(params.Bool("overwrite", false)),
      packet_(av_packet_alloc()) {}

// --- Before the first frame ----------------------------------------------------------------------

sdk::Status WriteNode::Probe(sdk::OfferSink& sink) {
  const std::vector<EncoderInput> inputs = EncoderInputs(*choice_.codec);
  if (inputs.empty()) {
    return sdk::Status::Error(SLUICE_E_UNSUPPORTED,
                              "the encoder %s takes none of the pixel formats that are carried",
                              choice_.codec->name);
  }
  bool offered = false;
  std::string taken;
  for (const EncoderInput& input : inputs) {
    taken += (taken.empty() ? "" : ", ") + FourccName(input.fourcc);
    if (!pixels_.empty() && FourccName(input.fourcc) != pixels_) continue;
    offered = true;
    sdk::OfferBuilder offer;
    offer.Format(input.fourcc)
        .Views(SLUICE_VIEW_CPU | SLUICE_VIEW_SHM)
        .Sync(SLUICE_SYNC_CPU_DONE)
        .Width(input.width_step, 16384, input.width_step)
        .Height(input.height_step, 16384, input.height_step)
        .Color(input.color)
        // A copy is the encoder's own, and the lease goes home with the call.
        .Hold(0, input.copies.empty() ? EncoderHold(choice_) : 1)
        .Copies(input.copies.empty() ? nullptr : input.copies.c_str());
    if (sdk::Status status = sink.Add(kInName, offer); !status.ok()) return status;
  }
  if (offered) return {};
  return sdk::Status::Error(SLUICE_E_UNSUPPORTED, "pixels: the encoder %s does not take %s, but %s",
                            choice_.codec->name, pixels_.c_str(), taken.c_str());
}

sdk::Status WriteNode::CheckDestination() const {
  if (overwrite_) return {};
  std::string existing;
  if (choice_.pictures()) {
    existing = pattern_.FindExisting();
  } else {
    std::error_code error;
    if (std::filesystem::exists(path_, error)) existing = path_;
  }
  if (existing.empty()) return {};
  return sdk::Status::Error(SLUICE_E_ALREADY_EXISTS,
                            "%s exists already; `overwrite: true` or run --force replaces it",
                            existing.c_str());
}

/// Opens an encoder once for nothing: whatever it refuses is said before any work is done.
sdk::Status WriteNode::CheckEncoder() {
  StreamShape shape;
  shape.format = format_;
  if (format_.rate.numerator != 0 && format_.rate.denominator != 0) {
    shape.time_base = av_inv_q(ToRational(format_.rate));
  }
  for (const EncoderInput& input : EncoderInputs(*choice_.codec)) {
    if (input.fourcc != format_.fourcc) continue;
    if (format_.width % input.width_step == 0 && format_.height % input.height_step == 0) continue;
    return sdk::Status::Error(SLUICE_E_UNSUPPORTED,
                              "%s: the encoder %s takes no odd size in %s, and the pictures are "
                              "%ux%u: ffmpeg.scale to an even size, or another codec such as ffv1 "
                              "in a .mkv",
                              path_.c_str(), choice_.codec->name,
                              FourccName(format_.fourcc).c_str(), format_.width, format_.height);
  }
  Dictionary rest;
  auto encoder = OpenEncoder(choice_, shape, &rest);
  if (!encoder.ok()) {
    return sdk::Status::Error(encoder.status().code(), "%s: %s", path_.c_str(),
                              encoder.status().message().c_str());
  }
  const AVDictionaryEntry* entry = nullptr;
  while ((entry = av_dict_get(rest.get(), "", entry, AV_DICT_IGNORE_SUFFIX)) != nullptr) {
    const bool known = !choice_.pictures() && (Knows(choice_.container->priv_class, entry->key) ||
                                               Knows(avformat_get_class(), entry->key));
    if (known) continue;
    return sdk::Status::Error(SLUICE_E_INVALID_ARGUMENT,
                              "options: neither the encoder %s%s%s has an option '%s'",
                              choice_.codec->name, choice_.pictures() ? "" : " nor the container ",
                              choice_.pictures() ? "" : choice_.container->name, entry->key);
  }
  return {};
}

sdk::Status WriteNode::Configure(const sdk::Configuration& configuration) {
  auto port = configuration.Port(kInName);
  if (!port.ok()) return port.status();
  format_ = (*port)->format;
  overwrite_ = overwrite_param_ || configuration.overwrite();
  if (sdk::Status status = CheckDestination(); !status.ok()) return status;
  return CheckEncoder();
}

sdk::Status WriteNode::Start() {
  // Again: a node that was stopped starts without being configured.
  if (sdk::Status status = CheckDestination(); !status.ok()) return status;
  auto claim = DestinationClaim::Take(path_);
  if (!claim.ok()) return claim.status();
  claim_ = *std::move(claim);
  if (choice_.pictures()) return {};
  auto part = PartFile::Create(path_);
  if (!part.ok()) {
    claim_ = DestinationClaim();
    return part.status();
  }
  part_ = *std::move(part);
  return {};
}

sdk::Status WriteNode::Reconfigure(const sdk::Configuration& configuration) {
  auto port = configuration.Port(kInName);
  if (!port.ok()) return port.status();
  const sluice_format& format = (*port)->format;
  const bool same = format.fourcc == format_.fourcc && format.width == format_.width &&
                    format.height == format_.height && SameColor(format.color, format_.color);
  if (same) return {};
  if (!choice_.pictures()) {
    return sdk::Status::Error(
        SLUICE_E_UNSUPPORTED,
        "%s: the pictures change from %ux%u %s to %ux%u %s, and a film has one format; an "
        "ffmpeg.scale before this node keeps it",
        path_.c_str(), format_.width, format_.height, FourccName(format_.fourcc).c_str(),
        format.width, format.height, FourccName(format.fourcc).c_str());
  }
  // Picture files may each have a size of their own.
  if (sdk::Status status = FlushEncoder(); !status.ok()) return status;
  encoder_.reset();
  format_ = format;
  return {};
}

// --- The stream ----------------------------------------------------------------------------------

sdk::Status WriteNode::OpenStream(const sluice_frame_info& info) {
  if (frames_ == 0) time_base_ = TimeBaseOf(info);
  StreamShape shape;
  shape.format = format_;
  shape.time_base = time_base_;
  if (info.aspect_num != 0 && info.aspect_den != 0) {
    shape.aspect = {static_cast<int>(info.aspect_num), static_cast<int>(info.aspect_den)};
  }
  shape.field_order = info.field_order;
  Dictionary options;
  auto encoder = OpenEncoder(choice_, shape, &options);
  if (!encoder.ok()) {
    return sdk::Status::Error(encoder.status().code(), "%s: %s", path_.c_str(),
                              encoder.status().message().c_str());
  }
  encoder_ = *std::move(encoder);
  return choice_.pictures() ? sdk::Status() : WriteHeader(info, &options);
}

sdk::Status WriteNode::WriteHeader(const sluice_frame_info& info, Dictionary* options) {
  AVFormatContext* muxer = nullptr;
  // Its URL is the part: `movflags +faststart` opens that again to read.
  int result = avformat_alloc_output_context2(
      &muxer, const_cast<AVOutputFormat*>(choice_.container), nullptr, part_->part_path().c_str());
  if (result < 0) return MuxError(result);
  muxer_.reset(muxer);
  stream_ = avformat_new_stream(muxer, nullptr);
  if (stream_ == nullptr) return MuxError(AVERROR(ENOMEM));
  stream_->time_base = time_base_;
  stream_->avg_frame_rate = ToRational(format_.rate);
  stream_->sample_aspect_ratio = encoder_->sample_aspect_ratio;
  result = avcodec_parameters_from_context(stream_->codecpar, encoder_.get());
  if (result < 0) return MuxError(result);
  AddDisplayMatrix(stream_, info);
  muxer->pb = part_->io();
  muxer->flags |= AVFMT_FLAG_CUSTOM_IO;
  if (Knows(choice_.container->priv_class, "movie_timescale") &&
      av_dict_get(options->get(), "movie_timescale", nullptr, 0) == nullptr) {
    // An edit list counts in it: in milliseconds the start of most streams would be rounded.
    options->Set("movie_timescale", MovTimescale(time_base_));
  }
  const LastLogLine log;
  result = avformat_write_header(muxer, options->c());
  if (result < 0) {
    if (sdk::Status status = part_->error(); !status.ok()) return status;
    return sdk::Status::Error(ErrorCode(result), "%s: %s", path_.c_str(), log.Or(result).c_str());
  }
  if (!Holds(stream_->time_base, time_base_)) {
    context().Note(sdk::Format("the container %s rounds timestamps from %d/%d to %d/%d s",
                               choice_.container->name, time_base_.num, time_base_.den,
                               stream_->time_base.num, stream_->time_base.den)
                       .c_str());
  }
  return {};
}

sdk::Expected<WriteNode::Timing> WriteNode::TimeOf(const sluice_frame_info& info) {
  Timing timing;
  const AVRational base = TimeBaseOf(info);
  const bool ticks = info.time_base_num != 0 && info.pts_ticks != SLUICE_PTS_NONE;
  if (ticks) {
    timing.pts = av_rescale_q(info.pts_ticks, base, time_base_);
    timing.duration = av_rescale_q(info.duration_ticks, base, time_base_);
    if (!Holds(time_base_, base) && !rounding_noted_) {
      rounding_noted_ = true;
      context().Note("the time base changes in mid-stream; later times are rounded to the first");
    }
  } else if (info.pts_ns != SLUICE_PTS_NONE) {
    timing.pts = av_rescale_q(info.pts_ns, kNanoseconds, time_base_);
    timing.duration = av_rescale_q(info.duration_ns, kNanoseconds, time_base_);
  } else {
    const AVRational rate =
        format_.rate.numerator != 0 ? ToRational(format_.rate) : AVRational{25, 1};
    timing.pts = next_pts_;
    timing.duration = std::max<int64_t>(av_rescale_q(1, av_inv_q(rate), time_base_), 1);
  }
  if (last_pts_ != AV_NOPTS_VALUE && timing.pts <= last_pts_) {
    return sdk::Status::Error(
        SLUICE_E_INVALID_ARGUMENT,
        "%s: frame %llu is at %lld after one at %lld (in %d/%d s): times in a file must grow",
        path_.c_str(), static_cast<unsigned long long>(frames_), static_cast<long long>(timing.pts),
        static_cast<long long>(last_pts_), time_base_.num, time_base_.den);
  }
  last_pts_ = timing.pts;
  next_pts_ = timing.pts + std::max<int64_t>(timing.duration, 1);
  return timing;
}

sdk::Expected<FramePtr> WriteNode::FrameFor(sdk::Frame lease) {
  const AVPixelFormat format = encoder_->pix_fmt;
  if (SameMemory(format, PixelFormat(format_.fourcc))) return WrapLease(std::move(lease), format);
  auto copy = repacker_.Repack(lease, format);
  if (!copy.ok()) return copy.status();
  context().CountCopy(kInName, VisibleBytes(format_.fourcc, format_.width, format_.height),
                      RepackReason(format_.fourcc, format).c_str());
  return copy;
}

sdk::Status WriteNode::Encode(sdk::Frame lease) {
  const sluice_frame_info info = lease.Info();
  if (encoder_ == nullptr) {
    if (sdk::Status status = OpenStream(info); !status.ok()) return status;
  }
  if (choice_.pictures() && !pattern_.many() && frames_ > 0) {
    return sdk::Status::Error(SLUICE_E_INVALID_ARGUMENT,
                              "%s: more than one frame came for one picture file; use an index "
                              "pattern such as %%05d in the name, or core.select before it",
                              path_.c_str());
  }
  sdk::Expected<Timing> timing = TimeOf(info);
  if (!timing.ok()) return timing.status();
  auto wrapped = FrameFor(std::move(lease));
  if (!wrapped.ok()) return wrapped.status();
  AVFrame& frame = **wrapped;
  frame.pts = timing->pts;
  frame.sample_aspect_ratio = encoder_->sample_aspect_ratio;
  frame.color_primaries = encoder_->color_primaries;
  frame.color_trc = encoder_->color_trc;
  frame.colorspace = encoder_->colorspace;
  frame.color_range = encoder_->color_range;
  frame.chroma_location = encoder_->chroma_sample_location;
#if LIBAVUTIL_VERSION_INT >= AV_VERSION_INT(58, 7, 100)
  if (info.field_order != SLUICE_FIELD_PROGRESSIVE) frame.flags |= AV_FRAME_FLAG_INTERLACED;
  if (info.field_order == SLUICE_FIELD_TOP_FIRST) frame.flags |= AV_FRAME_FLAG_TOP_FIELD_FIRST;
#else
  frame.interlaced_frame = info.field_order != SLUICE_FIELD_PROGRESSIVE ? 1 : 0;
  frame.top_field_first = info.field_order == SLUICE_FIELD_TOP_FIRST ? 1 : 0;
#endif
  durations_[timing->pts] = timing->duration;
  ++frames_;
  const LastLogLine log;
  int result = avcodec_send_frame(encoder_.get(), &frame);
  while (result == AVERROR(EAGAIN)) {
    if (sdk::Status status = TakePackets(); !status.ok()) return status;
    result = avcodec_send_frame(encoder_.get(), &frame);
  }
  if (result < 0) {
    return sdk::Status::Error(SLUICE_E_IO, "%s: frame %llu cannot be encoded: %s", path_.c_str(),
                              static_cast<unsigned long long>(frames_ - 1), log.Or(result).c_str());
  }
  // Beside the encoder's own references, none: the lease goes home when it has read the pixels.
  wrapped->reset();
  return TakePackets();
}

sdk::Status WriteNode::TakePackets() {
  while (true) {
    const LastLogLine log;
    const int result = avcodec_receive_packet(encoder_.get(), packet_.get());
    if (result == AVERROR(EAGAIN) || result == AVERROR_EOF) return {};
    if (result < 0) {
      return sdk::Status::Error(SLUICE_E_IO, "%s: the encoder %s failed: %s", path_.c_str(),
                                choice_.codec->name, log.Or(result).c_str());
    }
    const auto duration = durations_.find(packet_->pts);
    if (duration != durations_.end()) {
      packet_->duration = duration->second;
      durations_.erase(duration);
    }
    sdk::Status status = choice_.pictures() ? WritePicture() : WritePacket();
    av_packet_unref(packet_.get());
    if (!status.ok()) return status;
  }
}

sdk::Status WriteNode::WritePacket() {
  packet_->stream_index = stream_->index;
  av_packet_rescale_ts(packet_.get(), encoder_->time_base, stream_->time_base);
  const int result = av_write_frame(muxer_.get(), packet_.get());
  return result < 0 ? MuxError(result) : sdk::Status();
}

sdk::Status WriteNode::WritePicture() {
  auto part = PartFile::Create(pattern_.At(first_index_ + pictures_));
  if (!part.ok()) return part.status();
  if (sdk::Status status = (*part)->Write(packet_->data, static_cast<size_t>(packet_->size));
      !status.ok()) {
    return status;
  }
  ++pictures_;
  if (!pattern_.many()) {
    // Whether it stays the only one shows at the end.
    part_ = *std::move(part);
    return {};
  }
  // A picture of many is not waited for on the disk.
  return (*part)->Commit(false, overwrite_);
}

sdk::Status WriteNode::MuxError(int result) const {
  if (part_ != nullptr) {
    if (sdk::Status status = part_->error(); !status.ok()) return status;
  }
  return sdk::Status::Error(ErrorCode(result), "%s: %s", path_.c_str(), ErrorText(result).c_str());
}

// --- The end -------------------------------------------------------------------------------------

sdk::Status WriteNode::FlushEncoder() {
  if (encoder_ == nullptr) return {};
  const int result = avcodec_send_frame(encoder_.get(), nullptr);
  if (result < 0 && result != AVERROR_EOF) return MuxError(result);
  return TakePackets();
}

sdk::Status WriteNode::Finish() {
  if (frames_ == 0) {
    return sdk::Status::Error(SLUICE_E_IO, "%s: no frame came, so there is nothing to write",
                              path_.c_str());
  }
  if (sdk::Status status = FlushEncoder(); !status.ok()) return status;
  if (!choice_.pictures()) {
    const int result = av_write_trailer(muxer_.get());
    if (result < 0) return MuxError(result);
    muxer_.reset();
  }
  if (part_ == nullptr) return {};
  sdk::Status status = part_->Commit(true, overwrite_);
  part_.reset();
  return status;
}

sdk::Expected<sdk::Process> WriteNode::Process(sdk::Invocation& invocation) {
  if (sdk::Frame input = invocation.TakeInput(0)) {
    if (sdk::Status status = Encode(std::move(input)); !status.ok()) return status;
  }
  if (!invocation.draining()) return sdk::Process::kDone;
  if (sdk::Status status = Finish(); !status.ok()) return status;
  return sdk::Process::kEnd;
}

void WriteNode::Discard() {
  // The encoder's pictures are leases.
  encoder_.reset();
  muxer_.reset();
  stream_ = nullptr;
  part_.reset();
}

void WriteNode::Stop(int64_t /*deadline_ns*/, bool /*completed*/) {
  // What was whole has its name since Finish(); what is left is a part.
  Discard();
  claim_ = DestinationClaim();
  durations_.clear();
  last_pts_ = AV_NOPTS_VALUE;
  next_pts_ = 0;
  frames_ = pictures_ = 0;
  rounding_noted_ = false;
}

}  // namespace sluice::ffmpeg
