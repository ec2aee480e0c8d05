// The block's pixels with one column and one row more on each side: pixel (i, j) of the block, i = -1..8, j = -1..2,
// is element (j + 1) * 10 + i + 1. What is not used is removed by the driver: every index is a constant.

struct Source {
  uvec2 block;  // in blocks
  ivec2 origin; // in pixels
  ivec2 size;
};

Source sourceOf(uvec2 block) {
  return Source(block, ivec2(block * uvec2(8u, 2u)), dstSize);
}

uint srcRow(uint plane, int row, int rows) {
  return srcOffset[plane] + uint(clamp(row, 0, rows - 1)) * srcStride[plane];
}

// A word and a pair of words of a plane.
uint srcWord(uint plane, uint at) {
  if (kSrcSplit == 0u || plane == 0u) return src1[at];
  if (plane == 1u) return src1Of1[at];
  return src1Of2[at];
}
uvec2 srcPair(uint plane, uint at) {
  if (kSrcSplit == 0u || plane == 0u) return src2[at];
  return src2Of1[at];
}

uvec4 srcQuad(uint plane, uint at) {
  if (kSrcSplit == 0u || plane == 0u) return src4[at];
  return uvec4(srcPair(plane, 2u * at), srcPair(plane, 2u * at + 1u));
}

// A byte of a row, which nobody limits to the picture.
float fetchByte(uint plane, ivec2 at) {
  const uint word =
      srcWord(plane, srcOffset[plane] + uint(at.y) * srcStride[plane] + (uint(at.x) >> 2));
  return float((word >> ((uint(at.x) & 3u) * 8u)) & 255u) / 255.0;
}

// Two samples of P010 as codes / 1020. The low six bits of each are no part of it.
vec2 tenBits(uint word) { return vec2((uvec2(word, word >> 16) >> 6u) & 1023u) / 1020.0; }

// R'G'B' and alpha of half floats: nothing is limited.
vec4 rgbaFromHalves(uvec2 pair) { return vec4(unpackHalf2x16(pair.x), unpackHalf2x16(pair.y)); }

// The block to the right, or the last one of the row itself: what is read beyond an edge is replaced later, and must
// only lie within the row.
uint nextBlock(Source s) { return min(s.block.x + 1u, uint(s.size.x - 1) / 8u); }

// Words -1..2 around the block's pair of a row.
uvec4 pairAndNeighbours(Source s, uint plane, uint row) {
  const uvec2 middle = srcPair(plane, (row >> 1) + s.block.x);
  return uvec4(srcWord(plane, row + max(2u * s.block.x, 1u) - 1u), middle,
               srcWord(plane, row + 2u * nextBlock(s)));
}

// Luma of row j, columns -1..8, as codes.
void loadLumaRow(Source s, int j, out float y[10]) {
  if (kSrcFormat == kYuyv) {
    const uint row = srcRow(0u, s.origin.y + j, s.size.y);
    const uvec4 m = src4[(row >> 2) + s.block.x];
    y[0] = unpackUnorm4x8(src1[row + max(4u * s.block.x, 1u) - 1u]).z;
    [[unroll]] for (int k = 0; k < 4; ++k) {
      const vec4 v = unpackUnorm4x8(m[k]);
      y[1 + 2 * k] = v.x;
      y[2 + 2 * k] = v.z;
    }
    y[9] = unpackUnorm4x8(src1[row + 4u * nextBlock(s)]).x;
    return;
  }
  const uint row = srcRow(0u, s.origin.y + j, s.size.y);
  if (kSrcFormat == kP010) {
    const uvec4 m = src4[(row >> 2) + s.block.x];
    y[0] = tenBits(src1[row + max(4u * s.block.x, 1u) - 1u]).y;
    [[unroll]] for (int k = 0; k < 4; ++k) {
      const vec2 v = tenBits(m[k]);
      y[1 + 2 * k] = v.x;
      y[2 + 2 * k] = v.y;
    }
    y[9] = tenBits(src1[row + 4u * nextBlock(s)]).x;
    return;
  }
  const uvec4 words = pairAndNeighbours(s, 0u, row);
  const vec4 a = unpackUnorm4x8(words.y), b = unpackUnorm4x8(words.z);
  y[0] = unpackUnorm4x8(words.x).w;
  y[1] = a.x; y[2] = a.y; y[3] = a.z; y[4] = a.w;
  y[5] = b.x; y[6] = b.y; y[7] = b.z; y[8] = b.w;
  y[9] = unpackUnorm4x8(words.w).x;
}

