#include "nodes/ffmpeg/demuxer.h"

#include <cstring>
#include <ctime>
#include <fstream>
#include <optional>

namespace sluice::ffmpeg {
namespace {

const char* TypeName(AVMediaType type) {
  const char* name = av_get_media_type_string(type);
  return name == nullptr ? "unknown" : name;
}

// Only this container's index is complete when the file was opened; others fill theirs as they
// read, list key frames only, or state a count that is wrong.
int64_t CountIndexed(const AVFormatContext& format, AVStream* stream) {
  if (std::strstr(format.iformat->name, "mp4") == nullptr) return 0;
  int64_t count = 0;
  const int entries = avformat_index_get_entries_count(stream);
  for (int i = 0; i < entries; ++i) {
    const AVIndexEntry* entry = avformat_index_get_entry(stream, i);
    if (entry != nullptr && (entry->flags & AVINDEX_DISCARD_FRAME) == 0) ++count;
  }
  return count;
}

/// Reads the elements of an EBML file from memory (RFC 8794).
class EbmlReader {
 public:
  EbmlReader(const uint8_t* data, size_t size) : data_(data), size_(size) {}
  size_t position() const { return position_; }
  void Skip(uint64_t bytes) { position_ = bytes > size_ - position_ ? size_ : position_ + bytes; }
  /// With its length marker, as IDs are written.
  std::optional<uint64_t> Id() { return Number(false); }
  /// Nothing where the size is unknown (all ones), too.
  std::optional<uint64_t> Size() { return Number(true); }

 private:
  std::optional<uint64_t> Number(bool is_size) {
    if (position_ >= size_ || data_[position_] == 0) return std::nullopt;
    const int length = __builtin_clz(data_[position_]) - 24 + 1;
    if (size_ - position_ < static_cast<size_t>(length)) return std::nullopt;
    uint64_t value = data_[position_++];
    if (is_size) value &= 0xffu >> length;
    for (int i = 1; i < length; ++i) value = value << 8 | data_[position_++];
    const uint64_t unknown = (uint64_t{1} << (7 * length)) - 1;
    if (is_size && value == unknown) return std::nullopt;
    return value;
  }

