#ifndef SLUICE_SDK_TESTING_FAKE_MEDIA_HPP_
#define SLUICE_SDK_TESTING_FAKE_MEDIA_HPP_

#include <fcntl.h>
#include <linux/udmabuf.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include <sluice/frame.h>
#include <sluice/memory.h>
#include <sluice/status.hpp>

/// Buffers, leases and timelines of the fake host: memfd memory, and a ledger that sees every
/// mistake.
namespace sluice::sdk::testing {

/// Samples of a plane: ceil(width / horizontal) x ceil(height / vertical), `bytes` each.
struct PlaneShape {
  uint32_t horizontal;
  uint32_t vertical;
  uint32_t bytes;
};

inline bool IsCompressed(uint32_t fourcc) {
  return fourcc == SLUICE_FORMAT_MJPG || fourcc == SLUICE_FORMAT_H264 ||
         fourcc == SLUICE_FORMAT_HEVC;
}

/// The planes of a format that the engine lays out; empty for others and for compressed ones.
inline std::vector<PlaneShape> PlanesOf(uint32_t fourcc) {
  switch (fourcc) {
    case SLUICE_FORMAT_YU12:
      return {{1, 1, 1}, {2, 2, 1}, {2, 2, 1}};
    case SLUICE_FORMAT_NV12:
      return {{1, 1, 1}, {2, 2, 2}};
    case SLUICE_FORMAT_NV21:
      return {{1, 1, 1}, {2, 2, 2}};
    case SLUICE_FORMAT_NV16:
      return {{1, 1, 1}, {2, 1, 2}};
    case SLUICE_FORMAT_YUYV:
    case SLUICE_FORMAT_UYVY:
      return {{2, 1, 4}};
    case SLUICE_FORMAT_BG24:
    case SLUICE_FORMAT_RG24:
      return {{1, 1, 3}};
    case SLUICE_FORMAT_RG16:
      return {{1, 1, 2}};
    case SLUICE_FORMAT_P010:
      return {{1, 1, 2}, {2, 2, 4}};
    case SLUICE_FORMAT_R8:
      return {{1, 1, 1}};
    case SLUICE_FORMAT_AB4H:
    case SLUICE_FORMAT_XB4H:
      return {{1, 1, 8}};
    case SLUICE_FORMAT_AB24:
    case SLUICE_FORMAT_XB24:
    case SLUICE_FORMAT_AR24:
    case SLUICE_FORMAT_XR24:
      return {{1, 1, 4}};
    default:
      return {};
  }
}

inline sluice_format MakeFormat(uint32_t fourcc, uint32_t width, uint32_t height,
                                sluice_rate rate = {30, 1}) {
  sluice_format format{};
  format.fourcc = fourcc;
  format.width = width;
  format.height = height;
  format.modifier = SLUICE_MODIFIER_LINEAR;
  format.rate = rate;
  return format;
}

/// A linear layout. `stride_multiple` in bytes.
inline sluice_layout MakeLayout(const sluice_format& format, uint64_t stride_multiple = 64) {
  constexpr uint64_t kPage = 4096;
  sluice_layout layout{};
  layout.coded_width = format.width;
  layout.coded_height = format.height;
  layout.part_count = 1;
  if (IsCompressed(format.fourcc)) {
    // One row with room for a picture, as the engine lays it out.
    const uint64_t bound = std::max<uint64_t>(uint64_t{format.width} * format.height * 2, 65536);
    layout.plane_count = 1;
    layout.size = (bound + kPage - 1) / kPage * kPage;
    layout.planes[0].stride = layout.planes[0].size = layout.size;
  }
  for (const PlaneShape& shape : PlanesOf(format.fourcc)) {
    sluice_plane& plane = layout.planes[layout.plane_count++];
    const uint64_t row =
        uint64_t{(format.width + shape.horizontal - 1) / shape.horizontal} * shape.bytes;
    const uint64_t rows = (format.height + shape.vertical - 1) / shape.vertical;
    plane.offset = layout.size;
    plane.stride = (row + stride_multiple - 1) / stride_multiple * stride_multiple;
    plane.size = plane.stride * rows;
    layout.size += (plane.size + 63) / 64 * 64;
  }
  layout.size = (layout.size + kPage - 1) / kPage * kPage;
  return layout;
}

/// The sluice_timeline of the fake host.
class FakeTimeline {
 public:
  static FakeTimeline* From(sluice_timeline* timeline) {
    return reinterpret_cast<FakeTimeline*>(timeline);
  }
  sluice_timeline* c() { return reinterpret_cast<sluice_timeline*>(this); }

