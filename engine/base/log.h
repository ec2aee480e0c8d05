#pragma once

#include <functional>
#include <string>
#include <string_view>

#include <fmt/format.h>

namespace sluice {

/// error: the user loses something. warning: the result may differ from what
/// was asked for. info: what a user running a graph wants to know once.
/// debug: for whoever looks for a fault. Nothing is logged per frame above debug.
enum class LogLevel { kDebug = 0, kInfo = 1, kWarning = 2, kError = 3, kOff = 4 };

/// Replaces the sink (default: stderr, "level category: message").
/// Threads: [thread-safe].
using LogSink = std::function<void(LogLevel, std::string_view category, std::string_view message)>;
void SetLogSink(LogSink sink);
/// Default: warning; SLUICE_LOG=debug|info|warning|error|off overrides.
void SetLogLevel(LogLevel level);
LogLevel GetLogLevel();
bool ParseLogLevel(std::string_view name, LogLevel* level);

void LogMessage(LogLevel level, std::string_view category, std::string_view message);

template <typename... Args>
void Log(LogLevel level, std::string_view category, fmt::format_string<Args...> format,
         Args&&... args) {
  if (level < GetLogLevel()) return;
  LogMessage(level, category, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace sluice
