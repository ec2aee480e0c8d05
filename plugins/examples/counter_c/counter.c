/* A node in plain C, without the SDK. Build it with one line:
 *
 *   cc -shared -fPIC -fvisibility=hidden -o counter_c.so counter.c $(pkg-config --cflags sluice) \
 *      -DSLUICE_MANIFEST_HASH=0x$(sha256sum < counter.sluice.yaml | cut -c1-16)ull
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sluice/abi.h>
#include <sluice/node.h>

/* Bazel embeds the manifest by itself. */
#ifndef SLUICE_MANIFEST_IS_EMBEDDED
SLUICE_EMBED_MANIFEST("counter.sluice.yaml");
#endif

typedef struct counter {
  const sluice_node_host_api *api;
  sluice_node_host *host;
  uint64_t limit;
  uint64_t frames;
} counter;

static int32_t counter_configure(void *self, const sluice_configuration *configuration) {
  uint32_t i;
  counter *me = self;
  for (i = 0; i < configuration->port_count; ++i) {
    if (configuration->ports[i].connected == 0) {
      me->api->set_error(me->host, SLUICE_E_INVALID_ARGUMENT, "both ports must be connected");
      return SLUICE_E_INVALID_ARGUMENT;
    }
  }
  return SLUICE_OK;
}

static int32_t counter_start(void *self) {
  ((counter *)self)->frames = 0;
  return SLUICE_OK;
}

static void counter_report(counter *me) {
  char text[64];
  snprintf(text, sizeof text, "%" PRIu64 " frames passed", me->frames);
  me->api->note(me->host, text);
}

static int32_t counter_process(void *self, const sluice_invocation *invocation) {
  counter *me = self;
  sluice_frame *frame = invocation->inputs[0];
  if (frame != NULL) {
    /* emit() takes the lease; a fence of NULL says "it may be read now". */
    const int32_t result = me->api->emit(me->host, 0, frame, NULL);
    if (result < 0) return result;
    ++me->frames;
    if (me->frames != me->limit) return SLUICE_PROCESS_DONE;
  } else if ((invocation->flags & SLUICE_INVOCATION_DRAINING) == 0) {
    return SLUICE_PROCESS_NEED_MORE;
  }
  counter_report(me);
  return SLUICE_PROCESS_END;
}

static int32_t counter_drain(void *self) {
  (void)self; /* process() is called with DRAINING from now on */
  return SLUICE_OK;
}

static void counter_stop(void *self, int64_t deadline_ns, int32_t completed) {
  /* Every lease is given back here; this node keeps none. */
  (void)self;
  (void)deadline_ns;
  (void)completed;
}

static void counter_destroy(void *self) { free(self); }

static int32_t create(const sluice_host *host, const char *type_id, const sluice_param_set *params,
                      sluice_node_host *node_host, sluice_node *out) {
  uint32_t i;
  counter *me;
  if (strcmp(type_id, "example.counter") != 0) return SLUICE_E_NOT_FOUND;
  me = calloc(1, sizeof *me);
  if (me == NULL) return SLUICE_E_RESOURCE_EXHAUSTED;
  me->api = host->get_extension(host, SLUICE_NODE_HOST_API_ID);
  me->host = node_host;
  for (i = 0; i < params->count; ++i) {
    if (strcmp(params->params[i].name, "limit") == 0) me->limit = (uint64_t)params->params[i].i;
  }
  memset(out, 0, sizeof *out); /* node.h says which verbs may be NULL */
  out->self = me;
  out->configure = counter_configure;
  out->start = counter_start;
  out->process = counter_process;
  out->drain = counter_drain;
  out->stop = counter_stop;
  out->destroy = counter_destroy;
  return SLUICE_OK;
}

static uint32_t count(void) { return 1; }
static const char *type_id(uint32_t index) { return index == 0 ? "example.counter" : NULL; }

static const sluice_node_factory factory = {sizeof(sluice_node_factory), 0, count, type_id, create};

static int32_t init(const sluice_host *host) {
  const int same_abi =
      host->abi.major == SLUICE_ABI_MAJOR &&
      (SLUICE_ABI_MAJOR != 0 || host->abi.minor == SLUICE_ABI_MINOR); /* 0.x: the minor too */
  if (!same_abi) return SLUICE_E_UNSUPPORTED;
  return host->get_extension(host, SLUICE_NODE_HOST_API_ID) == NULL ? SLUICE_E_UNSUPPORTED
                                                                    : SLUICE_OK;
}

static void deinit(void) {}

static const void *get_factory(const char *id) {
  return strcmp(id, SLUICE_NODE_FACTORY_ID) == 0 ? &factory : NULL;
}

SLUICE_PLUGIN_EXPORT const sluice_entry sluice_plugin = {
    {SLUICE_ABI_MAJOR, SLUICE_ABI_MINOR}, SLUICE_MANIFEST_HASH, init, deinit, get_factory};
