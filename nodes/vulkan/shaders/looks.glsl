// docs/looks.md has each formula; the numbers are those of nodes/vulkan/looks.cc. param(0) is the amount, and the text
// in front of this says which kLook it is.
const uint kMono = 1u;
const uint kSepia = 2u;
const uint kNoir = 3u;
const uint kVivid = 4u;
const uint kCool = 5u;
const uint kWarm = 6u;
const uint kFade = 7u;
const uint kDuotone = 8u;
const uint kVignette = 9u;
const uint kNegative = 10u;
const uint kPosterize = 11u;
const uint kSolarize = 12u;
const uint kChromaticAberration = 13u;
const uint kPencil = 14u;

float sobel(ivec2 at) {
  const float a = fetchLookLuma(at + ivec2(-1, -1)), b = fetchLookLuma(at + ivec2(0, -1));
  const float c = fetchLookLuma(at + ivec2(1, -1)), d = fetchLookLuma(at + ivec2(-1, 0));
  const float f = fetchLookLuma(at + ivec2(1, 0)), g = fetchLookLuma(at + ivec2(-1, 1));
  const float h = fetchLookLuma(at + ivec2(0, 1)), i = fetchLookLuma(at + ivec2(1, 1));
  const float x = (c + 2.0 * f + i) - (a + 2.0 * d + g);
  const float y = (g + 2.0 * h + i) - (a + 2.0 * b + c);
  return 0.25 * sqrt(x * x + y * y);
}

// `rgb` in 0..1, `at` the pixel.
vec3 look(vec3 rgb, ivec2 at) {
  const vec2 size = vec2(frameSize());
  if (kLook == kMono) return vec3(lookLuma(rgb));
  if (kLook == kSepia) {
    return min(vec3(dot(rgb, vec3(0.393, 0.769, 0.189)), dot(rgb, vec3(0.349, 0.686, 0.168)),
                    dot(rgb, vec3(0.272, 0.534, 0.131))), 1.0);
  }
  if (kLook == kNoir) {
    const float t = clamp(0.5 + param(1) * (lookLuma(rgb) - 0.5), 0.0, 1.0);
    return vec3(t * t * (3.0 - 2.0 * t));
  }
  if (kLook == kVivid) {
    const vec3 s = mix(vec3(lookLuma(rgb)), rgb, param(1));
    return 0.5 + param(2) * (s - 0.5);
  }
  if (kLook == kCool) return rgb * (1.0 + param(1) * vec3(-0.20, -0.02, 0.20));
  if (kLook == kWarm) return rgb * (1.0 + param(1) * vec3(0.20, 0.04, -0.20));
  if (kLook == kFade) {
    const vec3 s = mix(vec3(lookLuma(rgb)), rgb, param(2));
    return param(1) + s * (0.95 - param(1));
  }
  if (kLook == kDuotone) {
    return mix(vec3(param(1), param(2), param(3)), vec3(param(4), param(5), param(6)),
               lookLuma(rgb));
  }
  if (kLook == kVignette) {
    const vec2 d = (vec2(at) + 0.5 - 0.5 * size);
    // What is the same for all pixels is divided by once.
    const float r = length(d) * (1.0 / length(0.5 * size));
    const float t = clamp((r - param(2)) * (1.0 / (1.0 - param(2))), 0.0, 1.0);
    return rgb * (1.0 - param(1) * t * t * (3.0 - 2.0 * t));
  }
  if (kLook == kNegative) return 1.0 - rgb;
  if (kLook == kPosterize) {
    const vec3 t = rgb * (param(1) - 1.0), k = floor(t);
    const vec3 u = clamp((t - k - 0.5) / param(2) + 0.5, 0.0, 1.0);
    return (k + u * u * (3.0 - 2.0 * u)) / (param(1) - 1.0);
  }
  if (kLook == kSolarize) {
    const float t = param(1);
    return mix(rgb, (1.0 - rgb) * (t / (1.0 - t)), greaterThan(rgb, vec3(t)));
  }
  if (kLook == kChromaticAberration) {
    const vec2 centre = 0.5 * size, d = vec2(at) + 0.5 - centre;
    return vec3(sampleRgb(centre + d * (1.0 - param(1))).r, rgb.g, sampleRgb(centre + d * (1.0 + param(1))).b);
  }
  if (kLook == kPencil) {
    const float line = clamp(1.0 - param(1) * max(sobel(at) - param(2), 0.0), 0.0, 1.0);
    return vec3(line * mix(1.0, lookLuma(rgb), param(3)));
  }
  return rgb;
}

vec4 shade(vec4 color, ivec2 at) {
  const vec3 rgb = sluiceLimited ? color.rgb : clamp(color.rgb, 0.0, 1.0);
  return vec4(clamp(mix(rgb, look(rgb, at), param(0)), 0.0, 1.0), color.a);
}
