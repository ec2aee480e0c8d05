#include <spa/param/buffers.h>

#include <algorithm>
#include <deque>
#include <utility>

#include "tests/pipewire/peer_format.h"
#include "tests/pipewire/peer_stream.h"

namespace sluice::testing {
namespace {

// A cycle that has not ended by then has lost somebody who will not answer.
constexpr uint64_t kCyclePatienceNs = 250'000'000;
constexpr uint64_t kLinear = 0;

spa_meta_busy* BusyOf(pw_buffer& buffer) {
  return static_cast<spa_meta_busy*>(
      spa_buffer_find_meta_data(buffer.buffer, SPA_META_Busy, sizeof(spa_meta_busy)));
}

class Source final : public PeerStream {
 public:
  explicit Source(const PeerOptions& options) : PeerStream(options, PW_DIRECTION_OUTPUT) {}

  int Start();

 private:
  bool own_memory() const { return options().memory != "daemon"; }
  bool dmabuf() const { return options().memory == "dmabuf"; }
  // A buffer, and what this end knows of it.
  struct Slot {
    Buffer* buffer;
    bool ours = false;      // PipeWire has handed it back.
    uint64_t sequence = 0;  // Of the frame in it.
    uint64_t since = 0;     // The order in which they came back.
    uint64_t published_ns = 0;
  };

  // A frame that is painted after it was sent.
  struct LateFrame {
    uint64_t due_ns;
    Buffer* buffer;
    uint64_t sequence;
  };

  Offer MakeOffer(bool modifier, bool fixed) const;
  void Announce();

  void OnState(pw_stream_state state) override;
  void OnFormat(const spa_pod* pod) override;
  void OnBuffer(Buffer& buffer) override;
  void OnBufferGone(Buffer& buffer) override;
  void OnProcess() override;
  void OnTriggerDone() override;
  void OnTimer() override { Tick(); }
  nlohmann::json Summary() override;

  void AddSyncobjs(Buffer& buffer);
  bool Released(const Slot& slot) const;
  void OnAlarm() override;
  void Tick();
  bool CycleOpen();
  bool naive() const { return options().count == "none"; }
  void Collect();
  bool MayWrite(const Slot& slot) const;
  pw_buffer* Take();
  bool Produce();
  void Write(Buffer& buffer);
  static void Blank(Buffer& buffer);
  void Paint(Buffer& buffer, uint64_t sequence);

