#pragma once

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include <xf86drmMode.h>
#include <sluice/sdk.hpp>

#include "nodes/drm/card.h"
#include "nodes/drm/event_loop.h"
#include "nodes/drm/fit.h"
#include "nodes/drm/in_formats.h"
#include "nodes/drm/kms.h"
#include "nodes/drm/saved_state.h"

namespace sluice::drm {

/// One picture on its way to the screen.
struct Shot {
  uint64_t invocation = 0;
  uint32_t framebuffer = 0;
  Placement placement;
  sdk::Frame frame;
  sdk::UniqueFd fence;        ///< when it may be read; none = now
  bool wait_here = false;     ///< for that, before the kernel is given the picture
  int64_t not_before_ns = 0;  ///< CLOCK_MONOTONIC: not handed to the kernel earlier
};

/// Who shows pictures. Called on the event thread, never for two pictures at once.
class ScreenClient {
 public:
  virtual ~ScreenClient() = default;
  /// The picture of this invocation is being scanned out since `time_ns` (CLOCK_MONOTONIC).
  /// `fence_status` negative: its producer's fence carries that error.
  virtual void OnShown(uint64_t invocation, int64_t time_ns, int32_t fence_status) = 0;
  virtual void OnFailed(uint64_t invocation, const sdk::Status& status) = 0;
  /// Stop() came first. [main-thread]
  virtual void OnCancelled(uint64_t invocation) = 0;
  /// A fact for the report.
  virtual void OnNote(const char* text) = 0;
};

/// A buffer that the next picture may be written back into.
struct WritebackTarget {
  uint32_t framebuffer = 0;
  sdk::Frame frame;
};

/// A picture that is being written back.
struct Written {
  sdk::Frame frame;
  sdk::UniqueFd fence;  ///< when it is there
};

/// Who takes pictures back. [event thread, process thread of the display]
class WritebackClient {
 public:
  virtual ~WritebackClient() = default;
  /// There is something to take, or the screen has ended.
  virtual void OnWritten() = 0;
};

/// A writeback connector and the ids of its properties.
struct WritebackConnector {
  uint32_t id = 0;
  uint32_t crtc_id = 0;
  uint32_t fb_id = 0;
  uint32_t out_fence = 0;
  uint64_t every = 1;     ///< each n-th picture
  bool lossless = false;  ///< a picture waits until there is a buffer to write it back into
};

/// One connector with its CRTC and primary plane. One commit is under way at a time.
/// Threads: Open to SetMode, Start and Stop from the main thread; the rest [thread-safe].
class Screen final : public EventSink, public std::enable_shared_from_this<Screen> {
 public:
  /// `connector`: a name as HDMI-A-1, or "auto" for the first connected one that is free.
  /// Errors: NOT_FOUND; ALREADY_EXISTS where a node of this process has it; UNSUPPORTED.
  static sdk::Expected<std::shared_ptr<Screen>> Open(std::shared_ptr<Card> card,
                                                     const std::string& connector);

  Card& card() const { return *card_; }
  const std::string& connector_name() const { return connector_name_; }
  uint32_t connector() const { return connector_; }
  uint32_t crtc() const { return crtc_; }
  uint32_t crtc_index() const { return crtc_index_; }
  uint32_t plane() const { return plane_; }
  const std::vector<drmModeModeInfo>& modes() const { return modes_; }
  const std::vector<PlaneFormat>& formats() const { return formats_; }

  /// What the plane can do beyond showing a picture of the mode's size. Tried with TEST_ONLY.
  /// Errors: PERMISSION_DENIED without master; DEVICE_LOST.
  sdk::Expected<PlaneAbility> TryAbility(const drmModeModeInfo& mode);

  /// What the next commits show with. A mode that differs is set with the next picture.
  void SetMode(const drmModeModeInfo& mode, const sluice_color& color);
  std::optional<drmModeModeInfo> mode() const;
  /// Errors: UNSUPPORTED, with the driver's words.
  sdk::Status Test(uint32_t framebuffer, const Placement& placement);

  /// Saves what is there now. `client` is called until Stop().
  /// `flip_timeout_ns`: how long a picture may take to be shown.
  sdk::Status Start(ScreenClient* client, int64_t flip_timeout_ns);
  /// Hands a picture over; OnShown or OnFailed follows, once, unless this fails.
  /// Requires: the one before was shown.
  sdk::Status Show(Shot shot);
  /// No picture follows.
  void MarkEnded();
  /// Gives all frames back and restores what Start() saved. Waits for the flip under way, until
  /// `deadline_ns` (CLOCK_MONOTONIC). Success means that the screen is as it was.
  sdk::Status Stop(int64_t deadline_ns);
  /// Restores what a Stop() could not, as a commit was under way, where that has ended by now.
  /// Before the first framebuffer goes: the kernel turns off the CRTC that shows it.
  /// Errors: as of a commit. [main-thread]
  sdk::Status RestoreLate();

