#include "engine/plugin/manifest_port.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "engine/media/format.h"
#include "engine/plugin/manifest.h"
#include "engine/plugin/manifest_fields.h"

namespace sluice::plugin::internal {
namespace {

// Bounds of what a manifest may ask for; far above any real node's wishes, and far below any
// overflow.
constexpr uint32_t kMaxMultiple = 1u << 24;
constexpr uint32_t kMaxTailBytes = 1u << 24;
constexpr uint32_t kMaxBuffers = 1024;
constexpr uint32_t kMaxDimension = media::kMaxDimension;

class OfferReader {
 public:
  OfferReader(const yaml::Value& value, const std::string& port, size_t index,
              const graph::PortDesc& owner, DiagnosticList* diagnostics)
      : owner_(owner),
        fields_(&value, fmt::format("offer {} of {}", index + 1, port),
                {"formats", "modifiers", "views", "allocates", "sync", "size", "rate", "color",
                 "align", "tail", "buffers", "hold", "retains", "dynamic_reserve", "copies",
                 "size_param", "rate_param", "format_param"},
                value.mark(), diagnostics) {}

  graph::Offer Read() {
    ReadFormats();
    ReadModifiers();
    offer_.views =
        ReadBits("views", graph::kViewCpu, graph::ParseView, "dma-buf, shm, device or cpu");
    offer_.allocates = ReadBits("allocates", 0, graph::ParseView, "dma-buf, shm, device or cpu");
    offer_.sync = ReadBits("sync", graph::kSyncCpuDone, graph::ParseSync,
                           "cpu-done, implicit, sync_file, syncobj or timeline");
    if ((offer_.allocates & ~offer_.views) != 0) {
      fields_.Error(
          kErrManifestConflict, fields_.MarkOf("allocates"),
          fmt::format("{} allocates {}, but its views are {}", fields_.where(),
                      graph::ViewsToString(offer_.allocates), graph::ViewsToString(offer_.views)));
    }
    ReadSize();
    ReadRate();
    ReadColor();
    ReadAlignment();
    ReadDepths();
    offer_.copies = fields_.Text("copies");
    offer_.size_param = fields_.Text("size_param");
    offer_.rate_param = fields_.Text("rate_param");
    offer_.fourcc_param = fields_.Text("format_param");
    return std::move(offer_);
  }

 private:
  void ReadFormats() {
    if (IsAny("formats")) return;
    const yaml::Value* value = fields_.Find("formats");
    if (!value->is_sequence() || value->items().empty()) {
      fields_.BadValue("formats", *value, "a list of fourccs like [NV12, AB24], or any");
      return;
    }
    for (const yaml::Value& item : value->items()) {
      const uint32_t fourcc = item.is_scalar() ? media::ParseFourcc(item.text()).value_or(0) : 0;
      if (fourcc == 0) {
        fields_.BadValue("formats", item, "a fourcc of one to four characters");
      } else if (std::count(offer_.fourccs.begin(), offer_.fourccs.end(), fourcc) != 0) {
        fields_.Error(kErrManifestConflict, item.mark(),
                      fmt::format("'formats' of {} has {} twice", fields_.where(), item.text()));
      } else {
        offer_.fourccs.push_back(fourcc);
      }
    }
  }

  void ReadModifiers() {
    for (const auto& [text, mark] : fields_.TextList("modifiers")) {
      if (text == "linear") {
        offer_.modifiers.push_back(media::kModifierLinear);
      } else if (text == "invalid") {
        offer_.modifiers.push_back(media::kModifierInvalid);
      } else if (const auto number = ParseHex(text)) {
        offer_.modifiers.push_back(*number);
      } else {
        fields_.Error(
            kErrManifestValue, mark,
            fmt::format(
                "'modifiers' of {} must be linear, invalid or a number like 0x0100000000000001, "
                "not '{}'",
                fields_.where(), text));
      }
    }
  }

  static std::optional<uint64_t> ParseHex(std::string_view text) {
    if (!text.starts_with("0x")) return std::nullopt;
    text.remove_prefix(2);
    uint64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, 16);
    if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return number;
  }

  uint32_t ReadBits(std::string_view key, uint32_t fallback, uint32_t (*parse)(std::string_view),
                    std::string_view expected) {
    if (!fields_.Has(key)) return fallback;
    uint32_t bits = 0;
    for (const auto& [text, mark] : fields_.TextList(key)) {
      const uint32_t bit = parse(text);
      if (bit == 0) {
        fields_.Error(
            kErrManifestValue, mark,
            fmt::format("'{}' of {} must be {}, not '{}'", key, fields_.where(), expected, text));
      }
      bits |= bit;
    }
    return bits;
  }

  Fields Sub(std::string_view key, const std::vector<std::string>& known) const {
    return Fields(fields_.Find(key), fmt::format("'{}' of {}", key, fields_.where()), known,
                  fields_.MarkOf(key), fields_.diagnostics());
  }

