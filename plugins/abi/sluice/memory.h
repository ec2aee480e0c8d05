/* Memory of buffers: as fds, made by a port, imported by a port.
 *
 * The host owns pools and counts leases. A port may make the memory of its pool
 * (a camera's MMAP buffers, a display's dumb buffers, a device's exports): it
 * says so in its offers (`allocates`) and answers SLUICE_ALLOCATOR_ID. What a
 * port cannot import after all it refuses in SLUICE_IMPORTER_ID's test(), and the
 * plan is solved again without it.
 * Spec: Documentation/userspace-api/dma-buf-alloc-exchange.rst, linux/dma-buf.h. */
#ifndef SLUICE_MEMORY_H_
#define SLUICE_MEMORY_H_

#include "abi.h"
#include "format.h"
#include "frame.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sluice_memory_part {
  int32_t fd;
  uint32_t reserved; /* 0 */
  uint64_t size;     /* bytes; what lseek(fd, 0, SEEK_END) or fstat says */
} sluice_memory_part;

/* A buffer as fds. Planes say which part they lie in. */
typedef struct sluice_memory {
  /* SLUICE_VIEW_DMABUF or SLUICE_VIEW_SHM; SLUICE_VIEW_DEVICE for a buffer that only
   * the port's device knows, by its sluice_buffer_id: part_count 0, and as many
   * bytes as its layout has. */
  uint32_t view;
  uint32_t part_count;
  sluice_memory_part parts[SLUICE_MAX_PLANES];
} sluice_memory;

/* What the plan wants of a pool that a port makes. */
typedef struct sluice_pool_request {
  uint32_t pool;
  uint32_t epoch;
  uint32_t buffers; /* so many, not fewer; the sink refuses more */
  uint32_t views;   /* of what the offer's `allocates` promised */
  sluice_format format;
  sluice_layout layout; /* a layout that all users of the pool accept; plane_count 0: none is known */
  /* What the users demand of any other layout. */
  uint32_t stride_multiple, offset_multiple, base_multiple, size_multiple;
  uint32_t tail_bytes;
  uint32_t reserved; /* 0 */
} sluice_pool_request;

typedef struct sluice_pool_sink sluice_pool_sink;

/* One buffer that a port made. */
typedef struct sluice_buffer_desc {
  sluice_memory memory;
  sluice_layout layout; /* the same for every buffer of a pool */
  /* Where the port has mapped part 0 itself, for memory that has no view to map
   * (`view` 0, part_count 0); else NULL: the host maps dma-bufs when somebody asks. */
  void *base;
} sluice_buffer_desc;

#define SLUICE_MEMORY_API_ID "sluice.memory/1"

#define SLUICE_ACCESS_READ 1u
#define SLUICE_ACCESS_WRITE 2u

typedef struct sluice_memory_api {
  uint32_t struct_size;
  uint32_t reserved;
  /* [thread-safe] The buffer as `view` (one bit). fds are borrowed and stay
   * open until the pool is forgotten. For ports that declare `raw_fds: true`, and
   * for domains. Errors: UNSUPPORTED (no such view), PERMISSION_DENIED. */
  int32_t (*fds)(const sluice_frame *frame, uint32_t view, sluice_memory *out);
  /* [main-thread, in allocate()] Gives the pool its next buffer; the first has
   * index 0. Takes the fds, also when it fails. Checks all numbers against the
   * real sizes, and that a dma-buf is one.
   * Errors: INVALID_ARGUMENT, with plane and numbers in the log. */
  int32_t (*add_buffer)(sluice_pool_sink *sink, const sluice_buffer_desc *buffer);
  /* [thread-safe] Implicit fences of a dma-buf, as a sync_file (the caller's):
   * ACCESS_READ waits for writers, ACCESS_WRITE for everybody. A snapshot.
   * -1 in `fd`: nothing to wait for. Errors: UNSUPPORTED. */
  int32_t (*export_sync_file)(const sluice_frame *frame, uint32_t access, int32_t *fd);
  /* [thread-safe] Puts `fd` (borrowed) into the dma-buf: as a reader's fence
   * (later writers wait) or a writer's (everybody waits). Errors: UNSUPPORTED. */
  int32_t (*import_sync_file)(const sluice_frame *frame, uint32_t access, int32_t fd);
} sluice_memory_api;

/* Through sluice_node.get_extension, for nodes with an offer that `allocates`. */
#define SLUICE_ALLOCATOR_ID "sluice.allocator/1"

typedef struct sluice_allocator {
  uint32_t struct_size;
  uint32_t reserved;
  /* [main-thread, before configure() or reconfigure(); no process() runs] Makes
   * all buffers of the pool and gives them to `sink`. The node is then
   * configured with the layout that it gave. A pool that was made for the port
   * before may still have leases out; release_pool() says when they are home.
   * Errors: UNSUPPORTED (not this way: the plan is solved again), others end the run. */
  int32_t (*allocate)(void *self, int32_t direction, uint32_t port,
                      const sluice_pool_request *request, sluice_pool_sink *sink);
  /* [main-thread] No lease of the pool is out, or none will come home. The host
   * has closed its fds. Also called for a pool whose allocate() failed. */
  void (*release_pool)(void *self, uint32_t pool, uint32_t epoch);
} sluice_allocator;

/* Through sluice_host.get_extension, for outputs with `acquire: dynamic` whose node made the
 * pool's memory and is told by somebody outside which buffer was filled: a peer's frame lies where
 * the peer put it, and not in whatever buffer is free. `index`: in the order of add_buffer(), of the
 * port's pool of this epoch. A node that uses it need not hold what the peer has: the pool gives
 * no buffer to anybody but this port. */
#define SLUICE_OWN_BUFFERS_API_ID "sluice.own-buffers/1"

typedef struct sluice_own_buffers_api {
  uint32_t struct_size;
  uint32_t reserved;
  /* [thread-safe] As sluice_node_host_api.acquire, but this one. Errors: WOULD_BLOCK while it is
   * not free, and as there; INVALID_ARGUMENT (no such buffer). */
  int32_t (*acquire)(sluice_node_host *node, uint32_t output, uint32_t index, sluice_frame **out);
  /* [thread-safe] 1: all its leases are home and what they left to wait for has passed, so that it
   * may go back to whoever fills it; 0: not yet, or never again. A node whose manifest says `live` is
   * woken for each buffer that becomes free. Errors: INVALID_ARGUMENT, CANCELLED while stopping. */
  int32_t (*is_free)(sluice_node_host *node, uint32_t output, uint32_t index);
} sluice_own_buffers_api;

/* Through sluice_node.get_extension, for nodes that import what others make. */
#define SLUICE_IMPORTER_ID "sluice.importer/1"

typedef struct sluice_importer {
  uint32_t struct_size;
  uint32_t reserved;
  /* [main-thread, configured] Imports `frame` (borrowed) as process() would;
   * called for each buffer of the pool, so that no frame pays for its import.
   * Errors: UNSUPPORTED: the plan is solved again without this combination. */
  int32_t (*test)(void *self, int32_t direction, uint32_t port, sluice_frame *frame);
  /* [main-thread] The pool ends: drop what was imported of it. May be NULL. */
  void (*forget_pool)(void *self, uint32_t pool, uint32_t epoch);
} sluice_importer;

#ifdef __cplusplus
}
#endif
#endif /* SLUICE_MEMORY_H_ */
