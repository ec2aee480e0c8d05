#ifndef SLUICE_NODES_VULKAN_STAGE_H_
#define SLUICE_NODES_VULKAN_STAGE_H_

#include <sluice/format.h>

#include <cstdint>
#include <string>
#include <vector>

namespace sluice::vulkan {

/// One step of a filter over pixels, as GLSL. A pixel is a vec4: non-linear R'G'B', 1.0 being
/// white, and straight alpha. Between stages values may leave 0..1; what is stored is limited.
///
/// The text defines `shade` as its kind says, and may define whatever else it needs at the top
/// level: names of different stages never meet. It may use
///
///   float param(int i)          the node's number first_param + i
///   vec4  table(int i)          the node's table, four numbers at a time
///   ivec2 frameSize()           of the result, pixels
///   bool  sluiceLimited         a constant: R'G'B' that shade is given is known to be within 0..1
///   float luma(vec3 rgb)        with the weights of the frames' matrix
///   vec3  linear(vec3), nonLinear(vec3)  the transfer function of docs/filters.md
///
/// and in a kSample stage, for its input k = 0, 1, ...
///
///   vec4  pixelK(ivec2 at)      one pixel; positions are clamped to the picture
///   vec4  bilinearK(vec2 at)    between four; a pixel's centre is at + 0.5
///   ivec2 sizeK()
///   bool  hasK()                false: the port has no edge, and pixelK is 0
struct Stage {
  enum class Kind {
    kPointwise,  ///< vec4 shade(vec4 color, ivec2 at): made of the pixel itself
    kSample,     ///< vec4 shade(ivec2 at): made of any pixels of its inputs
  };
  /// A value at which one of the stage's numbers leaves it less to do: a factor of 1, an exponent
  /// of 1. The result must be the same whether the text reads it or it is a constant.
  struct Neutral {
    uint32_t param = 0;  ///< as param() counts, below param_count
    float value = 0;
  };
  /// An input that is the result of the stage before this one.
  static constexpr uint32_t kPrevious = UINT32_MAX;

  Kind kind = Kind::kPointwise;
  std::string label;   ///< in plans and reports: "blur, rows"
  std::string origin;  ///< the text's file, for the compiler's messages
  std::string glsl;
  /// The node's input ports, or kPrevious. A pointwise stage has one; of a node's first stage it is
  /// a port, of others kPrevious.
  std::vector<uint32_t> inputs = {0};
  /// kPointwise: reads other pixels of its input as well, as a kSample stage does; a pass begins
  /// with it.
  bool samples = false;
  /// kPointwise: returns the alpha that it was given, whose bits then need not become a number.
  bool keeps_alpha = false;
  /// kPointwise: returns R'G'B' within 0..1.
  bool limits = false;
  /// kSample: reads each input by one call of pixelK, for one pixel of the result one pixel, so
  /// that what is before it can be done on the way: pointwise stages, and others that read once.
  /// bilinearK is not there.
  bool reads_once = false;
  /// kSample: reads so many pixels that inputs of subsampled formats are unpacked first.
  bool wide = false;
  uint32_t width = 0;  ///< of the result, pixels; 0: as input 0
  uint32_t height = 0;
  uint32_t first_param = 0;
  uint32_t param_count = 0;
  /// Those that hold when the pass is made are constants for as long as all of them hold
  /// (PassText::settled). Empty where arithmetic does not decide, or nothing would fold.
  std::vector<Neutral> neutrals = {};
};

}  // namespace sluice::vulkan

#endif  // SLUICE_NODES_VULKAN_STAGE_H_