  FakeTimeline(std::string signaller, const sluice_timeline_ops* ops, void* self,
               std::atomic<int>* live)
      : signaller_(std::move(signaller)), ops_(ops), self_(self), live_(live) {
    ++*live_;
  }
  ~FakeTimeline() { --*live_; }

  void Ref() { ++refs_; }
  void Unref() {
    if (--refs_ == 0) delete this;
  }
  const std::string& signaller() const { return signaller_; }
  void* SelfFor(const sluice_timeline_ops* ops) const { return ops == ops_ ? self_ : nullptr; }
  void Submitted(uint64_t point) {
    const std::lock_guard lock(mutex_);
    submitted_ = std::max(submitted_, point);
  }
  void Signal(uint64_t point) {
    const std::lock_guard lock(mutex_);
    completed_ = std::max(completed_, point);
  }
  void Fail(uint64_t point, int32_t code) {
    const std::lock_guard lock(mutex_);
    failures_[point] = code;
  }
  /// 1 signalled, 0 pending, negative = failed. Asks the device where there is one.
  int32_t StatusOf(uint64_t point) {
    if (ops_ != nullptr && ops_->query != nullptr) {
      uint64_t completed = 0;
      if (ops_->query(self_, &completed) >= 0) Signal(completed);
    }
    const std::lock_guard lock(mutex_);
    if (const auto failure = failures_.find(point); failure != failures_.end()) {
      return failure->second;
    }
    return point <= completed_ ? 1 : 0;
  }
  int32_t ToSyncFile(uint64_t point, int32_t* fd) {
    *fd = -1;
    if (StatusOf(point) == 1) return SLUICE_OK;
    if (ops_ == nullptr || ops_->to_sync_file == nullptr) return SLUICE_E_UNSUPPORTED;
    return ops_->to_sync_file(self_, point, fd);
  }

 private:
  const std::string signaller_;
  const sluice_timeline_ops* const ops_;
  void* const self_;
  std::atomic<int>* const live_;
  std::atomic<int> refs_{1};
  std::mutex mutex_;
  uint64_t submitted_ = 0;
  uint64_t completed_ = 0;
  std::map<uint64_t, int32_t> failures_;
};

/// A fence that keeps what it refers to.
class OwnedFence {
 public:
  OwnedFence() = default;
  /// Copies a borrowed fence; null = signalled.
  explicit OwnedFence(const sluice_fence* fence) {
    if (fence == nullptr) return;
    fence_ = *fence;
    if (fence_.kind == SLUICE_FENCE_TIMELINE) FakeTimeline::From(fence_.timeline)->Ref();
    if (fence_.kind == SLUICE_FENCE_SYNC_FILE) fence_.fd = fcntl(fence_.fd, F_DUPFD_CLOEXEC, 0);
  }
  OwnedFence(OwnedFence&& other) noexcept : fence_(std::exchange(other.fence_, kSignalled)) {}
  OwnedFence& operator=(OwnedFence&& other) noexcept {
    std::swap(fence_, other.fence_);
    return *this;
  }
  ~OwnedFence() {
    if (fence_.kind == SLUICE_FENCE_TIMELINE) FakeTimeline::From(fence_.timeline)->Unref();
    if (fence_.kind == SLUICE_FENCE_SYNC_FILE) close(fence_.fd);
  }
  const sluice_fence& c() const { return fence_; }
  /// 1 signalled, 0 pending, negative = failed.
  int32_t StatusNow() const {
    if (fence_.kind == SLUICE_FENCE_TIMELINE) {
      return FakeTimeline::From(fence_.timeline)->StatusOf(fence_.point);
    }
    if (fence_.kind == SLUICE_FENCE_SYNC_FILE) {
      pollfd entry{fence_.fd, POLLIN, 0};
      return poll(&entry, 1, 0) == 1 ? 1 : 0;
    }
    return 1;
  }

