#include <spa/param/buffers.h>

#include <algorithm>
#include <deque>
#include <fstream>

#include "tests/pipewire/peer_format.h"
#include "tests/pipewire/peer_stream.h"

namespace sluice::testing {
namespace {

constexpr uint64_t kAcquirePatienceNs = 2'000'000'000;
constexpr uint64_t kLinear = 0;

uint64_t Hash(uint64_t hash, std::span<const uint8_t> bytes) {
  size_t at = 0;
  for (; at + 8 <= bytes.size(); at += 8) {
    uint64_t word;
    std::memcpy(&word, bytes.data() + at, sizeof(word));
    hash = (hash ^ word) * 0x100000001b3ull;
    hash ^= hash >> 29;
  }
  for (; at < bytes.size(); ++at) hash = (hash ^ bytes[at]) * 0x100000001b3ull;
  return hash;
}

nlohmann::json Percentiles(std::vector<uint64_t> times_ns) {
  std::sort(times_ns.begin(), times_ns.end());
  const auto at = [&](double part) {
    const auto index = static_cast<size_t>(part * static_cast<double>(times_ns.size() - 1));
    return static_cast<double>(times_ns[index]) / 1000.0;
  };
  return {{"p50", at(0.5)}, {"p99", at(0.99)}, {"max", at(1)}};
}

class Sink final : public PeerStream {
 public:
  explicit Sink(const PeerOptions& options) : PeerStream(options, PW_DIRECTION_INPUT) {}

  int Start();

 private:
  // What a look at a frame says.
  struct Look {
    bool readable = false;
    BandCheck band;
    uint64_t hash = 0;  // Without a band.
  };
  struct Held {
    pw_buffer* buffer;
    Look arrived;
    uint64_t due_ns;
    uint64_t release_point = 0;
  };

  Offer MakeOffer(bool modifier) const;
  int DataTypes() const;

  void OnFormat(const spa_pod* pod) override;
  void OnBuffer(Buffer& buffer) override;
  void OnBufferGone(Buffer& buffer) override;
  void OnProcess() override;
  void OnTimer() override { GiveBack(); }
  nlohmann::json Summary() override;
  bool FramesAreGood() const override { return torn_ == 0 && rewritten_ == 0; }

  void Arrived(pw_buffer* taken);
  void Count(const Buffer& buffer, const Look& look);
  Look LookAt(const Buffer& buffer) const;
  void Dump(const Buffer& buffer);
  void GiveBack();
  void Return(const Held& held);
  void CheckAgain(const Held& held);
  void ImportSyncobjs(Buffer& buffer);
  void Acquire(const Buffer& buffer);

