#include "tests/integration/plugin/device.h"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

namespace sluice::probe {
namespace {

constexpr uint64_t kPage = 4096;

int MakeMemfd(uint64_t size) {
  const int fd = memfd_create("probe camera", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (fd < 0 || ftruncate(fd, static_cast<off_t>(size)) != 0) std::abort();
  fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
  return fd;
}

/// How often a camera was lost, over restarts: by its key.
int64_t& Losses(const std::string& key) {
  static std::mutex mutex;
  static std::map<std::string, int64_t> losses;
  std::lock_guard lock(mutex);
  return losses[key];
}

/// Tells a lie about a buffer.
void Describe(const std::string& fault, sluice_buffer_desc* buffer) {
  sluice_plane& plane = buffer->layout.planes[0];
  if (fault == "offset") plane.offset = buffer->memory.parts[0].size;
  if (fault == "stride") plane.stride = plane.size = UINT64_MAX / 2;
  if (fault == "size") buffer->memory.parts[0].size *= 16;
  if (fault == "part") plane.part = 3;
  if (fault == "parts") buffer->layout.part_count = 2;
  if (fault == "dmabuf") buffer->memory.view = SLUICE_VIEW_DMABUF;
  if (fault == "closed") close(buffer->memory.parts[0].fd);
  if (fault == "unsealed") {
    close(buffer->memory.parts[0].fd);
    buffer->memory.parts[0].fd = memfd_create("unsealed", MFD_CLOEXEC);
    if (ftruncate(buffer->memory.parts[0].fd, static_cast<off_t>(buffer->memory.parts[0].size))) {
      std::abort();
    }
  }
}

}  // namespace

Camera::Camera(sdk::NodeContext context, const sdk::Params& params)
    : Node(context),
      frames_(params.Int("frames")),
      lose_at_(params.Int("lose_at")),
      lose_times_(params.Int("lose_times")),
      fault_(params.String("fault")),
      key_(params.String("key")),
      size_(params.Size("size")),
      ready_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

Camera::~Camera() {
  Unmap();
  context().UnwatchFd(ready_);
  close(ready_);
}

void Camera::Unmap() {
  for (const Buffer& buffer : buffers_) {
    if (buffer.fd < 0) continue;  // the engine's
    munmap(buffer.base, buffer.size);
    close(buffer.fd);
  }
  buffers_.clear();
}

sdk::Status Camera::Probe(sdk::OfferSink& sink) {
  sluice_color color{};
  color.range = SLUICE_RANGE_FULL;
  sdk::OfferBuilder own;
  own.Format(SLUICE_FORMAT_R8).Views(SLUICE_VIEW_SHM | SLUICE_VIEW_CPU).Size(size_.width, size_.height);
  own.Color(color).DynamicReserve(3).Allocates(SLUICE_VIEW_SHM | SLUICE_VIEW_CPU);
  if (fault_ == "import") own.Allocates(0);
  return sink.Add("out", own);
}

sdk::Status Camera::Configure(const sdk::Configuration&) { return {}; }

sdk::Status Camera::Allocate(int32_t, uint32_t, const sluice_pool_request& request,
                             sdk::PoolSink& sink) {
  if (fault_ == "refuse") return {SLUICE_E_UNSUPPORTED, "this camera has no buffers"};
  Unmap();
  const uint64_t size = (request.layout.size + kPage - 1) / kPage * kPage;
  const uint32_t count = fault_ == "few" ? request.buffers - 1 : request.buffers;
  for (uint32_t i = 0; i < count; ++i) {
    Buffer buffer{MakeMemfd(size), nullptr, size};
    buffer.base = static_cast<uint8_t*>(
        mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, buffer.fd, 0));
    if (buffer.base == MAP_FAILED) std::abort();
    buffers_.push_back(buffer);
    sluice_buffer_desc desc{};
    desc.memory = {SLUICE_VIEW_SHM, 1, {{dup(buffer.fd), 0, size}}};
    desc.layout = request.layout;
    desc.layout.size = size;
    Describe(fault_, &desc);
    if (sdk::Status added = sink.Add(desc); !added.ok()) return added;
  }
  return {};
}

void Camera::ReleasePool(uint32_t, uint32_t) { Unmap(); }

sdk::Status Camera::TestImport(int32_t, uint32_t, sdk::FrameRef) {
  if (fault_ == "import") return {SLUICE_E_UNSUPPORTED, "this camera imports nothing"};
  return {};
}

sdk::Status Camera::Start() {
  streaming_ = true;
  thread_ = std::thread([this] { Fill(); });
  context().Wake();
  return {};
}

/// The device: fills what is queued, in order, and says so.
void Camera::Fill() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return !streaming_ || !empty_.empty(); });
    if (!streaming_) return;
    const uint32_t index = empty_.front();
    empty_.pop_front();
    buffers_[index].base[0] = stamp_++;
    filled_.push_back(index);
    const uint64_t one = 1;
    if (write(ready_, &one, sizeof one) != sizeof one) std::abort();
  }
}

