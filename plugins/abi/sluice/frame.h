/* Frames, fences and timelines.
 *
 * A `sluice_frame *` is one holder's lease: it is released exactly once, and
 * while it is held the pixels do not change under a reader. Duplicating an fd
 * keeps the memory, never the pixels. */
#ifndef SLUICE_FRAME_H_
#define SLUICE_FRAME_H_

#include "abi.h"
#include "format.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sluice_frame sluice_frame;
typedef struct sluice_timeline sluice_timeline;
typedef struct sluice_node_host sluice_node_host; /* node.h */

#define SLUICE_FENCE_SIGNALLED 0 /* nothing to wait for */
#define SLUICE_FENCE_TIMELINE 1  /* {timeline, point} */
#define SLUICE_FENCE_SYNC_FILE 2 /* fd of a sync_file (Documentation/driver-api/sync_file.rst) */

/* One point in time that comes. Passed by pointer; NULL = signalled. The
 * timeline and the fd are borrowed by the callee for the call. */
typedef struct sluice_fence {
  int32_t kind;
  int32_t fd; /* sync_file, else -1 */
  sluice_timeline *timeline;
  uint64_t point;
} sluice_fence;

#define SLUICE_PTS_NONE INT64_MIN

#define SLUICE_FRAME_DISCONTINUITY 1u /* pts or sequence jumps on purpose before this frame */
#define SLUICE_FRAME_CORRUPT 2u       /* decoded with errors, or incomplete */
#define SLUICE_FRAME_KEY 4u
/* After rotation_degrees, exchange left and right to show it as meant. Who does so to the pixels clears it;
 * a sink that cannot write it down says so. */
#define SLUICE_FRAME_MIRRORED 8u

#define SLUICE_FIELD_PROGRESSIVE 0u
#define SLUICE_FIELD_TOP_FIRST 1u
#define SLUICE_FIELD_BOTTOM_FIRST 2u

/* What travels with the pixels of one trip. A frame to be written begins with zeros and without times:
 * the node copies what still holds, and who turns, crops or scales the pixels says what is left to do. */
typedef struct sluice_frame_info {
  int64_t pts_ns;      /* media time; SLUICE_PTS_NONE = unknown */
  int64_t duration_ns; /* 0 = unknown */
  /* The same time as the medium has it: pts_ticks x time_base seconds. A muxer
   * writes these unchanged. time_base 0/0 = only pts_ns is known. */
  int64_t pts_ticks;
  int64_t duration_ticks;
  uint32_t time_base_num, time_base_den;
  uint64_t sequence; /* counted by the source; a gap is a lost frame */
  uint32_t flags;
  uint32_t field_order;
  uint32_t crop_x, crop_y, crop_width, crop_height; /* visible rectangle, pixels */
  uint32_t aspect_num, aspect_den;                  /* of one pixel; 0/0 = square */
  int32_t rotation_degrees;                         /* clockwise to show it upright: 0, 90, 180, 270 */
  uint32_t reserved;                                /* 0 */
  uint64_t bytes_used; /* of a compressed picture; 0 = the layout says it all */
  int64_t captured_ns; /* CLOCK_MONOTONIC when the first line was taken; 0 = unknown */
} sluice_frame_info;

/* Who a buffer is. Issued by the host; never reused within a run. */
typedef struct sluice_buffer_id {
  uint32_t pool;
  uint32_t epoch;
  uint32_t index;
} sluice_buffer_id;

#define SLUICE_MAP_READ 1u
#define SLUICE_MAP_WRITE 2u

typedef struct sluice_mapping {
  uint8_t *planes[SLUICE_MAX_PLANES];
  uint64_t strides[SLUICE_MAX_PLANES]; /* bytes */
  uint32_t plane_count;
  uint32_t flags;
} sluice_mapping;

/* The whole allocation as sealed shared memory, mapped by the host. */
typedef struct sluice_shm_view {
  int32_t fd; /* borrowed; only for ports with `raw_fds: true`, else -1 */
  uint32_t reserved;
  void *base;    /* page aligned; valid until sluice_domain.forget_pool, or the frame's release */
  uint64_t size; /* bytes, a multiple of the page size */
} sluice_shm_view;

#define SLUICE_FRAME_API_ID "sluice.frame/1"

