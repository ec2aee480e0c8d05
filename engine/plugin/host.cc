#include "engine/plugin/host.h"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <fcntl.h>

#include <fmt/format.h>
#include <sluice/domain.h>

#include "engine/base/log.h"
#include "engine/plugin/host_memory.h"
#include "engine/sync/sync_file.h"
#include "engine/sync/syncobj.h"

namespace sluice::plugin {
namespace {

using media::Frame;
using media::FrameInfo;

// Numbers are compared in abi_values.cc.
static_assert(sizeof(FrameInfo) == sizeof(sluice_frame_info));
static_assert(offsetof(FrameInfo, pts_ticks) == offsetof(sluice_frame_info, pts_ticks));
static_assert(offsetof(FrameInfo, sequence) == offsetof(sluice_frame_info, sequence));
static_assert(offsetof(FrameInfo, crop_x) == offsetof(sluice_frame_info, crop_x));
static_assert(offsetof(FrameInfo, rotation_degrees) ==
              offsetof(sluice_frame_info, rotation_degrees));
static_assert(media::kPtsNone == SLUICE_PTS_NONE);

NodeHost* FromAbi(sluice_node_host* host) { return reinterpret_cast<NodeHost*>(host); }
sync::Timeline* FromAbi(sluice_timeline* t) { return reinterpret_cast<sync::Timeline*>(t); }
const Frame* FromAbi(const sluice_frame* f) { return reinterpret_cast<const Frame*>(f); }

std::string_view View(const char* text) { return text != nullptr ? text : ""; }

// ---- frames

/// The pool's format and layout in ABI form, made once for each pool.
struct AbiShape {
  sluice_format format;
  sluice_layout layout;
};

const AbiShape& ShapeOf(const Frame* frame) {
  return *static_cast<const AbiShape*>(frame->pool().abi_shape());
}

const sluice_frame_info* FrameInfoOf(const sluice_frame* frame) {
  return reinterpret_cast<const sluice_frame_info*>(&FromAbi(frame)->info);
}

sluice_frame_info* FrameInfoMut(sluice_frame* frame) {
  Frame* f = plugin::FromAbi(frame);
  return f->writing() ? reinterpret_cast<sluice_frame_info*>(&f->info) : nullptr;
}

const sluice_format* FrameFormat(const sluice_frame* frame) {
  return &ShapeOf(FromAbi(frame)).format;
}

const sluice_layout* FrameLayout(const sluice_frame* frame) {
  return &ShapeOf(FromAbi(frame)).layout;
}

sluice_buffer_id FrameBufferId(const sluice_frame* frame) {
  const media::BufferId& id = FromAbi(frame)->buffer().id();
  return {id.pool, id.epoch, id.index};
}

uint32_t FrameViews(const sluice_frame* frame) { return FromAbi(frame)->pool().views(); }

int32_t FrameShm(const sluice_frame* frame, sluice_shm_view* out) {
  const media::Memory& memory = FromAbi(frame)->buffer().memory();
  if ((memory.views() & media::kViewShm) == 0 || memory.part_count() != 1) {
    return SLUICE_E_UNSUPPORTED;
  }
  auto base = memory.Map();
  if (!base) return static_cast<int32_t>(base.error().code);
  *out = {-1, 0, *base, memory.size()};
  return SLUICE_OK;
}

int32_t FrameMap(sluice_frame* frame, uint32_t flags, sluice_mapping* out) {
  Frame* f = plugin::FromAbi(frame);
  const media::Memory& memory = f->buffer().memory();
  if ((memory.views() & media::kViewCpu) == 0) return SLUICE_E_UNSUPPORTED;
  if ((flags & SLUICE_MAP_WRITE) != 0 && (!f->writing() || f->buffer().published())) {
    return SLUICE_E_PERMISSION_DENIED;
  }
  const media::Layout& layout = f->pool().layout();
  *out = {};
  out->plane_count = layout.plane_count;
  out->flags = flags;
  uint64_t bytes = 0;
  for (uint32_t i = 0; i < layout.plane_count; ++i) {
    auto base = memory.Map(layout.planes[i].part);
    if (!base) return static_cast<int32_t>(base.error().code);
    if ((flags & SLUICE_MAP_WRITE) != 0 && !memory.writable(layout.planes[i].part)) {
      return SLUICE_E_PERMISSION_DENIED;
    }
    out->planes[i] = *base + layout.planes[i].offset;
    out->strides[i] = layout.planes[i].stride;
    bytes += layout.planes[i].size;
  }
  if (Status begun = memory.BeginCpuAccess(flags); !begun) {
    return static_cast<int32_t>(begun.error().code);
  }
  f->pool().CountMapped(bytes);
  return SLUICE_OK;
}

void FrameUnmap(sluice_frame* frame, uint32_t flags) {
  Frame* f = plugin::FromAbi(frame);
  if (Status ended = f->buffer().memory().EndCpuAccess(flags); !ended) {
    Log(LogLevel::kWarning, "plugin", "the CPU's access to a buffer of {}: {}",
        f->pool().options().name, ended.error().message);
  }
}

sluice_fence ToAbiFence(const sync::Fence& fence) {
  if (!fence.timeline) return {SLUICE_FENCE_SIGNALLED, -1, nullptr, 0};
  return {SLUICE_FENCE_TIMELINE, -1, reinterpret_cast<sluice_timeline*>(fence.timeline.get()),
          fence.point};
}

sluice_fence FrameAcquireFence(const sluice_frame* frame) {
  return ToAbiFence(FromAbi(frame)->acquire());
}

// Buffers are handed out once their release set has passed.
uint32_t FrameReleaseFences(const sluice_frame*, sluice_fence*, uint32_t) { return 0; }

sluice_frame* FrameShare(sluice_frame* frame) {
  Frame* f = plugin::FromAbi(frame);
  return ToAbi(f->pool().Share(*f, f->holder(), Clock::Real().Now()));
}

/// A fence that nobody can wait for: the buffer must not be written again.
sync::Fence FailedFence(Code code) {
  auto timeline = MakeRef<sync::Timeline>("a release fence that cannot be waited for");
  timeline->Fail(1, code);
  timeline->Signal(1);
  return {std::move(timeline), 1};
}

void FrameRelease(sluice_frame* frame, const sluice_fence* fence) {
  Frame* f = plugin::FromAbi(frame);
  // A name is only made where a fence of the kernel needs it.
  const bool named = fence != nullptr && fence->kind == SLUICE_FENCE_SYNC_FILE;
  auto done = plugin::FromAbi(fence, named ? f->pool().HolderName(f->holder()) : std::string(),
                              f->pool().options().fd_waiter);
  if (!done) {
    Log(LogLevel::kError, "plugin", "a frame of {} was released with an unusable fence: {}",
        f->pool().options().name, done.error().message);
    done = FailedFence(done.error().code);
  }
  f->Release(std::move(*done));
}

constexpr sluice_frame_api kFrameApi = {
    sizeof(sluice_frame_api), 0,       FrameInfoOf, FrameInfoMut,      FrameFormat,
    FrameLayout,              FrameBufferId, FrameViews,  FrameShm,          FrameMap,
    FrameUnmap,               FrameAcquireFence, FrameReleaseFences, FrameShare, FrameRelease,
};

// ---- timelines

/// A plugin's table as a timeline backend. Lives as long as its timeline, which
/// lives as long as frames that carry it: made once for each distinct table.
struct PluginTimeline {
  const sluice_timeline_ops* ops;
  void* self;
};

Result<UniqueFd> PluginToSyncFile(void* self, uint64_t point) {
  auto* timeline = static_cast<PluginTimeline*>(self);
  int32_t fd = -1;
  if (timeline->ops->to_sync_file == nullptr) {
    return Fail(Code::kUnsupported, "this timeline has no sync_file");
  }
  int32_t result = timeline->ops->to_sync_file(timeline->self, point, &fd);
  if (result < 0) return Fail(static_cast<Code>(result), "export as a sync_file");
  return UniqueFd(fd);
}

constexpr sync::TimelineBackend kPluginBackend = {nullptr, PluginToSyncFile,
                                                  [](void* self) {
                                                    delete static_cast<PluginTimeline*>(self);
                                                  }};

int32_t TimelineCreate(const char* signaller, const sluice_timeline_ops* ops, void* self,
                       sluice_timeline** out) {
  if (out == nullptr) return SLUICE_E_INVALID_ARGUMENT;
  auto* timeline =
      ops == nullptr
          ? new sync::Timeline(std::string(View(signaller)))
          : new sync::Timeline(std::string(View(signaller)), &kPluginBackend,
                               new PluginTimeline{ops, self});
  *out = reinterpret_cast<sluice_timeline*>(timeline);
  return SLUICE_OK;
}

void* TimelineSelf(sluice_timeline* timeline, const sluice_timeline_ops* ops) {
  auto* plugin = static_cast<PluginTimeline*>(FromAbi(timeline)->SelfFor(&kPluginBackend));
  return plugin != nullptr && plugin->ops == ops ? plugin->self : nullptr;
}

int32_t TimelineStatus(sluice_timeline* timeline, uint64_t point) {
  // The kernel may be further than anybody has asked.
  if (FromAbi(timeline)->completed() < point) FromAbi(timeline)->Refresh();
  switch (FromAbi(timeline)->State(point)) {
    case sync::FenceState::kSignalled: return 1;
    case sync::FenceState::kFailed:
      return static_cast<int32_t>(FromAbi(timeline)->ErrorOf(point));
    default: return 0;
  }
}

int32_t CodeOf(const Status& status) {
  return status ? SLUICE_OK : static_cast<int32_t>(status.error().code);
}

int32_t TimelineToSyncFile(sluice_timeline* timeline, uint64_t point, int32_t* fd) {
  *fd = -1;
  if (FromAbi(timeline)->State(point) == sync::FenceState::kSignalled) return SLUICE_OK;
  auto sync_file = FromAbi(timeline)->ToSyncFile(point);
  if (!sync_file) return static_cast<int32_t>(sync_file.error().code);
  *fd = sync_file->Release();
  return SLUICE_OK;
}

int32_t TimelineImportSyncobj(sluice_node_host* node, const char* signaller, int32_t drm_fd,
                              int32_t syncobj_fd, sluice_timeline** out) {
  auto timeline = sync::ImportSyncobj(std::string(View(signaller)), drm_fd, syncobj_fd,
                                      FromAbi(node)->Waiter());
  if (!timeline) {
    Log(LogLevel::kError, "plugin", "import a syncobj of {}: {}", View(signaller),
        timeline.error().message);
    return static_cast<int32_t>(timeline.error().code);
  }
  (*timeline)->Ref();
  *out = reinterpret_cast<sluice_timeline*>(timeline->get());
  return SLUICE_OK;
}

constexpr sluice_timeline_api kTimelineApi = {
    sizeof(sluice_timeline_api),
    0,
    TimelineCreate,
    [](sluice_timeline* t) { FromAbi(t)->Ref(); },
    [](sluice_timeline* t) { FromAbi(t)->Unref(); },
    TimelineSelf,
    [](sluice_timeline* t, uint64_t point) { FromAbi(t)->Submitted(point); },
    [](sluice_timeline* t, uint64_t point) { FromAbi(t)->Signal(point); },
    [](sluice_timeline* t, uint64_t point, int32_t code) {
      FromAbi(t)->Fail(point, static_cast<Code>(code));
    },
    TimelineStatus,
    TimelineToSyncFile,
    TimelineImportSyncobj,
    [](sluice_timeline* t, uint64_t point) -> int32_t {
      return CodeOf(sync::SignalSyncobj(*FromAbi(t), point));
    },
    [](sluice_timeline* t, uint64_t point, int32_t sync_file) -> int32_t {
      return CodeOf(sync::AttachSyncobj(*FromAbi(t), point, sync_file));
    },
};

// ---- nodes

int32_t NodeOffer(sluice_offer_sink* sink, const char* port, const sluice_offer* offer) {
  if (sink == nullptr || port == nullptr || offer == nullptr) return SLUICE_E_INVALID_ARGUMENT;
  auto* const offers = reinterpret_cast<OfferSink*>(sink);
  if (offers->type->FindPort(port) == nullptr) return SLUICE_E_NOT_FOUND;
  auto converted = plugin::FromAbi(*offer);
  if (!converted) return static_cast<int32_t>(converted.error().code);
  offers->offers.emplace_back(port, std::move(*converted));
  return SLUICE_OK;
}

int32_t NodeEmit(sluice_node_host* node, uint32_t output, sluice_frame* frame,
                 const sluice_fence* fence) {
  const bool named = fence != nullptr && fence->kind == SLUICE_FENCE_SYNC_FILE;
  NodeHost* host = FromAbi(node);
  auto acquire =
      plugin::FromAbi(fence, named ? std::string(host->Name()) : std::string(), host->Waiter());
  if (acquire) return FromAbi(node)->Emit(output, plugin::FromAbi(frame), std::move(*acquire));
  // Nobody could wait for it: the frame goes on as one whose pixels never came.
  FromAbi(node)->Emit(output, plugin::FromAbi(frame), FailedFence(acquire.error().code));
  return static_cast<int32_t>(acquire.error().code);
}

int32_t NodeAcquire(sluice_node_host* node, uint32_t output, sluice_frame** out) {
  media::Frame* frame = nullptr;
  int32_t result = FromAbi(node)->Acquire(output, &frame);
  *out = ToAbi(frame);
  return result;
}

constexpr sluice_own_buffers_api kOwnBuffersApi = {
    sizeof(sluice_own_buffers_api),
    0,
    [](sluice_node_host* node, uint32_t output, uint32_t index, sluice_frame** out) {
      media::Frame* frame = nullptr;
      const int32_t result = FromAbi(node)->AcquireBuffer(output, index, &frame);
      *out = ToAbi(frame);
      return result;
    },
    [](sluice_node_host* node, uint32_t output, uint32_t index) {
      return FromAbi(node)->IsFree(output, index);
    },
};

constexpr sluice_inputs_api kInputsApi = {
    sizeof(sluice_inputs_api),
    0,
    [](sluice_node_host* node, uint32_t input) {
      return FromAbi(node)->RequestRenegotiateInput(input);
    },
};

constexpr sluice_node_host_api kNodeHostApi = {
    sizeof(sluice_node_host_api),
    0,
    [](sluice_node_host* n) { return FromAbi(n)->Name(); },
    NodeOffer,
    NodeEmit,
    NodeAcquire,
    [](sluice_node_host* n, uint64_t id, int32_t result) { FromAbi(n)->Complete(id, result); },
    [](sluice_node_host* n) { FromAbi(n)->Wake(); },
    [](sluice_node_host* n, int64_t at_ns) { FromAbi(n)->WakeAt(at_ns); },
    [](sluice_node_host* n, uint32_t output) { return FromAbi(n)->RequestRenegotiate(output); },
    [](sluice_node_host* n, int32_t code, const char* m) { FromAbi(n)->SetError(code, View(m)); },
    [](sluice_node_host* n, const char* port, uint64_t bytes, const char* reason) {
      FromAbi(n)->CountCopy(View(port), bytes, View(reason));
    },
    [](sluice_node_host* n, const char* port, uint64_t frames, const char* reason) {
      FromAbi(n)->CountDrop(View(port), frames, View(reason));
    },
    [](sluice_node_host* n, const char* text) { FromAbi(n)->Note(View(text)); },
    [](sluice_node_host* n, uint64_t done, uint64_t total) { FromAbi(n)->Progress(done, total); },
    [](sluice_node_host* n, int32_t level, const char* m) { FromAbi(n)->LogLine(level, View(m)); },
    [](sluice_node_host* n) { return FromAbi(n)->DomainSelf(); },
    [](sluice_node_host* n, int32_t fd, uint32_t events) { return FromAbi(n)->WatchFd(fd, events); },
    [](sluice_node_host* n, int32_t fd) { FromAbi(n)->UnwatchFd(fd); },
};

// ---- the host

const void* GetExtension(const sluice_host*, const char* id) {
  if (id == nullptr) return nullptr;
  if (std::strcmp(id, SLUICE_FRAME_API_ID) == 0) return &kFrameApi;
  if (std::strcmp(id, SLUICE_TIMELINE_API_ID) == 0) return &kTimelineApi;
  if (std::strcmp(id, SLUICE_NODE_HOST_API_ID) == 0) return &kNodeHostApi;
  if (std::strcmp(id, SLUICE_MEMORY_API_ID) == 0) return MemoryApi();
  if (std::strcmp(id, SLUICE_OWN_BUFFERS_API_ID) == 0) return &kOwnBuffersApi;
  if (std::strcmp(id, SLUICE_INPUTS_API_ID) == 0) return &kInputsApi;
  return nullptr;
}

void HostLog(const sluice_host*, int32_t level, const char* category, const char* message) {
  if (level < SLUICE_LOG_DEBUG || level > SLUICE_LOG_ERROR) level = SLUICE_LOG_ERROR;
  if (static_cast<LogLevel>(level) < GetLogLevel()) return;
  LogMessage(static_cast<LogLevel>(level), View(category), View(message));
}

constexpr sluice_host kHost = {
    {SLUICE_ABI_MAJOR, SLUICE_ABI_MINOR}, "sluice", "0.1.0", GetExtension, HostLog};

/// A term that this build does not know reads as unspecified.
template <typename E>
E Term(uint8_t value, E last) {
  return value <= static_cast<uint8_t>(last) ? static_cast<E>(value) : E{};
}

media::Color FromAbi(const sluice_color& c) {
  return {Term(c.primaries, media::Primaries::kBt2020), Term(c.transfer, media::Transfer::kGamma28),
          Term(c.matrix, media::Matrix::kRgb), Term(c.range, media::Range::kFull),
          Term(c.siting, media::Siting::kTopLeft)};
}

graph::Extent MakeExtent(uint32_t min, uint32_t max, uint32_t step) {
  return {min, max, std::max(step, 1u)};
}

}  // namespace

const sluice_host* Host() { return &kHost; }

Result<sync::Fence> FromAbi(const sluice_fence* fence, const std::string& signaller,
                            const std::shared_ptr<sync::FdWaiter>& waiter) {
  if (fence == nullptr || fence->kind == SLUICE_FENCE_SIGNALLED) return sync::Fence{};
  if (fence->kind == SLUICE_FENCE_TIMELINE && fence->timeline != nullptr) {
    return sync::Fence{RefPtr<sync::Timeline>(FromAbi(fence->timeline)), fence->point};
  }
  if (fence->kind == SLUICE_FENCE_SYNC_FILE) {
    UniqueFd own(fcntl(fence->fd, F_DUPFD_CLOEXEC, 0));
    if (!own.valid()) return FailErrno(fmt::format("the sync_file {}", fence->fd), errno);
    return sync::ImportSyncFile(std::move(own), signaller, waiter);
  }
  return Fail(Code::kInvalidArgument, fmt::format("a fence of kind {}", fence->kind));
}

sluice_format ToAbi(const media::Format& f) {
  sluice_format out{};
  out.fourcc = f.fourcc;
  out.width = f.width;
  out.height = f.height;
  out.modifier = f.modifier;
  out.rate = {f.rate.numerator, f.rate.denominator};
  out.color = {static_cast<uint8_t>(f.color.primaries), static_cast<uint8_t>(f.color.transfer),
               static_cast<uint8_t>(f.color.matrix), static_cast<uint8_t>(f.color.range),
               static_cast<uint8_t>(f.color.siting), {}};
  return out;
}

media::Format FromAbi(const sluice_format& f) {
  return {f.fourcc, f.width, f.height, f.modifier, {f.rate.numerator, f.rate.denominator},
          FromAbi(f.color)};
}

sluice_layout ToAbi(const media::Layout& layout) {
  sluice_layout out{};
  out.coded_width = layout.coded_width;
  out.coded_height = layout.coded_height;
  out.plane_count = layout.plane_count;
  out.part_count = layout.part_count;
  out.size = layout.size;
  for (uint32_t i = 0; i < SLUICE_MAX_PLANES; ++i) {
    const media::Plane& plane = layout.planes[i];
    out.planes[i] = {plane.part, 0, plane.offset, plane.stride, plane.size};
  }
  return out;
}

Result<graph::Offer> FromAbi(const sluice_offer& o) {
  constexpr uint32_t kMaxList = 256;
  if (o.struct_size < sizeof(sluice_offer) || o.fourcc_count > kMaxList ||
      o.modifier_count > kMaxList || (o.fourcc_count != 0 && o.fourccs == nullptr) ||
      (o.modifier_count != 0 && o.modifiers == nullptr)) {
    return Fail(Code::kInvalidArgument, "an offer with a wrong size or list");
  }
  graph::Offer offer;
  offer.fourccs.assign(o.fourccs, o.fourccs + o.fourcc_count);
  offer.modifiers.assign(o.modifiers, o.modifiers + o.modifier_count);
  offer.views = o.views;
  offer.allocates = o.allocates & ~SLUICE_ALLOCATES_ONLY;
  offer.own_memory_only = (o.allocates & SLUICE_ALLOCATES_ONLY) != 0;
  std::memcpy(offer.device_uuid.data(), o.device_uuid, offer.device_uuid.size());
  offer.sync = o.sync;
  offer.width = MakeExtent(o.width_min, o.width_max, o.width_step);
  offer.height = MakeExtent(o.height_min, o.height_max, o.height_step);
  offer.rate_min = {o.rate_min.numerator, o.rate_min.denominator};
  offer.rate_max = {o.rate_max.numerator, o.rate_max.denominator};
  offer.color = FromAbi(o.color);
  offer.color_assumed = o.color_assumed;
  offer.alignment = {std::max(o.width_multiple, 1u),  std::max(o.height_multiple, 1u),
                     std::max(o.stride_multiple, 1u), std::max(o.offset_multiple, 1u),
                     std::max(o.base_multiple, 1u),   std::max(o.size_multiple, 1u),
                     o.tail_bytes};
  offer.buffers_min = o.buffers_min;
  offer.buffers_max = o.buffers_max;
  offer.hold_min = o.hold_min;
  offer.hold_max = o.hold_max;
  offer.retains = o.retains;
  offer.dynamic_reserve = o.dynamic_reserve;
  offer.copies = View(o.copies);
  return offer;
}

std::shared_ptr<const void> MakeAbiShape(const media::Format& format,
                                         const media::Layout& layout) {
  return std::make_shared<const AbiShape>(AbiShape{ToAbi(format), ToAbi(layout)});
}

}  // namespace sluice::plugin
