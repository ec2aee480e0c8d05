// Every other pair of lines is darkened, as on an old tube. docs/shaders.md says what may be used here.
vec3 shade(vec3 color, ivec2 position) {
  const bool dark = position.y % 4 >= 2;
  return dark ? color * (1.0 - depth) : color;
}
