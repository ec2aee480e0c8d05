#include "engine/media/copy_meter.h"

namespace sluice::media {

void CopyMeter::Count(std::string_view place, std::string_view reason, uint64_t bytes) {
  std::lock_guard lock(mutex_);
  auto it = amounts_.find(KeyView(place, reason));
  if (it == amounts_.end()) {
    it = amounts_.emplace(Key{std::string(place), std::string(reason)}, Amount{}).first;
  }
  it->second.frames += 1;
  it->second.bytes += bytes;
}

std::vector<CopyMeter::Row> CopyMeter::Rows() const {
  std::lock_guard lock(mutex_);
  std::vector<Row> rows;
  for (const auto& [key, amount] : amounts_) {
    rows.push_back({key.place, key.reason, amount.frames, amount.bytes});
  }
  return rows;
}

uint64_t CopyMeter::TotalBytes() const {
  std::lock_guard lock(mutex_);
  uint64_t total = 0;
  for (const auto& [key, amount] : amounts_) total += amount.bytes;
  return total;
}

}  // namespace sluice::media
