/* Formats, colour, layouts and offers.
 * Spec: drm_fourcc.h (fourcc, modifier); ITU-T H.273 (meaning of the colour
 * terms; the numbers here are Sluice's own, 0 is always "unspecified"). */
#ifndef SLUICE_FORMAT_H_
#define SLUICE_FORMAT_H_

#include "abi.h"

#ifdef __cplusplus
extern "C" {
#endif

#define SLUICE_FOURCC(a, b, c, d) \
  ((uint32_t)(a) | ((uint32_t)(b) << 8) | ((uint32_t)(c) << 16) | ((uint32_t)(d) << 24))

/* DRM tokens that the engine lays out. DRM names read from the high bits of a
 * little-endian word: AB24 is R, G, B, A in memory. */
#define SLUICE_FORMAT_YU12 SLUICE_FOURCC('Y', 'U', '1', '2') /* Y, U, V planes, 4:2:0 */
#define SLUICE_FORMAT_NV12 SLUICE_FOURCC('N', 'V', '1', '2') /* Y, UV planes, 4:2:0 */
#define SLUICE_FORMAT_YUYV SLUICE_FOURCC('Y', 'U', 'Y', 'V') /* Y0 U Y1 V, 4:2:2 packed */
#define SLUICE_FORMAT_AB24 SLUICE_FOURCC('A', 'B', '2', '4') /* R G B A bytes */
#define SLUICE_FORMAT_XB24 SLUICE_FOURCC('X', 'B', '2', '4') /* R G B x bytes */
#define SLUICE_FORMAT_AR24 SLUICE_FOURCC('A', 'R', '2', '4') /* B G R A bytes */
#define SLUICE_FORMAT_XR24 SLUICE_FOURCC('X', 'R', '2', '4') /* B G R x bytes */
#define SLUICE_FORMAT_R8 SLUICE_FOURCC('R', '8', ' ', ' ')   /* one byte a pixel */
#define SLUICE_FORMAT_P010 SLUICE_FOURCC('P', '0', '1', '0') /* Y, UV planes, 10 bits high in 16 */
#define SLUICE_FORMAT_AB4H SLUICE_FOURCC('A', 'B', '4', 'H') /* R G B A half floats */
#define SLUICE_FORMAT_XB4H SLUICE_FOURCC('X', 'B', '4', 'H') /* R G B x half floats */
#define SLUICE_FORMAT_UYVY SLUICE_FOURCC('U', 'Y', 'V', 'Y') /* U Y0 V Y1, 4:2:2 packed */
#define SLUICE_FORMAT_NV21 SLUICE_FOURCC('N', 'V', '2', '1') /* Y, VU planes, 4:2:0 */
#define SLUICE_FORMAT_NV16 SLUICE_FOURCC('N', 'V', '1', '6') /* Y, UV planes, 4:2:2 */
#define SLUICE_FORMAT_BG24 SLUICE_FOURCC('B', 'G', '2', '4') /* R G B bytes */
#define SLUICE_FORMAT_RG24 SLUICE_FOURCC('R', 'G', '2', '4') /* B G R bytes */
#define SLUICE_FORMAT_RG16 SLUICE_FOURCC('R', 'G', '1', '6') /* 5:6:5, little endian */

/* Compressed pictures: one plane of one row; sluice_frame_info.bytes_used says
 * how much of it is there. The tokens are those of V4L2. */
#define SLUICE_FORMAT_MJPG SLUICE_FOURCC('M', 'J', 'P', 'G') /* one JPEG a frame */
#define SLUICE_FORMAT_H264 SLUICE_FOURCC('H', '2', '6', '4') /* Annex B, one access unit a frame */
#define SLUICE_FORMAT_HEVC SLUICE_FOURCC('H', 'E', 'V', 'C') /* the same */

#define SLUICE_MODIFIER_LINEAR ((uint64_t)0)
#define SLUICE_MODIFIER_INVALID (((uint64_t)1 << 56) - 1)

#define SLUICE_MATRIX_BT709 1
#define SLUICE_MATRIX_BT601 2
#define SLUICE_MATRIX_BT2020 3 /* non-constant luminance */
#define SLUICE_MATRIX_RGB 4    /* identity */

#define SLUICE_RANGE_LIMITED 1
#define SLUICE_RANGE_FULL 2

#define SLUICE_PRIMARIES_BT709 1
#define SLUICE_PRIMARIES_BT601_525 2
#define SLUICE_PRIMARIES_BT601_625 3
#define SLUICE_PRIMARIES_BT2020 4

#define SLUICE_TRANSFER_BT709 1
#define SLUICE_TRANSFER_SRGB 2
#define SLUICE_TRANSFER_LINEAR 3
#define SLUICE_TRANSFER_PQ 4
#define SLUICE_TRANSFER_HLG 5
#define SLUICE_TRANSFER_GAMMA22 6
#define SLUICE_TRANSFER_GAMMA28 7

#define SLUICE_SITING_LEFT 1     /* MPEG-2, H.264 default */
#define SLUICE_SITING_CENTER 2   /* JPEG, MPEG-1 */
#define SLUICE_SITING_TOP_LEFT 3 /* BT.2020 */

typedef struct sluice_color {
  uint8_t primaries;
  uint8_t transfer;
  uint8_t matrix;
  uint8_t range;
  uint8_t siting;
  uint8_t reserved[3]; /* 0 */
} sluice_color;

/* Bits for fields of sluice_color, for `color_assumed`. */
#define SLUICE_COLOR_FIELD_PRIMARIES 1u
#define SLUICE_COLOR_FIELD_TRANSFER 2u
#define SLUICE_COLOR_FIELD_MATRIX 4u
#define SLUICE_COLOR_FIELD_RANGE 8u
#define SLUICE_COLOR_FIELD_SITING 16u

/* Frames a second; 0/0 = unknown or variable. */
typedef struct sluice_rate {
  uint32_t numerator;
  uint32_t denominator;
} sluice_rate;

/* A fixed format: what one epoch of one port carries. */
typedef struct sluice_format {
  uint32_t fourcc;
  uint32_t width;  /* visible, pixels */
  uint32_t height;
  uint32_t reserved; /* 0 */
  uint64_t modifier;
  sluice_rate rate;
  sluice_color color;
} sluice_format;

#define SLUICE_MAX_PLANES 4

typedef struct sluice_plane {
  uint32_t part;     /* which fd of the buffer it lies in, < sluice_layout.part_count */
  uint32_t reserved; /* 0 */
  uint64_t offset;  /* bytes from the start of its part */
  uint64_t stride;  /* bytes from one row to the next */
  uint64_t size;    /* bytes, stride x rows */
} sluice_plane;

typedef struct sluice_layout {
  uint32_t coded_width; /* pixels, >= the visible size */
  uint32_t coded_height;
  uint32_t plane_count;
  uint32_t part_count; /* fds of one buffer; 1 unless a driver gives one for each plane */
  sluice_plane planes[SLUICE_MAX_PLANES];
  uint64_t size; /* bytes of all parts, tail and rounding included */
} sluice_layout;

/* Views: how a buffer can be reached (bits). */
#define SLUICE_VIEW_DMABUF 1u
#define SLUICE_VIEW_SHM 2u    /* sealed memfd */
#define SLUICE_VIEW_DEVICE 4u /* memory of the device `device_uuid` */
#define SLUICE_VIEW_CPU 8u    /* mapped, cached */

/* In sluice_offer.allocates beside the views: the port works in no other memory
 * than its own (what somebody else fills cannot be elsewhere). */
#define SLUICE_ALLOCATES_ONLY 0x80000000u

/* How an edge may be synchronised (bits). */
#define SLUICE_SYNC_CPU_DONE 1u /* the frame is complete when it arrives */
#define SLUICE_SYNC_IMPLICIT 2u
#define SLUICE_SYNC_SYNC_FILE 4u
#define SLUICE_SYNC_SYNCOBJ 8u
#define SLUICE_SYNC_TIMELINE 16u /* the domain's own timelines */

/* One thing a port can do. Every multiple is >= 1 (0 reads as 1); a maximum of
 * 0 reads as "no bound". A refined offer (from probe) must be a subset of one
 * that the manifest declares. */
typedef struct sluice_offer {
  uint32_t struct_size; /* sizeof(sluice_offer) */
  uint32_t fourcc_count;
  const uint32_t *fourccs;
  uint32_t modifier_count; /* 0 = linear only */
  uint32_t views;          /* views the port can use */
  const uint64_t *modifiers;
  uint32_t allocates; /* views of memory that this port can allocate itself */
  uint32_t sync;
  uint32_t width_min, width_max, width_step;
  uint32_t height_min, height_max, height_step;
  sluice_rate rate_min, rate_max; /* both 0/0 = any */
  sluice_color color;             /* a field of 0 = any */
  uint32_t color_assumed;         /* SLUICE_COLOR_FIELD_* that were guessed, not read */
  uint32_t width_multiple, height_multiple; /* of the coded size */
  uint32_t stride_multiple, offset_multiple, base_multiple, size_multiple;
  uint32_t tail_bytes;
  uint32_t buffers_min, buffers_max;
  uint32_t hold_min, hold_max; /* inputs: frames kept after the work is done */
  uint32_t retains;            /* outputs: frames still read after emit */
  uint32_t dynamic_reserve;    /* outputs with `acquire: dynamic`: the most the node holds at once */
  uint8_t device_uuid[16];
  /* Not NULL: taking this offer makes the node copy each frame, for this reason
   * ("yuv422p10 is converted by swscale"). Counted in the plan, and refused
   * where zero-copy is required. */
  const char *copies;
} sluice_offer;

#ifdef __cplusplus
}
#endif
#endif /* SLUICE_FORMAT_H_ */
