#ifndef SLUICE_NODES_VULKAN_RESULT_H_
#define SLUICE_NODES_VULKAN_RESULT_H_

#include <sluice/abi.h>

#include <cstdint>
#include <string>
#include <tl/expected.hpp>
#include <utility>

namespace sluice::vulkan {

/// Why something failed; `code` is one of SLUICE_E_*.
struct Error {
  int32_t code = SLUICE_E_INTERNAL;
  std::string message;
};

template <typename T>
using Result = tl::expected<T, Error>;
using Status = Result<void>;

/// An error as the return value of any Result.
inline tl::unexpected<Error> Fail(int32_t code, std::string message) {
  return tl::unexpected<Error>(Error{code, std::move(message)});
}

}  // namespace sluice::vulkan

#endif  // SLUICE_NODES_VULKAN_RESULT_H_
