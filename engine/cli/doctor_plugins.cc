#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "engine/cli/doctor.h"
#include "engine/domain/domain.h"
#include "engine/graph/offer.h"
#include "engine/plugin/host.h"

namespace sluice::cli {
namespace {

constexpr char kDomains[] = "domains";

std::string Describe(const domain::DomainInfo& info) {
  std::string uuid;
  for (size_t i = 0; i < info.device_uuid.size(); ++i) {
    uuid += fmt::format("{:02x}{}", info.device_uuid[i],
                        i == 3 || i == 5 || i == 7 || i == 9 ? "-" : "");
  }
  std::string text = fmt::format("{}, driver {}, {}", info.device_name, info.driver, uuid);
  text += fmt::format("; without a copy: {}", graph::ViewsToString(info.views));
  if (info.base_multiple > 1) text += fmt::format(", aligned to {} bytes", info.base_multiple);
  return text;
}

Finding ProbeDomain(Session& session, const std::string& id, const std::string& selector,
                    std::vector<domain::DomainInfo>* opened) {
  Finding finding{.section = kDomains, .name = id, .health = Health::kMissing};
  const auto maker = session.loader().FindDomain(id);
  if (!maker) {
    finding.detail = maker.error().message;
    return finding;
  }
  // The plugin's message says what to install.
  const auto domain =
      domain::Domain::Create(plugin::Host(), *maker->factory, maker->passes, id, selector);
  if (!domain) {
    finding.detail = domain.error().message;
    return finding;
  }
  const domain::DomainInfo& info = (*domain)->info();
  opened->push_back(info);
  finding.health = info.is_software ? Health::kLimited : Health::kOk;
  finding.detail = Describe(info);
  if (info.is_software) {
    finding.advice =
        "runs on the processor: correct, not fast; install the driver of this machine's GPU if it "
        "has one";
  }
  return finding;
}

std::string FirstLineOf(const std::string& text) { return text.substr(0, text.find('\n')); }

/// `Sink` begins with its sluice_finding_sink.
template <typename Sink>
void AddFinding(sluice_finding_sink* sink, const sluice_finding* finding) {
  auto text = [](const char* value) { return std::string(value != nullptr ? value : ""); };
  const bool known =
      finding->health >= SLUICE_HEALTH_OK && finding->health <= SLUICE_HEALTH_MISSING;
  AddOrMerge({.section = text(finding->section),
              .name = text(finding->name),
              .health = known ? static_cast<Health>(finding->health) : Health::kMissing,
              .detail = text(finding->detail),
              .advice = text(finding->advice),
              .device = text(finding->device)},
             reinterpret_cast<Sink*>(sink)->findings);
}

}  // namespace

std::vector<domain::DomainInfo> ProbeDomains(Session& session, const std::string& selector,
                                             Findings* findings) {
  std::vector<domain::DomainInfo> opened;
  findings->push_back(
      {.section = kDomains, .name = "cpu", .detail = "built in; without a copy: shm|cpu"});
  for (const std::string& id : session.registry().DomainNames()) {
    findings->push_back(ProbeDomain(session, id, selector, &opened));
  }
  return opened;
}

std::string WhyNoDevice(const Findings& findings) {
  std::string why;
  for (const Finding& finding : findings) {
    if (finding.section != kDomains || finding.health != Health::kMissing) continue;
    why += fmt::format("{}{}: {}", why.empty() ? "" : "; ", finding.name, finding.detail);
  }
  return why.empty() ? "no plugin offers devices" : why;
}

void AddOrMerge(Finding finding, Findings* findings) {
  const auto same = std::find_if(findings->begin(), findings->end(), [&](const Finding& other) {
    return !finding.device.empty() && other.device == finding.device;
  });
  if (same == findings->end()) {
    findings->push_back(std::move(finding));
    return;
  }
  // The one that is named by the device itself leads, whoever spoke first.
  if (finding.name == finding.device && same->name != same->device) std::swap(*same, finding);
  same->detail += fmt::format("; {}: {}", finding.name, finding.detail);
  if (same->health != finding.health) same->health = Health::kLimited;  // one way works
  if (same->advice.empty()) same->advice = finding.advice;
}

void AskPlugins(Session& session, Findings* findings) {
  struct Sink {
    sluice_finding_sink abi;
    Findings* findings;
  } sink{{&AddFinding<Sink>}, findings};
  for (const sluice_doctor* doctor : session.loader().Doctors()) doctor->examine(&sink.abi);
  // Sections of several plugins stand together.
  std::vector<std::string> sections;
  for (const Finding& finding : *findings) {
    if (std::find(sections.begin(), sections.end(), finding.section) == sections.end()) {
      sections.push_back(finding.section);
    }
  }
  const auto place = [&](const Finding& finding) {
    return std::find(sections.begin(), sections.end(), finding.section) - sections.begin();
  };
  std::stable_sort(findings->begin(), findings->end(),
                   [&](const Finding& a, const Finding& b) { return place(a) < place(b); });
}

void ProbePlugins(Session& session, Findings* findings) {
  constexpr char kSection[] = "plugins";
  const plugin::Registry& registry = session.registry();
  const auto refused = session.loader().CheckAll();
  for (const auto& plugin : registry.plugins()) {
    const bool works = std::none_of(
        refused.begin(), refused.end(),
        [&](const plugin::FailedPlugin& failed) { return failed.path == plugin->path; });
    if (!works) continue;
    findings->push_back({.section = kSection,
                         .name = plugin->manifest.name,
                         .detail = fmt::format("{}, {} node types, {}", plugin->manifest.version,
                                               plugin->manifest.nodes.size(), plugin->path)});
  }
  const auto add_failed = [&](const plugin::FailedPlugin& plugin) {
    findings->push_back({.section = kSection,
                         .name = plugin.path,
                         .health = Health::kMissing,
                         .detail = FirstLineOf(plugin.reason),
                         .advice = "sluice list --failed has all of it"});
  };
  for (const auto& plugin : registry.failed()) add_failed(plugin);
  for (const auto& plugin : refused) add_failed(plugin);
  if (registry.plugins().empty()) {
    findings->push_back({.section = kSection,
                         .name = "any",
                         .health = Health::kMissing,
                         .detail = "none were found",
                         .advice = "`sluice list` says where they are searched; --plugin-path or "
                                   "SLUICE_PLUGIN_PATH name more folders",
                         .required = true});
  }
}

}  // namespace sluice::cli
