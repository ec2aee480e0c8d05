// docs/filters.md, "vulkan.blur". param(0): sigma, pixels.
vec4 gaussian(ivec2 at) {
  const float sigma = param(0);
  vec4 sum = tap(at, 0);
  if (sigma <= 0.0) return finish(sum);
  const int r = int(ceil(3.0 * sigma));
  // exp(-k^2 / (2 sigma^2)) from one k to the next, by two products: each ratio is the one before times `fall`.
  const float fall = exp(-1.0 / (sigma * sigma));
  float ratio = exp(-0.5 / (sigma * sigma)), weight = 1.0, total = 1.0;
  [[dont_unroll]] for (int k = 1; k <= r; ++k) {
    weight *= ratio;
    ratio *= fall;
    sum += weight * (tap(at, k) + tap(at, -k));
    total += 2.0 * weight;
  }
  return finish(sum / total);
}
