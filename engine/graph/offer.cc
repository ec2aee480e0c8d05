#include "engine/graph/offer.h"

#include <charconv>
#include <numeric>

#include <fmt/format.h>

namespace sluice::graph {
namespace {

struct NamedBit {
  std::string_view name;
  uint32_t bit;
};

constexpr NamedBit kViewNames[] = {
    {"dma-buf", kViewDmabuf}, {"shm", kViewShm}, {"device", kViewDevice}, {"cpu", kViewCpu}};
constexpr NamedBit kSyncNames[] = {{"cpu-done", kSyncCpuDone},
                                   {"implicit", kSyncImplicit},
                                   {"sync_file", kSyncSyncFile},
                                   {"syncobj", kSyncSyncobj},
                                   {"timeline", kSyncTimeline}};

template <size_t N>
uint32_t ParseBit(std::string_view name, const NamedBit (&names)[N]) {
  for (const NamedBit& entry : names) {
    if (entry.name == name) return entry.bit;
  }
  return 0;
}

template <size_t N>
std::string JoinBits(uint32_t bits, const NamedBit (&names)[N]) {
  std::string out;
  for (const NamedBit& entry : names) {
    if ((bits & entry.bit) == 0) continue;
    if (!out.empty()) out += "|";
    out += entry.name;
  }
  return out.empty() ? "none" : out;
}

/// All of `text` as a number without a sign.
bool ParseUnsigned(std::string_view text, uint32_t* value) {
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *value);
  return !text.empty() && error == std::errc() && end == text.data() + text.size();
}

std::string_view Trim(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

struct PortField {
  std::string port;
  TieField field;
};

std::optional<PortField> ParsePortField(std::string_view text) {
  text = Trim(text);
  const size_t dot = text.rfind('.');
  if (dot == std::string_view::npos || dot == 0) return std::nullopt;
  for (TieField field : kTieFields) {
    if (text.substr(dot + 1) == TieFieldName(field)) {
      return PortField{std::string(text.substr(0, dot)), field};
    }
  }
  return std::nullopt;
}

/// Takes the next word off `text`; "" at its end.
std::string_view NextWord(std::string_view* text) {
  *text = Trim(*text);
  const std::string_view word = text->substr(0, text->find(' '));
  text->remove_prefix(word.size());
  return word;
}

/// What may stand behind a tie.
bool ParseConditions(std::string_view text, Tie* tie) {
  std::string_view word = NextWord(&text);
  if (word == "when") {
    tie->when_param = NextWord(&text);
    if (tie->when_param.empty() || NextWord(&text) != "is") return false;
    do {
      tie->when_values.emplace_back(NextWord(&text));
      if (tie->when_values.back().empty()) return false;
      word = NextWord(&text);
    } while (word == "or");
  }
  if (word == "unless") {
    tie->unless_param = NextWord(&text);
    if (tie->unless_param.empty()) return false;
    word = NextWord(&text);
  }
  return word.empty();
}

constexpr uint32_t kMaxRateTerm = 1'000'000'000;

}  // namespace

std::string_view TieFieldName(TieField field) {
  switch (field) {
    case TieField::kFourcc:
      return "fourcc";
    case TieField::kSize:
      return "size";
    case TieField::kRate:
      return "rate";
    case TieField::kColorSpace:
      return "color_space";
    case TieField::kColorEncoding:
      return "color_encoding";
    case TieField::kColor:
      return "color";
  }
  return "?";
}

std::optional<Tie> ParseTie(std::string_view text) {
  const size_t equals = text.find("==");
  if (equals == std::string_view::npos) return std::nullopt;
  auto left = ParsePortField(text.substr(0, equals));
  text.remove_prefix(equals + 2);
  std::string_view word = NextWord(&text);
  const bool turned = word == "turned";
  if (turned) word = NextWord(&text);
  auto right = ParsePortField(word);
  if (!left || !right || left->field != right->field || left->port == right->port ||
      (turned && left->field != TieField::kSize)) {
    return std::nullopt;
  }
  Tie tie{left->port, right->port, left->field, turned};
  if (!ParseConditions(text, &tie)) return std::nullopt;
  return tie;
}

std::string ToString(const Tie& tie) {
  const std::string_view field = TieFieldName(tie.field);
  std::string text = fmt::format("{}.{} == {}{}.{}", tie.left_port, field,
                                 tie.turned ? "turned " : "", tie.right_port, field);
  if (!tie.when_param.empty()) {
    text += fmt::format(" when {} is {}", tie.when_param, fmt::join(tie.when_values, " or "));
  }
  if (!tie.unless_param.empty()) text += " unless " + tie.unless_param;
  return text;
}

Views ParseView(std::string_view name) { return ParseBit(name, kViewNames); }
std::string ViewsToString(Views views) { return JoinBits(views, kViewNames); }
Syncs ParseSync(std::string_view name) { return ParseBit(name, kSyncNames); }
std::string SyncsToString(Syncs syncs) { return JoinBits(syncs, kSyncNames); }

std::string ModifierToString(uint64_t modifier) {
  if (modifier == media::kModifierLinear) return "LINEAR";
  if (modifier == media::kModifierInvalid) return "INVALID";
  return fmt::format("0x{:016x}", modifier);
}

bool ParseSize(std::string_view text, uint32_t* width, uint32_t* height) {
  const size_t x = text.find('x');
  if (x == std::string_view::npos) return false;
  uint32_t w = 0, h = 0;
  if (!ParseUnsigned(text.substr(0, x), &w) || !ParseUnsigned(text.substr(x + 1), &h)) return false;
  if (w == 0 || h == 0 || w > media::kMaxDimension || h > media::kMaxDimension) return false;
  *width = w;
  *height = h;
  return true;
}

bool ParseRate(std::string_view text, media::Rate* rate) {
  uint32_t numerator = 0, denominator = 1;
  if (const size_t slash = text.find('/'); slash != std::string_view::npos) {
    if (!ParseUnsigned(text.substr(0, slash), &numerator) ||
        !ParseUnsigned(text.substr(slash + 1), &denominator)) {
      return false;
    }
  } else if (const size_t dot = text.find('.'); dot != std::string_view::npos) {
    const std::string_view decimals = text.substr(dot + 1);
    if (decimals.empty() || decimals.size() > 6) return false;
    for (size_t i = 0; i < decimals.size(); ++i) denominator *= 10;
    uint32_t whole = 0, fraction = 0;
    if (!ParseUnsigned(text.substr(0, dot), &whole) || !ParseUnsigned(decimals, &fraction))
      return false;
    const uint64_t wide = uint64_t{whole} * denominator + fraction;
    if (wide > kMaxRateTerm) return false;
    numerator = static_cast<uint32_t>(wide);
  } else if (!ParseUnsigned(text, &numerator)) {
    return false;
  }
  if (numerator == 0 || denominator == 0) return false;
  if (numerator > kMaxRateTerm || denominator > kMaxRateTerm) return false;
  const uint32_t divisor = std::gcd(numerator, denominator);
  *rate = {numerator / divisor, denominator / divisor};
  return true;
}

std::string RateToString(media::Rate rate) {
  if (rate.numerator == 0 || rate.denominator == 0) return "-";
  if (rate.denominator == 1) return fmt::format("{}", rate.numerator);
  return fmt::format("{}/{}", rate.numerator, rate.denominator);
}

}  // namespace sluice::graph
