#include "nodes/vulkan/profiler.h"

#include <linux/dma-buf.h>
#include <sluice/domain.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "nodes/vulkan/meter.h"

namespace sluice::vulkan {
namespace {

constexpr char kDomain[] = "vulkan";
/// Read and written by one pass of a copy: well beyond the caches of a large GPU, and of a CPU.
constexpr uint64_t kDefaultBytes = 512 << 20;
constexpr uint64_t kSoftwareBytes = 128 << 20;
/// A 2160p frame of four bytes a pixel.
constexpr uint64_t kFrameBytes = 32 << 20;
constexpr uint64_t kLeastBytes = 64 << 10;
constexpr uint32_t kPasses = 2;
constexpr int kCpuRounds = 7;

using Buffers = std::vector<Memory>;
using Names = std::vector<const char*>;

/// Shared memory as nodes have it.
class SharedPages {
 public:
  static Result<SharedPages> Create(uint64_t bytes) {
    SharedPages pages;
    pages.fd_.reset(memfd_create("sluice-profile", MFD_CLOEXEC));
    if (!pages.fd_ || ftruncate(pages.fd_.get(), static_cast<off_t>(bytes)) != 0) {
      return Fail(SLUICE_E_RESOURCE_EXHAUSTED, std::string("memfd: ") + std::strerror(errno));
    }
    if (Status s = pages.Map(bytes); !s) return tl::unexpected(s.error());
    std::memset(pages.data_, 1, bytes);
    return pages;
  }
  /// Of a dma-buf.
  static Result<SharedPages> MapReadOnly(sdk::UniqueFd fd, uint64_t bytes) {
    SharedPages pages;
    pages.fd_ = std::move(fd);
    if (Status s = pages.Map(bytes, PROT_READ); !s) return tl::unexpected(s.error());
    return pages;
  }
  SharedPages() = default;
  ~SharedPages() {
    if (data_ != nullptr) munmap(data_, bytes_);
  }
  SharedPages(SharedPages&& other) noexcept
      : fd_(std::move(other.fd_)),
        data_(std::exchange(other.data_, nullptr)),
        bytes_(std::exchange(other.bytes_, 0)) {}
  SharedPages& operator=(SharedPages&&) = delete;
  uint8_t* data() const { return data_; }
  int fd() const { return fd_.get(); }

 private:
  Status Map(uint64_t bytes, int access = PROT_READ | PROT_WRITE) {
    void* mapped = mmap(nullptr, bytes, access, MAP_SHARED, fd_.get(), 0);
    if (mapped == MAP_FAILED) {
      return Fail(SLUICE_E_RESOURCE_EXHAUSTED, std::string("mmap: ") + std::strerror(errno));
    }
    data_ = static_cast<uint8_t*>(mapped);
    bytes_ = bytes;
    return {};
  }
  sdk::UniqueFd fd_;
  uint8_t* data_ = nullptr;
  uint64_t bytes_ = 0;
};

/// All measurements of one device. Each makes figures of its own; one that cannot be had is a
/// figure with a note.
class Measuring {
 public:
  Measuring(const Device& device, uint64_t bytes) : device_(device) {
    if (bytes == 0) bytes = device.is_software() ? kSoftwareBytes : kDefaultBytes;
    frame_ = std::min({kFrameBytes, device.info().max_buffer_range, bytes / 2});
    frame_ = std::max(frame_ / kLeastBytes * kLeastBytes, kLeastBytes);
    count_ = static_cast<uint32_t>(std::max<uint64_t>(bytes / 2 / frame_, 1));
  }

  Result<sdk::MeasuredDevice> Run() {
    const DeviceInfo& info = device_.info();
    out_.domain = kDomain;
    out_.name = info.name;
    // As long as the domain's description can have it.
    out_.driver = info.driver.substr(0, sizeof(sluice_domain_info::driver) - 1);
    std::copy(info.uuid.begin(), info.uuid.end(), out_.uuid);
    out_.is_software = device_.is_software();
    if (Status s = Prepare(); !s) return tl::unexpected(s.error());
    Status fatal;
    for (const auto step :
         {&Measuring::DeviceMemory, &Measuring::HostMemory, &Measuring::TransferQueue,
          &Measuring::MappedByCpu, &Measuring::Submissions}) {
      if (fatal = (this->*step)(); !fatal) break;
    }
    if (!fatal) {
      // What a lost or silent device uses cannot be taken away from it.
      Leave();
      return tl::unexpected(fatal.error());
    }
    return std::move(out_);
  }

