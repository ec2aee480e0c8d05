#include "tests/integration/plugin/work.h"

#include <fcntl.h>
#include <linux/ioctl.h>
#include <linux/types.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cstring>
#include <set>

namespace sluice::probe {
namespace {

// drivers/dma-buf/sw_sync.c; in no header.
struct SwSyncCreateFence {
  __u32 value;
  char name[32];
  __s32 fence;
};
#define SW_SYNC_CREATE_FENCE _IOWR('W', 0, SwSyncCreateFence)
#define SW_SYNC_INC _IOW('W', 1, __u32)
constexpr char kSwSync[] = "/sys/kernel/debug/sync/sw_sync";

struct Gates {
  std::mutex mutex;
  std::condition_variable changed;
  std::set<std::string> open;
};
Gates& AllGates() {
  static Gates gates;
  return gates;
}

}  // namespace

void OpenGate(const std::string& name) {
  std::lock_guard lock(AllGates().mutex);
  AllGates().open.insert(name);
  AllGates().changed.notify_all();
}

bool IsOpen(const std::string& name) {
  std::lock_guard lock(AllGates().mutex);
  return AllGates().open.contains(name);
}

Device::Device(const sdk::Host& host, const char* name, Fences fences, uint32_t lag)
    : fences_(fences), lag_(lag) {
  if (fences_ == Fences::kKernel) {
    sw_sync_ = open(kSwSync, O_RDWR | O_CLOEXEC);
  } else {
    auto timeline = sdk::Timeline::Create(host, name);
    timeline_ = std::move(*timeline);
  }
  thread_ = std::thread([this] { Run(); });
}

Device::~Device() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  {
    std::lock_guard lock(AllGates().mutex);
    AllGates().changed.notify_all();
  }
  thread_.join();
  // Nobody may be left waiting for a device that is gone; the kernel's end with their fd.
  if (timeline_) timeline_.Signal(next_);
  if (fence_ >= 0) close(fence_);
  if (sw_sync_ >= 0) close(sw_sync_);
}

sdk::Fence Device::Submit(const std::string& how, std::function<bool()> check) {
  const uint64_t point = ++next_;
  if (timeline_) timeline_.Submitted(point);
  const sdk::Fence fence =
      timeline_ ? sdk::Fence::At(timeline_, point) : KernelFence(point, how);
  if (how == "never") return fence;
  std::lock_guard lock(mutex_);
  work_.push_back({point, how, std::move(check)});
  changed_.notify_all();
  return fence;
}

sdk::Fence Device::KernelFence(uint64_t point, const std::string& how) {
  if (fence_ >= 0) close(fence_);
  SwSyncCreateFence request{};
  request.value = static_cast<__u32>(point);
  std::strncpy(request.name, "probe", sizeof request.name - 1);
  // A sw_sync timeline that ends fails the fences that it still owes.
  const int timeline = how == "fail" ? open(kSwSync, O_RDWR | O_CLOEXEC) : sw_sync_;
  const int result = ioctl(timeline, SW_SYNC_CREATE_FENCE, &request);
  if (how == "fail") close(timeline);
  fence_ = result == 0 ? request.fence : -1;
  return sdk::Fence::SyncFile(fence_);
}

bool Device::torn() const {
  std::lock_guard lock(mutex_);
  return torn_;
}

void Device::Run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return stopping_ || work_.size() > lag_; });
    if (work_.empty()) return;
    Work work = std::move(work_.front());
    work_.pop_front();
    lock.unlock();
    End(work);
    lock.lock();
  }
}

void Device::End(const Work& work) {
  if (work.how.starts_with("gate:")) {
    Gates& gates = AllGates();
    std::unique_lock lock(gates.mutex);
    gates.changed.wait(lock,
                       [&] { return stopping_ || gates.open.contains(work.how.substr(5)); });
  }
  if (work.check && !work.check()) {
    std::lock_guard lock(mutex_);
    torn_ = true;
  }
  if (timeline_) {
    if (work.how == "fail") timeline_.Fail(work.point, SLUICE_E_DEVICE_LOST);
    timeline_.Signal(work.point);
    return;
  }
  const __u32 one = 1;
  ioctl(sw_sync_, SW_SYNC_INC, &one);
}

}  // namespace sluice::probe