  const uint8_t* data_;
  const size_t size_;
  size_t position_ = 0;
};

// The demuxer takes the end of the data for the end of the film; the Segment says how long it is.
int64_t MissingMatroskaBytes(const std::string& path) {
  constexpr uint64_t kHeader = 0x1a45dfa3;
  constexpr uint64_t kSegment = 0x18538067;
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  if (!file) return 0;
  const auto present = static_cast<uint64_t>(file.tellg());
  file.seekg(0);
  uint8_t begin[4096];
  file.read(reinterpret_cast<char*>(begin), sizeof(begin));
  EbmlReader reader(begin, static_cast<size_t>(file.gcount()));
  if (reader.Id() != kHeader) return 0;
  const auto header = reader.Size();
  if (!header) return 0;
  reader.Skip(*header);
  if (reader.Id() != kSegment) return 0;
  const auto segment = reader.Size();
  if (!segment || *segment > INT64_MAX / 2) return 0;
  const uint64_t wanted = reader.position() + *segment;
  return wanted > present ? static_cast<int64_t>(wanted - present) : 0;
}

const int32_t* DisplayMatrix(const AVStream& stream) {
#if LIBAVFORMAT_VERSION_INT >= AV_VERSION_INT(60, 16, 100)
  const AVCodecParameters& parameters = *stream.codecpar;
  const AVPacketSideData* data = av_packet_side_data_get(
      parameters.coded_side_data, parameters.nb_coded_side_data, AV_PKT_DATA_DISPLAYMATRIX);
  if (data == nullptr || data->size < 9 * sizeof(int32_t)) return nullptr;
  return reinterpret_cast<const int32_t*>(data->data);
#else
  size_t size = 0;
  const uint8_t* data = av_stream_get_side_data(&stream, AV_PKT_DATA_DISPLAYMATRIX, &size);
  if (data == nullptr || size < 9 * sizeof(int32_t)) return nullptr;
  return reinterpret_cast<const int32_t*>(data);
#endif
}

}  // namespace

int64_t NowNs() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

int Demuxer::IsLate(void* self) {
  const auto* demuxer = static_cast<const Demuxer*>(self);
  return demuxer->deadline_ns_ != 0 && NowNs() > demuxer->deadline_ns_ ? 1 : 0;
}

void Demuxer::Arm() { deadline_ns_ = timeout_ns_ == 0 ? 0 : NowNs() + timeout_ns_; }

sdk::Expected<std::unique_ptr<Demuxer>> Demuxer::Open(const Options& options) {
  std::unique_ptr<Demuxer> demuxer(new Demuxer);
  demuxer->timeout_ns_ = options.timeout_ns;
  const char* location = options.location.c_str();
  AVFormatContext* context = avformat_alloc_context();
  if (context == nullptr) return sdk::Status::Error(SLUICE_E_RESOURCE_EXHAUSTED, "out of memory");
  context->interrupt_callback = {&Demuxer::IsLate, demuxer.get()};
  demuxer->Arm();
  if (FifoInput::IsFifo(options.location)) {
    auto fifo = FifoInput::Open(options.location, context->interrupt_callback);
    if (!fifo.ok()) {
      avformat_free_context(context);
      return fifo.status();
    }
    demuxer->fifo_ = *std::move(fifo);
    context->pb = demuxer->fifo_->io();
  }
  const LastLogLine log;
  // Frees the context when it fails.
  int result = avformat_open_input(&context, location, nullptr, nullptr);
  if (result < 0) {
    return sdk::Status::Error(ErrorCode(result), "%s: %s", location,
                              result == AVERROR_INVALIDDATA
                                  ? "not a media file that can be read (or cut off in its header)"
                                  : ErrorText(result).c_str());
  }
  demuxer->format_.reset(context);
  demuxer->Arm();
  result = avformat_find_stream_info(context, nullptr);
  if (result < 0) {
    return sdk::Status::Error(ErrorCode(result), "%s: %s", location, log.Or(result).c_str());
  }
  int index = -1;
  if (options.stream >= 0) {
    if (options.stream >= context->nb_streams ||
        context->streams[options.stream]->codecpar->codec_type != AVMEDIA_TYPE_VIDEO) {
      return sdk::Status::Error(SLUICE_E_NOT_FOUND, "%s: stream %lld is not a video stream",
                                location, static_cast<long long>(options.stream));
    }
    index = static_cast<int>(options.stream);
  } else {
    index = av_find_best_stream(context, AVMEDIA_TYPE_VIDEO, -1, -1, nullptr, 0);
    if (index < 0) {
      std::string others;
      for (unsigned i = 0; i < context->nb_streams; ++i) {
        const AVCodecParameters& parameters = *context->streams[i]->codecpar;
        if (!others.empty()) others += ", ";
        others += sdk::Format("%s (%s)", TypeName(parameters.codec_type),
                              avcodec_get_name(parameters.codec_id));
      }
      return sdk::Status::Error(SLUICE_E_NOT_FOUND, "%s: no video stream (it has: %s)", location,
                                others.empty() ? "nothing" : others.c_str());
    }
  }
  for (unsigned i = 0; i < context->nb_streams; ++i) {
    if (static_cast<int>(i) != index) context->streams[i]->discard = AVDISCARD_ALL;
  }
  demuxer->stream_ = context->streams[index];
  demuxer->expected_frames_ = CountIndexed(*context, demuxer->stream_);
  if (demuxer->fifo_ == nullptr && std::strstr(context->iformat->name, "matroska") != nullptr) {
    demuxer->missing_bytes_ = MissingMatroskaBytes(options.location);
  }
  return demuxer;
}

int Demuxer::StarvedFd() const { return fifo_ != nullptr && fifo_->IsStarved() ? fifo_->fd() : -1; }

std::vector<std::string> Demuxer::NotCarried() const {
  std::vector<std::string> notes;
  for (unsigned i = 0; i < format_->nb_streams; ++i) {
    const AVStream& other = *format_->streams[i];
    if (&other == stream_) continue;
    notes.push_back(sdk::Format("%s stream %u (%s) is not carried",
                                TypeName(other.codecpar->codec_type), i,
                                avcodec_get_name(other.codecpar->codec_id)));
  }
  return notes;
}

Rotation Demuxer::rotation() const { return ReadDisplayMatrix(DisplayMatrix(*stream_)); }

int Demuxer::Read(AVPacket* packet) {
  while (true) {
    Arm();
    const int result = av_read_frame(format_.get(), packet);
    if (result < 0) return result;
    if (packet->stream_index == stream_->index) return 0;
    av_packet_unref(packet);
  }
}

int Demuxer::Seek(int64_t ticks) {
  Arm();
  return av_seek_frame(format_.get(), stream_->index, ticks, AVSEEK_FLAG_BACKWARD);
}

int64_t Demuxer::start_ticks() const {
  return stream_->start_time == AV_NOPTS_VALUE ? 0 : stream_->start_time;
}

}  // namespace sluice::ffmpeg
