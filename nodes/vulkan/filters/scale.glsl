// docs/filters.md, "vulkan.scale": one axis. Given before this text: kFilter, and kLinear where the pixels are linear.

const int kBilinear = 1;
const int kBicubic = 2;
const int kMitchell = 3;
const int kLanczos = 4;

const float kRadius = kFilter == kBilinear ? 1.0 : kFilter == kLanczos ? 3.0 : 2.0;

float cubic(float b, float c, float t) {
  if (t < 1.0) return (((12.0 - 9.0 * b - 6.0 * c) * t + (-18.0 + 12.0 * b + 6.0 * c)) * t * t + (6.0 - 2.0 * b)) / 6.0;
  return ((((-b - 6.0 * c) * t + (6.0 * b + 30.0 * c)) * t + (-12.0 * b - 48.0 * c)) * t + (8.0 * b + 24.0 * c)) / 6.0;
}

float sinc(float t) {
  const float x = 3.14159265358979 * t;
  return abs(x) < 1.0e-4 ? 1.0 : sin(x) / x;
}

float kernel(float signedT) {
  const float t = abs(signedT);
  if (t >= kRadius) return 0.0;
  if (kFilter == kBilinear) return 1.0 - t;
  if (kFilter == kBicubic) return cubic(0.0, 0.5, t);
  if (kFilter == kMitchell) return cubic(1.0 / 3.0, 1.0 / 3.0, t);
  return sinc(t) * sinc(t / 3.0);
}

vec4 shade(ivec2 at) {
  const int n = kAxis == 0 ? size0().x : size0().y, m = kAxis == 0 ? frameSize().x : frameSize().y;
  const int x = kAxis == 0 ? at.x : at.y;
  // u = ((2x + 1) n - m) / 2m in whole numbers: in a wide picture a float's steps would be a visible part of a pixel.
  const int numerator = (2 * x + 1) * n - m, denominator = 2 * m;
  int whole = numerator / denominator;
  if (whole * denominator > numerator) --whole;
  const float u = float(numerator - whole * denominator) / float(denominator);  // beyond `whole`
  const float s = max(1.0, float(n) / float(m)), reach = kRadius * s;
  vec4 sum = vec4(0.0);
  float total = 0.0;
  const int last = int(floor(u + reach));
  [[dont_unroll]] for (int k = int(ceil(u - reach)); k <= last; ++k) {
    const float weight = kernel((float(k) - u) / s);
    sum += weight * tap(at, whole + k - x);
    total += weight;
  }
  const vec4 mean = finish(sum / total);
  return kLast && kLinear ? vec4(nonLinear(mean.rgb), mean.a) : mean;
}
