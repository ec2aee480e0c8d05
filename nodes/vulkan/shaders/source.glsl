// One input of a pass: INPUT is its number. All names here and in the files that follow get that number when there are
// several inputs. nodes/vulkan/kernel.h mirrors constants and bindings.

layout(constant_id = 16 + 8 * INPUT) const uint kSrcFormat = 0u;
layout(constant_id = 17 + 8 * INPUT) const uint kSrcMatrix = 1u;
layout(constant_id = 18 + 8 * INPUT) const uint kSrcFull = 0u;
layout(constant_id = 19 + 8 * INPUT) const uint kSrcSiting = 0u;
layout(constant_id = 20 + 8 * INPUT) const uint kSrcAlpha = 0u;
layout(constant_id = 21 + 8 * INPUT) const uint kSrcSplit = 0u;
layout(constant_id = 22 + 8 * INPUT) const uint kSrcThere = 1u;

layout(std430, set = 0, binding = 5 + 3 * INPUT) readonly buffer SrcWords { uint src1[]; };
layout(std430, set = 0, binding = 5 + 3 * INPUT) readonly buffer SrcPairs { uvec2 src2[]; };
layout(std430, set = 0, binding = 5 + 3 * INPUT) readonly buffer SrcQuads { uvec4 src4[]; };
layout(std430, set = 0, binding = 6 + 3 * INPUT) readonly buffer SrcWordsOf1 { uint src1Of1[]; };
layout(std430, set = 0, binding = 6 + 3 * INPUT) readonly buffer SrcPairsOf1 { uvec2 src2Of1[]; };
layout(std430, set = 0, binding = 7 + 3 * INPUT) readonly buffer SrcWordsOf2 { uint src1Of2[]; };

uvec3 srcOffset = pass_.src[3 * INPUT].xyz;
uvec3 srcStride = pass_.src[3 * INPUT + 1].xyz;
ivec2 srcSize = ivec2(pass_.src[3 * INPUT + 2].xy);

const bool kSrcYuv = kSrcFormat <= kYuyv || kSrcFormat == kP010;
const bool kSrcSubV = kSrcFormat <= kNv12 || kSrcFormat == kP010;
const bool kSrcCositedH = kSrcSiting != kSitingCenter;
const bool kSrcCositedV = kSrcSiting == kSitingTopLeft;
// Both ends have the same chroma samples on this axis: a sample serves its own pixels and is not interpolated.
const bool kSameH = (kSameGrid & 1u) != 0u;
const bool kSameV = (kSameGrid & 2u) != 0u;
// Chroma is filtered from pixels beyond the block.
const bool kTentH = kDstYuv && !kSameH;
const bool kTentV = kDstSubV && !kSameV;
// Chroma is interpolated between samples.
const bool kLerpH = kSrcYuv && !kSameH;
const bool kLerpV = kSrcSubV && !kSameV;
