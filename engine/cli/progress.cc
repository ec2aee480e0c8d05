#include "engine/cli/progress.h"

#include <unistd.h>

#include <cstdlib>
#include <cstring>

#include <fmt/format.h>

#include "engine/cli/std_streams.h"

namespace sluice::cli {
namespace {

constexpr double kSecondsBetweenLines = 5;
constexpr std::string_view kWipe = "\r\x1b[K";

bool IsTerminal() {
  const char* term = std::getenv("TERM");
  return isatty(STDERR_FILENO) == 1 && term != nullptr && std::strcmp(term, "dumb") != 0;
}

std::string_view LevelName(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return "debug";
    case LogLevel::kInfo:
      return "info";
    case LogLevel::kWarning:
      return "warning";
    default:
      return "error";
  }
}

}  // namespace

std::string FormatProgress(const runtime::ProgressInfo& info) {
  std::string text;
  if (info.total > 0) {
    const double part = static_cast<double>(info.done) / static_cast<double>(info.total);
    text =
        fmt::format("frame {} of {} ({:.0f}%)", info.done, info.total, 100 * std::min(part, 1.0));
  } else {
    text = fmt::format("frame {}", info.frames);
  }
  const auto seconds = static_cast<uint64_t>(info.seconds);
  return text + fmt::format("  {:.1f} fps  {}:{:02}", info.fps, seconds / 60, seconds % 60);
}

Progress::Progress(ProgressMode mode)
    : terminal_(IsTerminal()),
      active_(mode == ProgressMode::kAlways || (mode == ProgressMode::kAuto && terminal_)) {
  if (!active_) return;
  SetLogSink([this](LogLevel level, std::string_view category, std::string_view message) {
    Message(level, category, message);
  });
}

Progress::~Progress() {
  if (!active_) return;
  SetLogSink(nullptr);
  std::lock_guard lock(mutex_);
  Wipe();
}

void Progress::Show(const runtime::ProgressInfo& info) {
  if (!active_) return;
  if (terminal_) {
    std::lock_guard lock(mutex_);
    WriteErr(fmt::format("{}{}", kWipe, FormatProgress(info)));
    line_shown_ = true;
  } else if (info.seconds >= next_line_s_) {
    next_line_s_ = info.seconds + kSecondsBetweenLines;
    WriteErr(FormatProgress(info) + "\n");
  }
}

void Progress::Message(LogLevel level, std::string_view category, std::string_view message) {
  std::lock_guard lock(mutex_);
  Wipe();
  WriteErr(fmt::format("{} {}: {}\n", LevelName(level), category, message));
}

void Progress::Wipe() {
  if (!line_shown_) return;
  WriteErr(kWipe);
  line_shown_ = false;
}

}  // namespace sluice::cli
