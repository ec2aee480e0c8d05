#include "nodes/drm/pacer.h"

#include <algorithm>

namespace sluice::drm {

std::optional<int64_t> Pacer::Due(const sluice_frame_info& info) const {
  if (!offset_ns_ || info.pts_ns == SLUICE_PTS_NONE) return std::nullopt;
  if ((info.flags & SLUICE_FRAME_DISCONTINUITY) != 0) return std::nullopt;
  int64_t due = 0;
  if (__builtin_add_overflow(info.pts_ns, *offset_ns_, &due)) return std::nullopt;
  return due;
}

int64_t Pacer::NotBefore(const sluice_frame_info& info) const {
  const std::optional<int64_t> due = Due(info);
  if (!due) return 0;
  // Half a refresh before it: then the next vblank is the nearest one.
  return std::max<int64_t>(0, *due - refresh_ns_ / 2);
}

bool Pacer::Shown(const sluice_frame_info& info, int64_t time_ns) {
  const std::optional<int64_t> due = Due(info);
  int64_t lateness = 0;
  const bool known = due && !__builtin_sub_overflow(time_ns, *due, &lateness);
  if (!known || lateness > kGiveUpNs || lateness < -kGiveUpNs) {
    int64_t offset = 0;
    offset_ns_.reset();
    if (info.pts_ns != SLUICE_PTS_NONE && !__builtin_sub_overflow(time_ns, info.pts_ns, &offset)) {
      offset_ns_ = offset;
    }
    return known && lateness > 0;
  }
  // Its vblank is the first at or after its time; a tenth for the jitter of timestamps.
  return lateness > refresh_ns_ + refresh_ns_ / 10;
}

}  // namespace sluice::drm
