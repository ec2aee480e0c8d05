#include "engine/sync/dmabuf_fence.h"

#include <linux/dma-buf.h>
#include <sys/ioctl.h>
#include <cerrno>

#include <fmt/format.h>

#include "engine/sync/sync_file.h"

namespace sluice::sync {

static_assert(kDmabufRead == DMA_BUF_SYNC_READ);
static_assert(kDmabufWrite == DMA_BUF_SYNC_WRITE);

namespace {

template <typename T>
int Ioctl(int fd, unsigned long request, T* argument) {
  int result = 0;
  do {
    result = ioctl(fd, request, argument);
  } while (result < 0 && (errno == EINTR || errno == EAGAIN));
  return result;
}

tl::unexpected<Error> FailFor(std::string_view what, int dmabuf, int error) {
  if (error == ENOTTY || error == EBADF) {
    return Fail(Code::kUnsupported,
                fmt::format("fd {} has no implicit fences: it is no dma-buf, or the kernel is "
                            "older than 6.0",
                            dmabuf));
  }
  if (error == EINVAL) {
    return Fail(Code::kInvalidArgument, fmt::format("{}: an access or a fd that is none", what));
  }
  return FailErrno(what, error);
}

}  // namespace

Result<UniqueFd> ExportSyncFile(int dmabuf, uint32_t access) {
  dma_buf_export_sync_file request{access, -1};
  if (Ioctl(dmabuf, DMA_BUF_IOCTL_EXPORT_SYNC_FILE, &request) != 0) {
    return FailFor("DMA_BUF_IOCTL_EXPORT_SYNC_FILE", dmabuf, errno);
  }
  UniqueFd fence(request.fd);
  auto now = QuerySyncFile(fence.get());
  if (!now) return tl::unexpected(std::move(now).error());
  // The kernel gives a signalled one where there is nothing to wait for.
  if (now->state == FenceState::kSignalled) return UniqueFd();
  return fence;
}

Status ImportSyncFile(int dmabuf, uint32_t access, int sync_file) {
  dma_buf_import_sync_file request{access, sync_file};
  if (Ioctl(dmabuf, DMA_BUF_IOCTL_IMPORT_SYNC_FILE, &request) == 0) return {};
  return FailFor("DMA_BUF_IOCTL_IMPORT_SYNC_FILE", dmabuf, errno);
}

}  // namespace sluice::sync
