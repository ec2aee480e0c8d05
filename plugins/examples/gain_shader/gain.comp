// One pixel: R'G'B' in 0..1 and its place in the picture. The result is clamped to 0..1.
// Each number or bool in the manifest's params is here as a float, param_NAME.

vec3 look(vec3 rgb, ivec2 at) {
  return rgb * param_gain;
}
