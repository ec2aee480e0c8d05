/* Compares this compiler's idea of the ABI with layout.inc, while it compiles. C11 and C++11 or
 * later. */
#ifndef TESTS_ABI_LAYOUT_ASSERTS_H_
#define TESTS_ABI_LAYOUT_ASSERTS_H_

#include <sluice/doctor.h>
#include <sluice/domain.h>
#include <sluice/passes.h>
#include <sluice/profile.h>
#include <stddef.h>
#include <stdint.h>

#ifndef __cplusplus
#define static_assert _Static_assert
#endif

#if UINTPTR_MAX == UINT64_MAX
#define SIZE(type, bytes) static_assert(sizeof(type) == (bytes), "size of " #type);
#define FIELD(type, field, bytes) \
  static_assert(offsetof(type, field) == (bytes), "offset of " #type "." #field);
#else
#define SIZE(type, bytes)
#define FIELD(type, field, bytes)
#endif
#define VALUE(name, value) static_assert((name) == (value), "value of " #name);
#define TEXT(name, value) /* layout_test.c compares them. */

#include "tests/abi/layout.inc"

#undef SIZE
#undef FIELD
#undef VALUE
#undef TEXT

#endif /* TESTS_ABI_LAYOUT_ASSERTS_H_ */
