// A pass with Y'CbCr at an end: one invocation does 8 x 2 pixels. 16 x 4 blocks a workgroup: its rows are contiguous.

layout(local_size_x = 16, local_size_y = 4) in;

vec4 toWork(vec4 px) {
  if (kStaysYcc) return px;
  vec3 rgb = px.rgb;
  if (kSrcYuv) {
    rgb = rgbFromYcc(px.xyz, kSrcMatrix);
    if (kLimits) rgb = clamp(rgb, 0.0, 1.0);
  }
  return vec4(rgb, kSrcAlpha != 0u ? px.a : 1.0);
}

vec4 fromWork(vec4 c) {
  if (kStaysYcc) return c;
  // What is stored is limited: bytes are by being bytes, but luma and chroma would carry on what is no colour.
  const vec3 rgb = kLimits && kDstYuv ? clamp(c.rgb, 0.0, 1.0) : c.rgb;
  return vec4(kDstYuv ? yccFromRgb(rgb, kDstMatrix) : rgb, kDstAlpha != 0u ? c.a : 1.0);
}

// Pixels beyond the picture are those at its edge.
vec4 blockPixel(vec4 px, ivec2 at) {
#ifdef SLUICE_SAMPLED
  return fromWork(work(clamp(at, ivec2(0), dstSize - 1)));
#else
  return fromWork(work(toWork(px), at));
#endif
}

void run() {
  const Source s = sourceOf(gl_GlobalInvocationID.xy);
  if (s.origin.x >= dstSize.x || s.origin.y >= dstSize.y) return;
  vec4 px[40];
#ifndef SLUICE_SAMPLED
  loadBlock(s, px);
#endif
  if (kLoopsOverPixels != 0u) {
    [[dont_unroll]] for (int e = 0; e < 40; ++e) {
      const int j = e / 10, i = e - 10 * j;
      if (!kTentV && (j == 0 || j == 3)) continue;
      if (!kTentH && (i == 0 || i == 9)) continue;
      px[e] = blockPixel(px[e], s.origin + ivec2(i - 1, j - 1));
    }
  } else {
    [[unroll]] for (int j = 0; j < 4; ++j) {
      if ((j == 0 || j == 3) && !kTentV) continue;
      [[unroll]] for (int i = 0; i < 10; ++i) {
        if ((i == 0 || i == 9) && !kTentH) continue;
        px[j * 10 + i] = blockPixel(px[j * 10 + i], s.origin + ivec2(i - 1, j - 1));
      }
    }
  }
  replicateEdges(s, px);
  storeBlock(s, px);
}
