#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "engine/base/result.h"
#include "engine/graph/profile.h"
#include "engine/profile/machine.h"

namespace sluice::profile {

/// One thing that was measured. Names and units: plugins/abi/sluice/profile.h.
struct Figure {
  std::string name;
  std::string unit;  ///< "B/s" or "ns", or a plugin's own
  double value = 0;  ///< 0: was not measured, `note` says why
  std::string note;

  friend bool operator==(const Figure&, const Figure&) = default;
};

/// A figure's name of the memory of an engine's allocator: this and the allocator's name. The CPU
/// copies out of its dma-bufs into cached memory; bytes count once.
inline constexpr std::string_view kCopyFrom = "copy from ";

struct DeviceRecord {
  std::string domain;
  std::string name;
  std::string driver;
  std::string uuid;  ///< 32 hex digits
  bool is_software = false;
  std::string measured;  ///< "2026-11-30T02:40:17Z"
  std::vector<Figure> figures;

  friend bool operator==(const DeviceRecord&, const DeviceRecord&) = default;
};

/// All that was measured on one machine; what a profile's file holds.
struct Record {
  Machine machine;
  std::string measured;  ///< the CPU's figures, "2026-11-30T02:40:17Z"
  std::vector<Figure> figures;
  std::vector<DeviceRecord> devices;

  /// Replaces the record of the same device, whatever its driver was, or adds it.
  void Put(DeviceRecord device);
};

/// The file's text, JSON; keys as in docs/cli.md.
std::string ToText(const Record& record);
nlohmann::ordered_json ToJson(const Record& record);

/// Errors: InvalidArgument for what is no profile, lacks something, or has a figure that no
/// machine has; the message says which.
Result<Record> Parse(std::string_view text);

/// What plans are made with; what was not measured has its default.
graph::Profile ToProfile(const Record& record);

/// "24.1 GB/s", "3.1 us"; for people.
std::string FormatFigure(const Figure& figure);

}  // namespace sluice::profile
