// Where a pass writes, and its numbers. nodes/vulkan/kernel.h mirrors bindings, constants and the block; the text in
// front of this defines kInputs, kSizes and kParams.

layout(constant_id = 0) const uint kDstFormat = 0u;
layout(constant_id = 1) const uint kDstMatrix = 1u;
layout(constant_id = 2) const uint kDstFull = 0u;
layout(constant_id = 3) const uint kDstSiting = 0u;
layout(constant_id = 4) const uint kDstAlpha = 0u;
layout(constant_id = 5) const uint kDstSplit = 0u;  // planes 1 and 2 have buffers of their own
layout(constant_id = 6) const uint kOddWidth = 0u;
layout(constant_id = 7) const uint kOddHeight = 0u;
layout(constant_id = 8) const uint kLoopsOverPixels = 0u;  // compiles in less time, runs in more
layout(constant_id = 9) const uint kSameGrid = 0u;  // 1: columns, 2: rows of chroma samples are those of the other end

layout(std140, set = 0, binding = 0) uniform Pass {
  uvec4 dst_size;    // pixels
  uvec4 dst_offset;  // 32-bit words, by plane
  uvec4 dst_stride;
  // Of each input: offset, stride, size; then the sizes of pictures that are only on the way.
  uvec4 src[3 * kInputs + kSizes];
  vec4 param[kParams];
} pass_;
layout(std430, set = 0, binding = 1) readonly buffer Tables { vec4 tables_[]; };

// One buffer seen as words, pairs and quads of words: rows start at multiples of 64 bytes, so every block is aligned.
layout(std430, set = 0, binding = 2) writeonly buffer DstWords { uint dst1[]; };
layout(std430, set = 0, binding = 2) writeonly buffer DstPairs { uvec2 dst2[]; };
layout(std430, set = 0, binding = 2) writeonly buffer DstQuads { uvec4 dst4[]; };
// Planes 1 and 2 of a frame of several buffers.
layout(std430, set = 0, binding = 3) writeonly buffer DstWordsOf1 { uint dst1Of1[]; };
layout(std430, set = 0, binding = 3) writeonly buffer DstPairsOf1 { uvec2 dst2Of1[]; };
layout(std430, set = 0, binding = 4) writeonly buffer DstWordsOf2 { uint dst1Of2[]; };

uvec3 dstOffset = pass_.dst_offset.xyz;
uvec3 dstStride = pass_.dst_stride.xyz;
ivec2 dstSize = ivec2(pass_.dst_size.xy);

const bool kDstYuv = kDstFormat <= kYuyv || kDstFormat == kP010;
const bool kDstSubV = kDstFormat <= kNv12 || kDstFormat == kP010;
const bool kDstCositedH = kDstSiting != kSitingCenter;
const bool kDstCositedV = kDstSiting == kSitingTopLeft;