 private:
  uint64_t bytes() const { return frame_ * count_; }

  void Add(const char* name, const char* unit, double value, std::string note) {
    out_.figures.push_back({name, unit, value, std::move(note)});
  }
  void Skip(const Names& names, const std::string& reason) {
    for (const char* name : names) Add(name, SLUICE_UNIT_BYTES_PER_SECOND, 0, reason);
  }
  /// Errors that end all measuring stay errors; others are the reason why a figure is missing.
  Status SkipUnlessFatal(const Names& names, const Error& error) {
    const bool fatal = error.code == SLUICE_E_DEVICE_LOST || error.code == SLUICE_E_TIMEOUT;
    if (fatal) return tl::unexpected(error);
    Skip(names, error.message);
    return {};
  }

  Status Prepare() {
    auto meter = Meter::Create(device_, device_.queue(), device_.queue_family(),
                               device_.info().timestamp_ns > 0);
    if (!meter) return tl::unexpected(meter.error());
    meter_ = std::move(*meter);
    auto kernel = TrafficKernel::Create(device_, 4 * count_ + 1);
    if (!kernel) return tl::unexpected(kernel.error());
    kernel_ = std::move(*kernel);
    for (Buffers* ring : {&from_, &to_}) {
      auto made = MakeRing([&](uint32_t) { return Memory::AllocateDevice(device_, frame_); });
      if (!made) return tl::unexpected(made.error());
      *ring = std::move(*made);
    }
    return {};
  }

  template <typename Make>
  Result<Buffers> MakeRing(const Make& make) const {
    Buffers ring;
    for (uint32_t i = 0; i < count_; ++i) {
      auto memory = make(i);
      if (!memory) return tl::unexpected(memory.error());
      ring.push_back(std::move(*memory));
    }
    return ring;
  }

  Result<std::vector<VkDescriptorSet>> BindAll(const Buffers& from, const Buffers& to) {
    std::vector<VkDescriptorSet> pairs;
    for (uint32_t i = 0; i < count_; ++i) {
      auto pair = kernel_->Bind(from[i], to[i]);
      if (!pair) return tl::unexpected(pair.error());
      pairs.push_back(*pair);
    }
    return pairs;
  }

  /// Seconds for all buffers once.
  Result<double> TimeKernel(Traffic traffic, const std::vector<VkDescriptorSet>& pairs) {
    auto seconds = meter_->Time([&](VkCommandBuffer commands) {
      for (uint32_t pass = 0; pass < kPasses; ++pass) {
        if (pass > 0) RecordBarrier(device_, commands);
        for (VkDescriptorSet pair : pairs) kernel_->Record(commands, traffic, pair, frame_);
      }
    });
    if (seconds) *seconds /= kPasses;
    return seconds;
  }

  Status DeviceMemory() {
    // Written before it is read: memory that nobody has written may be no memory.
    const auto back = BindAll(to_, from_);
    if (!back) return tl::unexpected(back.error());
    if (auto written = TimeKernel(Traffic::kWrite, *back); !written) {
      return tl::unexpected(written.error());
    }
    const auto forth = BindAll(from_, to_);
    if (!forth) return tl::unexpected(forth.error());
    const auto seconds = TimeKernel(Traffic::kCopy, *forth);
    if (!seconds) return tl::unexpected(seconds.error());
    Add(SLUICE_FIGURE_MEMORY, SLUICE_UNIT_BYTES_PER_SECOND,
        2 * static_cast<double>(bytes()) / *seconds, "read and written by a kernel that copies");
    return {};
  }

  /// Imported where the device can do that; else what it copies by way of.
  Status MakeHostRing() {
    auto pages = SharedPages::Create(bytes());
    if (pages) {
      auto imported = MakeRing([&](uint32_t i) {
        return Memory::ImportHost(device_, pages->data() + i * frame_, frame_);
      });
      if (imported) {
        pages_ = std::make_unique<SharedPages>(std::move(*pages));
        host_ = std::move(*imported);
        host_note_ = "shared memory by host pointer";
        return {};
      }
      host_note_ = imported.error().message;
    } else {
      host_note_ = pages.error().message;
    }
    auto staging = MakeRing([&](uint32_t) {
      auto memory = Memory::AllocateHostVisible(device_, frame_);
      if (memory) std::memset(memory->mapped(), 1, frame_);
      return memory;
    });
    if (!staging) return tl::unexpected(staging.error());
    host_ = std::move(*staging);
    host_note_ = "staging memory (" + host_note_ + ")";
    return {};
  }

