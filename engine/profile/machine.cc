#include "engine/profile/machine.h"

#include <unistd.h>

#include <fstream>

#include <fmt/format.h>

#include "engine/plugin/sha256.h"

namespace sluice::profile {
namespace {

std::string FirstLine(const char* path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

/// "AMD EPYC 9R14"; of a machine whose kernel does not say, what kind it is.
std::string ProcessorModel() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with("model name")) continue;
    const size_t colon = line.find(": ");
    if (colon != std::string::npos) return line.substr(colon + 2);
  }
#if defined(__x86_64__)
  return "x86-64";
#elif defined(__aarch64__)
  return "arm64";
#else
  return "processor";
#endif
}

}  // namespace

Machine ThisMachine() {
  Machine machine;
  const long processors = sysconf(_SC_NPROCESSORS_ONLN);
  machine.name = fmt::format("{}, {} {}", ProcessorModel(), processors,
                             processors == 1 ? "processor" : "processors");
  // machine-id(5): "should be considered confidential": so it is hashed, with words of our own.
  machine.id = plugin::Sha256Hex(fmt::format("sluice profile\n{}\n{}", FirstLine("/etc/machine-id"),
                                             machine.name))
                   .substr(0, 16);
  return machine;
}

}  // namespace sluice::profile