  Agreed agreed_;
  std::deque<Held> held_;
  std::deque<Held> releasing_;              // Given back, and not released.
  std::map<std::string, uint64_t> memory_;  // Frames by type.
  std::vector<ino_t> inodes_;
  std::vector<uint64_t> latencies_ns_;
  std::vector<uint64_t> intervals_ns_;
  std::string first_problem_;
  uint64_t frames_ = 0;
  uint64_t warm_up_ = 0;  // Frames that came before.
  uint64_t gaps_ = 0;
  uint64_t missing_ = 0;
  uint64_t repeated_ = 0;
  uint64_t torn_ = 0;
  uint64_t rewritten_ = 0;
  uint64_t without_band_ = 0;
  uint64_t unreadable_ = 0;
  uint64_t empty_ = 0;  // Buffers, not frames: nothing was ever put into them.
  uint64_t epochs_ = 0;
  uint64_t first_sequence_ = 0;
  uint64_t last_sequence_ = 0;
  uint64_t first_ns_ = 0;
  uint64_t last_ns_ = 0;
  uint64_t explicit_sync_ = 0;
  uint64_t acquire_waits_ = 0;
  uint64_t acquire_timeouts_ = 0;
  uint64_t released_ = 0;
  bool real_dmabuf_ = false;
  bool false_dmabuf_ = false;
};

Offer Sink::MakeOffer(bool modifier) const {
  Offer offer{.width = options().width,
              .height = options().height,
              .any_size = options().any_size,
              .fps = options().fps};
  if (const PeerFormat* only = FindFormat(options().format)) {
    offer.formats = {only};
  } else {
    for (const PeerFormat& format : PeerFormats()) offer.formats.push_back(&format);
  }
  if (modifier) offer.modifiers = {kLinear};
  return offer;
}

int Sink::Start() {
  uint8_t space[4096];
  spa_pod_builder builder = SPA_POD_BUILDER_INIT(space, sizeof(space));
  std::vector<const spa_pod*> offers;
  if (options().memory == "dmabuf" || options().memory == "any") {
    offers.push_back(BuildOffer(builder, MakeOffer(true)));
  }
  // Cameras of V4L2 give dma-bufs without a modifier.
  offers.push_back(BuildOffer(builder, MakeOffer(false)));
  pw_properties* properties = pw_properties_new(PW_KEY_MEDIA_TYPE, "Video", PW_KEY_MEDIA_CATEGORY,
                                                "Capture", PW_KEY_MEDIA_ROLE, "Camera",
                                                PW_KEY_NODE_NAME, options().name.c_str(), nullptr);
  if (!options().target.empty()) {
    pw_properties_set(properties, PW_KEY_TARGET_OBJECT, options().target.c_str());
  }
  uint32_t flags = PW_STREAM_FLAG_NONE;
  if (options().autoconnect || !options().target.empty()) flags |= PW_STREAM_FLAG_AUTOCONNECT;
  if (options().sync) {
    // Still on this thread, but the cycle does not end without it.
    flags |= PW_STREAM_FLAG_RT_PROCESS;
    pw_properties_set(properties, "node.loop.class", "main");
  }
  return Run(properties, flags, offers);
}

int Sink::DataTypes() const {
  const int memfd = 1 << SPA_DATA_MemFd;
  const int memptr = 1 << SPA_DATA_MemPtr;
  const int dmabuf = 1 << SPA_DATA_DmaBuf;
  if (options().memory == "shm") return memfd | memptr;
  if (options().memory == "memfd") return memfd;
  if (options().memory == "memptr") return memptr;
  if (options().memory == "dmabuf" || agreed_.has_modifier) return dmabuf;
  return memfd | memptr | dmabuf;
}

void Sink::OnFormat(const spa_pod* pod) {
  if (!pod) return;
  if (!ParseAgreed(pod, agreed_)) return End("a format that was not offered", kPeerFailed);
  // The producer chooses; until then there is nothing to say about buffers.
  if (agreed_.modifier_open) return;
  ++epochs_;
  Say({{"event", "format"},
       {"format", agreed_.format->name},
       {"width", agreed_.width},
       {"height", agreed_.height},
       {"modifiers", agreed_.modifiers}});
  const bool planes_known = sync_device() && !agreed_.format->half_plane;
  BuffersWanted wanted{
      .blocks = planes_known ? 1u : 0u, .stride = options().stride, .types = DataTypes()};
  if (options().buffers) wanted.count = static_cast<int>(options().buffers);
  AnnounceBuffers(wanted);
}

void Sink::OnBuffer(Buffer& buffer) {
  if (buffer.points) ImportSyncobjs(buffer);
  for (uint32_t i = 0; i < buffer.buffer->buffer->n_datas; ++i) {
    const spa_data& data = buffer.buffer->buffer->datas[i];
    if (data.type != SPA_DATA_DmaBuf) continue;
    (IsDmabuf(static_cast<int>(data.fd)) ? real_dmabuf_ : false_dmabuf_) = true;
  }
}

void Sink::ImportSyncobjs(Buffer& buffer) {
  const spa_data* data = buffer.buffer->buffer->datas + buffer.planes();
  for (Syncobj* syncobj : {&buffer.acquire, &buffer.release}) {
    auto imported = data->type == kDataSyncobj
                        ? Syncobj::Import(sync_device(), static_cast<int>(data->fd))
                        : Fail(Code::kInvalidArgument, "no syncobj where there should be one");
    if (!imported) return End(imported.error().ToString(), kPeerFailed);
    *syncobj = std::move(*imported);
    ++data;
  }
}

void Sink::OnBufferGone(Buffer& buffer) {
  const auto of_it = [&](const Held& held) { return held.buffer == buffer.buffer; };
  std::erase_if(held_, of_it);
  std::erase_if(releasing_, of_it);
}

// Whether the frame may be read.
void Sink::Acquire(const Buffer& buffer) {
  if (!buffer.points) return;
  ++explicit_sync_;
  if (buffer.acquire.Signalled(buffer.points->acquire)) return;
  ++acquire_waits_;
  if (!buffer.acquire.Signalled(buffer.points->acquire, kAcquirePatienceNs)) ++acquire_timeouts_;
}

Sink::Look Sink::LookAt(const Buffer& buffer) const {
  Look look;
  const spa_buffer& memory = *buffer.buffer->buffer;
  look.readable = !buffer.blocks.empty() && buffer.blocks.size() == buffer.planes();
  if (options().unread) return look;
  for (uint32_t i = 0; look.readable && i < buffer.planes(); ++i) {
    const spa_chunk& chunk = *memory.datas[i].chunk;
    const BlockMap& block = buffer.blocks[i];
    block.Begin(false);
    if (options().no_band) {
      look.hash = Hash(look.hash, block.Bytes(chunk));
    } else if (i == 0 || look.band.whole()) {
      BandLayout layout = LayoutOf(*agreed_.format, agreed_.width, agreed_.height,
                                   static_cast<uint32_t>(chunk.stride), i, buffer.planes());
      layout.every = options().every;
      const uint64_t sequence = look.band.sequence;
      look.band = CheckBand(block.Bytes(chunk), layout);
      if (i > 0 && look.band.whole() && look.band.sequence != sequence) {
        look.band.verdict = BandCheck::Verdict::kTorn;
        look.band.problem = "planes of two frames";
      }
    }
    block.End(false);
  }
  return look;
}

void Sink::OnProcess() {
  while (pw_buffer* taken = pw_stream_dequeue_buffer(stream())) Arrived(taken);
  GiveBack();
}

void Sink::Arrived(pw_buffer* taken) {
  const Buffer* buffer = Of(taken);
  if (!buffer) return;
  if (IsEmpty(*taken)) {
    ++empty_;
    pw_stream_queue_buffer(stream(), taken);
    return;
  }
  const uint64_t now = Now();
  Acquire(*buffer);
  if (warm_up_ < options().warm_up) {
    ++warm_up_;
    held_.push_back({taken, LookAt(*buffer), now});
    return;
  }
  const Look look = LookAt(*buffer);
  if (!options().dump.empty() && frames_ == options().dump_frame) Dump(*buffer);
  const auto* header = static_cast<const spa_meta_header*>(
      spa_buffer_find_meta_data(taken->buffer, SPA_META_Header, sizeof(spa_meta_header)));
  if (header && header->pts > 0 && static_cast<uint64_t>(header->pts) < now) {
    latencies_ns_.push_back(now - static_cast<uint64_t>(header->pts));
  }
  if (frames_ == 0) {
    first_ns_ = now;
  } else {
    intervals_ns_.push_back(now - last_ns_);
  }
  last_ns_ = now;
  Count(*buffer, look);
  held_.push_back({taken, look, now + uint64_t{options().hold_ms} * 1'000'000});
  if (options().announce && frames_ % options().announce == 0) {
    Say({{"event", "frames"}, {"frames", frames_}, {"sequence", last_sequence_}});
  }
  if (options().frames && frames_ == options().frames) End("frames", kPeerGood);
}

void Sink::Count(const Buffer& buffer, const Look& look) {
  ++frames_;
  ++memory_[MemoryTypeName(buffer.buffer->buffer->datas[0].type)];
  for (const BlockMap& block : buffer.blocks) {
    if (std::find(inodes_.begin(), inodes_.end(), block.inode()) == inodes_.end()) {
      inodes_.push_back(block.inode());
    }
  }
  if (!look.readable) {
    ++unreadable_;
    return;
  }
  uint64_t sequence = 0;
  if (options().no_band || options().unread) {
    const auto* header = static_cast<const spa_meta_header*>(
        spa_buffer_find_meta_data(buffer.buffer->buffer, SPA_META_Header, sizeof(spa_meta_header)));
    sequence = header ? header->seq : 0;
  } else if (look.band.verdict == BandCheck::Verdict::kNone) {
    ++without_band_;
    return;
  } else if (look.band.verdict == BandCheck::Verdict::kTorn) {
    ++torn_;
    if (first_problem_.empty()) first_problem_ = look.band.problem;
    return;
  } else {
    sequence = look.band.sequence;
  }
  if (frames_ == 1) first_sequence_ = sequence;
  if (frames_ > 1 && sequence > last_sequence_ + 1) {
    ++gaps_;
    missing_ += sequence - last_sequence_ - 1;
  }
  if (frames_ > 1 && sequence <= last_sequence_) ++repeated_;
  last_sequence_ = sequence;
}

void Sink::Dump(const Buffer& buffer) {
  std::ofstream file(options().dump, std::ios::binary);
  for (size_t i = 0; i < buffer.blocks.size(); ++i) {
    const auto bytes = buffer.blocks[i].Bytes(*buffer.buffer->buffer->datas[i].chunk);
    buffer.blocks[i].Begin(false);
    file.write(reinterpret_cast<const char*>(bytes.data()),
               static_cast<std::streamsize>(bytes.size()));
    buffer.blocks[i].End(false);
  }
}

void Sink::GiveBack() {
  while (held_.size() > options().hold) {
    const uint64_t now = Now();
    if (held_.front().due_ns > now) {
      SetTimer(held_.front().due_ns - now, 0);
      return;
    }
    const Held oldest = held_.front();
    held_.pop_front();
    Return(oldest);
  }
}

void Sink::Return(const Held& held) {
  const Buffer& buffer = *Of(held.buffer);
  if (!buffer.points) {
    CheckAgain(held);
  } else {
    releasing_.push_back(held);
    releasing_.back().release_point = buffer.points->release;
  }
  pw_stream_queue_buffer(stream(), held.buffer);
  // PipeWire has the buffer; until its release is signalled it is read still.
  while (!options().never_release && releasing_.size() > options().release_lag) {
    const Held oldest = releasing_.front();
    releasing_.pop_front();
    CheckAgain(oldest);
    if (Of(oldest.buffer)->release.Signal(oldest.release_point)) ++released_;
  }
}

void Sink::CheckAgain(const Held& held) {
  if (options().unread) return;
  const Look now = LookAt(*Of(held.buffer));
  const BandCheck& before = held.arrived.band;
  const bool changed = options().no_band ? now.hash != held.arrived.hash
                                         : before.whole() && (!now.band.whole() ||
                                                              now.band.sequence != before.sequence);
  if (!changed) return;
  ++rewritten_;
  if (first_problem_.empty()) {
    first_problem_ = "frame " + std::to_string(before.sequence) + " became " +
                     std::to_string(now.band.sequence) + " while it was held";
  }
}

nlohmann::json Sink::Summary() {
  nlohmann::json summary{{"role", "sink"},
                         {"frames", frames_},
                         {"gaps", gaps_},
                         {"missing", missing_},
                         {"repeated", repeated_},
                         {"torn", torn_},
                         {"rewritten", rewritten_},
                         {"without_band", without_band_},
                         {"unreadable", unreadable_},
                         {"empty", empty_},
                         {"epochs", epochs_},
                         {"first_sequence", first_sequence_},
                         {"last_sequence", last_sequence_},
                         {"memory", memory_},
                         {"inodes", inodes_},
                         {"dmabuf", real_dmabuf_ && !false_dmabuf_},
                         {"problem", first_problem_}};
  if (false_dmabuf_) summary["false_dmabuf"] = true;
  if (options().sync_timeline) {
    summary["explicit_sync"] = {{"frames", explicit_sync_},
                                {"released", released_},
                                {"waits", acquire_waits_},
                                {"timeouts", acquire_timeouts_}};
  }
  if (agreed_.format) {
    summary["format"] = agreed_.format->name;
    summary["width"] = agreed_.width;
    summary["height"] = agreed_.height;
    summary["modifiers"] = agreed_.modifiers;
  }
  if (frames_ > 1 && last_ns_ > first_ns_) {
    summary["fps"] =
        static_cast<double>(frames_ - 1) * 1e9 / static_cast<double>(last_ns_ - first_ns_);
  }
  if (!latencies_ns_.empty()) summary["latency_us"] = Percentiles(latencies_ns_);
  if (!intervals_ns_.empty()) summary["interval_us"] = Percentiles(intervals_ns_);
  return summary;
}

}  // namespace

int RunSink(const PeerOptions& options) {
  if (!options.format.empty() && !FindFormat(options.format)) {
    std::fprintf(stderr, "no format %s\n", options.format.c_str());
    return kPeerFailed;
  }
  return Sink(options).Start();
}

}  // namespace sluice::testing
