#include "engine/cli/describe_offer.h"

#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace sluice::cli {
namespace {

using Json = nlohmann::ordered_json;
using graph::Extent;
using graph::Offer;

constexpr graph::Views kAllViews[] = {graph::kViewDmabuf, graph::kViewShm, graph::kViewDevice,
                                      graph::kViewCpu};
constexpr graph::Syncs kAllSyncs[] = {graph::kSyncCpuDone, graph::kSyncImplicit,
                                      graph::kSyncSyncFile, graph::kSyncSyncobj,
                                      graph::kSyncTimeline};

std::vector<std::string> ViewNames(graph::Views views) {
  std::vector<std::string> names;
  for (graph::Views view : kAllViews) {
    if (views & view) names.push_back(graph::ViewsToString(view));
  }
  return names;
}

std::vector<std::string> SyncNames(graph::Syncs syncs) {
  std::vector<std::string> names;
  for (graph::Syncs sync : kAllSyncs) {
    if (syncs & sync) names.push_back(graph::SyncsToString(sync));
  }
  return names;
}

std::vector<std::string> Formats(const Offer& offer) {
  std::vector<std::string> names;
  for (uint32_t fourcc : offer.fourccs) names.push_back(media::FourccName(fourcc));
  if (names.empty()) names.push_back("any format");
  return names;
}

std::vector<std::string> Modifiers(const Offer& offer) {
  std::vector<std::string> names;
  for (uint64_t modifier : offer.modifiers) names.push_back(graph::ModifierToString(modifier));
  return names;
}

std::string Range(const Extent& extent) {
  if (extent.max == 0) return extent.min <= 1 ? "any" : fmt::format("{} or more", extent.min);
  if (extent.fixed()) return std::to_string(extent.min);
  std::string text = fmt::format("{} to {}", extent.min, extent.max);
  if (extent.step > 1) text += fmt::format(" in steps of {}", extent.step);
  return text;
}

std::string SizeText(const Offer& offer) {
  if (offer.width.max == 0 && offer.width.min <= 1 && offer.height.max == 0 &&
      offer.height.min <= 1) {
    return offer.size_param.empty() ? "any size" : fmt::format("size as `{}`", offer.size_param);
  }
  std::string text = fmt::format("width {}, height {}", Range(offer.width), Range(offer.height));
  if (!offer.size_param.empty()) text += fmt::format(", as `{}`", offer.size_param);
  return text;
}

std::string RateText(const Offer& offer) {
  if (!offer.rate_param.empty()) return fmt::format("rate as `{}`", offer.rate_param);
  if (offer.rate_max.denominator == 0) return {};
  const std::string max = graph::RateToString(offer.rate_max);
  if (offer.rate_min == offer.rate_max) return max + " fps";
  return fmt::format("{} to {} fps", graph::RateToString(offer.rate_min), max);
}

Json ExtentToJson(const Extent& extent) {
  return {{"min", extent.min},
          {"max", extent.max == 0 ? Json(nullptr) : Json(extent.max)},
          {"step", extent.step}};
}

Json ColorToJson(const media::Color& color) {
  Json json = Json::object();
  const auto add = [&](const char* name, auto value) {
    if (static_cast<int>(value) != 0) json[name] = media::Name(value);
  };
  add("primaries", color.primaries);
  add("transfer", color.transfer);
  add("matrix", color.matrix);
  add("range", color.range);
  add("siting", color.siting);
  return json;
}

}  // namespace

std::string OfferToText(const Offer& offer) {
  std::vector<std::string> parts = {fmt::format("{}", fmt::join(Formats(offer), ", "))};
  if (!offer.fourcc_param.empty()) parts.back() += fmt::format(", as `{}`", offer.fourcc_param);
  if (!offer.modifiers.empty())
    parts.push_back(fmt::format("{}", fmt::join(Modifiers(offer), ", ")));
  parts.push_back(SizeText(offer));
  if (const std::string rate = RateText(offer); !rate.empty()) parts.push_back(rate);
  if (offer.color != media::Color{}) parts.push_back("colour " + media::ToString(offer.color));
  parts.push_back("in " + fmt::format("{}", fmt::join(ViewNames(offer.views), " or ")));
  if (offer.allocates != 0) parts.push_back("allocates " + graph::ViewsToString(offer.allocates));
  parts.push_back("sync " + fmt::format("{}", fmt::join(SyncNames(offer.sync), " or ")));
  if (offer.hold_max > 0) parts.push_back(fmt::format("holds up to {} frames", offer.hold_max));
  if (offer.retains > 0) parts.push_back(fmt::format("goes on reading {} frames", offer.retains));
  if (offer.dynamic_reserve > 0) {
    parts.push_back(fmt::format("acquires up to {} frames at once", offer.dynamic_reserve));
  }
  if (!offer.copies.empty()) parts.push_back("copies each frame: " + offer.copies);
  return fmt::format("{}", fmt::join(parts, "; "));
}

Json OfferToJson(const Offer& offer) {
  Json formats = Json::array();
  for (uint32_t fourcc : offer.fourccs) formats.push_back(media::FourccName(fourcc));
  Json json = {
      {"formats", offer.fourccs.empty() ? Json("any") : std::move(formats)},
      {"modifiers", offer.modifiers.empty() ? Json::array({"LINEAR"}) : Json(Modifiers(offer))},
      {"views", ViewNames(offer.views)},
      {"allocates", ViewNames(offer.allocates)},
      {"sync", SyncNames(offer.sync)},
      {"width", ExtentToJson(offer.width)},
      {"height", ExtentToJson(offer.height)},
      {"color", ColorToJson(offer.color)},
      {"buffers_min", offer.buffers_min},
      {"buffers_max", offer.buffers_max == 0 ? Json(nullptr) : Json(offer.buffers_max)},
      {"hold_min", offer.hold_min},
      {"hold_max", offer.hold_max},
      {"retains", offer.retains},
      {"dynamic_reserve", offer.dynamic_reserve}};
  if (offer.rate_max.denominator != 0) {
    json["rate"] = {{"min", graph::RateToString(offer.rate_min)},
                    {"max", graph::RateToString(offer.rate_max)}};
  }
  if (!offer.copies.empty()) json["copies"] = offer.copies;
  if (!offer.size_param.empty()) json["size_param"] = offer.size_param;
  if (!offer.rate_param.empty()) json["rate_param"] = offer.rate_param;
  if (!offer.fourcc_param.empty()) json["format_param"] = offer.fourcc_param;
  return json;
}

}  // namespace sluice::cli
