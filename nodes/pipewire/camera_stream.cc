#include "nodes/pipewire/camera_stream.h"

#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include <spa/buffer/meta.h>

namespace sluice::pipewire {
namespace {

constexpr const char* kInPort = "in";
/// How often the readers' counts are looked at while only they keep buffers from coming home: no
/// event tells of them.
constexpr int64_t kPollNs = 4'000'000;
/// A cycle that has not ended by then is given up on: a reader in it hangs.
constexpr int64_t kCycleNs = 100'000'000;
/// The same after one that was given up on.
constexpr int64_t kLateCycleNs = 5'000'000;
/// The least time from one reappearance to the next: a session manager may link the same reader
/// again and again.
constexpr int64_t kReappearNs = 1'000'000'000;

/// The fence as an fd that becomes readable; empty: nothing to wait for.
/// Errors: NOT_SUBMITTED (it is only promised, and can be asked for again), what the host says.
sdk::Expected<sdk::UniqueFd> FenceOf(const sdk::Host& host, const sdk::FrameRef& frame) {
  const sdk::Fence acquire = frame.AcquireFence();
  const sluice_fence& fence = *acquire.c();
  if (fence.kind == SLUICE_FENCE_SIGNALLED) return sdk::UniqueFd();
  if (fence.kind == SLUICE_FENCE_SYNC_FILE) {
    sdk::UniqueFd fd = sdk::UniqueFd::Dup(fence.fd);
    if (!fd) return sdk::Status::Error(SLUICE_E_IO, "a fence: %s", strerror(errno));
    return fd;
  }
  int fd = -1;
  const int32_t code = host.timelines()->to_sync_file(fence.timeline, fence.point, &fd);
  if (code >= 0) return sdk::UniqueFd(fd);
  // It may have passed meanwhile.
  if (host.timelines()->status(fence.timeline, fence.point) == 1) return sdk::UniqueFd();
  return sdk::Status::Error(code, "the fence of frame %llu gives no sync_file (%s)",
                            static_cast<unsigned long long>(frame.Info().sequence),
                            sdk::CodeName(code));
}

}  // namespace

// --- Life ----------------------------------------------------------------------------------------

CameraStream::CameraStream(std::shared_ptr<Connection> connection, sdk::NodeContext context,
                           const Options& options, const SharedPool& pool)
    : connection_(std::move(connection)),
      context_(context),
      options_(options),
      pool_(pool),
      ledger_(options.patience_ns) {
  ledger_.Reset(pool.buffers.size());
  slots_.resize(pool.buffers.size());
}

sdk::Expected<std::unique_ptr<CameraStream>> CameraStream::Create(
    std::shared_ptr<Connection> connection, sdk::NodeContext context, const Options& options,
    const SharedPool& pool) {
  if (FindDrm(pool.format.fourcc) == nullptr) {
    return sdk::Status::Error(SLUICE_E_UNSUPPORTED, "in: PipeWire has no name for %s",
                              FourccName(pool.format.fourcc).c_str());
  }
  if (!pool.dmabuf() && !pool.shm()) {
    return sdk::Status::Error(SLUICE_E_UNSUPPORTED,
                              "in: a buffer that is neither a dma-buf nor shared memory");
  }
  std::unique_ptr<CameraStream> stream(
      new CameraStream(std::move(connection), context, options, pool));
  if (sdk::Status status = stream->Connect(); !status.ok()) return status;
  return stream;
}

sdk::Status CameraStream::Connect() {
  const Connection::Lock lock(*connection_);
  if (!connection_->alive()) return connection_->lost();
  timer_ = pw_loop_add_timer(
      connection_->loop(),
      [](void* data, uint64_t) { static_cast<CameraStream*>(data)->OnTimer(); }, this);
  event_ = pw_loop_add_event(
      connection_->loop(),
      [](void* data, uint64_t) { static_cast<CameraStream*>(data)->Advance(); }, this);
  // Asked for by another driver of the graph, whose cycle it is: the one before has ended.
  foreign_cycle_ = pw_loop_add_event(
      connection_->loop(),
      [](void* data, uint64_t) { static_cast<CameraStream*>(data)->OnTriggerDone(); }, this);
  if (timer_ == nullptr || event_ == nullptr || foreign_cycle_ == nullptr) {
    return sdk::Status::Error(SLUICE_E_IO, "PipeWire's loop: %s", strerror(errno));
  }
  connection_->AddListener(this);
  FindSync();
  return Appear();
}

sdk::Status CameraStream::Appear() {
  pw_properties* properties = pw_properties_new(
      PW_KEY_MEDIA_CLASS, "Video/Source", PW_KEY_MEDIA_ROLE, "Camera", PW_KEY_NODE_NAME,
      options_.name.c_str(), PW_KEY_NODE_DESCRIPTION, options_.description.c_str(), nullptr);
  stream_ = pw_stream_new(connection_->core(), options_.name.c_str(), properties);
  if (stream_ == nullptr) {
    return sdk::Status::Error(SLUICE_E_IO, "PipeWire makes no stream: %s", strerror(errno));
  }
  hook_ = {};
  pw_stream_add_listener(stream_, &hook_, &Events(), this);
  PodList formats;
  AddFormats(formats);
  const int result = pw_stream_connect(
      stream_, PW_DIRECTION_OUTPUT, PW_ID_ANY,
      // Without RT_PROCESS every link would be one whose readers see the cycle before, and miss
      // frames.
      static_cast<pw_stream_flags>(PW_STREAM_FLAG_DRIVER | PW_STREAM_FLAG_ALLOC_BUFFERS |
                                   PW_STREAM_FLAG_RT_PROCESS),
      formats.data(), formats.size());
  if (result < 0) {
    return sdk::Status::Error(SLUICE_E_IO, "PipeWire does not take the camera: %s",
                              strerror(-result));
  }
  // From here on a buffer that is queued waits for its trigger; before, it would be one.
  pw_stream_trigger_process(stream_);
  return {};
}

/// A stream that failed stays so; another one takes its place.
void CameraStream::Reappear() {
  const int64_t now_ns = NowNs();
  if (!failed_ || now_ns < reappear_ns_) return;
  failed_ = appeared_ = streaming_ = false;
  reappear_ns_ = now_ns + kReappearNs;
  // Without a daemon every stream fails; OnDisconnected() says so.
  if (!connection_->alive()) return;
  // Frames that are out come home as after a negotiation: OnRemoveBuffer() is called for each.
  // The data thread may look at it until then.
  pw_stream_destroy(stream_);
  stream_ = nullptr;
  agreed_.reset();
  empty_.reset();
  cycle_since_ns_ = 0;
  renegotiating_ = hung_ = false;
  if (sdk::Status status = Appear(); !status.ok()) Fail(status);
}

/// Explicit sync is offered where a pair of syncobjs can be had.
void CameraStream::FindSync() {
  if (!pool_.dmabuf()) return;
  sync_device_ = SyncPair::FindDevice();
  if (sync_device_ && !SyncPair::Make(context_, sync_device_.get(), "nobody").ok()) {
    sync_device_.reset();
  }
}

CameraStream::~CameraStream() {
  std::optional<Waiting> waiting;
  {
    const Connection::Lock lock(*connection_);
    connection_->RemoveListener(this);
    for (auto& [id, peer] : peers_) {
      spa_hook_remove(&peer->hook);
      pw_proxy_destroy(peer->proxy);
    }
    // Whatever it says on its way out is heard.
    if (stream_ != nullptr) pw_stream_destroy(stream_);
    // Nobody will say so any more, and leases wait for it.
    for (const Unreleased& one : unreleased_) {
      if (one.sync->point() == one.point && one.sync->Released() == 0) one.sync->ReleaseNow();
    }
    for (spa_source* source : {timer_, event_, foreign_cycle_}) {
      if (source != nullptr) pw_loop_destroy_source(connection_->loop(), source);
    }
    waiting = TakeWaiting();
  }
  if (waiting) {
    waiting->frame.Release();
    context_.Complete(waiting->invocation);
  }
  if (ending_) context_.Complete(*ending_, SLUICE_PROCESS_END);
}

// --- From the node -------------------------------------------------------------------------------

sdk::Status CameraStream::Submit(sdk::Frame frame, uint64_t invocation) {
  sdk::Expected<sdk::UniqueFd> fence = FenceOf(context_.host(), frame);
  const bool promised = fence.status().code() == SLUICE_E_NOT_SUBMITTED;
  if (!fence.ok() && !promised) return fence.status();
  const uint32_t index = frame.BufferId().index;
  if (index >= slots_.size()) {
    return sdk::Status::Error(SLUICE_E_INTERNAL, "in: buffer %u of a pool of %zu", index,
                              slots_.size());
  }
  const Connection::Lock lock(*connection_);
  if (!lost_.ok()) return lost_;
  waiting_ = Waiting{std::move(frame), invocation, promised ? sdk::UniqueFd() : *std::move(fence),
                     promised};
  pw_loop_signal_event(connection_->loop(), event_);
  return {};
}

void CameraStream::End(uint64_t invocation) {
  const Connection::Lock lock(*connection_);
  ending_ = invocation;
  ending_since_ns_ = NowNs();
  pw_loop_signal_event(connection_->loop(), event_);
}

void CameraStream::EndSoon() {
  const Connection::Lock lock(*connection_);
  ending_soon_ = true;
  pw_loop_signal_event(connection_->loop(), event_);
}

uint64_t CameraStream::published() const {
  const Connection::Lock lock(*connection_);
  return published_;
}

/// The loop watches the fence's fd, which ends with the frame.
std::optional<CameraStream::Waiting> CameraStream::TakeWaiting() {
  if (fence_source_ != nullptr) {
    pw_loop_destroy_source(connection_->loop(), std::exchange(fence_source_, nullptr));
  }
  return std::exchange(waiting_, std::nullopt);
}

void CameraStream::Complete(int32_t result) {
  const uint64_t invocation = TakeWaiting()->invocation;
  context_.Complete(invocation, result);
}

void CameraStream::Fail(const sdk::Status& status) {
  if (lost_.ok()) lost_ = status;
  if (std::optional<Waiting> waiting = TakeWaiting()) {
    waiting->frame.Release();
    context_.Complete(waiting->invocation, status);
  }
  if (ending_) context_.Complete(*std::exchange(ending_, std::nullopt), status);
}

// --- What PipeWire says --------------------------------------------------------------------------

const pw_stream_events& CameraStream::Events() {
  static constexpr pw_stream_events kEvents = [] {
    pw_stream_events events{};
    events.version = PW_VERSION_STREAM_EVENTS;
    events.state_changed = [](void* data, pw_stream_state, pw_stream_state state,
                              const char* error) {
      static_cast<CameraStream*>(data)->OnState(state, error);
    };
    events.param_changed = [](void* data, uint32_t id, const spa_pod* param) {
      if (id == SPA_PARAM_Format) static_cast<CameraStream*>(data)->OnFormat(param);
    };
    events.add_buffer = [](void* data, pw_buffer* buffer) {
      static_cast<CameraStream*>(data)->OnAddBuffer(buffer);
    };
    events.remove_buffer = [](void* data, pw_buffer* buffer) {
      static_cast<CameraStream*>(data)->OnRemoveBuffer(buffer);
    };
    events.process = [](void* data) { static_cast<CameraStream*>(data)->OnProcess(); };
    events.trigger_done = [](void* data) { static_cast<CameraStream*>(data)->OnTriggerDone(); };
    return events;
  }();
  return kEvents;
}

void CameraStream::OnState(pw_stream_state state, const char* error) {
  streaming_ = state == PW_STREAM_STATE_STREAMING;
  if (!streaming_) cycle_since_ns_ = 0;
  if (state == PW_STREAM_STATE_PAUSED || streaming_) appeared_ = true;
  if (state == PW_STREAM_STATE_ERROR && appeared_) {
    // A link that fails, for a reader that cannot take the buffers, fails both its ends.
    context_.Log(SLUICE_LOG_INFO, "the camera %s: %s", options_.name.c_str(),
                 error != nullptr ? error : "a link failed");
    failed_ = true;
  } else if (state == PW_STREAM_STATE_ERROR) {
    return Fail(sdk::Status::Error(SLUICE_E_IO, "the camera %s: %s", options_.name.c_str(),
                                   error != nullptr ? error : "PipeWire says that it failed"));
  }
  // Not from within PipeWire's call.
  pw_loop_signal_event(connection_->loop(), event_);
}

void CameraStream::AddFormats(PodList& pods) const {
  if (pool_.dmabuf()) pods.Add(BuildFormat(pods.Next(), FormatOf(pool_, true)));
  if (pool_.shm()) pods.Add(BuildFormat(pods.Next(), FormatOf(pool_, false)));
  if (options_.follow && !closed_) AddFollowFormats(pods);
}

void CameraStream::OnFormat(const spa_pod* param) {
  agreed_.reset();
  if (param == nullptr) return;
  sdk::Expected<VideoFormat> format = ParseFormat(param);
  if (!format.ok()) {
    context_.Log(SLUICE_LOG_WARNING, "%s", format.status().c_message());
    return;
  }
  if (format->modifiers_open) {
    // There is one to choose: the pool's. The link then comes back with it alone.
    PodList formats;
    AddFormats(formats);
    pw_stream_update_params(stream_, formats.data(), formats.size());
    return;
  }
  if (!IsOfPool(*format)) return TakeWish(*format);
  if (suspended_) return OfferEmptyBuffers(*format);
  // An open offer has no modifier; where all is dma-bufs, it promised what is not there.
  if (!format->dmabuf() && !pool_.shm()) return CloseOffers();
  agreed_ = *std::move(format);
  empty_.reset();
  PodList params;
  AddBufferParams(pool_, agreed_->dmabuf(), params, bool{sync_device_});
  pw_stream_update_params(stream_, params.data(), params.size());
}

void CameraStream::OnAddBuffer(pw_buffer* buffer) {
  buffer->user_data = nullptr;
  MarkEmpty(*buffer->buffer);
  if (empty_) {
    sdk::Expected<std::vector<sdk::UniqueFd>> fds =
        FillBuffer(*empty_, empty_->buffers[0], false, *buffer->buffer);
    if (!fds.ok()) {
      context_.Log(SLUICE_LOG_WARNING, "%s", fds.status().c_message());
      return ForgetMemory(*buffer->buffer);
    }
    bound_[buffer].fds = *std::move(fds);
    return;
  }
  // The epoch has ended meanwhile: the next one asks for others.
  if (slots_.empty()) return ForgetMemory(*buffer->buffer);
  const auto free = std::find_if(slots_.begin(), slots_.end(),
                                 [](const Slot& slot) { return slot.buffer == nullptr; });
  // One more than the pool has is a second name of a buffer, and never published.
  const bool spare = free == slots_.end();
  const std::size_t index =
      spare ? bound_.size() % slots_.size() : static_cast<std::size_t>(free - slots_.begin());
  const bool dmabuf = agreed_ && agreed_->dmabuf();
  sdk::Expected<std::vector<sdk::UniqueFd>> fds =
      FillBuffer(pool_, pool_.buffers[index], dmabuf, *buffer->buffer);
  if (!fds.ok()) {
    context_.Log(SLUICE_LOG_WARNING, "%s", fds.status().c_message());
    return ForgetMemory(*buffer->buffer);
  }
  Bound bound;
  if (WantsSync(pool_, dmabuf, *buffer->buffer)) {
    sdk::Expected<SyncPair> pair =
        SyncPair::Make(context_, sync_device_.get(), ("readers of " + options_.name).c_str());
    if (!pair.ok()) {
      context_.Log(SLUICE_LOG_WARNING, "%s", pair.status().c_message());
      return ForgetMemory(*buffer->buffer);
    }
    bound.sync = std::make_shared<SyncPair>(*std::move(pair));
    bound.sync->Fill(*buffer->buffer, BlocksOf(pool_, true));
  }
  bound.fds = *std::move(fds);
  bound_[buffer] = std::move(bound);
  if (spare) return;
  free->buffer = buffer;
  free->held = false;
  buffer->user_data = &*free;
}

void CameraStream::OnRemoveBuffer(pw_buffer* buffer) {
  if (auto* slot = static_cast<Slot*>(buffer->user_data); slot != nullptr) {
    ledger_.Removed(static_cast<std::size_t>(slot - slots_.data()), ReadersOf(*slot));
    slot->buffer = nullptr;
    slot->held = false;
    buffer->user_data = nullptr;
  }
  bound_.erase(buffer);
  renegotiating_ = false;
}

/// On PipeWire's data thread.
void CameraStream::OnProcess() {
  if (!pw_stream_is_driving(stream_)) pw_loop_signal_event(connection_->loop(), foreign_cycle_);
}

void CameraStream::OnTriggerDone() {
  if (cycle_since_ns_ == 0) return;
  hung_ = false;
  EndCycle();
}

int64_t CameraStream::CyclePatienceNs() const {
  return hung_ ? std::max(kLateCycleNs, options_.interval_ns) : kCycleNs;
}

void CameraStream::EndCycle() {
  cycle_since_ns_ = 0;
  cycle_ended_ns_ = NowNs();
  ledger_.CycleEnded();
  Advance();
}

void CameraStream::OnTimer() {
  armed_for_ns_ = 0;
  if (cycle_since_ns_ != 0 && NowNs() - cycle_since_ns_ >= CyclePatienceNs()) {
    hung_ = true;
    EndCycle();
  }
  Look();
  Advance();
}

void CameraStream::OnDisconnected(const sdk::Status& reason) {
  streaming_ = false;
  Fail(reason);
}

// --- Frames --------------------------------------------------------------------------------------

void CameraStream::Advance() {
  Reappear();
  Collect();
  CheckReleases();
  TryPublish();
  TryEnd();
  Arm();
}

/// Takes back what PipeWire returns, and gives back what nobody reads. Not during a cycle: its data
/// thread puts buffers into the same queue then.
void CameraStream::Collect() {
  if (!bound_.empty() && stream_ != nullptr && cycle_since_ns_ == 0) {
    for (std::size_t tries = bound_.size(); tries > 0; --tries) {
      pw_buffer* buffer = pw_stream_dequeue_buffer(stream_);
      if (buffer == nullptr) {
        if (errno != EBUSY) break;
        continue;  // it is read; the next one may not be
      }
      auto* slot = static_cast<Slot*>(buffer->user_data);
      if (slot == nullptr) continue;
      slot->held = true;
      ledger_.GivenBack(static_cast<std::size_t>(slot - slots_.data()));
    }
  }
  const int64_t now_ns = NowNs();
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    Slot& slot = slots_[i];
    if (!slot.frame) continue;
    const uint32_t readers = ReadersOf(slot);
    slot.taken |= readers > 0;
    if (!ledger_.TakeHome(i, readers, now_ns)) continue;
    // With explicit sync its reader may be at it still.
    if (slot.buffer != nullptr && SyncOf(slot) == nullptr) MarkEmpty(*slot.buffer->buffer);
    GiveHome(slot);
  }
}

