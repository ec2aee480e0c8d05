#include "engine/media/format.h"

#include <algorithm>
#include <numeric>

#include <fmt/format.h>

namespace sluice::media {
namespace {

constexpr FormatInfo kFormats[] = {
    {kYu12, false, 3, {{{1, 1, 1}, {2, 2, 1}, {2, 2, 1}, {}}}},
    {kNv12, false, 2, {{{1, 1, 1}, {2, 2, 2}, {}, {}}}},
    {kYuyv, false, 1, {{{2, 1, 4}, {}, {}, {}}}},
    {kAb24, true, 1, {{{1, 1, 4}, {}, {}, {}}}},
    {kXb24, true, 1, {{{1, 1, 4}, {}, {}, {}}}},
    {kAr24, true, 1, {{{1, 1, 4}, {}, {}, {}}}},
    {kXr24, true, 1, {{{1, 1, 4}, {}, {}, {}}}},
    {kR8, false, 1, {{{1, 1, 1}, {}, {}, {}}}},
    {kP010, false, 2, {{{1, 1, 2}, {2, 2, 4}, {}, {}}}},
    {kAb4h, true, 1, {{{1, 1, 8}, {}, {}, {}}}},
    {kXb4h, true, 1, {{{1, 1, 8}, {}, {}, {}}}},
    {kUyvy, false, 1, {{{2, 1, 4}, {}, {}, {}}}},
    {kNv21, false, 2, {{{1, 1, 1}, {2, 2, 2}, {}, {}}}},
    {kNv16, false, 2, {{{1, 1, 1}, {2, 1, 2}, {}, {}}}},
    {kBg24, true, 1, {{{1, 1, 3}, {}, {}, {}}}},
    {kRg24, true, 1, {{{1, 1, 3}, {}, {}, {}}}},
    {kRg16, true, 1, {{{1, 1, 2}, {}, {}, {}}}},
    {kMjpg, false, 1, {}, true},
    {kH264, false, 1, {}, true},
    {kHevc, false, 1, {}, true},
};

constexpr std::string_view kMatrixNames[] = {"-", "bt709", "bt601", "bt2020", "rgb"};
constexpr std::string_view kRangeNames[] = {"-", "limited", "full"};
constexpr std::string_view kPrimariesNames[] = {"-", "bt709", "bt601-525", "bt601-625", "bt2020"};
constexpr std::string_view kTransferNames[] = {"-",  "bt709",   "srgb",   "linear",
                                               "pq", "hlg", "gamma22", "gamma28"};
constexpr std::string_view kSitingNames[] = {"-", "left", "center", "top-left"};

template <typename E, size_t N>
Result<E> Parse(std::string_view what, std::string_view name, const std::string_view (&names)[N]) {
  for (size_t i = 1; i < N; ++i) {
    if (names[i] == name) return static_cast<E>(i);
  }
  return Fail(Code::kInvalidArgument, fmt::format("'{}' is no {}: one of {}", name, what,
                                                  fmt::join(names + 1, names + N, ", ")));
}

/// Terms come from outside too: a value that has no name reads "?".
template <typename E, size_t N>
std::string_view NameIn(const std::string_view (&names)[N], E value) {
  return static_cast<size_t>(value) < N ? names[static_cast<size_t>(value)] : "?";
}

constexpr uint64_t kMaxMultiple = 1u << 24;

Result<uint32_t> Lcm(uint32_t a, uint32_t b, std::string_view what) {
  uint64_t result = std::lcm(uint64_t{std::max(a, 1u)}, uint64_t{std::max(b, 1u)});
  if (result > kMaxMultiple) {
    return Fail(Code::kResourceExhausted,
                fmt::format("{} multiples {} and {} need {}, more than {}", what, a, b, result,
                            kMaxMultiple));
  }
  return static_cast<uint32_t>(result);
}

uint64_t RoundUp(uint64_t value, uint64_t multiple) {
  uint64_t rest = value % multiple;
  return rest == 0 ? value : value + (multiple - rest);
}

uint64_t DivideUp(uint64_t value, uint64_t divisor) { return (value + divisor - 1) / divisor; }

/// Bytes of one row and rows of plane `i` at the given picture size.
uint64_t RowBytes(const PlaneInfo& plane, uint32_t width) {
  return DivideUp(width, plane.horizontal) * plane.bytes;
}
uint64_t Rows(const PlaneInfo& plane, uint32_t height) { return DivideUp(height, plane.vertical); }

constexpr uint64_t kSmallestBound = 64 * 1024;
constexpr uint64_t kPage = 4096;

/// Bytes of one row and rows of plane `i` of a layout.
struct RowShape {
  uint64_t bytes;
  uint64_t rows;
};
RowShape ShapeOf(const FormatInfo& info, uint32_t i, uint32_t coded_width, uint32_t coded_height) {
  // However long a compressed picture is, it is one row.
  if (info.compressed) return {1, 1};
  return {RowBytes(info.planes[i], coded_width), Rows(info.planes[i], coded_height)};
}

Status CheckSize(const Format& format) {
  if (format.width == 0 || format.height == 0 || format.width > kMaxDimension ||
      format.height > kMaxDimension) {
    return Fail(Code::kInvalidArgument, fmt::format("picture size {}x{} is outside 1x1 to {}x{}",
                                                    format.width, format.height, kMaxDimension,
                                                    kMaxDimension));
  }
  return {};
}

}  // namespace

std::string FourccName(uint32_t fourcc) {
  std::string name;
  for (int shift = 0; shift < 32; shift += 8) {
    char c = static_cast<char>(fourcc >> shift);
    if (c < 0x20 || c > 0x7e) return fmt::format("0x{:08x}", fourcc);
    name.push_back(c);
  }
  while (!name.empty() && name.back() == ' ') name.pop_back();
  return name;
}

Result<uint32_t> ParseFourcc(std::string_view name) {
  if (name.empty() || name.size() > 4) {
    return Fail(Code::kInvalidArgument, fmt::format("'{}' is no fourcc", name));
  }
  char c[4] = {' ', ' ', ' ', ' '};
  std::copy(name.begin(), name.end(), c);
  return Fourcc(c[0], c[1], c[2], c[3]);
}

std::string_view Name(Matrix v) { return NameIn(kMatrixNames, v); }
std::string_view Name(Range v) { return NameIn(kRangeNames, v); }
std::string_view Name(Primaries v) { return NameIn(kPrimariesNames, v); }
std::string_view Name(Transfer v) { return NameIn(kTransferNames, v); }
std::string_view Name(Siting v) { return NameIn(kSitingNames, v); }
Result<Matrix> ParseMatrix(std::string_view n) { return Parse<Matrix>("matrix", n, kMatrixNames); }
Result<Range> ParseRange(std::string_view n) { return Parse<Range>("range", n, kRangeNames); }
Result<Primaries> ParsePrimaries(std::string_view n) {
  return Parse<Primaries>("set of primaries", n, kPrimariesNames);
}
Result<Transfer> ParseTransfer(std::string_view n) {
  return Parse<Transfer>("transfer", n, kTransferNames);
}
Result<Siting> ParseSiting(std::string_view n) {
  return Parse<Siting>("chroma siting", n, kSitingNames);
}

std::string ToString(const Color& c) {
  return fmt::format("{}/{}/{} {} {}", Name(c.primaries), Name(c.transfer), Name(c.matrix),
                     Name(c.range), Name(c.siting));
}

std::string ToString(const Format& f) {
  std::string text = fmt::format("{} {}x{}", FourccName(f.fourcc), f.width, f.height);
  if (f.modifier != kModifierLinear) text += fmt::format(":0x{:x}", f.modifier);
  if (f.rate.denominator != 0) {
    text += fmt::format(" {:.4g} fps", double(f.rate.numerator) / f.rate.denominator);
  }
  return text + " " + ToString(f.color);
}

const FormatInfo* FindFormatInfo(uint32_t fourcc) {
  for (const FormatInfo& info : kFormats) {
    if (info.fourcc == fourcc) return &info;
  }
  return nullptr;
}

std::span<const FormatInfo> AllFormats() { return kFormats; }

bool IsCompressed(uint32_t fourcc) {
  const FormatInfo* info = FindFormatInfo(fourcc);
  return info != nullptr && info->compressed;
}

uint64_t CompressedBound(uint32_t width, uint32_t height) {
  return RoundUp(std::max(uint64_t{width} * height * 2, kSmallestBound), kPage);
}

Result<Alignment> Merge(const Alignment& a, const Alignment& b) {
  Alignment merged;
  struct Field {
    uint32_t Alignment::*member;
    std::string_view name;
  };
  for (const Field& field :
       {Field{&Alignment::width, "width"}, Field{&Alignment::height, "height"},
        Field{&Alignment::stride, "stride"}, Field{&Alignment::offset, "offset"},
        Field{&Alignment::base, "base"}, Field{&Alignment::size, "size"}}) {
    auto value = Lcm(a.*field.member, b.*field.member, field.name);
    if (!value) return tl::unexpected(value.error());
    merged.*field.member = *value;
  }
  merged.tail = std::max(a.tail, b.tail);
  return merged;
}

// With every dimension <= 2^16, every multiple <= 2^24 and 8 bytes a sample, the
// sums below stay under 2^62: no step can overflow.
Result<Layout> ComputeLayout(const Format& format, const Alignment& alignment) {
  const FormatInfo* info = FindFormatInfo(format.fourcc);
  if (info == nullptr) {
    return Fail(Code::kUnsupported,
                fmt::format("format {} has no known layout", FourccName(format.fourcc)));
  }
  if (format.modifier != kModifierLinear) {
    return Fail(Code::kUnsupported,
                fmt::format("modifier 0x{:x} can only be laid out by its device", format.modifier));
  }
  SLUICE_RETURN_IF_ERROR(CheckSize(format));
  auto checked = Merge(alignment, Alignment{});
  if (!checked) return tl::unexpected(checked.error());

  Layout layout;
  layout.coded_width = static_cast<uint32_t>(RoundUp(format.width, checked->width));
  layout.coded_height = static_cast<uint32_t>(RoundUp(format.height, checked->height));
  layout.plane_count = info->plane_count;
  uint64_t end = 0;
  for (uint32_t i = 0; i < info->plane_count; ++i) {
    Plane& plane = layout.planes[i];
    plane.offset = RoundUp(end, checked->offset);
    const RowShape shape = ShapeOf(*info, i, layout.coded_width, layout.coded_height);
    const uint64_t row =
        info->compressed ? CompressedBound(format.width, format.height) : shape.bytes;
    plane.stride = RoundUp(row, checked->stride);
    plane.size = plane.stride * shape.rows;
    end = plane.offset + plane.size;
  }
  layout.size = RoundUp(end + checked->tail, checked->size);
  if (layout.size > uint64_t{1} << 36) {
    return Fail(Code::kResourceExhausted,
                fmt::format("a buffer of {} bytes for {}", layout.size, ToString(format)));
  }
  return layout;
}

namespace {

Status CheckPlane(uint32_t index, const Plane& plane, const FormatInfo& info, const Layout& layout,
                  std::span<const uint64_t> part_sizes) {
  if (plane.part >= part_sizes.size()) {
    return Fail(Code::kInvalidArgument, fmt::format("plane {}: lies in part {} of {}", index,
                                                    plane.part, part_sizes.size()));
  }
  const uint64_t available = part_sizes[plane.part];
  const std::string where =
      part_sizes.size() == 1 ? "the memory" : fmt::format("part {}", plane.part);
  const auto [row, rows] = ShapeOf(info, index, layout.coded_width, layout.coded_height);
  uint64_t needed = 0;
  uint64_t end = 0;
  if (info.compressed && plane.stride != plane.size) {
    return Fail(Code::kInvalidArgument,
                fmt::format("plane {}: {} is one row, but the stride {} is not the size {}", index,
                            FourccName(info.fourcc), plane.stride, plane.size));
  }
  if (plane.stride < row) {
    return Fail(Code::kInvalidArgument,
                fmt::format("plane {}: stride {} is less than the {} bytes of a row of {} pixels",
                            index, plane.stride, row, layout.coded_width));
  }
  // The last row need not be padded.
  if (!CheckedMultiply(plane.stride, rows - 1, &needed) || !CheckedAdd(needed, row, &needed) ||
      !CheckedAdd(plane.offset, needed, &end) || end > available) {
    return Fail(Code::kInvalidArgument,
                fmt::format("plane {}: offset {} + {} rows x stride {} reaches beyond the {} "
                            "bytes of {}",
                            index, plane.offset, rows, plane.stride, available, where));
  }
  if (plane.size < needed || !CheckedAdd(plane.offset, plane.size, &end) || end > available) {
    return Fail(Code::kInvalidArgument,
                fmt::format("plane {}: size {} at offset {} is not between the {} bytes of its "
                            "rows and the end of the {} bytes of {}",
                            index, plane.size, plane.offset, needed, available, where));
  }
  return {};
}

}  // namespace

Status CheckLayout(const Layout& layout, const Format& format, uint64_t allocation_size) {
  return CheckLayout(layout, format, std::span(&allocation_size, 1));
}

Status CheckLayout(const Layout& layout, const Format& format,
                   std::span<const uint64_t> part_sizes) {
  const FormatInfo* info = FindFormatInfo(format.fourcc);
  if (info == nullptr) {
    return Fail(Code::kUnsupported,
                fmt::format("format {} has no known layout", FourccName(format.fourcc)));
  }
  SLUICE_RETURN_IF_ERROR(CheckSize(format));
  if (layout.plane_count != info->plane_count) {
    return Fail(Code::kInvalidArgument,
                fmt::format("{} has {} planes, the description {}", FourccName(format.fourcc),
                            info->plane_count, layout.plane_count));
  }
  if (layout.coded_width < format.width || layout.coded_height < format.height) {
    return Fail(Code::kInvalidArgument,
                fmt::format("coded size {}x{} is less than the picture's {}x{}",
                            layout.coded_width, layout.coded_height, format.width, format.height));
  }
  if (layout.part_count != part_sizes.size()) {
    return Fail(Code::kInvalidArgument,
                fmt::format("the description has {} parts, the memory {}", layout.part_count,
                            part_sizes.size()));
  }
  for (uint32_t i = 0; i < layout.plane_count; ++i) {
    SLUICE_RETURN_IF_ERROR(CheckPlane(i, layout.planes[i], *info, layout, part_sizes));
  }
  return {};
}

uint64_t VisibleBytes(const Format& format) {
  const FormatInfo* info = FindFormatInfo(format.fourcc);
  if (info == nullptr) return 0;
  if (info->compressed) return CompressedBound(format.width, format.height);
  uint64_t bytes = 0;
  for (uint32_t i = 0; i < info->plane_count; ++i) {
    bytes += RowBytes(info->planes[i], format.width) * Rows(info->planes[i], format.height);
  }
  return bytes;
}

bool CheckedMultiply(uint64_t a, uint64_t b, uint64_t* result) {
  return !__builtin_mul_overflow(a, b, result);
}
bool CheckedAdd(uint64_t a, uint64_t b, uint64_t* result) {
  return !__builtin_add_overflow(a, b, result);
}

std::string ViewNames(uint32_t views) {
  std::string names;
  auto add = [&](uint32_t bit, std::string_view name) {
    if ((views & bit) == 0) return;
    if (!names.empty()) names += "+";
    names += name;
  };
  add(kViewDmabuf, "dma-buf");
  add(kViewShm, "shm");
  add(kViewDevice, "device");
  add(kViewCpu, "cpu");
  return names.empty() ? "none" : names;
}

}  // namespace sluice::media
