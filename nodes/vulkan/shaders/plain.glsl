// A pass between frames of R'G'B': one invocation does 16 bytes of the wider end in each of kRows rows, and a workgroup
// contiguous ones. Loads come first, so that more of them are on their way at a time. The text in front of this defines
// kGroupX, kGroupY and kRows.

layout(local_size_x = kGroupX, local_size_y = kGroupY) in;

#ifdef SLUICE_SAMPLED
const bool kHalves = kDstFormat == kRgba16f;
#else
const bool kHalves = kDstFormat == kRgba16f || kSrcFormat == kRgba16f;
#endif
const int kPixels = kHalves ? 2 : 4;

// Floats become bytes by adding 2^23, whose last bits count in ones: converting instructions run at a quarter of the
// speed of arithmetic on some devices.
const uint kMagicBits = 0x4B000000u;
const float kMagic = 8388608.0;

// Bytes become floats as the bits of 2^15 that count in ones. Not as those of 2^23: what is subtracted and a constant
// that a stage adds are made one number by some drivers, in which half a code would be lost.
vec4 fromBytes(uint word) {
  const uvec4 bytes = uvec4(word << 8, word, word >> 8, word >> 16) & 0xFF00u;
  return (uintBitsToFloat(bytes | 0x47000000u) - 32768.0) * (1.0 / 255.0);
}

// What has the same alpha at both ends, and is not touched on the way, keeps its bits.
bool sameAlpha() {
#ifdef SLUICE_SAMPLED
  return false;
#else
  if (!kKeepsAlpha || kSrcAlpha == 0u || kDstAlpha == 0u) return false;
  return kSrcFormat == kRgba16f ? kDstFormat == kRgba16f : kDstFormat != kRgba16f;
#endif
}

// `from`: the pixel's word at the other end.
uint toBytes(vec4 v, uint from) {
  const uvec3 bits = floatBitsToUint(clamp(v.rgb, 0.0, 1.0) * 255.0 + kMagic);
  // Eight places to the left the exponent is gone.
  const uint rgb = (bits.r - kMagicBits) + (bits.g << 8) + (bits.b << 16);
  if (sameAlpha()) return rgb + (from & 0xff000000u);
  return rgb + (floatBitsToUint(clamp(v.a, 0.0, 1.0) * 255.0 + kMagic) << 24);
}

uint toHalves(vec2 v, uint from) {
  const uint both = packHalf2x16(v);
  return sameAlpha() ? (both & 0xffffu) | (from & 0xffff0000u) : both;
}

#ifndef SLUICE_SAMPLED
uvec4 loadWords(uint x, int y) {
  const uint row = srcOffset[0] + uint(min(y, dstSize.y - 1)) * srcStride[0];
  if (kSrcFormat == kRgba16f || !kHalves) return src4[(row >> 2) + x];
  return uvec4(src2[(row >> 1) + x], 0u, 0u);
}

vec4 pixelOf(uvec4 words, int i) {
  vec4 c;
  if (kSrcFormat == kRgba16f) {
    c = vec4(unpackHalf2x16(words[2 * (i & 1)]), unpackHalf2x16(words[2 * (i & 1) + 1]));
  } else {
    c = fromBytes(words[i]);
    if (kSrcFormat == kBgra) c = c.bgra;
  }
  return vec4(c.rgb, kSrcAlpha != 0u ? c.a : 1.0);
}
#endif

// `from`: the words at the other end.
void storeWords(uint x, int y, vec4 px[4], uvec4 from) {
  const uint row = dstOffset[0] + uint(y) * dstStride[0];
  if (kDstFormat == kRgba16f) {
    dst4[(row >> 2) + x] = uvec4(packHalf2x16(px[0].rg), toHalves(px[0].ba, from[1]), packHalf2x16(px[1].rg),
                                 toHalves(px[1].ba, from[3]));
    return;
  }
  uvec4 words;
  [[unroll]] for (int i = 0; i < 4; ++i) words[i] = toBytes(kDstFormat == kBgra ? px[i].bgra : px[i], from[i]);
  if (kHalves) {
    dst2[(row >> 1) + x] = words.xy;
  } else {
    dst4[(row >> 2) + x] = words;
  }
}

vec4 plainPixel(uvec4 words, int i, ivec2 at) {
#ifdef SLUICE_SAMPLED
  const vec4 c = work(at);
#else
  const vec4 c = work(pixelOf(words, i), at);
#endif
  return vec4(c.rgb, kDstAlpha != 0u ? c.a : 1.0);
}

// `words`: of this row.
void workOnRow(uint x, int y, uvec4 words) {
  const int column = int(x) * kPixels;
  vec4 px[4];
  if (kLoopsOverPixels != 0u) {
    [[dont_unroll]] for (int i = 0; i < kPixels; ++i) px[i] = plainPixel(words, i, ivec2(column + i, y));
  } else {
    [[unroll]] for (int i = 0; i < 4; ++i) {
      if (i < kPixels) px[i] = plainPixel(words, i, ivec2(column + i, y));
    }
  }
  storeWords(x, y, px, words);
}

int rowOf(int k) { return (int(gl_WorkGroupID.y) * kRows + k) * kGroupY + int(gl_LocalInvocationID.y); }

void run() {
  const uint x = gl_GlobalInvocationID.x;
  if (int(x) * kPixels >= dstSize.x) return;
  uvec4 words[kRows];
#ifndef SLUICE_SAMPLED
  [[unroll]] for (int k = 0; k < kRows; ++k) words[k] = loadWords(x, rowOf(k));
#endif
  [[unroll]] for (int k = 0; k < kRows; ++k) {
    const int y = rowOf(k);
    if (y < dstSize.y) workOnRow(x, y, words[k]);
  }
}
