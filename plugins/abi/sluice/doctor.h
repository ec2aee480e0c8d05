/* What a plugin has to say about the machine it is on: `sluice doctor` asks. */
#ifndef SLUICE_DOCTOR_H_
#define SLUICE_DOCTOR_H_

#include "abi.h"

#ifdef __cplusplus
extern "C" {
#endif

#define SLUICE_HEALTH_OK 0
#define SLUICE_HEALTH_LIMITED 1 /* works in part */
#define SLUICE_HEALTH_MISSING 2 /* not there, or not allowed */

typedef struct sluice_finding {
  const char *section; /* "video", "display" */
  const char *name;    /* "/dev/video0" */
  const char *detail;  /* what was seen, in one line */
  const char *advice;  /* how to get what is missing; NULL = none */
  int32_t health;
  int32_t reserved; /* 0 */
  /* Which device this is about, so that several plugins may speak of the same
   * one: the path of its node, links resolved ("/dev/video0"); NULL = none. */
  const char *device;
} sluice_finding;

typedef struct sluice_finding_sink sluice_finding_sink;
struct sluice_finding_sink {
  /* Copies. */
  void (*add)(sluice_finding_sink *sink, const sluice_finding *finding);
};

/* Through sluice_entry.get_factory. */
#define SLUICE_DOCTOR_ID "sluice.doctor/1"

typedef struct sluice_doctor {
  uint32_t struct_size;
  uint32_t reserved;
  /* [main-thread] Looks at what the plugin's nodes need: devices, what each
   * imports and exports, permissions. Changes nothing, starts nothing, and takes
   * well under a second for each device. */
  void (*examine)(sluice_finding_sink *sink);
} sluice_doctor;

#ifdef __cplusplus
}
#endif
#endif /* SLUICE_DOCTOR_H_ */
