// What weighted means of pixels share. docs/filters.md, "Alpha": colour is weighted by its alpha.
// Given before this text: kAxis, 0 for rows (horizontally) and 1 for columns; kFirst, whether the pixels have not been
// multiplied by their alpha yet; kLast, whether the result is to be divided by it.

// The pixel `by` pixels along the axis.
vec4 tap(ivec2 at, int by) {
  const vec4 p = pixel0(kAxis == 0 ? ivec2(at.x + by, at.y) : ivec2(at.x, at.y + by));
  return kFirst ? vec4(p.rgb * p.a, p.a) : p;
}

vec4 finish(vec4 mean) {
  if (!kLast) return mean;
  return mean.a <= 1.0 / 1024.0 ? vec4(0.0) : vec4(mean.rgb / mean.a, mean.a);
}
