#pragma once

#include <cstdint>
#include <string_view>

#include "engine/base/result.h"
#include "engine/base/unique_fd.h"

namespace sluice::media {

/// What the allocators share.

/// `size` rounded up to whole pages. Errors: InvalidArgument for 0 and overflow.
Result<uint64_t> RoundToPages(uint64_t size);
uint32_t PageSize();

/// Whether the machine has so much memory at all: some kernels would rather kill
/// than refuse. Errors: ResourceExhausted, with the numbers.
Status CheckRam(std::string_view label, uint64_t size);

/// Who allocates a memfd's pages.
enum class Pages { kNow, kLater };

/// A memfd of `size` bytes (whole pages), zeroed, sealed SHRINK, GROW and SEAL, with
/// its pages allocated unless `pages` says otherwise. Errors: ResourceExhausted, Io.
Result<UniqueFd> CreateSealedMemfd(std::string_view label, uint64_t size,
                                   Pages pages = Pages::kNow);

}  // namespace sluice::media
