// Single pixels of an input for stages that read where they like; R'G'B' and alpha.

// Cb, Cr at the centre of a pixel.
vec2 fetchChroma(ivec2 p) {
  const vec2 grid = vec2((float(p.x) + (kSrcCositedH ? 0.0 : -0.5)) * 0.5,
                         kSrcSubV ? (float(p.y) + (kSrcCositedV ? 0.0 : -0.5)) * 0.5 : float(p.y));
  const ivec2 c = ivec2(floor(grid));
  const vec2 g = grid - floor(grid);
  const vec2 top = mix(fetchChromaSample(c), fetchChromaSample(c + ivec2(1, 0)), g.x);
  if (!kSrcSubV) return top;
  return mix(top, mix(fetchChromaSample(c + ivec2(0, 1)), fetchChromaSample(c + ivec2(1, 1)), g.x), g.y);
}

vec4 fetchPixel(ivec2 at) {
  if (kSrcThere == 0u) return vec4(0.0);
  const ivec2 p = clamp(at, ivec2(0), srcSize - 1);
  if (kSrcYuv) return vec4(clamp(rgbFromYcc(vec3(fetchLumaSample(p), fetchChroma(p)), kSrcMatrix), 0.0, 1.0), 1.0);
  const vec4 c = fetchRgba(p);
  return kSrcAlpha != 0u ? c : vec4(c.rgb, 1.0);
}

vec4 fetchBilinear(vec2 position) {
  if (kSrcThere == 0u) return vec4(0.0);
  if (kSrcYuv) return vec4(sampleRgb(position), 1.0);  // luma and chroma each on their own grid
  const vec2 at = position - 0.5;
  const ivec2 p = ivec2(floor(at));
  const vec2 f = at - floor(at);
  return mix(mix(fetchPixel(p), fetchPixel(p + ivec2(1, 0)), f.x),
             mix(fetchPixel(p + ivec2(0, 1)), fetchPixel(p + ivec2(1, 1)), f.x), f.y);
}
