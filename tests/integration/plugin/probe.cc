// Nodes that misbehave on request, for the tests of the engine.
#include <atomic>
#include <condition_variable>
#include <fstream>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <sluice/sdk.hpp>

#include "tests/integration/plugin/array.h"
#include "tests/integration/plugin/device.h"
#include "tests/integration/plugin/work.h"

namespace sluice::probe {
namespace {

/// How often a source has failed, over restarts: by its key.
int64_t& Failures(const std::string& key) {
  static std::mutex mutex;
  static std::map<std::string, int64_t> failures;
  std::lock_guard lock(mutex);
  return failures[key];
}

class Source : public sdk::Node<Source> {
 public:
  static constexpr const char* kType = "probe.source";
  Source(sdk::NodeContext context, const sdk::Params& params)
      : Node(context),
        frames_(params.Int("frames")),
        fail_at_(params.Int("fail_at")),
        fail_times_(params.Int("fail_times")),
        resize_at_(params.Int("resize_at")),
        twice_at_(params.Int("twice_at")),
        fence_(params.String("fence")),
        gate_(params.String("gate")),
        opens_(params.String("opens")),
        kernel_(params.Bool("kernel")),
        key_(params.String("release_key")),
        size_(params.Size("size")) {
    if (fence_ == "none") return;
    device_ = std::make_unique<Device>(context.host(), "the probe device",
                                       kernel_ ? Device::Fences::kKernel : Device::Fences::kHost);
  }

  sdk::Status Probe(sdk::OfferSink& sink) {
    sdk::OfferBuilder offer;
    sluice_color color{};
    color.range = SLUICE_RANGE_FULL;
    offer.Format(SLUICE_FORMAT_R8)
        .Views(SLUICE_VIEW_SHM | SLUICE_VIEW_CPU)
        .Sync(!device_ ? SLUICE_SYNC_CPU_DONE
              : kernel_ ? SLUICE_SYNC_SYNC_FILE
                        : SLUICE_SYNC_TIMELINE)
        .Size(resized_ ? size_.width * 2 : size_.width, size_.height)
        .Color(color);
    return sink.Add("out", offer);
  }

  sdk::Status Reconfigure(const sdk::Configuration&) { return {}; }

  sdk::Status SetParam(const sluice_param& param) {
    if (param.i < 0) return {SLUICE_E_INVALID_ARGUMENT, "frames cannot be taken back"};
    frames_ = param.i;
    return {};
  }

  sdk::Expected<sdk::Process> Process(sdk::Invocation& invocation) {
    const int64_t frames = frames_;
    if (frames != 0 && next_ >= frames) return sdk::Process::kEnd;
    if (next_ == resize_at_ && !resized_) {
      resized_ = true;
      if (sdk::Status asked = context().RequestRenegotiate(0); !asked.ok()) return asked;
      return sdk::Process::kNeedMore;
    }
    if (next_ == fail_at_ && Failures(key_) < fail_times_) {
      ++Failures(key_);
      return context().Fail(SLUICE_E_IO, "the source broke at frame %lld",
                            static_cast<long long>(next_));
    }
    sdk::FrameRef frame = invocation.Output(0);
    if (!frame) return sdk::Process::kEnd;
    sluice_mapping mapping{};
    if (context().host().frames()->map(frame.c(), SLUICE_MAP_WRITE, &mapping) < 0) {
      return context().Fail(SLUICE_E_INTERNAL, "no mapping");
    }
    mapping.planes[0][0] = static_cast<uint8_t>(next_);
    context().host().frames()->unmap(frame.c(), SLUICE_MAP_WRITE);
    sluice_frame_info* info = context().host().frames()->info_mut(frame.c());
    info->sequence = static_cast<uint64_t>(next_);
    info->pts_ns = next_ * 1'000'000;
    ++next_;
    if (device_ && !device_->works()) return context().Fail(SLUICE_E_UNSUPPORTED, "no sw_sync");
    const std::string how = gate_.empty() ? fence_ : "gate:" + gate_;
    const sdk::Fence fence = device_ ? device_->Submit(how) : sdk::Fence();
    if (!opens_.empty() && next_ == frames) OpenGate(opens_);
    if (sdk::Status sent = context().EmitReserved(0, frame, fence); !sent.ok()) return sent;
    if (next_ > twice_at_ && twice_at_ >= 0) {
      if (sdk::Status sent = context().EmitReserved(0, frame, fence); !sent.ok()) return sent;
    }
    return sdk::Process::kDone;
  }

