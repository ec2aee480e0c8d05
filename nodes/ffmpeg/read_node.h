#ifndef NODES_FFMPEG_READ_NODE_H_
#define NODES_FFMPEG_READ_NODE_H_

#include <deque>
#include <memory>
#include <string>

#include <sluice/node.hpp>
#include <sluice/pace.hpp>

#include "nodes/ffmpeg/annex_b.h"
#include "nodes/ffmpeg/decoder.h"
#include "nodes/ffmpeg/demuxer.h"
#include "nodes/ffmpeg/picture_output.h"

namespace sluice::ffmpeg {

/// ffmpeg.read: decodes one video stream into the buffers of its output, or hands out its packets.
class ReadNode : public sdk::Node<ReadNode> {
 public:
  static constexpr const char* kType = "ffmpeg.read";

  static sdk::Expected<std::unique_ptr<ReadNode>> Create(const sdk::NodeContext& context,
                                                         const sdk::Params& params);
  ReadNode(const sdk::NodeContext& context, const sdk::Params& params);

  sdk::Status Probe(sdk::OfferSink& sink);
  sdk::Status Configure(const sdk::Configuration& configuration);
  sdk::Status Start();
  sdk::Expected<sdk::Process> Process(sdk::Invocation& invocation);
  void Stop(int64_t deadline_ns, bool completed);
  sdk::Status Reconfigure(const sdk::Configuration& configuration);

 private:
  enum class Pace { kGraph, kRealtime, kFree };

  /// What was found damaged, for the verdict at the end.
  struct Damage {
    uint64_t count = 0;
    std::string first;
    void Add(const std::string& what) {
      if (count++ == 0) first = what;
    }
  };

  sdk::Status Open();
  sdk::Status EnsureOpen();
  /// Decodes the first frame with a decoder of its own; its packets are kept for the real one.
  sdk::Status DecodeFirst();
  sdk::Status Offer(sdk::OfferSink& sink);
  void NoteFacts();
  /// Why each frame will be copied; empty: it will not be.
  std::string KnownCopy() const;

  /// Fills pending_, or leaves it empty at the end of the stream.
  sdk::Status DecodeNext();
  void Feed();
  /// Whether a read would wait for somebody who writes.
  bool IsStarved();
  sdk::Expected<sdk::Process> AwaitInput();
  void CloseInput();
  void CountPacket();
  int ReadPacket();
  sdk::Status Rewind();
  bool BeforeStart(const AVFrame& frame) const;
  sdk::Status SeekToStart();
  sdk::Expected<sdk::Process> Finish();
  sdk::Status Verdict() const;

  bool Due(int64_t pts_ns);
  void Describe(const AVFrame& frame, sluice_frame_info* info);
  /// What pictures and packets say alike. `frame`: null for a packet.
  void DescribeTime(int64_t ticks, int64_t duration, AVFrame* frame, sluice_frame_info* info);
  int64_t Ticks(const AVFrame& frame) const;
  sdk::Status EmitPending(sdk::Frame out, const sluice_frame_info& info);

  /// Without `decode`: packets instead of pictures.
  sdk::Expected<sdk::Process> ProcessPacket();
  /// Fills packet_, or leaves pending_ false at the end of the stream.
  sdk::Status ReadPending();
  sdk::Expected<sdk::Frame> PacketToPool();
  /// Whether the decoder writes into the output's buffers.
  bool IsLent() const { return picture_.exact && out_fourcc_ == picture_.fourcc; }

  const Demuxer::Options input_;
  const int threads_;
  const int64_t start_ns_;
  const int64_t loop_;
  const uint64_t frame_limit_;
  const Pace pace_;
  const bool decode_;

  std::unique_ptr<Demuxer> demuxer_;
  // Before the decoder in order of construction: the decoder's pictures are its leases.
  PictureOutput output_;
  CodecPtr decoder_;
  AnnexB annex_b_;
  PacketPtr packet_;
  FramePtr frame_;           // the pending picture
  bool pending_ = false;     // frame_, or packet_ where nothing is decoded
  Picture picture_;          // of the epoch, as probed
  uint32_t out_fourcc_ = 0;  // what the plan took of the offers
  DecoderLayout layout_;
  uint32_t reserve_ = 0;
  std::deque<PacketPtr> kept_;  // read by the probe, for the decoder
  bool noted_ = false;

  bool realtime_ = false;
  bool input_ended_ = false;
  int starved_fd_ = -1;  // of a pipe that has nothing to read; -1: it was not asked, or has
  int watched_fd_ = -1;
  int64_t starved_since_ns_ = 0;
  bool draining_ = false;
  bool renegotiating_ = false;
  bool seeking_ = false;  // frames before start_ticks_ are dropped
  bool first_after_seek_ = false;
  int64_t start_ticks_ = 0;
  int64_t packets_ = 0;                  // of this pass
  int64_t passes_ = 0;                   // finished
  int64_t loop_offset_ = 0;              // ticks added to this pass's pts
  int64_t pass_begin_ = AV_NOPTS_VALUE;  // first pts of a pass, ticks
  int64_t pass_end_ = 0;                 // last pts + duration
  bool discontinuity_ = false;
  uint64_t delivered_ = 0;
  uint64_t delivered_in_pass_ = 0;
  sdk::Pace picture_pace_;
  Damage damage_;
};

}  // namespace sluice::ffmpeg

#endif  // NODES_FFMPEG_READ_NODE_H_
