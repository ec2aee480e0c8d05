// docs/filters.md, "vulkan.scale", nearest: floor((x + 1/2) n / m) in whole numbers.
vec4 shade(ivec2 at) { return pixel0(((2 * at + 1) * size0()) / (2 * frameSize())); }
