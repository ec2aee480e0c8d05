#include "nodes/vulkan/filters/cube.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstring>
#include <fstream>
#include <optional>

namespace sluice::vulkan {
namespace {

constexpr size_t kQuotedBytes = 40;

bool IsBlank(char c) { return c == ' ' || c == '\t' || c == '\v' || c == '\f'; }

/// What is shown of a text from outside: its beginning, without control characters.
std::string Quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text.substr(0, kQuotedBytes)) {
    out += static_cast<unsigned char>(c) < 0x20 || c == 0x7F ? '?' : c;
  }
  return out + (text.size() > kQuotedBytes ? "...\"" : "\"");
}

class Parser {
 public:
  Parser(std::string_view text, const std::string& name) : rest_(text), name_(name) {
    if (rest_.starts_with("\xEF\xBB\xBF")) rest_.remove_prefix(3);
  }

  Result<CubeLut> Run() {
    while (NextLine()) {
      if (line_.empty() || line_[0] == '#') continue;
      const bool is_number = line_[0] == '-' || line_[0] == '+' || line_[0] == '.' ||
                             (line_[0] >= '0' && line_[0] <= '9');
      if (Status s = is_number ? Entry() : Keyword(); !s) return tl::unexpected(s.error());
    }
    if (Status s = Finish(); !s) return tl::unexpected(s.error());
    return std::move(lut_);
  }

 private:
  /// Takes a line off the text, without blanks around it. LF, CR LF and CR end one.
  bool NextLine() {
    if (rest_.empty()) return false;
    ++number_;
    const size_t end = rest_.find_first_of("\r\n");
    line_ = rest_.substr(0, end);
    if (end == std::string_view::npos) {
      rest_ = {};
    } else {
      rest_.remove_prefix(end + (rest_.substr(end, 2) == "\r\n" ? 2 : 1));
    }
    while (!line_.empty() && IsBlank(line_.front())) line_.remove_prefix(1);
    while (!line_.empty() && IsBlank(line_.back())) line_.remove_suffix(1);
    return true;
  }

  std::string_view NextWord() {
    while (!line_.empty() && IsBlank(line_.front())) line_.remove_prefix(1);
    size_t end = 0;
    while (end < line_.size() && !IsBlank(line_[end])) ++end;
    const std::string_view word = line_.substr(0, end);
    line_.remove_prefix(end);
    return word;
  }

  tl::unexpected<Error> Wrong(const std::string& what,
                              int32_t code = SLUICE_E_INVALID_ARGUMENT) const {
    return Fail(code, name_ + ":" + std::to_string(std::max<uint64_t>(number_, 1)) + ": " + what);
  }

  /// `count` numbers and nothing else.
  Status Numbers(size_t count, float* out) {
    for (size_t i = 0; i < count; ++i) {
      std::string_view word = NextWord();
      if (word.empty()) {
        return Wrong(std::to_string(count) + " numbers belong here, there are " +
                     std::to_string(i));
      }
      // from_chars takes no plus.
      const std::string_view whole = word;
      if (word[0] == '+') word.remove_prefix(1);
      float value = 0;
      const auto [stop, error] = std::from_chars(word.data(), word.data() + word.size(), value);
      // Too small for a float is as good as 0.
      const bool tiny = error == std::errc::result_out_of_range &&
                        (word.find("e-") != word.npos || word.find("E-") != word.npos);
      if (tiny) value = 0;
      if ((error != std::errc() && !tiny) || stop != word.data() + word.size() ||
          !std::isfinite(value)) {
        return Wrong(Quoted(whole) + " is not a number");
      }
      out[i] = value;
    }
    return End();
  }

  Status End() {
    const std::string_view more = NextWord();
    if (!more.empty() && more[0] != '#') return Wrong(Quoted(more) + " is one too many");
    return {};
  }

  Status Size(uint32_t dimensions, uint32_t most) {
    const std::string key = dimensions == 3 ? "LUT_3D_SIZE" : "LUT_1D_SIZE";
    if (lut_.size != 0) {
      return lut_.dimensions == dimensions
                 ? Wrong(key + " is there twice")
                 : Wrong("a file with both a 1D and a 3D table", SLUICE_E_UNSUPPORTED);
    }
    const std::string_view word = NextWord();
    uint64_t size = 0;
    const auto [stop, error] = std::from_chars(word.data(), word.data() + word.size(), size);
    if (word.empty() || error != std::errc() || stop != word.data() + word.size() || size < 2) {
      return Wrong(key + ": " + Quoted(word) + " is not a whole number from 2");
    }
    if (size > most) {
      return Wrong(key + ": at most " + std::to_string(most) + ", not " + std::to_string(size),
                   SLUICE_E_UNSUPPORTED);
    }
    lut_.dimensions = dimensions;
    lut_.size = static_cast<uint32_t>(size);
    expected_ = dimensions == 3 ? size * size * size : size;
    return End();
  }

