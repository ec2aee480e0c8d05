#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <sluice/sdk.hpp>

namespace sluice::drm {

/// A pixel format and the modifiers that a plane takes it with, sorted.
struct PlaneFormat {
  uint32_t fourcc = 0;
  std::vector<uint64_t> modifiers;
  friend bool operator==(const PlaneFormat&, const PlaneFormat&) = default;
};

/// Reads the blob of the plane property IN_FORMATS. Every number in it is checked: a driver's
/// mistake is not ours. Formats come in the blob's order; one without a modifier is left out.
/// Errors: INVALID_ARGUMENT, with what lies beyond the blob.
/// Spec: struct drm_format_modifier_blob in drm_mode.h
sdk::Expected<std::vector<PlaneFormat>> ParseInFormats(std::span<const std::byte> blob);

/// The same for a plane without that property: linear, and nothing else is known.
std::vector<PlaneFormat> LinearFormats(std::span<const uint32_t> fourccs);

/// Whether the plane takes the pair.
bool Takes(std::span<const PlaneFormat> formats, uint32_t fourcc, uint64_t modifier);

}  // namespace sluice::drm
