#ifndef NODES_PIPEWIRE_FORMATS_H_
#define NODES_PIPEWIRE_FORMATS_H_

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <spa/param/video/format-utils.h>
#include <spa/pod/builder.h>

#include <sluice/format.h>
#include <sluice/status.hpp>

namespace sluice::pipewire {

/// A format of SPA and the DRM token that means the same bytes.
struct FormatEntry {
  uint32_t media_subtype;  ///< SPA_MEDIA_SUBTYPE_raw, or that of a compressed picture
  uint32_t spa;            ///< SPA_VIDEO_FORMAT_*; 0 for a compressed one
  uint32_t drm;
  bool rgb;
  uint8_t plane_count;

  bool compressed() const { return media_subtype != SPA_MEDIA_SUBTYPE_raw; }
};

/// All that are known. Spec: spa/param/video/raw.h (bytes in memory order), drm_fourcc.h (words).
std::span<const FormatEntry> AllFormats();
/// Null where there is none.
const FormatEntry* FindDrm(uint32_t drm);
const FormatEntry* FindSpa(uint32_t media_subtype, uint32_t spa);
/// "XR24".
std::string FourccName(uint32_t fourcc);

struct Size {
  uint32_t width = 0;
  uint32_t height = 0;

  bool operator==(const Size&) const = default;
};

/// What a port can do, or (with one value everywhere) what was agreed on.
struct VideoFormat {
  const FormatEntry* entry = nullptr;
  /// Preferred first. Empty: memory of any kind but dma-buf.
  std::vector<uint64_t> modifiers;
  /// The link may not pick one of `modifiers` by itself: the producer does, when it knows which
  /// can be had.
  bool modifiers_open = false;
  Size size, size_min, size_max;               ///< `size` is preferred; pixels
  std::vector<Size> sizes;                     ///< where a peer lists single ones
  sluice_rate rate{}, rate_min{}, rate_max{};  ///< 0/x: variable
  std::vector<sluice_rate> rates;              ///< where a peer lists single ones
  sluice_color color{};                        ///< a field of 0: not said

  bool dmabuf() const { return !modifiers.empty(); }
};

/// Memory for pods, as much as they need. They are valid while it lives and nothing else is built.
class PodBuilder {
 public:
  PodBuilder();
  PodBuilder(const PodBuilder&) = delete;
  PodBuilder& operator=(const PodBuilder&) = delete;

  spa_pod_builder* get() { return &builder_; }

 private:
  spa_pod_builder builder_{};
  std::vector<uint8_t> memory_;
};

/// Several pods as PipeWire takes them. Each is built in memory of its own.
class PodList {
 public:
  PodBuilder& Next() { return *builders_.emplace_back(std::make_unique<PodBuilder>()); }
  void Add(const spa_pod* pod) { pods_.push_back(pod); }
  const spa_pod** data() { return pods_.data(); }
  uint32_t size() const { return static_cast<uint32_t>(pods_.size()); }

 private:
  std::vector<std::unique_ptr<PodBuilder>> builders_;
  std::vector<const spa_pod*> pods_;
};

/// `format` as SPA_PARAM_EnumFormat (or `id`).
const spa_pod* BuildFormat(PodBuilder& builder, const VideoFormat& format,
                           uint32_t id = SPA_PARAM_EnumFormat);

/// What an EnumFormat says, by pixel format, as its peer prefers them.
/// Errors: UNSUPPORTED for one that is no video, or of formats that are not known;
/// INVALID_ARGUMENT for one that cannot be read.
sdk::Expected<std::vector<VideoFormat>> ParseFormats(const spa_pod* pod);
/// What a Format says: the first of ParseFormats().
sdk::Expected<VideoFormat> ParseFormat(const spa_pod* pod);

}  // namespace sluice::pipewire

#endif  // NODES_PIPEWIRE_FORMATS_H_
