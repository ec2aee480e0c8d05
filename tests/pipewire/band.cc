#include "tests/pipewire/band.h"

#include <cstring>

namespace sluice::testing {
namespace {

constexpr uint32_t kMagic = 0x534c4342;

// What lies at the head of each row.
struct Head {
  uint64_t sequence;
  uint32_t magic;
  uint32_t sum;
};
static_assert(sizeof(Head) == kBandRowBytes);

bool HasRoom(size_t size, const BandLayout& layout) {
  if (layout.rows < 3 || layout.every == 0 || layout.row_bytes < kBandRowBytes ||
      layout.stride < layout.row_bytes) {
    return false;
  }
  const uint64_t needed = uint64_t{layout.stride} * (layout.rows - 1) + layout.row_bytes;
  return size >= needed;
}

// Two lanes of 8 bytes a step: a frame of 1080p is summed in a millisecond. The writer of the
// memory may be another process that is just writing: the bytes are copied to locals first.
uint32_t SumRow(const uint8_t* row, uint32_t bytes, uint64_t sequence, uint32_t index) {
  uint64_t a = sequence * 0x9e3779b97f4a7c15ull + index;
  uint64_t b = ~a;
  uint32_t at = kBandRowBytes;
  for (; at + 16 <= bytes; at += 16) {
    uint64_t words[2];
    std::memcpy(words, row + at, sizeof(words));
    a = (a ^ words[0]) * 0x100000001b3ull;
    b = (b ^ words[1]) * 0x100000001b3ull;
  }
  for (; at < bytes; ++at) a = (a ^ row[at]) * 0x100000001b3ull;
  const uint64_t mixed = a ^ (b >> 7) ^ (b << 13);
  return static_cast<uint32_t>(mixed ^ (mixed >> 32));
}

// The row before `index` that has a band; the last and the first have one.
uint32_t RowBefore(const BandLayout& layout, uint32_t index) {
  return (index - 1) / layout.every * layout.every;
}

template <typename Visit>
void ForEachBand(const BandLayout& layout, const Visit& visit) {
  for (uint32_t index = 0; index < layout.rows; index += layout.every) visit(index);
  if ((layout.rows - 1) % layout.every != 0) visit(layout.rows - 1);
}

void SealRow(uint8_t* row, uint32_t bytes, uint64_t sequence, uint32_t index) {
  const Head head{sequence, kMagic, SumRow(row, bytes, sequence, index)};
  std::memcpy(row, &head, sizeof(head));
}

}  // namespace

void WriteBand(std::span<uint8_t> pixels, const BandLayout& layout, uint64_t sequence) {
  if (!HasRoom(pixels.size(), layout)) return;
  ForEachBand(layout, [&](uint32_t index) {
    uint8_t* row = pixels.data() + size_t{layout.stride} * index;
    std::memset(row + kBandRowBytes, static_cast<int>((sequence * 7 + index) & 0xff),
                layout.row_bytes - kBandRowBytes);
    SealRow(row, layout.row_bytes, sequence, index);
  });
}

void SealBand(std::span<uint8_t> pixels, const BandLayout& layout, uint64_t sequence) {
  if (!HasRoom(pixels.size(), layout)) return;
  ForEachBand(layout, [&](uint32_t index) {
    SealRow(pixels.data() + size_t{layout.stride} * index, layout.row_bytes, sequence, index);
  });
}

BandCheck CheckBand(std::span<const uint8_t> pixels, const BandLayout& layout) {
  BandCheck check;
  if (!HasRoom(pixels.size(), layout)) {
    check.problem = "no room for a band";
    return check;
  }
  Head first;
  std::memcpy(&first, pixels.data(), sizeof(first));
  check.sequence = first.sequence;
  if (first.magic != kMagic) {
    check.problem = "no band in the first row";
    return check;
  }
  check.verdict = BandCheck::Verdict::kTorn;
  for (uint32_t next = layout.rows; next > 0;) {
    const uint32_t index = next == layout.rows ? layout.rows - 1 : RowBefore(layout, next);
    next = index;
    const uint8_t* row = pixels.data() + size_t{layout.stride} * index;
    Head head;
    std::memcpy(&head, row, sizeof(head));
    if (head.magic != kMagic) {
      check.problem = "no band";
    } else if (head.sequence != first.sequence) {
      check.problem = "frame " + std::to_string(head.sequence) + ", the first row is of " +
                      std::to_string(first.sequence);
    } else if (head.sum != SumRow(row, layout.row_bytes, head.sequence, index)) {
      check.problem = "does not fit its sum";
    } else {
      continue;
    }
    check.problem = "row " + std::to_string(index) + ": " + check.problem;
    return check;
  }
  check.verdict = BandCheck::Verdict::kWhole;
  return check;
}

}  // namespace sluice::testing
