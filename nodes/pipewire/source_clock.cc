#include "nodes/pipewire/source_clock.h"

#include <algorithm>

namespace sluice::pipewire {
namespace {

/// A stamp further away than this from the arrival is of another clock.
constexpr int64_t kPlausibleNs = 10'000'000'000;
/// No more can be lost between two frames; beyond, the source began to count anew.
constexpr uint64_t kPlausibleGap = UINT64_C(1) << 31;

}  // namespace

SourceClock::Stamp SourceClock::Next(const Delivery& delivery) {
  Stamp stamp;
  const bool monotonic = delivery.pts_ns > 0 && delivery.pts_ns <= delivery.received_ns &&
                         delivery.received_ns - delivery.pts_ns < kPlausibleNs;
  stamp.captured_ns = monotonic ? delivery.pts_ns : 0;
  if (first_) {
    first_ = false;
    by_arrival_ = delivery.pts_ns < 0;
    first_pts_ns_ = delivery.pts_ns;
    first_received_ns_ = delivery.received_ns;
    last_counted_ = delivery.sequence;
    return stamp;
  }
  uint64_t step = delivery.counted ? delivery.sequence - last_counted_ : 1;
  if (step == 0 || step > kPlausibleGap) step = 1;
  last_counted_ = delivery.sequence;
  sequence_ += step;
  stamp.sequence = sequence_;
  stamp.lost = step - 1;

  int64_t pts = delivery.pts_ns - first_pts_ns_;
  // The smallest stamps are far from any overflow; the largest are not.
  const bool usable =
      delivery.pts_ns >= 0 && pts > last_pts_ns_ && pts - last_pts_ns_ < INT64_MAX / 2;
  by_arrival_ = by_arrival_ || !usable;
  if (by_arrival_) pts = std::max(delivery.received_ns - first_received_ns_, last_pts_ns_ + 1);
  last_pts_ns_ = pts;
  stamp.pts_ns = pts;
  return stamp;
}

}  // namespace sluice::pipewire
