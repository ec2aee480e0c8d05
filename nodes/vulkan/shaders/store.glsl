// Writes the block: whole words, the second row only where the picture has one.

vec2 downH(vec4 px[40], int j, int n) {
  const int e = j * 10 + 1 + 2 * n;
  if (!kTentH) return 0.5 * (px[e].yz + px[e + 1].yz);
  if (kDstCositedH) return 0.5 * px[e].yz + 0.25 * (px[e - 1].yz + px[e + 1].yz);
  return 0.375 * (px[e].yz + px[e + 1].yz) + 0.125 * (px[e - 1].yz + px[e + 2].yz);
}

vec2 downV(vec4 px[40], int n) {
  if (!kTentV) return 0.5 * (downH(px, 1, n) + downH(px, 2, n));
  if (kDstCositedV) return 0.5 * downH(px, 1, n) + 0.25 * (downH(px, 0, n) + downH(px, 2, n));
  return 0.375 * (downH(px, 1, n) + downH(px, 2, n)) + 0.125 * (downH(px, 0, n) + downH(px, 3, n));
}

uint dstRow(uint plane, uint row) { return dstOffset[plane] + row * dstStride[plane]; }

// Chroma of planes of their own.
void storeWord(uint plane, uint at, uint word) {
  if (kDstSplit == 0u) {
    dst1[at] = word;
  } else if (plane == 1u) {
    dst1Of1[at] = word;
  } else {
    dst1Of2[at] = word;
  }
}
void storePair(uint at, uvec2 pair) {
  if (kDstSplit == 0u) {
    dst2[at] = pair;
  } else {
    dst2Of1[at] = pair;
  }
}

void storeQuad(uint plane, uint at, uvec4 quad) {
  if (kDstSplit == 0u || plane == 0u) {
    dst4[at] = quad;
  } else {
    dst2Of1[2u * at] = quad.xy;
    dst2Of1[2u * at + 1u] = quad.zw;
  }
}

// Two codes / 1020 as samples of P010.
uint packTenBits(vec2 v) {
  const uvec2 code = uvec2(clamp(v * 1020.0, 0.0, 1023.0) + 0.5);
  return code.x << 6 | code.y << 22;
}

// Half floats hold what is outside 0..1, too.
uvec2 packHalves(vec4 v) { return uvec2(packHalf2x16(v.rg), packHalf2x16(v.ba)); }

uint packRgba(vec4 v) { return packUnorm4x8(kDstFormat == kBgra ? v.bgra : v); }

void storeBlock(Source s, vec4 px[40]) {
  const uint y0 = uint(s.origin.y);
  if (kDstYuv && kDstSubV) {
    vec2 c[4];
    [[unroll]] for (int n = 0; n < 4; ++n) c[n] = downV(px, n);
    const vec4 u = codeFromChroma(vec4(c[0].x, c[1].x, c[2].x, c[3].x));
    const vec4 v = codeFromChroma(vec4(c[0].y, c[1].y, c[2].y, c[3].y));
    if (kDstFormat == kYu12) {
      storeWord(1u, dstRow(1u, s.block.y) + s.block.x, packUnorm4x8(u));
      storeWord(2u, dstRow(2u, s.block.y) + s.block.x, packUnorm4x8(v));
    } else if (kDstFormat == kP010) {
      storeQuad(1u, (dstRow(1u, s.block.y) >> 2) + s.block.x,
                uvec4(packTenBits(vec2(u.x, v.x)), packTenBits(vec2(u.y, v.y)), packTenBits(vec2(u.z, v.z)),
                      packTenBits(vec2(u.w, v.w))));
    } else {
      storePair((dstRow(1u, s.block.y) >> 1) + s.block.x,
                uvec2(packUnorm4x8(vec4(u.x, v.x, u.y, v.y)), packUnorm4x8(vec4(u.z, v.z, u.w, v.w))));
    }
  }
  [[unroll]] for (int j = 1; j < 3; ++j) {
    if (j == 2 && kOddHeight != 0u && s.origin.y + 1 >= s.size.y) return;
    const uint row = dstRow(0u, y0 + uint(j - 1));
    const int e = j * 10 + 1;
    if (kDstFormat == kYuyv) {
      uint m[4];
      [[unroll]] for (int n = 0; n < 4; ++n) {
        const vec4 y = codeFromLuma(vec4(px[e + 2 * n].x, px[e + 2 * n + 1].x, 0.0, 0.0));
        const vec4 c = codeFromChroma(vec4(downH(px, j, n), 0.0, 0.0));
        m[n] = packUnorm4x8(vec4(y.x, c.x, y.y, c.y));
      }
      dst4[(row >> 2) + s.block.x] = uvec4(m[0], m[1], m[2], m[3]);
    } else if (kDstYuv) {
      const vec4 a = codeFromLuma(vec4(px[e].x, px[e + 1].x, px[e + 2].x, px[e + 3].x));
      const vec4 b = codeFromLuma(vec4(px[e + 4].x, px[e + 5].x, px[e + 6].x, px[e + 7].x));
      if (kDstFormat == kP010) {
        dst4[(row >> 2) + s.block.x] =
            uvec4(packTenBits(a.xy), packTenBits(a.zw), packTenBits(b.xy), packTenBits(b.zw));
      } else {
        dst2[(row >> 1) + s.block.x] = uvec2(packUnorm4x8(a), packUnorm4x8(b));
      }
    } else if (kDstFormat == kRgba16f) {
      [[unroll]] for (int q = 0; q < 4; ++q) {
        dst4[(row >> 2) + 4u * s.block.x + q] = uvec4(packHalves(px[e + 2 * q]), packHalves(px[e + 2 * q + 1]));
      }
    } else {
      [[unroll]] for (int q = 0; q < 2; ++q) {
        dst4[(row >> 2) + 2u * s.block.x + q] = uvec4(packRgba(px[e + 4 * q]), packRgba(px[e + 4 * q + 1]),
                                                      packRgba(px[e + 4 * q + 2]), packRgba(px[e + 4 * q + 3]));
      }
    }
  }
}
