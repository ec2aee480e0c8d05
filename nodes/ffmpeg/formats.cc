#include "nodes/ffmpeg/formats.h"

#include <array>
#include <cstring>

namespace sluice::ffmpeg {
namespace {

struct PlaneInfo {
  uint8_t horizontal;  // log2 of the subsampling
  uint8_t vertical;
  uint8_t bytes;  // of one sample of the plane
};

struct Entry {
  uint32_t fourcc;
  AVPixelFormat format;
  bool rgb;
  uint32_t plane_count;
  std::array<PlaneInfo, 3> planes;
};

/// The last ones are what cameras give, and no node of ours reads: they are converted only.
constexpr std::size_t kCarried = 9;
constexpr std::array<Entry, kCarried + 3> kEntries{{
    {SLUICE_FORMAT_YU12, AV_PIX_FMT_YUV420P, false, 3, {{{0, 0, 1}, {1, 1, 1}, {1, 1, 1}}}},
    {SLUICE_FORMAT_NV12, AV_PIX_FMT_NV12, false, 2, {{{0, 0, 1}, {1, 1, 2}, {}}}},
    {SLUICE_FORMAT_AB24, AV_PIX_FMT_RGBA, true, 1, {{{0, 0, 4}, {}, {}}}},
    {SLUICE_FORMAT_AR24, AV_PIX_FMT_BGRA, true, 1, {{{0, 0, 4}, {}, {}}}},
    {SLUICE_FORMAT_XB24, AV_PIX_FMT_RGB0, true, 1, {{{0, 0, 4}, {}, {}}}},
    {SLUICE_FORMAT_XR24, AV_PIX_FMT_BGR0, true, 1, {{{0, 0, 4}, {}, {}}}},
    // A plane sample of YUYV is a pair of pixels.
    {SLUICE_FORMAT_YUYV, AV_PIX_FMT_YUYV422, false, 1, {{{1, 0, 4}, {}, {}}}},
    {SLUICE_FORMAT_P010, AV_PIX_FMT_P010LE, false, 2, {{{0, 0, 2}, {1, 1, 4}, {}}}},
    {SLUICE_FORMAT_R8, AV_PIX_FMT_GRAY8, false, 1, {{{0, 0, 1}, {}, {}}}},
    {SLUICE_FORMAT_UYVY, AV_PIX_FMT_UYVY422, false, 1, {{{1, 0, 4}, {}, {}}}},
    {SLUICE_FORMAT_BG24, AV_PIX_FMT_RGB24, true, 1, {{{0, 0, 3}, {}, {}}}},
    {SLUICE_FORMAT_RG24, AV_PIX_FMT_BGR24, true, 1, {{{0, 0, 3}, {}, {}}}},
}};

constexpr std::array<uint32_t, kCarried> kFourccs = [] {
  std::array<uint32_t, kCarried> fourccs{};
  for (std::size_t i = 0; i < kCarried; ++i) fourccs[i] = kEntries[i].fourcc;
  return fourccs;
}();

const Entry* Find(uint32_t fourcc) {
  for (const Entry& entry : kEntries) {
    if (entry.fourcc == fourcc) return &entry;
  }
  return nullptr;
}

// The deprecated formats that only say "full range" beside their memory.
AVPixelFormat WithoutRange(AVPixelFormat format) {
  switch (format) {
    case AV_PIX_FMT_YUVJ420P:
      return AV_PIX_FMT_YUV420P;
    case AV_PIX_FMT_YUVJ422P:
      return AV_PIX_FMT_YUV422P;
    case AV_PIX_FMT_YUVJ444P:
      return AV_PIX_FMT_YUV444P;
    case AV_PIX_FMT_YUVJ440P:
      return AV_PIX_FMT_YUV440P;
    case AV_PIX_FMT_YUVJ411P:
      return AV_PIX_FMT_YUV411P;
    default:
      return format;
  }
}

uint32_t ShiftUp(uint32_t value, uint32_t shift) { return (value + (1u << shift) - 1) >> shift; }

uint8_t Primaries(AVColorPrimaries primaries) {
  switch (primaries) {
    case AVCOL_PRI_BT709:
      return SLUICE_PRIMARIES_BT709;
    case AVCOL_PRI_BT470BG:
      return SLUICE_PRIMARIES_BT601_625;
    case AVCOL_PRI_SMPTE170M:
    case AVCOL_PRI_SMPTE240M:
      return SLUICE_PRIMARIES_BT601_525;
    case AVCOL_PRI_BT2020:
      return SLUICE_PRIMARIES_BT2020;
    default:
      return 0;
  }
}

uint8_t Transfer(AVColorTransferCharacteristic transfer) {
  switch (transfer) {
    case AVCOL_TRC_BT709:
    case AVCOL_TRC_SMPTE170M:
    case AVCOL_TRC_BT2020_10:
    case AVCOL_TRC_BT2020_12:
      return SLUICE_TRANSFER_BT709;
    case AVCOL_TRC_IEC61966_2_1:
      return SLUICE_TRANSFER_SRGB;
    case AVCOL_TRC_LINEAR:
      return SLUICE_TRANSFER_LINEAR;
    case AVCOL_TRC_SMPTE2084:
      return SLUICE_TRANSFER_PQ;
    case AVCOL_TRC_ARIB_STD_B67:
      return SLUICE_TRANSFER_HLG;
    case AVCOL_TRC_GAMMA22:
      return SLUICE_TRANSFER_GAMMA22;
    case AVCOL_TRC_GAMMA28:
      return SLUICE_TRANSFER_GAMMA28;
    default:
      return 0;
  }
}

uint8_t Matrix(AVColorSpace matrix) {
  switch (matrix) {
    case AVCOL_SPC_BT709:
      return SLUICE_MATRIX_BT709;
    case AVCOL_SPC_BT470BG:
    case AVCOL_SPC_SMPTE170M:
      return SLUICE_MATRIX_BT601;
    case AVCOL_SPC_BT2020_NCL:
      return SLUICE_MATRIX_BT2020;
    case AVCOL_SPC_RGB:
      return SLUICE_MATRIX_RGB;
    default:
      return 0;
  }
}

uint8_t Range(AVColorRange range) {
  if (range == AVCOL_RANGE_MPEG) return SLUICE_RANGE_LIMITED;
  return range == AVCOL_RANGE_JPEG ? SLUICE_RANGE_FULL : 0;
}

uint8_t Siting(AVChromaLocation siting) {
  switch (siting) {
    case AVCHROMA_LOC_LEFT:
      return SLUICE_SITING_LEFT;
    case AVCHROMA_LOC_CENTER:
      return SLUICE_SITING_CENTER;
    case AVCHROMA_LOC_TOPLEFT:
      return SLUICE_SITING_TOP_LEFT;
    default:
      return 0;
  }
}

void Assume(uint8_t* field, uint8_t value, uint32_t bit, uint32_t* assumed) {
  if (*field != 0) return;
  *field = value;
  *assumed |= bit;
}

}  // namespace

std::span<const uint32_t> CarriedFourccs() { return kFourccs; }

std::string FourccName(uint32_t fourcc) {
  std::string name;
  for (int shift = 0; shift < 32; shift += 8) name += static_cast<char>(fourcc >> shift & 0xff);
  while (!name.empty() && name.back() == ' ') name.pop_back();
  return name;
}

std::optional<uint32_t> ExactFourcc(AVPixelFormat format) {
  const AVPixelFormat plain = WithoutRange(format);
  for (std::size_t i = 0; i < kCarried; ++i) {
    if (kEntries[i].format == plain) return kEntries[i].fourcc;
  }
  return std::nullopt;
}

std::optional<uint32_t> NearestFourcc(AVPixelFormat format) {
  if (const auto exact = ExactFourcc(format)) return exact;
  const AVPixFmtDescriptor* desc = av_pix_fmt_desc_get(format);
  if (desc == nullptr || (desc->flags & AV_PIX_FMT_FLAG_HWACCEL) != 0) return std::nullopt;
  if (sws_isSupportedInput(format) == 0) return std::nullopt;
  // A palette has an alpha of its own.
  if ((desc->flags & (AV_PIX_FMT_FLAG_ALPHA | AV_PIX_FMT_FLAG_PAL)) != 0) return SLUICE_FORMAT_AB24;
  if ((desc->flags & (AV_PIX_FMT_FLAG_RGB | AV_PIX_FMT_FLAG_BAYER)) != 0) return SLUICE_FORMAT_XB24;
  if (desc->nb_components == 1) return SLUICE_FORMAT_R8;
  // Depth before chroma: coarse steps show as bands, and most of all in PQ and HLG.
  if (desc->comp[0].depth > 8) return SLUICE_FORMAT_P010;
  if (desc->log2_chroma_w == 0 && desc->log2_chroma_h == 0) return SLUICE_FORMAT_XB24;
  if (desc->log2_chroma_w == 1 && desc->log2_chroma_h == 0) return SLUICE_FORMAT_YUYV;
  return SLUICE_FORMAT_YU12;
}

AVPixelFormat PixelFormat(uint32_t fourcc) {
  const Entry* entry = Find(fourcc);
  return entry == nullptr ? AV_PIX_FMT_NONE : entry->format;
}

bool SameMemory(AVPixelFormat a, AVPixelFormat b) { return WithoutRange(a) == WithoutRange(b); }

bool IsRgb(uint32_t fourcc) {
  const Entry* entry = Find(fourcc);
  return entry != nullptr && entry->rgb;
}

bool HalvesWidth(uint32_t fourcc) {
  return HalvesHeight(fourcc) || fourcc == SLUICE_FORMAT_YUYV || fourcc == SLUICE_FORMAT_UYVY;
}

bool HalvesHeight(uint32_t fourcc) {
  return fourcc == SLUICE_FORMAT_YU12 || fourcc == SLUICE_FORMAT_NV12 ||
         fourcc == SLUICE_FORMAT_P010;
}

uint32_t PlaneCount(uint32_t fourcc) {
  const Entry* entry = Find(fourcc);
  return entry == nullptr ? 0 : entry->plane_count;
}

PlaneShape ShapeOf(uint32_t fourcc, uint32_t plane, uint32_t width, uint32_t height) {
  const Entry* entry = Find(fourcc);
  if (entry == nullptr || plane >= entry->plane_count) return {};
  const PlaneInfo& info = entry->planes[plane];
  return {uint64_t{ShiftUp(width, info.horizontal)} * info.bytes, ShiftUp(height, info.vertical)};
}

uint64_t VisibleBytes(uint32_t fourcc, uint32_t width, uint32_t height) {
  uint64_t bytes = 0;
  for (uint32_t plane = 0; plane < PlaneCount(fourcc); ++plane) {
    const PlaneShape shape = ShapeOf(fourcc, plane, width, height);
    bytes += shape.row_bytes * shape.rows;
  }
  return bytes;
}

ResolvedColor ResolveColor(const ColorTags& tags, AVPixelFormat format, bool jpeg,
                           uint32_t height) {
  ResolvedColor result;
  sluice_color& color = result.color;
  color.primaries = Primaries(tags.primaries);
  color.transfer = Transfer(tags.transfer);
  const AVPixFmtDescriptor* desc = av_pix_fmt_desc_get(format);
  const bool rgb =
      desc != nullptr && (desc->flags & (AV_PIX_FMT_FLAG_RGB | AV_PIX_FMT_FLAG_PAL)) != 0;
  const bool full = WithoutRange(format) != format || jpeg;
  if (rgb) {
    // Not assumptions: RGB has no other matrix, and nothing to site.
    color.matrix = SLUICE_MATRIX_RGB;
    color.range = tags.range == AVCOL_RANGE_MPEG ? SLUICE_RANGE_LIMITED : SLUICE_RANGE_FULL;
  } else {
    color.matrix = Matrix(tags.matrix);
    color.range = full ? SLUICE_RANGE_FULL : Range(tags.range);
    color.siting = Siting(tags.siting);
  }
  const bool high = height >= 720 && !jpeg;
  uint32_t* assumed = &result.assumed;
  if (rgb || jpeg) {
    Assume(&color.primaries, SLUICE_PRIMARIES_BT709, SLUICE_COLOR_FIELD_PRIMARIES, assumed);
    Assume(&color.transfer, SLUICE_TRANSFER_SRGB, SLUICE_COLOR_FIELD_TRANSFER, assumed);
  }
  const uint8_t old_primaries =
      height == 576 || height == 288 ? SLUICE_PRIMARIES_BT601_625 : SLUICE_PRIMARIES_BT601_525;
  Assume(&color.primaries, high ? SLUICE_PRIMARIES_BT709 : old_primaries,
         SLUICE_COLOR_FIELD_PRIMARIES, assumed);
  Assume(&color.transfer, SLUICE_TRANSFER_BT709, SLUICE_COLOR_FIELD_TRANSFER, assumed);
  if (rgb) return result;
  Assume(&color.matrix, high ? SLUICE_MATRIX_BT709 : SLUICE_MATRIX_BT601, SLUICE_COLOR_FIELD_MATRIX,
         assumed);
  Assume(&color.range, SLUICE_RANGE_LIMITED, SLUICE_COLOR_FIELD_RANGE, assumed);
  if (desc != nullptr && (desc->log2_chroma_w != 0 || desc->log2_chroma_h != 0)) {
    Assume(&color.siting, full ? SLUICE_SITING_CENTER : SLUICE_SITING_LEFT,
           SLUICE_COLOR_FIELD_SITING, assumed);
  } else {
    color.siting = 0;
  }
  return result;
}

ColorTags ToTags(const sluice_color& color, uint32_t height) {
  ColorTags tags;
  switch (color.primaries) {
    case SLUICE_PRIMARIES_BT709:
      tags.primaries = AVCOL_PRI_BT709;
      break;
    case SLUICE_PRIMARIES_BT601_525:
      tags.primaries = AVCOL_PRI_SMPTE170M;
      break;
    case SLUICE_PRIMARIES_BT601_625:
      tags.primaries = AVCOL_PRI_BT470BG;
      break;
    case SLUICE_PRIMARIES_BT2020:
      tags.primaries = AVCOL_PRI_BT2020;
      break;
  }
  switch (color.transfer) {
    case SLUICE_TRANSFER_BT709:
      // One curve, two names: the one that goes with the primaries.
      tags.transfer = tags.primaries == AVCOL_PRI_SMPTE170M || tags.primaries == AVCOL_PRI_BT470BG
                          ? AVCOL_TRC_SMPTE170M
                          : AVCOL_TRC_BT709;
      break;
    case SLUICE_TRANSFER_SRGB:
      tags.transfer = AVCOL_TRC_IEC61966_2_1;
      break;
    case SLUICE_TRANSFER_LINEAR:
      tags.transfer = AVCOL_TRC_LINEAR;
      break;
    case SLUICE_TRANSFER_PQ:
      tags.transfer = AVCOL_TRC_SMPTE2084;
      break;
    case SLUICE_TRANSFER_HLG:
      tags.transfer = AVCOL_TRC_ARIB_STD_B67;
      break;
    case SLUICE_TRANSFER_GAMMA22:
      tags.transfer = AVCOL_TRC_GAMMA22;
      break;
    case SLUICE_TRANSFER_GAMMA28:
      tags.transfer = AVCOL_TRC_GAMMA28;
      break;
  }
  switch (color.matrix) {
    case SLUICE_MATRIX_BT709:
      tags.matrix = AVCOL_SPC_BT709;
      break;
    case SLUICE_MATRIX_BT601:
      tags.matrix = color.primaries == SLUICE_PRIMARIES_BT601_625 || height == 576
                        ? AVCOL_SPC_BT470BG
                        : AVCOL_SPC_SMPTE170M;
      break;
    case SLUICE_MATRIX_BT2020:
      tags.matrix = AVCOL_SPC_BT2020_NCL;
      break;
    case SLUICE_MATRIX_RGB:
      tags.matrix = AVCOL_SPC_RGB;
      break;
  }
  if (color.range == SLUICE_RANGE_LIMITED) tags.range = AVCOL_RANGE_MPEG;
  if (color.range == SLUICE_RANGE_FULL) tags.range = AVCOL_RANGE_JPEG;
  switch (color.siting) {
    case SLUICE_SITING_LEFT:
      tags.siting = AVCHROMA_LOC_LEFT;
      break;
    case SLUICE_SITING_CENTER:
      tags.siting = AVCHROMA_LOC_CENTER;
      break;
    case SLUICE_SITING_TOP_LEFT:
      tags.siting = AVCHROMA_LOC_TOPLEFT;
      break;
  }
  return tags;
}

bool SameColor(const sluice_color& a, const sluice_color& b) {
  return a.primaries == b.primaries && a.transfer == b.transfer && a.matrix == b.matrix &&
         a.range == b.range && a.siting == b.siting;
}

}  // namespace sluice::ffmpeg
