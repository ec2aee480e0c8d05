#include "nodes/v4l2/queue.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace sluice::v4l2 {
namespace {

uint32_t KernelMemory(MemoryKind kind) {
  switch (kind) {
    case MemoryKind::kMmap:
      return V4L2_MEMORY_MMAP;
    case MemoryKind::kDmabuf:
      return V4L2_MEMORY_DMABUF;
    case MemoryKind::kUserptr:
      return V4L2_MEMORY_USERPTR;
  }
  return 0;
}

int RequestBuffers(const Device& device, MemoryKind kind, uint32_t* count) {
  v4l2_requestbuffers request{};
  request.count = *count;
  request.type = device.type();
  request.memory = KernelMemory(kind);
  const int error = device.Ioctl(VIDIOC_REQBUFS, &request);
  *count = request.count;
  return error;
}

/// One plane, of the single- or multi-planar struct (their unions are alike and not the same type).
template <class Union>
void Point(MemoryKind kind, const BufferMemory::Plane& plane, Union* m) {
  if (kind == MemoryKind::kDmabuf) m->fd = plane.fd;
  if (kind == MemoryKind::kUserptr) m->userptr = reinterpret_cast<unsigned long>(plane.base);
}

}  // namespace

const char* MemoryName(MemoryKind kind) {
  switch (kind) {
    case MemoryKind::kMmap:
      return "MMAP";
    case MemoryKind::kDmabuf:
      return "DMABUF";
    case MemoryKind::kUserptr:
      return "USERPTR";
  }
  return "?";
}

bool Queue::Supports(const Device& device, MemoryKind kind) {
  // A count of 0 makes none.
  uint32_t count = 0;
  const int error = RequestBuffers(device, kind, &count);
  return error == 0 || error == EBUSY;
}

bool Queue::InUse(const Device& device) {
  uint32_t count = 0;
  return RequestBuffers(device, MemoryKind::kMmap, &count) == EBUSY;
}

sdk::Expected<std::unique_ptr<Queue>> Queue::Create(const Device& device, MemoryKind kind,
                                                    uint32_t buffers, const PixFormat& format) {
  uint32_t count = buffers;
  if (const int error = RequestBuffers(device, kind, &count); error != 0) {
    return device.Error(
        error, sdk::Format("VIDIOC_REQBUFS of %u %s buffers", buffers, MemoryName(kind)).c_str());
  }
  // Made before the check, so that what there is goes back.
  std::unique_ptr<Queue> queue(new Queue(device, kind, count, format));
  if (count < buffers) {
    return sdk::Status::Error(SLUICE_E_RESOURCE_EXHAUSTED,
                              "%s (%s) makes %u buffers, and %u are needed", device.path().c_str(),
                              device.identity().card.c_str(), count, buffers);
  }
  return queue;
}

Queue::~Queue() {
  StreamOff();
  uint32_t none = 0;
  RequestBuffers(device_, kind_, &none);
}

sdk::Expected<std::vector<sdk::UniqueFd>> Queue::Export(uint32_t index) const {
  std::vector<sdk::UniqueFd> fds;
  for (uint32_t plane = 0; plane < format_.plane_count; ++plane) {
    v4l2_exportbuffer request{};
    request.type = device_.type();
    request.index = index;
    request.plane = plane;
    request.flags = O_RDWR | O_CLOEXEC;
    if (const int error = device_.Ioctl(VIDIOC_EXPBUF, &request); error != 0) {
      return device_.Error(error, "its buffers cannot be exported (VIDIOC_EXPBUF)");
    }
    fds.emplace_back(request.fd);
  }
  return fds;
}

