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

bool IsOff(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr && std::strcmp(value, "0") == 0;
}

/// Of this process, in the order of their opening. [main-thread]
std::vector<VulkanDomain*>& OpenDomains() {
  static std::vector<VulkanDomain*> domains;
  return domains;
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
  options.transfer_queue = !IsOff("SLUICE_VULKAN_TRANSFER");
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
  fuse_ = !IsOff("SLUICE_VULKAN_FUSE");
  settle_ = !IsOff("SLUICE_VULKAN_SETTLE");
  kernels_ = std::make_unique<KernelLibrary>(*device_, CacheDirectory());
  imports_ = std::make_unique<ImportCache>(*device_);
  staging_ = std::make_unique<StagingPool>(*device_);
  exports_ = std::make_unique<SemaphoreRing>(*device_, SemaphoreRing::Use::kSignal);
  if (Status s = OpenTransfers(); !s) return ToStatus(s.error());
  auto queue = Queue::Create(*device_, {[this](uint64_t point) { OnCompleted(point); },
                                        [this](uint64_t first, uint64_t last, const Error& error) {
                                          OnLost(first, last, error);
                                        }});
  if (!queue) return ToStatus(queue.error());
  queue_ = std::move(*queue);
  static uint64_t serial = 0;
  serial_ = ++serial;
  OpenDomains().push_back(this);
  return {};
}

VulkanDomain* VulkanDomain::FindOpen(const uint8_t* uuid) {
  const std::vector<VulkanDomain*>& domains = OpenDomains();
  const auto found = std::find_if(domains.rbegin(), domains.rend(), [&](const VulkanDomain* open) {
    return uuid == nullptr ||
           std::memcmp(open->device().info().uuid.data(), uuid, VK_UUID_SIZE) == 0;
  });
  return found != domains.rend() ? *found : nullptr;
}

VulkanDomain::~VulkanDomain() {
  std::erase(OpenDomains(), this);
  if (queue_ != nullptr) {
    const auto deadline = std::chrono::steady_clock::now() + kLastWait;
    Status idle = queue_->WaitIdle(deadline);
    for (const auto* transfer : {&transfer_in_, &second_transfer_}) {
      if (idle && *transfer != nullptr)
        idle = (*transfer)->WaitFor((*transfer)->submitted(), deadline);
    }
    if (!idle && idle.error().code == SLUICE_E_TIMEOUT) Abandon();
    // Software Vulkan (Mesa 25.0) lets go of what a submission waited for after it has signalled:
    // a timeline that another queue waited for would be gone before that. All is over: no wait.
    if (idle && transfer_in_ != nullptr) (void)device_->vk().vkDeviceWaitIdle(device_->handle());
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
  // The queue's thread may wait for it.
  if (transfer_in_ != nullptr) transfer_out().Stop();
  queue_->Abandon();
  {
    // Before their submissions are said to be over.
    const std::lock_guard<std::mutex> lock(forgotten_mutex_);
    (void)new std::deque<Forgotten>(std::move(forgotten_));
    forgotten_.clear();
  }
  // Frames that wait for it may outlive the domain: their fences end here, as failed.
  OnLost(announced_.load() + 1, queue_->submitted(),
         Error{SLUICE_E_DEVICE_LOST, device_->info().name +
                                         " is not done with its submissions: it is left as it is "
                                         "until the process ends"});
  const std::lock_guard<std::mutex> lock(mutex_);
  (void)exports_.release();
  (void)transfer_in_.release();
  (void)second_transfer_.release();
  (void)staging_.release();
  (void)imports_.release();
  (void)kernels_.release();
  (void)device_.release();
}

uint32_t VulkanDomain::views() const {
  const DeviceInfo& info = device_->info();
  return (info.import_alignment > 0 ? SLUICE_VIEW_SHM : 0) |
         (info.external.import_dmabuf ? SLUICE_VIEW_DMABUF : 0) | SLUICE_VIEW_DEVICE;
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
  while (const std::optional<CopyOut> copy = NextCopyOut(point)) {
    int32_t error = copy->error;
    if (error == 0 && copy->transfer != 0 && !transfer_out().Await(copy->transfer)) {
      // Abandoned: what the device uses stays, and whoever stopped it fails what is left.
      if (transfer_out().stopped()) return;
      queue_->Lose();
      error = SLUICE_E_DEVICE_LOST;
    }
    if (error == 0) {
      std::memcpy(copy->to, copy->from, copy->bytes);
    } else {
      timeline_.Fail(copy->point, error);
    }
    EndCopyOut();
  }
  EndMappedReads(0, point);
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
  EndMappedReads(0, last);
  {
    std::lock_guard<std::mutex> lock(copies_mutex_);
    copies_.clear();
  }
  if (last < first) return;
  BuryForgotten(last);
  for (uint64_t point = first; point <= last; ++point) timeline_.Fail(point, error.code);
  files_.Completed(last);
  timeline_.Signal(last);
}

void VulkanDomain::ForgetPool(uint32_t pool, uint32_t epoch) {
  std::lock_guard<std::mutex> lock(mutex_);
  ImportCache::Taken taken = imports_->TakePool(pool, epoch);
  // What other islands have under way is of no concern: a mapping goes right after this, and what
  // was imported of it must go first.
  uint64_t until = 0;
  for (const auto& [index, import] : taken) until = std::max(until, import.last_use);
  // Locked before the look at announced_: the waiter, who sets it first, then finds the entry.
  std::lock_guard<std::mutex> forgotten_lock(forgotten_mutex_);
  if (announced_.load() < until && !queue_->lost()) forgotten_.push_back({until, std::move(taken)});
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
