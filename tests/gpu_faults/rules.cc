#include "tests/gpu_faults/rules.h"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <iterator>

namespace sluice::vulkan_faults {
namespace {

struct NamedResult {
  std::string_view name;
  VkResult result;
};
constexpr NamedResult kResults[] = {
    {"VK_ERROR_DEVICE_LOST", VK_ERROR_DEVICE_LOST},
    {"VK_ERROR_OUT_OF_DEVICE_MEMORY", VK_ERROR_OUT_OF_DEVICE_MEMORY},
    {"VK_ERROR_OUT_OF_HOST_MEMORY", VK_ERROR_OUT_OF_HOST_MEMORY},
    {"VK_ERROR_INITIALIZATION_FAILED", VK_ERROR_INITIALIZATION_FAILED},
    {"VK_ERROR_TOO_MANY_OBJECTS", VK_ERROR_TOO_MANY_OBJECTS},
    {"VK_ERROR_INVALID_EXTERNAL_HANDLE", VK_ERROR_INVALID_EXTERNAL_HANDLE},
};

struct NamedType {
  std::string_view name;
  VkPhysicalDeviceType type;
};
constexpr NamedType kTypes[] = {
    {"discrete", VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU},
    {"integrated", VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU},
    {"virtual", VK_PHYSICAL_DEVICE_TYPE_VIRTUAL_GPU},
    {"cpu", VK_PHYSICAL_DEVICE_TYPE_CPU},
};

[[noreturn]] void Refuse(std::string_view rule) {
  std::fprintf(stderr, "vulkan faults: cannot understand '%.*s'\n", static_cast<int>(rule.size()),
               rule.data());
  std::abort();
}

uint64_t Number(std::string_view text, std::string_view rule) {
  uint64_t value = 0;
  const auto parsed = std::from_chars(text.begin(), text.end(), value);
  if (parsed.ec != std::errc() || parsed.ptr != text.end()) Refuse(rule);
  return value;
}

void ParseCall(std::string_view left, std::string_view right, std::string_view rule, Rules& rules) {
  CallRule& call = rules.calls.emplace_back();
  const size_t at = left.find_first_of("@>");
  if (at == std::string_view::npos) Refuse(rule);
  call.function = left.substr(0, at);
  std::string_view number = left.substr(at + 1);
  call.and_later = number.ends_with('+');
  if (call.and_later) number.remove_suffix(1);
  (left[at] == '@' ? call.call : call.above_bytes) = Number(number, rule);
  if (right.starts_with("HANG")) {
    call.fault = CallRule::Fault::kHang;
    right.remove_prefix(4);
    if (right.empty()) return;
    if (right[0] != ':') Refuse(rule);
    call.reset_ms = static_cast<uint32_t>(Number(right.substr(1), rule));
    return;
  }
  for (const NamedResult& known : kResults) {
    if (known.name == right) call.result = known.result;
  }
  if (call.result == VK_SUCCESS) Refuse(rule);
}

DeviceRule& RuleOf(uint32_t index, Rules& rules) {
  for (DeviceRule& device : rules.devices) {
    if (device.index == index) return device;
  }
  rules.devices.push_back({index, "", std::nullopt, 0, {}, 0, 0});
  return rules.devices.back();
}

void ParseDevice(std::string_view left, std::string_view right, std::string_view rule,
                 Rules& rules) {
  const size_t dot = left.find('.');
  if (dot == std::string_view::npos) Refuse(rule);
  DeviceRule& device = RuleOf(static_cast<uint32_t>(Number(left.substr(3, dot - 3), rule)), rules);
  const std::string_view what = left.substr(dot + 1);
  if (what == "name") {
    device.name = right;
  } else if (what == "without") {
    device.without.emplace_back(right);
  } else if (what == "copies") {
    device.copy_queues = static_cast<uint32_t>(Number(right, rule));
    if (device.copy_queues == 0 || device.copy_queues > kMaxCopyQueues) Refuse(rule);
  } else if (what == "timestamps") {
    device.timestamp_bits = static_cast<uint32_t>(Number(right, rule));
    if (device.timestamp_bits > 64) Refuse(rule);
  } else if (what == "api") {
    const size_t point = right.find('.');
    if (point == std::string_view::npos) Refuse(rule);
    device.api_version =
        VK_MAKE_API_VERSION(0, static_cast<uint32_t>(Number(right.substr(0, point), rule)),
                            static_cast<uint32_t>(Number(right.substr(point + 1), rule)), 0);
  } else if (what == "type") {
    for (const NamedType& known : kTypes) {
      if (known.name == right) device.type = known.type;
    }
    if (!device.type) Refuse(rule);
  } else {
    Refuse(rule);
  }
}

}  // namespace

bool CallRule::Applies(uint64_t bytes) {
  if (above_bytes > 0) return bytes > above_bytes;
  const uint64_t number = calls.fetch_add(1) + 1;
  return and_later ? number >= call : number == call;
}

CallRule* Rules::Match(std::string_view function, uint64_t bytes) {
  CallRule* found = nullptr;
  for (CallRule& rule : calls) {
    if (rule.function == function && rule.Applies(bytes) && found == nullptr) found = &rule;
  }
  return found;
}

const DeviceRule* Rules::ForDevice(uint32_t index) const {
  for (const DeviceRule& device : devices) {
    if (device.index == index) return &device;
  }
  return nullptr;
}

void ParseRules(std::string_view text, Rules& rules) {
  while (!text.empty()) {
    const size_t end = std::min(text.find(';'), text.size());
    const std::string_view rule = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (rule.empty()) continue;
    const size_t equals = rule.find('=');
    if (equals == std::string_view::npos) Refuse(rule);
    const std::string_view left = rule.substr(0, equals);
    const std::string_view right = rule.substr(equals + 1);
    if (left.starts_with("gpu")) {
      ParseDevice(left, right, rule, rules);
    } else {
      ParseCall(left, right, rule, rules);
    }
  }
}

}  // namespace sluice::vulkan_faults