std::shared_ptr<SyncPair> CameraStream::SyncOf(const Slot& slot) const {
  const auto found = bound_.find(slot.buffer);
  return found == bound_.end() ? nullptr : found->second.sync;
}

/// Nobody counts as a reader of the frame. Its reader's GPU may be at work still.
void CameraStream::GiveHome(Slot& slot) {
  slot.reported = false;
  const std::shared_ptr<SyncPair> sync = SyncOf(slot);
  if (sync == nullptr || sync->Released() != 0) return slot.frame.Release();
  unreleased_.push_back({sync, sync->point(), NowNs(), slot.taken});
  slot.frame.Release(sync->Release());
}

void CameraStream::TryPublish() {
  if (!waiting_) return;
  if (wish_) {
    context_.CountDrop(kInPort, 1, "an application needs another size or format");
    return Complete(SLUICE_PROCESS_DONE);
  }
  const bool ready = !suspended_ && streaming_ && agreed_ && !renegotiating_;
  if (!ready || !SomebodyReads()) {
    // An application that is linked and has paused is not waited for either.
    if (ending_soon_ && !SomebodyReads()) {
      context_.CountDrop(kInPort, 1, "nobody looked before the stream ended or changed");
      Complete(SLUICE_PROCESS_DONE);
    }
    return;
  }
  if (cycle_since_ns_ != 0 || NowNs() < due_ns_ || !FencePassed()) return;
  const uint32_t index = waiting_->frame.BufferId().index;
  Slot& slot = slots_[index];
  if (slot.buffer == nullptr) {
    if (bound_.empty()) return;
    return Fail(sdk::Status::Error(
        SLUICE_E_UNSUPPORTED,
        "PipeWire asks for %zu buffers, the pool has %zu: raise link.max-buffers or take fewer",
        bound_.size(), slots_.size()));
  }
  if (slot.held) Publish(index);
}

