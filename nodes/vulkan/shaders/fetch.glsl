// Single pixels from anywhere in the source, for looks that read a neighbourhood. Positions are clamped to the picture.

// Y' of the pixel.
float fetchLumaSample(ivec2 at) {
  const ivec2 p = clamp(at, ivec2(0), srcSize - 1);
  if (kSrcFormat == kP010) {
    const vec2 pair = tenBits(src1[srcOffset[0] + uint(p.y) * srcStride[0] + (uint(p.x) >> 1)]);
    return lumaFromCode((p.x & 1) != 0 ? pair.y : pair.x);
  }
  return lumaFromCode(fetchByte(0u, kSrcFormat == kYuyv ? ivec2(2 * p.x, p.y) : p));
}

// Cb, Cr of a chroma sample.
vec2 fetchChromaSample(ivec2 at) {
  const int columns = (srcSize.x + 1) / 2;
  const int rows = kSrcSubV ? (srcSize.y + 1) / 2 : srcSize.y;
  const ivec2 c = clamp(at, ivec2(0), ivec2(columns, rows) - 1);
  vec2 code;
  if (kSrcFormat == kYu12) {
    code = vec2(fetchByte(1u, c), fetchByte(2u, c));
  } else if (kSrcFormat == kNv12) {
    const uint word = srcWord(1u, srcOffset[1] + uint(c.y) * srcStride[1] + (uint(c.x) >> 1));
    code = (c.x & 1) != 0 ? unpackUnorm4x8(word).zw : unpackUnorm4x8(word).xy;
  } else if (kSrcFormat == kP010) {
    code = tenBits(srcWord(1u, srcOffset[1] + uint(c.y) * srcStride[1] + uint(c.x)));
  } else {
    code = unpackUnorm4x8(src1[srcOffset[0] + uint(c.y) * srcStride[0] + uint(c.x)]).yw;
  }
  return chromaFromCode(code);
}

vec4 fetchRgba(ivec2 at) {
  const ivec2 p = clamp(at, ivec2(0), srcSize - 1);
  const uint row = srcOffset[0] + uint(p.y) * srcStride[0];
  if (kSrcFormat == kRgba16f) return rgbaFromHalves(src2[(row >> 1) + uint(p.x)]);
  return rgbaFromWord(src1[row + uint(p.x)]);
}

// The picture at a position in pixels (a pixel's centre is at .5), interpolated bilinearly, luma and chroma each on
// their own grid. R'G'B' in 0..1.
vec3 sampleRgb(vec2 position) {
  const vec2 at = position - 0.5;
  const ivec2 p = ivec2(floor(at));
  const vec2 f = at - floor(at);
  if (!kSrcYuv) {
    const vec3 rgb = mix(mix(fetchRgba(p).rgb, fetchRgba(p + ivec2(1, 0)).rgb, f.x),
                         mix(fetchRgba(p + ivec2(0, 1)).rgb, fetchRgba(p + ivec2(1, 1)).rgb, f.x), f.y);
    return kSrcFormat == kRgba16f ? clamp(rgb, 0.0, 1.0) : rgb;
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
