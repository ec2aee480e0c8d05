#include "nodes/drm/formats.h"

#include <algorithm>

#include <drm_fourcc.h>

namespace sluice::drm {
namespace {

// The manifest (drm.sluice.yaml) declares the same.
constexpr uint32_t kFourccs[] = {SLUICE_FORMAT_XR24, SLUICE_FORMAT_AR24, SLUICE_FORMAT_XB24,
                                 SLUICE_FORMAT_AB24, SLUICE_FORMAT_NV12, SLUICE_FORMAT_YU12,
                                 SLUICE_FORMAT_YUYV, SLUICE_FORMAT_UYVY, SLUICE_FORMAT_NV21,
                                 SLUICE_FORMAT_NV16, SLUICE_FORMAT_P010, SLUICE_FORMAT_RG16,
                                 SLUICE_FORMAT_RG24, SLUICE_FORMAT_BG24, SLUICE_FORMAT_AB4H};
constexpr uint64_t kModifiers[] = {
    DRM_FORMAT_MOD_LINEAR,        I915_FORMAT_MOD_X_TILED,
    I915_FORMAT_MOD_Y_TILED,      I915_FORMAT_MOD_Yf_TILED,
    I915_FORMAT_MOD_4_TILED,      DRM_FORMAT_MOD_BROADCOM_VC4_T_TILED,
    DRM_FORMAT_MOD_VIVANTE_TILED, DRM_FORMAT_MOD_VIVANTE_SUPER_TILED};

uint32_t WithoutAlpha(uint32_t fourcc) {
  switch (fourcc) {
    case SLUICE_FORMAT_AR24:
      return SLUICE_FORMAT_XR24;
    case SLUICE_FORMAT_AB24:
      return SLUICE_FORMAT_XB24;
    case SLUICE_FORMAT_AB4H:
      return DRM_FORMAT_XBGR16161616F;
    default:
      return fourcc;
  }
}

const PlaneFormat* Find(std::span<const PlaneFormat> plane, uint32_t fourcc) {
  for (const PlaneFormat& format : plane) {
    if (format.fourcc == fourcc) return &format;
  }
  return nullptr;
}

}  // namespace

std::vector<FormatGroup> GroupFormats(std::span<const PlaneFormat> plane) {
  std::vector<FormatGroup> groups;
  for (const uint32_t fourcc : kFourccs) {
    const PlaneFormat* format = Find(plane, WithoutAlpha(fourcc));
    if (format == nullptr) format = Find(plane, fourcc);
    if (format == nullptr) continue;
    std::vector<uint64_t> modifiers;
    for (const uint64_t modifier : kModifiers) {
      if (std::binary_search(format->modifiers.begin(), format->modifiers.end(), modifier)) {
        modifiers.push_back(modifier);
      }
    }
    if (modifiers.empty()) continue;
    const auto same = std::find_if(groups.begin(), groups.end(), [&](const FormatGroup& group) {
      return group.modifiers == modifiers;
    });
    if (same != groups.end()) {
      same->fourccs.push_back(fourcc);
    } else {
      groups.push_back({{fourcc}, std::move(modifiers)});
    }
  }
  return groups;
}

uint32_t ShownAs(std::span<const PlaneFormat> plane, uint32_t fourcc, uint64_t modifier) {
  if (Takes(plane, WithoutAlpha(fourcc), modifier)) return WithoutAlpha(fourcc);
  return Takes(plane, fourcc, modifier) ? fourcc : 0;
}

DumbShape DumbShapeOf(uint32_t fourcc) {
  switch (fourcc) {
    case SLUICE_FORMAT_XR24:
    case SLUICE_FORMAT_AR24:
    case SLUICE_FORMAT_XB24:
    case SLUICE_FORMAT_AB24:
      return {32, 1, 1};
    case SLUICE_FORMAT_RG16:
    case SLUICE_FORMAT_YUYV:
    case SLUICE_FORMAT_UYVY:
      return {16, 1, 1};
    case SLUICE_FORMAT_NV12:
    case SLUICE_FORMAT_NV21:
      return {8, 3, 2};
    case SLUICE_FORMAT_NV16:
      return {8, 2, 1};
    default:
      return {};
  }
}

sluice_layout DumbLayout(uint32_t fourcc, uint32_t width, uint32_t height, uint32_t stride,
                         uint64_t size) {
  const DumbShape shape = DumbShapeOf(fourcc);
  sluice_layout layout{};
  if (uint64_t{width} * shape.bits_per_pixel > uint64_t{stride} * 8) return layout;
  layout.coded_width = width;
  layout.coded_height = height;
  layout.part_count = 1;
  layout.size = size;
  layout.planes[0].stride = stride;
  layout.planes[0].size = uint64_t{stride} * height;
  uint32_t planes = 1;
  uint64_t end = layout.planes[0].size;
  if (shape.rows_num != shape.rows_den) {
    // The interleaved chroma has a byte for each byte of a luma row, in fewer rows (or as many).
    layout.planes[1].offset = end;
    layout.planes[1].stride = stride;
    layout.planes[1].size =
        uint64_t{stride} *
        ((uint64_t{height} * (shape.rows_num - shape.rows_den) + shape.rows_den - 1) /
         shape.rows_den);
    end += layout.planes[1].size;
    planes = 2;
  }
  if (end > size) return {};
  layout.plane_count = planes;
  return layout;
}

}  // namespace sluice::drm
