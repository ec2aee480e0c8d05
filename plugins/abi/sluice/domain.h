/* Execution domains: where the work of some nodes runs (a GPU device).
 *
 * The engine knows no device API. It hands a domain whole islands: connected
 * nodes that fire as one. A firing is a batch of node invocations with the
 * frames at the island's borders; the domain answers with one fence for each
 * border output, at once, without waiting. */
#ifndef SLUICE_DOMAIN_H_
#define SLUICE_DOMAIN_H_

#include "abi.h"
#include "format.h"
#include "frame.h"
#include "node.h"

#ifdef __cplusplus
extern "C" {
#endif

#define SLUICE_DOMAIN_FACTORY_ID "sluice.domain-factory/1"

/* A port of a node of an island. */
typedef struct sluice_island_port {
  uint32_t node; /* index into nodes */
  uint32_t port; /* index among the node's ports of that direction */
} sluice_island_port;

/* An edge inside an island: its memory belongs to the domain, and no frame
 * travels on it. An output that is read outside too is among the border's
 * outputs as well, and gets a frame for those readers. */
typedef struct sluice_island_edge {
  sluice_island_port from;
  sluice_island_port to;
  sluice_format format;
} sluice_island_edge;

typedef struct sluice_island_desc {
  const char *name; /* for messages, e.g. "look" or "look+convert" */
  uint32_t epoch;
  uint32_t node_count;
  const sluice_node *const *nodes; /* in an order that respects the edges; already configured */
  uint32_t edge_count;
  uint32_t input_count;
  const sluice_island_edge *edges;
  /* The border: connected ports that frames pass, in the order of `nodes` and
   * of their ports. Either may be empty (a source or a sink of the domain). */
  const sluice_island_port *inputs;
  const sluice_island_port *outputs;
  uint32_t output_count;
  uint32_t reserved;
} sluice_island_desc;

typedef struct sluice_island sluice_island;

/* One firing. All frames are borrowed for the call: the host keeps the leases
 * and releases inputs, and emits outputs, with the fences returned. None is NULL.
 * An input that `latest` samples may be the same frame as in the firing before.
 * The info of each output is that of the frame that drives its node (all inputs
 * but sampled ones); the domain may change it, by info_mut(). */
typedef struct sluice_batch {
  uint64_t sequence;
  uint32_t input_count;
  uint32_t output_count;
  sluice_frame *const *inputs;  /* as desc.inputs; wait for acquire_fence() on the device */
  sluice_frame *const *outputs; /* as desc.outputs; wait for release_fences() on the device */
} sluice_batch;

typedef struct sluice_domain_info {
  char device_name[256];
  char driver[256];
  uint8_t device_uuid[16];
  uint32_t views;           /* views that the domain can read and write without a copy */
  uint32_t base_multiple;   /* of imported memory, bytes */
  uint32_t size_multiple;
  uint32_t offset_multiple; /* of planes */
  uint32_t is_software;     /* 1: a CPU implementation */
} sluice_domain_info;

typedef struct sluice_domain {
  void *self;
  /* [main-thread] */
  int32_t (*describe)(void *self, sluice_domain_info *out);
  int32_t (*create_island)(void *self, const sluice_island_desc *desc, sluice_island **out);
  /* [main-thread] No submission of it is in flight. */
  void (*destroy_island)(void *self, sluice_island *island);
  /* [process-thread of the island] Submits once. `fences`: output_count + 1
   * entries to fill; the last one says when all inputs have been read. The
   * timelines are borrowed from the domain, which outlives the frames.
   * A negative result: nothing was submitted; the node that set_error() was
   * called for is named, or else the island. */
  int32_t (*submit)(void *self, sluice_island *island, const sluice_batch *batch,
                    sluice_fence *fences);
  /* [main-thread] Buffers of {pool, epoch} will be unmapped: drop imports of
   * them. No submission that uses them is in flight. */
  void (*forget_pool)(void *self, uint32_t pool, uint32_t epoch);
  /* [main-thread] Waits until all submissions are done. Errors: TIMEOUT, DEVICE_LOST. */
  int32_t (*wait_idle)(void *self, int64_t deadline_ns);
  void (*destroy)(void *self);
} sluice_domain;


typedef struct sluice_domain_factory {
  uint32_t struct_size;
  uint32_t reserved;
  /* [thread-safe] "vulkan"; the manifest lists the same. */
  uint32_t (*count)(void);
  const char *(*domain_id)(uint32_t index);
  /* [main-thread] `params`: from the command line and the graph's settings
   * ("device": selector). Created on first use by a node of the domain.
   * Errors: UNSUPPORTED or NOT_FOUND when the machine lacks a device; the
   * message (set through `error`, `error_size` bytes, NUL-terminated) says what to install. */
  int32_t (*create)(const sluice_host *host, const char *domain_id, const sluice_param_set *params,
                    sluice_domain *out, char *error, size_t error_size);
} sluice_domain_factory;

#ifdef __cplusplus
}
#endif
#endif /* SLUICE_DOMAIN_H_ */
