#ifndef NODES_V4L2_CAMERA_H_
#define NODES_V4L2_CAMERA_H_

#include <string>
#include <utility>
#include <vector>

#include "nodes/v4l2/testing.h"

namespace sluice::v4l2::testing {

/// No text and no movement: every frame is the same. `more`: further controls, ", "name": value".
inline Parameters Still(const std::string& more = "", const char* device = "/dev/video0") {
  const std::string controls =
      R"({"test_pattern": "100% Colorbar", "osd_text_mode": "None",
          "horizontal_movement": "No Movement")" +
      more + "}";
  return Parameters()
      .String("device", device)
      .String("input", "0")
      .Map("controls", controls.c_str());
}

enum class Way { kExport, kUdmabuf, kUserptr };

/// A camera that runs.
class Camera {
 public:
  Camera(Way way, const sluice_format& format, Parameters parameters = Still(),
         uint32_t buffers = 6, uint32_t reserve = 4)
      : way_(way), runner(sluice_plugin, "v4l2.capture", std::move(parameters)) {
    code = runner.created();
    if (code < 0) return;
    PortSpec out;
    out.format = format;
    out.buffers = buffers;
    out.dynamic = true;
    out.reserve = reserve;
    out.views = way == Way::kUserptr ? SLUICE_VIEW_SHM | SLUICE_VIEW_CPU : SLUICE_VIEW_DMABUF;
    if (way == Way::kExport) {
      code = own.Make(runner, SLUICE_PORT_OUTPUT, OwnBuffers::Request(format, buffers));
      if (code < 0) return;
      out.layout = own.layout();
    } else {
      out.layout = Contiguous(format);
    }
    runner.Output("out", out);
    code = runner.Configure();
    if (code >= 0) code = runner.Start();
  }
  ~Camera() {
    runner.Stop(false);
    runner.Destroy();
  }

  /// As the engine lays out what has no demands.
  static sluice_layout Contiguous(const sluice_format& format) {
    for (const FormatEntry& entry : AllFormats()) {
      if (entry.drm != format.fourcc) continue;
      PixFormat pix;
      pix.width = format.width;
      pix.height = format.height;
      pix.planes[0].bytesperline = format.width * entry.pixel_bytes;
      pix.planes[0].sizeimage = format.width * format.height * 4;
      auto layout = LayoutOf(entry, pix);
      if (layout.ok()) {
        layout->size = (layout->size + 4095) / 4096 * 4096;
        return *layout;
      }
    }
    return {};
  }
  /// The next frame; empty after three seconds.
  HeldFrame Next() {
    for (int i = 0; i < 200 && code >= 0; ++i) {
      if (HeldFrame frame = runner.Take()) return frame;
      if (i > 0 && runner.emitted() == 0 && !runner.WaitForFd(3000)) break;
      result = runner.Step();
      if (result < 0 || result == SLUICE_PROCESS_END) break;
    }
    return runner.Take();
  }
  std::vector<std::vector<uint8_t>> Pixels(const HeldFrame& frame) {
    if (way_ == Way::kExport) return own.Read(frame.BufferId().index);
    const uint8_t* base = frame.Row(0, 0);
    return {{base, base + frame.frame()->pool->layout().size}};
  }

 private:
  Way way_;

 public:
  OwnBuffers own;  // after the runner's end: the host keeps what it was given
  NodeRunner runner;
  int32_t code = SLUICE_OK;
  int32_t result = SLUICE_OK;
};

}  // namespace sluice::v4l2::testing

#endif  // NODES_V4L2_CAMERA_H_