sdk::Status Queue::Put(uint32_t index, const BufferMemory& memory, int64_t timestamp_ns,
                       uint64_t bytes_used) {
  v4l2_buffer buffer{};
  v4l2_plane planes[kMaxMemoryPlanes]{};
  buffer.index = index;
  buffer.type = device_.type();
  buffer.memory = KernelMemory(kind_);
  const bool output = device_.direction() == Direction::kOutput;
  if (output) {
    buffer.field = V4L2_FIELD_NONE;
    buffer.timestamp.tv_sec = timestamp_ns / 1'000'000'000;
    buffer.timestamp.tv_usec = timestamp_ns % 1'000'000'000 / 1000;
  }
  const auto used = [&](uint32_t plane) {
    if (!output) return 0u;
    return bytes_used != 0 ? static_cast<uint32_t>(bytes_used) : format_.planes[plane].sizeimage;
  };
  const auto length = [&](uint32_t plane) {
    return static_cast<uint32_t>(std::min<uint64_t>(memory.planes[plane].length, UINT32_MAX));
  };
  if (device_.multiplanar()) {
    for (uint32_t i = 0; i < format_.plane_count; ++i) {
      Point(kind_, memory.planes[i], &planes[i].m);
      planes[i].length = length(i);
      planes[i].bytesused = used(i);
    }
    buffer.m.planes = planes;
    buffer.length = format_.plane_count;
  } else {
    Point(kind_, memory.planes[0], &buffer.m);
    buffer.length = length(0);
    buffer.bytesused = used(0);
  }
  const int error = device_.Ioctl(VIDIOC_QBUF, &buffer);
  if (error == 0) {
    ++queued_;
    return {};
  }
  if (error == ENODEV || error == ENXIO || error == EIO) return device_.Error(error, "VIDIOC_QBUF");
  return sdk::Status::Error(kind_ == MemoryKind::kMmap ? SLUICE_E_IO : SLUICE_E_UNSUPPORTED,
                            "%s (%s) does not take buffer %u as %s: %s (%llu bytes, %u are needed)",
                            device_.path().c_str(), device_.identity().card.c_str(), index,
                            MemoryName(kind_), std::strerror(error),
                            static_cast<unsigned long long>(memory.planes[0].length),
                            format_.planes[0].sizeimage);
}

sdk::Expected<std::optional<Dequeued>> Queue::Get() {
  if (!streaming_ || queued_ == 0) return std::optional<Dequeued>();
  v4l2_buffer buffer{};
  v4l2_plane planes[kMaxMemoryPlanes]{};
  buffer.type = device_.type();
  buffer.memory = KernelMemory(kind_);
  if (device_.multiplanar()) {
    buffer.m.planes = planes;
    buffer.length = kMaxMemoryPlanes;
  }
  const int error = device_.Ioctl(VIDIOC_DQBUF, &buffer);
  // EPIPE: the last buffer of a stream is out.
  if (error == EAGAIN || error == EPIPE) return std::optional<Dequeued>();
  if (error != 0) return device_.Error(error, "VIDIOC_DQBUF");
  --queued_;
  Dequeued done;
  done.index = buffer.index;
  done.sequence = buffer.sequence;
  done.flags = buffer.flags;
  done.field = buffer.field;
  done.timestamp_ns =
      int64_t{buffer.timestamp.tv_sec} * 1'000'000'000 + int64_t{buffer.timestamp.tv_usec} * 1000;
  if (device_.multiplanar()) {
    for (uint32_t i = 0; i < format_.plane_count; ++i) {
      done.bytes_used[i] = planes[i].bytesused;
      done.data_offset = std::max(done.data_offset, planes[i].data_offset);
    }
  } else {
    done.bytes_used[0] = buffer.bytesused;
  }
  return std::optional<Dequeued>(done);
}

sdk::Status Queue::StreamOn() {
  int type = static_cast<int>(device_.type());
  if (const int error = device_.Ioctl(VIDIOC_STREAMON, &type); error != 0) {
    return device_.Error(error, "the stream does not start (VIDIOC_STREAMON)");
  }
  streaming_ = true;
  return {};
}

void Queue::StreamOff() {
  if (!streaming_ && queued_ == 0) return;
  int type = static_cast<int>(device_.type());
  device_.Ioctl(VIDIOC_STREAMOFF, &type);
  streaming_ = false;
  queued_ = 0;
}

}  // namespace sluice::v4l2
