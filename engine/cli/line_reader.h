#pragma once

#include <functional>
#include <string>
#include <thread>

#include "engine/base/result.h"
#include "engine/base/unique_fd.h"

namespace sluice::cli {

/// Reads lines from a file, a FIFO or stdin while something else goes on.
class LineReader {
 public:
  /// `path`: "-" is stdin. `line` is called on a thread of the reader's. Errors: NotFound,
  /// PermissionDenied, Io, InvalidArgument for a folder.
  static Result<LineReader> Open(const std::string& path,
                                 std::function<void(const std::string&)> line);
  LineReader(LineReader&&) = default;
  /// Waits for a call in progress; what was not read stays unread.
  ~LineReader();

 private:
  LineReader(UniqueFd stop, std::thread thread)
      : stop_(std::move(stop)), thread_(std::move(thread)) {}

  UniqueFd stop_;  ///< an eventfd
  std::thread thread_;
};

}  // namespace sluice::cli
