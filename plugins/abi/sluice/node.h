/* Nodes.
 *
 * created --probe*--> created --configure--> configured --start--> active
 * active --drain--> active (draining) --process returns END--> ended
 * active|ended --stop--> configured;  any --destroy--> gone
 * active --reconfigure--> active (a new epoch)
 * The host never calls a verb out of this order. */
#ifndef SLUICE_NODE_H_
#define SLUICE_NODE_H_

#include "abi.h"
#include "format.h"
#include "frame.h"
#include "memory.h"

#ifdef __cplusplus
extern "C" {
#endif

#define SLUICE_VALUE_STRING 1
#define SLUICE_VALUE_INT 2
#define SLUICE_VALUE_FLOAT 3
#define SLUICE_VALUE_BOOL 4
#define SLUICE_VALUE_SIZE 5     /* i = width << 32 | height */
#define SLUICE_VALUE_RATE 6     /* i = numerator << 32 | denominator */
#define SLUICE_VALUE_DURATION 7 /* i = nanoseconds */
#define SLUICE_VALUE_ENUM 8     /* s = the choice */
#define SLUICE_VALUE_PATH 9     /* s = absolute path, resolved by the host */
#define SLUICE_VALUE_MAP 10     /* s = JSON object text (for options) */

typedef struct sluice_param {
  const char *name;
  int32_t type;
  int32_t given; /* 1 = from the graph, 0 = the manifest's default */
  int64_t i;     /* INT, BOOL (0/1), SIZE, RATE, DURATION */
  double f;      /* FLOAT (and the value of INT) */
  const char *s; /* STRING, ENUM, PATH, MAP; else NULL */
} sluice_param;

/* Already validated against the manifest; defaults filled in. A parameter
 * without default that was not given is absent. */
typedef struct sluice_param_set {
  uint32_t count;
  uint32_t reserved;
  const sluice_param *params;
} sluice_param_set;

#define SLUICE_PORT_INPUT 0
#define SLUICE_PORT_OUTPUT 1

/* What one epoch of one port is. Inside an island (sluice/domain.h) no buffer
 * passes it: views, buffers and sync are zero, and the layout is what the format
 * would need. */
typedef struct sluice_port_config {
  const char *name;
  uint32_t index;     /* among the ports of its direction, in manifest order */
  int32_t direction;
  int32_t connected;  /* 0: the optional port has no edge; the rest is zero */
  uint32_t views;     /* of the buffers */
  sluice_format format;
  sluice_layout layout;
  uint32_t buffers;     /* depth of the pool */
  uint32_t sync;        /* one SLUICE_SYNC_* */
} sluice_port_config;

typedef struct sluice_configuration {
  uint32_t epoch;
  uint32_t port_count;
  const sluice_port_config *ports; /* inputs first, then outputs */
  int32_t realtime;                /* 1: settings.clock is realtime */
  int32_t overwrite;               /* 1: run --force */
} sluice_configuration;

/* One call of process(). */
#define SLUICE_INVOCATION_DRAINING 1u /* no more input comes; END when all is out */

typedef struct sluice_invocation {
  uint64_t id;
  uint32_t input_count;
  uint32_t output_count;
  /* The node takes every non-NULL one and releases (or emits) it, now or later.
   * NULL: not connected, ended, draining, or the node was woken without input. */
  sluice_frame *const *inputs;
  /* Reserved for writing: borrowed until this invocation is done; emit() takes
   * one; the others go back to the pool. NULL: not connected, or the port is
   * dynamic or passes frames through. */
  sluice_frame *const *outputs;
  uint32_t flags;
  uint32_t reserved;
} sluice_invocation;

#define SLUICE_PROCESS_DONE ((int32_t)0)
#define SLUICE_PROCESS_ASYNC ((int32_t)1)     /* complete() will be called once */
#define SLUICE_PROCESS_NEED_MORE ((int32_t)2) /* nothing to do until input, wake() or wake_at() */
#define SLUICE_PROCESS_END ((int32_t)3)       /* this node will emit nothing more */
/* or a negative SLUICE_E_*, after set_error() */

typedef struct sluice_offer_sink sluice_offer_sink;

#define SLUICE_NODE_HOST_API_ID "sluice.node-host/1"

#define SLUICE_WATCH_READABLE 1u
#define SLUICE_WATCH_PRIORITY 2u /* POLLPRI: events of V4L2, say */

typedef struct sluice_node_host_api {
  uint32_t struct_size;
  uint32_t reserved;
  /* [thread-safe] The node's name in the graph. Borrows. */
  const char *(*name)(sluice_node_host *node);
  /* [main-thread, in probe] Adds a refined offer for `port` (its name). Copies.
   * Errors: NOT_FOUND for a port that the manifest does not declare, INVALID_ARGUMENT. */
  int32_t (*offer)(sluice_offer_sink *sink, const char *port, const sluice_offer *offer);
  /* [process-thread | thread-safe for dynamic ports' nodes] Takes `frame`:
   * a reserved output, a dynamically acquired one or a share of it, or an input
   * (ports that pass through). Borrows `fence`: when it may be read; NULL = now.
   * Errors: INVALID_ARGUMENT (no such output, a frame of another pool, or one that
   * was emitted before), CANCELLED while stopping. The frame is taken in any case. */
  int32_t (*emit)(sluice_node_host *node, uint32_t output, sluice_frame *frame,
                  const sluice_fence *fence);
  /* [thread-safe] A buffer to write, for ports with `acquire: dynamic`. Never
   * waits. The caller owns it. Errors: WOULD_BLOCK while nothing is free or the
   * node holds its declared reserve already, CANCELLED while stopping,
   * INVALID_ARGUMENT for an output without a pool of its own. */
  int32_t (*acquire)(sluice_node_host *node, uint32_t output, sluice_frame **out);
  /* [thread-safe] Ends an ASYNC invocation, exactly once. `result` as process() would return. */
  void (*complete)(sluice_node_host *node, uint64_t invocation, int32_t result);
  /* [thread-safe] Have process() called as soon as it may run. */
  void (*wake)(sluice_node_host *node);
  /* [thread-safe] The same, at CLOCK_MONOTONIC `at_ns`. The latest call counts. */
  void (*wake_at)(sluice_node_host *node, int64_t at_ns);
  /* [thread-safe] The formats of this output no longer hold: probe() will be
   * called for new offers, then reconfigure(), then process(). Until then a source
   * is not called; a node with inputs is given what is under way to it, and keeps it.
   * Asking again before that changes nothing. Errors: INVALID_ARGUMENT (no such
   * output), CANCELLED while stopping. */
  int32_t (*request_renegotiate)(sluice_node_host *node, uint32_t output);
  /* [thread-safe] What the next negative result means. Copies. */
  void (*set_error)(sluice_node_host *node, int32_t code, const char *message);
  /* [thread-safe] A copy of pixels that the node made. `port`: the name of the
   * port it belongs to. Copies `reason`. */
  void (*count_copy)(sluice_node_host *node, const char *port, uint64_t bytes, const char *reason);
  /* [thread-safe] A dropped or lost frame, with its reason. */
  void (*count_drop)(sluice_node_host *node, const char *port, uint64_t frames, const char *reason);
  /* [thread-safe] A fact for the plan and the report ("audio stream 1 (aac) is not carried"). */
  void (*note)(sluice_node_host *node, const char *text);
  /* [thread-safe] Progress; total 0 = unknown. */
  void (*progress)(sluice_node_host *node, uint64_t done, uint64_t total);
  void (*log)(sluice_node_host *node, int32_t level, const char *message);
  /* [main-thread] The domain that this node's type declares, or NULL. The
   * `self` of the sluice_domain that the plugin created. */
  void *(*domain)(sluice_node_host *node);
  /* [thread-safe] wake(), once, as soon as `fd` (borrowed: stays open until it
   * is unwatched) is ready for one of `events` (SLUICE_WATCH_*), has an error or
   * is hung up. A second call for the same fd arms it again.
   * Errors: IO (an fd that cannot be polled). */
  int32_t (*watch_fd)(sluice_node_host *node, int32_t fd, uint32_t events);
  /* [thread-safe] Forgets it. All are forgotten when the node is destroyed. */
  void (*unwatch_fd)(sluice_node_host *node, int32_t fd);
} sluice_node_host_api;

/* Through sluice_host.get_extension, for nodes whose frames go to somebody outside. */
#define SLUICE_INPUTS_API_ID "sluice.inputs/1"

typedef struct sluice_inputs_api {
  uint32_t struct_size;
  uint32_t reserved;
  /* [thread-safe] request_renegotiate() of an input: whoever is given its frames needs others. What
   * is under way comes first, and the node must not keep it waiting for that somebody. probe()
   * follows. Where what it offers then leads to no plan, probe() comes once more, without a
   * reconfigure() between: the node may take its wish back. That holds for outputs as well. */
  int32_t (*request_renegotiate)(sluice_node_host *node, uint32_t input);
} sluice_inputs_api;

typedef struct sluice_node {
  void *self;
  /* [main-thread, created or (renegotiating) active] Opens what it needs and
   * refines offers. May be NULL: the manifest's offers stand. */
  int32_t (*probe)(void *self, sluice_offer_sink *sink);
  /* [main-thread, created or configured (a plan solved again)] Fixes the formats. */
  int32_t (*configure)(void *self, const sluice_configuration *configuration);
  /* [main-thread, configured] Pools exist. May be NULL. */
  int32_t (*start)(void *self);
  /* [process-thread, active] NULL for nodes of a domain that does their work.
   * A domain's node without inputs may have it all the same: it is called before
   * each firing of its island, and its answer says whether that comes (DONE),
   * not before a wake (NEED_MORE) or never again (END). All its outputs are the
   * same reserved frame, or NULL, borrowed: what it writes into info_mut() travels
   * with the frames that it drives. It emits nothing. */
  int32_t (*process)(void *self, const sluice_invocation *invocation);
  /* [process-thread, active] No more input comes: process() is called with
   * DRAINING until it returns END. May be NULL: the node ends at once. */
  int32_t (*drain)(void *self);
  /* [process-thread, active] Forget what is buffered (seek, restart). May be NULL. */
  int32_t (*flush)(void *self);
  /* [main-thread, active] Give every lease back by `deadline_ns`. No process()
   * runs. `completed` is 1 after END, 0 when cut short (a writer discards its part file). */
  void (*stop)(void *self, int64_t deadline_ns, int32_t completed);
  /* [main-thread, active] A new epoch. No process() runs. May be NULL: UNSUPPORTED. */
  int32_t (*reconfigure)(void *self, const sluice_configuration *configuration);
  /* [thread-safe, any] Changes a parameter that the manifest declares changeable. May be NULL. */
  int32_t (*set_param)(void *self, const sluice_param *param);
  /* [thread-safe] May be NULL. */
  const void *(*get_extension)(void *self, const char *id);
  /* [main-thread, not active] */
  void (*destroy)(void *self);
} sluice_node;

/* Through sluice_node.get_extension, for nodes that wait for somebody outside who may never come. */
#define SLUICE_ENDING_ID "sluice.ending/1"

typedef struct sluice_ending {
  uint32_t struct_size;
  uint32_t reserved;
  /* [thread-safe, active] The run, or this epoch of it, is being ended: sources end, the others finish
   * what is under way and drain. What waits for somebody who is not there is completed instead.
   * A node that is reconfigured afterwards may wait again. */
  void (*soon)(void *self);
} sluice_ending;

#define SLUICE_NODE_FACTORY_ID "sluice.node-factory/1"

typedef struct sluice_node_factory {
  uint32_t struct_size;
  uint32_t reserved;
  /* [thread-safe] Types that this plugin makes; the manifest lists the same. */
  uint32_t (*count)(void);
  const char *(*type_id)(uint32_t index);
  /* [main-thread] Fills *out; out->self is the node's. Borrows `params` for the
   * call. `node_host` lives until destroy(). */
  int32_t (*create)(const sluice_host *host, const char *type_id, const sluice_param_set *params,
                    sluice_node_host *node_host, sluice_node *out);
} sluice_node_factory;

#ifdef __cplusplus
}
#endif
#endif /* SLUICE_NODE_H_ */
