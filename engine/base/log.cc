#include "engine/base/log.h"

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <mutex>

namespace sluice {
namespace {

constexpr std::string_view kNames[] = {"debug", "info", "warning", "error", "off"};

int InitialLevel() {
  LogLevel level = LogLevel::kWarning;
  if (const char* name = std::getenv("SLUICE_LOG")) ParseLogLevel(name, &level);
  return static_cast<int>(level);
}

std::atomic<int>& Level() {
  static std::atomic<int> level{InitialLevel()};
  return level;
}

std::mutex& SinkMutex() {
  static std::mutex mutex;
  return mutex;
}

LogSink& Sink() {
  static LogSink sink;
  return sink;
}

}  // namespace

bool ParseLogLevel(std::string_view name, LogLevel* level) {
  for (int i = 0; i < 5; ++i) {
    if (kNames[i] != name) continue;
    *level = static_cast<LogLevel>(i);
    return true;
  }
  return false;
}

void SetLogSink(LogSink sink) {
  std::lock_guard lock(SinkMutex());
  Sink() = std::move(sink);
}

void SetLogLevel(LogLevel level) { Level() = static_cast<int>(level); }
LogLevel GetLogLevel() { return static_cast<LogLevel>(Level().load(std::memory_order_relaxed)); }

void LogMessage(LogLevel level, std::string_view category, std::string_view message) {
  std::lock_guard lock(SinkMutex());
  if (Sink()) {
    Sink()(level, category, message);
    return;
  }
  std::string line =
      fmt::format("{} {}: {}\n", kNames[static_cast<int>(level)], category, message);
  std::fputs(line.c_str(), stderr);
}

}  // namespace sluice