 private:
  static constexpr sluice_fence kSignalled{SLUICE_FENCE_SIGNALLED, -1, nullptr, 0};
  sluice_fence fence_ = kSignalled;
};

/// What the node under test did wrong with frames. [thread-safe]
class Ledger {
 public:
  void Report(std::string text) {
    const std::lock_guard lock(mutex_);
    violations_.push_back(std::move(text));
  }
  std::vector<std::string> violations() const {
    const std::lock_guard lock(mutex_);
    return violations_;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<std::string> violations_;
};

class FakePool;

/// Image memory in a sealed memfd.
struct FakeBuffer {
  FakePool* pool = nullptr;
  sluice_buffer_id id{};
  int fd = -1;
  int dmabuf = -1;  ///< of the same memory, once somebody asked
  uint8_t* base = nullptr;
  uint32_t leases = 0;
  bool emitted = false;  ///< on this trip: nobody may write any more
  std::vector<OwnedFence> releases;

  /// A real dma-buf where the kernel makes one of a memfd, else the memfd itself. Borrowed.
  int DmaBuf(uint64_t size) {
    if (dmabuf >= 0) return dmabuf;
    const int device = open("/dev/udmabuf", O_RDWR | O_CLOEXEC);
    if (device < 0) return fd;
    udmabuf_create request{};
    request.memfd = static_cast<uint32_t>(fd);
    request.flags = UDMABUF_FLAGS_CLOEXEC;
    request.size = size;
    dmabuf = ioctl(device, UDMABUF_CREATE, &request);
    close(device);
    return dmabuf >= 0 ? dmabuf : fd;
  }
};

/// The sluice_pool_sink of the fake host: keeps what a node that allocates gives. Owns the fds.
class FakePoolSink {
 public:
  static FakePoolSink* From(sluice_pool_sink* sink) {
    return reinterpret_cast<FakePoolSink*>(sink);
  }
  sluice_pool_sink* c() { return reinterpret_cast<sluice_pool_sink*>(this); }

  FakePoolSink() = default;
  FakePoolSink(const FakePoolSink&) = delete;
  FakePoolSink& operator=(const FakePoolSink&) = delete;
  ~FakePoolSink() {
    for (const sluice_buffer_desc& buffer : buffers_) {
      for (uint32_t i = 0; i < buffer.memory.part_count; ++i) close(buffer.memory.parts[i].fd);
    }
  }
  void Add(const sluice_buffer_desc& buffer) { buffers_.push_back(buffer); }
  const std::vector<sluice_buffer_desc>& buffers() const { return buffers_; }

 private:
  std::vector<sluice_buffer_desc> buffers_;
};

/// Who has a lease.
enum class Holder { kFree, kHost, kReserved, kNode };

/// The sluice_frame of the fake host: one lease.
struct FakeFrame {
  static FakeFrame* From(const sluice_frame* frame) {
    return reinterpret_cast<FakeFrame*>(const_cast<sluice_frame*>(frame));
  }
  sluice_frame* c() { return reinterpret_cast<sluice_frame*>(this); }

