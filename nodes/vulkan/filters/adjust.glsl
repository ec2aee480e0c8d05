// docs/filters.md, "vulkan.adjust". param(0): brightness, 1: contrast, 2: saturation, 3: gamma. What is left as it is
// costs nothing: the branches are the same for every pixel.
vec4 shade(vec4 color, ivec2 at) {
  vec3 c = param(1) * color.rgb + (0.5 - 0.5 * param(1) + param(0));
  if (param(2) != 1.0) c = mix(vec3(luma(c)), c, param(2));
  c = clamp(c, 0.0, 1.0);
  if (param(3) != 1.0) c = pow(c, vec3(1.0 / param(3)));
  return vec4(c, color.a);
}
