// Single pixels from anywhere in the source, for looks that read a neighbourhood. Positions are clamped to the picture.

float fetchByte(uint plane, ivec2 at) {
  const uint word =
      srcWord(plane, push.src_offset[plane] + uint(at.y) * push.src_stride[plane] + (uint(at.x) >> 2));
  return float((word >> ((uint(at.x) & 3u) * 8u)) & 255u) / 255.0;
}

// Y' of the pixel.
float fetchLumaSample(ivec2 at) {
  const ivec2 p = clamp(at, ivec2(0), ivec2(push.width, push.height) - 1);
  return lumaFromCode(fetchByte(0u, kSrcFormat == kYuyv ? ivec2(2 * p.x, p.y) : p));
}

// Cb, Cr of a chroma sample.
vec2 fetchChromaSample(ivec2 at) {
  const int columns = (int(push.width) + 1) / 2;
  const int rows = kSrcSubV ? (int(push.height) + 1) / 2 : int(push.height);
  const ivec2 c = clamp(at, ivec2(0), ivec2(columns, rows) - 1);
  vec2 code;
  if (kSrcFormat == kYu12) {
    code = vec2(fetchByte(1u, c), fetchByte(2u, c));
  } else if (kSrcFormat == kNv12) {
    const uint word = srcWord(1u, push.src_offset[1] + uint(c.y) * push.src_stride[1] + (uint(c.x) >> 1));
    code = (c.x & 1) != 0 ? unpackUnorm4x8(word).zw : unpackUnorm4x8(word).xy;
  } else {
    code = unpackUnorm4x8(src1[push.src_offset[0] + uint(c.y) * push.src_stride[0] + uint(c.x)]).yw;
  }
  return chromaFromCode(code);
}

vec4 fetchRgba(ivec2 at) {
  const ivec2 p = clamp(at, ivec2(0), ivec2(push.width, push.height) - 1);
  return rgbaFromWord(src1[push.src_offset[0] + uint(p.y) * push.src_stride[0] + uint(p.x)]);
}

// The picture at a position in pixels (a pixel's centre is at .5), interpolated bilinearly, luma and chroma each on
// their own grid. R'G'B' in 0..1.
vec3 sampleRgb(vec2 position) {
  const vec2 at = position - 0.5;
  const ivec2 p = ivec2(floor(at));
  const vec2 f = at - floor(at);
  if (!kSrcYuv) {
    return mix(mix(fetchRgba(p).rgb, fetchRgba(p + ivec2(1, 0)).rgb, f.x),
               mix(fetchRgba(p + ivec2(0, 1)).rgb, fetchRgba(p + ivec2(1, 1)).rgb, f.x), f.y);
  }
  const float y = mix(mix(fetchLumaSample(p), fetchLumaSample(p + ivec2(1, 0)), f.x),
                      mix(fetchLumaSample(p + ivec2(0, 1)), fetchLumaSample(p + ivec2(1, 1)), f.x), f.y);
  const vec2 grid = vec2((position.x - (kSrcCositedH ? 0.5 : 1.0)) * 0.5,
                         kSrcSubV ? (position.y - (kSrcCositedV ? 0.5 : 1.0)) * 0.5 : at.y);
  const ivec2 c = ivec2(floor(grid));
  const vec2 g = grid - floor(grid);
  const vec2 chroma = mix(mix(fetchChromaSample(c), fetchChromaSample(c + ivec2(1, 0)), g.x),
                          mix(fetchChromaSample(c + ivec2(0, 1)), fetchChromaSample(c + ivec2(1, 1)), g.x), g.y);
  return clamp(rgbFromYcc(vec3(y, chroma), kSrcMatrix), 0.0, 1.0);
}

// L of the pixel for looks that trace edges: Y' as it is in the frame, or computed, in 0..1.
float fetchLookLuma(ivec2 at) {
  return clamp(kSrcYuv ? fetchLumaSample(at) : lookLuma(fetchRgba(at).rgb), 0.0, 1.0);
}
