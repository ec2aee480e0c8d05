#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <sluice/domain.h>
#include <sluice/passes.h>

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

/// One pass over memory that a domain makes of an island. Nodes are indices into
/// IslandDescription::nodes.
struct Pass {
  std::string label;
  std::string apart;  ///< why it is not one with the pass before it; "" for the first
  std::vector<uint32_t> nodes;
  uint64_t bytes_read = 0;  ///< a frame
  uint64_t bytes_written = 0;
};

/// The device's own time of a pass since its island was made.
struct PassTime {
  std::string label;
  std::vector<uint32_t> nodes;
  uint64_t frames = 0;
  uint64_t total_ns = 0;
  uint64_t min_ns = 0;
  uint64_t max_ns = 0;
};

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
  /// Empty where the domain or its device does not tell. Threads: [main-thread], while
  /// nothing is submitted.
  std::vector<PassTime> Measured() const;

 private:
  friend class Domain;
  Island(Domain* domain, sluice_island* island, size_t outputs, size_t nodes)
      : domain_(domain), island_(island), fences_(outputs + 1), nodes_(nodes) {}
  Domain* domain_;
  sluice_island* island_;
  std::vector<sluice_fence> fences_;
  size_t nodes_;
  uint64_t sequence_ = 0;
};

/// Where the work of some nodes runs. Owns the plugin's sluice_domain.
class Domain {
 public:
  /// `selector` chooses the device; "" leaves it to the domain. Errors: those of
  /// the plugin, with its message (what to install, say). `passes` may be null.
  static Result<std::unique_ptr<Domain>> Create(const sluice_host* host,
                                                const sluice_domain_factory& factory,
                                                const sluice_passes* passes,
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
    std::vector<IslandPort> inputs;             ///< of the border; connected ports only
    std::vector<IslandPort> outputs;            ///< the same
    std::vector<sluice_format> input_formats;   ///< as inputs
    std::vector<sluice_format> output_formats;  ///< as outputs
  };
  struct Prediction {
    std::vector<Pass> passes;
    uint64_t inner_bytes = 0;  ///< device memory of the island's own
  };
  /// What it would make of an island whose nodes are probed. Nothing where it does not
  /// tell. Threads: [main-thread].
  std::optional<Prediction> Predict(const IslandDescription& description);
  /// Threads: [main-thread].
  Result<std::unique_ptr<Island>> CreateIsland(const IslandDescription& description);
  /// The buffers of a pool will be unmapped. Threads: [main-thread].
  void ForgetPool(uint32_t pool, uint32_t epoch);
  /// Blocks, for teardown. Errors: Timeout, DeviceLost.
  Status WaitIdle(MonotonicNs deadline_ns);
  /// Nothing will run on this device any more: only another Domain helps. Does not block.
  bool IsLost();

 private:
  friend class Island;
  Domain() = default;
  sluice_domain domain_{};
  const sluice_passes* passes_ = nullptr;
  DomainInfo info_;
  bool lost_ = false;
};

}  // namespace sluice::domain