  FakePool* pool = nullptr;
  FakeBuffer* buffer = nullptr;
  Holder holder = Holder::kFree;
  bool emitted = false;
  bool by_node = false;  ///< the node acquired it itself (or shared it)
  uint32_t mapped = 0;
  sluice_frame_info info{};
  OwnedFence acquire;
};

/// Buffers of one format, and the leases on them. The host's lock guards all of it.
class FakePool {
 public:
  FakePool(Ledger* ledger, std::mutex* mutex, uint32_t id, uint32_t epoch,
           const sluice_format& format, const sluice_layout& layout, uint32_t count)
      : ledger_(ledger), mutex_(mutex), format_(format), layout_(layout) {
    for (uint32_t i = 0; i < count; ++i) {
      auto buffer = std::make_unique<FakeBuffer>();
      buffer->pool = this;
      buffer->id = {id, epoch, i};
      buffer->releases.reserve(kLeasesPerBuffer);
      if (layout_.size > 0) Allocate(*buffer);
      buffers_.push_back(std::move(buffer));
    }
    for (uint32_t i = 0; i < count * kLeasesPerBuffer; ++i) {
      frames_.push_back(std::make_unique<FakeFrame>());
      frames_.back()->pool = this;
    }
  }
  FakePool(const FakePool&) = delete;
  FakePool& operator=(const FakePool&) = delete;
  ~FakePool() {
    for (const auto& buffer : buffers_) {
      if (buffer->base != nullptr) munmap(buffer->base, layout_.size);
      if (buffer->dmabuf >= 0) close(buffer->dmabuf);
      if (buffer->fd >= 0) close(buffer->fd);
    }
  }

  const sluice_format& format() const { return format_; }
  const sluice_layout& layout() const { return layout_; }
  Ledger& ledger() const { return *ledger_; }
  std::mutex& mutex() const { return *mutex_; }

  // All below: the host's lock is held.

  /// A lease on a free buffer whose release fences have signalled, or null.
  FakeFrame* TakeBuffer(Holder holder) {
    for (uint32_t index = 0; index < buffers_.size(); ++index) {
      if (IsFree(index)) return TakeBuffer(holder, index);
    }
    return nullptr;
  }
  /// The same of this one.
  FakeFrame* TakeBuffer(Holder holder, uint32_t index) {
    if (!IsFree(index)) return nullptr;
    FakeBuffer& buffer = *buffers_[index];
    buffer.emitted = false;
    buffer.releases.clear();
    FakeFrame* frame = NewLease(buffer, holder);
    if (frame == nullptr) return nullptr;
    frame->info = {};
    frame->info.pts_ns = SLUICE_PTS_NONE;
    frame->emitted = false;
    return frame;
  }
  bool IsFree(uint32_t index) const {
    return index < buffers_.size() && buffers_[index]->leases == 0 && Reusable(*buffers_[index]);
  }
  /// Another lease on the same buffer, or null.
  FakeFrame* Share(const FakeFrame& frame) {
    FakeFrame* share = NewLease(*frame.buffer, frame.holder);
    if (share == nullptr) return nullptr;
    share->info = frame.info;
    share->emitted = false;
    share->acquire = OwnedFence(&frame.acquire.c());
    return share;
  }
  void Return(FakeFrame& frame, const sluice_fence* fence) {
    frame.holder = Holder::kFree;
    frame.acquire = OwnedFence();
    if (fence != nullptr && fence->kind != SLUICE_FENCE_SIGNALLED) {
      frame.buffer->releases.emplace_back(fence);
    }
    --frame.buffer->leases;
    frame.buffer = nullptr;
  }
  uint32_t CountHeldBy(Holder holder) const {
    uint32_t count = 0;
    for (const auto& frame : frames_) count += frame->holder == holder ? 1 : 0;
    return count;
  }
  uint32_t CountAcquiredByNode() const {
    uint32_t count = 0;
    for (const auto& frame : frames_) {
      count += frame->holder == Holder::kNode && frame->by_node && !frame->emitted ? 1 : 0;
    }
    return count;
  }
  /// Writes `value` into every free buffer, as the engine's debug mode does.
  void PoisonFree(int value) {
    for (const auto& buffer : buffers_) {
      if (buffer->leases == 0) std::memset(buffer->base, value, layout_.size);
    }
  }
  /// Whether `address` lies in one of the buffers.
  bool Contains(const void* address) const {
    for (const auto& buffer : buffers_) {
      const auto* begin = buffer->base;
      if (address >= begin && address < begin + layout_.size) return true;
    }
    return false;
  }

