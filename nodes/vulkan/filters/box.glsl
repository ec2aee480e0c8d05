// docs/filters.md, "vulkan.box-blur". param(0): radius, pixels.
vec4 shade(ivec2 at) {
  const float radius = param(0);
  const int whole = int(floor(radius));
  vec4 sum = tap(at, 0);
  [[dont_unroll]] for (int k = 1; k <= whole; ++k) sum += tap(at, k) + tap(at, -k);
  const float rest = radius - float(whole);
  if (rest > 0.0) sum += rest * (tap(at, whole + 1) + tap(at, -whole - 1));
  return finish(sum / (2.0 * radius + 1.0));
}
