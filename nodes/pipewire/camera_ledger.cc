#include "nodes/pipewire/camera_ledger.h"

#include <algorithm>
#include <utility>

namespace sluice::pipewire {

void ReaderLedger::Published(std::size_t buffer, int64_t now_ns) {
  ++published_;
  for (Slot& slot : slots_) {
    if (slot.state != State::kLent && slot.state != State::kBack) continue;
    if (slot.newer < kHandOverFrames && ++slot.newer == kHandOverFrames) {
      slot.handed_over_ns = now_ns;
    }
  }
  slots_[buffer] = {.state = State::kLent, .published_ns = now_ns};
}

void ReaderLedger::GivenBack(std::size_t buffer) {
  if (slots_[buffer].state == State::kLent) slots_[buffer].state = State::kBack;
}

void ReaderLedger::CycleEnded() { ended_ = published_; }

void ReaderLedger::Removed(std::size_t buffer, uint32_t readers) {
  Slot& slot = slots_[buffer];
  if (slot.state == State::kHome) return;
  const bool unread = readers == 0 && (slot.alone || slot.newer >= kHandOverFrames);
  slot.state = unread ? State::kHome : State::kRemoved;
}

void ReaderLedger::NobodyLinked() {
  for (Slot& slot : slots_) slot.alone = true;
}

bool ReaderLedger::HandedOver(const Slot& slot, int64_t now_ns) const {
  return slot.newer >= kHandOverFrames && now_ns - slot.handed_over_ns >= kHandOverNs;
}

/// Whether the readers' streams have had a cycle to take note of what was given back to them.
bool ReaderLedger::Noted(Slot& slot, uint32_t readers, int64_t now_ns) const {
  const bool unread = slot.state == State::kBack && readers == 0;
  if (!std::exchange(slot.unread, unread) && unread) {
    slot.unread_after = published_;
    slot.unread_ns = now_ns;
  }
  return unread && (ended_ > slot.unread_after || now_ns - slot.unread_ns >= kNoteNs);
}

bool ReaderLedger::TakeHome(std::size_t buffer, uint32_t readers, int64_t now_ns) {
  Slot& slot = slots_[buffer];
  const bool noted = Noted(slot, readers, now_ns);
  bool home = false;
  switch (slot.state) {
    case State::kHome:
      return true;
    case State::kLent:
      break;
    case State::kBack:
      home = slot.alone || (HandedOver(slot, now_ns) && noted);
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
           (slot.state != State::kHome && slot.newer >= kHandOverFrames);
  });
}

std::size_t ReaderLedger::out() const {
  return static_cast<std::size_t>(std::count_if(
      slots_.begin(), slots_.end(), [](const Slot& slot) { return slot.state != State::kHome; }));
}

}  // namespace sluice::pipewire
