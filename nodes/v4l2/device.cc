#include "nodes/v4l2/device.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace sluice::v4l2 {
namespace {

/// A field of a kernel struct that need not end with a zero.
template <size_t N>
std::string Text(const __u8 (&field)[N]) {
  const char* text = reinterpret_cast<const char*>(field);
  return std::string(text, strnlen(text, N));
}

int32_t CodeOf(int error) {
  switch (error) {
    case ENODEV:
    case ENXIO:
      return SLUICE_E_DEVICE_LOST;
    case EBUSY:
    case ENOMEM:
    case ENOSPC:
      return SLUICE_E_RESOURCE_EXHAUSTED;
    case ENOTTY:
    case EOPNOTSUPP:
    case EINVAL:
      return SLUICE_E_UNSUPPORTED;
    case EACCES:
    case EPERM:
      return SLUICE_E_PERMISSION_DENIED;
    default:
      return SLUICE_E_IO;
  }
}

void ToKernel(const PixFormat& from, v4l2_pix_format* to) {
  to->width = from.width;
  to->height = from.height;
  to->pixelformat = from.pixelformat;
  to->field = from.field;
  to->bytesperline = from.planes[0].bytesperline;
  to->sizeimage = from.planes[0].sizeimage;
  to->colorspace = from.colorspace;
  // Without the magic number a driver may not look at what follows.
  to->priv = V4L2_PIX_FMT_PRIV_MAGIC;
  to->ycbcr_enc = from.ycbcr_enc;
  to->quantization = from.quantization;
  to->xfer_func = from.xfer_func;
}

void FromKernel(const v4l2_pix_format& from, PixFormat* to) {
  *to = {};
  to->pixelformat = from.pixelformat;
  to->width = from.width;
  to->height = from.height;
  to->field = from.field;
  to->colorspace = from.colorspace;
  if (from.priv == V4L2_PIX_FMT_PRIV_MAGIC) {
    to->ycbcr_enc = from.ycbcr_enc;
    to->quantization = from.quantization;
    to->xfer_func = from.xfer_func;
  }
  to->planes[0] = {from.bytesperline, from.sizeimage};
}

void ToKernel(const PixFormat& from, v4l2_pix_format_mplane* to) {
  to->width = from.width;
  to->height = from.height;
  to->pixelformat = from.pixelformat;
  to->field = from.field;
  to->colorspace = from.colorspace;
  to->ycbcr_enc = static_cast<__u8>(from.ycbcr_enc);
  to->quantization = static_cast<__u8>(from.quantization);
  to->xfer_func = static_cast<__u8>(from.xfer_func);
  to->num_planes = static_cast<__u8>(from.plane_count);
  for (uint32_t i = 0; i < from.plane_count; ++i) {
    to->plane_fmt[i].bytesperline = from.planes[i].bytesperline;
    to->plane_fmt[i].sizeimage = from.planes[i].sizeimage;
  }
}

void FromKernel(const v4l2_pix_format_mplane& from, PixFormat* to) {
  *to = {};
  to->pixelformat = from.pixelformat;
  to->width = from.width;
  to->height = from.height;
  to->field = from.field;
  to->colorspace = from.colorspace;
  to->ycbcr_enc = from.ycbcr_enc;
  to->quantization = from.quantization;
  to->xfer_func = from.xfer_func;
  to->plane_count = std::min<uint32_t>(from.num_planes, kMaxMemoryPlanes);
  for (uint32_t i = 0; i < to->plane_count; ++i) {
    to->planes[i] = {from.plane_fmt[i].bytesperline, from.plane_fmt[i].sizeimage};
  }
}

}  // namespace

std::string FourccText(uint32_t fourcc) {
  // V4L2 marks big-endian variants in the highest bit.
  const uint32_t token = fourcc & 0x7fffffffu;
  std::string text;
  for (int shift = 0; shift < 32; shift += 8) {
    const char c = static_cast<char>(token >> shift);
    if (c < 0x20 || c > 0x7e) return sdk::Format("0x%08x", fourcc);
    text.push_back(c);
  }
  while (!text.empty() && text.back() == ' ') text.pop_back();
  return fourcc == token ? text : text + "-BE";
}

