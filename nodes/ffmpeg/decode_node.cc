#include "nodes/ffmpeg/decode_node.h"

#include <algorithm>
#include <utility>

#include "nodes/ffmpeg/annex_b.h"
#include "nodes/ffmpeg/demuxer.h"

namespace sluice::ffmpeg {
namespace {

constexpr uint32_t kOut = 0;
constexpr const char* kInName = "in";
constexpr const char* kOutName = "out";
/// What decoders may want of memory before they are known: whole macroblocks of interlaced
/// pictures, the strides of the widest SIMD, and two lines of the last plane.
constexpr uint32_t kCodedMultiple = 32;
constexpr uint32_t kStrideMultiple = 64;
constexpr uint32_t kTailBytes = 2 * 8192 + 4096;
/// Pictures that a decoder of inter-coded streams may keep back.
constexpr int64_t kReorderWindow = 32;
/// So many inputs without one picture are no stream.
constexpr int64_t kHopeless = 600;
/// Pictures of one call: two, so that inputs which had to wait become fewer.
constexpr int kPicturesPerCall = 2;
/// How long to wait before asking for a buffer again that should have been there.
constexpr int64_t kRetryNs = 1'000'000;
/// A driver may say less than the codec's whole macroblocks.
constexpr uint32_t kMacroblock = 16;

bool IsIntraOnly(uint32_t fourcc) { return fourcc == SLUICE_FORMAT_MJPG; }

/// A term that is not given suits every picture. The siting is passed on as it was given.
bool SameCoding(const sluice_color& picture, const sluice_color& wanted) {
  return (wanted.matrix == 0 || picture.matrix == wanted.matrix) &&
         (wanted.range == 0 || picture.range == wanted.range);
}

}  // namespace

DecodeNode::DecodeNode(const sdk::NodeContext& context, const sdk::Params& params)
    : Node(context),
      threads_(static_cast<int>(params.Int("threads", 1))),
      fail_on_damage_(params.String("damage") == "fail"),
      output_(context, kOut, kOutName),
      packets_(context, kInName),
      stream_(avcodec_parameters_alloc()),
      frame_(av_frame_alloc()) {}

// --- Formats -------------------------------------------------------------------------------------

uint32_t DecodeNode::ReserveFor(const AVCodecContext& codec) const {
  return DecoderReserve(codec, codec.has_b_frames, threads_) + kPicturesPerCall - 1;
}

sdk::Status DecodeNode::OfferInput(sdk::OfferSink& sink) const {
  const uint32_t views = SLUICE_VIEW_DMABUF | SLUICE_VIEW_SHM | SLUICE_VIEW_CPU;
  const auto hold = static_cast<uint32_t>(DecoderThreads(threads_)) + 1;
  // No tail is asked for: a driver that allocates could not give one, and few pictures fill theirs.
  // Where nothing is known of a camera's JPEGs, they are what JPEGs are.
  sluice_color jpeg{};
  jpeg.primaries = SLUICE_PRIMARIES_BT709;
  jpeg.transfer = SLUICE_TRANSFER_SRGB;
  jpeg.matrix = SLUICE_MATRIX_BT601;
  jpeg.range = SLUICE_RANGE_FULL;
  jpeg.siting = SLUICE_SITING_CENTER;
  sdk::OfferBuilder plain;
  plain.Format(SLUICE_FORMAT_MJPG)
      .Views(views)
      .Sync(SLUICE_SYNC_CPU_DONE)
      .Color(jpeg)
      .Hold(0, hold);
  if (sdk::Status status = sink.Add(kInName, plain); !status.ok()) return status;
  sdk::OfferBuilder any;
  any.Formats({SLUICE_FORMAT_MJPG, SLUICE_FORMAT_H264, SLUICE_FORMAT_HEVC})
      .Views(views)
      .Sync(SLUICE_SYNC_CPU_DONE)
      .Hold(0, hold);
  return sink.Add(kInName, any);
}

sdk::Status DecodeNode::OfferOutput(sdk::OfferSink& sink) const {
  const auto add = [&](uint32_t fourcc, const char* copies) {
    sdk::OfferBuilder offer;
    offer.Format(fourcc)
        .Views(SLUICE_VIEW_CPU | SLUICE_VIEW_SHM)
        .Sync(SLUICE_SYNC_CPU_DONE)
        .Align(kStrideMultiple, kStrideMultiple, 1, 1)
        .CodedMultiples(kCodedMultiple, kCodedMultiple)
        .TailBytes(kTailBytes)
        .DynamicReserve(reserve_)
        .Copies(copies);
    return sink.Add(kOutName, offer);
  };
  if (!seen_) {
    if (sdk::Status status = add(SLUICE_FORMAT_YU12, nullptr); !status.ok()) return status;
    return add(SLUICE_FORMAT_YUYV, nullptr);
  }
  const std::string copies =
      PictureOutput::KnownReason(picture_, *avcodec_find_decoder(stream_->codec_id));
  sdk::Status status = add(picture_.fourcc, copies.empty() ? nullptr : copies.c_str());
  // Who cannot follow gets what it had.
  if (!status.ok() || out_.fourcc == picture_.fourcc) return status;
  return add(out_.fourcc, "conversion to the format that was agreed on before the first picture");
}

sdk::Status DecodeNode::Probe(sdk::OfferSink& sink) {
  // Before anything is known, a JPEG decoder's: three references that it does not have.
  if (reserve_ == 0) {
    reserve_ = static_cast<uint32_t>(3 + DecoderThreads(threads_) + 1 + 2 + kPicturesPerCall - 1);
  }
  if (seen_ && decoder_ != nullptr) reserve_ = std::max(reserve_, ReserveFor(*decoder_));
  if (sdk::Status status = OfferInput(sink); !status.ok()) return status;
  return OfferOutput(sink);
}

sdk::Status DecodeNode::ReadFormats(const sdk::Configuration& configuration) {
  auto in = configuration.Port(kInName);
  if (!in.ok()) return in.status();
  auto out = configuration.Port(kOutName);
  if (!out.ok()) return out.status();
  if (CodecOf((*in)->format.fourcc) == AV_CODEC_ID_NONE) {
    return sdk::Status::Error(SLUICE_E_INVALID_ARGUMENT, "%s is not compressed",
                              FourccName((*in)->format.fourcc).c_str());
  }
  in_ = (*in)->format;
  out_ = (*out)->format;
  return {};
}

sdk::Status DecodeNode::Configure(const sdk::Configuration& configuration) {
  return ReadFormats(configuration);
}

sdk::Status DecodeNode::Reconfigure(const sdk::Configuration& configuration) {
  const sluice_format before = in_;
  if (sdk::Status status = ReadFormats(configuration); !status.ok()) return status;
  // The decoder goes on; its next buffers come from the new pool.
  output_.pool().Retire();
  renegotiating_ = false;
  if (before.fourcc != in_.fourcc || before.width != in_.width || before.height != in_.height) {
    seen_ = false;
    again_.reset();
    return Start();
  }
  output_.pool().SetLending(!seen_ || (picture_.exact && picture_.fourcc == out_.fourcc));
  return {};
}

sdk::Status DecodeNode::Start() {
  AVCodecParameters& stream = *stream_;
  stream.codec_type = AVMEDIA_TYPE_VIDEO;
  stream.codec_id = CodecOf(in_.fourcc);
  stream.width = static_cast<int>(in_.width);
  stream.height = static_cast<int>(in_.height);
  const ColorTags tags = ToTags(in_.color, in_.height);
  stream.color_primaries = tags.primaries;
  stream.color_trc = tags.transfer;
  stream.color_space = tags.matrix;
  stream.color_range = tags.range;
  stream.chroma_location = tags.siting;
  output_.pool().SetLending(true);
  // A packet's pts is its number: what it was is in infos_.
  auto opened = OpenDecoder(stream, {1, 1}, threads_, &output_.pool());
  if (!opened.ok()) return opened.status();
  decoder_ = *std::move(opened);
  ended_ = false;
  return {};
}

// --- Decoding ------------------------------------------------------------------------------------

sdk::Status DecodeNode::Lose(const std::string& what) {
  last_damage_ = what;
  context().CountDrop(kOutName, 1, "an input did not decode");
  if (!fail_on_damage_) return {};
  return sdk::Status::Error(SLUICE_E_IO, "input %lld: %s", static_cast<long long>(fed_ - 1),
                            what.c_str());
}

sdk::Status DecodeNode::Hopeless() const {
  return sdk::Status::Error(SLUICE_E_IO, "none of %lld inputs became a picture: %s",
                            static_cast<long long>(fed_),
                            last_damage_.empty() ? "no key frame" : last_damage_.c_str());
}

sdk::Status DecodeNode::GiveUpBefore(int64_t index) {
  while (!infos_.empty() && infos_.begin()->first < index) {
    discontinuity_ |= (infos_.begin()->second.flags & SLUICE_FRAME_DISCONTINUITY) != 0;
    infos_.erase(infos_.begin());
    // Of the others an input may be half a picture, or stand before the first key frame.
    if (!IsIntraOnly(in_.fourcc)) continue;
    const std::string what = last_damage_.empty() ? "no picture came of it" : last_damage_;
    if (sdk::Status status = Lose(what); !status.ok()) return status;
  }
  return {};
}

sdk::Status DecodeNode::FeedNext() {
  sdk::Frame frame = std::move(waiting_.front());
  waiting_.pop_front();
  sluice_frame_info info = frame.Info();
  const int64_t index = fed_++;
  auto wrapped = packets_.Wrap(std::move(frame));
  if (!wrapped.ok()) {
    discontinuity_ |= (info.flags & SLUICE_FRAME_DISCONTINUITY) != 0;
    if (wrapped.status().code() != SLUICE_E_INVALID_ARGUMENT) return wrapped.status();
    return Lose(wrapped.status().message());
  }
  const PacketPtr packet = *std::move(wrapped);
  if (IsIntraOnly(in_.fourcc) && !HasEndOfImage(packet->data, static_cast<size_t>(packet->size))) {
    info.flags |= SLUICE_FRAME_CORRUPT;
  }
  infos_[index] = info;
  packet->pts = index;
  if (sdk::Status status = Send(*packet); !status.ok()) return status;
  return seen_ ? sdk::Status() : LookAhead(*packet);
}

sdk::Status DecodeNode::Send(const AVPacket& packet) {
  const int sent = avcodec_send_packet(decoder_.get(), &packet);
  if (sent >= 0) return {};
  last_damage_ = ErrorText(sent);
  // Of the intra-coded ones those are counted that no picture came of.
  return IsIntraOnly(in_.fourcc) ? sdk::Status() : Lose(last_damage_);
}

sdk::Status DecodeNode::LookAhead(const AVPacket& packet) {
  if (decoder_->pix_fmt == AV_PIX_FMT_NONE) return {};
  const FramePtr expected(av_frame_alloc());
  expected->format = decoder_->pix_fmt;
  expected->width = decoder_->width;
  expected->height = decoder_->height;
  expected->color_primaries = decoder_->color_primaries;
  expected->color_trc = decoder_->color_trc;
  expected->colorspace = decoder_->colorspace;
  expected->color_range = decoder_->color_range;
  const Picture picture = Describe(*expected);
  if (picture.fourcc == 0 || Suits(picture)) return {};
  again_.reset(av_packet_clone(&packet));
  return AskFor(picture);
}

sdk::Status DecodeNode::AskFor(const Picture& picture) {
  picture_ = picture;
  seen_ = true;
  renegotiating_ = true;
  return context().RequestRenegotiate(kOut);
}

sdk::Status DecodeNode::DecodeNext(bool draining) {
  if (again_ != nullptr && !renegotiating_) {
    avcodec_flush_buffers(decoder_.get());
    const PacketPtr packet = std::move(again_);
    if (sdk::Status status = Send(*packet); !status.ok()) return status;
  }
  while (!pending_ && !renegotiating_) {
    const int result = avcodec_receive_frame(decoder_.get(), frame_.get());
    if (result >= 0) {
      pending_ = true;
      return {};
    }
    if (result == AVERROR_EOF) return {};
    if (result != AVERROR(EAGAIN)) {
      last_damage_ = ErrorText(result);
      if (!IsIntraOnly(in_.fourcc)) {
        if (sdk::Status status = Lose(last_damage_); !status.ok()) return status;
      }
      continue;
    }
    const int64_t window = IsIntraOnly(in_.fourcc) ? DecoderThreads(threads_) - 1
                                                   : DecoderThreads(threads_) + kReorderWindow;
    if (sdk::Status status = GiveUpBefore(fed_ - window); !status.ok()) return status;
    if (delivered_ == 0 && fed_ >= kHopeless) return Hopeless();
    if (!waiting_.empty()) {
      if (sdk::Status status = FeedNext(); !status.ok()) return status;
    } else if (draining && !ended_) {
      ended_ = true;
      avcodec_send_packet(decoder_.get(), nullptr);
    } else {
      return {};
    }
  }
  return {};
}

// --- Emitting ------------------------------------------------------------------------------------

Picture DecodeNode::Describe(const AVFrame& frame) const {
  Picture picture = DescribePicture(frame, *stream_);
  if (picture.fourcc != 0 && IsRgb(picture.fourcc) &&
      picture.source.color.matrix != SLUICE_MATRIX_RGB) {
    // 4:4:4: colour is that of the input, so it stays Y'CbCr.
    picture.fourcc = SLUICE_FORMAT_YUYV;
    picture.color = picture.source;
  }
  // A camera that says 1080 lines may send 1088.
  if (picture.width > in_.width && picture.width - in_.width < kMacroblock) {
    picture.width = in_.width;
    picture.exact = false;
  }
  if (picture.height > in_.height && picture.height - in_.height < kMacroblock) {
    picture.height = in_.height;
    picture.exact = false;
  }
  return picture;
}

bool DecodeNode::Suits(const Picture& picture) const {
  if (seen_) return picture.fourcc == picture_.fourcc && picture.exact == picture_.exact;
  return picture.fourcc == out_.fourcc && picture.exact && ReserveFor(*decoder_) <= reserve_;
}

sluice_frame_info DecodeNode::InfoFor(const AVFrame& frame, const Picture& picture) {
  sluice_frame_info info = last_;
  if (const auto found = infos_.find(frame.pts); found != infos_.end()) {
    info = found->second;
    infos_.erase(found);
  } else {
    // A second picture of one input.
    info.pts_ns = info.pts_ticks = SLUICE_PTS_NONE;
    info.flags &= SLUICE_FRAME_MIRRORED;
  }
  last_ = info;
  info.flags &= SLUICE_FRAME_DISCONTINUITY | SLUICE_FRAME_CORRUPT | SLUICE_FRAME_MIRRORED;
  if (std::exchange(discontinuity_, false)) info.flags |= SLUICE_FRAME_DISCONTINUITY;
  if (IsKey(frame)) info.flags |= SLUICE_FRAME_KEY;
  if (IsCorrupt(frame)) info.flags |= SLUICE_FRAME_CORRUPT;
  info.field_order = FieldOrder(frame);
  info.bytes_used = 0;
  info.crop_x = info.crop_y = 0;
  info.crop_width = picture.width;
  info.crop_height = picture.height;
  const AVRational aspect = frame.sample_aspect_ratio;
  if (aspect.num > 0 && aspect.den > 0) {
    info.aspect_num = static_cast<uint32_t>(aspect.num);
    info.aspect_den = static_cast<uint32_t>(aspect.den);
  }
  return info;
}

sdk::Status DecodeNode::Deliver() {
  const Picture picture = Describe(*frame_);
  if (picture.fourcc == 0 || picture.width != in_.width || picture.height != in_.height) {
    const std::string what =
        picture.fourcc == 0 ? std::string("its pixel format cannot be carried")
                            : sdk::Format("a picture of %ux%u where %ux%u was agreed on",
                                          picture.width, picture.height, in_.width, in_.height);
    infos_.erase(frame_->pts);
    av_frame_unref(frame_.get());
    pending_ = false;
    return Lose(what);
  }
  if (!Suits(picture)) return AskFor(picture);
  picture_ = picture;
  seen_ = true;
  const bool coded_alike = SameCoding(picture.color.color, out_.color);
  const bool share = coded_alike && picture.exact && picture.fourcc == out_.fourcc;
  sdk::Expected<sdk::Frame> out = output_.Take(frame_.get(), picture, *decoder_->codec, share);
  if (!out.ok()) return out.status();
  if (!*out) return {};
  *out->InfoMut() = InfoFor(*frame_, picture);
  av_frame_unref(frame_.get());
  pending_ = false;
  ++delivered_;
  return context().Emit(kOut, *std::move(out));
}

sdk::Expected<sdk::Process> DecodeNode::Process(sdk::Invocation& invocation) {
  if (sdk::Frame frame = invocation.TakeInput(0)) waiting_.push_back(std::move(frame));
  const bool draining = invocation.draining();
  output_.pool().Resume();
  for (int i = 0; i < kPicturesPerCall && !renegotiating_; ++i) {
    if (!pending_) {
      if (sdk::Status status = DecodeNext(draining); !status.ok()) return status;
    }
    if (renegotiating_) break;
    if (!pending_) {
      if (!draining) return sdk::Process::kDone;
      if (sdk::Status status = GiveUpBefore(fed_); !status.ok()) return status;
      if (fed_ != 0 && delivered_ == 0) return Hopeless();
      return sdk::Process::kEnd;
    }
    if (sdk::Status status = Deliver(); !status.ok()) return status;
    if (pending_) break;
  }
  if (renegotiating_) return draining ? sdk::Process::kNeedMore : sdk::Process::kDone;
  if (!pending_) {
    // More than one call may make of it: the rest without waiting for another input.
    if (!waiting_.empty() && !draining) context().Wake();
    return sdk::Process::kDone;
  }
  // No buffer was free.
  context().WakeAt(NowNs() + kRetryNs);
  return sdk::Process::kNeedMore;
}

sdk::Status DecodeNode::Flush() {
  waiting_.clear();
  infos_.clear();
  again_.reset();
  av_frame_unref(frame_.get());
  pending_ = false;
  ended_ = false;
  if (decoder_ != nullptr) avcodec_flush_buffers(decoder_.get());
  return {};
}

void DecodeNode::Stop(int64_t /*deadline_ns*/, bool /*completed*/) {
  waiting_.clear();
  infos_.clear();
  av_frame_unref(frame_.get());
  again_.reset();
  // Joins the codec's threads and gives the leases back.
  decoder_.reset();
  pending_ = renegotiating_ = ended_ = discontinuity_ = seen_ = false;
  fed_ = 0;
  delivered_ = 0;
  last_ = {};
  last_damage_.clear();
}

}  // namespace sluice::ffmpeg
