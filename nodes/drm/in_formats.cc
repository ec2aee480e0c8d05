#include "nodes/drm/in_formats.h"

#include <algorithm>
#include <cstring>

#include <drm_fourcc.h>
#include <drm_mode.h>

namespace sluice::drm {
namespace {

/// Far beyond any plane; a bound for loops.
constexpr uint32_t kMaxFormats = 4096;
constexpr uint32_t kMaxModifiers = 4096;
constexpr uint32_t kFormatsOfAnEntry = 64;

/// Copies element `index` of an array at `offset`; blobs promise no alignment.
template <class T>
T At(std::span<const std::byte> blob, uint32_t offset, uint32_t index) {
  T value;
  std::memcpy(&value, blob.data() + offset + std::size_t{index} * sizeof(T), sizeof(T));
  return value;
}

bool Holds(std::span<const std::byte> blob, uint32_t offset, uint32_t count, std::size_t size) {
  return uint64_t{offset} + uint64_t{count} * size <= blob.size();
}

}  // namespace

sdk::Expected<std::vector<PlaneFormat>> ParseInFormats(std::span<const std::byte> blob) {
  const auto refuse = [&](const char* what, uint64_t number) {
    return sdk::Status::Error(SLUICE_E_INVALID_ARGUMENT,
                              "IN_FORMATS: %s %llu in a blob of %zu bytes", what,
                              static_cast<unsigned long long>(number), blob.size());
  };
  if (blob.size() < sizeof(drm_format_modifier_blob)) return refuse("no header,", 0);
  const auto head = At<drm_format_modifier_blob>(blob, 0, 0);
  if (head.version != FORMAT_BLOB_CURRENT) return refuse("version", head.version);
  if (head.count_formats > kMaxFormats ||
      !Holds(blob, head.formats_offset, head.count_formats, sizeof(uint32_t))) {
    return refuse("formats:", head.count_formats);
  }
  if (head.count_modifiers > kMaxModifiers ||
      !Holds(blob, head.modifiers_offset, head.count_modifiers, sizeof(drm_format_modifier))) {
    return refuse("modifiers:", head.count_modifiers);
  }

  std::vector<PlaneFormat> formats(head.count_formats);
  for (uint32_t i = 0; i < head.count_formats; ++i) {
    formats[i].fourcc = At<uint32_t>(blob, head.formats_offset, i);
  }
  for (uint32_t i = 0; i < head.count_modifiers; ++i) {
    const auto entry = At<drm_format_modifier>(blob, head.modifiers_offset, i);
    for (uint32_t bit = 0; bit < kFormatsOfAnEntry; ++bit) {
      if ((entry.formats >> bit & 1) == 0) continue;
      const uint64_t index = uint64_t{entry.offset} + bit;
      if (index >= formats.size()) return refuse("a modifier of format", index);
      formats[index].modifiers.push_back(entry.modifier);
    }
  }
  for (PlaneFormat& format : formats) {
    std::sort(format.modifiers.begin(), format.modifiers.end());
    format.modifiers.erase(std::unique(format.modifiers.begin(), format.modifiers.end()),
                           format.modifiers.end());
  }
  std::erase_if(formats, [](const PlaneFormat& format) { return format.modifiers.empty(); });
  return formats;
}

std::vector<PlaneFormat> LinearFormats(std::span<const uint32_t> fourccs) {
  std::vector<PlaneFormat> formats;
  for (const uint32_t fourcc : fourccs) formats.push_back({fourcc, {DRM_FORMAT_MOD_LINEAR}});
  return formats;
}

bool Takes(std::span<const PlaneFormat> formats, uint32_t fourcc, uint64_t modifier) {
  return std::any_of(formats.begin(), formats.end(), [&](const PlaneFormat& format) {
    return format.fourcc == fourcc &&
           std::binary_search(format.modifiers.begin(), format.modifiers.end(), modifier);
  });
}

}  // namespace sluice::drm