sdk::Expected<std::unique_ptr<Device>> Device::Open(const std::string& path, Direction direction) {
  sdk::UniqueFd fd(open(path.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC));
  if (!fd) {
    const int error = errno;
    const bool gone = error == ENOENT || error == ENODEV || error == ENXIO;
    return sdk::Status::Error(gone ? SLUICE_E_NOT_FOUND : CodeOf(error), "%s: %s%s", path.c_str(),
                              std::strerror(error),
                              error == EACCES ? " (members of the group video may open it)" : "");
  }
  struct stat info {};
  if (fstat(fd.get(), &info) != 0 || !S_ISCHR(info.st_mode)) {
    return sdk::Status::Error(SLUICE_E_UNSUPPORTED, "%s is not a video device", path.c_str());
  }
  std::unique_ptr<Device> device(new Device(std::move(fd), path));
  v4l2_capability capability{};
  if (const int error = device->Ioctl(VIDIOC_QUERYCAP, &capability); error != 0) {
    if (error == ENODEV || error == ENXIO) {
      return sdk::Status::Error(SLUICE_E_NOT_FOUND, "%s: the device is gone", path.c_str());
    }
    return sdk::Status::Error(SLUICE_E_UNSUPPORTED, "%s is not a video device (%s)", path.c_str(),
                              std::strerror(error));
  }
  const uint32_t caps = (capability.capabilities & V4L2_CAP_DEVICE_CAPS) != 0
                            ? capability.device_caps
                            : capability.capabilities;
  const bool capture = direction == Direction::kCapture;
  const uint32_t single = capture ? V4L2_CAP_VIDEO_CAPTURE : V4L2_CAP_VIDEO_OUTPUT;
  const uint32_t multi = capture ? V4L2_CAP_VIDEO_CAPTURE_MPLANE : V4L2_CAP_VIDEO_OUTPUT_MPLANE;
  if ((caps & (single | multi)) == 0 || (caps & V4L2_CAP_STREAMING) == 0) {
    return sdk::Status::Error(SLUICE_E_UNSUPPORTED, "%s (%s) does not %s video", path.c_str(),
                              Text(capability.card).c_str(), capture ? "capture" : "output");
  }
  device->direction_ = direction;
  device->multiplanar_ = (caps & single) == 0;
  if (capture) {
    device->type_ =
        device->multiplanar_ ? V4L2_BUF_TYPE_VIDEO_CAPTURE_MPLANE : V4L2_BUF_TYPE_VIDEO_CAPTURE;
  } else {
    device->type_ =
        device->multiplanar_ ? V4L2_BUF_TYPE_VIDEO_OUTPUT_MPLANE : V4L2_BUF_TYPE_VIDEO_OUTPUT;
  }
  device->identity_ = {Text(capability.card), Text(capability.bus_info), Text(capability.driver)};
  return device;
}

int Device::Ioctl(unsigned long request, void* argument) const {
  while (ioctl(fd_.get(), request, argument) < 0) {
    if (errno != EINTR) return errno;
  }
  return 0;
}

sdk::Status Device::Error(int error, const char* what) const {
  const int32_t code = CodeOf(error);
  if (code == SLUICE_E_DEVICE_LOST) {
    return sdk::Status::Error(code, "%s (%s) is gone: %s: %s", path_.c_str(),
                              identity_.card.c_str(), what, std::strerror(error));
  }
  return sdk::Status::Error(code, "%s (%s): %s: %s%s", path_.c_str(), identity_.card.c_str(), what,
                            std::strerror(error),
                            error == EBUSY ? ": another program may be using it" : "");
}

sdk::Status Device::FormatIoctl(unsigned long request, const char* what, PixFormat* format) const {
  v4l2_format kernel{};
  kernel.type = type_;
  if (multiplanar_) {
    ToKernel(*format, &kernel.fmt.pix_mp);
  } else {
    ToKernel(*format, &kernel.fmt.pix);
  }
  if (const int error = Ioctl(request, &kernel); error != 0) return Error(error, what);
  if (multiplanar_) {
    FromKernel(kernel.fmt.pix_mp, format);
  } else {
    FromKernel(kernel.fmt.pix, format);
  }
  return {};
}

sdk::Status Device::GetFormat(PixFormat* format) const {
  *format = {};
  return FormatIoctl(VIDIOC_G_FMT, "VIDIOC_G_FMT", format);
}
sdk::Status Device::SetFormat(PixFormat* format) const {
  return FormatIoctl(VIDIOC_S_FMT, "VIDIOC_S_FMT", format);
}
sdk::Status Device::TryFormat(PixFormat* format) const {
  return FormatIoctl(VIDIOC_TRY_FMT, "VIDIOC_TRY_FMT", format);
}

}  // namespace sluice::v4l2
