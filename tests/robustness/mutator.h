#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <string_view>
#include <vector>

/// Texts that are nearly right: what people write while they edit, and what others send on purpose.
namespace sluice::testing {

/// Makes such texts of good ones. The same seed gives the same texts, so that a failure can be had
/// again.
class Mutator {
 public:
  /// `words`: what means something in the language, on top of what is awkward in any.
  Mutator(uint32_t seed, std::vector<std::string> texts, std::vector<std::string> words);

  /// A text with one to six changes, of at most kMostBytes.
  std::string Next();

  static constexpr size_t kMostBytes = 64 << 10;

 private:
  size_t Below(size_t bound);
  const std::string& Any(const std::vector<std::string>& list) { return list[Below(list.size())]; }
  void Change(std::string& text);

  std::mt19937 random_;
  const std::vector<std::string> texts_;
  std::vector<std::string> words_;
};

/// With what cannot be printed as \xNN.
std::string Escaped(std::string_view text);

}  // namespace sluice::testing
