#include "nodes/drm/framebuffer_cache.h"

#include <utility>

namespace sluice::drm {

sdk::Expected<uint32_t> FramebufferCache::Get(const std::shared_ptr<Card>& card,
                                              const sdk::Host& host, sdk::FrameRef frame,
                                              uint32_t fourcc) {
  const sluice_buffer_id id = frame.BufferId();
  const std::lock_guard lock(mutex_);
  const auto found = framebuffers_.find({id.pool, id.epoch, id.index});
  if (found != framebuffers_.end()) return found->second.id();
  sdk::Expected<Framebuffer> framebuffer = Import(*card, host, frame, fourcc);
  if (!framebuffer.ok()) return framebuffer.status();
  const uint32_t number = framebuffer->id();
  framebuffers_.emplace(Key{id.pool, id.epoch, id.index}, *std::move(framebuffer));
  return number;
}

sdk::Expected<Framebuffer> FramebufferCache::Import(Card& card, const sdk::Host& host,
                                                    sdk::FrameRef frame, uint32_t fourcc) {
  const sdk::Expected<sluice_memory> memory = sdk::Memory(host, frame, SLUICE_VIEW_DMABUF);
  if (!memory.ok()) return memory.status();
  std::array<GemHandle, SLUICE_MAX_PLANES> handles;
  for (uint32_t i = 0; i < memory->part_count && i < SLUICE_MAX_PLANES; ++i) {
    sdk::Expected<GemHandle> handle = card.Import(memory->parts[i].fd);
    if (!handle.ok()) return handle.status();
    handles[i] = *std::move(handle);
  }
  return card.MakeFramebuffer(fourcc, frame.Format().modifier, frame.Layout(), std::move(handles));
}

void FramebufferCache::Add(const sluice_buffer_id& id, Framebuffer framebuffer) {
  const std::lock_guard lock(mutex_);
  framebuffers_.insert_or_assign(Key{id.pool, id.epoch, id.index}, std::move(framebuffer));
}

void FramebufferCache::Forget(uint32_t pool, uint32_t epoch) {
  const std::lock_guard lock(mutex_);
  std::erase_if(framebuffers_, [&](const auto& entry) {
    return std::get<0>(entry.first) == pool && std::get<1>(entry.first) == epoch;
  });
}

void FramebufferCache::Clear() {
  const std::lock_guard lock(mutex_);
  framebuffers_.clear();
}

std::size_t FramebufferCache::size() const {
  const std::lock_guard lock(mutex_);
  return framebuffers_.size();
}

}  // namespace sluice::drm
