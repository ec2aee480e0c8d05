/* How fast a plugin's devices are: `sluice doctor --measure` asks, and what a
 * plan costs is reckoned with the answers. */
#ifndef SLUICE_PROFILE_H_
#define SLUICE_PROFILE_H_

#include "abi.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Figures that plans are made with, by name. A plugin may give others: they are
 * kept and shown. Unit "B/s": bytes read plus bytes written a second. */
#define SLUICE_FIGURE_MEMORY "memory"         /* a kernel that copies within the device's memory */
#define SLUICE_FIGURE_HOST_READ "host-read"   /* a kernel that reads host memory, without a copy */
#define SLUICE_FIGURE_HOST_WRITE "host-write" /* a kernel that writes it */
/* Bytes that the CPU copies in a second out of the device's memory, mapped as it
 * is for a frame, into its own: here bytes count once. */
#define SLUICE_FIGURE_CPU_COPY "cpu-copy"
/* The CPU's time for handing over one recorded piece of work. Unit "ns". */
#define SLUICE_FIGURE_SUBMISSION "submission"

#define SLUICE_UNIT_BYTES_PER_SECOND "B/s"
#define SLUICE_UNIT_NANOSECONDS "ns"

typedef struct sluice_figure {
  const char *name;
  const char *unit;
  double value;     /* 0: was not measured */
  const char *note; /* how it was measured; why it was not; NULL = nothing to say */
} sluice_figure;

/* Borrowed for the call. */
typedef struct sluice_measured_device {
  const char *domain; /* as in the manifest */
  const char *name;   /* these three as sluice_domain.describe() says them: */
  const char *driver; /* figures count for the same device with the same driver */
  uint8_t uuid[16];
  uint32_t is_software; /* 1: the device is the CPU */
  uint32_t figure_count;
  const sluice_figure *figures;
} sluice_measured_device;

typedef struct sluice_profile_sink {
  void *self;
  /* Copies. */
  void (*add)(void *self, const sluice_measured_device *device);
  /* What could not be measured at all, and why: a device's name, or what to install. */
  void (*problem)(void *self, const char *message);
} sluice_profile_sink;

typedef struct sluice_profile_request {
  const char *device; /* a selector, as the parameter "device" of a domain; NULL = every device */
  uint64_t bytes;     /* memory that one measurement goes over; 0 = as the plugin sees fit */
} sluice_profile_request;

/* Through sluice_entry.get_factory. */
#define SLUICE_PROFILE_ID "sluice.profile/1"

typedef struct sluice_profile {
  uint32_t struct_size;
  uint32_t reserved;
  /* [main-thread] Measures each device, for seconds at most. A device whose
   * driver does not answer is a problem, not a wait without end. */
  void (*measure)(const sluice_profile_request *request, const sluice_profile_sink *sink);
} sluice_profile;

#ifdef __cplusplus
}
#endif
#endif /* SLUICE_PROFILE_H_ */
