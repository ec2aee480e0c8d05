#include "nodes/pipewire/camera_ledger.h"

#include <algorithm>

namespace sluice::pipewire {

void ReaderLedger::Published(std::size_t buffer, int64_t now_ns) {
  slots_[buffer] = {State::kLent, 0, now_ns, 0, false};
}

void ReaderLedger::GivenBack(std::size_t buffer) {
  if (slots_[buffer].state == State::kLent) slots_[buffer].state = State::kBack;
}

void ReaderLedger::CycleEnded(int64_t now_ns) {
  for (Slot& slot : slots_) {
    if (slot.state != State::kLent && slot.state != State::kBack) continue;
    if (slot.cycles < kHandOverCycles && ++slot.cycles == kHandOverCycles) {
      slot.handed_over_ns = now_ns;
    }
  }
}

void ReaderLedger::Removed(std::size_t buffer, uint32_t readers) {
  Slot& slot = slots_[buffer];
  if (slot.state == State::kHome) return;
  const bool unread = readers == 0 && (slot.alone || slot.cycles >= kHandOverCycles);
  slot.state = unread ? State::kHome : State::kRemoved;
}

void ReaderLedger::NobodyLinked() {
  for (Slot& slot : slots_) slot.alone = true;
}

bool ReaderLedger::HandedOver(const Slot& slot, int64_t now_ns) const {
  return slot.cycles >= kHandOverCycles && now_ns - slot.handed_over_ns >= kHandOverNs;
}

bool ReaderLedger::TakeHome(std::size_t buffer, uint32_t readers, int64_t now_ns) {
  Slot& slot = slots_[buffer];
  bool home = false;
  switch (slot.state) {
    case State::kHome:
      return true;
    case State::kLent:
      break;
    case State::kBack:
      home = slot.alone || (HandedOver(slot, now_ns) && readers == 0);
      break;
    case State::kRemoved:
      // Its count went with it.
      home = slot.alone || now_ns - slot.published_ns >= patience_ns_;
      break;
  }
  if (home) slot.state = State::kHome;
  return home;
}

bool ReaderLedger::Overdue(std::size_t buffer, uint32_t readers, int64_t now_ns) const {
  const Slot& slot = slots_[buffer];
  const bool lent = slot.state == State::kLent || slot.state == State::kBack;
  return lent && HandedOver(slot, now_ns) && readers > 0 &&
         now_ns - slot.published_ns >= patience_ns_;
}

bool ReaderLedger::MustPoll() const {
  return std::any_of(slots_.begin(), slots_.end(), [](const Slot& slot) {
    return slot.state == State::kRemoved ||
           (slot.state != State::kHome && slot.cycles >= kHandOverCycles);
  });
}

std::size_t ReaderLedger::out() const {
  return static_cast<std::size_t>(std::count_if(
      slots_.begin(), slots_.end(), [](const Slot& slot) { return slot.state != State::kHome; }));
}

}  // namespace sluice::pipewire
