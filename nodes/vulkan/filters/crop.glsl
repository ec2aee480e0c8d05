// docs/filters.md, "vulkan.crop". param(0), param(1): x, y.
vec4 shade(ivec2 at) { return pixel0(at + ivec2(round(vec2(param(0), param(1))))); }
