#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
// One dispatch: any format in, an optional look, any format out. One invocation does 8 x 2 pixels.
#include "interface.glsl"
#include "colour.glsl"
#include "load.glsl"
#include "fetch.glsl"
#include "store.glsl"
#ifdef SLUICE_USER_SHADER
#include "user.glsl"
#else
#include "looks.glsl"
#endif

// Same matrix and nothing to do to the colour: Y'CbCr goes through as it is.
const bool kStaysYcc = kLook == 0u && kSrcYuv && kDstYuv && kSrcMatrix == kDstMatrix;

// Where one pixel is much code, sixteen copies of it would take software Vulkan seconds to compile.
const bool kLoopsOverPixels = kLook == kChromaticAberration || kLook == kUser;

vec4 workPixel(vec4 px, ivec2 at) {
  if (kStaysYcc) return px;
  vec3 rgb = kSrcYuv ? rgbFromYcc(px.xyz, kSrcMatrix) : px.rgb;
  if (kLook != 0u) {
    rgb = clamp(rgb, 0.0, 1.0);
    rgb = clamp(mix(rgb, look(rgb, at), push.param[0]), 0.0, 1.0);
  }
  return vec4(kDstYuv ? yccFromRgb(rgb, kDstMatrix) : rgb, kKeepAlpha != 0u ? px.a : 1.0);
}

void main() {
  const Source s = sourceOf(gl_GlobalInvocationID.xy);
  if (s.origin.x >= s.size.x || s.origin.y >= s.size.y) return;
  vec4 px[40];
  loadBlock(s, px);
  if (kLoopsOverPixels) {
    [[dont_unroll]] for (int e = 0; e < 40; ++e) {
      const int j = e / 10, i = e - 10 * j;
      if (!kTentV && (j == 0 || j == 3)) continue;
      if (!kTentH && (i == 0 || i == 9)) continue;
      px[e] = workPixel(px[e], s.origin + ivec2(i - 1, j - 1));
    }
  } else {
    [[unroll]] for (int j = 0; j < 4; ++j) {
      if ((j == 0 || j == 3) && !kTentV) continue;
      [[unroll]] for (int i = 0; i < 10; ++i) {
        if ((i == 0 || i == 9) && !kTentH) continue;
        px[j * 10 + i] = workPixel(px[j * 10 + i], s.origin + ivec2(i - 1, j - 1));
      }
    }
  }
  replicateEdges(s, px);
  storeBlock(s, px);
}