  bool IsAny(std::string_view key) const {
    const yaml::Value* value = fields_.Find(key);
    return value == nullptr || (value->is_scalar() && value->text() == "any");
  }

  void ReadSize() {
    if (IsAny("size")) return;
    const yaml::Value* value = fields_.Find("size");
    uint32_t width = 0;
    uint32_t height = 0;
    if (value->is_scalar()) {
      if (graph::ParseSize(value->text(), &width, &height)) {
        offer_.width = {width, width, 1};
        offer_.height = {height, height, 1};
      } else {
        fields_.BadValue("size", *value,
                         "a size like 1280x720, any, or {min: ..., max: ..., step: ...}");
      }
      return;
    }
    const Fields size = Sub("size", {"min", "max", "step"});
    ReadSizePart(size, "min", &offer_.width.min, &offer_.height.min);
    ReadSizePart(size, "max", &offer_.width.max, &offer_.height.max);
    ReadSizePart(size, "step", &offer_.width.step, &offer_.height.step);
    if (IsReversed(offer_.width) || IsReversed(offer_.height)) {
      fields_.Error(kErrManifestConflict, size.mark(),
                    fmt::format("{} has a minimum above its maximum", size.where()));
    }
  }

  static bool IsReversed(const graph::Extent& extent) {
    return extent.max != 0 && extent.min > extent.max;
  }

  static void ReadSizePart(const Fields& size, std::string_view key, uint32_t* width,
                           uint32_t* height) {
    const yaml::Value* value = size.Find(key);
    if (value == nullptr) return;
    uint32_t w = 0;
    uint32_t h = 0;
    if (value->is_scalar() && graph::ParseSize(value->text(), &w, &h) && w <= kMaxDimension &&
        h <= kMaxDimension) {
      *width = w;
      *height = h;
    } else {
      size.BadValue(key, *value, "a size like 1280x720");
    }
  }

  void ReadRate() {
    if (IsAny("rate")) return;
    const yaml::Value* value = fields_.Find("rate");
    if (value->is_scalar()) {
      if (graph::ParseRate(value->text(), &offer_.rate_min)) {
        offer_.rate_max = offer_.rate_min;
      } else {
        fields_.BadValue("rate", *value,
                         "frames a second like 30 or 30000/1001, any, or {min: ..., max: ...}");
      }
      return;
    }
    const Fields rate = Sub("rate", {"min", "max"});
    ReadRatePart(rate, "min", &offer_.rate_min);
    ReadRatePart(rate, "max", &offer_.rate_max);
    const media::Rate& low = offer_.rate_min;
    const media::Rate& high = offer_.rate_max;
    if (uint64_t{low.numerator} * high.denominator > uint64_t{high.numerator} * low.denominator) {
      fields_.Error(kErrManifestConflict, rate.mark(),
                    fmt::format("{} has a minimum above its maximum", rate.where()));
    }
  }

  static void ReadRatePart(const Fields& rate, std::string_view key, media::Rate* out) {
    const yaml::Value* value = rate.Find(key);
    if (value == nullptr) {
      rate.Require(key);  // An open end has no meaning: 0/0 on both sides is "any".
    } else if (!value->is_scalar() || !graph::ParseRate(value->text(), out)) {
      rate.BadValue(key, *value, "frames a second like 30 or 30000/1001");
    }
  }

  template <typename T>
  static T ReadTerm(const Fields& color, std::string_view key,
                    Result<T> (*parse)(std::string_view)) {
    const yaml::Value* value = color.Find(key);
    if (value == nullptr) return T{};
    if (!value->is_scalar()) {
      color.BadValue(key, *value, "a text");
      return T{};
    }
    const auto term = parse(value->text());
    if (term) return *term;
    color.Error(kErrManifestValue, value->mark(),
                fmt::format("'{}' of {}: {}", key, color.where(), term.error().message));
    return T{};
  }

  void ReadColor() {
    if (IsAny("color")) return;
    const Fields color = Sub("color", {"primaries", "transfer", "matrix", "range", "siting"});
    offer_.color.primaries = ReadTerm(color, "primaries", media::ParsePrimaries);
    offer_.color.transfer = ReadTerm(color, "transfer", media::ParseTransfer);
    offer_.color.matrix = ReadTerm(color, "matrix", media::ParseMatrix);
    offer_.color.range = ReadTerm(color, "range", media::ParseRange);
    offer_.color.siting = ReadTerm(color, "siting", media::ParseSiting);
  }