  Status HostMemory() {
    const Names names = {SLUICE_FIGURE_HOST_READ, SLUICE_FIGURE_HOST_WRITE};
    if (Status s = MakeHostRing(); !s) return SkipUnlessFatal(names, s.error());
    const auto reads = BindAll(host_, to_);
    const auto writes = BindAll(from_, host_);
    if (!reads) return SkipUnlessFatal(names, reads.error());
    if (!writes) return SkipUnlessFatal(names, writes.error());
    const auto read = TimeKernel(Traffic::kRead, *reads);
    if (!read) return tl::unexpected(read.error());
    Add(SLUICE_FIGURE_HOST_READ, SLUICE_UNIT_BYTES_PER_SECOND, static_cast<double>(bytes()) / *read,
        "a kernel reads " + host_note_);
    const auto written = TimeKernel(Traffic::kWrite, *writes);
    if (!written) return tl::unexpected(written.error());
    Add(SLUICE_FIGURE_HOST_WRITE, SLUICE_UNIT_BYTES_PER_SECOND,
        static_cast<double>(bytes()) / *written, "a kernel writes " + host_note_);
    return {};
  }

  Status TransferQueue() {
    const Names names = {"copy-in", "copy-out"};
    if (host_.empty()) {
      Skip(names, "no host memory that it reaches");
      return {};
    }
    const Device::TransferQueue& transfer = device_.transfer();
    std::string note = ", vkCmdCopyBuffer on the queue of kernels: there is none for transfers";
    Meter* meter = meter_.get();
    if (transfer.queue != VK_NULL_HANDLE) {
      // By the CPU's clock: queries cannot be reset on such a queue.
      auto made = Meter::Create(device_, transfer.queue, transfer.family, false);
      if (!made) return SkipUnlessFatal(names, made.error());
      transfer_meter_ = std::move(*made);
      meter = transfer_meter_.get();
      note = ", vkCmdCopyBuffer on a queue for transfers";
    }
    for (const bool in : {true, false}) {
      const Buffers& source = in ? host_ : from_;
      const Buffers& target = in ? to_ : host_;
      // Another family than the kernels': what was in the memory is undefined now, and of no
      // matter.
      const auto seconds = meter->Time([&](VkCommandBuffer commands) {
        for (uint32_t pass = 0; pass < kPasses; ++pass) {
          if (pass > 0) RecordBarrier(device_, commands);
          RecordCopies(commands, source, target);
        }
      });
      if (!seconds) return tl::unexpected(seconds.error());
      Add(in ? "copy-in" : "copy-out", SLUICE_UNIT_BYTES_PER_SECOND,
          static_cast<double>(bytes()) * kPasses / *seconds, host_note_ + note);
    }
    return {};
  }

  void RecordCopies(VkCommandBuffer commands, const Buffers& source, const Buffers& target) const {
    const VkBufferCopy region{0, 0, frame_};
    for (uint32_t i = 0; i < count_; ++i) {
      device_.vk().vkCmdCopyBuffer(commands, source[i].buffer(), target[i].buffer(), 1, &region);
    }
  }

  /// The CPU copies out of a dma-buf of the device, as it does for a frame in the device's memory.
  Status MappedByCpu() {
    const Names names = {SLUICE_FIGURE_CPU_COPY};
    auto memory = Memory::AllocateExportable(device_, frame_);
    if (!memory) return SkipUnlessFatal(names, memory.error());
    auto fd = memory->ExportDmabuf();
    if (!fd) return SkipUnlessFatal(names, fd.error());
    const auto mapped = SharedPages::MapReadOnly(std::move(*fd), frame_);
    if (!mapped) return SkipUnlessFatal(names, mapped.error());
    std::vector<uint8_t> to(frame_);
    std::vector<double> seconds;
    for (int round = 0; round <= kCpuRounds; ++round) {
      const auto began = std::chrono::steady_clock::now();
      if (!Bracket(mapped->fd(), DMA_BUF_SYNC_START)) return SkipErrno(names);
      std::memcpy(to.data(), mapped->data(), frame_);
      // Nobody reads it: without this the copy might be left out.
      asm volatile("" : : "r"(to.data()) : "memory");
      if (!Bracket(mapped->fd(), DMA_BUF_SYNC_END)) return SkipErrno(names);
      const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
      if (round > 0) seconds.push_back(std::max(took.count(), 1e-9));
    }
    std::nth_element(seconds.begin(), seconds.begin() + kCpuRounds / 2, seconds.end());
    Add(SLUICE_FIGURE_CPU_COPY, SLUICE_UNIT_BYTES_PER_SECOND,
        static_cast<double>(frame_) / seconds[kCpuRounds / 2],
        "by the CPU out of a dma-buf of the device, mapped, into cached memory");
    return {};
  }

