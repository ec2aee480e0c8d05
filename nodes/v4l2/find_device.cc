#include "nodes/v4l2/find_device.h"

#include <dirent.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <mutex>
#include <vector>

namespace sluice::v4l2 {
namespace {

constexpr const char* kLinkFolders[] = {"/dev/v4l/by-id/", "/dev/v4l/by-path/"};

/// Paths, and the devices that were there first. Fixed in size and without a constructor, as a
/// plugin's static objects are.
class Memory {
 public:
  /// The identity that `path` had first; false for a path that is new.
  bool Recall(const std::string& path, Identity* out) {
    const std::lock_guard lock(mutex_);
    for (const Slot& slot : slots_) {
      if (path != slot.path) continue;
      out->card = slot.card;
      out->bus_info = slot.bus_info;
      return true;
    }
    return false;
  }
  void Remember(const std::string& path, const Identity& identity) {
    const std::lock_guard lock(mutex_);
    for (Slot& slot : slots_) {
      if (path == slot.path) return;
      if (slot.path[0] != '\0') continue;
      if (path.size() < sizeof(slot.path)) Copy(path, slot.path);
      Copy(identity.card, slot.card);
      Copy(identity.bus_info, slot.bus_info);
      return;
    }
  }

 private:
  struct Slot {
    char path[128];
    char card[33];
    char bus_info[33];
  };
  template <size_t N>
  static void Copy(const std::string& from, char (&to)[N]) {
    std::snprintf(to, N, "%s", from.c_str());
  }

  std::mutex mutex_;
  std::array<Slot, 32> slots_{};
};

constinit Memory memory;

bool Same(const Identity& a, const Identity& b) {
  return a.card == b.card && a.bus_info == b.bus_info;
}

bool IsNodeName(const char* name, int* number = nullptr) {
  int value = 0, length = 0;
  if (std::sscanf(name, "video%d%n", &value, &length) != 1 || name[length] != '\0') return false;
  if (number != nullptr) *number = value;
  return true;
}

/// The first device that `accept` takes; `seen` gets a line for each one that opens.
template <class Accept>
std::unique_ptr<Device> Search(Direction direction, std::string* seen, Accept&& accept) {
  for (const std::string& path : DeviceNodes()) {
    auto device = Device::Open(path, direction);
    if (!device.ok()) continue;
    const Identity& identity = (*device)->identity();
    *seen +=
        (seen->empty() ? "" : ", ") + path + " (" + identity.card + ", " + identity.bus_info + ")";
    if (accept(identity)) return *std::move(device);
  }
  return nullptr;
}

sdk::Expected<std::unique_ptr<Device>> OpenPath(const std::string& path, Direction direction) {
  auto device = Device::Open(path, direction);
  Identity first;
  if (!memory.Recall(path, &first)) {
    if (device.ok()) memory.Remember(path, (*device)->identity());
    return device;
  }
  if (device.ok() && Same((*device)->identity(), first)) return device;
  std::string seen;
  auto moved =
      Search(direction, &seen, [&](const Identity& identity) { return Same(identity, first); });
  if (moved != nullptr) return moved;
  if (!device.ok()) return device.status();
  return sdk::Status::Error(SLUICE_E_NOT_FOUND, "%s was %s (%s), and is %s (%s) now", path.c_str(),
                            first.card.c_str(), first.bus_info.c_str(),
                            (*device)->identity().card.c_str(),
                            (*device)->identity().bus_info.c_str());
}

}  // namespace

std::vector<std::string> DeviceNodes() {
  std::vector<int> numbers;
  if (DIR* folder = opendir("/dev")) {
    while (const dirent* entry = readdir(folder)) {
      int number = 0;
      if (IsNodeName(entry->d_name, &number)) numbers.push_back(number);
    }
    closedir(folder);
  }
  std::sort(numbers.begin(), numbers.end());
  std::vector<std::string> paths;
  for (const int number : numbers) paths.push_back("/dev/video" + std::to_string(number));
  return paths;
}

sdk::Expected<std::unique_ptr<Device>> FindDevice(const std::string& wanted, Direction direction) {
  if (!wanted.empty() && wanted[0] == '/') return OpenPath(wanted, direction);
  std::string seen;
  if (wanted.empty()) {
    if (auto device = Search(direction, &seen, [](const Identity&) { return true; })) return device;
    return sdk::Status::Error(SLUICE_E_NOT_FOUND, "there is no video %s device that may be opened",
                              direction == Direction::kCapture ? "capture" : "output");
  }
  if (wanted.find('/') == std::string::npos) {
    if (IsNodeName(wanted.c_str())) return OpenPath("/dev/" + wanted, direction);
    for (const char* folder : kLinkFolders) {
      auto device = Device::Open(folder + wanted, direction);
      if (device.ok()) return device;
    }
  }
  auto device = Search(direction, &seen, [&](const Identity& identity) {
    return identity.card == wanted || identity.bus_info == wanted;
  });
  if (device != nullptr) return device;
  return sdk::Status::Error(SLUICE_E_NOT_FOUND, "no video %s device is called %s; there is %s",
                            direction == Direction::kCapture ? "capture" : "output", wanted.c_str(),
                            seen.empty() ? "none" : seen.c_str());
}

}  // namespace sluice::v4l2
