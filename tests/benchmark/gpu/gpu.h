#ifndef SLUICE_TESTS_BENCHMARK_GPU_GPU_H_
#define SLUICE_TESTS_BENCHMARK_GPU_GPU_H_

#include <volk.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

/// A Vulkan of the benchmark's own: yardsticks must not share code with what they measure.
namespace sluice::benchmark {

/// What could not be done, with the call and its place. A benchmark stops at the first one.
class Failure : public std::runtime_error {
  using runtime_error::runtime_error;
};

void CheckVk(VkResult result, const char* call, const char* file, int line);
#define SLUICE_CHECK_VK(call) ::sluice::benchmark::CheckVk((call), #call, __FILE__, __LINE__)

/// Device, one queue for compute, one command pool.
/// Threads: as Vulkan says; Submit() is [thread-safe].
class Gpu {
 public:
  /// `selector`: a part of the device's name, in any case; "" takes a discrete GPU where there is
  /// one. Throws Failure.
  explicit Gpu(const std::string& selector);
  ~Gpu();
  Gpu(const Gpu&) = delete;
  Gpu& operator=(const Gpu&) = delete;

  VkDevice device() const { return device_; }
  VkCommandPool pool() const { return pool_; }
  uint32_t family() const { return family_; }
  const std::string& name() const { return name_; }
  const std::string& driver() const { return driver_; }
  bool is_software() const { return is_software_; }
  bool imports_host_pointers() const { return import_alignment_ != 0; }
  uint64_t import_alignment() const { return import_alignment_; }
  double ns_per_tick() const { return ns_per_tick_; }
  /// Bytes of device memory that this process has, as the driver says; 0 where it does not say.
  uint64_t MemoryUsed() const;

  uint32_t FindMemoryType(uint32_t type_bits, VkMemoryPropertyFlags wanted,
                          VkMemoryPropertyFlags preferred) const;
  void Submit(const VkSubmitInfo2& submit, VkFence fence = VK_NULL_HANDLE);
  /// Submits and waits.
  void Run(VkCommandBuffer commands);

 private:
  void OpenInstance();
  void Choose(const std::string& selector);
  void OpenDevice();

  VkInstance instance_ = VK_NULL_HANDLE;
  VkPhysicalDevice physical_ = VK_NULL_HANDLE;
  VkDevice device_ = VK_NULL_HANDLE;
  VkQueue queue_ = VK_NULL_HANDLE;
  VkCommandPool pool_ = VK_NULL_HANDLE;
  // A ticket for each submission: with a plain mutex, whoever had it last gets it again, and of
  // many threads most starve.
  std::atomic<uint32_t> next_ticket_{0};
  std::atomic<uint32_t> served_{0};
  uint32_t family_ = 0;
  std::string name_;
  std::string driver_;
  bool is_software_ = false;
  bool has_budget_ = false;
  uint64_t import_alignment_ = 0;
  double ns_per_tick_ = 1;
};

/// A storage buffer and its memory.
class Buffer {
 public:
  enum class Place {
    kDevice,
    kUpload,    ///< the CPU writes it
    kReadBack,  ///< the CPU reads it, cached where the device has such memory
  };
  Buffer(Gpu& gpu, uint64_t bytes, Place place);
  /// The pages at `base`, without a copy.
  Buffer(Gpu& gpu, void* base, uint64_t bytes);
  ~Buffer();
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  VkBuffer handle() const { return buffer_; }
  uint64_t bytes() const { return bytes_; }
  uint8_t* mapped() const { return static_cast<uint8_t*>(mapped_); }

 private:
  void Create(const void* next);
  Gpu& gpu_;
  uint64_t bytes_;
  VkBuffer buffer_ = VK_NULL_HANDLE;
  VkDeviceMemory memory_ = VK_NULL_HANDLE;
  void* mapped_ = nullptr;
};

using Buffers = std::vector<std::unique_ptr<Buffer>>;

/// A memfd, mapped.
class SharedPages {
 public:
  explicit SharedPages(uint64_t bytes);
  ~SharedPages();
  SharedPages(const SharedPages&) = delete;
  SharedPages& operator=(const SharedPages&) = delete;
  uint8_t* data() const { return data_; }
  uint64_t bytes() const { return bytes_; }

 private:
  uint8_t* data_ = nullptr;
  uint64_t bytes_;
};

/// A compute pipeline of GLSL text: bindings 0 and 1 are storage buffers, 2 a storage buffer of
/// parameters, 3 a uniform buffer of the same; 128 bytes of push constants.
class Kernel {
 public:
  Kernel(Gpu& gpu, const std::string& glsl, const std::map<std::string, std::string>& macros);
  ~Kernel();
  Kernel(const Kernel&) = delete;
  Kernel& operator=(const Kernel&) = delete;
  VkPipeline pipeline() const { return pipeline_; }
  VkPipelineLayout layout() const { return layout_; }

