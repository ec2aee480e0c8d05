#include "nodes/pipewire/capture_stream.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include <spa/param/buffers.h>
#include <spa/pod/builder.h>

namespace sluice::pipewire {
namespace {

constexpr uint32_t kMostBuffers = 32;
/// Host-pointer imports want whole pages.
constexpr int32_t kAlign = 4096;

#if PW_CHECK_VERSION(1, 2, 0)
constexpr bool kHasExplicitSync = true;
#else
constexpr bool kHasExplicitSync = false;
#endif

/// The frame rate as a wish, and any other one: cameras are not the place to refuse a rate.
VideoFormat WithAnyRate(VideoFormat format) {
  if (format.rate.numerator == 0) format.rate = {30, 1};
  format.rate_min = {0, 1};
  format.rate_max = {1000, 1};
  return format;
}

/// The same pixels in any size: so a peer that changes its picture is heard, not cut off.
VideoFormat WithAnySize(VideoFormat format) {
  format.size_min = {1, 1};
  format.size_max = {16384, 16384};
  return format;
}

const spa_pod* BuildBuffers(PodBuilder& builder, const CaptureStream::Request& request,
                            const VideoFormat& format, bool fences) {
  spa_pod_builder* b = builder.get();
  spa_pod_frame object;
  spa_pod_builder_push_object(b, &object, SPA_TYPE_OBJECT_ParamBuffers, SPA_PARAM_Buffers);
  int32_t count = 8;
  if (request.buffers != 0) {
    count = static_cast<int32_t>(request.buffers);
  }
  spa_pod_builder_add(b, SPA_PARAM_BUFFERS_buffers, SPA_POD_CHOICE_RANGE_Int(count, 2, 32), 0);
  // Data types: one of these.
  spa_pod_builder_add(b, SPA_PARAM_BUFFERS_align, SPA_POD_Int(kAlign), SPA_PARAM_BUFFERS_dataType,
                      SPA_POD_CHOICE_FLAGS_Int(static_cast<int32_t>(request.data_types)), 0);
#if PW_CHECK_VERSION(1, 2, 0)
  if (fences) {
    const int32_t blocks = format.entry->plane_count + 2;
    spa_pod_builder_add(b, SPA_PARAM_BUFFERS_blocks, SPA_POD_Int(blocks), 0);
    spa_pod_builder_prop(b, SPA_PARAM_BUFFERS_metaType, SPA_POD_PROP_FLAG_MANDATORY);
    spa_pod_builder_int(b, 1 << SPA_META_SyncTimeline);
  }
#else
  static_cast<void>(format);
  static_cast<void>(fences);
#endif
  return static_cast<const spa_pod*>(spa_pod_builder_pop(b, &object));
}

const spa_pod* BuildMeta(PodBuilder& builder, uint32_t type, size_t size) {
  return static_cast<const spa_pod*>(spa_pod_builder_add_object(
      builder.get(), SPA_TYPE_OBJECT_ParamMeta, SPA_PARAM_Meta, SPA_PARAM_META_type,
      SPA_POD_Id(type), SPA_PARAM_META_size, SPA_POD_Int(static_cast<int32_t>(size))));
}

template <class T>
const T* MetaOf(const spa_buffer& buffer, uint32_t type) {
  return static_cast<const T*>(spa_buffer_find_meta_data(&buffer, type, sizeof(T)));
}

/// Of a buffer without a picture: that its source marks it so, or has never filled it.
bool IsUnpublished(const spa_meta_header& header) {
  return (header.flags & SPA_META_HEADER_FLAG_CORRUPTED) != 0 ||
         (header.seq == 0 && header.pts == 0);
}

}  // namespace

const pw_stream_events CaptureStream::kEvents = [] {
  pw_stream_events events{};
  events.version = PW_VERSION_STREAM_EVENTS;
  events.state_changed = OnState;
  events.param_changed = OnParam;
  events.add_buffer = OnAddBuffer;
  events.remove_buffer = OnRemoveBuffer;
  events.process = OnProcess;
  return events;
}();

CaptureStream::CaptureStream(std::shared_ptr<Connection> connection, Target target, Request request,
                             std::function<void()> wake)
    : connection_(std::move(connection)),
      target_(std::move(target)),
      request_(std::move(request)),
      wake_(std::move(wake)) {}

CaptureStream::~CaptureStream() {
  const Connection::Lock lock(*connection_);
  connection_->RemoveListener(this);
  for (uint32_t i = 0; i < buffers_.size(); ++i) Release(i);
  if (stream_ != nullptr) {
    spa_hook_remove(&hook_);
    pw_stream_destroy(stream_);
  }
  if (arrived_ != nullptr) pw_loop_destroy_source(connection_->loop(), arrived_);
  if (link_ != nullptr) {
    spa_hook_remove(&link_hook_);
    pw_proxy_destroy(link_);
  }
}

// --- Setting up ----------------------------------------------------------------------------------

sdk::Status CaptureStream::MakeStream() {
  pw_properties* properties =
      pw_properties_new(PW_KEY_MEDIA_TYPE, "Video", PW_KEY_MEDIA_CATEGORY, "Capture",
                        PW_KEY_MEDIA_ROLE, "Camera", PW_KEY_NODE_NAME, request_.name.c_str(),
                        PW_KEY_NODE_DONT_RECONNECT, "true", "node.dont-fallback", "true", nullptr);
  const std::string& object = target_.serial.empty() ? target_.name : target_.serial;
  pw_properties_set(properties, PW_KEY_TARGET_OBJECT, object.c_str());
  stream_ = pw_stream_new(connection_->core(), request_.name.c_str(), properties);
  if (stream_ == nullptr) {
    return sdk::Status::Error(SLUICE_E_INTERNAL, "PipeWire's stream: %s", strerror(errno));
  }
  pw_stream_add_listener(stream_, &hook_, &kEvents, this);
  arrived_ = pw_loop_add_event(connection_->loop(), OnArrived, this);
  if (arrived_ == nullptr) {
    return sdk::Status::Error(SLUICE_E_INTERNAL, "PipeWire's loop: %s", strerror(errno));
  }

  PodList formats;
  const VideoFormat wanted = WithAnyRate(request_.format);
  formats.Add(BuildFormat(formats.Next(), wanted));
  formats.Add(BuildFormat(formats.Next(), WithAnySize(wanted)));
  // A stream that is not processed within its driver's cycle runs when it likes, and finds that
  // one frame has taken the place of another.
  uint32_t flags = PW_STREAM_FLAG_DONT_RECONNECT | PW_STREAM_FLAG_RT_PROCESS;
  if (HasSessionManager(*connection_)) flags |= PW_STREAM_FLAG_AUTOCONNECT;
  const int result =
      pw_stream_connect(stream_, PW_DIRECTION_INPUT, PW_ID_ANY, static_cast<pw_stream_flags>(flags),
                        formats.data(), formats.size());
  if (result >= 0) return {};
  return sdk::Status::Error(SLUICE_E_INTERNAL, "PipeWire's stream: %s", strerror(-result));
}

void CaptureStream::Link() {
  if (link_ != nullptr || HasSessionManager(*connection_)) return;
  const uint32_t id = pw_stream_get_node_id(stream_);
  if (id == SPA_ID_INVALID) return;
  // Both ends have to be known to the daemon before it can link them.
  const auto has_port = [&](uint32_t node, const char* direction) {
    return std::any_of(connection_->globals().begin(), connection_->globals().end(),
                       [&](const auto& entry) {
                         return entry.second.type == PW_TYPE_INTERFACE_Port &&
                                entry.second.Property(PW_KEY_NODE_ID) == std::to_string(node) &&
                                entry.second.Property(PW_KEY_PORT_DIRECTION) == direction;
                       });
  };
  if (!has_port(id, "in") || !has_port(target_.id, "out")) return;
  pw_properties* properties = pw_properties_new(nullptr, nullptr);
  pw_properties_setf(properties, PW_KEY_LINK_OUTPUT_NODE, "%u", target_.id);
  pw_properties_setf(properties, PW_KEY_LINK_INPUT_NODE, "%u", id);
  WatchLink(pw_core_create_object(connection_->core(), "link-factory", PW_TYPE_INTERFACE_Link,
                                  PW_VERSION_LINK, &properties->dict, 0));
  pw_properties_free(properties);
}

void CaptureStream::WatchLink(void* proxy) {
  static constexpr pw_link_events kLinkEvents = [] {
    pw_link_events events{};
    events.version = PW_VERSION_LINK_EVENTS;
    events.info = OnLink;
    return events;
  }();
  if (proxy == nullptr) return;
  if (link_ != nullptr) {
    spa_hook_remove(&link_hook_);
    pw_proxy_destroy(link_);
  }
  link_ = static_cast<pw_proxy*>(proxy);
  link_hook_ = {};
  pw_link_add_listener(static_cast<pw_link*>(proxy), &link_hook_, &kLinkEvents, this);
}

sdk::Status CaptureStream::Connect(const Connection::Lock& lock, int64_t deadline_ns) {
  connection_->AddListener(this);
  if (sdk::Status status = MakeStream(); !status.ok()) return status;
  return AwaitBuffers(lock, deadline_ns);
}

sdk::Status CaptureStream::TakeNewBuffers(const Connection::Lock& lock, int64_t deadline_ns) {
  changed_ = complete_ = false;
  return AwaitBuffers(lock, deadline_ns);
}

sdk::Status CaptureStream::AwaitBuffers(const Connection::Lock& lock, int64_t deadline_ns) {
  const bool ready = connection_->WaitUntil(lock, deadline_ns, [&] {
    Link();
    return !lost_.ok() || !buffers_.empty();
  });
  if (!lost_.ok()) return lost_;
  if (!ready) {
    if (!connection_->alive()) return connection_->lost();
    return sdk::Status::Error(SLUICE_E_TIMEOUT, "%s: %s in time", target_.Text().c_str(),
                              agreed_ ? "no buffers came" : "no format was agreed on");
  }
  complete_ = true;
  const VideoFormat &have = *agreed_, &want = request_.format;
  if (have.entry != want.entry || !(have.size == want.size)) {
    return sdk::Status::Error(
        SLUICE_E_UNSUPPORTED,
        "%s was asked for %s %ux%u and sends %s %ux%u (somebody else may "
        "have asked before)",
        target_.Text().c_str(), FourccName(want.entry->drm).c_str(), want.size.width,
        want.size.height, FourccName(have.entry->drm).c_str(), have.size.width, have.size.height);
  }
  for (Buffer& buffer : buffers_) {
    auto checked = CheckBuffer(*buffer.handle->buffer, pw_core_get_mempool(connection_->core()));
    if (!checked.ok()) {
      // Whatever is wrong with it: in another kind of memory it may be right.
      return sdk::Status::Error(SLUICE_E_UNSUPPORTED, "%s: %s", target_.Text().c_str(),
                                checked.status().c_message());
    }
    buffer.checked = *std::move(checked);
  }
  return {};
}

bool CaptureStream::AwaitPicture(const Connection::Lock& lock, int64_t deadline_ns) {
  return connection_->WaitUntil(lock, deadline_ns, [&] {
    return geometry_.has_value() || changed_ || !lost_.ok();
  }) && geometry_.has_value();
}

void CaptureStream::AwaitParked(const Connection::Lock& lock, int64_t deadline_ns) {
  connection_->WaitUntil(lock, deadline_ns, [&] {
    for (size_t i = request_.lent; request_.lent != 0 && i < buffers_.size(); ++i) {
      if (!buffers_[i].held && !changed_ && lost_.ok()) return false;
    }
    return true;
  });
}

void CaptureStream::OfferBuffers() {
  PodList params;
  const bool fences = kHasExplicitSync && request_.explicit_sync && agreed_->dmabuf();
  if (fences) params.Add(BuildBuffers(params.Next(), request_, *agreed_, true));
  params.Add(BuildBuffers(params.Next(), request_, *agreed_, false));
  params.Add(BuildMeta(params.Next(), SPA_META_Header, sizeof(spa_meta_header)));
  params.Add(BuildMeta(params.Next(), SPA_META_VideoCrop, sizeof(spa_meta_region)));
#if PW_CHECK_VERSION(1, 2, 0)
  if (fences) {
    params.Add(BuildMeta(params.Next(), SPA_META_SyncTimeline, sizeof(spa_meta_sync_timeline)));
  }
#endif
  pw_stream_update_params(stream_, params.data(), params.size());
}

// --- Running -------------------------------------------------------------------------------------

void CaptureStream::Run(bool run, size_t most) {
  running_ = run;
  most_ready_ = most;
  if (!run) {
    for (const Delivery& delivery : Take()) Return(delivery.index);
  } else if (latest_) {
    ready_.push_back(*std::exchange(latest_, std::nullopt));
  }
}

bool CaptureStream::arrived(uint32_t index) const {
  return std::any_of(ready_.begin(), ready_.end(),
                     [index](const Delivery& delivery) { return delivery.index == index; });
}

void CaptureStream::Return(uint32_t index) {
  if (!held(index)) return;
  buffers_[index].held = false;
  Release(index);
  pw_stream_queue_buffer(stream_, buffers_[index].handle);
}

void CaptureStream::Release(uint32_t index) {
  // Always: a source that waits for a picture that was dropped would wait for ever.
  if (releases_) fences_.Release(index, std::exchange(buffers_[index].release_point, 0));
}

void CaptureStream::TakeReleasePoint([[maybe_unused]] uint32_t index) {
#if PW_CHECK_VERSION(1, 2, 0)
  Buffer& buffer = buffers_[index];
  const auto* sync = MetaOf<spa_meta_sync_timeline>(*buffer.handle->buffer, SPA_META_SyncTimeline);
  if (sync == nullptr) return;
  // The one before, if it was never given back, counts as read all the same.
  Release(index);
  buffer.release_point = sync->release_point;
#endif
}

// A link drops a picture that its reader is late for, and nobody but the reader could signal that
// it is released: its buffer would be lost to the source. Links keep the order, so that what is
// older than a picture that has come, and was not seen, will not come.
void CaptureStream::ReleaseSkipped([[maybe_unused]] uint64_t before) {
#if PW_CHECK_VERSION(1, 2, 0)
  for (uint32_t i = 0; i < buffers_.size(); ++i) {
    Buffer& buffer = buffers_[i];
    const auto* header = MetaOf<spa_meta_header>(*buffer.handle->buffer, SPA_META_Header);
    const auto* sync =
        MetaOf<spa_meta_sync_timeline>(*buffer.handle->buffer, SPA_META_SyncTimeline);
    if (buffer.held || header == nullptr || sync == nullptr) continue;
    // The source may be writing the next picture's numbers: a picture that is known already says
    // nothing, and one that is to come is not older.
    const uint64_t sequence = header->seq;
    if (sequence >= before || buffer.sequence == sequence) continue;
    buffer.sequence = sequence;
    fences_.Release(i, sync->release_point);
  }
#endif
}

bool CaptureStream::fenced() const {
  return !buffers_.empty() && std::all_of(buffers_.begin(), buffers_.end(), [](const Buffer& one) {
    return one.checked && one.checked->acquire;
  });
}

sdk::Status CaptureStream::TakeFences(const sdk::NodeContext& context, int render_fd) {
  fences_ = {};
  releases_ = false;
  for (const Buffer& buffer : buffers_) {
    sdk::Status status = fences_.Add(context, *buffer.checked, render_fd, target_.Text());
    if (!status.ok()) return status;
  }
  releases_ = true;
  for (uint32_t i = 0; i < buffers_.size(); ++i) {
    if (!latest_ || latest_->index != i) Release(i);
  }
  return {};
}

void CaptureStream::Deliver(pw_buffer* handle) {
  const auto found = std::find_if(buffers_.begin(), buffers_.end(),
                                  [&](const Buffer& buffer) { return buffer.handle == handle; });
  const spa_buffer& buffer = *handle->buffer;
  const spa_chunk* chunk = buffer.n_datas == 0 ? nullptr : buffer.datas[0].chunk;
  if (found == buffers_.end() || chunk == nullptr) {
    pw_stream_queue_buffer(stream_, handle);
    return;
  }
  // The peer writes there while we read: each number is read once.
  const uint32_t bytes = chunk->size;
  const int32_t flags = chunk->flags;
  const auto index = static_cast<uint32_t>(found - buffers_.begin());
  const auto* header = MetaOf<spa_meta_header>(buffer, SPA_META_Header);
  // By a number that a link keeps from before its buffers were made anew: what stands there is no
  // place in time or sequence.
  if (bytes == 0 && header != nullptr && IsUnpublished(*header)) {
    TakeReleasePoint(index);
    Release(index);
    pw_stream_queue_buffer(stream_, handle);
    return;
  }
  if (bytes != 0) geometry_ = GeometryOf(buffer, BlockCount(buffer));
  Delivery delivery;
  delivery.index = index;
  delivery.received_ns = NowNs();
  delivery.bytes = bytes;
  delivery.corrupted = (flags & SPA_CHUNK_FLAG_CORRUPTED) != 0;
  delivery.geometry = GeometryOf(buffer, BlockCount(buffer));
  if (header != nullptr) {
    delivery.corrupted |= (header->flags & SPA_META_HEADER_FLAG_CORRUPTED) != 0;
    delivery.counted = true;
    delivery.sequence = header->seq;
    delivery.pts_ns = header->pts;
  }
  if (const auto* meta = MetaOf<spa_meta_region>(buffer, SPA_META_VideoCrop)) {
    const spa_region crop = meta->region;
    if (crop.position.x >= 0 && crop.position.y >= 0) {
      delivery.crop_x = static_cast<uint32_t>(crop.position.x);
      delivery.crop_y = static_cast<uint32_t>(crop.position.y);
      delivery.crop_width = crop.size.width;
      delivery.crop_height = crop.size.height;
    }
  }
#if PW_CHECK_VERSION(1, 2, 0)
  if (const auto* sync = MetaOf<spa_meta_sync_timeline>(buffer, SPA_META_SyncTimeline))
    delivery.acquire_point = sync->acquire_point;
#endif
  TakeReleasePoint(delivery.index);
  if (delivery.counted) {
    found->sequence = delivery.sequence;
    if (releases_ && delivery.sequence != next_sequence_) ReleaseSkipped(delivery.sequence);
    next_sequence_ = delivery.sequence + 1;
  }
  found->held = true;
  if (changed_) {
    Return(delivery.index);
    return;
  }
  if (running_) {
    ready_.push_back(std::move(delivery));
    while (most_ready_ != 0 && ready_.size() > most_ready_) {
      Return(ready_.front().index);
      ready_.erase(ready_.begin());
      ++skipped_;
    }
    return;
  }
  connection_->Signal();
  const bool kept_back = request_.lent != 0 && delivery.index >= request_.lent;
  if (latest_ && latest_->index != delivery.index) Return(latest_->index);
  latest_.reset();
  if (kept_back) {
    Release(delivery.index);
  } else {
    latest_ = std::move(delivery);
  }
}

void CaptureStream::Lose(int32_t code, const std::string& text) {
  if (!lost_.ok()) return;
  lost_ = sdk::Status::Error(code, "%s: %s", target_.Text().c_str(), text.c_str());
  // Here, and not when the node runs next: one that is being stopped does not, and those who read
  // its last frames wait all the same.
  fences_.Abandon();
  connection_->Signal();
  wake_();
}

// --- What PipeWire says --------------------------------------------------------------------------

void CaptureStream::OnDisconnected(const sdk::Status& reason) {
  Lose(SLUICE_E_DEVICE_LOST, reason.message());
}

void CaptureStream::OnGlobal(const Global& global) {
  // Its stream does not hear why a link fails; the link says it.
  if (global.type != PW_TYPE_INTERFACE_Link || stream_ == nullptr) return;
  if (!HasSessionManager(*connection_)) return;
  if (global.Property(PW_KEY_LINK_INPUT_NODE) == std::to_string(pw_stream_get_node_id(stream_))) {
    WatchLink(pw_registry_bind(connection_->registry(), global.id, PW_TYPE_INTERFACE_Link,
                               PW_VERSION_LINK, 0));
  }
}

void CaptureStream::OnLink(void* data, const pw_link_info* info) {
  auto* me = static_cast<CaptureStream*>(data);
  if (info->state != PW_LINK_STATE_ERROR) return;
  // Before anything was agreed on it is the format or the memory that does not suit.
  me->Lose(me->complete_ ? SLUICE_E_DEVICE_LOST : SLUICE_E_UNSUPPORTED,
           info->error == nullptr ? "its link failed" : info->error);
}

void CaptureStream::OnGlobalRemoved(const Global& global) {
  if (global.id == target_.id && global.type == PW_TYPE_INTERFACE_Node) {
    Lose(SLUICE_E_DEVICE_LOST, "the source is gone");
  }
}

void CaptureStream::OnState(void* data, pw_stream_state old, pw_stream_state state,
                            const char* error) {
  auto* me = static_cast<CaptureStream*>(data);
  if (state == PW_STREAM_STATE_ERROR) {
    const char* why = error == nullptr ? "its stream failed" : error;
    // WirePlumber's words; of a node that it has only just seen too.
    const bool missing = std::strstr(why, "no target") != nullptr;
    me->Lose(me->complete_ ? SLUICE_E_DEVICE_LOST
             : missing     ? SLUICE_E_NOT_FOUND
                           : SLUICE_E_UNSUPPORTED,
             why);
  } else if (state == PW_STREAM_STATE_UNCONNECTED && old != PW_STREAM_STATE_UNCONNECTED &&
             me->stream_ != nullptr) {
    me->Lose(SLUICE_E_DEVICE_LOST, "its stream was taken away");
  }
  me->connection_->Signal();
}

void CaptureStream::OnParam(void* data, uint32_t id, const spa_pod* param) {
  auto* me = static_cast<CaptureStream*>(data);
  if (id != SPA_PARAM_Format || param == nullptr) return;
  auto format = ParseFormat(param);
  if (!format.ok()) {
    pw_stream_set_error(me->stream_, -EINVAL, "%s", format.status().c_message());
    return;
  }
  // A modifier that is still open will be fixated by the producer: then this comes again.
  if (format->modifiers_open) return;
  if (me->complete_ && me->agreed_ &&
      (format->entry != me->agreed_->entry || !(format->size == me->agreed_->size) ||
       format->modifiers != me->agreed_->modifiers)) {
    me->changed_ = true;
    me->wake_();
  }
  me->agreed_ = *std::move(format);
  me->OfferBuffers();
}

void CaptureStream::OnAddBuffer(void* data, pw_buffer* buffer) {
  auto* me = static_cast<CaptureStream*>(data);
  if (me->complete_ && !me->changed_) {
    me->changed_ = true;
    me->wake_();
  }
  if (me->buffers_.size() < kMostBuffers) me->buffers_.push_back({buffer, std::nullopt, false});
  me->peer_counts_readers_ = spa_buffer_find_meta(buffer->buffer, SPA_META_Busy) != nullptr;
  me->connection_->Signal();
}

void CaptureStream::OnRemoveBuffer(void* data, pw_buffer* /*buffer*/) {
  auto* me = static_cast<CaptureStream*>(data);
  // They go all together, and their fences with them.
  for (uint32_t i = 0; i < me->buffers_.size(); ++i) me->Release(i);
  me->releases_ = false;
  me->buffers_.clear();
  me->ready_.clear();
  me->latest_.reset();
}

void CaptureStream::OnProcess(void* data) {
  auto* me = static_cast<CaptureStream*>(data);
  pw_loop_signal_event(me->connection_->loop(), me->arrived_);
}

void CaptureStream::OnArrived(void* data, uint64_t /*count*/) {
  auto* me = static_cast<CaptureStream*>(data);
  while (pw_buffer* buffer = pw_stream_dequeue_buffer(me->stream_)) me->Deliver(buffer);
  if (!me->ready_.empty()) me->wake_();
}

}  // namespace sluice::pipewire
