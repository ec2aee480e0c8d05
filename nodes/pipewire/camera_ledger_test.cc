#include "nodes/pipewire/camera_ledger.h"

#include <cstddef>
#include <deque>
#include <optional>
#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace sluice::pipewire {
namespace {

constexpr int64_t kMs = 1'000'000;
constexpr int64_t kPatience = 2'000 * kMs;
using State = ReaderLedger::State;

/// Publishes a frame in `buffer` and has its cycle end.
void Cycle(ReaderLedger& ledger, std::size_t buffer, int64_t now_ns) {
  ledger.Published(buffer, now_ns);
  ledger.GivenBack(buffer);
  ledger.CycleEnded();
}

TEST(ReaderLedgerTest, AFrameComesHomeWhenItWasHandedOverAndNobodyReads) {
  ReaderLedger ledger(kPatience);
  ledger.Reset(3);
  ledger.Published(0, 0);
  EXPECT_EQ(ledger.StateOf(0), State::kLent);
  ledger.GivenBack(0);
  ledger.CycleEnded();
  EXPECT_FALSE(ledger.TakeHome(0, 1, 900 * kMs)) << "it is the newest: a reader may be late";
  Cycle(ledger, 1, 916 * kMs);
  EXPECT_FALSE(ledger.TakeHome(0, 0, 931 * kMs)) << "it still lies in the place of its cycle";
  EXPECT_FALSE(ledger.MustPoll()) << "the next frame will tell";

  Cycle(ledger, 2, 932 * kMs);
  EXPECT_TRUE(ledger.MustPoll());
  EXPECT_FALSE(ledger.TakeHome(0, 0, 933 * kMs)) << "a reader may just be counting itself";
  EXPECT_FALSE(ledger.TakeHome(0, 1, 940 * kMs)) << "it is read";
  EXPECT_FALSE(ledger.TakeHome(0, 0, 941 * kMs)) << "its reader's stream has not run since";
  Cycle(ledger, 1, 948 * kMs);
  EXPECT_TRUE(ledger.TakeHome(0, 0, 949 * kMs));
  EXPECT_EQ(ledger.out(), 2u);
}

TEST(ReaderLedgerTest, AReaderThatGivesBackAtOnceKeepsNothingLongerThanItsHandOver) {
  ReaderLedger ledger(kPatience);
  ledger.Reset(3);
  for (std::size_t i : {0, 1}) {
    Cycle(ledger, i, static_cast<int64_t>(i) * 16 * kMs);
    EXPECT_FALSE(ledger.TakeHome(0, 0, static_cast<int64_t>(i) * 16 * kMs + kMs));
  }
  Cycle(ledger, 2, 32 * kMs);
  EXPECT_TRUE(ledger.TakeHome(0, 0, 34 * kMs));
}

TEST(ReaderLedgerTest, WithoutAnotherCycleAFrameComesHomeAfterAWhile) {
  ReaderLedger ledger(kPatience);
  ledger.Reset(3);
  for (std::size_t i : {0, 1, 2}) Cycle(ledger, i, 0);
  EXPECT_FALSE(ledger.TakeHome(0, 0, 10 * kMs));
  EXPECT_FALSE(ledger.TakeHome(0, 0, 109 * kMs));
  EXPECT_TRUE(ledger.TakeHome(0, 0, 110 * kMs));
}

TEST(ReaderLedgerTest, WhatPipeWireDidNotGiveBackStaysOut) {
  ReaderLedger ledger(kPatience);
  ledger.Reset(3);
  ledger.Published(0, 0);
  Cycle(ledger, 1, 1 * kMs);
  Cycle(ledger, 2, 2 * kMs);
  EXPECT_FALSE(ledger.TakeHome(0, 0, 9'000 * kMs));
  EXPECT_TRUE(ledger.MustPoll());
}

TEST(ReaderLedgerTest, AReaderIsOverdueAfterItsPatience) {
  ReaderLedger ledger(kPatience);
  ledger.Reset(3);
  Cycle(ledger, 0, 0);
  Cycle(ledger, 1, 1 * kMs);
  EXPECT_FALSE(ledger.Overdue(0, 1, 3'000 * kMs)) << "a new frame may be looked at for ever";
  Cycle(ledger, 2, 2 * kMs);
  EXPECT_FALSE(ledger.Overdue(0, 1, 1'999 * kMs));
  EXPECT_FALSE(ledger.Overdue(0, 0, 3'000 * kMs));
  EXPECT_TRUE(ledger.Overdue(0, 1, 2'000 * kMs));
}

TEST(ReaderLedgerTest, WithNobodyLinkedAFrameIsHomeWhateverIsCounted) {
  ReaderLedger ledger(kPatience);
  ledger.Reset(1);
  ledger.Published(0, 0);
  ledger.GivenBack(0);
  ledger.NobodyLinked();
  EXPECT_TRUE(ledger.TakeHome(0, 3, 1 * kMs));
  EXPECT_EQ(ledger.out(), 0u);
  ledger.Published(0, 2 * kMs);
  ledger.GivenBack(0);
  EXPECT_FALSE(ledger.TakeHome(0, 0, 2 * kMs)) << "somebody is again";
}

TEST(ReaderLedgerTest, WhatPipeWireDroppedIsKeptFromItsReadersForTheirPatience) {
  ReaderLedger ledger(kPatience);
  ledger.Reset(4);
  for (std::size_t i : {0, 1, 2, 3}) Cycle(ledger, i, 0);
  ledger.Removed(0, 0);
  EXPECT_EQ(ledger.StateOf(0), State::kHome);
  ledger.Removed(1, 1);
  ledger.Removed(2, 0);  // the newest two
  ledger.Removed(3, 0);
  for (std::size_t i : {1, 2, 3}) {
    EXPECT_FALSE(ledger.TakeHome(i, 0, 1'999 * kMs)) << i;
    EXPECT_TRUE(ledger.TakeHome(i, 0, 2'000 * kMs)) << i;
  }
}

// --- Against a model -----------------------------------------------------------------------------

/// Readers of an output port as PipeWire runs them, and a producer that asks `Rule` whether it may
/// write a buffer again. Time goes by in steps of which each does one thing.
class Model {
 public:
  static constexpr std::size_t kBuffers = 6;
  static constexpr std::size_t kReaders = 3;

  /// When a buffer may be written again.
  enum class Rule {
    kLedger,
    kGivenBack,  ///< what a plain producer does
    kCounted,    ///< that, and nobody is counted
  };

  Model(Rule rule, unsigned seed) : rule_(rule), random_(seed), ledger_(kPatience) {
    ledger_.Reset(kBuffers);
  }

  /// Runs for a while. How often a reader saw a picture change.
  int Torn(int steps) {
    for (int step = 0; step < steps; ++step) {
      now_ns_ += kMs / 4;
      const std::size_t actor = random_() % (kReaders + 2);
      if (actor < kReaders) {
        Read(readers_[actor]);
      } else {
        Produce();
      }
    }
    return torn_;
  }
  int published() const { return published_; }
  int read() const { return read_; }

 private:
  /// Wakes, takes what lies there, counts itself, reads, counts itself off.
  struct Reader {
    bool woken = false;
    std::optional<std::size_t> taken;  ///< not yet counted
    int64_t taken_ns = 0;
    std::optional<std::size_t> reading;
    int saw = 0;
  };

  void Read(Reader& reader) {
    if (reader.reading) {
      if (random_() % 4 != 0) return;  // it takes its time
      if (content_[*reader.reading] != reader.saw) ++torn_;
      --count_[*reader.reading];
      ++read_;
      reader.reading.reset();
    } else if (reader.taken) {
      Count(reader);
    } else if (const std::optional<std::size_t>& place = places_[random_() % 2];
               reader.woken && place) {
      reader.woken = false;
      reader.taken = place;
      reader.taken_ns = now_ns_;
      reader.saw = content_[*place];
    }
  }
  void Count(Reader& reader) {
    ++count_[*reader.taken];
    if (content_[*reader.taken] != reader.saw) ++torn_;
    reader.reading = reader.taken;
    reader.taken.reset();
  }

  void Produce() {
    if (in_cycle_) {
      in_cycle_ = false;
      ledger_.CycleEnded();
      return;
    }
    // What a reader has taken it counts soon: that much is asked of the machine.
    for (Reader& reader : readers_) {
      if (reader.taken && now_ns_ - reader.taken_ns >= ReaderLedger::kHandOverNs) Count(reader);
    }
    for (std::size_t i = 0; i < kBuffers; ++i) {
      if (out_[i] && MayWrite(i)) out_[i] = false;
    }
    for (std::size_t i = 0; i < kBuffers; ++i) {
      if (out_[i]) continue;
      content_[i] = ++published_;
      out_[i] = true;
      places_[published_ % 2] = i;
      ledger_.Published(i, now_ns_);
      ledger_.GivenBack(i);  // the daemon does, at the end of its cycle, whoever reads
      for (Reader& reader : readers_) reader.woken = true;
      in_cycle_ = true;
      return;
    }
  }
  bool MayWrite(std::size_t buffer) {
    switch (rule_) {
      case Rule::kLedger:
        return ledger_.TakeHome(buffer, count_[buffer], now_ns_);
      case Rule::kGivenBack:
        return true;
      case Rule::kCounted:
        return count_[buffer] == 0;
    }
    return false;
  }

  const Rule rule_;
  std::minstd_rand random_;
  ReaderLedger ledger_;
  int64_t now_ns_ = 0;
  bool in_cycle_ = false;
  std::optional<std::size_t> places_[2];  ///< of a link, for even and odd cycles
  Reader readers_[kReaders];
  bool out_[kBuffers] = {};
  int content_[kBuffers] = {};
  uint32_t count_[kBuffers] = {};
  int published_ = 0;
  int read_ = 0;
  int torn_ = 0;
};

TEST(ReaderLedgerTest, NoReaderOfAThousandRandomRunsSeesARewrittenFrame) {
  int read = 0;
  for (unsigned seed = 1; seed <= 1000; ++seed) {
    Model model(Model::Rule::kLedger, seed);
    EXPECT_EQ(model.Torn(2'000), 0) << "seed " << seed;
    EXPECT_GT(model.published(), 50) << "it stands still with seed " << seed;
    read += model.read();
  }
  EXPECT_GT(read, 100'000);
}

TEST(ReaderLedgerTest, TheModelCatchesAProducerThatTrustsPipeWireAlone) {
  EXPECT_GT(Model(Model::Rule::kGivenBack, 1).Torn(2'000), 0);
}

TEST(ReaderLedgerTest, TheModelCatchesAProducerThatDoesNotWaitForTheHandOver) {
  EXPECT_GT(Model(Model::Rule::kCounted, 1).Torn(2'000), 0);
}

}  // namespace
}  // namespace sluice::pipewire
