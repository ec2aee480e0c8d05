// docs/filters.md, "vulkan.sharpen". Input 1 is the picture as it came; param(1): amount, param(2): threshold.
vec4 shade(ivec2 at) {
  const vec4 c = pixel1(at);
  const vec3 d = c.rgb - gaussian(at).rgb;
  return vec4(c.rgb + param(1) * sign(d) * max(abs(d) - param(2), 0.0), c.a);
}