/// A camera runs before its first reader does, which would miss the first frame.
bool CameraStream::SomebodyReads() const {
  return std::any_of(peers_.begin(), peers_.end(),
                     [](const auto& entry) { return entry.second->active; });
}

/// Whether the frame may be published. Else it is asked again when that changes.
bool CameraStream::FencePassed() {
  if (fence_source_ != nullptr) return false;
  // The host names its signaller when it stays away.
  if (waiting_->promised && !TakePromised()) return false;
  if (!waiting_->fence) return true;
  pollfd entry{waiting_->fence.get(), POLLIN, 0};
  if (poll(&entry, 1, 0) == 0) {
    const bool implicit = agreed_->dmabuf() &&
                          context_.host().memory()->import_sync_file(
                              waiting_->frame.c(), SLUICE_ACCESS_WRITE, waiting_->fence.get()) >= 0;
    if (!implicit) {
      // Its readers wait for the acquire point, where there is one.
      const bool passed_on = SyncOf(slots_[waiting_->frame.BufferId().index]) != nullptr;
      if (!passed_on) WatchFence(waiting_->fence.get());
      return passed_on;
    }
    return true;
  }
  waiting_->fence.reset();
  return true;
}

bool CameraStream::TakePromised() {
  sdk::Expected<sdk::UniqueFd> fence = FenceOf(context_.host(), waiting_->frame);
  if (fence.status().code() == SLUICE_E_NOT_SUBMITTED) return false;
  if (!fence.ok()) {
    Fail(fence.status());
    return false;
  }
  waiting_->fence = *std::move(fence);
  waiting_->promised = false;
  return true;
}

