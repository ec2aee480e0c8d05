/* Debian ships volk as source: this file is its one compilation. */
#define VOLK_IMPLEMENTATION
#include <volk.h>
