/* Sluice plugin ABI: versions, results, the host, the one exported symbol.
 *
 * C11 and C++11 or later. Nothing here depends on anything but the C library.
 *
 * Conventions, everywhere in this ABI
 *  - Only fixed-width integers, UTF-8 `const char *`, fds, plain structs and
 *    opaque handles cross. Enumerations are int32_t/uint32_t with constants.
 *  - A function returns SLUICE_OK (0) or a negative SLUICE_E_* unless it says
 *    otherwise. It never throws and never longjmps.
 *  - Ownership is in the words: *take* = the callee owns it afterwards, also
 *    when it fails; *borrow* = the caller keeps it. fds passed in are
 *    borrowed: dup what you keep. fds returned belong to the caller.
 *  - Thread tags: [main-thread] one thread, never during process();
 *    [process-thread] symbolic: any thread, never two at once for one node;
 *    [thread-safe] any thread, any time the object lives.
 *  - Pointers handed to a callback are valid until it returns, unless said.
 *  - Times are int64 nanoseconds; deadlines are absolute CLOCK_MONOTONIC.
 *
 * Versioning: struct layouts in these headers freeze at ABI 1.0. While the
 * major version is 0 the minor must match too. Everything added later is an
 * extension, found by an id "sluice.NAME/REV" through get_extension().
 */
#ifndef SLUICE_ABI_H_
#define SLUICE_ABI_H_

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SLUICE_ABI_MAJOR 0u
#define SLUICE_ABI_MINOR 2u

typedef struct sluice_version {
  uint32_t major;
  uint32_t minor;
} sluice_version;

/* Results. Values never change. */
#define SLUICE_OK ((int32_t)0)
#define SLUICE_E_INVALID_ARGUMENT ((int32_t)-1)
#define SLUICE_E_NOT_FOUND ((int32_t)-2)
#define SLUICE_E_UNSUPPORTED ((int32_t)-3)
#define SLUICE_E_RESOURCE_EXHAUSTED ((int32_t)-4)
#define SLUICE_E_TIMEOUT ((int32_t)-5)
#define SLUICE_E_DEVICE_LOST ((int32_t)-6)
#define SLUICE_E_CANCELLED ((int32_t)-7)
#define SLUICE_E_IO ((int32_t)-8)
#define SLUICE_E_INTERNAL ((int32_t)-9)
#define SLUICE_E_NOT_SUBMITTED ((int32_t)-10)
#define SLUICE_E_ALREADY_EXISTS ((int32_t)-11)
#define SLUICE_E_PERMISSION_DENIED ((int32_t)-12)
#define SLUICE_E_WOULD_BLOCK ((int32_t)-13)

/* Log levels; meanings as in engine/base/log.h. Nothing per frame above debug. */
#define SLUICE_LOG_DEBUG 0
#define SLUICE_LOG_INFO 1
#define SLUICE_LOG_WARNING 2
#define SLUICE_LOG_ERROR 3

/* What the engine offers to a plugin. Lives longer than the plugin. */
typedef struct sluice_host {
  sluice_version abi;
  const char *name;    /* "sluice" */
  const char *version; /* of the engine, e.g. "0.1.0" */
  /* [thread-safe] A function table by id ("sluice.frame/1", ...), or NULL.
   * The table lives as long as the host. */
  const void *(*get_extension)(const struct sluice_host *host, const char *id);
  /* [thread-safe] `category` is usually the node's name. Borrows all. */
  void (*log)(const struct sluice_host *host, int32_t level, const char *category,
              const char *message);
} sluice_host;

/* The one exported symbol of a plugin is `sluice_plugin`, of this type. */
typedef struct sluice_entry {
  sluice_version abi; /* {SLUICE_ABI_MAJOR, SLUICE_ABI_MINOR} */
  /* The first 16 hexadecimal digits of the SHA-256 of the manifest's bytes.
   * A plugin whose manifest was changed after it was built is refused. */
  uint64_t manifest_hash;
  /* [main-thread] Called once, before anything else. */
  int32_t (*init)(const sluice_host *host);
  /* [main-thread] Called once, when no object of the plugin is left. */
  void (*deinit)(void);
  /* [thread-safe] SLUICE_NODE_FACTORY_ID, SLUICE_DOMAIN_FACTORY_ID, or NULL
   * for an id that the plugin does not know. */
  const void *(*get_factory)(const char *id);
} sluice_entry;

#if defined(__cplusplus)
#define SLUICE_EXTERN_C extern "C"
#else
#define SLUICE_EXTERN_C /* C: external already; `extern` with an initialiser is a warning */
#endif

/* Put before the definition: SLUICE_PLUGIN_EXPORT const sluice_entry sluice_plugin = {...}; */
#define SLUICE_PLUGIN_EXPORT SLUICE_EXTERN_C __attribute__((visibility("default"), used))

/* Embeds the manifest file into the ELF section that the engine reads without
 * loading the plugin. `path` is a string literal, found through the
 * assembler's include path (-Wa,-I,DIR or the working directory). Use it once,
 * at file scope. */
#define SLUICE_MANIFEST_SECTION ".sluice.manifest"
#define SLUICE_EMBED_MANIFEST(path)                                       \
  __asm__(".pushsection " SLUICE_MANIFEST_SECTION ",\"a\",@progbits\n"    \
          ".incbin \"" path "\"\n"                                        \
          ".popsection\n")

/* The largest manifest that is read, in bytes. */
#define SLUICE_MANIFEST_MAX_BYTES (256u * 1024u)

#ifdef __cplusplus
}
#endif
#endif /* SLUICE_ABI_H_ */
