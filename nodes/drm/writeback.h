#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <sluice/sdk.hpp>

#include "nodes/drm/card.h"
#include "nodes/drm/framebuffer_cache.h"
#include "nodes/drm/screen.h"

namespace sluice::drm {

/// What a display shows, taken back through the card's writeback connector: drm.writeback.
class Writeback final : public sdk::Node<Writeback>, private WritebackClient {
 public:
  static constexpr const char* kType = "drm.writeback";
  /// Buffers that wait for a picture; the manifest says the same.
  static constexpr uint32_t kReserve = 3;

  struct Options {
    std::string device;
    std::string connector;
    sdk::Size size;
    uint64_t count = 0;
    uint64_t every = 1;
    bool lossless = false;
  };
  static sdk::Expected<std::unique_ptr<Writeback>> Create(sdk::NodeContext context,
                                                          const sdk::Params& params);
  Writeback(sdk::NodeContext context, Options options)
      : Node(context), options_(std::move(options)) {}
  ~Writeback();

  sdk::Status Probe(sdk::OfferSink& offers);
  sdk::Status Configure(const sdk::Configuration& configuration);
  sdk::Status Start();
  sdk::Expected<sdk::Process> Process(sdk::Invocation& invocation);
  void Stop(int64_t deadline_ns, bool completed);

  sdk::Status TestImport(int32_t direction, uint32_t port, sdk::FrameRef frame);
  void ForgetPool(uint32_t pool, uint32_t epoch);

 private:
  void OnWritten() override;

  sdk::Status OpenConnector();
  std::vector<sdk::Size> Sizes() const;
  sdk::Expected<std::shared_ptr<Screen>> FindScreen() const;
  sdk::Status OfferBuffers();

  const Options options_;
  std::shared_ptr<Card> card_;
  std::string connector_name_;
  WritebackConnector connector_;
  uint32_t possible_crtcs_ = 0;
  std::vector<uint32_t> fourccs_;
  FramebufferCache framebuffers_;

  sluice_format format_{};
  std::shared_ptr<Screen> screen_;
  uint64_t emitted_ = 0;
};

}  // namespace sluice::drm
