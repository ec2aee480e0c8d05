#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <sluice/domain.h>

#include "engine/base/clock.h"
#include "engine/base/result.h"
#include "engine/media/frame.h"
#include "engine/sync/timeline.h"

namespace sluice::domain {

/// What a domain's device is and can do.
struct DomainInfo {
  std::string id;  ///< "vulkan"
  std::string device_name;
  std::string driver;
  std::array<uint8_t, 16> device_uuid{};
  uint32_t views = 0;
  uint32_t base_multiple = 1;
  uint32_t size_multiple = 1;
  uint32_t offset_multiple = 1;
  bool is_software = false;
};

class Domain;

/// Connected nodes of one domain that fire as one. Made by a Domain, which must
/// outlive it.
class Island {
 public:
  ~Island();
  Island(const Island&) = delete;
  Island& operator=(const Island&) = delete;

  /// Submits one firing. Borrows all frames. On success `fences` holds one fence
  /// for each output, and `*inputs_read` says when the inputs have been read. On
  /// failure nothing was submitted. Threads: [process-thread] of this island. Never waits.
  Status Submit(std::span<media::Frame* const> inputs, std::span<media::Frame* const> outputs,
                std::span<sync::Fence> fences, sync::Fence* inputs_read);

 private:
  friend class Domain;
  Island(Domain* domain, sluice_island* island, size_t outputs)
      : domain_(domain), island_(island), fences_(outputs + 1) {}
  Domain* domain_;
  sluice_island* island_;
  std::vector<sluice_fence> fences_;
  uint64_t sequence_ = 0;
};

/// Where the work of some nodes runs. Owns the plugin's sluice_domain.
class Domain {
 public:
  /// `selector` chooses the device; "" leaves it to the domain. Errors: those of
  /// the plugin, with its message (what to install, say).
  static Result<std::unique_ptr<Domain>> Create(const sluice_host* host,
                                                const sluice_domain_factory& factory,
                                                const std::string& domain_id,
                                                const std::string& selector);
  ~Domain();

  const DomainInfo& info() const { return info_; }
  void* self() const { return domain_.self; }

  struct IslandPort {
    uint32_t node = 0;  ///< into IslandDescription::nodes
    uint32_t port = 0;  ///< among the node's ports of that direction
  };
  struct IslandDescription {
    std::string name;
    uint32_t epoch = 1;
    std::vector<const sluice_node*> nodes;  ///< in an order that respects the inner edges
    std::vector<sluice_island_edge> edges;
    std::vector<IslandPort> inputs;
    std::vector<IslandPort> outputs;
  };
  /// Threads: [main-thread].
  Result<std::unique_ptr<Island>> CreateIsland(const IslandDescription& description);
  /// The buffers of a pool will be unmapped. Threads: [main-thread].
  void ForgetPool(uint32_t pool, uint32_t epoch);
  /// Blocks, for teardown. Errors: Timeout, DeviceLost.
  Status WaitIdle(MonotonicNs deadline_ns);

 private:
  friend class Island;
  Domain() = default;
  sluice_domain domain_{};
  DomainInfo info_;
};

}  // namespace sluice::domain
