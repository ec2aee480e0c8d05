#include "nodes/vulkan/staging.h"

#include <utility>

namespace sluice::vulkan {

Result<StagingPool::Item*> StagingPool::Take(uint64_t size, uint64_t done) {
  for (const auto& item : items_) {
    if (item->busy_until <= done && item->memory.size() >= size) return item.get();
  }
  auto memory = Memory::AllocateHostVisible(device_, size);
  if (!memory) return tl::unexpected(memory.error());
  items_.push_back(std::make_unique<Item>());
  items_.back()->memory = std::move(*memory);
  return items_.back().get();
}

}  // namespace sluice::vulkan