 private:
  std::atomic<int64_t> frames_;
  const int64_t fail_at_, fail_times_, resize_at_, twice_at_;
  const std::string fence_, gate_, opens_;
  const bool kernel_;
  const std::string key_;
  const sdk::Size size_;
  std::unique_ptr<Device> device_;
  int64_t next_ = 0;
  bool resized_ = false;
};

class Filter : public sdk::Node<Filter> {
 public:
  static constexpr const char* kType = "probe.filter";
  Filter(sdk::NodeContext context, const sdk::Params&) : Node(context) {
    thread_ = std::thread([this] { Work(); });
  }
  ~Filter() {
    {
      std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }
  sdk::Expected<sdk::Process> Process(sdk::Invocation& invocation) {
    std::lock_guard lock(mutex_);
    frame_ = invocation.TakeInput(0);
    id_ = invocation.id();
    pending_ = true;
    changed_.notify_all();
    return sdk::Process::kAsync;
  }

 private:
  void Work() {
    std::unique_lock lock(mutex_);
    for (;;) {
      changed_.wait(lock, [this] { return stopping_ || pending_; });
      if (stopping_) return;
      pending_ = false;
      sdk::Status sent = context().Emit(0, std::move(frame_));
      context().Complete(id_, sent.ok() ? SLUICE_PROCESS_DONE : sent.code());
    }
  }
  std::mutex mutex_;
  std::condition_variable changed_;
  sdk::Frame frame_;
  uint64_t id_ = 0;
  bool pending_ = false;
  bool stopping_ = false;
  std::thread thread_;
};

class Hold : public sdk::Node<Hold> {
 public:
  static constexpr const char* kType = "probe.hold";
  Hold(sdk::NodeContext context, const sdk::Params& params)
      : Node(context),
        keep_(params.Int("keep")),
        fail_at_(params.Int("fail_at")),
        end_at_(params.Int("end_at")),
        block_at_(params.Int("block_at")),
        release_(params.String("release")),
        after_(params.String("after")),
        leak_(params.Bool("leak")) {
    if (release_ == "now") return;
    device_ = std::make_unique<Device>(
        context.host(), "the probe reader",
        params.Bool("kernel") ? Device::Fences::kKernel : Device::Fences::kHost,
        static_cast<uint32_t>(params.Int("lag")));
  }

  sdk::Expected<sdk::Process> Process(sdk::Invocation& invocation) {
    sdk::Frame frame = invocation.TakeInput(0);
    if (!frame) return sdk::Process::kNeedMore;
    int64_t index = count_++;
    if (index == fail_at_) return context().Fail(SLUICE_E_IO, "the sink broke");
    if (index == block_at_) {
      kept_.push_back(std::move(frame));
      return sdk::Process::kAsync;
    }
    if (!after_.empty() && !IsOpen(after_)) {
      return context().Fail(SLUICE_E_INTERNAL, "called before the fence of frame %lld",
                            static_cast<long long>(index));
    }
    if (device_) {
      if (!device_->works()) return context().Fail(SLUICE_E_UNSUPPORTED, "no sw_sync");
      if (device_->torn()) return context().Fail(SLUICE_E_INTERNAL, "a frame was written again while it was read");
      auto mapping = frame.Map(SLUICE_MAP_READ);
      if (!mapping.ok()) return mapping.status();
      // The device reads on after the lease was given back: that is what its fence is for.
      const volatile uint8_t* byte = mapping->plane(0);
      const uint8_t seen = *byte;
      mapping->Unmap();  // the address stays good for the life of the buffer
      frame.Release(device_->Submit(release_, [byte, seen] { return *byte == seen; }));
    } else if (static_cast<int64_t>(kept_.size()) < keep_) {
      kept_.push_back(std::move(frame));
    }
    return index == end_at_ ? sdk::Process::kEnd : sdk::Process::kDone;
  }
  void Stop(int64_t, bool) {
    if (!leak_) kept_.clear();
    device_ = nullptr;
  }

 private:
  const int64_t keep_, fail_at_, end_at_, block_at_;
  const std::string release_, after_;
  const bool leak_;
  std::unique_ptr<Device> device_;
  std::vector<sdk::Frame> kept_;
  int64_t count_ = 0;
};

class Join : public sdk::Node<Join> {
 public:
  static constexpr const char* kType = "probe.join";
  Join(sdk::NodeContext context, const sdk::Params&) : Node(context) {}
  sdk::Expected<sdk::Process> Process(sdk::Invocation& invocation) {
    if (!invocation.Input(0) || !invocation.Input(1)) {
      return context().Fail(SLUICE_E_INTERNAL, "fired with one input");
    }
    return sdk::Process::kDone;
  }
};

class Record : public sdk::Node<Record> {
 public:
  static constexpr const char* kType = "probe.record";
  Record(sdk::NodeContext context, const sdk::Params& params)
      : Node(context), file_(params.String("path"), std::ios::binary | std::ios::trunc) {}
  sdk::Expected<sdk::Process> Process(sdk::Invocation& invocation) {
    sdk::Frame frame = invocation.TakeInput(0);
    if (!frame) return sdk::Process::kNeedMore;
    auto mapping = frame.Map(SLUICE_MAP_READ);
    if (!mapping.ok()) return mapping.status();
    const sluice_format& format = frame.Format();
    for (uint32_t y = 0; y < format.height; ++y) {
      file_.write(reinterpret_cast<const char*>(mapping->Row(0, y)), format.width * 4);
    }
    return file_.flush() ? sdk::Process::kDone : sdk::Process::kEnd;
  }

 private:
  std::ofstream file_;
};

}  // namespace
}  // namespace sluice::probe

SLUICE_EXPORT_PLUGIN(sluice::probe::Source, sluice::probe::Filter, sluice::probe::Hold,
                     sluice::probe::Join, sluice::probe::Record, sluice::probe::Camera, sluice::probe::Screen,
                     sluice::probe::Array, sluice::probe::Add, sluice::probe::Mix,
                     sluice::probe::Paint, sluice::probe::Swallow, sluice::probe::Expect);
