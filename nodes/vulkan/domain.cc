#include "nodes/vulkan/domain.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>

namespace sluice::vulkan {
namespace {

constexpr std::chrono::seconds kLastWait{2};

sdk::Status ToStatus(const Error& error) { return sdk::Status(error.code, error.message); }

bool FromEnvironment(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr && std::strcmp(value, "1") == 0;
}

void CopyText(char* to, size_t size, const std::string& from) {
  std::snprintf(to, size, "%s", from.c_str());
}

}  // namespace

VulkanDomain::VulkanDomain(const sdk::Host& host, std::unique_ptr<Device> device)
    : host_(host), device_(std::move(device)) {}

sdk::Expected<std::unique_ptr<VulkanDomain>> VulkanDomain::Create(const sdk::Host& host,
                                                                  const sdk::Params& params) {
  DeviceOptions options = DeviceOptionsFromEnvironment();
  options.selector = params.String("device");
  auto device = Device::Create(options);
  if (!device) return ToStatus(device.error());
  std::unique_ptr<VulkanDomain> domain(new VulkanDomain(host, std::move(*device)));
  if (sdk::Status status = domain->Open(); !status.ok()) return status;
  return domain;
}

sdk::Status VulkanDomain::Open() {
  force_staging_ = FromEnvironment("SLUICE_VULKAN_FORCE_STAGING");
  static constexpr sluice_timeline_ops kWithFiles = {sizeof(sluice_timeline_ops), 0, nullptr,
                                                     &VulkanDomain::ToSyncFile};
  const bool files = device_->info().external.export_sync_fd;
  auto timeline = sdk::Timeline::Create(host_, device_->info().name.c_str(),
                                        files ? &kWithFiles : nullptr, files ? this : nullptr);
  if (!timeline.ok()) return timeline.status();
  timeline_ = *std::move(timeline);
  auto kernels = KernelModule::CreateBuiltin(*device_);
  if (!kernels) return ToStatus(kernels.error());
  kernels_ = std::move(*kernels);
  imports_ = std::make_unique<ImportCache>(*device_);
  staging_ = std::make_unique<StagingPool>(*device_);
  exports_ = std::make_unique<SemaphoreRing>(*device_, SemaphoreRing::Use::kSignal);
  auto queue = Queue::Create(*device_, {[this](uint64_t point) { OnCompleted(point); },
                                        [this](uint64_t first, uint64_t last, const Error& error) {
                                          OnLost(first, last, error);
                                        }});
  if (!queue) return ToStatus(queue.error());
  queue_ = std::move(*queue);
  return {};
}

VulkanDomain::~VulkanDomain() {
  if (queue_ != nullptr) {
    const Status idle = queue_->WaitIdle(std::chrono::steady_clock::now() + kLastWait);
    if (!idle && idle.error().code == SLUICE_E_TIMEOUT) Abandon();
  }
  queue_.reset();
  if (device_ == nullptr) return;
  if (device_->validating() && device_->validation_messages() > 0) {
    host_.Log(SLUICE_LOG_ERROR, kDomain, "%u validation messages", device_->validation_messages());
  }
}

// A fence of another driver never came. Destroying what the device still uses is undefined, and
// drivers wait in vkDestroyDevice: the process goes on without it.
void VulkanDomain::Abandon() {
  queue_->Abandon();
  // Frames that wait for it may outlive the domain: their fences end here, as failed.
  OnLost(announced_.load() + 1, queue_->submitted(),
         Error{SLUICE_E_DEVICE_LOST, device_->info().name +
                                         " is not done with its submissions: it is left as it is "
                                         "until the process ends"});
  const std::lock_guard<std::mutex> lock(mutex_);
  (void)new std::deque<Forgotten>(std::move(forgotten_));
  (void)exports_.release();
  (void)staging_.release();
  (void)imports_.release();
  (void)kernels_.release();
  (void)device_.release();
}

uint32_t VulkanDomain::views() const {
  const DeviceInfo& info = device_->info();
  return (info.import_alignment > 0 ? SLUICE_VIEW_SHM : 0) |
         (info.external.import_dmabuf ? SLUICE_VIEW_DMABUF : 0);
}

sdk::Status VulkanDomain::Describe(sluice_domain_info& out) const {
  const DeviceInfo& info = device_->info();
  out = {};
  CopyText(out.device_name, sizeof out.device_name, info.name);
  CopyText(out.driver, sizeof out.driver, info.driver);
  std::copy(info.uuid.begin(), info.uuid.end(), out.device_uuid);
  out.views = views();
  out.base_multiple = static_cast<uint32_t>(std::max<uint64_t>(info.import_alignment, 1));
  out.size_multiple = out.base_multiple;
  out.offset_multiple = kStrideMultiple;
  out.is_software = device_->is_software() ? 1 : 0;
  return {};
}

void VulkanDomain::OnCompleted(uint64_t point) {
  for (;;) {
    CopyOut copy{};
    {
      std::lock_guard<std::mutex> lock(copies_mutex_);
      if (copies_.empty() || copies_.front().point > point) break;
      copy = copies_.front();
      copies_.pop_front();
    }
    std::memcpy(copy.to, copy.from, copy.bytes);
  }
  announced_.store(point);
  BuryForgotten(point);
  files_.Completed(point);
  timeline_.Signal(point);
}

void VulkanDomain::BuryForgotten(uint64_t point) {
  std::lock_guard<std::mutex> lock(forgotten_mutex_);
  std::erase_if(forgotten_, [point](const Forgotten& f) { return f.until <= point; });
}

void VulkanDomain::OnLost(uint64_t first, uint64_t last, const Error& error) {
  host_.Log(SLUICE_LOG_ERROR, kDomain, "%s", error.message.c_str());
  for (uint64_t point = first; point <= last; ++point) timeline_.Fail(point, error.code);
  files_.Completed(last);
  timeline_.Signal(last);
}

void VulkanDomain::ForgetPool(uint32_t pool, uint32_t epoch) {
  std::lock_guard<std::mutex> lock(mutex_);
  std::vector<Import> taken = imports_->TakePool(pool, epoch);
  if (taken.empty()) return;
  const uint64_t until = queue_->submitted();
  // Locked before the look at announced_: the waiter, who sets it first, then finds the entry.
  std::lock_guard<std::mutex> forgotten_lock(forgotten_mutex_);
  if (announced_.load() < until) forgotten_.push_back({until, std::move(taken)});
}

size_t VulkanDomain::imports() const {
  std::lock_guard<std::mutex> lock(mutex_);
  size_t count = imports_->size();
  std::lock_guard<std::mutex> forgotten_lock(forgotten_mutex_);
  for (const Forgotten& f : forgotten_) count += f.imports.size();
  return count;
}

sdk::Status VulkanDomain::WaitIdle(int64_t deadline_ns) {
  const std::chrono::steady_clock::time_point deadline{std::chrono::nanoseconds(deadline_ns)};
  if (Status s = queue_->WaitIdle(deadline); !s) return ToStatus(s.error());
  return {};
}

}  // namespace sluice::vulkan
