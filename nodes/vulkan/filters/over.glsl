// docs/filters.md, "Over".
vec4 over(vec4 below, vec3 color, float a) {
  const float rest = below.a * (1.0 - a), alpha = a + rest;
  return alpha <= 0.0 ? vec4(0.0) : vec4((a * color + rest * below.rgb) / alpha, alpha);
}
