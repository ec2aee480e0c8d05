#ifndef NODES_FFMPEG_DECODE_NODE_H_
#define NODES_FFMPEG_DECODE_NODE_H_

#include <deque>
#include <map>
#include <string>

#include <sluice/node.hpp>

#include "nodes/ffmpeg/decoder.h"
#include "nodes/ffmpeg/packet_frames.h"
#include "nodes/ffmpeg/picture_output.h"

namespace sluice::ffmpeg {

/// ffmpeg.decode: makes pictures of compressed frames, as a camera or ffmpeg.read gives them.
class DecodeNode : public sdk::Node<DecodeNode> {
 public:
  static constexpr const char* kType = "ffmpeg.decode";

  DecodeNode(const sdk::NodeContext& context, const sdk::Params& params);

  sdk::Status Probe(sdk::OfferSink& sink);
  sdk::Status Configure(const sdk::Configuration& configuration);
  sdk::Status Start();
  sdk::Expected<sdk::Process> Process(sdk::Invocation& invocation);
  sdk::Status Drain() { return {}; }
  sdk::Status Flush();
  void Stop(int64_t deadline_ns, bool completed);
  sdk::Status Reconfigure(const sdk::Configuration& configuration);

 private:
  sdk::Status ReadFormats(const sdk::Configuration& configuration);
  sdk::Status OfferInput(sdk::OfferSink& sink) const;
  sdk::Status OfferOutput(sdk::OfferSink& sink) const;

  /// Fills frame_ from the decoder and the waiting inputs; pending_ stays false when there is none.
  sdk::Status DecodeNext(bool draining);
  sdk::Status FeedNext();
  sdk::Status Send(const AVPacket& packet);
  /// Counts a picture that cannot be had; fails where `damage: fail` says so.
  sdk::Status Lose(const std::string& what);
  sdk::Status Hopeless() const;
  /// Inputs that no picture can come of any more.
  sdk::Status GiveUpBefore(int64_t index);

  /// Looks what the decoder found in its first packet, so that no picture is made before the
  /// output is what it has to be.
  sdk::Status LookAhead(const AVPacket& packet);
  sdk::Status AskFor(const Picture& picture);

  Picture Describe(const AVFrame& frame) const;
  /// Whether the output's format and reserve are what `picture` wants.
  bool Suits(const Picture& picture) const;
  /// Emits the pending picture, asks for another format, or leaves it pending.
  sdk::Status Deliver();
  sluice_frame_info InfoFor(const AVFrame& frame, const Picture& picture);
  uint32_t ReserveFor(const AVCodecContext& codec) const;

  const int threads_;
  const bool fail_on_damage_;

  // Before the decoder in order of construction: the decoder's pictures and packets are its leases.
  PictureOutput output_;
  PacketFrames packets_;
  CodecPtr decoder_;
  ParametersPtr stream_;
  FramePtr frame_;  // the pending picture
  bool pending_ = false;
  sluice_format in_{};
  sluice_format out_{};

  Picture picture_;       // what the stream was last seen to be
  bool seen_ = false;     // picture_ says something
  uint32_t reserve_ = 0;  // of the epoch
  bool renegotiating_ = false;
  PacketPtr again_;     // decoded only to be looked at
  bool ended_ = false;  // the decoder was told

  std::deque<sdk::Frame> waiting_;              // not decoded yet
  std::map<int64_t, sluice_frame_info> infos_;  // of inputs whose picture has not come, by index
  sluice_frame_info last_{};
  int64_t fed_ = 0;
  uint64_t delivered_ = 0;
  bool discontinuity_ = false;  // of an input that was lost
  std::string last_damage_;
};

}  // namespace sluice::ffmpeg

#endif  // NODES_FFMPEG_DECODE_NODE_H_
