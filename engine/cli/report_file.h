#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "engine/base/result.h"
#include "engine/base/unique_fd.h"

namespace sluice::cli {

/// A text file that appears under its name only when it is whole. Its place is taken before the
/// work starts, so that a run does not end with a report that cannot be written. Threads:
/// [main-thread].
class ReportFile {
 public:
  /// Errors: AlreadyExists without `overwrite`, NotFound, PermissionDenied, Io.
  static Result<ReportFile> Create(std::string path, bool overwrite);
  ReportFile(ReportFile&&) = default;
  ReportFile& operator=(ReportFile&&) = delete;
  /// Removes the part file unless it became the file.
  ~ReportFile();

  /// Writes all and gives it its name. Errors: AlreadyExists, Io, ResourceExhausted.
  Status Finish(std::string_view text);

 private:
  ReportFile(std::string path, std::string part, bool overwrite, UniqueFd fd)
      : path_(std::move(path)), part_(std::move(part)), overwrite_(overwrite), fd_(std::move(fd)) {}

  std::string path_;
  std::string part_;
  bool overwrite_;
  UniqueFd fd_;  // empty once finished or moved from
};

}  // namespace sluice::cli