  /// Whose pictures are written back from now on. One at a time.
  /// Errors: ALREADY_EXISTS.
  sdk::Status AttachWriteback(const WritebackConnector& connector, WritebackClient* client);
  /// Gives back what was offered and not used.
  void DetachWriteback();
  void OfferTarget(WritebackTarget target);
  std::size_t Targets() const;
  /// The oldest picture that was written. False: there is none.
  bool TakeWritten(Written* written);
  /// Pictures that found no buffer since the last call.
  uint64_t TakeMissed();
  bool ended() const;

  // EventSink.
  void OnFlip(const FlipEvent& flip) override;
  void OnLost(const sdk::Status& why) override;
  Next Advance(int64_t now_ns) override;

 private:
  struct PropertyIds {
    uint32_t connector_crtc_id, mode_id, active, out_fence;
    uint32_t fb_id, crtc_id, src_x, src_y, src_w, src_h, crtc_x, crtc_y, crtc_w, crtc_h, in_fence;
    uint32_t blend, color_encoding, color_range;
    uint64_t blend_none;
  };
  Screen() = default;
  sdk::Status ChooseConnector(const std::string& name);
  sdk::Status ChooseCrtc(const drmModeConnector& connector);
  sdk::Status ChoosePlane();
  sdk::Status ReadProperties();

  // The lock is held in all of these.
  void BuildPlane(AtomicRequest& request, uint32_t framebuffer, const Placement& placement);
  void BuildModeset(AtomicRequest& request, uint32_t mode_blob);
  bool TryCommit(const drmModeModeInfo& mode, uint32_t framebuffer, const Placement& placement,
                 int* error);
  sdk::Status CommitWaiting(int64_t now_ns, bool* committed);
  int CommitOnce(bool with_fences, bool modeset, int32_t* out_fence, int32_t* writeback_fence);
  bool WaitsForTarget() const;
  bool CommitUnderWay() const;
  bool AddWriteback(AtomicRequest& request, int32_t* fence);
  void FinishWriteback(bool committed, int32_t fence);
  void FailWaiting(const sdk::Status& status);
  void FinishFlight();
  sdk::Status DescribeLate(const Shot& shot, bool in_flight) const;
  sdk::Status Restore();

  std::shared_ptr<Card> card_;
  std::string connector_name_;
  uint32_t connector_ = 0, crtc_ = 0, crtc_index_ = 0, plane_ = 0;
  std::vector<drmModeModeInfo> modes_;
  std::vector<PlaneFormat> formats_;
  PropertyIds ids_{};

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  AtomicRequest request_;
  drmModeModeInfo mode_{};
  bool has_mode_ = false;
  Blob mode_blob_;
  std::optional<uint64_t> encoding_, range_;
  bool needs_modeset_ = true;
  bool touched_ = false;  ///< since Start() something was shown
  bool fences_ok_ = true;

  ScreenClient* client_ = nullptr;
  uint64_t event_id_ = 0;
  int64_t flip_timeout_ns_ = 0;
  SavedState saved_;
  std::optional<Shot> waiting_;   ///< not handed to the kernel yet
  std::optional<Shot> flying_;    ///< committed, not shown yet
  std::optional<Shot> front_;     ///< being scanned out
  sdk::UniqueFd out_fence_;       ///< of the commit under way, also after a Stop()
  sdk::UniqueFd writeback_done_;  ///< the same, where it writes back
  int64_t flipped_ns_ = 0;        ///< when it was shown; 0: not yet
  int64_t shot_since_ns_ = 0;     ///< when the picture under way was handed over
  int64_t retry_ns_ = 0;
  bool overdue_ = false;  ///< told so already
  bool lost_ = false;
  bool ended_ = false;

  WritebackClient* writeback_client_ = nullptr;
  WritebackConnector writeback_;
  bool writeback_routed_ = false;
  uint64_t writeback_seen_ = 0;
  uint64_t missed_ = 0;
  std::vector<WritebackTarget> targets_;
  std::vector<Written> written_;
  std::optional<WritebackTarget> target_under_way_;
};

}  // namespace sluice::drm
