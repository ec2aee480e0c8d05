// docs/colour.md, "Matrices" and "Ranges". Code values are unsigned normalised throughout: code / 255 of 8 bits, and
// code / 1020 of 10, which gives limited range the same numbers; only the white of full range differs.
const float kTenBitWhite = 1023.0 / 1020.0;

float weightRed(uint matrix) { return matrix == kBt601 ? 0.299 : matrix == kBt709 ? 0.2126 : 0.2627; }
float weightBlue(uint matrix) { return matrix == kBt601 ? 0.114 : matrix == kBt709 ? 0.0722 : 0.0593; }

float luma(vec3 rgb, uint matrix) {
  const float kr = weightRed(matrix), kb = weightBlue(matrix);
  return dot(rgb, vec3(kr, 1.0 - kr - kb, kb));
}

vec3 rgbFromYcc(vec3 ycc, uint matrix) {
  const float kr = weightRed(matrix), kb = weightBlue(matrix), kg = 1.0 - kr - kb;
  const float red = 2.0 * (1.0 - kr), blue = 2.0 * (1.0 - kb);
  return vec3(ycc.x + red * ycc.z, ycc.x - (kb / kg) * blue * ycc.y - (kr / kg) * red * ycc.z, ycc.x + blue * ycc.y);
}

vec3 yccFromRgb(vec3 rgb, uint matrix) {
  const float y = luma(rgb, matrix);
  return vec3(y, (rgb.b - y) / (2.0 * (1.0 - weightBlue(matrix))), (rgb.r - y) / (2.0 * (1.0 - weightRed(matrix))));
}

float lumaFromCode(float code) {
  if (kSrcFull == 0u) return code * (255.0 / 219.0) - 16.0 / 219.0;
  return kSrcFormat == kP010 ? code / kTenBitWhite : code;
}
vec2 chromaFromCode(vec2 code) {
  if (kSrcFull == 0u) return code * (255.0 / 224.0) - 128.0 / 224.0;
  const vec2 c = code - 128.0 / 255.0;
  return kSrcFormat == kP010 ? c / kTenBitWhite : c;
}
vec4 codeFromLuma(vec4 y) {
  if (kDstFull == 0u) return y * (219.0 / 255.0) + 16.0 / 255.0;
  return kDstFormat == kP010 ? y * kTenBitWhite : y;
}
vec4 codeFromChroma(vec4 c) {
  if (kDstFull == 0u) return c * (224.0 / 255.0) + 128.0 / 255.0;
  return (kDstFormat == kP010 ? c * kTenBitWhite : c) + 128.0 / 255.0;
}

// Of the frame that comes in; kernel.cc gives RGB frames the matrix of the other end, or BT.709.
float lookLuma(vec3 rgb) { return luma(rgb, kSrcMatrix); }
