// Called for each pixel: R'G'B' in 0..1, whatever the pixel format is. The result is clamped to 0..1.
// The numbers that the manifest declares are here by their names.

vec3 shade(vec3 color, ivec2 position) {
  return color * gain;
}