void CameraStream::WatchFence(int fd) {
  fence_source_ = pw_loop_add_io(
      connection_->loop(), fd, SPA_IO_IN | SPA_IO_ERR | SPA_IO_HUP, false,
      [](void* data, int, uint32_t) {
        auto* me = static_cast<CameraStream*>(data);
        pw_loop_destroy_source(me->connection_->loop(), std::exchange(me->fence_source_, nullptr));
        if (me->waiting_) me->waiting_->fence.reset();
        me->Advance();
      },
      this);
}

void CameraStream::Publish(std::size_t index) {
  Slot& slot = slots_[index];
  const int64_t now_ns = NowNs();
  DescribeFrame(pool_, waiting_->frame, now_ns, *slot.buffer->buffer);
  if (const std::shared_ptr<SyncPair> sync = SyncOf(slot); sync != nullptr) {
    // Nobody reads it, or it would not be held: the turn before is over in any case.
    if (sync->Released() == 0) sync->ReleaseNow();
    if (sdk::Status status = sync->Publish(*slot.buffer->buffer, waiting_->fence.get());
        !status.ok()) {
      return Fail(status);
    }
    waiting_->fence.reset();
  }
  // A frame that is published again is in the buffer that its readers have: one lease will do.
  slot.frame = std::move(waiting_->frame);
  slot.held = false;
  slot.reported = slot.taken = false;
  slot.unlinked_before = unlinked_;
  ledger_.Published(index, now_ns);
  cycle_since_ns_ = now_ns;
  due_ns_ = std::max(due_ns_, now_ns - options_.interval_ns) + options_.interval_ns;
  ++published_;
  const uint64_t invocation = waiting_->invocation;
  waiting_.reset();
  pw_stream_queue_buffer(stream_, slot.buffer);
  pw_stream_trigger_process(stream_);
  context_.Complete(invocation);
}