 private:
  Gpu& gpu_;
  VkDescriptorSetLayout set_ = VK_NULL_HANDLE;
  VkPipelineLayout layout_ = VK_NULL_HANDLE;
  VkPipeline pipeline_ = VK_NULL_HANDLE;
};

/// A command buffer and `queries` timestamps.
class Commands {
 public:
  explicit Commands(Gpu& gpu, uint32_t queries = 0);
  ~Commands();
  Commands(const Commands&) = delete;
  Commands& operator=(const Commands&) = delete;
  VkCommandBuffer handle() const { return commands_; }

  void Begin();
  void End();
  void Timestamp(uint32_t query);
  /// What comes after sees what was written before, by shaders, copies and the CPU.
  void Barrier();
  void Bind(const Kernel& kernel, const std::vector<float>& params);
  /// Of the kernel bound last.
  void Dispatch(const Kernel& kernel, VkBuffer src, VkBuffer dst, VkBuffer params,
                uint32_t groups_x, uint32_t groups_y);
  void Copy(const Buffer& from, const Buffer& to);
  /// Nanoseconds of the device's clock, of the last run.
  std::vector<double> ReadTimestamps() const;

 private:
  Gpu& gpu_;
  VkCommandPool pool_ = VK_NULL_HANDLE;
  VkCommandBuffer commands_ = VK_NULL_HANDLE;
  VkQueryPool query_pool_ = VK_NULL_HANDLE;
  uint32_t queries_;
};

/// A counter that the device raises.
class TimelineSemaphore {
 public:
  explicit TimelineSemaphore(Gpu& gpu);
  ~TimelineSemaphore();
  TimelineSemaphore(const TimelineSemaphore&) = delete;
  TimelineSemaphore& operator=(const TimelineSemaphore&) = delete;
  /// Throws Failure after ten seconds.
  void Wait(uint64_t value) const;
  /// Runs `commands` and then raises the counter to `value`. Does not wait.
  void SubmitAndSignal(VkCommandBuffer commands, uint64_t value);

 private:
  Gpu& gpu_;
  VkSemaphore semaphore_ = VK_NULL_HANDLE;
};

/// Submissions, of which at most so many are under way. Threads: one at a time.
class InFlight {
 public:
  InFlight(Gpu& gpu, uint64_t limit) : done_(gpu), limit_(limit) {}
  /// Waits until one more may be under way.
  void MakeRoom() const {
    if (submitted_ >= limit_) done_.Wait(submitted_ - limit_ + 1);
  }
  /// Does not wait. After MakeRoom().
  void Submit(const Commands& commands) { done_.SubmitAndSignal(commands.handle(), ++submitted_); }
  /// Until all are done.
  void Finish() const { done_.Wait(submitted_); }
  uint64_t submitted() const { return submitted_; }

 private:
  TimelineSemaphore done_;
  const uint64_t limit_;
  uint64_t submitted_ = 0;
};

/// Seconds. Thread: the caller's processor time; Process: of all its threads.
double WallSeconds();
double ThreadSeconds();
double ProcessSeconds();
double Median(std::vector<double> values);

/// How fast the processor under a thread is: one of a virtual machine may be several times slower
/// for seconds, and what is measured on it with it. Sample() on that thread alone.
class Pace {
 public:
  void Reset();
  /// At each sixteenth call times some arithmetic that is always the same.
  void Sample();
  /// Processor time of it, ns: the mean; 0 where there was no sample. [thread-safe]
  double ns() const;
  /// Seconds that the samples took. [thread-safe]
  double spent_s() const { return 1e-9 * static_cast<double>(total_ns_); }

 private:
  uint64_t calls_ = 0;
  std::atomic<uint64_t> samples_{0};
  std::atomic<uint64_t> total_ns_{0};
};

/// Of several streams at a time.
struct Counted {
  double fps = 0;        ///< of all together
  double fairness = 0;   ///< frames of the slowest stream / of the fastest
  double process_s = 0;  ///< of processor time, a frame
};
/// Lets streams that run already run for so many seconds, from when each has had some frames.
/// `frames`: of each stream so far; asked from this thread. Throws Failure when a stream does
/// nothing for twenty seconds.
Counted CountFrames(double seconds, const std::function<std::vector<uint64_t>()>& frames);

}  // namespace sluice::benchmark

#endif  // SLUICE_TESTS_BENCHMARK_GPU_GPU_H_
