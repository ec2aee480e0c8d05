// docs/filters.md, "vulkan.lut". table(0): size, dimensions; table(1), table(2): the domain; then the entries.
// param(0): amount.

const int kEntries = 3;

vec3 entry(int i) { return table(kEntries + i).rgb; }

vec3 tetrahedral(ivec3 i, vec3 f, int n) {
  const ivec3 stride = ivec3(1, n, n * n);
  const int corner = i.x + n * (i.y + n * i.z);
  // The axes with the largest and the smallest fraction; the middle one is what is left.
  const int most = f.x >= f.y ? (f.x >= f.z ? 0 : 2) : (f.y >= f.z ? 1 : 2);
  const int least = f.x < f.y ? (f.x < f.z ? 0 : 2) : (f.y < f.z ? 1 : 2);
  const int mid = 3 - most - least;
  const int one = corner + stride[most], two = one + stride[mid];
  return (1.0 - f[most]) * entry(corner) + (f[most] - f[mid]) * entry(one) + (f[mid] - f[least]) * entry(two) +
         f[least] * entry(two + stride[least]);
}

vec4 shade(vec4 color, ivec2 at) {
  const int n = int(table(0).x);
  const vec3 lowest = table(1).rgb, highest = table(2).rgb;
  const vec3 p = clamp((color.rgb - lowest) / (highest - lowest), 0.0, 1.0) * float(n - 1);
  const ivec3 i = min(ivec3(floor(p)), n - 2);
  const vec3 f = p - vec3(i);
  vec3 result;
  if (table(0).y > 2.0) {
    result = tetrahedral(i, f, n);
  } else {
    result = vec3(mix(entry(i.x).r, entry(i.x + 1).r, f.x), mix(entry(i.y).g, entry(i.y + 1).g, f.y),
                  mix(entry(i.z).b, entry(i.z + 1).b, f.z));
  }
  return vec4(mix(color.rgb, result, param(0)), color.a);
}