/* Host functions on frames. [thread-safe] unless said. */
typedef struct sluice_frame_api {
  uint32_t struct_size;
  uint32_t reserved;
  /* Borrows; valid while the lease is held. */
  const sluice_frame_info *(*info)(const sluice_frame *frame);
  /* Only for a frame that was not emitted yet. NULL for any other. */
  sluice_frame_info *(*info_mut)(sluice_frame *frame);
  /* Borrows; the format of the frame's epoch. */
  const sluice_format *(*format)(const sluice_frame *frame);
  const sluice_layout *(*layout)(const sluice_frame *frame);
  sluice_buffer_id (*buffer_id)(const sluice_frame *frame);
  /* Views that the buffer has. */
  uint32_t (*views)(const sluice_frame *frame);
  /* Errors: UNSUPPORTED without a shm view. */
  int32_t (*shm)(const sluice_frame *frame, sluice_shm_view *out);
  /* CPU access. The acquire fence must have signalled (a port with
   * `access: cpu` is never called before). Never waits. WRITE only before
   * emit. Pair with unmap. Counted. Errors: UNSUPPORTED, PERMISSION_DENIED. */
  int32_t (*map)(sluice_frame *frame, uint32_t flags, sluice_mapping *out);
  void (*unmap)(sluice_frame *frame, uint32_t flags);
  /* When the frame may be read. Borrows. */
  sluice_fence (*acquire_fence)(const sluice_frame *frame);
  /* For a frame being written: what must have happened before the first device
   * write. Fills up to `capacity`, returns the count. None for cpu writers. */
  uint32_t (*release_fences)(const sluice_frame *frame, sluice_fence *out, uint32_t capacity);
  /* Another lease on the same pixels with a copy of the info: to emit a frame
   * that the node goes on reading (a decoder's reference). NULL when the
   * pool's leases are used up. The pixels become read-only to everyone with the
   * first emit of any of them. */
  sluice_frame *(*share)(sluice_frame *frame);
  /* Takes `frame`, borrows `fence`: the holder is done when it signals (NULL =
   * now). Exactly once for each lease: a second time ends the process. */
  void (*release)(sluice_frame *frame, const sluice_fence *fence);
} sluice_frame_api;

#define SLUICE_TIMELINE_API_ID "sluice.timeline/1"

/* Optional abilities of a timeline's backend. */
typedef struct sluice_timeline_ops {
  uint32_t struct_size;
  uint32_t reserved;
  /* [thread-safe] Asks the device how far it is. May be NULL (then only signal() counts). */
  int32_t (*query)(void *self, uint64_t *completed);
  /* [thread-safe] A sync_file fd for `point`, owned by the caller.
   * Errors: NOT_SUBMITTED, UNSUPPORTED. May be NULL. */
  int32_t (*to_sync_file)(void *self, uint64_t point, int32_t *fd);
} sluice_timeline_ops;

/* Monotonic u64 points. promised -> submitted -> signalled | failed.
 * [thread-safe]. */
typedef struct sluice_timeline_api {
  uint32_t struct_size;
  uint32_t reserved;
  /* One reference, the caller's. `signaller` names who will signal, for
   * verdicts. `ops` may be NULL and must outlive the timeline. */
  int32_t (*create)(const char *signaller, const sluice_timeline_ops *ops, void *self,
                    sluice_timeline **out);
  void (*ref)(sluice_timeline *timeline);
  void (*unref)(sluice_timeline *timeline);
  /* The `self` given to create if `ops` matches, else NULL: how a domain knows its own. */
  void *(*self)(sluice_timeline *timeline, const sluice_timeline_ops *ops);
  /* All points up to `point` have work behind them. */
  void (*submitted)(sluice_timeline *timeline, uint64_t point);
  /* All points up to `point` have happened. Going back is ignored. */
  void (*signal)(sluice_timeline *timeline, uint64_t point);
  /* Exactly `point` failed; it counts as passed. Before signal(point). */
  void (*fail)(sluice_timeline *timeline, uint64_t point, int32_t code);
  /* 1 signalled, 0 pending, negative = the error that the point carries. */
  int32_t (*status)(sluice_timeline *timeline, uint64_t point);
  /* A sync_file for `point`, the caller's; -1 in `fd` where it has signalled.
   * Errors: NOT_SUBMITTED (subscribe and ask again), UNSUPPORTED (no kernel fence behind it). */
  int32_t (*to_sync_file)(sluice_timeline *timeline, uint64_t point, int32_t *fd);
  /* A timeline whose points are those of a timeline drm_syncobj; `node`'s
   * engine waits for them. Borrows both fds (of a DRM device and of the
   * syncobj). One reference, the caller's.
   * Errors: UNSUPPORTED without DRM_CAP_SYNCOBJ_TIMELINE, IO. */
  int32_t (*import_syncobj)(sluice_node_host *node, const char *signaller, int32_t drm_fd,
                            int32_t syncobj_fd, sluice_timeline **out);
  /* Signals a point of an imported syncobj, from the CPU, now.
   * Errors: UNSUPPORTED for any other timeline, IO. */
  int32_t (*signal_syncobj)(sluice_timeline *timeline, uint64_t point);
  /* Makes a point of an imported syncobj signal when `sync_file_fd` (borrowed) does. */
  int32_t (*attach_syncobj)(sluice_timeline *timeline, uint64_t point, int32_t sync_file_fd);
} sluice_timeline_api;

#ifdef __cplusplus
}
#endif
#endif /* SLUICE_FRAME_H_ */