// Chroma samples -1..4 of chroma row `k` (relative to the block's first one), as codes.
void loadChromaRow(Source s, int k, out vec2 c[6]) {
  if (kSrcFormat == kYu12) {
    const int first = s.origin.y / 2, rows = (s.size.y + 1) / 2;
    vec4 part[2], left[2], right[2];
    [[unroll]] for (uint p = 0u; p < 2u; ++p) {
      const uint row = srcRow(1u + p, first + k, rows);
      part[p] = unpackUnorm4x8(srcWord(1u + p, row + s.block.x));
      left[p] = unpackUnorm4x8(srcWord(1u + p, row + max(s.block.x, 1u) - 1u));
      right[p] = unpackUnorm4x8(srcWord(1u + p, row + nextBlock(s)));
    }
    c[0] = vec2(left[0].w, left[1].w);
    c[1] = vec2(part[0].x, part[1].x);
    c[2] = vec2(part[0].y, part[1].y);
    c[3] = vec2(part[0].z, part[1].z);
    c[4] = vec2(part[0].w, part[1].w);
    c[5] = vec2(right[0].x, right[1].x);
  } else if (kSrcFormat == kNv12) {
    const uint row = srcRow(1u, s.origin.y / 2 + k, (s.size.y + 1) / 2);
    const uvec4 words = pairAndNeighbours(s, 1u, row);
    const vec4 a = unpackUnorm4x8(words.y), b = unpackUnorm4x8(words.z);
    c[0] = unpackUnorm4x8(words.x).zw;
    c[1] = a.xy; c[2] = a.zw; c[3] = b.xy; c[4] = b.zw;
    c[5] = unpackUnorm4x8(words.w).xy;
  } else if (kSrcFormat == kP010) {
    const uint row = srcRow(1u, s.origin.y / 2 + k, (s.size.y + 1) / 2);
    const uvec4 m = srcQuad(1u, (row >> 2) + s.block.x);
    c[0] = tenBits(srcWord(1u, row + max(4u * s.block.x, 1u) - 1u));
    [[unroll]] for (int n = 0; n < 4; ++n) c[1 + n] = tenBits(m[n]);
    c[5] = tenBits(srcWord(1u, row + 4u * nextBlock(s)));
  } else {
    const uint row = srcRow(0u, s.origin.y + k, s.size.y);
    const uvec4 m = src4[(row >> 2) + s.block.x];
    c[0] = unpackUnorm4x8(src1[row + max(4u * s.block.x, 1u) - 1u]).yw;
    [[unroll]] for (int n = 0; n < 4; ++n) c[1 + n] = unpackUnorm4x8(m[n]).yw;
    c[5] = unpackUnorm4x8(src1[row + 4u * nextBlock(s)]).yw;
  }
  if (kLerpH) {
    const int first = s.origin.x / 2, columns = (s.size.x + 1) / 2;
    if (first == 0) c[0] = c[1];
    [[unroll]] for (int n = 1; n < 5; ++n) {
      if (first + n >= columns) c[n + 1] = c[n];
    }
  }
}

// Chroma at the rows j = -1..2, still at the sample columns. docs/colour.md, "Siting".
void loadChroma(Source s, out vec2 c[24]) {
  vec2 rows[4][6];
  [[unroll]] for (int k = 0; k < 4; ++k) {
    if (k < 3 || !kSrcSubV) loadChromaRow(s, k - 1, rows[k]);
  }
  [[unroll]] for (int n = 0; n < 6; ++n) {
    if (!kSrcSubV) {
      [[unroll]] for (int j = 0; j < 4; ++j) c[j * 6 + n] = rows[j][n];
    } else if (!kLerpV) {
      c[n] = rows[0][n];
      c[6 + n] = rows[1][n];
      c[12 + n] = rows[1][n];
      c[18 + n] = rows[2][n];
    } else if (kSrcCositedV) {
      c[n] = 0.5 * (rows[0][n] + rows[1][n]);
      c[6 + n] = rows[1][n];
      c[12 + n] = 0.5 * (rows[1][n] + rows[2][n]);
      c[18 + n] = rows[2][n];
    } else {
      c[n] = 0.75 * rows[0][n] + 0.25 * rows[1][n];
      c[6 + n] = 0.25 * rows[0][n] + 0.75 * rows[1][n];
      c[12 + n] = 0.75 * rows[1][n] + 0.25 * rows[2][n];
      c[18 + n] = 0.25 * rows[1][n] + 0.75 * rows[2][n];
    }
  }
}

