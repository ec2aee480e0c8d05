#include "engine/profile/measure.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <functional>
#include <memory>
#include <set>

#include <fmt/format.h>
#include <sluice/profile.h>

#include "engine/media/allocator.h"

namespace sluice::profile {
namespace {

constexpr uint64_t kDefaultBytes = 256 << 20;
constexpr uint64_t kLeastBytes = 1 << 20;
/// As a 2160p frame of four bytes a pixel, which is what is copied in practice.
constexpr uint64_t kFrameBytes = 32 << 20;
constexpr int kRounds = 7;

/// Seconds; the median of a few.
double Time(const std::function<void()>& work) {
  std::vector<double> seconds;
  work();  // pages, caches, clocks
  for (int round = 0; round < kRounds; ++round) {
    const auto began = std::chrono::steady_clock::now();
    work();
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
    seconds.push_back(std::max(took.count(), 1e-9));
  }
  std::nth_element(seconds.begin(), seconds.begin() + kRounds / 2, seconds.end());
  return seconds[kRounds / 2];
}

void Copy(void* to, const void* from, uint64_t bytes) {
  std::memcpy(to, from, bytes);
  // Without it the copy might be left out, because nobody reads it.
  asm volatile("" : : "r"(to) : "memory");
}

Figure CopyCached(uint64_t bytes) {
  const uint64_t half = bytes / 2;
  const uint64_t frame = std::min(kFrameBytes, half);
  const auto from = std::make_unique<char[]>(half);
  const auto to = std::make_unique<char[]>(half);
  std::memset(from.get(), 1, half);
  const double seconds = Time([&] {
    for (uint64_t at = 0; at + frame <= half; at += frame) {
      Copy(to.get() + at, from.get() + at, frame);
    }
  });
  const double copied = static_cast<double>(half / frame * frame);
  return {SLUICE_FIGURE_MEMORY, SLUICE_UNIT_BYTES_PER_SECOND, std::round(2 * copied / seconds),
          "read and written by memcpy on one thread"};
}

/// Out of the mapped dma-bufs of `allocator`.
Figure CopyFrom(media::Allocator& allocator, uint64_t bytes) {
  Figure figure{std::string(kCopyFrom) + std::string(allocator.name()),
                SLUICE_UNIT_BYTES_PER_SECOND, 0, ""};
  uint64_t size = std::min(kFrameBytes, bytes / 2);
  if (allocator.max_bytes() != 0) size = std::min(size, allocator.max_bytes());
  const auto memory = allocator.Allocate("doctor", size);
  if (!memory) {
    figure.note = memory.error().message;
    return figure;
  }
  const auto mapped = (*memory)->Map();
  if (!mapped) {
    figure.note = mapped.error().message;
    return figure;
  }
  const auto to = std::make_unique<char[]>(size);
  Status access;
  const double seconds = Time([&] {
    if (Status began = (*memory)->BeginCpuAccess(media::kCpuRead); !began) access = began;
    Copy(to.get(), *mapped, size);
    if (Status ended = (*memory)->EndCpuAccess(media::kCpuRead); !ended) access = ended;
  });
  if (!access) {
    figure.note = access.error().message;
    return figure;
  }
  figure.value = std::round(static_cast<double>(size) / seconds);
  figure.note = "dma-buf, mapped, into cached memory";
  return figure;
}

void CopyFromAll(uint64_t bytes, std::vector<Figure>* figures) {
  const auto add = [&](const std::string& name, auto allocator) {
    if (allocator) {
      figures->push_back(CopyFrom(**allocator, bytes));
    } else {
      figures->push_back({std::string(kCopyFrom) + name, SLUICE_UNIT_BYTES_PER_SECOND, 0,
                          allocator.error().message});
    }
  };
  add("udmabuf", media::CreateUdmabufAllocator());
  std::set<std::string> heaps = {"system"};  // said also where it is missing
  std::error_code error;
  for (std::filesystem::directory_iterator entry("/dev/dma_heap", error), end;
       !error && entry != end; entry.increment(error)) {
    heaps.insert(entry->path().filename().string());
  }
  for (const std::string& heap : heaps) {
    add("dma-heap " + heap, media::CreateDmaHeapAllocator(heap));
  }
}

std::string TextOf(const char* text) { return text != nullptr ? text : ""; }

struct Sink {
  static void Add(void* self, const sluice_measured_device* device) {
    DeviceRecord record;
    record.domain = TextOf(device->domain);
    record.name = TextOf(device->name);
    record.driver = TextOf(device->driver);
    for (uint8_t byte : device->uuid) record.uuid += fmt::format("{:02x}", byte);
    record.is_software = device->is_software != 0;
    record.measured = TimeNow();
    for (uint32_t i = 0; i < device->figure_count; ++i) {
      const sluice_figure& figure = device->figures[i];
      const bool sane = std::isfinite(figure.value) && figure.value >= 0;
      record.figures.push_back({TextOf(figure.name), TextOf(figure.unit),
                                sane ? std::round(figure.value) : 0, TextOf(figure.note)});
    }
    static_cast<Devices*>(self)->devices.push_back(std::move(record));
  }
  static void Problem(void* self, const char* message) {
    static_cast<Devices*>(self)->problems.push_back(TextOf(message));
  }
};

}  // namespace

std::vector<Figure> MeasureMemory(uint64_t bytes) {
  bytes = std::max(bytes == 0 ? kDefaultBytes : bytes, kLeastBytes);
  std::vector<Figure> figures = {CopyCached(bytes)};
  CopyFromAll(bytes, &figures);
  return figures;
}

Devices MeasureDevices(plugin::Loader& loader, const std::string& selector, uint64_t bytes) {
  Devices out;
  const sluice_profile_request request{selector.empty() ? nullptr : selector.c_str(), bytes};
  const sluice_profile_sink sink{&out, &Sink::Add, &Sink::Problem};
  for (const sluice_profile* profiler : loader.Profilers()) profiler->measure(&request, &sink);
  return out;
}

std::string TimeNow() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  gmtime_r(&now, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

}  // namespace sluice::profile
