/* What a domain makes of an island: its passes over memory, before it runs and
 * as measured while it runs. A domain plugin may offer this table by
 * get_factory(SLUICE_PASSES_ID); `domain` is sluice_domain.self. */
#ifndef SLUICE_PASSES_H_
#define SLUICE_PASSES_H_

#include "abi.h"
#include "domain.h"
#include "format.h"

#ifdef __cplusplus
extern "C" {
#endif

#define SLUICE_PASSES_ID "sluice.passes/1"

/* One dispatch, or a copy beside them: it reads its sources once and writes its result once. The label of
 * a copy begins with "copy "; others are not unique (two nodes of one type): label, nodes and, of passes
 * that are alike in both, the order tell one from another. Borrowed for the call. */
typedef struct sluice_pass {
  const char *label;       /* "warm + fade + vignette" */
  const char *apart;       /* why it is not one with the pass before it; "" for the first and for copies */
  const uint32_t *nodes;   /* into sluice_island_desc.nodes: whose work is in it, wholly or in part */
  uint32_t node_count;
  uint32_t reserved;
  uint64_t bytes_read;     /* a frame; each byte of a source counted once */
  uint64_t bytes_written;
} sluice_pass;

/* The device's own time of one pass since the island was made: of those frames that were measured, which
 * may be one in several. Borrowed for the call. */
typedef struct sluice_pass_time {
  const char *label;
  const uint32_t *nodes;
  uint32_t node_count;
  uint32_t reserved;
  uint64_t frames;         /* that were measured */
  uint64_t total_ns;
  uint64_t min_ns;
  uint64_t max_ns;
} sluice_pass_time;

typedef struct sluice_pass_sink {
  void *self;
  void (*add)(void *self, const sluice_pass *pass);
} sluice_pass_sink;

typedef struct sluice_pass_time_sink {
  void *self;
  void (*add)(void *self, const sluice_pass_time *time);
} sluice_pass_time_sink;

typedef struct sluice_passes {
  uint32_t struct_size;
  uint32_t reserved;
  /* [main-thread] The passes that create_island() would make, in their order.
   * `desc.nodes` are created and probed, and need not be configured: the
   * formats of the borders are `inputs` (as desc.inputs) and `outputs`.
   * `inner_bytes`: device memory of the island's own. Copies are among them where the borders' memory is
   * known to need them; more may be measured. Errors: UNSUPPORTED. */
  int32_t (*predict)(void *domain, const sluice_island_desc *desc, const sluice_format *inputs,
                     const sluice_format *outputs, const sluice_pass_sink *sink,
                     uint64_t *inner_bytes);
  /* [main-thread] By timestamps of the device. UNSUPPORTED where it has none. */
  int32_t (*measured)(void *domain, const sluice_island *island,
                      const sluice_pass_time_sink *sink);
} sluice_passes;

#ifdef __cplusplus
}
#endif
#endif /* SLUICE_PASSES_H_ */
