#include "engine/sync/sync_file.h"

#include <linux/sync_file.h>
#include <sys/ioctl.h>
#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <utility>

#include <fmt/format.h>

namespace sluice::sync {
namespace {

int Ioctl(int fd, unsigned long request, void* argument) {
  int result = 0;
  do {
    result = ioctl(fd, request, argument);
  } while (result < 0 && (errno == EINTR || errno == EAGAIN));
  return result;
}

tl::unexpected<Error> FailFor(std::string_view what, int fd, int error) {
  if (error == ENOTTY || error == EBADF || error == ENOENT || error == EINVAL) {
    return Fail(Code::kInvalidArgument, fmt::format("fd {} is no sync_file", fd));
  }
  return FailErrno(what, error);
}

// dma_fence_set_error: drivers put there what they like. ENOENT is a timeline that
// ended with its fence still pending.
Code CodeOf(int error) {
  switch (error) {
    case ETIME:
    case ETIMEDOUT:
      return Code::kTimeout;
    case ECANCELED:
      return Code::kCancelled;
    case ENODEV:
    case ENOENT:
    case ENXIO:
      return Code::kDeviceLost;
    case ENOMEM:
      return Code::kResourceExhausted;
    default:
      return Code::kIo;
  }
}

}  // namespace

namespace {

Status QueryFences(int fd, std::vector<sync_fence_info>* fences, int* status) {
  sync_file_info info{};
  info.num_fences = static_cast<uint32_t>(fences->size());
  info.sync_fence_info = reinterpret_cast<uint64_t>(fences->data());
  if (Ioctl(fd, SYNC_IOC_FILE_INFO, &info) != 0) return FailFor("SYNC_IOC_FILE_INFO", fd, errno);
  fences->resize(info.num_fences);
  *status = info.status;
  return {};
}

// The kernel's own sum over several fences says "failed" while others are pending, and
// may say "signalled" where one failed that nobody had polled for.
int SumOf(const std::vector<sync_fence_info>& fences) {
  int sum = 1;
  for (const sync_fence_info& fence : fences) {
    if (fence.status == 0) return 0;
    if (sum == 1) sum = fence.status;
  }
  return sum;
}

}  // namespace

Result<SyncFileState> QuerySyncFile(int fd) {
  std::vector<sync_fence_info> fences(1);
  int status = 0;
  if (!QueryFences(fd, &fences, &status)) {
    // No sync_file, or one of several fences: asked without room, it says how many.
    fences.clear();
    SLUICE_RETURN_IF_ERROR(QueryFences(fd, &fences, &status));
    fences.assign(fences.size(), {});
    SLUICE_RETURN_IF_ERROR(QueryFences(fd, &fences, &status));
    status = SumOf(fences);
  }
  SyncFileState result;
  if (!fences.empty()) {
    const char* driver = fences[0].driver_name;
    result.driver.assign(driver, strnlen(driver, sizeof fences[0].driver_name));
  }
  if (status > 0) result.state = FenceState::kSignalled;
  if (status < 0) {
    result.state = FenceState::kFailed;
    result.error = CodeOf(-status);
  }
  return result;
}

namespace {

Result<UniqueFd> MergeTwo(int first, int second, std::string_view name) {
  sync_merge_data merge{};
  name.copy(merge.name, sizeof merge.name - 1);
  merge.fd2 = second;
  if (Ioctl(first, SYNC_IOC_MERGE, &merge) != 0) {
    const int error = errno;
    return FailFor("SYNC_IOC_MERGE", error == ENOENT ? second : first, error);
  }
  return UniqueFd(merge.fence);
}

}  // namespace

Result<UniqueFd> MergeSyncFiles(std::vector<UniqueFd> sync_files, std::string_view name) {
  UniqueFd all;
  for (UniqueFd& one : sync_files) {
    if (all.valid()) {
      auto merged = MergeTwo(all.get(), one.get(), name);
      if (!merged) return merged;
      one = std::move(*merged);
    }
    all = std::move(one);
  }
  return all;
}

namespace {

/// The one point of an imported sync_file. Owned by its timeline.
struct ImportedSyncFile {
  UniqueFd fd;
  std::weak_ptr<FdWaiter> waiter;  // it keeps us while it waits
  Timeline* timeline = nullptr;
  std::atomic<bool> armed{false};

