// island: the arms of Sluice's GPU domain, driven as the engine drives it. One JSON object a line.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <nlohmann/json.hpp>
#include <thread>

#include "tests/benchmark/gpu/chain.h"
#include "tests/benchmark/gpu/rig.h"

namespace sluice::benchmark {
namespace {

using nlohmann::json;

// Enough that the harness is woken once for some frames, not for each: it is not what is measured.
constexpr uint32_t kInFlight = 8;
constexpr uint32_t kStreamInFlight = 3;

struct Options {
  std::string plugin;
  std::string device;
  std::string size = "3840x2160";
  std::string stream_size = "1920x1080";
  uint32_t ring = 16;
  uint32_t rounds = 7;
  double seconds = 1;
  bool looks = false;
  std::string place;  ///< "device", "memfd"; empty: both
  std::vector<uint32_t> filters = {1, 2, 4, 8, 16};
  std::vector<uint32_t> streams = {1, 4, 16, 64};
};

Size ParseSize(const std::string& text) {
  Size size;
  if (std::sscanf(text.c_str(), "%ux%u", &size.width, &size.height) != 2) {
    throw Failure("a size is WxH, not '" + text + "'");
  }
  return size;
}

void Print(const json& line) { std::cout << line.dump() << std::endl; }

/// A filter of the chain as a node.
NodeSpec ToNode(const Filter& filter) {
  if (!filter.is_look) return {"vulkan.adjust", {}, {{filter.name, filter.params[0]}}};
  NodeSpec node{"vulkan.look", {{"look", filter.name}}, {{"amount", 1}}};
  static const std::map<std::string, std::vector<const char*>> kNames = {
      {"warm", {"strength"}},
      {"fade", {"lift", "saturation"}},
      {"vignette", {"strength", "radius"}},
      {"sepia", {}}};
  const std::vector<const char*>& names = kNames.at(filter.name);
  for (size_t i = 0; i < names.size(); ++i) node.numbers[names[i]] = filter.params[i];
  return node;
}

std::vector<NodeSpec> ToNodes(const std::vector<Filter>& chain) {
  std::vector<NodeSpec> nodes;
  for (const Filter& filter : chain) nodes.push_back(ToNode(filter));
  return nodes;
}

/// The looks of the chain alone, repeated.
std::vector<Filter> MakeLooks(uint32_t count) {
  std::vector<Filter> looks;
  for (uint32_t i = 0; looks.size() < count; ++i) {
    const Filter filter = MakeChain(i + 1).back();
    if (filter.is_look) looks.push_back(filter);
  }
  return looks;
}

/// What the domain may do. kMoved: fused, and one number has left its neutral value. kOneBody:
/// fused, but without a second body for numbers that are neutral.
enum class How { kFused, kMoved, kOneBody, kUnfused };
const char* ToString(How how) {
  static constexpr const char* kNames[] = {"fused", "fused, a number moved", "fused, one body",
                                           "unfused"};
  return kNames[static_cast<int>(how)];
}

/// One island to be measured.
struct Case {
  std::string what;
  std::vector<NodeSpec> nodes;
  std::vector<Filter> chain;  ///< to check the result by; empty: it is not checked
  Format format = Format::kRgba8;
  How how = How::kFused;
  Place place = Place::kMemfd;
};

json About(const Case& one, Size size) {
  return {{"arm", "island"},
          {"what", one.what},
          {"how", ToString(one.how)},
          {"where", one.place == Place::kMemfd ? "memfd to memfd" : "device to device"},
          {"format", ToString(one.format)},
          {"size", std::to_string(size.width) + "x" + std::to_string(size.height)},
          {"filters", one.nodes.size()}};
}

sluice_format ToSluice(Format format, Size size) {
  return MakeRgbFormat(format == Format::kRgba8 ? SLUICE_FORMAT_AB24 : SLUICE_FORMAT_AB4H,
                       size.width, size.height);
}

/// A domain reads the variables when it is made.
std::unique_ptr<Rig> MakeRig(const Plugin& plugin, const Options& options, How how) {
  setenv("SLUICE_VULKAN_FUSE", how == How::kUnfused ? "0" : "1", 1);
  setenv("SLUICE_VULKAN_SETTLE", how == How::kOneBody ? "0" : "1", 1);
  return std::make_unique<Rig>(plugin, options.device);
}

/// Frames for a case, the input's with a picture.
struct Ends {
  Ends(Rig& rig, const Case& one, Size size, uint32_t count)
      : picture(rig, ToSluice(one.format, size), 1, Place::kMemfd),
        in(rig, ToSluice(one.format, size), count, one.place),
        out(rig, ToSluice(one.format, size), count, one.place) {
    FillFrame(picture.bytes(0), size, one.format);
    Carry(rig, picture, in);
  }
  Frames picture;
  Frames in;
  Frames out;
};

/// Returns the largest difference from the reference, in 1/255; 0 where there is none to compare.
double CheckResult(Rig& rig, const Ends& ends, const Case& one, Size size) {
  if (one.chain.empty()) return 0;
  const Frames result(rig, ends.out.format(), 1, Place::kMemfd);
  if (result.stride() != uint64_t{size.width} * BytesPerPixel(one.format)) return 0;
  Carry(rig, ends.out, result);
  // docs/looks.md says 2 code values for one look.
  const Difference difference = WorstDifference(ends.picture.bytes(0), result.bytes(0), size,
                                                one.format, one.format, one.chain);
  CheckDifference(difference, 2.01, "an island");
  return difference.worst;
}

json PassesOf(const IslandRig& island, double* gpu_us) {
  json list = json::array();
  *gpu_us = 0;
  for (const IslandRig::Pass& pass : island.Passes()) {
    if (pass.frames == 0) continue;
    const double us = static_cast<double>(pass.total_ns) / static_cast<double>(pass.frames) / 1e3;
    *gpu_us += us;
    list.push_back(
        {{"label", pass.label}, {"us", us}, {"min_us", static_cast<double>(pass.min_ns) / 1e3}});
  }
  return list;
}

/// Each pair of frames once; then until the device's clocks are up.
void WarmUp(IslandRig& island, uint32_t frames) {
  const double begin = WallSeconds();
  while (island.submitted() < frames || WallSeconds() - begin < 0.2) island.Submit(kInFlight);
  island.Finish();
}

/// From a neutral value, by so little that it makes no difference to the result.
void Move(IslandRig& island, const NodeSpec& first) {
  island.SetNumber(0, first.type == "vulkan.adjust" ? "contrast" : "amount", 0.9999);
}

void Measure(const Plugin& plugin, const Options& options, const Case& one) {
  const Size size = ParseSize(options.size);
  json row = About(one, size);
  try {
    const std::unique_ptr<Rig> rig = MakeRig(plugin, options, one.how);
    // More of them than the L2 holds; pages of memfds are pinned, which takes time.
    const Ends ends(*rig, one, size,
                    one.place == Place::kDevice ? std::max(options.ring, kInFlight) : kInFlight);
    IslandRig island(*rig, one.nodes, ends.in, ends.out);
    if (one.how == How::kMoved) Move(island, one.nodes.front());
    WarmUp(island, ends.in.count());
    row["worst"] = CheckResult(*rig, ends, one, size);
    const uint64_t first = island.submitted();
    const double submit_before = island.submit_cpu_s();
    Pace pace;
    Rig::TimelinePace().Reset();
    const double begin = WallSeconds();
    const double process = ProcessSeconds();
    const double thread = ThreadSeconds();
    while (island.submitted() < first + 10 || WallSeconds() - begin < options.seconds) {
      island.Submit(kInFlight);
      pace.Sample();
    }
    island.Finish();
    const auto frames = static_cast<double>(island.submitted() - first);
    const double wall = WallSeconds() - begin;
    const double others =
        ProcessSeconds() - process - (ThreadSeconds() - thread) - Rig::TimelinePace().spent_s();
    const double submit = island.submit_cpu_s() - submit_before;
    double gpu_us = 0;
    row["passes"] = PassesOf(island, &gpu_us);
    if (gpu_us > 0) row["gpu_us"] = gpu_us;
    row["fps"] = frames / wall;
    row["in_flight"] = kInFlight;
    row["arithmetic_ns"] = {pace.ns(), Rig::TimelinePace().ns()};
    row["submit_cpu_us"] = 1e6 * submit / frames;
    row["other_threads_cpu_us"] = 1e6 * others / frames;
    row["thread_cpu_us"] = 1e6 * (submit + others) / frames;
    row["bytes_copied"] =
        static_cast<double>(island.bytes_copied()) / static_cast<double>(island.submitted());
  } catch (const std::exception& failure) {
    row["error"] = failure.what();
  }
  Print(row);
}

constexpr Place kPlaces[] = {Place::kDevice, Place::kMemfd};

bool Wanted(Place place, const Options& options) {
  return options.place.empty() || (place == Place::kDevice) == (options.place == "device");
}

void RunChains(const Plugin& plugin, const Options& options) {
  for (const Format format : {Format::kRgba8, Format::kRgba16f}) {
    for (const uint32_t filters : options.filters) {
      const std::vector<Filter> chain = options.looks ? MakeLooks(filters) : MakeChain(filters);
      for (const Place place : kPlaces) {
        if (!Wanted(place, options)) continue;
        for (const How how : {How::kFused, How::kMoved, How::kOneBody, How::kUnfused}) {
          if (how == How::kUnfused && filters == 1) continue;
          // Where the link decides, bodies make no difference.
          if ((how == How::kMoved || how == How::kOneBody) && place == Place::kMemfd) continue;
          Measure(plugin, options, {"the chain", ToNodes(chain), chain, format, how, place});
        }
      }
    }
  }
}

/// What peers.py has of FFmpeg, by the same names.
void RunPeers(const Plugin& plugin, const Options& options) {
  const NodeSpec horizontal{"vulkan.flip", {{"direction", "horizontal"}}, {}};
  const NodeSpec vertical{"vulkan.flip", {{"direction", "vertical"}}, {}};
  const NodeSpec aberration{"vulkan.look", {{"look", "chromatic-aberration"}}, {{"amount", 1}}};
  const NodeSpec blur{"vulkan.blur", {}, {{"sigma", 2}}};
  const auto measure = [&](const char* what, const std::vector<NodeSpec>& nodes) {
    Measure(plugin, options, {what, nodes, {}, Format::kRgba8, How::kFused, Place::kDevice});
  };
  measure("flips", {horizontal, vertical, horizontal, vertical});
  measure("flips, aberration, blur", {horizontal, vertical, aberration, blur});
  const std::map<std::string, double> all = {
      {"brightness", 0.03}, {"contrast", 1.1}, {"saturation", 1.2}, {"gamma", 1.15}};
  std::vector<NodeSpec> adjusts;
  for (const char* name : {"brightness", "contrast", "saturation", "gamma"}) {
    adjusts.push_back({"vulkan.adjust", {}, {{name, all.at(name)}}});
  }
  measure("four adjustments", adjusts);
  measure("four adjustments in one", {{"vulkan.adjust", {}, all}});
}

/// Islands of one domain, each with a thread.
void RunStreams(const Plugin& plugin, const Options& options, uint32_t count, Place place) {
  constexpr uint32_t kFilters = 4;
  const Size size = ParseSize(options.stream_size);
  const std::vector<Filter> chain = options.looks ? MakeLooks(kFilters) : MakeChain(kFilters);
  const Case one{"the chain", ToNodes(chain), {}, Format::kRgba8, How::kFused, place};
  json row = About(one, size);
  row["streams"] = count;
  try {
    Gpu gpu(options.device);  // for what it says of memory
    const std::unique_ptr<Rig> rig = MakeRig(plugin, options, How::kFused);
    std::vector<std::unique_ptr<Ends>> ends;
    std::vector<std::unique_ptr<IslandRig>> islands;
    for (uint32_t i = 0; i < count; ++i) {
      ends.push_back(std::make_unique<Ends>(*rig, one, size, kStreamInFlight));
      islands.push_back(
          std::make_unique<IslandRig>(*rig, one.nodes, ends.back()->in, ends.back()->out));
    }
    std::atomic<bool> over{false};
    std::vector<std::atomic<uint64_t>> frames(count);
    std::vector<std::string> errors(count);
    std::vector<std::thread> threads;
    for (uint32_t i = 0; i < count; ++i) {
      threads.emplace_back([&, i] {
        try {
          while (!over.load()) {
            islands[i]->Submit(kStreamInFlight);
            ++frames[i];
          }
          islands[i]->Finish();
        } catch (const std::exception& failure) {
          errors[i] = failure.what();
        }
      });
    }
    Counted counted;
    std::string stopped;
    try {
      counted = CountFrames(options.seconds,
                            [&] { return std::vector<uint64_t>(frames.begin(), frames.end()); });
    } catch (const Failure& failure) {
      stopped = failure.what();
    }
    row["gpu_memory_bytes"] = gpu.MemoryUsed();
    over = true;
    for (std::thread& thread : threads) thread.join();
    errors.push_back(stopped);
    for (const std::string& error : errors) {
      if (!error.empty()) throw Failure(error);
    }
    row["fps"] = counted.fps;
    row["fairness"] = counted.fairness;
    row["process_cpu_us"] = 1e6 * counted.process_s;
  } catch (const std::exception& failure) {
    row["error"] = failure.what();
  }
  Print(row);
}

int Main(int argc, char** argv) {
  Options options;
  bool ignored = false;
  CLI::App app("The benchmark's arms of Sluice's GPU domain: one JSON object a line.");
  app.add_option("--plugin", options.plugin, "vulkan.so")->required();
  app.add_option("--device", options.device, "a part of the device's name");
  app.add_option("--size", options.size, "WxH of frames");
  app.add_option("--stream-size", options.stream_size, "WxH of concurrent streams' frames");
  app.add_option("--ring", options.ring, "frames that take turns; at most 8 are used");
  app.add_option("--rounds", options.rounds, "not used here");
  app.add_option("--seconds", options.seconds, "of each row");
  app.add_option("--filters", options.filters, "lengths of chains")->delimiter(',');
  app.add_option("--streams", options.streams, "how many at a time")->delimiter(',');
  app.add_flag("--looks", options.looks, "chains of vulkan.look alone");
  app.add_flag("--no-search", ignored, "not used here");
  app.add_option("--place", options.place, "of chains' and streams' frames; both if not given")
      ->check(CLI::IsMember({"device", "memfd"}));
  std::string part;
  app.add_option("--part", part, "chains, peers or streams; all of them if not given")
      ->check(CLI::IsMember({"chains", "peers", "streams"}));
  CLI11_PARSE(app, argc, argv);
  const Plugin plugin(options.plugin);
  if (part.empty() || part == "chains") RunChains(plugin, options);
  if (part.empty() || part == "peers") RunPeers(plugin, options);
  if (!part.empty() && part != "streams") return 0;
  for (const Place place : kPlaces) {
    if (!Wanted(place, options)) continue;
    for (const uint32_t count : options.streams) RunStreams(plugin, options, count, place);
  }
  return 0;
}

}  // namespace
}  // namespace sluice::benchmark

int main(int argc, char** argv) {
  try {
    return sluice::benchmark::Main(argc, argv);
  } catch (const std::exception& failure) {
    std::fprintf(stderr, "island: %s\n", failure.what());
    return 1;
  }
}
