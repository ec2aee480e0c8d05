// What a firing waits for, and how others see its end.
#include <linux/sync_file.h>
#include <poll.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <utility>

#include "nodes/vulkan/domain.h"

namespace sluice::vulkan {
namespace {

constexpr uint32_t kMaxReleaseFences = 64;
constexpr std::chrono::seconds kLastResort{5};
constexpr std::chrono::seconds kOwnWait{10};
constexpr std::chrono::milliseconds kSoftwareWait{2000};

/// Whether `fd` is a sync_file (drivers take anything, some of them) whose fences may come: 1 they
/// have, 0 not yet. Errors: InvalidArgument; Io when one of them has failed.
Result<int> StatusOfFile(int fd) {
  sync_file_info info{};
  if (ioctl(fd, SYNC_IOC_FILE_INFO, &info) != 0) {
    return Fail(SLUICE_E_INVALID_ARGUMENT,
                "fd " + std::to_string(fd) +
                    " of a frame's fence is no sync_file: " + std::strerror(errno));
  }
  if (info.status < 0) {
    return Fail(SLUICE_E_IO, std::string("a frame's fence failed: ") + std::strerror(-info.status));
  }
  return info.status;
}

/// Whether `fd` is readable within `limit`; a signal does not shorten the wait.
bool IsReadable(int fd, std::chrono::milliseconds limit) {
  using Clock = std::chrono::steady_clock;
  const Clock::time_point deadline = Clock::now() + limit;
  for (;;) {
    const auto rest = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
    pollfd entry{fd, POLLIN, 0};
    const int count = poll(&entry, 1, static_cast<int>(std::max<int64_t>(rest, 0)));
    if (count == 1) return (entry.revents & POLLIN) != 0;
    if (count == 0 || errno != EINTR) return false;
  }
}

// A fence that failed is readable as well.
Status WaitForFile(int fd) {
  if (!IsReadable(fd, kSoftwareWait)) {
    return Fail(SLUICE_E_TIMEOUT, "a sync_file that has not signalled for " +
                                      std::to_string(kSoftwareWait.count()) + " ms");
  }
  if (const auto status = StatusOfFile(fd); !status) return tl::unexpected(status.error());
  return {};
}

}  // namespace

Status VulkanDomain::AwaitFile(Island& island, sdk::UniqueFd file) {
  const auto status = StatusOfFile(file.get());
  if (!status) return tl::unexpected(status.error());
  if (*status == 1) return {};
  if (island.shows_files && device_->exports_late()) {
    // The export behind this submission would wait for it, and without an end.
    return WaitForFile(file.get());
  }
  auto semaphore = island.gpu->waits.Import(std::move(file), queue_->completed());
  if (!semaphore) return tl::unexpected(semaphore.error());
  island.waiting.push_back(*semaphore);
  return {};
}

Status VulkanDomain::AwaitTimeline(Island& island, const sluice_fence& fence) {
  // Of the same queue: what was submitted before is before, and each recording begins with a
  // barrier.
  if (fence.timeline == timeline_.c()) return {};
  const sluice_timeline_api& api = *host_.timelines();
  const int32_t status = api.status(fence.timeline, fence.point);
  if (status == 1) return {};
  int32_t code = status < 0 ? status : SLUICE_E_NOT_SUBMITTED;
  if (status == 0 && device_->info().external.import_sync_fd) {
    int32_t fd = -1;
    const int32_t given = api.to_sync_file(fence.timeline, fence.point, &fd);
    if (given >= 0) return fd < 0 ? Status{} : AwaitFile(island, sdk::UniqueFd(fd));
    code = given;
  }
  // A GPU never waits for a host timeline: the engine fires an island after that has signalled.
  return Fail(code, "a frame whose fence has not signalled and has no sync_file (point " +
                        std::to_string(fence.point) + ")");
}

Status VulkanDomain::Await(Island& island, const sluice_fence& fence) {
  if (fence.kind == SLUICE_FENCE_SIGNALLED) return {};
  if (fence.kind == SLUICE_FENCE_TIMELINE) return AwaitTimeline(island, fence);
  if (!device_->info().external.import_sync_fd) {
    const auto status = StatusOfFile(fence.fd);
    if (!status) return tl::unexpected(status.error());
    if (*status == 1) return {};
    return Fail(SLUICE_E_UNSUPPORTED,
                "a sync_file that has not signalled: this device cannot wait for one");
  }
  sdk::UniqueFd file = sdk::UniqueFd::Dup(fence.fd);
  if (!file) {
    return Fail(SLUICE_E_INVALID_ARGUMENT, "the sync_file " + std::to_string(fence.fd) +
                                               " of a frame: " + std::strerror(errno));
  }
  return AwaitFile(island, std::move(file));
}

// Only for those that the CPU is to read itself. CollectFences has seen that all of it can be had.
Status VulkanDomain::AwaitOnHost(const sluice_frame* frame, uint32_t sync) {
  const sluice_fence fence = host_.frames()->acquire_fence(frame);
  if (fence.kind == SLUICE_FENCE_SYNC_FILE) {
    if (Status s = WaitForFile(fence.fd); !s) return s;
  }
  if (fence.kind == SLUICE_FENCE_TIMELINE && fence.timeline == timeline_.c()) {
    if (Status s = queue_->WaitFor(fence.point, std::chrono::steady_clock::now() + kOwnWait); !s)
      return s;
  }
  int32_t fd = -1;
  if (fence.kind == SLUICE_FENCE_TIMELINE && fence.timeline != timeline_.c() &&
      host_.timelines()->status(fence.timeline, fence.point) != 1) {
    const int32_t code = host_.timelines()->to_sync_file(fence.timeline, fence.point, &fd);
    if (code < 0) return Fail(code, "a frame whose fence has not signalled and has no sync_file");
    const sdk::UniqueFd file(fd);
    if (file) {
      if (Status s = WaitForFile(file.get()); !s) return s;
    }
  }
  if ((sync & SLUICE_SYNC_IMPLICIT) == 0) return {};
  fd = -1;
  const int32_t code = host_.memory()->export_sync_file(frame, SLUICE_ACCESS_READ, &fd);
  if (code < 0) return Fail(code, "the implicit fences of a frame cannot be had");
  const sdk::UniqueFd file(fd);
  return file ? WaitForFile(file.get()) : Status{};
}

Status VulkanDomain::AwaitImplicit(Island& island, const sluice_frame* frame, uint32_t access) {
  int32_t fd = -1;
  const int32_t code = host_.memory()->export_sync_file(frame, access, &fd);
  if (code < 0) return Fail(code, "the implicit fences of a frame cannot be had");
  return fd < 0 ? Status{} : AwaitFile(island, sdk::UniqueFd(fd));
}

Status VulkanDomain::CollectFences(Island& island, const sluice_batch& batch) {
  island.waiting.clear();
  const sluice_frame_api& api = *host_.frames();
  for (uint32_t i = 0; i < batch.input_count; ++i) {
    const sluice_fence fence = api.acquire_fence(batch.inputs[i]);
    const size_t first = island.waiting.size();
    if (Status s = Await(island, fence); !s) return s;
    if (island.input_borders[i].brought) HandToTransfer(island, fence, first);
    if ((island.input_borders[i].port.sync & SLUICE_SYNC_IMPLICIT) == 0) continue;
    // A reader waits for writers.
    if (Status s = AwaitImplicit(island, batch.inputs[i], SLUICE_ACCESS_READ); !s) return s;
  }
  sluice_fence fences[kMaxReleaseFences];
  for (uint32_t i = 0; i < batch.output_count; ++i) {
    const uint32_t count = std::min(api.release_fences(batch.outputs[i], fences, kMaxReleaseFences),
                                    kMaxReleaseFences);
    for (uint32_t f = 0; f < count; ++f) {
      if (Status s = Await(island, fences[f]); !s) return s;
    }
    if ((island.output_borders[i].port.sync & SLUICE_SYNC_IMPLICIT) == 0) continue;
    // A writer waits for everybody.
    if (Status s = AwaitImplicit(island, batch.outputs[i], SLUICE_ACCESS_WRITE); !s) return s;
  }
  return {};
}

void VulkanDomain::ShowEnd(Island& island, const sluice_batch& batch, uint64_t point,
                           VkSemaphore signal) {
  if (signal == VK_NULL_HANDLE) return;
  auto file = island.gpu->signals.Export(signal);
  bool shown = file.has_value();
  if (shown && *file && island.implicit) {
    const sluice_memory_api& memory = *host_.memory();
    for (uint32_t i = 0; i < batch.input_count; ++i) {
      // A reader's fence: only later writers wait.
      if ((island.input_borders[i].port.sync & SLUICE_SYNC_IMPLICIT) != 0)
        shown &= memory.import_sync_file(batch.inputs[i], SLUICE_ACCESS_READ, file->get()) >= 0;
    }
    for (uint32_t i = 0; i < batch.output_count; ++i) {
      if ((island.output_borders[i].port.sync & SLUICE_SYNC_IMPLICIT) != 0)
        shown &= memory.import_sync_file(batch.outputs[i], SLUICE_ACCESS_WRITE, file->get()) >= 0;
    }
  }
  if (!shown) {
    // It was submitted, and those without our timeline cannot see its end: wait, this once.
    host_.Log(SLUICE_LOG_ERROR, kDomain, "%s: no sync_file for a submission: waited for instead",
              island.name.c_str());
    (void)queue_->WaitIdle(std::chrono::steady_clock::now() + kLastResort);
  }
  if (file) files_.Put(point, std::move(*file));
}

bool VulkanDomain::IsCopiedOut(uint64_t point) {
  std::lock_guard<std::mutex> lock(copies_mutex_);
  return std::any_of(copies_.begin(), copies_.end(),
                     [point](const CopyOut& copy) { return copy.point == point; });
}

/// A point that nobody was expected to want as a file: an empty submission behind it.
Result<sdk::UniqueFd> VulkanDomain::ExportPoint(uint64_t point) {
  const std::lock_guard<std::mutex> lock(exports_mutex_);
  auto semaphore = exports_->Take(queue_->completed());
  if (!semaphore) return tl::unexpected(semaphore.error());
  const auto nothing = [](uint64_t) {};
  auto behind = queue_->Submit({VK_NULL_HANDLE, point, {}, *semaphore}, nothing, nothing);
  if (!behind) {
    exports_->NotSubmitted();
    return tl::unexpected(behind.error());
  }
  exports_->Submitted(*behind);
  return exports_->Export(*semaphore);
}

// Called by the host, from any thread.
int32_t VulkanDomain::ToSyncFile(void* self, uint64_t point, int32_t* fd) {
  auto& domain = *static_cast<VulkanDomain*>(self);
  *fd = -1;
  if (point <= domain.announced_.load()) return SLUICE_OK;
  if (point > domain.queue_->submitted()) return SLUICE_E_NOT_SUBMITTED;
  // The CPU finishes it after the device.
  if (domain.IsCopiedOut(point)) return SLUICE_E_UNSUPPORTED;
  sdk::UniqueFd file = domain.files_.Get(point);
  if (!file) {
    if (domain.ExportWouldWait()) return SLUICE_E_NOT_SUBMITTED;
    auto made = domain.ExportPoint(point);
    if (!made) return made.error().code;
    file = std::move(*made);
  }
  *fd = file.release();
  return SLUICE_OK;
}

}  // namespace sluice::vulkan
