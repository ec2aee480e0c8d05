/* Puts the manifest into the plugin, where the engine reads it without loading any code. */
#include <sluice/abi.h>

SLUICE_EMBED_MANIFEST("invert.sluice.yaml");
