// Preloaded into a process, writes a line into the file $MAPPING_LOG for each mapping of what may be a frame's memory
// (dma-bufs, memfds, buffers of cameras and cards): the file behind the fd, the bytes, and the library that asked.
// What is mapped by a system call without the C library is not seen: tests hold it against the kernel's own count.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static int IsFrameMemory(const char* file) {
  static const char* const kPrefixes[] = {"/dmabuf:", "/memfd:", "/dev/video", "/dev/dri/",
                                          "/dev/udmabuf"};
  for (size_t i = 0; i < sizeof(kPrefixes) / sizeof(kPrefixes[0]); ++i) {
    if (strncmp(file, kPrefixes[i], strlen(kPrefixes[i])) == 0) return 1;
  }
  return 0;
}

static void Log(int fd, size_t length, void* caller) {
  char link[64], file[256], line[1024];
  snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
  const ssize_t size = readlink(link, file, sizeof(file) - 1);
  if (size < 0) return;
  file[size] = '\0';
  const char* path = getenv("MAPPING_LOG");
  if (path == NULL || !IsFrameMemory(file)) return;
  Dl_info info;
  const char* library = dladdr(caller, &info) != 0 && info.dli_fname != NULL ? info.dli_fname : "?";
  // A label may have blanks; it comes last.
  const int bytes = snprintf(line, sizeof(line), "%s\t%zu\t%s\n", library, length, file);
  const int log = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
  if (log < 0 || write(log, line, (size_t)bytes) != bytes) abort();
  close(log);
}

static void* Map(void* address, size_t length, int protection, int flags, int fd, off_t offset,
                 void* caller) {
  if (fd >= 0) Log(fd, length, caller);
  return (void*)syscall(SYS_mmap, address, length, protection, flags, fd, offset);
}

void* mmap(void* address, size_t length, int protection, int flags, int fd, off_t offset) {
  return Map(address, length, protection, flags, fd, offset, __builtin_return_address(0));
}

void* mmap64(void* address, size_t length, int protection, int flags, int fd, off64_t offset) {
  return Map(address, length, protection, flags, fd, offset, __builtin_return_address(0));
}
