// What frames are made of. Mirrored in nodes/vulkan/shape.h.

const uint kYu12 = 0u;
const uint kNv12 = 1u;
const uint kYuyv = 2u;
const uint kRgba = 3u;  // bytes R G B A
const uint kBgra = 4u;  // bytes B G R A
const uint kRgba16f = 5u;  // half floats R G B A
const uint kP010 = 6u;  // 10 bits in the high bits of 16

const uint kBt601 = 0u;
const uint kBt709 = 1u;
const uint kBt2020 = 2u;

const uint kSitingLeft = 0u;
const uint kSitingCenter = 1u;
const uint kSitingTopLeft = 2u;
