// by_hand: the arms that need no Sluice. One JSON object a line on stdout.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <iostream>

#include "tests/benchmark/gpu/arms.h"

namespace sluice::benchmark {
namespace {

Size ParseSize(const std::string& text) {
  Size size;
  if (std::sscanf(text.c_str(), "%ux%u", &size.width, &size.height) != 2) {
    throw Failure("a size is WxH, not '" + text + "'");
  }
  return size;
}

struct Arguments {
  std::string device;
  std::string size = "3840x2160";
  std::string stream_size = "1920x1080";
  std::vector<std::string> arms = {"limits", "origin", "streams"};
  bool describe = false;
  Options options;
};

Arguments Parse(int argc, char** argv, int* status) {
  Arguments arguments;
  Options& options = arguments.options;
  options.filters = {1, 2, 4, 8, 16};
  options.streams = {1, 4, 16, 64};
  bool quick = false;
  CLI::App app("The benchmark's arms without Sluice: one JSON object a line.");
  app.add_option("--device", arguments.device, "a part of the device's name");
  app.add_option("--size", arguments.size, "WxH of frames")->capture_default_str();
  app.add_option("--stream-size", arguments.stream_size, "WxH of concurrent streams' frames")
      ->capture_default_str();
  app.add_option("--ring", options.ring, "frames that take turns")->capture_default_str();
  app.add_option("--rounds", options.rounds, "of the ring, for a median")->capture_default_str();
  app.add_option("--seconds", options.seconds, "of arms that count frames")->capture_default_str();
  app.add_option("--filters", options.filters, "lengths of chains")->delimiter(',');
  app.add_option("--streams", options.streams, "how many at a time")->delimiter(',');
  app.add_option("--arms", arguments.arms, "limits, origin, streams")->delimiter(',');
  app.add_flag("--describe", arguments.describe, "says which device it is, and no more");
  app.add_flag("--no-search", quick, "two ways of writing each kernel instead of all");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    *status = app.exit(error);
    return arguments;
  }
  *status = -1;
  options.search = !quick;
  options.size = ParseSize(arguments.size);
  options.stream_size = ParseSize(arguments.stream_size);
  return arguments;
}

/// The eight filters, so that others can be held against them.
nlohmann::json ChainAsJson() {
  nlohmann::json list = nlohmann::json::array();
  for (const Filter& filter : MakeChain(8)) {
    list.push_back({{"name", filter.name}, {"params", filter.params}});
  }
  return list;
}

/// Returns whether the arm ran to its end. One that fails says so on a line of its own.
bool RunArm(const std::string& arm, Gpu& gpu, const Options& options, const Emit& emit) {
  try {
    if (arm == "limits") {
      RunLimits(gpu, options, emit);
    } else if (arm == "origin") {
      RunOrigin(gpu, options, emit);
    } else if (arm == "streams") {
      RunStreams(gpu, options, emit);
    } else {
      throw Failure("there is no arm '" + arm + "'");
    }
    return true;
  } catch (const std::exception& failure) {
    emit({{"arm", arm}, {"error", failure.what()}});
    return false;
  }
}

int Main(int argc, char** argv) {
  const Emit emit = [](const nlohmann::json& line) { std::cout << line.dump() << std::endl; };
  int status = 0;
  const Arguments arguments = Parse(argc, argv, &status);
  if (status >= 0) return status;
  Gpu gpu(arguments.device);
  emit({{"arm", "device"},
        {"name", gpu.name()},
        {"driver", gpu.driver()},
        {"chain", ChainAsJson()},
        {"software", gpu.is_software()},
        {"imports_host_pointers", gpu.imports_host_pointers()}});
  if (arguments.describe) return 0;
  bool all = true;
  for (const std::string& arm : arguments.arms) {
    all = RunArm(arm, gpu, arguments.options, emit) && all;
  }
  return all ? 0 : 1;
}

}  // namespace
}  // namespace sluice::benchmark

int main(int argc, char** argv) {
  try {
    return sluice::benchmark::Main(argc, argv);
  } catch (const std::exception& failure) {
    std::fprintf(stderr, "by_hand: %s\n", failure.what());
    return 1;
  }
}