  /// Lowest and highest input for all components.
  Status InputRange() {
    float range[2];
    if (Status s = Numbers(2, range); !s) return s;
    lut_.domain_min.fill(range[0]);
    lut_.domain_max.fill(range[1]);
    return {};
  }

  Status Keyword() {
    const std::string_view word = NextWord();
    if (word == "TITLE") return {};
    if (!lut_.entries.empty()) return Wrong(Quoted(word) + " among the table's numbers");
    if (word == "LUT_3D_SIZE") return Size(3, kMaxCube3dSize);
    if (word == "LUT_1D_SIZE") return Size(1, kMaxCube1dSize);
    if (word == "DOMAIN_MIN") return Numbers(3, lut_.domain_min.data());
    if (word == "DOMAIN_MAX") return Numbers(3, lut_.domain_max.data());
    if (word == "LUT_3D_INPUT_RANGE" || word == "LUT_1D_INPUT_RANGE") return InputRange();
    return Wrong(Quoted(word) + " is not a keyword of .cube files");
  }

  Status Entry() {
    if (lut_.size == 0) return Wrong("numbers before LUT_3D_SIZE or LUT_1D_SIZE");
    if (lut_.entries.empty()) {
      if (Status s = CheckDomain(); !s) return s;
      // Not before: a size alone claims no memory. It is bounded by the text, too.
      lut_.entries.reserve(std::min<uint64_t>(expected_, rest_.size() / 5 + 1));
    }
    if (lut_.entries.size() == expected_) {
      return Wrong("more than the " + std::to_string(expected_) + " lines of the table");
    }
    std::array<float, 3> entry{};
    if (Status s = Numbers(3, entry.data()); !s) return s;
    lut_.entries.push_back(entry);
    return {};
  }

  Status CheckDomain() const {
    for (size_t i = 0; i < 3; ++i) {
      if (lut_.domain_min[i] < lut_.domain_max[i]) continue;
      return Wrong("the domain's minimum " + std::to_string(lut_.domain_min[i]) +
                   " is not below its maximum " + std::to_string(lut_.domain_max[i]));
    }
    return {};
  }

  Status Finish() const {
    if (lut_.size == 0) return Wrong("the file ends without LUT_3D_SIZE or LUT_1D_SIZE");
    if (lut_.entries.size() == expected_) return {};
    return Wrong("the file ends after " + std::to_string(lut_.entries.size()) + " of " +
                 std::to_string(expected_) + " lines of the table");
  }

  std::string_view rest_;
  std::string_view line_;
  const std::string& name_;
  uint64_t number_ = 0;  // of the line, from 1
  uint64_t expected_ = 0;
  CubeLut lut_;
};

}  // namespace

Result<CubeLut> ParseCube(std::string_view text, const std::string& name) {
  return Parser(text, name).Run();
}

Result<CubeLut> LoadCube(const std::string& path) {
  struct stat info {};
  if (stat(path.c_str(), &info) < 0) {
    return Fail(errno == ENOENT || errno == ENOTDIR ? SLUICE_E_NOT_FOUND : SLUICE_E_IO,
                path + ": " + std::strerror(errno));
  }
  if (!S_ISREG(info.st_mode)) return Fail(SLUICE_E_INVALID_ARGUMENT, path + ": is no file");
  const auto size = static_cast<uint64_t>(info.st_size);
  if (size > kMaxCubeFileBytes) {
    return Fail(SLUICE_E_UNSUPPORTED, path + ": " + std::to_string(size) + " bytes; at most " +
                                          std::to_string(kMaxCubeFileBytes) + " are read");
  }
  std::ifstream file(path, std::ios::binary);
  if (!file) return Fail(SLUICE_E_IO, path + ": " + std::strerror(errno));
  std::string text(size, '\0');
  file.read(text.data(), static_cast<std::streamsize>(size));
  if (file.bad()) return Fail(SLUICE_E_IO, path + ": " + std::strerror(errno));
  text.resize(static_cast<size_t>(file.gcount()));
  return ParseCube(text, path);
}

}  // namespace sluice::vulkan
