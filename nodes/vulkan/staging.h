#ifndef SLUICE_NODES_VULKAN_STAGING_H_
#define SLUICE_NODES_VULKAN_STAGING_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "nodes/vulkan/memory.h"

namespace sluice::vulkan {

/// Memory between the device and a buffer that it cannot import. Reused when its submission is done
/// with.
class StagingPool {
 public:
  struct Item {
    Memory memory;
    uint64_t busy_until = 0;  ///< a point of the queue
  };
  explicit StagingPool(const Device& device) : device_(device) {}
  /// An item of at least `size` bytes that nothing before `done` uses. Ownership: the pool's.
  Result<Item*> Take(uint64_t size, uint64_t done);

 private:
  const Device& device_;
  std::vector<std::unique_ptr<Item>> items_;
};

}  // namespace sluice::vulkan

#endif  // SLUICE_NODES_VULKAN_STAGING_H_
