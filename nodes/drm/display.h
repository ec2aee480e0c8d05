#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <sluice/sdk.hpp>

#include "nodes/drm/card.h"
#include "nodes/drm/fit.h"
#include "nodes/drm/framebuffer_cache.h"
#include "nodes/drm/modes.h"
#include "nodes/drm/pacer.h"
#include "nodes/drm/screen.h"

namespace sluice::drm {

/// Shows pictures on a display by atomic mode setting: drm.display.
class Display final : public sdk::Node<Display>, private ScreenClient {
 public:
  static constexpr const char* kType = "drm.display";

  struct Options {
    std::string device;
    std::string connector;
    ModeRequest mode;
    Fit fit = Fit::kAuto;
    int64_t timeout_ns = 0;
  };
  /// Errors: INVALID_ARGUMENT.
  static sdk::Expected<std::unique_ptr<Display>> Create(sdk::NodeContext context,
                                                        const sdk::Params& params);
  Display(sdk::NodeContext context, Options options)
      : Node(context), options_(std::move(options)) {}
  ~Display();

  sdk::Status Probe(sdk::OfferSink& offers);
  sdk::Status Configure(const sdk::Configuration& configuration);
  sdk::Status Reconfigure(const sdk::Configuration& configuration);
  sdk::Status Start();
  sdk::Expected<sdk::Process> Process(sdk::Invocation& invocation);
  sdk::Status Drain();
  void Stop(int64_t deadline_ns, bool completed);

  sdk::Status Allocate(int32_t direction, uint32_t port, const sluice_pool_request& request,
                       sdk::PoolSink& sink);
  void ReleasePool(uint32_t pool, uint32_t epoch);
  sdk::Status TestImport(int32_t direction, uint32_t port, sdk::FrameRef frame);
  void ForgetPool(uint32_t pool, uint32_t epoch);

  /// For tests.
  std::size_t framebuffers() const { return framebuffers_.size(); }

 private:
  // ScreenClient.
  void OnShown(uint64_t invocation, int64_t time_ns, int32_t fence_status) override;
  void OnFailed(uint64_t invocation, const sdk::Status& status) override;
  void OnCancelled(uint64_t invocation) override;
  void OnNote(const char* text) override;

  sdk::Status OpenScreen();
  void CloseScreen();
  void RestoreLate();
  sdk::Status OfferSizes(sdk::OfferSink& offers, uint32_t width_min, uint32_t width_max,
                         uint32_t height_min, uint32_t height_max);
  sdk::Expected<Placement> PlacementOf(const sdk::FrameRef& frame) const;
  sdk::Expected<sdk::UniqueFd> FenceOf(const sdk::FrameRef& frame) const;
  sdk::Expected<DumbBuffer> MakeDumb(const sluice_pool_request& request) const;

  const Options options_;
  std::shared_ptr<Card> card_;
  std::shared_ptr<Screen> screen_;
  FramebufferCache framebuffers_;

  sluice_format format_{};
  uint32_t shown_as_ = 0;  ///< the framebuffer's fourcc
  sdk::Size mode_size_;
  PlaneAbility ability_;
  bool realtime_ = false;
  bool started_ = false;
  bool as_they_lie_noted_ = false;

  // Of the picture under way. Process() and the event thread take turns.
  Pacer pacer_;
  sluice_frame_info under_way_{};
  uint64_t shown_ = 0;
  uint64_t late_ = 0;
};

}  // namespace sluice::drm
