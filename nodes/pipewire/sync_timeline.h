#ifndef NODES_PIPEWIRE_SYNC_TIMELINE_H_
#define NODES_PIPEWIRE_SYNC_TIMELINE_H_

#include <cstdint>
#include <memory>

#include <pipewire/pipewire.h>
#include <spa/buffer/buffer.h>

#include <sluice/fence.hpp>
#include <sluice/node.hpp>
#include <sluice/unique_fd.hpp>

namespace sluice::pipewire {

/// A pair of timeline syncobjs of one buffer, as SPA_META_SyncTimeline has them: when its picture
/// is there, and when a reader's GPU is done with it. Spec: PipeWire's
/// doc/dox/internals/dma-buf.dox, drivers/gpu/drm/drm_syncobj.c. Threads: any one at a time.
class SyncPair {
 public:
  /// How many spa_datas it is.
  static constexpr uint32_t kDatas = 2;

  /// Whether this machine and this PipeWire have what is needed: a DRM device (its fd, for Make()),
  /// else empty.
  static sdk::UniqueFd FindDevice();
  /// `readers`: who will signal the release, for verdicts. `device` is borrowed.
  /// Errors: UNSUPPORTED, IO.
  static sdk::Expected<SyncPair> Make(const sdk::NodeContext& context, int device,
                                      const char* readers);

  /// Puts the pair into the datas behind the `planes` first ones.
  void Fill(spa_buffer& buffer, uint32_t planes) const;
  /// A new turn of the buffer, which may be read when `fence` (borrowed; -1: now) signals.
  /// Errors: IO.
  sdk::Status Publish(spa_buffer& buffer, int fence);

  /// The turn that was published last.
  uint64_t point() const { return point_; }
  /// When its reader is done with it.
  sdk::Fence Release() const { return sdk::Fence::At(release_, point_); }
  /// 1: it is; 0: not yet; negative: an error.
  int32_t Released() const { return release_.StatusOf(point_); }
  /// Signals it in the reader's place.
  void ReleaseNow() const;

 private:
  const sluice_timeline_api* api_ = nullptr;
  sdk::UniqueFd acquire_fd_;
  sdk::UniqueFd release_fd_;
  sdk::Timeline acquire_;
  sdk::Timeline release_;
  uint64_t point_ = 0;
};

}  // namespace sluice::pipewire

#endif  // NODES_PIPEWIRE_SYNC_TIMELINE_H_