 private:
  static constexpr uint32_t kLeasesPerBuffer = 8;

  void Allocate(FakeBuffer& buffer) {
    buffer.fd = memfd_create("sluice-fake", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (buffer.fd < 0 || ftruncate(buffer.fd, static_cast<off_t>(layout_.size)) != 0) std::abort();
    fcntl(buffer.fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
    void* base = mmap(nullptr, layout_.size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE,
                      buffer.fd, 0);
    if (base == MAP_FAILED) std::abort();
    buffer.base = static_cast<uint8_t*>(base);
  }
  static bool Reusable(const FakeBuffer& buffer) {
    for (const OwnedFence& fence : buffer.releases) {
      // Pending: not yet. Failed: quarantined.
      if (fence.StatusNow() != 1) return false;
    }
    return true;
  }
  FakeFrame* NewLease(FakeBuffer& buffer, Holder holder) {
    for (const auto& frame : frames_) {
      if (frame->holder != Holder::kFree) continue;
      frame->holder = holder;
      frame->buffer = &buffer;
      frame->mapped = 0;
      frame->by_node = false;
      ++buffer.leases;
      return frame.get();
    }
    return nullptr;
  }

  Ledger* const ledger_;
  std::mutex* const mutex_;
  const sluice_format format_;
  const sluice_layout layout_;
  std::vector<std::unique_ptr<FakeBuffer>> buffers_;
  std::vector<std::unique_ptr<FakeFrame>> frames_;
};

/// A frame that the test holds: an input that it prepares, or one that the node emitted.
class HeldFrame {
 public:
  HeldFrame() = default;
  /// Takes the lease.
  explicit HeldFrame(FakeFrame* frame) : frame_(frame) {}
  HeldFrame(HeldFrame&& other) noexcept : frame_(std::exchange(other.frame_, nullptr)) {}
  HeldFrame& operator=(HeldFrame&& other) noexcept {
    if (this != &other) {
      Release();
      frame_ = std::exchange(other.frame_, nullptr);
    }
    return *this;
  }
  ~HeldFrame() { Release(); }

  explicit operator bool() const { return frame_ != nullptr; }
  sluice_frame_info& Info() { return frame_->info; }
  const sluice_frame_info& Info() const { return frame_->info; }
  const sluice_format& Format() const { return frame_->pool->format(); }
  sluice_buffer_id BufferId() const { return frame_->buffer->id; }
  uint32_t planes() const { return frame_->pool->layout().plane_count; }
  uint64_t stride(uint32_t plane) const { return frame_->pool->layout().planes[plane].stride; }
  uint8_t* Row(uint32_t plane, uint64_t row) const {
    const sluice_plane& where = frame_->pool->layout().planes[plane];
    return frame_->buffer->base + where.offset + row * where.stride;
  }
  /// When it may be read: 1 now, 0 pending, negative: its writer failed.
  int32_t AcquireStatus() const { return frame_->acquire.StatusNow(); }
  /// Makes readers wait for `fence` (borrowed).
  void SetAcquireFence(const sluice_fence& fence) { frame_->acquire = OwnedFence(&fence); }
  void Release(const sluice_fence* fence = nullptr) {
    if (frame_ == nullptr) return;
    const std::lock_guard lock(frame_->pool->mutex());
    frame_->pool->Return(*std::exchange(frame_, nullptr), fence);
  }
  FakeFrame* frame() const { return frame_; }
  [[nodiscard]] FakeFrame* Take() { return std::exchange(frame_, nullptr); }

 private:
  FakeFrame* frame_ = nullptr;
};

}  // namespace sluice::sdk::testing

#endif  // SLUICE_SDK_TESTING_FAKE_MEDIA_HPP_