  static bool Bracket(int fd, uint64_t which) {
    dma_buf_sync sync{which | DMA_BUF_SYNC_READ};
    int result = 0;
    do {
      result = ioctl(fd, DMA_BUF_IOCTL_SYNC, &sync);
    } while (result < 0 && (errno == EINTR || errno == EAGAIN));
    return result == 0;
  }
  Status SkipErrno(const Names& names) {
    Skip(names, std::string("DMA_BUF_IOCTL_SYNC: ") + std::strerror(errno));
    return {};
  }

  Status Submissions() {
    auto pair = kernel_->Bind(to_[0], from_[0]);
    if (!pair) return tl::unexpected(pair.error());
    const auto found = meter_->TimeSubmissions([&](VkCommandBuffer commands) {
      kernel_->Record(commands, Traffic::kWrite, *pair, TrafficKernel::kMultiple);
    });
    if (!found) return tl::unexpected(found.error());
    Add(SLUICE_FIGURE_SUBMISSION, SLUICE_UNIT_NANOSECONDS, found->cpu_ns,
        "of the CPU, for a recorded command buffer");
    Add("round-trip", SLUICE_UNIT_NANOSECONDS, found->round_trip_ns,
        "from its submission until it is seen to be done");
    return {};
  }

  void Leave() {
    (void)new Buffers(std::move(from_));
    (void)new Buffers(std::move(to_));
    (void)new Buffers(std::move(host_));
    (void)pages_.release();
    (void)kernel_.release();
    (void)transfer_meter_.release();
    (void)meter_.release();
  }

  const Device& device_;
  uint64_t frame_ = 0;
  uint32_t count_ = 0;
  sdk::MeasuredDevice out_;
  std::unique_ptr<SharedPages> pages_;  // before what is imported from it
  Buffers from_;
  Buffers to_;
  Buffers host_;
  std::string host_note_;
  std::unique_ptr<TrafficKernel> kernel_;
  std::unique_ptr<Meter> meter_;
  std::unique_ptr<Meter> transfer_meter_;
};

}  // namespace

Result<sdk::MeasuredDevice> MeasureDevice(const Device& device, uint64_t bytes) {
  return Measuring(device, bytes).Run();
}

void Profiler::Measure(sdk::Measurements& measurements) {
  auto devices = ListDevices();
  if (!devices) return measurements.Problem(std::string(kDomain) + ": " + devices.error().message);
  std::vector<DeviceInfo> chosen;
  if (measurements.device().empty()) {
    std::copy_if(devices->begin(), devices->end(), std::back_inserter(chosen),
                 [](const DeviceInfo& info) { return info.usable; });
  } else {
    const auto at = ChooseDevice(*devices, measurements.device());
    if (!at) return measurements.Problem(std::string(kDomain) + ": " + at.error().message);
    chosen.push_back((*devices)[*at]);
  }
  for (const DeviceInfo& info : chosen) {
    DeviceOptions options = DeviceOptionsFromEnvironment();
    options.selector = std::to_string(info.index);
    options.transfer_queue = true;
    auto device = Device::Create(options);
    if (!device) {
      measurements.Problem(info.name + ": " + device.error().message);
      continue;
    }
    const auto measured = MeasureDevice(**device, measurements.bytes());
    if (measured) {
      measurements.Add(*measured);
      continue;
    }
    measurements.Problem(info.name + ": " + measured.error().message);
    const int32_t code = measured.error().code;
    // See MeasureDevice: drivers wait for a device that does not answer in vkDestroyDevice.
    if (code == SLUICE_E_DEVICE_LOST || code == SLUICE_E_TIMEOUT) (void)device->release();
  }
}

}  // namespace sluice::vulkan
