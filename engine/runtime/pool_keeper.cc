#include "engine/runtime/pool_keeper.h"

#include <algorithm>

namespace sluice::runtime {
namespace {

PoolReport ReportOf(const media::BufferPool& pool) {
  return {pool.options().name,      pool.options().epoch, media::ToString(pool.format()),
          pool.options().allocator, pool.size(),          pool.PeakLeased(),
          pool.Outstanding(),       pool.BytesMapped()};
}

}  // namespace

const PoolKeeper::Entry* PoolKeeper::Find(const media::BufferPool& pool) const {
  auto found = std::find_if(entries_.begin(), entries_.end(),
                            [&](const Entry& entry) { return entry.pool.get() == &pool; });
  return found == entries_.end() ? nullptr : &*found;
}

void PoolKeeper::Retire(const media::BufferPool& pool) {
  for (Entry& entry : entries_) {
    if (entry.pool.get() != &pool || entry.retired) continue;
    entry.retired = true;
    entry.pool->Retire();
  }
}

void PoolKeeper::Collect(const Domains& domains) {
  std::erase_if(entries_, [&](Entry& entry) {
    if (!entry.retired || entry.pool->Outstanding() != 0) return false;
    gone_.push_back(ReportOf(*entry.pool));
    Release(entry, domains);
    return true;
  });
}

void PoolKeeper::Discard(uint32_t epoch, const Domains& domains) {
  std::erase_if(entries_, [&](Entry& entry) {
    if (entry.pool->options().epoch != epoch) return false;
    Release(entry, domains);
    return true;
  });
}

void PoolKeeper::ReleaseAll(const Domains& domains) {
  gone_ = Reports();
  for (Entry& entry : entries_) Release(entry, domains);
  entries_.clear();
}

// Imports first, then our fds and mappings, then whoever made the memory.
void PoolKeeper::Release(Entry& entry, const Domains& domains) {
  const uint32_t id = entry.pool->options().id;
  const uint32_t epoch = entry.pool->options().epoch;
  for (const auto& [name, domain] : domains) domain->ForgetPool(id, epoch);
  for (const User& user : entry.users) {
    const bool alive = user.node->instance && user.node->generation == user.generation;
    if (alive) user.node->instance->ForgetPool(id, epoch);
  }
  entry.pool = nullptr;
  if (entry.maker == nullptr || !entry.maker->instance) return;
  if (entry.maker->generation == entry.generation) entry.maker->instance->ReleasePool(id, epoch);
}

std::vector<PoolReport> PoolKeeper::Reports() const {
  std::vector<PoolReport> reports = gone_;
  for (const Entry& entry : entries_) reports.push_back(ReportOf(*entry.pool));
  return reports;
}

}  // namespace sluice::runtime
