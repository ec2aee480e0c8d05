#version 450
// A chain of pointwise filters in one dispatch, written as fast as it could be found. The program
// sets, as macros:
//   CHAIN          calls of the filters below, on `c` at `at`; empty: a copy
//   WIDTH, HEIGHT  pixels; WIDTH is a multiple of 4
//   SRC_HALF, DST_HALF  1: RGBA16F, 0: RGBA8
//   MAGIC          1: bytes become floats and back as bits of 2^15 and 2^23, which the units for arithmetic do;
//                  0: by unpackUnorm4x8, which converts on others that are four times as few
//   ROWS           a thread works on so many rows
//   GROUP_X, GROUP_Y    of a workgroup
//   PARAMS         0: P(i) are constants; 1: pushed; 2: in a uniform buffer; 3: in a storage buffer
//   FULL           1: every vulkan.adjust computes all that the node can change while it runs
// A thread has 4 pixels of a row where both ends are RGBA8, otherwise 2: 16 bytes of the wider end.
layout(local_size_x = GROUP_X, local_size_y = GROUP_Y) in;
#if SRC_HALF || DST_HALF
#define PIXELS 2
#else
#define PIXELS 4
#endif
#if SRC_HALF || PIXELS == 4
#define SOURCE uvec4
#else
#define SOURCE uvec2
#endif
#if DST_HALF || PIXELS == 4
#define RESULT uvec4
#else
#define RESULT uvec2
#endif
layout(std430, binding = 0) readonly restrict buffer Source { SOURCE source[]; };
layout(std430, binding = 1) writeonly restrict buffer Result { RESULT result[]; };

#if PARAMS == 0
const float kParams[] = float[](CONSTANTS);
#define P(i) kParams[i]
#elif PARAMS == 1
layout(push_constant) uniform Pushed { float pushed[32]; };
#define P(i) pushed[i]
#elif PARAMS == 2
layout(std140, binding = 3) uniform Uniform { vec4 uniforms[8]; };
#define P(i) uniforms[(i) / 4][(i) % 4]
#else
layout(std430, binding = 2) readonly restrict buffer Stored { float stored[32]; };
#define P(i) stored[i]
#endif

float luma(vec3 c) { return dot(c, vec3(0.2126, 0.7152, 0.0722)); }
vec3 clamp01(vec3 c) { return clamp(c, 0.0, 1.0); }

// docs/filters.md: vulkan.adjust.
vec3 adjust(vec3 c, float brightness, float contrast, float saturation, float gamma) {
  c = contrast * (c - 0.5) + (0.5 + brightness);
  c = mix(vec3(luma(c)), c, saturation);
  return pow(clamp01(c), vec3(1.0 / gamma));
}
#if FULL
vec3 brightness(vec3 c, float b) { return adjust(c, b, P(NEUTRAL), P(NEUTRAL), P(NEUTRAL)); }
vec3 contrast(vec3 c, float k) { return adjust(c, 1.0 - P(NEUTRAL), k, P(NEUTRAL), P(NEUTRAL)); }
vec3 saturation(vec3 c, float s) { return adjust(c, 1.0 - P(NEUTRAL), P(NEUTRAL), s, P(NEUTRAL)); }
vec3 gamma(vec3 c, float g) { return adjust(c, 1.0 - P(NEUTRAL), P(NEUTRAL), P(NEUTRAL), g); }
#else
vec3 brightness(vec3 c, float b) { return clamp01(c + b); }
vec3 contrast(vec3 c, float k) { return clamp01(k * c + (0.5 - 0.5 * k)); }
vec3 saturation(vec3 c, float s) { return clamp01(mix(vec3(luma(c)), c, s)); }
vec3 gamma(vec3 c, float g) { return pow(clamp01(c), vec3(1.0 / g)); }
#endif

