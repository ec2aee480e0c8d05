// docs/filters.md, "vulkan.compose". param(0..3): the background; then, for each layer from the bottom up, its port, x, y,
// width, height, opacity. Given before this text: kLayers, and layerAt(port, position) and layerSize(port), which is 0
// where the port has no edge.
vec4 shade(ivec2 at) {
  vec4 color = vec4(param(0), param(1), param(2), param(3));
  [[dont_unroll]] for (int i = 0; i < kLayers; ++i) {
    const int first = 4 + 6 * i, port = int(round(param(first)));
    const ivec2 own = layerSize(port);
    if (own.x == 0) continue;
    const vec2 given = vec2(param(first + 3), param(first + 4));
    const vec2 size = vec2(given.x > 0.0 ? given.x : float(own.x), given.y > 0.0 ? given.y : float(own.y));
    const vec2 p = vec2(at) + 0.5 - vec2(param(first + 1), param(first + 2));
    if (any(lessThan(p, vec2(0.0))) || any(greaterThanEqual(p, size))) continue;
    const vec4 layer = layerAt(port, p * (vec2(own) / size));
    color = over(color, layer.rgb, layer.a * param(first + 5));
  }
  return color;
}
