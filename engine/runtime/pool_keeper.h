#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "engine/domain/domain.h"
#include "engine/media/buffer_pool.h"
#include "engine/runtime/node_set.h"
#include "engine/runtime/report.h"

namespace sluice::runtime {

/// Every pool of every epoch, who made its memory and who imported it: leases come
/// home when their holders like, and only then may imports and device buffers go.
/// Threads: [main-thread].
class PoolKeeper {
 public:
  /// A node, and which of its instances.
  struct User {
    LiveNode* node = nullptr;
    uint64_t generation = 0;

    bool operator==(const User&) const = default;
  };
  struct Entry {
    RefPtr<media::BufferPool> pool;
    LiveNode* maker = nullptr;  ///< Null: the engine.
    uint64_t generation = 0;    ///< Of the maker, when it made it.
    std::vector<User> users;    ///< Nodes that may have imported it.
    bool retired = false;
  };
  using Domains = std::map<std::string, std::unique_ptr<domain::Domain>>;

  void Add(Entry entry) { entries_.push_back(std::move(entry)); }
  const std::vector<Entry>& entries() const { return entries_; }
  /// The entry of a pool, or null.
  const Entry* Find(const media::BufferPool& pool) const;

  /// Hands no more buffers out.
  void Retire(const media::BufferPool& pool);
  /// Lets go of retired pools whose leases are home.
  void Collect(const Domains& domains);
  /// Lets go of the pools of an epoch that never ran, as if they had not been.
  void Discard(uint32_t epoch, const Domains& domains);
  /// Lets go of all, home or not: the graph has ended.
  void ReleaseAll(const Domains& domains);

  /// All pools, those that are gone included.
  std::vector<PoolReport> Reports() const;

 private:
  void Release(Entry& entry, const Domains& domains);

  std::vector<Entry> entries_;
  std::vector<PoolReport> gone_;
};

}  // namespace sluice::runtime
