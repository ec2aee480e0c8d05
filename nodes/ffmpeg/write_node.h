#ifndef NODES_FFMPEG_WRITE_NODE_H_
#define NODES_FFMPEG_WRITE_NODE_H_

#include <map>
#include <memory>
#include <string>

#include <sluice/node.hpp>

#include "nodes/ffmpeg/encoder.h"
#include "nodes/ffmpeg/part_file.h"
#include "nodes/ffmpeg/repacker.h"

namespace sluice::ffmpeg {

/// ffmpeg.write: encodes its input from the leases themselves and writes a file, or picture files.
class WriteNode : public sdk::Node<WriteNode> {
 public:
  static constexpr const char* kType = "ffmpeg.write";

  static sdk::Expected<std::unique_ptr<WriteNode>> Create(const sdk::NodeContext& context,
                                                          const sdk::Params& params);
  WriteNode(const sdk::NodeContext& context, const sdk::Params& params, EncoderChoice choice,
            IndexPattern pattern);

  sdk::Status Probe(sdk::OfferSink& sink);
  sdk::Status Configure(const sdk::Configuration& configuration);
  sdk::Status Start();
  sdk::Expected<sdk::Process> Process(sdk::Invocation& invocation);
  sdk::Status Drain() { return {}; }
  void Stop(int64_t deadline_ns, bool completed);
  sdk::Status Reconfigure(const sdk::Configuration& configuration);

 private:
  struct Timing {
    int64_t pts = 0;
    int64_t duration = 0;
  };

  sdk::Status CheckEncoder();
  sdk::Status CheckDestination() const;
  /// With what the first frame says.
  sdk::Status OpenStream(const sluice_frame_info& info);
  sdk::Status WriteHeader(const sluice_frame_info& info, Dictionary* options);
  sdk::Expected<Timing> TimeOf(const sluice_frame_info& info);
  sdk::Status Encode(sdk::Frame lease);
  /// The lease's own pixels where the encoder takes them as they lie, else a counted copy.
  sdk::Expected<FramePtr> FrameFor(sdk::Frame lease);
  sdk::Status TakePackets();
  sdk::Status WritePacket();
  sdk::Status WritePicture();
  sdk::Status FlushEncoder();
  sdk::Status Finish();
  sdk::Status MuxError(int result) const;
  void Discard();

  const std::string path_;
  const EncoderChoice choice_;
  const IndexPattern pattern_;
  const uint64_t first_index_;
  const std::string pixels_;  // "NV12"; empty: whatever the encoder takes
  const bool overwrite_param_;

  bool overwrite_ = false;
  sluice_format format_{};
  DestinationClaim claim_;
  // Before the muxer in order of construction: the muxer writes to it until its end.
  std::unique_ptr<PartFile> part_;
  OutputPtr muxer_;
  AVStream* stream_ = nullptr;
  CodecPtr encoder_;
  Repacker repacker_;
  PacketPtr packet_;
  AVRational time_base_{1, 90000};
  std::map<int64_t, int64_t> durations_;  // by pts, of the frames inside the encoder
  int64_t last_pts_ = AV_NOPTS_VALUE;
  int64_t next_pts_ = 0;
  uint64_t frames_ = 0;
  uint64_t pictures_ = 0;
  bool rounding_noted_ = false;
};

}  // namespace sluice::ffmpeg

#endif  // NODES_FFMPEG_WRITE_NODE_H_
