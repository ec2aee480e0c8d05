#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <tuple>

#include <sluice/sdk.hpp>

#include "nodes/drm/card.h"

namespace sluice::drm {

/// Framebuffers of the buffers of pools, by {pool, epoch, index}: each buffer is imported once.
/// Threads: [thread-safe].
class FramebufferCache {
 public:
  /// The framebuffer of a frame, imported where it is new. `fourcc`: how the plane reads it.
  /// Errors: UNSUPPORTED, with the driver's words; what the host says.
  sdk::Expected<uint32_t> Get(const std::shared_ptr<Card>& card, const sdk::Host& host,
                              sdk::FrameRef frame, uint32_t fourcc);
  /// Puts in one that the node made itself.
  void Add(const sluice_buffer_id& id, Framebuffer framebuffer);
  void Forget(uint32_t pool, uint32_t epoch);
  void Clear();
  std::size_t size() const;

 private:
  using Key = std::tuple<uint32_t, uint32_t, uint32_t>;
  static sdk::Expected<Framebuffer> Import(Card& card, const sdk::Host& host, sdk::FrameRef frame,
                                           uint32_t fourcc);

  mutable std::mutex mutex_;
  std::map<Key, Framebuffer> framebuffers_;
};

}  // namespace sluice::drm
