// docs/filters.md, "vulkan.flip". param(0): 0 horizontal, 1 vertical, 2 both.
vec4 shade(ivec2 at) {
  const int direction = int(round(param(0)));
  const ivec2 far = size0() - 1 - at;
  return pixel0(ivec2(direction != 1 ? far.x : at.x, direction != 0 ? far.y : at.y));
}
