// docs/filters.md, "vulkan.chroma-key". param(0..2): the key's colour, 3: similarity, 4: blend, 5: spill.

float weightRed() { return luma(vec3(1.0, 0.0, 0.0)); }
float weightBlue() { return luma(vec3(0.0, 0.0, 1.0)); }

vec2 chroma(vec3 rgb) {
  const float y = luma(rgb);
  return vec2((rgb.b - y) / (2.0 * (1.0 - weightBlue())), (rgb.r - y) / (2.0 * (1.0 - weightRed())));
}

vec3 fromLumaChroma(float y, vec2 c) {
  const float kr = weightRed(), kb = weightBlue();
  const float r = y + 2.0 * (1.0 - kr) * c.y, b = y + 2.0 * (1.0 - kb) * c.x;
  return vec3(r, (y - kr * r - kb * b) / (1.0 - kr - kb), b);
}

vec4 shade(vec4 color, ivec2 at) {
  const vec2 key = chroma(vec3(param(0), param(1), param(2)));
  const vec2 c = chroma(color.rgb);
  const float d = distance(c, key) * 0.70710678118654752;
  const float beyond = d - param(3), blend = param(4);
  const float m = blend > 0.0 ? clamp(beyond / blend, 0.0, 1.0) : beyond > 0.0 ? 1.0 : 0.0;
  vec3 rgb = color.rgb;
  if (param(5) > 0.0 && length(key) > 1.0e-6) {
    const vec2 tint = normalize(key);
    rgb = fromLumaChroma(luma(rgb), c - param(5) * max(dot(c, tint), 0.0) * tint);
  }
  return vec4(rgb, color.a * m);
}