  Agreed agreed_;
  std::vector<Slot> slots_;
  bool streaming_ = false;
  uint64_t sequence_ = 0;
  bool blank_sent_ = false;
  uint64_t triggered_ns_ = 0;  // 0: no cycle is under way.
  uint64_t starved_ = 0;
  uint64_t late_ = 0;
  uint64_t unfinished_ = 0;
  uint64_t done_ = 0;
  uint64_t handed_back_ = 0;
  uint64_t newest_rewritten_ = 0;
  uint64_t released_ = 0;
  uint64_t unreleased_ = 0;
  std::deque<LateFrame> late_frames_;
};

Offer Source::MakeOffer(bool modifier, bool fixed) const {
  Offer offer{.formats = {FindFormat(options().format)},
              .width = options().width,
              .height = options().height,
              .fps = options().fps,
              .fixed = fixed};
  if (modifier) offer.modifiers = {kLinear};
  return offer;
}

int Source::Start() {
  uint8_t space[2048];
  spa_pod_builder builder = SPA_POD_BUILDER_INIT(space, sizeof(space));
  std::vector<const spa_pod*> offers;
  if (dmabuf()) offers.push_back(BuildOffer(builder, MakeOffer(true, false)));
  if (!dmabuf()) offers.push_back(BuildOffer(builder, MakeOffer(false, false)));
  pw_properties* properties = pw_properties_new(
      PW_KEY_MEDIA_CLASS, "Video/Source", PW_KEY_MEDIA_ROLE, "Camera", PW_KEY_NODE_NAME,
      options().name.c_str(), PW_KEY_NODE_DESCRIPTION, "Camera of a test", nullptr);
  const uint32_t flags = PW_STREAM_FLAG_DRIVER |
                         (own_memory() ? PW_STREAM_FLAG_ALLOC_BUFFERS : PW_STREAM_FLAG_MAP_BUFFERS);
  return Run(properties, flags, offers);
}

void Source::OnState(pw_stream_state state) {
  streaming_ = state == PW_STREAM_STATE_STREAMING;
  triggered_ns_ = 0;
  if (!streaming_) {
    SetTimer(0, 0);
  } else if (options().lockstep) {
    // trigger_done paces it; the timer is for when nothing could be sent, or nobody answers.
    SetTimer(1, 1'000'000);
  } else {
    const auto interval = static_cast<uint64_t>(1e9 / options().fps);
    SetTimer(interval, interval);
  }
}

void Source::OnFormat(const spa_pod* pod) {
  if (!pod) return;
  if (!ParseAgreed(pod, agreed_)) return End("a format that was not offered", kPeerFailed);
  Say({{"event", "format"},
       {"format", agreed_.format->name},
       {"width", agreed_.width},
       {"height", agreed_.height},
       {"modifiers", agreed_.modifiers},
       {"open", agreed_.modifier_open}});
  if (agreed_.modifier_open) {
    uint8_t space[2048];
    spa_pod_builder builder = SPA_POD_BUILDER_INIT(space, sizeof(space));
    const spa_pod* offers[] = {BuildOffer(builder, MakeOffer(true, true)),
                               BuildOffer(builder, MakeOffer(true, false))};
    pw_stream_update_params(stream(), offers, 2);
    return;
  }
  Announce();
}

void Source::Announce() {
  int types = (1 << SPA_DATA_MemFd) | (1 << SPA_DATA_MemPtr);
  if (own_memory()) types = 1 << (dmabuf() ? SPA_DATA_DmaBuf : SPA_DATA_MemFd);
  const auto count = static_cast<int>(options().buffers);
  AnnounceBuffers({.least = count,
                   .count = count,
                   .most = count,
                   .blocks = 1,
                   .bytes = FrameBytes(*agreed_.format, agreed_.width, agreed_.height),
                   .stride = agreed_.width * agreed_.format->pixel_bytes,
                   .types = types});
}

void Source::OnBuffer(Buffer& buffer) {
  slots_.push_back({.buffer = &buffer});
  if (!own_memory()) return;
  spa_data& data = buffer.buffer->buffer->datas[0];
  const size_t bytes = FrameBytes(*agreed_.format, agreed_.width, agreed_.height);
  auto memory = MakeMemory(dmabuf(), bytes);
  if (!memory) return End(memory.error().ToString(), kPeerFailed);
  data.type = dmabuf() ? SPA_DATA_DmaBuf : SPA_DATA_MemFd;
  data.flags = SPA_DATA_FLAG_READWRITE;
  data.fd = memory->get();
  data.mapoffset = 0;
  data.maxsize = static_cast<uint32_t>(bytes);
  data.data = nullptr;
  buffer.own.push_back(std::move(*memory));
  if (buffer.points) AddSyncobjs(buffer);
}

void Source::AddSyncobjs(Buffer& buffer) {
  spa_data* data = buffer.buffer->buffer->datas + buffer.planes();
  for (Syncobj* syncobj : {&buffer.acquire, &buffer.release}) {
    auto made = Syncobj::Create(sync_device());
    if (!made) return End(made.error().ToString(), kPeerFailed);
    auto fd = made->Export();
    if (!fd) return End(fd.error().ToString(), kPeerFailed);
    *syncobj = std::move(*made);
    data->type = kDataSyncobj;
    data->flags = SPA_DATA_FLAG_READWRITE;
    data->fd = fd->get();
    data->mapoffset = 0;
    data->maxsize = 0;
    data->data = nullptr;
    buffer.own.push_back(std::move(*fd));
    ++data;
  }
}

void Source::OnBufferGone(Buffer& buffer) {
  std::erase_if(slots_, [&](const Slot& slot) { return slot.buffer == &buffer; });
  std::erase_if(late_frames_, [&](const auto& late) { return late.buffer == &buffer; });
}

void Source::OnProcess() {
  // Where another node drives, its cycle asks for the frame.
  if (!pw_stream_is_driving(stream())) Produce();
}

void Source::OnTriggerDone() {
  ++done_;
  triggered_ns_ = 0;
  // Not from here: this is within the cycle that ends.
  if (options().lockstep && streaming_) SetTimer(1, 1'000'000);
}

// Whether a cycle is still under way: a follower that has not run yet has neither looked at its
// frame nor counted itself among the readers. PipeWire would begin the next one without it.
bool Source::CycleOpen() {
  if (triggered_ns_ == 0) return false;
  if (Now() - triggered_ns_ < kCyclePatienceNs) return true;
  ++unfinished_;
  return false;
}

void Source::Tick() {
  if (!streaming_ || !pw_stream_is_driving(stream())) return;
  if (options().frames && sequence_ >= options().frames) {
    if (!options().linger) End("frames", kPeerGood);
    return;
  }
  if (CycleOpen()) {
    // In lockstep the timer only looks after things.
    if (!options().lockstep) ++late_;
    return;
  }
  if (!Produce()) {
    // Nor a cycle: one without a frame would leave an old frame in a link's place for it, where
    // MayWrite expects none.
    ++starved_;
    return;
  }
  triggered_ns_ = Now();
  pw_stream_trigger_process(stream());
}

// Takes what PipeWire hands back. The stream itself keeps what readers have counted themselves on;
// a naive camera does not know of that count.
void Source::Collect() {
  for (size_t i = 0; i < slots_.size(); ++i) {
    if (naive()) {
      for (const Slot& slot : slots_) {
        if (spa_meta_busy* busy = BusyOf(*slot.buffer->buffer))
          __atomic_store_n(&busy->count, 0u, __ATOMIC_SEQ_CST);
      }
    }
    pw_buffer* buffer = pw_stream_dequeue_buffer(stream());
    if (!buffer && errno == EBUSY) continue;  // It went to the end of the stream's queue.
    if (!buffer) return;
    for (Slot& slot : slots_) {
      if (slot.buffer->buffer != buffer) continue;
      slot.ours = true;
      slot.since = ++handed_back_;
    }
  }
}

// A frame that nobody took is released by nobody.
bool Source::Released(const Slot& slot) const {
  const Buffer& buffer = *slot.buffer;
  if (!buffer.points || slot.sequence == 0 || buffer.release.Signalled(buffer.points->release))
    return true;
  return Now() - slot.published_ns > uint64_t{options().release_patience_ms} * 1'000'000;
}

// A reader that does not run within the cycle takes a frame from its link whenever it wakes up, and
// counts itself only then. A link has two places, for the frames of even and of odd cycles: the
// last two frames can still be taken.
bool Source::MayWrite(const Slot& slot) const {
  if (!slot.ours || !Released(slot)) return false;
  if (naive()) return true;
  const spa_meta_busy* busy = BusyOf(*slot.buffer->buffer);
  if (busy && __atomic_load_n(&busy->count, __ATOMIC_SEQ_CST) > 1) return false;
  return options().count == "busy" || slot.sequence == 0 || slot.sequence + 2 <= sequence_;
}

pw_buffer* Source::Take() {
  Collect();
  Slot* oldest = nullptr;
  for (Slot& slot : slots_) {
    if (MayWrite(slot) && (!oldest || slot.since < oldest->since)) oldest = &slot;
  }
  if (!oldest) return nullptr;
  if (oldest->sequence != 0 && oldest->sequence + 2 > sequence_) ++newest_rewritten_;
  if (const SyncPoints* points = oldest->buffer->points; points && oldest->sequence != 0) {
    ++(oldest->buffer->release.Signalled(points->release) ? released_ : unreleased_);
  }
  oldest->ours = false;
  oldest->published_ns = Now();
  oldest->sequence = sequence_ + 1;
  return oldest->buffer->buffer;
}

bool Source::Produce() {
  pw_buffer* taken = Take();
  if (!taken) return false;
  Buffer* buffer = Of(taken);
  if (!buffer || buffer->blocks.empty()) {
    End(buffer ? buffer->problem : "a buffer that was never added", kPeerFailed);
    return false;
  }
  if (options().unfilled_after != 0 && sequence_ == options().unfilled_after &&
      !std::exchange(blank_sent_, true)) {
    Blank(*buffer);
  } else {
    Write(*buffer);
  }
  pw_stream_queue_buffer(stream(), taken);
  if (options().announce && sequence_ % options().announce == 0) {
    Say({{"event", "frames"}, {"frames", sequence_}});
  }
  return true;
}

// As a buffer is that nobody has filled.
void Source::Blank(Buffer& buffer) {
  *buffer.buffer->buffer->datas[0].chunk = {};
  auto* header = static_cast<spa_meta_header*>(
      spa_buffer_find_meta_data(buffer.buffer->buffer, SPA_META_Header, sizeof(spa_meta_header)));
  if (header) *header = {};
}

void Source::Write(Buffer& buffer) {
  const uint64_t now = Now();
  spa_data& data = buffer.buffer->buffer->datas[0];
  ++sequence_;
  if (buffer.points) {
    ++buffer.points->acquire;
    ++buffer.points->release;
    buffer.points->flags = 0;
  }
  if (buffer.points && options().acquire_ms > 0) {
    const uint64_t delay = uint64_t{options().acquire_ms} * 1'000'000;
    late_frames_.push_back({now + delay, &buffer, sequence_});
    if (late_frames_.size() == 1) SetAlarm(delay);
  } else {
    Paint(buffer, sequence_);
  }
  data.chunk->offset = 0;
  data.chunk->size = FrameBytes(*agreed_.format, agreed_.width, agreed_.height);
  data.chunk->stride = static_cast<int32_t>(agreed_.width * agreed_.format->pixel_bytes);
  data.chunk->flags = 0;
  auto* header = static_cast<spa_meta_header*>(
      spa_buffer_find_meta_data(buffer.buffer->buffer, SPA_META_Header, sizeof(spa_meta_header)));
  if (!header) return;
  header->flags = 0;
  header->offset = 0;
  header->pts = static_cast<int64_t>(now);
  header->dts_offset = 0;
  header->seq = sequence_;
}

void Source::Paint(Buffer& buffer, uint64_t sequence) {
  const BlockMap& block = buffer.blocks.front();
  BandLayout layout = LayoutOf(*agreed_.format, agreed_.width, agreed_.height, 0, 0, 1);
  layout.every = options().every;
  block.Begin(true);
  WriteBand(block.All(), layout, sequence);
  block.End(true);
  if (!buffer.points) return;
  if (Status status = buffer.acquire.Signal(buffer.points->acquire); !status) {
    End(status.error().ToString(), kPeerFailed);
  }
}

void Source::OnAlarm() {
  const uint64_t now = Now();
  while (!late_frames_.empty() && late_frames_.front().due_ns <= now) {
    const LateFrame late = late_frames_.front();
    late_frames_.pop_front();
    Paint(*late.buffer, late.sequence);
  }
  if (!late_frames_.empty()) SetAlarm(late_frames_.front().due_ns - now);
}

nlohmann::json Source::Summary() {
  const auto busy = std::count_if(slots_.begin(), slots_.end(), [](const Slot& slot) {
    const spa_meta_busy* count = BusyOf(*slot.buffer->buffer);
    return count && __atomic_load_n(&count->count, __ATOMIC_SEQ_CST) > (slot.ours ? 1u : 0u);
  });
  return {{"busy", busy},          {"role", "source"},
          {"released", released_}, {"unreleased", unreleased_},
          {"frames", sequence_},   {"starved", starved_},
          {"late", late_},         {"unfinished", unfinished_},
          {"cycles", done_},       {"newest_rewritten", newest_rewritten_}};
}

}  // namespace

int RunSource(const PeerOptions& options) {
  if (!FindFormat(options.format)) {
    std::fprintf(stderr, "no format %s\n", options.format.c_str());
    return kPeerFailed;
  }
  return Source(options).Start();
}

}  // namespace sluice::testing