  /// Tells the timeline what the kernel says. True: the point has passed.
  bool Look() {
    auto now = QuerySyncFile(fd.get());
    if (now && now->state == FenceState::kSubmitted) return false;
    if (!now) {
      Finish(now.error().code);
    } else if (now->state == FenceState::kFailed) {
      Finish(now->error);
    } else {
      timeline->Signal(1);
    }
    return true;
  }

  void Finish(Code error) {
    timeline->Fail(1, error);
    timeline->Signal(1);
  }
};

/// Goes into the waiter, and ends there in one of two ways: called, or not.
class Arrival {
 public:
  Arrival(RefPtr<Timeline> timeline, ImportedSyncFile* file)
      : timeline_(std::move(timeline)), file_(file) {}
  Arrival(const Arrival&) = delete;
  Arrival& operator=(const Arrival&) = delete;
  ~Arrival() {
    // Nobody waits any more: whoever subscribed must hear of it.
    if (!file_->Look()) file_->Finish(Code::kCancelled);
  }

 private:
  RefPtr<Timeline> timeline_;  // keeps file_
  ImportedSyncFile* file_;
};

const TimelineBackend& SyncFileBackend() {
  static const TimelineBackend backend = [] {
    TimelineBackend b;
    b.to_sync_file = [](void* self, uint64_t) {
      return UniqueFd::Duplicate(static_cast<ImportedSyncFile*>(self)->fd.get());
    };
    b.destroy = [](void* self) { delete static_cast<ImportedSyncFile*>(self); };
    b.refresh = [](void* self) { static_cast<ImportedSyncFile*>(self)->Look(); };
    b.arm = [](void* self, uint64_t) {
      auto* file = static_cast<ImportedSyncFile*>(self);
      if (file->armed.exchange(true)) return;
      // Called or dropped, the arrival ends with the closure, and looks then.
      auto arrival = std::make_shared<Arrival>(RefPtr<Timeline>(file->timeline), file);
      auto own = UniqueFd::Duplicate(file->fd.get());
      auto waiter = file->waiter.lock();
      if (!own || !waiter) return;
      waiter->WaitReadable(std::move(*own), [arrival = std::move(arrival)] {});
    };
    return b;
  }();
  return backend;
}

}  // namespace

Result<Fence> ImportSyncFile(UniqueFd sync_file, std::string signaller,
                             const std::shared_ptr<FdWaiter>& waiter) {
  auto now = QuerySyncFile(sync_file.get());
  if (!now) return tl::unexpected(std::move(now).error());
  if (now->state == FenceState::kSignalled) return Fence{};
  auto* file = new ImportedSyncFile;
  file->fd = std::move(sync_file);
  file->waiter = waiter;
  auto timeline = MakeRef<Timeline>(std::move(signaller), &SyncFileBackend(), file);
  file->timeline = timeline.get();
  timeline->Submitted(1);
  file->Look();
  return Fence{std::move(timeline), 1};
}

Result<UniqueFd> ToOneSyncFile(std::span<const Fence> fences, std::string_view name) {
  std::vector<UniqueFd> pending;
  for (const Fence& fence : fences) {
    if (!fence.timeline) continue;
    if (!fence.Passed()) fence.timeline->Refresh();
    const FenceState state = fence.State();
    if (state == FenceState::kSignalled) continue;
    if (state == FenceState::kFailed) {
      return Fail(fence.timeline->ErrorOf(fence.point),
                  fmt::format("the fence of {} failed", fence.timeline->signaller()));
    }
    auto one = fence.timeline->ToSyncFile(fence.point);
    if (!one) return one;
    pending.push_back(std::move(*one));
  }
  return MergeSyncFiles(std::move(pending), name);
}

}  // namespace sluice::sync
