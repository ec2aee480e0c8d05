#ifndef NODES_PIPEWIRE_CAMERA_LEDGER_H_
#define NODES_PIPEWIRE_CAMERA_LEDGER_H_

#include <cstdint>
#include <vector>

namespace sluice::pipewire {

/// Who may still read which buffer of an output port of PipeWire: when may a published one be
/// written again?
///
/// PipeWire gives a buffer back to its producer when the next cycle runs, whoever reads it. What
/// there is besides is a count of readers in the buffer's shared memory (SPA_META_Busy), which a
/// reader raises when *it* runs: within the cycle, or long after, as most applications' streams do.
/// A link has two places, for even and for odd cycles, and a frame lies in its place until another
/// one is put there. So a buffer is free when all of these hold:
///   - PipeWire gave it back: it will hand it to nobody any more;
///   - its hand-over is closed: kHandOverFrames newer frames have been published, and kHandOverNs
///     have passed since; or no peer is linked;
///   - nobody is counted as its reader;
///   - a cycle has begun and ended since that was seen, in which a reader's stream takes note of
///     what was given back to it: a frame that comes earlier is lost to that reader. Or kNoteNs
///     have passed.
/// Knows nothing of PipeWire: it is told what happened, and when. Threads: any one at a time.
class ReaderLedger {
 public:
  static constexpr uint32_t kHandOverFrames = 2;
  /// A reader that was interrupted between taking the frame and counting itself.
  static constexpr int64_t kHandOverNs = 2'000'000;
  /// Without a cycle for so long the reader's loss is the lesser one.
  static constexpr int64_t kNoteNs = 100'000'000;

  enum class State : uint8_t {
    kHome,     ///< not published, or free again
    kLent,     ///< PipeWire has it, or did not give it back because it is read
    kBack,     ///< given back; a reader that has not counted itself may have it
    kRemoved,  ///< PipeWire has dropped its buffers; a reader may not have noticed yet
  };

  /// `patience_ns`: how long a reader may keep a buffer.
  explicit ReaderLedger(int64_t patience_ns) : patience_ns_(patience_ns) {}

  /// As many buffers as the pool has, all at home.
  void Reset(std::size_t buffers) { slots_.assign(buffers, Slot{}); }
  std::size_t size() const { return slots_.size(); }
  State StateOf(std::size_t buffer) const { return slots_[buffer].state; }

  // What happened:
  void Published(std::size_t buffer, int64_t now_ns);
  /// PipeWire gave the buffer back, and will not hand it out again.
  void GivenBack(std::size_t buffer);
  /// A cycle has ended in which the frame published last was handed out, or was given up on.
  void CycleEnded();
  /// PipeWire has dropped the buffer; readers hear of it in their own time. `readers`: its count
  /// before.
  void Removed(std::size_t buffer, uint32_t readers);
  /// No peer is linked: there is nobody left who could read.
  void NobodyLinked();

  /// Whether the buffer may be written again; it is at home then. `readers`: its count now.
  bool TakeHome(std::size_t buffer, uint32_t readers, int64_t now_ns);
  /// Kept by a reader for longer than patience allows. `readers`: its count now.
  bool Overdue(std::size_t buffer, uint32_t readers, int64_t now_ns) const;
  /// Whether only readers, or time, stand between some buffer and home: nothing will tell when.
  bool MustPoll() const;
  /// How many are not at home.
  std::size_t out() const;

 private:
  struct Slot {
    State state = State::kHome;
    uint32_t newer = 0;  ///< frames published since
    int64_t published_ns = 0;
    int64_t handed_over_ns = 0;  ///< when the last of kHandOverFrames was published
    bool alone = false;          ///< nobody was linked since
    bool unread = false;         ///< given back, and seen without readers
    uint64_t unread_after = 0;   ///< published_ then
    int64_t unread_ns = 0;
  };

  bool Noted(Slot& slot, uint32_t readers, int64_t now_ns) const;
  bool HandedOver(const Slot& slot, int64_t now_ns) const;

  int64_t patience_ns_;
  std::vector<Slot> slots_;
  uint64_t published_ = 0;  ///< frames
  uint64_t ended_ = 0;      ///< the number of the last one whose cycle has ended
};

}  // namespace sluice::pipewire

#endif  // NODES_PIPEWIRE_CAMERA_LEDGER_H_
