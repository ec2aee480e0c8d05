#include "tests/pipewire/peers.h"

#include <signal.h>

#include <algorithm>

namespace sluice::testing {

Result<Peer> Peer::Start(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "tests/pipewire/peer");
  if (std::find(arguments.begin(), arguments.end(), "--deadline-ms") == arguments.end()) {
    arguments.insert(arguments.end(), {"--deadline-ms", std::to_string(kPatience.count())});
  }
  auto process = Process::Start(arguments);
  if (!process) return tl::unexpected(process.error());
  Peer peer;
  peer.process_ = std::move(*process);
  return peer;
}

Result<nlohmann::json> Peer::WaitForEvent(const std::string& event,
                                          const std::function<bool(const nlohmann::json&)>& fits) {
  std::string before;
  for (;;) {
    auto line = process_.ReadLine();
    if (!line) return Fail(line.error().code, "waited in vain for " + event + " after " + before);
    const auto said = nlohmann::json::parse(*line, nullptr, false);
    if (said.is_object() && said.value("event", "") == event && (!fits || fits(said))) return said;
    before = *line;
  }
}

Status Peer::WaitForState(const std::string& state) {
  auto said =
      WaitForEvent("state", [&](const nlohmann::json& line) { return line["state"] == state; });
  if (!said) return tl::unexpected(said.error());
  return {};
}

Status Peer::WaitForFrames(uint64_t frames) {
  auto said = WaitForEvent("frames", [&](const nlohmann::json& line) {
    return line["frames"].get<uint64_t>() >= frames;
  });
  if (!said) return tl::unexpected(said.error());
  return {};
}

Result<nlohmann::json> Peer::Ended() {
  auto said = process_.ReadAll();
  if (!said) return tl::unexpected(said.error());
  auto status = process_.Wait();
  if (!status) return tl::unexpected(status.error());
  const size_t end = said->find_last_not_of('\n');
  const size_t start = end == std::string::npos ? end : said->rfind('\n', end);
  auto summary = nlohmann::json::parse(said->substr(start == std::string::npos ? 0 : start + 1),
                                       nullptr, false);
  if (!summary.is_object() || !summary.contains("role")) {
    return Fail(Code::kIo, "a peer ended with " + std::to_string(*status) + " after " + *said);
  }
  summary["status"] = *status;
  return summary;
}

Result<nlohmann::json> Peer::Stop() {
  process_.Signal(SIGTERM);
  return Ended();
}

}  // namespace sluice::testing
