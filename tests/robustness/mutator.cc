#include "tests/robustness/mutator.h"

#include <algorithm>

namespace sluice::testing {
namespace {

using std::string_literals::operator""s;

/// Awkward in any language that has numbers, lines and encodings.
std::vector<std::string> Awkward() {
  return {"0",
          "-1",
          "4294967296",
          "99999999999999999999",
          "1e999",
          "-0.0",
          "nan",
          "inf",
          "0x10",
          "\n",
          "\r\n",
          "\t",
          "\0"s,
          "\xff",
          "\xc3",
          "\xe2\x80\xa8",
          "",
          "\"",
          "'",
          "\\",
          "%s%n",
          "../../..",
          "[",
          "{",
          "}",
          ": ",
          "#",
          ",",
          ";",
          "(",
          ")",
          std::string(300, '['),
          std::string(300, '{'),
          std::string(2000, 'a')};
}

}  // namespace

Mutator::Mutator(uint32_t seed, std::vector<std::string> texts, std::vector<std::string> words)
    : random_(seed), texts_(std::move(texts)), words_(Awkward()) {
  words_.insert(words_.end(), words.begin(), words.end());
}

// Not a distribution of the library's: those differ from one to the next.
size_t Mutator::Below(size_t bound) { return bound == 0 ? 0 : random_() % bound; }

void Mutator::Change(std::string& text) {
  const size_t at = Below(text.size() + 1);
  const size_t length = std::min(text.size() - at, Below(Below(8) == 0 ? 400 : 12));
  switch (Below(8)) {
    case 0:
      if (at < text.size()) text[at] = static_cast<char>(random_());
      break;
    case 1:
      text.erase(at, length);
      break;
    case 2:
      text.insert(at, text.substr(at, length));
      break;
    case 3:
      text.insert(at, Any(words_));
      break;
    case 4:
      text.replace(at, length, Any(words_));
      break;
    case 5: {
      const std::string& other = Any(texts_);
      text.insert(at, other.substr(Below(other.size() + 1), Below(200)));
      break;
    }
    case 6: {
      // What is behind stays where it is.
      const std::string& word = Any(words_);
      const size_t place = at / 4 * 4;
      text.replace(place, std::min(word.size(), text.size() - place), word);
      break;
    }
    default:
      if (Below(4) == 0) text.resize(at);
  }
}

std::string Mutator::Next() {
  std::string text = Any(texts_);
  for (size_t changes = 1 + Below(6); changes > 0; --changes) Change(text);
  if (text.size() > kMostBytes) text.resize(kMostBytes);
  return text;
}

std::string Escaped(std::string_view text) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '\n' || (byte >= 0x20 && byte < 0x7f)) {
      out += c;
    } else {
      out += {'\\', 'x', kDigits[byte >> 4], kDigits[byte & 15]};
    }
  }
  return out;
}

}  // namespace sluice::testing
