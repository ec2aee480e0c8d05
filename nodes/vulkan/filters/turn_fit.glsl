// docs/filters.md, "vulkan.rotate", where the turned picture may have another size than the output. param(0): quarters
// clockwise, and 4 more where left and right are exchanged afterwards.
vec4 shade(ivec2 at) {
  const int number = int(round(param(0)));
  const int quarters = number & 3;
  const vec2 size = vec2(size0());
  const vec2 turned = (quarters & 1) != 0 ? size.yx : size;
  const vec2 frame = vec2(frameSize());
  const vec2 ratio = frame / turned;
  const float s = min(ratio.x, ratio.y);
  vec2 p = (vec2(at) + 0.5 - 0.5 * frame) / s + 0.5 * turned;
  if (any(lessThan(p, vec2(0.0))) || any(greaterThan(p, turned))) return vec4(0.0, 0.0, 0.0, 1.0);
  if (number >= 4) p.x = turned.x - p.x;
  // Called once: it is much code.
  return bilinear0(quarters == 1   ? vec2(p.y, size.y - p.x)
                   : quarters == 2 ? size - p
                   : quarters == 3 ? vec2(size.x - p.y, p.x)
                                   : p);
}
