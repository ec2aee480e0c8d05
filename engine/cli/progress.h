#pragma once

#include <mutex>
#include <string>

#include "engine/base/log.h"
#include "engine/runtime/engine.h"

namespace sluice::cli {

enum class ProgressMode { kAuto, kAlways, kNever };

/// "frame 31 of 41 (76%)  24.8 fps  0:01"; without the total where nobody knows it.
std::string FormatProgress(const runtime::ProgressInfo& info);

/// Shows on stderr how a run gets on: one line that is rewritten on a terminal, a line every few
/// seconds where it was asked for elsewhere. While it exists, log messages pass through it, so that
/// they do not land inside that line.
/// Threads: Show is [main-thread]; messages come from any.
class Progress {
 public:
  explicit Progress(ProgressMode mode);
  /// Wipes the line.
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  bool active() const { return active_; }
  void Show(const runtime::ProgressInfo& info);

 private:
  void Message(LogLevel level, std::string_view category, std::string_view message);
  void Wipe();  // requires mutex_

  const bool terminal_;
  const bool active_;
  std::mutex mutex_;
  bool line_shown_ = false;  // guarded by mutex_
  double next_line_s_ = 0;   // off a terminal
};

}  // namespace sluice::cli
