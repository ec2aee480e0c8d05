// What stages may use whatever they do. docs/filters.md, "Linear light": the transfer of sRGB.

vec3 linear(vec3 c) {
  const vec3 a = abs(c);
  return sign(c) * mix(pow((a + 0.055) / 1.055, vec3(2.4)), a / 12.92, lessThanEqual(a, vec3(0.04045)));
}

vec3 nonLinear(vec3 c) {
  const vec3 a = abs(c);
  return sign(c) * mix(1.055 * pow(a, vec3(1.0 / 2.4)) - 0.055, a * 12.92, lessThanEqual(a, vec3(0.0031308)));
}
