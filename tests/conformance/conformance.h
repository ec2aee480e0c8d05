#pragma once

#include <functional>
#include <map>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <sluice/testing/node_runner.hpp>

namespace sluice::conformance {

using sdk::testing::NodeRunner;
using sdk::testing::Parameters;
using sdk::testing::PortSpec;

/// A node type under test, and what the suite must know to run it.
struct Subject {
  std::string type;    ///< "core.null"
  std::string plugin;  ///< the .so, as a path below the runfiles
  /// Fresh ones for each node, as a path may have to be.
  std::function<Parameters()> parameters = [] { return Parameters(); };
  /// States the ports with formats that the type takes. Called after probe().
  std::function<void(NodeRunner&)> ports;
  /// Formats for the first port that the type must refuse; empty = it takes anything.
  std::vector<sluice_format> refused;
  /// Writes the pixels of an input; left out, any will do.
  std::function<void(sdk::testing::HeldFrame&)> fill;
  /// Frames that are pushed (or steps of a source) in one run.
  int frames = 8;
  /// A node takes long to make: fewer repetitions, and only the states that differ.
  bool costly = false;
  /// It has a device to itself: there cannot be two of it.
  bool exclusive = false;
};

inline void PrintTo(const Subject& subject, std::ostream* out) { *out << subject.type; }

/// A name for INSTANTIATE_TEST_SUITE_P: core.null -> core_null.
std::string NameOf(const testing::TestParamInfo<Subject>& info);

/// Tests in conformance.cc: every node type passes them.
///     INSTANTIATE_TEST_SUITE_P(Core, ConformanceTest, testing::ValuesIn(subjects), NameOf);
class ConformanceTest : public testing::TestWithParam<Subject> {
 protected:
  void SetUp() override;

  /// How far a node's life is taken.
  enum class Stage {
    kCreated,
    kProbed,
    kConfigured,
    kStarted,
    kFed,
    kDrained,
    kStopped,
    kRestarted
  };

  std::unique_ptr<NodeRunner> Make() const;
  /// Takes a fresh node to `stage`; fails the test when a verb fails.
  void Advance(NodeRunner& runner, Stage stage) const;
  /// Pushes (or steps) up to `frames` times; the last result.
  int32_t Feed(NodeRunner& runner, int frames) const;
  /// Nothing is leaked and no rule was broken.
  static void ExpectClean(NodeRunner& runner, const std::string& where);

  const sluice_entry* entry_ = nullptr;
  /// Time goes on from one Feed() to the next.
  mutable std::map<const NodeRunner*, int64_t> fed_;
};

}  // namespace sluice::conformance
