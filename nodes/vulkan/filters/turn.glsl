// docs/filters.md, "vulkan.rotate", where the output has the size of the turned picture. Given before this text:
// kQuarters, clockwise.
vec4 shade(ivec2 at) {
  const ivec2 far = size0() - 1;
  // Called once: what it reads may be much code.
  return pixel0(kQuarters == 1   ? ivec2(at.y, far.y - at.x)
                : kQuarters == 2 ? far - at
                : kQuarters == 3 ? ivec2(far.x - at.y, at.x)
                                 : at);
}
