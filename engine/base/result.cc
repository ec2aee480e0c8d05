#include "engine/base/result.h"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace sluice {

std::string_view CodeName(Code code) {
  switch (code) {
    case Code::kInvalidArgument: return "invalid-argument";
    case Code::kNotFound: return "not-found";
    case Code::kUnsupported: return "unsupported";
    case Code::kResourceExhausted: return "resource-exhausted";
    case Code::kTimeout: return "timeout";
    case Code::kDeviceLost: return "device-lost";
    case Code::kCancelled: return "cancelled";
    case Code::kIo: return "io";
    case Code::kInternal: return "internal";
    case Code::kNotSubmitted: return "not-submitted";
    case Code::kAlreadyExists: return "already-exists";
    case Code::kPermissionDenied: return "permission-denied";
    case Code::kWouldBlock: return "would-block";
  }
  return "unknown";
}

std::string Error::ToString() const {
  return message + " (" + std::string(CodeName(code)) + ")";
}

tl::unexpected<Error> FailErrno(std::string_view what, int errno_value) {
  Code code = Code::kIo;
  switch (errno_value) {
    case EACCES:
    case EPERM: code = Code::kPermissionDenied; break;
    case ENOENT: code = Code::kNotFound; break;
    case EEXIST: code = Code::kAlreadyExists; break;
    case ENOSPC:
    case ENOMEM:
    case EMFILE:
    case ENFILE: code = Code::kResourceExhausted; break;
    case ENODEV: code = Code::kDeviceLost; break;
    case EINVAL: code = Code::kInvalidArgument; break;
    default: break;
  }
  return Fail(code, std::string(what) + ": " + std::strerror(errno_value));
}

void CheckFailed(const char* file, int line, const char* condition) {
  std::fprintf(stderr, "%s:%d: invariant broken: %s\n", file, line, condition);
  std::abort();
}

}  // namespace sluice
