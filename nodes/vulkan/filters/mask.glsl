// docs/filters.md, "vulkan.mask". Inputs: base, overlay, mask. param(0): channel (0 luma, 1 alpha), param(1): invert,
// param(2): opacity.
vec4 shade(ivec2 at) {
  const vec4 m = bilinear2((vec2(at) + 0.5) * (vec2(size2()) / vec2(frameSize())));
  float part = param(0) > 0.5 ? m.a : clamp(luma(m.rgb), 0.0, 1.0);
  if (param(1) > 0.5) part = 1.0 - part;
  const vec4 overlay = pixel1(at);
  return over(pixel0(at), overlay.rgb, overlay.a * part * param(2));
}
