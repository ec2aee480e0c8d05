// Preloaded into a process, plays a machine whose drivers know nothing of dma-bufs: no memory is exported or imported.
// Everything else of the devices stays as it is.
#define _GNU_SOURCE
#include <libdrm/drm.h>
#include <errno.h>
#include <linux/videodev2.h>
#include <stdarg.h>
#include <sys/syscall.h>
#include <unistd.h>

static int Refused(unsigned long request, const void* argument) {
  switch (request) {
    case VIDIOC_EXPBUF:
    case DRM_IOCTL_PRIME_HANDLE_TO_FD:
    case DRM_IOCTL_PRIME_FD_TO_HANDLE:
      return ENOTTY;
    case VIDIOC_REQBUFS:
      return ((const struct v4l2_requestbuffers*)argument)->memory == V4L2_MEMORY_DMABUF ? EINVAL
                                                                                        : 0;
    case VIDIOC_CREATE_BUFS:
      return ((const struct v4l2_create_buffers*)argument)->memory == V4L2_MEMORY_DMABUF ? EINVAL
                                                                                        : 0;
    default:
      return 0;
  }
}

int ioctl(int fd, unsigned long request, ...) {
  va_list list;
  va_start(list, request);
  void* argument = va_arg(list, void*);
  va_end(list);
  const int error = Refused(request, argument);
  if (error != 0) {
    errno = error;
    return -1;
  }
  return (int)syscall(SYS_ioctl, fd, request, argument);
}
