#include "nodes/drm/kms.h"

#include <linux/sync_file.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

namespace sluice::drm {

const char* ErrnoText(int number) {
  const char* text = strerrordesc_np(number);
  return text == nullptr ? "unknown error" : text;
}

sdk::Status KmsError(int number, const char* what) {
  switch (number) {
    case ENODEV:
    case ENXIO:
      return sdk::Status::Error(SLUICE_E_DEVICE_LOST, "%s: the device is gone (%s)", what,
                                ErrnoText(number));
    case EACCES:
      return sdk::Status::Error(SLUICE_E_PERMISSION_DENIED,
                                "%s: another program has the display (%s)", what,
                                ErrnoText(number));
    case EINVAL:
    case ERANGE:
    case ENOSPC:
    case EOPNOTSUPP:
    case ENOSYS:
      return sdk::Status::Error(SLUICE_E_UNSUPPORTED, "%s: %s", what, ErrnoText(number));
    case ENOMEM:
      return sdk::Status::Error(SLUICE_E_RESOURCE_EXHAUSTED, "%s: %s", what, ErrnoText(number));
    default:
      return sdk::Status::Error(SLUICE_E_IO, "%s: %s", what, ErrnoText(number));
  }
}

Properties Properties::Read(int fd, uint32_t object, uint32_t type) {
  Properties result;
  const std::unique_ptr<drmModeObjectProperties, Freed<drmModeFreeObjectProperties>> list(
      drmModeObjectGetProperties(fd, object, type));
  if (list == nullptr) return result;
  for (uint32_t i = 0; i < list->count_props; ++i) {
    const std::unique_ptr<drmModePropertyRes, Freed<drmModeFreeProperty>> property(
        drmModeGetProperty(fd, list->props[i]));
    if (property == nullptr) continue;
    Property& entry = result.all_.emplace_back();
    entry.name.assign(property->name, strnlen(property->name, DRM_PROP_NAME_LEN));
    entry.id = property->prop_id;
    entry.value = list->prop_values[i];
    for (int c = 0; c < property->count_enums; ++c) {
      const drm_mode_property_enum& choice = property->enums[c];
      entry.choices.emplace_back(std::string(choice.name, strnlen(choice.name, DRM_PROP_NAME_LEN)),
                                 choice.value);
    }
  }
  return result;
}

const Properties::Property* Properties::Find(const char* name) const {
  for (const Property& property : all_) {
    if (property.name == name) return &property;
  }
  return nullptr;
}

uint32_t Properties::Id(const char* name) const {
  const Property* property = Find(name);
  return property == nullptr ? 0 : property->id;
}

uint64_t Properties::Value(const char* name, uint64_t fallback) const {
  const Property* property = Find(name);
  return property == nullptr ? fallback : property->value;
}

bool Properties::Choice(const char* name, const char* choice, uint64_t* value) const {
  const Property* property = Find(name);
  if (property == nullptr) return false;
  for (const auto& [text, number] : property->choices) {
    if (text != choice) continue;
    *value = number;
    return true;
  }
  return false;
}

std::optional<std::size_t> ChooseCrtc(std::span<const CrtcUse> crtcs) {
  std::optional<std::size_t> best;
  const auto rank = [](const CrtcUse& crtc) { return (crtc.lit ? 0 : 2) + (crtc.current ? 1 : 0); };
  for (std::size_t i = 0; i < crtcs.size(); ++i) {
    if (crtcs[i].possible && (!best || rank(crtcs[i]) > rank(crtcs[*best]))) best = i;
  }
  return best;
}

std::vector<std::byte> ReadBlob(int fd, uint32_t blob) {
  if (blob == 0) return {};
  const BlobPtr read(drmModeGetPropertyBlob(fd, blob));
  if (read == nullptr || read->data == nullptr) return {};
  const auto* bytes = static_cast<const std::byte*>(read->data);
  return {bytes, bytes + read->length};
}

void AtomicRequest::Clear() {
  objects_.clear();
  counts_.clear();
  properties_.clear();
  values_.clear();
}

void AtomicRequest::Object(uint32_t id) {
  objects_.push_back(id);
  counts_.push_back(0);
}

void AtomicRequest::Set(uint32_t property, uint64_t value) {
  if (property == 0) return;
  ++counts_.back();
  properties_.push_back(property);
  values_.push_back(value);
}

int AtomicRequest::Commit(int fd, uint32_t flags, uint64_t user_data) {
  drm_mode_atomic atomic{};
  atomic.flags = flags;
  atomic.count_objs = static_cast<uint32_t>(objects_.size());
  atomic.objs_ptr = reinterpret_cast<uintptr_t>(objects_.data());
  atomic.count_props_ptr = reinterpret_cast<uintptr_t>(counts_.data());
  atomic.props_ptr = reinterpret_cast<uintptr_t>(properties_.data());
  atomic.prop_values_ptr = reinterpret_cast<uintptr_t>(values_.data());
  atomic.user_data = user_data;
  return drmIoctl(fd, DRM_IOCTL_MODE_ATOMIC, &atomic) == 0 ? 0 : errno;
}

Blob::Blob(int fd, const void* bytes, std::size_t size) : fd_(fd) {
  if (drmModeCreatePropertyBlob(fd, bytes, size, &id_) != 0) id_ = 0;
}

Blob::~Blob() {
  if (id_ != 0) drmModeDestroyPropertyBlob(fd_, id_);
}

std::vector<FlipEvent> ParseEvents(std::span<const std::byte> bytes) {
  std::vector<FlipEvent> flips;
  while (bytes.size() >= sizeof(drm_event)) {
    drm_event head;
    std::memcpy(&head, bytes.data(), sizeof(head));
    if (head.length < sizeof(head) || head.length > bytes.size()) break;
    if (head.type == DRM_EVENT_FLIP_COMPLETE && head.length >= sizeof(drm_event_vblank)) {
      drm_event_vblank event;
      std::memcpy(&event, bytes.data(), sizeof(event));
      flips.push_back({event.user_data,
                       int64_t{event.tv_sec} * 1'000'000'000 + int64_t{event.tv_usec} * 1000,
                       event.sequence});
    }
    bytes = bytes.subspan(head.length);
  }
  return flips;
}

int32_t FenceStatus(int fd) {
  if (fd < 0) return 1;
  sync_file_info info{};
  if (ioctl(fd, SYNC_IOC_FILE_INFO, &info) != 0) return 0;
  return info.status;
}

namespace {

/// The fences that a sync_file is made of.
struct FenceList {
  static constexpr uint32_t kMost = 16;
  std::array<sync_fence_info, kMost> fences{};
  sync_file_info info{};
  /// False: more than fit, or no sync_file.
  bool Read(int fd) {
    info.num_fences = kMost;
    info.sync_fence_info = reinterpret_cast<uintptr_t>(fences.data());
    return ioctl(fd, SYNC_IOC_FILE_INFO, &info) == 0;
  }
  uint32_t count() const { return std::min(info.num_fences, kMost); }
};

}  // namespace

bool MayNeverSignal(int fd) {
  FenceList list;
  if (!list.Read(fd)) return true;
  for (uint32_t i = 0; i < list.count(); ++i) {
    if (std::strncmp(list.fences[i].driver_name, "sw_sync", sizeof("sw_sync")) == 0) return true;
  }
  return false;
}

FenceInfo DescribeFence(int fd) {
  FenceInfo result;
  if (fd < 0) return result;
  FenceList list;
  if (!list.Read(fd)) {
    result.status = FenceStatus(fd);
    return result;
  }
  const sync_file_info& info = list.info;
  result.status = info.status;
  for (uint32_t i = 0; i < list.count(); ++i) {
    const sync_fence_info& fence = list.fences[i];
    if (info.status == 0 && fence.status != 0) continue;
    result.signaller = std::string(fence.driver_name, strnlen(fence.driver_name, 32)) +
                       " timeline " + std::string(fence.obj_name, strnlen(fence.obj_name, 32));
    break;
  }
  return result;
}

}  // namespace sluice::drm
