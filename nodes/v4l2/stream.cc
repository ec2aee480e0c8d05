#include "nodes/v4l2/stream.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "nodes/v4l2/source_input.h"

namespace sluice::v4l2 {
namespace {

/// What every dma-buf and every mapping starts at a multiple of.
constexpr uint32_t kPage = 4096;

uint64_t RoundUp(uint64_t value, uint64_t multiple) {
  return multiple <= 1 ? value : (value + multiple - 1) / multiple * multiple;
}

bool IsMultiple(uint64_t value, uint32_t multiple) {
  return multiple <= 1 || value % multiple == 0;
}

/// Which demand of the request a layout misses; ok if none.
sdk::Status CheckDemands(const sluice_pool_request& request, const FormatEntry& entry,
                         const sluice_layout& layout) {
  // The one row of a compressed picture has no stride to speak of.
  for (uint32_t i = 0; i < layout.plane_count && !entry.compressed; ++i) {
    const sluice_plane& plane = layout.planes[i];
    if (!IsMultiple(plane.stride, request.stride_multiple)) {
      return sdk::Status::Error(
          SLUICE_E_UNSUPPORTED, "plane %u: the driver's stride is %llu, no multiple of %u", i,
          static_cast<unsigned long long>(plane.stride), request.stride_multiple);
    }
    if (!IsMultiple(plane.offset, request.offset_multiple)) {
      return sdk::Status::Error(
          SLUICE_E_UNSUPPORTED, "plane %u: the driver's offset is %llu, no multiple of %u", i,
          static_cast<unsigned long long>(plane.offset), request.offset_multiple);
    }
  }
  if (!IsMultiple(kPage, request.base_multiple)) {
    return sdk::Status::Error(SLUICE_E_UNSUPPORTED,
                              "buffers start at a multiple of %u bytes, and %u is demanded", kPage,
                              request.base_multiple);
  }
  return {};
}

/// The first number in which two layouts differ.
sdk::Status CheckSame(const sluice_layout& device, const sluice_layout& pool, const char* who) {
  for (uint32_t i = 0; i < device.plane_count; ++i) {
    const sluice_plane &a = device.planes[i], &b = pool.planes[i];
    if (a.part == b.part && a.offset == b.offset && a.stride == b.stride) continue;
    return sdk::Status::Error(SLUICE_E_UNSUPPORTED,
                              "plane %u: %s has part %u, offset %llu, stride %llu; the buffers "
                              "have part %u, offset %llu, "
                              "stride %llu",
                              i, who, a.part, static_cast<unsigned long long>(a.offset),
                              static_cast<unsigned long long>(a.stride), b.part,
                              static_cast<unsigned long long>(b.offset),
                              static_cast<unsigned long long>(b.stride));
  }
  return {};
}

}  // namespace

void Stream::SetDevice(std::unique_ptr<Device> device) {
  device_ = std::move(device);
  for (const MemoryKind kind : {MemoryKind::kMmap, MemoryKind::kDmabuf, MemoryKind::kUserptr}) {
    supported_[static_cast<size_t>(kind)] = device_ != nullptr && Queue::Supports(*device_, kind);
  }
}

// --- Offers --------------------------------------------------------------------------------------

sdk::Status Stream::Offer(const char* port, const std::vector<Group>& groups,
                          const OfferTerms& terms, sdk::OfferSink& sink) const {
  struct Way {
    MemoryKind kind;
    uint32_t views;
    uint32_t allocates;
  };
  constexpr Way kWays[] = {
      {MemoryKind::kMmap, SLUICE_VIEW_DMABUF | SLUICE_VIEW_CPU,
       SLUICE_VIEW_DMABUF | SLUICE_VIEW_CPU},
      {MemoryKind::kDmabuf, SLUICE_VIEW_DMABUF, 0},
      {MemoryKind::kUserptr, SLUICE_VIEW_SHM, 0},
  };
  for (const Group& group : groups) {
    for (const Way& way : kWays) {
      if (!supported_[static_cast<size_t>(way.kind)]) continue;
      sdk::OfferBuilder offer;
      for (const uint32_t fourcc : group.fourccs) offer.Format(fourcc);
      offer.Views(way.views)
          .Allocates(way.allocates)
          .Sync(SLUICE_SYNC_CPU_DONE)
          .Width(group.width.min, group.width.max, group.width.step)
          .Height(group.height.min, group.height.max, group.height.step)
          .Rate(group.rate.min, group.rate.max)
          .Color(group.color.color, group.color.assumed)
          .Align(group.stride_multiple, 1, kPage, kPage)
          .Buffers(0, kMaxBuffers)
          .Hold(terms.hold_min, terms.hold_max)
          .DynamicReserve(terms.dynamic_reserve);
      if (sdk::Status status = sink.Add(port, offer); !status.ok()) return status;
    }
  }
  return {};
}

// --- Formats -------------------------------------------------------------------------------------

std::vector<const FormatEntry*> Stream::Entries(uint32_t fourcc) const {
  std::vector<uint32_t> present;
  for (uint32_t i = 0; i < 256; ++i) {
    v4l2_fmtdesc record{};
    record.index = i;
    record.type = device_->type();
    if (device_->Ioctl(VIDIOC_ENUM_FMT, &record) != 0) break;
    present.push_back(record.pixelformat);
  }
  std::vector<const FormatEntry*> entries;
  for (const FormatEntry& entry : AllFormats()) {
    if (entry.drm != fourcc) continue;
    if (std::find(present.begin(), present.end(), entry.v4l2) != present.end()) {
      entries.push_back(&entry);
    }
  }
  return entries;
}

sdk::Status Stream::SetFormat(const FormatEntry& entry, const sluice_format& format,
                              uint32_t bytesperline, uint32_t sizeimage) {
  PixFormat wanted;
  wanted.pixelformat = entry.v4l2;
  wanted.width = format.width;
  wanted.height = format.height;
  wanted.field = V4L2_FIELD_NONE;
  wanted.plane_count = entry.memory_planes;
  for (uint32_t i = 0; i < entry.memory_planes; ++i) {
    wanted.planes[i].bytesperline = bytesperline / entry.planes[i].stride_divisor;
    wanted.planes[i].sizeimage = sizeimage;
  }
  if (device_->direction() == Direction::kOutput) SetColor(entry, format.color, &wanted);
  if (sdk::Status status = device_->SetFormat(&wanted); !status.ok()) return status;
  if (wanted.pixelformat != entry.v4l2 || wanted.width != format.width ||
      wanted.height != format.height) {
    return sdk::Status::Error(SLUICE_E_UNSUPPORTED,
                              "%s (%s) was asked for %s %ux%u and gives %s %ux%u",
                              device_->path().c_str(), device_->identity().card.c_str(),
                              FourccText(entry.v4l2).c_str(), format.width, format.height,
                              FourccText(wanted.pixelformat).c_str(), wanted.width, wanted.height);
  }
  switch (wanted.field) {
    case V4L2_FIELD_ANY:
    case V4L2_FIELD_NONE:
    case V4L2_FIELD_INTERLACED:
    case V4L2_FIELD_INTERLACED_TB:
    case V4L2_FIELD_INTERLACED_BT:
      break;
    default:
      return sdk::Status::Error(SLUICE_E_UNSUPPORTED,
                                "%s (%s) gives single fields (V4L2 field order %u), and only whole "
                                "frames are carried",
                                device_->path().c_str(), device_->identity().card.c_str(),
                                wanted.field);
  }
  entry_ = &entry;
  format_ = wanted;
  // After the format, which may reset it, and before there are buffers, which may lock it.
  auto rate = SetRate(*device_, format.rate);
  // An output that keeps its own time repeats or waits; a camera would be another one.
  if (!rate.ok() && device_->direction() == Direction::kCapture) return rate.status();
  rate_ = rate.ok() ? *rate : format.rate;
  return {};
}

// --- Its own memory ------------------------------------------------------------------------------

sdk::Status Stream::SetFormatFor(const FormatEntry& entry, const sluice_pool_request& request,
                                 sluice_layout* layout) {
  const uint32_t multiple = FirstStrideMultiple(entry, request.stride_multiple);
  uint64_t bytesperline = RoundUp(uint64_t{request.format.width} * entry.pixel_bytes, multiple);
  if (request.layout.plane_count != 0) bytesperline = request.layout.planes[0].stride;
  // A driver with rounding of its own may need to be asked for the next common multiple.
  for (int attempt = 0; attempt < 2; ++attempt) {
    const auto asked = static_cast<uint32_t>(std::min<uint64_t>(bytesperline, UINT32_MAX));
    if (sdk::Status status = SetFormat(entry, request.format, entry.compressed ? 0 : asked, 0);
        !status.ok()) {
      return status;
    }
    auto made = LayoutOf(entry, format_);
    if (!made.ok()) return made.status();
    *layout = *made;
    bytesperline = RoundUp(format_.planes[0].bytesperline, multiple);
    if (entry.compressed || bytesperline == format_.planes[0].bytesperline) break;
  }
  return CheckDemands(request, entry, *layout);
}

sdk::Status Stream::Allocate(const sluice_pool_request& request, sdk::PoolSink& sink) {
  Close();
  const std::vector<const FormatEntry*> entries = Entries(request.format.fourcc);
  sdk::Status status = sdk::Status::Error(SLUICE_E_UNSUPPORTED, "%s (%s) has no format %s",
                                          device_->path().c_str(), device_->identity().card.c_str(),
                                          FourccText(request.format.fourcc).c_str());
  for (const FormatEntry* entry : entries) {
    sluice_layout layout{};
    status = SetFormatFor(*entry, request, &layout);
    if (!status.ok()) continue;
    auto queue = Queue::Create(*device_, MemoryKind::kMmap, request.buffers, format_);
    if (!queue.ok()) return queue.status();
    queue_ = *std::move(queue);
    status = AddBuffers(request, layout, sink);
    if (!status.ok()) Close();
    return status;
  }
  return status;
}

sdk::Status Stream::AddBuffers(const sluice_pool_request& request, sluice_layout layout,
                               sdk::PoolSink& sink) {
  for (uint32_t index = 0; index < request.buffers; ++index) {
    auto fds = queue_->Export(index);
    if (!fds.ok()) {
      // Whatever the errno: these buffers do not leave the driver.
      return sdk::Status(SLUICE_E_UNSUPPORTED, fds.status().message());
    }
    sluice_buffer_desc buffer{};
    buffer.memory.view = SLUICE_VIEW_DMABUF;
    buffer.memory.part_count = static_cast<uint32_t>(fds->size());
    layout.size = 0;
    for (uint32_t part = 0; part < fds->size(); ++part) {
      const off_t size = lseek((*fds)[part].get(), 0, SEEK_END);
      const uint64_t needed = format_.planes[part].sizeimage + uint64_t{request.tail_bytes};
      if (size < 0 || static_cast<uint64_t>(size) < needed ||
          !IsMultiple(static_cast<uint64_t>(size), request.size_multiple)) {
        return sdk::Status::Error(
            SLUICE_E_UNSUPPORTED,
            "buffer %u, part %u: %lld bytes; %llu are needed, in a multiple of %u", index, part,
            static_cast<long long>(size), static_cast<unsigned long long>(needed),
            std::max(request.size_multiple, 1u));
      }
      buffer.memory.parts[part].size = static_cast<uint64_t>(size);
      layout.size += static_cast<uint64_t>(size);
    }
    buffer.layout = layout;
    for (uint32_t part = 0; part < fds->size(); ++part) {
      buffer.memory.parts[part].fd = (*fds)[part].release();
    }
    if (sdk::Status status = sink.Add(buffer); !status.ok()) return status;
  }
  allocated_ = {request.pool, request.epoch, request.format, layout};
  MakeSlots(request.buffers);
  return {};
}

// --- Foreign memory ------------------------------------------------------------------------------

bool Stream::IsAllocated(const sluice_port_config& port) const {
  if (!allocated_ || queue_ == nullptr || queue_->kind() != MemoryKind::kMmap) return false;
  const sluice_layout &a = allocated_->layout, &b = port.layout;
  const sluice_format &f = allocated_->format, &g = port.format;
  return f.fourcc == g.fourcc && f.width == g.width && f.height == g.height && a.size == b.size &&
         a.part_count == b.part_count && a.planes[0].stride == b.planes[0].stride &&
         port.buffers == slots_.size() && (port.views & SLUICE_VIEW_DMABUF) != 0;
}

sdk::Status Stream::Configure(const sluice_port_config& port) {
  if (IsAllocated(port)) return {};
  if (sdk::Status status = ConfigureImport(port); !status.ok()) {
    Close();
    return status;
  }
  return {};
}

sdk::Status Stream::ConfigureImport(const sluice_port_config& port) {
  Close();
  if (port.format.modifier != SLUICE_MODIFIER_LINEAR) {
    return sdk::Status::Error(
        SLUICE_E_UNSUPPORTED, "%s: V4L2 knows linear pictures alone, not modifier 0x%llx",
        device_->path().c_str(), static_cast<unsigned long long>(port.format.modifier));
  }
  const bool dmabuf = (port.views & SLUICE_VIEW_DMABUF) != 0 && !dmabuf_refused_;
  if (!dmabuf && (port.views & SLUICE_VIEW_SHM) == 0) {
    return sdk::Status::Error(SLUICE_E_UNSUPPORTED,
                              "%s works in dma-bufs and in shared memory; the buffers are neither",
                              device_->path().c_str());
  }
  sdk::Status status =
      sdk::Status::Error(SLUICE_E_UNSUPPORTED, "%s (%s) has no format %s with %u fds a buffer",
                         device_->path().c_str(), device_->identity().card.c_str(),
                         FourccText(port.format.fourcc).c_str(), port.layout.part_count);
  for (const FormatEntry* entry : Entries(port.format.fourcc)) {
    if (entry->memory_planes != std::max(port.layout.part_count, 1u)) continue;
    const auto number = [](uint64_t value) {
      return static_cast<uint32_t>(std::min<uint64_t>(value, UINT32_MAX));
    };
    status = entry->compressed
                 ? SetFormat(*entry, port.format, 0, number(port.layout.planes[0].size))
                 : SetFormat(*entry, port.format, number(port.layout.planes[0].stride), 0);
    if (!status.ok()) continue;
    const auto layout = LayoutOf(*entry, format_);
    if (!layout.ok()) {
      status = layout.status();
      continue;
    }
    if (!entry->compressed) status = CheckSame(*layout, port.layout, device_->path().c_str());
    if (status.ok() && layout->size > port.layout.size) {
      status = sdk::Status::Error(
          SLUICE_E_UNSUPPORTED, "%s needs buffers of %llu bytes, these have %llu",
          device_->path().c_str(), static_cast<unsigned long long>(layout->size),
          static_cast<unsigned long long>(port.layout.size));
    }
    if (!status.ok()) continue;
    auto queue = Queue::Create(*device_, dmabuf ? MemoryKind::kDmabuf : MemoryKind::kUserptr,
                               port.buffers, format_);
    if (!queue.ok()) return queue.status();
    queue_ = *std::move(queue);
    MakeSlots(port.buffers);
    return {};
  }
  return status;
}

sdk::Status Stream::FillMemory(sdk::FrameRef frame, Slot* slot) const {
  const sluice_buffer_id id = frame.BufferId();
  if (slot->known && slot->id.pool == id.pool && slot->id.epoch == id.epoch) return {};
  slot->memory = {};
  switch (queue_->kind()) {
    case MemoryKind::kMmap:
      break;
    case MemoryKind::kDmabuf: {
      const auto memory = sdk::Memory(host_, frame, SLUICE_VIEW_DMABUF);
      if (!memory.ok()) return memory.status();
      if (memory->part_count != format_.plane_count) {
        return sdk::Status::Error(SLUICE_E_UNSUPPORTED, "a buffer has %u fds, and %u are needed",
                                  memory->part_count, format_.plane_count);
      }
      for (uint32_t i = 0; i < memory->part_count; ++i) {
        slot->memory.planes[i] = {memory->parts[i].fd, nullptr, memory->parts[i].size};
      }
      break;
    }
    case MemoryKind::kUserptr: {
      const auto view = frame.Shm();
      if (!view.ok()) return view.status();
      slot->memory.planes[0] = {-1, static_cast<uint8_t*>(view->base), view->size};
      break;
    }
  }
  slot->id = id;
  slot->known = true;
  return {};
}

sdk::Status Stream::TestImport(sdk::FrameRef frame) {
  if (queue_ == nullptr) {
    return sdk::Status::Error(SLUICE_E_INTERNAL, "the import test comes before configure");
  }
  const sluice_buffer_id id = frame.BufferId();
  if (IsStranger(id)) {
    return sdk::Status::Error(SLUICE_E_UNSUPPORTED,
                              "%s works in its own buffers, and pool %u of epoch %u is not theirs",
                              device_->path().c_str(), id.pool, id.epoch);
  }
  if (queue_->kind() == MemoryKind::kMmap) return {};
  const uint32_t index = id.index;
  if (index >= slots_.size()) {
    return sdk::Status::Error(SLUICE_E_UNSUPPORTED, "buffer %u of a pool of %zu", index,
                              slots_.size());
  }
  sdk::Status status = FillMemory(frame, &slots_[index]);
  // The driver attaches and maps the buffer when it is queued; turning a stream off that never ran
  // gives it back.
  if (status.ok()) status = queue_->Put(index, slots_[index].memory);
  queue_->StreamOff();
  if (!status.ok() && queue_->kind() == MemoryKind::kDmabuf) dmabuf_refused_ = true;
  return status;
}

void Stream::ReleasePool(uint32_t pool, uint32_t epoch) {
  if (Made(pool, epoch)) Close();
}

void Stream::ForgetPool(uint32_t pool, uint32_t epoch) {
  for (Slot& slot : slots_) {
    if (slot.id.pool == pool && slot.id.epoch == epoch) slot.known = false;
  }
}

bool Stream::FormatChanged() const {
  PixFormat now;
  if (!device_->GetFormat(&now).ok()) return false;
  return now.width != format_.width || now.height != format_.height ||
         now.pixelformat != format_.pixelformat || now.colorspace != format_.colorspace ||
         now.xfer_func != format_.xfer_func || now.ycbcr_enc != format_.ycbcr_enc ||
         now.quantization != format_.quantization;
}

// --- Streaming -----------------------------------------------------------------------------------

void Stream::MakeSlots(uint32_t count) {
  slots_.clear();
  slots_.resize(count);
}

sdk::Status Stream::Put(sdk::Frame frame) {
  const sluice_buffer_id id = frame.BufferId();
  const uint32_t index = id.index;
  if (IsStranger(id)) {
    return sdk::Status::Error(SLUICE_E_INTERNAL,
                              "buffer %u of pool %u, epoch %u, is none that %s has made", index,
                              id.pool, id.epoch, device_->path().c_str());
  }
  if (index >= slots_.size() || slots_[index].frame) {
    return sdk::Status::Error(SLUICE_E_INTERNAL, "buffer %u is none of %zu, or twice in the device",
                              index, slots_.size());
  }
  Slot& slot = slots_[index];
  if (sdk::Status status = FillMemory(frame, &slot); !status.ok()) return status;
  const sluice_frame_info& info = frame.Info();
  const int64_t time = info.pts_ns == SLUICE_PTS_NONE ? 0 : std::max<int64_t>(info.pts_ns, 0);
  if (sdk::Status status = queue_->Put(index, slot.memory, time, info.bytes_used); !status.ok()) {
    return status;
  }
  slot.frame = std::move(frame);
  return {};
}

sdk::Expected<std::optional<Stream::Done>> Stream::Get() {
  if (queue_ == nullptr) return std::optional<Done>();
  auto buffer = queue_->Get();
  if (!buffer.ok()) return buffer.status();
  if (!buffer->has_value()) return std::optional<Done>();
  const Dequeued& dequeued = **buffer;
  if (dequeued.index >= slots_.size() || !slots_[dequeued.index].frame) {
    return sdk::Status::Error(SLUICE_E_IO, "%s gives back buffer %u, which it does not have",
                              device_->path().c_str(), dequeued.index);
  }
  return std::optional<Done>(Done{dequeued, std::move(slots_[dequeued.index].frame)});
}

void Stream::StreamOff() {
  if (queue_ != nullptr) queue_->StreamOff();
  for (Slot& slot : slots_) slot.frame.Release();
}

void Stream::Close() {
  StreamOff();
  slots_.clear();
  queue_.reset();
  allocated_.reset();
}

}  // namespace sluice::v4l2