/// Buffers that the engine made are written through its mapping, which stays.
sdk::Status Camera::Know(uint32_t index, sdk::FrameRef frame) {
  if (buffers_.size() <= index) buffers_.resize(index + 1);
  if (buffers_[index].base != nullptr) return {};
  auto mapping = frame.Map(SLUICE_MAP_WRITE);
  if (!mapping.ok()) return mapping.status();
  buffers_[index].base = mapping->plane(0);
  return {};
}

sdk::Expected<sdk::Process> Camera::Process(sdk::Invocation&) {
  uint64_t count = 0;
  [[maybe_unused]] const ssize_t got = read(ready_, &count, sizeof count);
  for (;;) {
    uint32_t index = 0;
    {
      std::lock_guard lock(mutex_);
      if (filled_.empty()) break;
      index = filled_.front();
      filled_.pop_front();
    }
    if (next_ == frames_) return sdk::Process::kEnd;
    if (next_ == lose_at_ && Losses(key_) < lose_times_) {
      ++Losses(key_);
      return context().Fail(SLUICE_E_IO, "the camera is gone at frame %lld",
                            static_cast<long long>(next_));
    }
    sdk::Frame frame = std::move(queued_[index]);
    frame.InfoMut()->sequence = static_cast<uint64_t>(next_++);
    if (sdk::Status sent = context().Emit(0, std::move(frame)); !sent.ok()) return sent;
  }
  for (;;) {
    auto frame = context().Acquire(0);
    if (!frame.ok()) break;
    const uint32_t index = frame->BufferId().index;
    std::lock_guard lock(mutex_);
    if (sdk::Status known = Know(index, *frame); !known.ok()) return known;
    queued_[index] = *std::move(frame);
    empty_.push_back(index);
    changed_.notify_all();
  }
  if (sdk::Status watched = context().WatchFd(ready_); !watched.ok()) return watched;
  return sdk::Process::kNeedMore;
}

void Camera::Stop(int64_t, bool) {
  {
    std::lock_guard lock(mutex_);
    streaming_ = false;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
  queued_.clear();
  empty_.clear();
  filled_.clear();
}

Screen::Screen(sdk::NodeContext context, const sdk::Params& params)
    : Node(context), refuse_(params.String("refuse")) {}

sdk::Status Screen::TestImport(int32_t, uint32_t, sdk::FrameRef frame) {
  if (refuse_ == "all") return {SLUICE_E_UNSUPPORTED, "this screen imports nothing"};
  auto memory = sdk::Memory(context().host(), frame, SLUICE_VIEW_SHM);
  if (!memory.ok()) return memory.status();
  if (fcntl(memory->parts[0].fd, F_GETFD) < 0) return {SLUICE_E_IO, "the fd is closed"};
  // The engine names its memfds, the probe camera its own.
  char path[64], target[256] = "";
  std::snprintf(path, sizeof path, "/proc/self/fd/%d", memory->parts[0].fd);
  if (readlink(path, target, sizeof target - 1) < 0) return {SLUICE_E_IO, "no link"};
  const bool of_camera = std::strstr(target, "probe camera") != nullptr;
  if (refuse_ == "camera" && of_camera) {
    return {SLUICE_E_UNSUPPORTED, "this screen does not take the camera's memory"};
  }
  return {};
}

void Screen::ForgetPool(uint32_t, uint32_t) { context().Note("forgot a pool"); }

sdk::Expected<sdk::Process> Screen::Process(sdk::Invocation& invocation) {
  shown_ = invocation.TakeInput(0);
  return sdk::Process::kDone;
}

void Screen::Stop(int64_t, bool) { shown_.Release(); }

}  // namespace sluice::probe