// Chroma at column i of the row that starts at `row` (6 per row). Columns -1..8 have samples -1..4.
vec2 chromaAt(vec2 c[24], int row, int i) {
  const int n = (i + 2) / 2;  // element of sample floor(i / 2)
  const bool odd = (i & 1) != 0;
  const int e = row * 6 + (i < 0 ? 0 : n);
  if (kSameH) return c[e];
  if (kSrcCositedH) return odd ? 0.5 * (c[e] + c[e + 1]) : c[e];
  return odd ? 0.75 * c[e] + 0.25 * c[e + 1] : 0.75 * c[e] + 0.25 * c[max(e - 1, 0)];
}

vec4 rgbaFromWord(uint word) {
  const vec4 v = unpackUnorm4x8(word);
  return kSrcFormat == kBgra ? v.bgra : v;
}

// Y'CbCr or R'G'B' of the block, `.w` is alpha.
void loadBlock(Source s, out vec4 px[40]) {
  if (kSrcYuv) {
    vec2 c[24];
    loadChroma(s, c);
    [[unroll]] for (int j = 0; j < 4; ++j) {
      float y[10];
      loadLumaRow(s, j - 1, y);
      [[unroll]] for (int i = 0; i < 10; ++i) {
        px[j * 10 + i] = vec4(lumaFromCode(y[i]), chromaFromCode(chromaAt(c, j, i - 1)), 1.0);
      }
    }
    return;
  }
  [[unroll]] for (int j = 0; j < 4; ++j) {
    const uint row = srcRow(0u, s.origin.y + j - 1, s.size.y);
    const uint first = 8u * s.block.x;
    if (kSrcFormat == kRgba16f) {
      px[j * 10] = rgbaFromHalves(src2[(row >> 1) + max(first, 1u) - 1u]);
      [[unroll]] for (int q = 0; q < 4; ++q) {
        const uvec4 m = src4[(row >> 2) + 4u * s.block.x + q];
        px[j * 10 + 1 + 2 * q] = rgbaFromHalves(m.xy);
        px[j * 10 + 2 + 2 * q] = rgbaFromHalves(m.zw);
      }
      px[j * 10 + 9] = rgbaFromHalves(src2[(row >> 1) + 8u * nextBlock(s)]);
      continue;
    }
    px[j * 10] = rgbaFromWord(src1[row + max(first, 1u) - 1u]);
    [[unroll]] for (int q = 0; q < 2; ++q) {
      const uvec4 m = src4[(row >> 2) + 2u * s.block.x + q];
      [[unroll]] for (int k = 0; k < 4; ++k) px[j * 10 + 1 + 4 * q + k] = rgbaFromWord(m[k]);
    }
    px[j * 10 + 9] = rgbaFromWord(src1[row + 8u * nextBlock(s)]);
  }
}

// Pixels outside the picture take the value of the nearest inside.
void replicateEdges(Source s, inout vec4 px[40]) {
  if (kTentH || kOddWidth != 0u) {
    [[unroll]] for (int j = 0; j < 4; ++j) {
      if (s.origin.x == 0) px[j * 10] = px[j * 10 + 1];
      [[unroll]] for (int i = 1; i < 9; ++i) {
        if (s.origin.x + i >= s.size.x) px[j * 10 + i + 1] = px[j * 10 + i];
      }
    }
  }
  if (kTentV || kOddHeight != 0u) {
    [[unroll]] for (int i = 0; i < 10; ++i) {
      if (s.origin.y == 0) px[i] = px[10 + i];
      if (s.origin.y + 1 >= s.size.y) px[20 + i] = px[10 + i];
      if (s.origin.y + 2 >= s.size.y) px[30 + i] = px[20 + i];
    }
  }
}
