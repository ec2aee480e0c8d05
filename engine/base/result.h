#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include <tl/expected.hpp>

namespace sluice {

/// What kind of thing went wrong. The values equal the plugin ABI's
/// `sluice_result` (engine/plugin asserts it), so a code crosses the boundary
/// unchanged.
enum class Code : int32_t {
  kInvalidArgument = -1,
  kNotFound = -2,
  kUnsupported = -3,
  kResourceExhausted = -4,
  kTimeout = -5,
  kDeviceLost = -6,
  kCancelled = -7,
  kIo = -8,
  kInternal = -9,
  kNotSubmitted = -10,
  kAlreadyExists = -11,
  kPermissionDenied = -12,
  kWouldBlock = -13,
};

/// The stable lower-case name of `code`, for messages and JSON.
std::string_view CodeName(Code code);

struct Error {
  Code code = Code::kInternal;
  std::string message;

  /// "message (code-name)".
  std::string ToString() const;
};

template <typename T>
using Result = tl::expected<T, Error>;
using Status = Result<void>;

[[nodiscard]] inline tl::unexpected<Error> Fail(Code code, std::string message) {
  return tl::unexpected<Error>(Error{code, std::move(message)});
}

/// An error made from `errno_value`: "what: strerror". EACCES/EPERM map to
/// kPermissionDenied, ENOENT to kNotFound, ENOSPC/ENOMEM/EMFILE to
/// kResourceExhausted, ENODEV to kDeviceLost, the rest to kIo.
[[nodiscard]] tl::unexpected<Error> FailErrno(std::string_view what, int errno_value);

/// Prints `file:line: message` to stderr and aborts. For the engine's own
/// invariants only, never for input.
[[noreturn]] void CheckFailed(const char* file, int line, const char* condition);

}  // namespace sluice

#define SLUICE_CHECK(condition)                                  \
  do {                                                           \
    if (!(condition)) [[unlikely]]                               \
      ::sluice::CheckFailed(__FILE__, __LINE__, #condition);     \
  } while (false)

#define SLUICE_RETURN_IF_ERROR(expression)                            \
  do {                                                                \
    if (auto sluice_status_ = (expression); !sluice_status_)          \
      return tl::unexpected(std::move(sluice_status_).error());       \
  } while (false)