/// After the last frame: gives its readers the time to take it and to be done.
void CameraStream::TryEnd() {
  if (!ending_ || waiting_) return;
  const int64_t now_ns = NowNs();
  const bool read = std::any_of(slots_.begin(), slots_.end(),
                                [&](const Slot& slot) { return ReadersOf(slot) > 0; });
  const bool handed_over =
      cycle_since_ns_ == 0 && now_ns - cycle_ended_ns_ >= ReaderLedger::kHandOverNs;
  const bool impatient = now_ns - ending_since_ns_ >= options_.patience_ns;
  if (!streaming_ || impatient || (handed_over && !read)) {
    context_.Complete(*std::exchange(ending_, std::nullopt), SLUICE_PROCESS_END);
  }
}

/// Sets the timer for what nothing else will tell of; no timer runs while there is no such thing.
void CameraStream::Arm() {
  const int64_t now_ns = NowNs();
  int64_t at_ns = INT64_MAX;
  if (cycle_since_ns_ != 0) at_ns = cycle_since_ns_ + CyclePatienceNs();
  if (failed_) at_ns = std::min(at_ns, reappear_ns_);
  if (waiting_ && streaming_ && due_ns_ > now_ns) at_ns = std::min(at_ns, due_ns_);
  if (!unreleased_.empty()) {
    at_ns = std::min(at_ns, unreleased_.front().since_ns + options_.patience_ns);
  }
  const bool promised = waiting_ && waiting_->promised && streaming_;
  if (ledger_.MustPoll() || ending_ || promised) at_ns = std::min(at_ns, now_ns + kPollNs);
  if (at_ns == INT64_MAX) at_ns = 0;
  // One that is set for an earlier time comes back here.
  if (at_ns == 0 ? armed_for_ns_ == 0 : armed_for_ns_ != 0 && armed_for_ns_ <= at_ns) return;
  armed_for_ns_ = at_ns;
  timespec value{at_ns / 1'000'000'000, at_ns % 1'000'000'000};
  timespec interval{};
  pw_loop_update_timer(connection_->loop(), timer_, &value, &interval, true);
}

}  // namespace sluice::pipewire
