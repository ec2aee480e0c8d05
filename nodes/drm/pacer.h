#pragma once

#include <cstdint>
#include <optional>

#include <sluice/frame.h>

namespace sluice::drm {

/// When a picture is due on a screen in real time, and whether it was late. The first picture sets
/// the clock, and so does one after a discontinuity or a long gap.
/// Times: CLOCK_MONOTONIC, ns.
class Pacer {
 public:
  /// How late a picture is before the clock starts anew: whoever stands still for that long does
  /// not make up for it.
  static constexpr int64_t kGiveUpNs = 500'000'000;

  explicit Pacer(int64_t refresh_ns = 0) : refresh_ns_(refresh_ns) {}

  /// The earliest time to hand the picture to the kernel, for the vblank that is nearest to its
  /// time; 0: at once.
  int64_t NotBefore(const sluice_frame_info& info) const;
  /// The picture was shown at `time_ns`. True: it missed its vblank.
  bool Shown(const sluice_frame_info& info, int64_t time_ns);

 private:
  /// Nothing where the picture has no time or there is no clock yet.
  std::optional<int64_t> Due(const sluice_frame_info& info) const;

  int64_t refresh_ns_ = 0;
  std::optional<int64_t> offset_ns_;  ///< from media time to the clock
};

}  // namespace sluice::drm