  void ReadAlignment() {
    const Fields align = Sub("align", {"width", "height", "stride", "offset", "base", "size"});
    media::Alignment& out = offer_.alignment;
    out.width = align.Number("width", 1, kMaxDimension, 1);
    out.height = align.Number("height", 1, kMaxDimension, 1);
    out.stride = align.Number("stride", 1, kMaxMultiple, 1);
    out.offset = align.Number("offset", 1, kMaxMultiple, 1);
    out.base = align.Number("base", 1, kMaxMultiple, 1);
    out.size = align.Number("size", 1, kMaxMultiple, 1);
    out.tail = fields_.Number("tail", 0, kMaxTailBytes, 0);
  }

  void ReadDepths() {
    ReadMinMax("buffers", &offer_.buffers_min, &offer_.buffers_max);
    ReadMinMax("hold", &offer_.hold_min, &offer_.hold_max);
    offer_.retains = fields_.Number("retains", 0, kMaxBuffers, 0);
    offer_.dynamic_reserve = fields_.Number("dynamic_reserve", 0, kMaxBuffers, 0);
    const bool is_output = owner_.direction == graph::Direction::kOutput;
    Forbid(is_output && (offer_.hold_min != 0 || offer_.hold_max != 0), "hold",
           "counts on inputs only");
    Forbid(!is_output && offer_.retains != 0, "retains", "counts on outputs only");
    const bool dynamic = owner_.acquisition == graph::Acquisition::kDynamic;
    Forbid(!dynamic && offer_.dynamic_reserve != 0, "dynamic_reserve", "needs `acquire: dynamic`");
  }

  void ReadMinMax(std::string_view key, uint32_t* min, uint32_t* max) {
    const Fields range = Sub(key, {"min", "max"});
    *min = range.Number("min", 0, kMaxBuffers, 0);
    *max = range.Number("max", 0, kMaxBuffers, key == "hold" ? *min : 0);
    // For buffers a maximum of 0 is no bound; a hold of 0 is none.
    if (*min > *max && (*max != 0 || key == "hold")) {
      fields_.Error(kErrManifestConflict, range.mark(),
                    fmt::format("{} has a minimum above its maximum", range.where()));
    }
  }

  void Forbid(bool wrong, std::string_view key, std::string_view why) {
    if (wrong) {
      fields_.Error(kErrManifestConflict, fields_.MarkOf(key),
                    fmt::format("'{}' of {} {}", key, fields_.where(), why));
    }
  }

  const graph::PortDesc& owner_;
  Fields fields_;
  graph::Offer offer_;
};

}  // namespace

graph::PortDesc ReadPort(const yaml::Entry& entry, const std::string& node,
                         DiagnosticList* diagnostics) {
  const Fields fields(
      &entry.value, fmt::format("port '{}' of {}", entry.key, node),
      {"direction", "doc", "required", "access", "acquire", "passthrough", "raw_fds", "offers"},
      entry.key_mark, diagnostics);
  graph::PortDesc port;
  port.name = entry.key;
  if (!IsManifestName(port.name)) {
    fields.Error(kErrManifestName, entry.key_mark,
                 fmt::format("'{}' is not a name for a port", port.name));
  }
  fields.Require("direction");
  port.direction = fields.Choice<graph::Direction>(
      "direction", {{"input", graph::Direction::kInput}, {"output", graph::Direction::kOutput}},
      port.direction);
  port.doc = fields.Text("doc");
  port.required = fields.Bool("required", true);
  port.access = fields.Choice<graph::Access>(
      "access", {{"cpu", graph::Access::kCpu}, {"device", graph::Access::kDevice}}, port.access);
  port.acquisition =
      fields.Choice<graph::Acquisition>("acquire",
                                        {{"per-invocation", graph::Acquisition::kPerInvocation},
                                         {"dynamic", graph::Acquisition::kDynamic}},
                                        port.acquisition);
  port.passthrough = fields.Text("passthrough");
  port.raw_fds = fields.Bool("raw_fds");

  const bool is_input = port.direction == graph::Direction::kInput;
  if (is_input && (fields.Has("acquire") || fields.Has("passthrough"))) {
    const char* key = fields.Has("acquire") ? "acquire" : "passthrough";
    fields.Error(kErrManifestConflict, fields.MarkOf(key),
                 fmt::format("'{}' of {} is for outputs", key, fields.where()));
  }
  if (!port.passthrough.empty() && port.acquisition == graph::Acquisition::kDynamic) {
    fields.Error(kErrManifestConflict, fields.MarkOf("passthrough"),
                 fmt::format("{} passes frames through, so that it acquires none", fields.where()));
  }
  fields.ForEachItem("offers", [&](const yaml::Value& item) {
    port.offers.push_back(
        OfferReader(item, fields.where(), port.offers.size(), port, diagnostics).Read());
  });
  if (port.offers.empty() && port.passthrough.empty()) {
    fields.Error(kErrManifestMissing, fields.MarkOf("offers"),
                 fmt::format("{} needs at least one offer", fields.where()));
  }
  return port;
}

}  // namespace sluice::plugin::internal
