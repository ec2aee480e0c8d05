// What every frame kernel is given: what it is specialised for, the two frames, and the numbers of this frame.
// The constants' ids and the push block are mirrored in nodes/vulkan/kernel.h.

const uint kYu12 = 0u;
const uint kNv12 = 1u;
const uint kYuyv = 2u;
const uint kRgba = 3u;  // bytes R G B A
const uint kBgra = 4u;  // bytes B G R A

const uint kBt601 = 0u;
const uint kBt709 = 1u;
const uint kBt2020 = 2u;

const uint kSitingLeft = 0u;
const uint kSitingCenter = 1u;
const uint kSitingTopLeft = 2u;

layout(constant_id = 0) const uint kSrcFormat = 0u;
layout(constant_id = 1) const uint kDstFormat = 0u;
layout(constant_id = 2) const uint kSrcMatrix = 1u;
layout(constant_id = 3) const uint kDstMatrix = 1u;
layout(constant_id = 4) const uint kSrcFull = 0u;
layout(constant_id = 5) const uint kDstFull = 0u;
layout(constant_id = 6) const uint kSrcSiting = 0u;
layout(constant_id = 7) const uint kDstSiting = 0u;
layout(constant_id = 8) const uint kLook = 0u;
layout(constant_id = 9) const uint kKeepAlpha = 0u;  // both ends carry alpha
layout(constant_id = 10) const uint kOddWidth = 0u;
layout(constant_id = 11) const uint kOddHeight = 0u;
layout(constant_id = 12) const uint kSrcSplit = 0u;  // planes 1 and 2 have buffers of their own
layout(constant_id = 13) const uint kDstSplit = 0u;

// 16 x 4 blocks of 8 x 2 pixels: rows of a workgroup are contiguous in memory.
layout(local_size_x = 16, local_size_y = 4) in;

// One buffer seen as words, pairs and quads of words: rows start at multiples of 64 bytes, so every block is aligned.
layout(std430, set = 0, binding = 0) readonly buffer SrcWords { uint src1[]; };
layout(std430, set = 0, binding = 0) readonly buffer SrcPairs { uvec2 src2[]; };
layout(std430, set = 0, binding = 0) readonly buffer SrcQuads { uvec4 src4[]; };
layout(std430, set = 0, binding = 1) writeonly buffer DstWords { uint dst1[]; };
layout(std430, set = 0, binding = 1) writeonly buffer DstPairs { uvec2 dst2[]; };
layout(std430, set = 0, binding = 1) writeonly buffer DstQuads { uvec4 dst4[]; };
// Planes 1 and 2 of a frame of several buffers.
layout(std430, set = 0, binding = 2) readonly buffer SrcWordsOf1 { uint src1Of1[]; };
layout(std430, set = 0, binding = 2) readonly buffer SrcPairsOf1 { uvec2 src2Of1[]; };
layout(std430, set = 0, binding = 3) readonly buffer SrcWordsOf2 { uint src1Of2[]; };
layout(std430, set = 0, binding = 4) writeonly buffer DstWordsOf1 { uint dst1Of1[]; };
layout(std430, set = 0, binding = 4) writeonly buffer DstPairsOf1 { uvec2 dst2Of1[]; };
layout(std430, set = 0, binding = 5) writeonly buffer DstWordsOf2 { uint dst1Of2[]; };

layout(push_constant, std430) uniform Push {
  uint width;  // pixels
  uint height;
  uint src_offset[3];  // 32-bit words
  uint src_stride[3];
  uint dst_offset[3];
  uint dst_stride[3];
  float param[18];
} push;

const bool kSrcYuv = kSrcFormat <= kYuyv;
const bool kDstYuv = kDstFormat <= kYuyv;
const bool kSrcSubV = kSrcFormat <= kNv12;
const bool kDstSubV = kDstFormat <= kNv12;
const bool kSrcCositedH = kSrcSiting != kSitingCenter;
const bool kDstCositedH = kDstSiting != kSitingCenter;
const bool kSrcCositedV = kSrcSiting == kSitingTopLeft;
const bool kDstCositedV = kDstSiting == kSitingTopLeft;
// Both ends have the same chroma samples on this axis: a sample serves its own pixels and is not interpolated.
const bool kSameH = kSrcYuv && kDstYuv && kSrcCositedH == kDstCositedH;
const bool kSameV = kSrcSubV && kDstSubV && kSrcCositedV == kDstCositedV;
// Chroma is filtered from pixels beyond the block.
const bool kTentH = kDstYuv && !kSameH;
const bool kTentV = kDstSubV && !kSameV;
// Chroma is interpolated between samples.
const bool kLerpH = kSrcYuv && !kSameH;
const bool kLerpV = kSrcSubV && !kSameV;

// docs/looks.md has the looks.
const uint kLookNone = 0u;
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
const uint kUser = 15u;  // the graph's own shader
