#include "nodes/ffmpeg/scale_node.h"

#include "nodes/ffmpeg/formats.h"

namespace sluice::ffmpeg {
namespace {

/// A pixel's shape after its picture was stretched: width/height of one pixel.
void ScaleAspect(const sluice_format& in, const sluice_format& out, sluice_frame_info* info) {
  if (in.width == out.width && in.height == out.height) return;
  const AVRational old{info->aspect_num == 0 ? 1 : static_cast<int>(info->aspect_num),
                       info->aspect_den == 0 ? 1 : static_cast<int>(info->aspect_den)};
  const AVRational stretch = av_mul_q({static_cast<int>(in.width), static_cast<int>(out.width)},
                                      {static_cast<int>(out.height), static_cast<int>(in.height)});
  const AVRational aspect = av_mul_q(old, stretch);
  info->aspect_num = static_cast<uint32_t>(aspect.num);
  info->aspect_den = static_cast<uint32_t>(aspect.den);
}

/// What the plan leaves open in the output's colour: as in the input, or as an untagged picture of
/// this size is read.
sluice_color FillColor(sluice_color color, const sluice_format& in, const sluice_format& out) {
  const bool same_kind = IsRgb(in.fourcc) == IsRgb(out.fourcc);
  const ResolvedColor defaults = ResolveColor({}, PixelFormat(out.fourcc), false, out.height);
  const sluice_color& from = same_kind ? in.color : defaults.color;
  if (color.matrix == 0) color.matrix = from.matrix;
  if (color.range == 0) color.range = from.range;
  if (color.siting == 0) color.siting = from.siting;
  return color;
}

}  // namespace

sdk::Status Conversion::Configure(const sdk::Configuration& configuration) {
  auto in = configuration.Port("in");
  if (!in.ok()) return in.status();
  auto out = configuration.Port("out");
  if (!out.ok()) return out.status();
  in_ = (*in)->format;
  out_ = (*out)->format;
  for (const sluice_format& format : {in_, out_}) {
    if (PixelFormat(format.fourcc) == AV_PIX_FMT_NONE) {
      return sdk::Status::Error(SLUICE_E_UNSUPPORTED, "pixel format %s",
                                FourccName(format.fourcc).c_str());
    }
  }
  out_.color = FillColor(out_.color, in_, out_);
  reason_ = sdk::Format("swscale from %ux%u %s to %ux%u %s", in_.width, in_.height,
                        FourccName(in_.fourcc).c_str(), out_.width, out_.height,
                        FourccName(out_.fourcc).c_str());
  return {};
}

sdk::Expected<sdk::Process> Conversion::Process(const sdk::NodeContext& context,
                                                sdk::Invocation& invocation) {
  const sdk::Frame input = invocation.TakeInput(0);
  if (!input) return sdk::Process::kDone;
  const sdk::FrameRef output = invocation.Output(0);
  if (!output) return sdk::Process::kDone;
  {
    auto from = input.Map(SLUICE_MAP_READ);
    if (!from.ok()) return from.status();
    auto to = output.Map(SLUICE_MAP_WRITE);
    if (!to.ok()) return to.status();
    const sdk::Status status = scaler_.Convert(PixelsOf(in_, *from), PixelsOf(out_, *to));
    if (!status.ok()) return status;
  }
  sluice_frame_info info = input.Info();
  info.crop_x = info.crop_y = 0;
  info.crop_width = out_.width;
  info.crop_height = out_.height;
  ScaleAspect(in_, out_, &info);
  *output.InfoMut() = info;
  context.CountCopy("out", VisibleBytes(out_.fourcc, out_.width, out_.height), reason_.c_str());
  if (sdk::Status status = context.EmitReserved(0, output); !status.ok()) return status;
  return sdk::Process::kDone;
}

}  // namespace sluice::ffmpeg
