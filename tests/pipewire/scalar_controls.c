/* Preloaded into a PipeWire daemon that has vivid as a camera. vivid of linux 6.12 has an integer control that is an
 * array; PipeWire 1.4.2 reads every integer control by VIDIOC_G_CTRL, which refuses arrays, and then takes the whole
 * camera for broken (WirePlumber links nothing to it). Real cameras have no such control. This says of arrays that they
 * are disabled. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <linux/videodev2.h>
#include <stdarg.h>
#include <stddef.h>

int ioctl(int fd, unsigned long request, ...) {
  static int (*next)(int, unsigned long, void*);
  if (!next) next = (int (*)(int, unsigned long, void*))dlsym(RTLD_NEXT, "ioctl");
  va_list arguments;
  va_start(arguments, request);
  void* argument = va_arg(arguments, void*);
  va_end(arguments);
  /* PipeWire passes the request as an int, which comes with its sign. */
  const int result = next(fd, request, argument);
  if (result == 0 && (unsigned)request == VIDIOC_QUERY_EXT_CTRL) {
    struct v4l2_query_ext_ctrl* control = argument;
    if (control->nr_of_dims > 0) control->flags |= V4L2_CTRL_FLAG_DISABLED;
  }
  return result;
}
