#ifndef NODES_V4L2_DEVICE_H_
#define NODES_V4L2_DEVICE_H_

#include <linux/videodev2.h>

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include <sluice/format.h>
#include <sluice/status.hpp>
#include <sluice/unique_fd.hpp>

namespace sluice::v4l2 {

enum class Direction { kCapture, kOutput };

/// Who a device is, whatever number it has today.
struct Identity {
  std::string card;
  std::string bus_info;
  std::string driver;
};

/// The most memory planes of one buffer.
inline constexpr uint32_t kMaxMemoryPlanes = SLUICE_MAX_PLANES;

/// A format of the single-planar or the multi-planar API.
struct PixFormat {
  struct Plane {
    uint32_t bytesperline = 0;
    uint32_t sizeimage = 0;
  };
  uint32_t pixelformat = 0;
  uint32_t width = 0;
  uint32_t height = 0;
  uint32_t field = V4L2_FIELD_ANY;
  uint32_t colorspace = V4L2_COLORSPACE_DEFAULT;
  uint32_t xfer_func = V4L2_XFER_FUNC_DEFAULT;
  uint32_t ycbcr_enc = V4L2_YCBCR_ENC_DEFAULT;
  uint32_t quantization = V4L2_QUANTIZATION_DEFAULT;
  uint32_t plane_count = 1;  ///< memory planes: fds of one buffer
  std::array<Plane, kMaxMemoryPlanes> planes{};
};

/// "YUYV", "AR24"; a token with unprintable bytes as a number.
std::string FourccText(uint32_t fourcc);

/// One opened V4L2 device that streams.
/// Threads: its ioctls are the kernel's business; the object itself does not change.
class Device {
 public:
  /// Errors: NOT_FOUND (no such node, or its device is gone); PERMISSION_DENIED; UNSUPPORTED (not a
  /// video device of this direction that streams); IO.
  static sdk::Expected<std::unique_ptr<Device>> Open(const std::string& path, Direction direction);

  int fd() const { return fd_.get(); }
  const std::string& path() const { return path_; }
  const Identity& identity() const { return identity_; }
  Direction direction() const { return direction_; }
  bool multiplanar() const { return multiplanar_; }
  /// V4L2_BUF_TYPE_*.
  uint32_t type() const { return type_; }

  /// 0 or an errno; interrupted calls are repeated.
  int Ioctl(unsigned long request, void* argument) const;
  /// What `error` means: DEVICE_LOST when the device is gone, RESOURCE_EXHAUSTED when somebody else
  /// uses it or memory is short, UNSUPPORTED where it does not know the call, else IO.
  sdk::Status Error(int error, const char* what) const;

  sdk::Status GetFormat(PixFormat* format) const;
  /// The driver changes what it cannot do; so the caller compares.
  sdk::Status SetFormat(PixFormat* format) const;
  sdk::Status TryFormat(PixFormat* format) const;

 private:
  Device(sdk::UniqueFd fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {}
  sdk::Status FormatIoctl(unsigned long request, const char* what, PixFormat* format) const;

  sdk::UniqueFd fd_;
  std::string path_;
  Identity identity_;
  Direction direction_ = Direction::kCapture;
  bool multiplanar_ = false;
  uint32_t type_ = 0;
};

}  // namespace sluice::v4l2

#endif  // NODES_V4L2_DEVICE_H_