// docs/looks.md. `amount` is 1, and a constant where the parameters are.
vec3 amounted(vec3 old, vec3 look, float amount) {
#if PARAMS == 0
  return clamp01(look);
#else
  return clamp01(old + amount * (look - old));
#endif
}
vec3 warm(vec3 c, float strength, float amount) {
  return amounted(c, c * (1.0 + strength * vec3(0.20, 0.04, -0.20)), amount);
}
vec3 fade(vec3 c, float lift, float s, float amount) {
  return amounted(c, lift + mix(vec3(luma(c)), c, s) * (0.95 - lift), amount);
}
vec3 sepia(vec3 c, float amount) {
  const vec3 tone = vec3(dot(c, vec3(0.393, 0.769, 0.189)), dot(c, vec3(0.349, 0.686, 0.168)),
                         dot(c, vec3(0.272, 0.534, 0.131)));
  return amounted(c, min(tone, 1.0), amount);
}
vec3 vignette(vec3 c, vec2 at, float strength, float radius, float amount) {
  const vec2 middle = 0.5 * vec2(WIDTH, HEIGHT);
  const float r = length(at - middle) * (1.0 / length(middle));
  const float t = clamp((r - radius) / (1.0 - radius), 0.0, 1.0);
  return amounted(c, c * (1.0 - strength * t * t * (3.0 - 2.0 * t)), amount);
}

vec3 filtered(vec3 c, vec2 at) {
  CHAIN
  return c;
}

#if MAGIC
const uint kMagicBits = 0x4B000000u;  // 2^23 as a float: its last bits count in ones
const float kMagic = 8388608.0;
vec4 unpack(uint bytes) {
  // Of 2^15, in whose bits a byte counts in ones: NVIDIA's driver makes one number of what is subtracted here and the
  // constants of the filters, and half a code was lost with 2^23.
  const uvec3 rgb = uvec3(bytes << 8, bytes, bytes >> 8) & 0xFF00u;
  return vec4((uintBitsToFloat(rgb | 0x47000000u) - 32768.0) * (1.0 / 255.0), 1.0);
}
uint pack(vec3 c, uint alpha_from) {
  const uvec3 bits = floatBitsToUint(clamp01(c) * 255.0 + kMagic);
  // Eight places to the left the exponent is gone.
  return (bits.r - kMagicBits) + (bits.g << 8) + (bits.b << 16) + (alpha_from & 0xff000000u);
}
#else
vec4 unpack(uint bytes) { return unpackUnorm4x8(bytes); }
uint pack(vec3 c, uint alpha_from) {
  return packUnorm4x8(vec4(c, unpackUnorm4x8(alpha_from).a));
}
#endif

// Alpha keeps the bits that it came with where the format stays.
vec3 colorOf(SOURCE from, uint i) {
#if SRC_HALF
  return vec3(unpackHalf2x16(from[2 * i]), unpackHalf2x16(from[2 * i + 1]).x);
#else
  return unpack(from[i]).rgb;
#endif
}

RESULT shaded(SOURCE from, uvec2 at) {
  RESULT to;
  for (uint i = 0; i < PIXELS; ++i) {
    const vec3 c = filtered(colorOf(from, i), vec2(at.x + i, at.y) + 0.5);
#if DST_HALF
    to[2 * i] = packHalf2x16(c.rg);
#if SRC_HALF
    to[2 * i + 1] = (packHalf2x16(vec2(c.b, 0.0)) & 0xffffu) | (from[2 * i + 1] & 0xffff0000u);
#else
    to[2 * i + 1] = packHalf2x16(vec2(c.b, float(from[i] >> 24) * (1.0 / 255.0)));
#endif
#elif SRC_HALF
    const float alpha = clamp(unpackHalf2x16(from[2 * i + 1]).y, 0.0, 1.0);
    to[i] = pack(c, uint(alpha * 255.0 + 0.5) << 24);
#else
    to[i] = pack(c, from[i]);
#endif
  }
  return to;
}

const uint kPerRow = WIDTH / PIXELS;

void main() {
  const uint x = gl_GlobalInvocationID.x;
  const uint y = gl_WorkGroupID.y * (GROUP_Y * ROWS) + gl_LocalInvocationID.y;
  if (x >= kPerRow) return;
  // All loads first: more of them are on their way at a time.
  SOURCE from[ROWS];
  for (uint k = 0; k < ROWS; ++k) {
    const uint row = y + k * GROUP_Y;
    if (row < HEIGHT) from[k] = source[row * kPerRow + x];
  }
  for (uint k = 0; k < ROWS; ++k) {
    const uint row = y + k * GROUP_Y;
    if (row >= HEIGHT) return;
#if COPY
    result[row * kPerRow + x] = from[k];
#else
    result[row * kPerRow + x] = shaded(from[k], uvec2(PIXELS * x, row));
#endif
  }
}
