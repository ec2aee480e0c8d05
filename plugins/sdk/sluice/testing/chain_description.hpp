#ifndef SLUICE_SDK_TESTING_CHAIN_DESCRIPTION_HPP_
#define SLUICE_SDK_TESTING_CHAIN_DESCRIPTION_HPP_

#include <sluice/domain.h>

#include <cstdint>
#include <utility>
#include <vector>

namespace sluice::sdk::testing {

/// What a domain is told of nodes that stand one behind the other: port 0 of each leads into port 0
/// of the next; the first has the island's input, the last its output.
class ChainDescription {
 public:
  /// `nodes`: borrowed, at least one. `formats`: of the result of each but the last; more are not
  /// looked at.
  ChainDescription(std::vector<const sluice_node*> nodes, const std::vector<sluice_format>& formats)
      : nodes_(std::move(nodes)), output_{static_cast<uint32_t>(nodes_.size() - 1), 0} {
    for (uint32_t i = 1; i < nodes_.size(); ++i)
      edges_.push_back({{i - 1, 0}, {i, 0}, formats[i - 1]});
    desc_.name = "island";
    desc_.epoch = 1;
    desc_.node_count = static_cast<uint32_t>(nodes_.size());
    desc_.nodes = nodes_.data();
    desc_.edge_count = static_cast<uint32_t>(edges_.size());
    desc_.edges = edges_.data();
    desc_.input_count = desc_.output_count = 1;
    desc_.inputs = &input_;
    desc_.outputs = &output_;
  }
  ChainDescription(const ChainDescription&) = delete;
  ChainDescription& operator=(const ChainDescription&) = delete;

  /// Valid as long as this lives.
  const sluice_island_desc* c() const { return &desc_; }

 private:
  const std::vector<const sluice_node*> nodes_;
  std::vector<sluice_island_edge> edges_;
  const sluice_island_port input_{0, 0};
  const sluice_island_port output_;
  sluice_island_desc desc_{};
};

}  // namespace sluice::sdk::testing

#endif  // SLUICE_SDK_TESTING_CHAIN_DESCRIPTION_HPP_
