#ifndef SLUICE_SDK_PACE_HPP_
#define SLUICE_SDK_PACE_HPP_

#include <cstdint>

namespace sluice::sdk {

/// The times at which a source that keeps the time of its medium gives out its frames
/// (`Configuration::realtime()`). The first is due at once, and the others as much later as their
/// pts say. What is late by little is made up for; after a longer pause the source goes on from
/// there at its own pace, and does not race through what it missed.
/// Times are ns; `now` is CLOCK_MONOTONIC. Threads: any one at a time.
class Pace {
 public:
  /// What is made up for.
  static constexpr int64_t kMostLateNs = 200'000'000;

  /// When the frame is due: `now` or before means at once, later is for `NodeContext::WakeAt`. To
  /// be asked again then.
  int64_t DueNs(int64_t pts_ns, int64_t now_ns) {
    const int64_t due = start_ns_ + pts_ns;
    if (started_ && now_ns - due <= kMostLateNs) return due;
    started_ = true;
    start_ns_ = now_ns - pts_ns;
    return now_ns;
  }
  /// The next frame is the first.
  void Restart() { started_ = false; }

 private:
  bool started_ = false;
  int64_t start_ns_ = 0;  ///< of pts 0
};

}  // namespace sluice::sdk

#endif  // SLUICE_SDK_PACE_HPP_
