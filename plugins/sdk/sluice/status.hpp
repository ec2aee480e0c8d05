#ifndef SLUICE_SDK_STATUS_HPP_
#define SLUICE_SDK_STATUS_HPP_

#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include <sluice/abi.h>

namespace sluice::sdk {

/// The name of a result, for messages: "invalid-argument". Never null.
inline const char* CodeName(int32_t code) {
  switch (code) {
    case SLUICE_OK:
      return "ok";
    case SLUICE_E_INVALID_ARGUMENT:
      return "invalid-argument";
    case SLUICE_E_NOT_FOUND:
      return "not-found";
    case SLUICE_E_UNSUPPORTED:
      return "unsupported";
    case SLUICE_E_RESOURCE_EXHAUSTED:
      return "resource-exhausted";
    case SLUICE_E_TIMEOUT:
      return "timeout";
    case SLUICE_E_DEVICE_LOST:
      return "device-lost";
    case SLUICE_E_CANCELLED:
      return "cancelled";
    case SLUICE_E_IO:
      return "io";
    case SLUICE_E_INTERNAL:
      return "internal";
    case SLUICE_E_NOT_SUBMITTED:
      return "not-submitted";
    case SLUICE_E_ALREADY_EXISTS:
      return "already-exists";
    case SLUICE_E_PERMISSION_DENIED:
      return "permission-denied";
    case SLUICE_E_WOULD_BLOCK:
      return "would-block";
    default:
      return "unknown";
  }
}

/// printf into a string.
[[gnu::format(printf, 1, 0)]] inline std::string VFormat(const char* format, std::va_list args) {
  std::va_list again;
  va_copy(again, args);
  const int size = std::vsnprintf(nullptr, 0, format, again);
  va_end(again);
  if (size < 0) return format;
  std::string text(static_cast<std::size_t>(size), '\0');
  std::vsnprintf(text.data(), text.size() + 1, format, args);
  return text;
}

/// printf into a string.
[[gnu::format(printf, 1, 2)]] inline std::string Format(const char* format, ...) {
  std::va_list args;
  va_start(args, format);
  std::string text = VFormat(format, args);
  va_end(args);
  return text;
}

/// SLUICE_OK, or a SLUICE_E_* code with a message for the user. Success allocates nothing, and
/// costs two words.
class [[nodiscard]] Status {
 public:
  Status() = default;
  /// A code of the C ABI. A positive code counts as success.
  explicit Status(int32_t code) : code_(code) {}
  Status(int32_t code, std::string message)
      : code_(code), message_(std::make_unique<std::string>(std::move(message))) {}
  Status(const Status& other)
      : code_(other.code_),
        message_(other.message_ ? std::make_unique<std::string>(*other.message_) : nullptr) {}
  Status(Status&&) noexcept = default;
  Status& operator=(const Status& other) { return *this = Status(other); }
  Status& operator=(Status&&) noexcept = default;

  /// Range: `code` is negative.
  [[gnu::format(printf, 2, 3)]] static Status Error(int32_t code, const char* format, ...) {
    std::va_list args;
    va_start(args, format);
    Status status(code, VFormat(format, args));
    va_end(args);
    return status;
  }

  bool ok() const { return code_ >= 0; }
  int32_t code() const { return code_; }
  /// Empty when there is none. Never null; valid as long as this object is unchanged.
  const char* c_message() const { return message_ ? message_->c_str() : ""; }
  std::string message() const { return c_message(); }

 private:
  int32_t code_ = SLUICE_OK;
  std::unique_ptr<std::string> message_;
};

/// A value, or the Status that says why there is none.
template <class T>
class [[nodiscard]] Expected {
 public:
  // Implicit on purpose: `return value;` and `return status;`.
  Expected(T value) : value_(std::move(value)) {}
  Expected(Status status) : status_(std::move(status)) {
    // A success without a value would be read as one.
    if (status_.ok()) status_ = Status(SLUICE_E_INTERNAL, "a success without a value");
  }

  bool ok() const { return value_.has_value(); }
  explicit operator bool() const { return ok(); }
  /// Requires: ok().
  T& operator*() & { return *value_; }
  const T& operator*() const& { return *value_; }
  T&& operator*() && { return *std::move(value_); }
  T* operator->() { return &*value_; }
  const T* operator->() const { return &*value_; }
  /// Success when ok().
  const Status& status() const { return status_; }

 private:
  std::optional<T> value_;
  Status status_;
};

}  // namespace sluice::sdk

#endif  // SLUICE_SDK_STATUS_HPP_
