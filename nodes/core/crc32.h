#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace sluice::core {

/// CRC-32 as zlib, PNG and Ethernet have it (reflected polynomial 0xEDB88320): check("123456789")
/// is 0xCBF43926. `crc`: of the bytes before; 0 at the start.
uint32_t Crc32(uint32_t crc, const uint8_t* bytes, std::size_t size);

}  // namespace sluice::core
