#include "nodes/core/crc32.h"

#include <bit>
#include <cstring>

namespace sluice::core {
namespace {

using Table = std::array<std::array<uint32_t, 256>, 8>;

/// tables[k][b]: what byte b does to the sum when k more bytes follow it.
constexpr Table MakeTables() {
  Table tables{};
  for (uint32_t byte = 0; byte < 256; ++byte) {
    uint32_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0xEDB88320u : 0);
    tables[0][byte] = crc;
  }
  for (std::size_t k = 1; k < tables.size(); ++k) {
    for (uint32_t byte = 0; byte < 256; ++byte) {
      const uint32_t before = tables[k - 1][byte];
      tables[k][byte] = (before >> 8) ^ tables[0][before & 0xFF];
    }
  }
  return tables;
}

constexpr Table kTables = MakeTables();

}  // namespace

uint32_t Crc32(uint32_t crc, const uint8_t* bytes, std::size_t size) {
  static_assert(std::endian::native == std::endian::little, "the words below are little-endian");
  crc = ~crc;
  // Eight bytes a step: independent look-ups instead of a chain of eight.
  for (; size >= 8; size -= 8, bytes += 8) {
    uint64_t word;
    std::memcpy(&word, bytes, sizeof(word));
    word ^= crc;
    crc = 0;
    for (int i = 0; i < 8; ++i) crc ^= kTables[7 - i][(word >> (8 * i)) & 0xFF];
  }
  for (; size > 0; --size, ++bytes) crc = (crc >> 8) ^ kTables[0][(crc ^ *bytes) & 0xFF];
  return ~crc;
}

}  // namespace sluice::core
