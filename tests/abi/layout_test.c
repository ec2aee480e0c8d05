/* The layout is compared while this and its dependencies compile; what is left are the texts. */
#include <stdio.h>
#include <string.h>

#include "tests/abi/layout_asserts.h"

#define SIZE(type, bytes)
#define FIELD(type, field, bytes)
#define VALUE(name, value)
#define TEXT(name, value)                                                  \
  if (strcmp((name), (value)) != 0) {                                      \
    fprintf(stderr, "%s is \"%s\", not \"%s\"\n", #name, (name), (value)); \
    failed = 1;                                                            \
  }

int main(void) {
  int failed = 0;
#include "tests/abi/layout.inc"
  return failed;
}
