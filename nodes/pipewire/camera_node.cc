#include "nodes/pipewire/camera_node.h"

#include <algorithm>
#include <utility>

namespace sluice::pipewire {
namespace {

constexpr const char* kInPort = "in";
constexpr uint32_t kIn = 0;
constexpr uint32_t kPage = 4096;
constexpr uint32_t kMostBuffers = 32;
constexpr int64_t kLeastIntervalNs = 1'000'000;

/// The least time from frame to frame. What comes in real time may catch up; else the camera is
/// what sets the pace.
int64_t IntervalNs(const sluice_rate& rate, bool realtime) {
  if (rate.numerator == 0 || rate.denominator == 0) return kLeastIntervalNs;
  const auto frame_ns =
      static_cast<int64_t>(uint64_t{rate.denominator} * 1'000'000'000 / rate.numerator);
  return std::max(realtime ? frame_ns / 2 : frame_ns, kLeastIntervalNs);
}

}  // namespace

CameraNode::CameraNode(sdk::NodeContext context, const sdk::Params& params)
    : Node(context),
      remote_(params.String("remote")),
      memory_(params.String("memory", "auto")),
      buffers_(static_cast<uint32_t>(params.Int("buffers", 6))) {
  options_.name = params.String("name", "sluice");
  options_.description = params.String("description", "Sluice camera");
  options_.follow = params.Bool("follow", false);
  options_.patience_ns = params.DurationNs("timeout", 2'000'000'000);
}

CameraNode::~CameraNode() { Close(); }

/// What somebody needs is offered alone. Where that leads to no plan we are asked again.
sdk::Status CameraNode::Probe(sdk::OfferSink& offers) {
  // Here, so that one that is made anew while the daemon is away is asked again later.
  sdk::Expected<std::shared_ptr<Connection>> connection = Connection::Open(remote_);
  if (!connection.ok()) return connection.status();
  connection_ = *std::move(connection);
  std::optional<CameraWish> wish;
  {
    const std::lock_guard lock(stream_mutex_);
    if (stream_ != nullptr) wish = stream_->wish();
  }
  if (wish && !std::exchange(wish_offered_, true)) return AddOffers(offers, wish);
  return AddOffers(offers, std::nullopt);
}

sdk::Status CameraNode::AddOffers(sdk::OfferSink& offers,
                                  const std::optional<CameraWish>& wish) const {
  const auto narrow = [&](sdk::OfferBuilder& offer) {
    if (wish) {
      offer.Format(wish->fourcc)
          .Width(wish->size.width, wish->size.width, 1)
          .Height(wish->size.height, wish->size.height, 1);
    } else {
      for (const FormatEntry& entry : AllFormats()) offer.Format(entry.drm);
    }
  };
  if (memory_ != "shm") {
    sdk::OfferBuilder dmabuf;
    narrow(dmabuf);
    dmabuf
        .Modifiers({SLUICE_MODIFIER_LINEAR, 0x0100000000000001, 0x0100000000000002,
                    0x0100000000000003, 0x0100000000000009, 0x0700000000000001, 0x0600000000000001,
                    0x0600000000000002})
        .Views(SLUICE_VIEW_DMABUF)
        .Sync(SLUICE_SYNC_SYNC_FILE | SLUICE_SYNC_CPU_DONE)
        .Buffers(0, kMostBuffers)
        .Hold(buffers_, buffers_);
    if (sdk::Status status = offers.Add(kInPort, dmabuf); !status.ok()) return status;
  }
  if (memory_ == "dma-buf") return {};
  sdk::OfferBuilder shm;
  narrow(shm);
  shm.Views(SLUICE_VIEW_SHM)
      .Sync(SLUICE_SYNC_CPU_DONE)
      .Align(1, 1, kPage, kPage)
      .Buffers(0, kMostBuffers)
      .Hold(buffers_, buffers_);
  return offers.Add(kInPort, shm);
}

sdk::Status CameraNode::Configure(const sdk::Configuration& configuration) {
  const sdk::Expected<const sluice_port_config*> port = configuration.Port(kInPort);
  if (!port.ok()) return port.status();
  wish_offered_ = false;
  {
    const std::lock_guard lock(stream_mutex_);
    ending_soon_ = false;
  }
  if (options_.follow && stream_ != nullptr) {
    // Its links are to outlive the epoch.
    stream_->Suspend();
  } else {
    Close();
  }
  pool_.format = (*port)->format;
  pool_.layout = (*port)->layout;
  // A pool that lives on in a new epoch is not imported again: its buffers stay.
  if (pool_.buffers.size() < (*port)->buffers) pool_.buffers.resize((*port)->buffers);
  views_ = (*port)->views;
  options_.interval_ns = IntervalNs((*port)->format.rate, configuration.realtime());
  return {};
}

sdk::Status CameraNode::Reconfigure(const sdk::Configuration& configuration) {
  return Configure(configuration);
}

// --- Memory --------------------------------------------------------------------------------------

sdk::Status CameraNode::TestImport(int32_t /*direction*/, uint32_t /*port*/, sdk::FrameRef frame) {
  const sluice_buffer_id id = frame.BufferId();
  if (id.pool != pool_id_.pool || id.epoch != pool_id_.epoch) {
    pool_id_ = id;
    pool_.buffers.clear();
  }
  if (id.index >= kMostBuffers) {
    return sdk::Status::Error(SLUICE_E_UNSUPPORTED, "in: a pool of more than %u buffers",
                              kMostBuffers);
  }
  if (id.index >= pool_.buffers.size()) pool_.buffers.resize(id.index + 1);
  pool_.layout = frame.Layout();
  const uint32_t views = views_ | frame.Views();
  SharedBuffer& buffer = pool_.buffers[id.index];
  if (memory_ != "shm" && (views & SLUICE_VIEW_DMABUF) != 0) {
    sdk::Expected<sluice_memory> memory = sdk::Memory(context().host(), frame, SLUICE_VIEW_DMABUF);
    if (!memory.ok()) return memory.status();
    buffer.dmabuf = *memory;
  }
  if (memory_ != "dma-buf" && (views & SLUICE_VIEW_SHM) != 0) {
    sdk::Expected<sluice_memory> memory = sdk::Memory(context().host(), frame, SLUICE_VIEW_SHM);
    if (!memory.ok()) return memory.status();
    buffer.shm = *memory;
  }
  if (buffer.dmabuf || buffer.shm) return {};
  return sdk::Status::Error(SLUICE_E_UNSUPPORTED,
                            "in: a buffer that is neither a dma-buf nor shared memory");
}

void CameraNode::ForgetPool(uint32_t pool, uint32_t epoch) {
  if (pool != pool_id_.pool || epoch != pool_id_.epoch) return;
  if (stream_ != nullptr && !stream_->suspended()) Close();
  std::fill(pool_.buffers.begin(), pool_.buffers.end(), SharedBuffer{});
  pool_id_ = {};
}

// --- Running -------------------------------------------------------------------------------------

sdk::Status CameraNode::Open() {
  sdk::Expected<std::shared_ptr<Connection>> connection = Connection::Open(remote_);
  if (!connection.ok()) return connection.status();
  connection_ = *std::move(connection);
  sdk::Expected<std::unique_ptr<CameraStream>> stream =
      CameraStream::Create(connection_, context(), options_, pool_);
  if (!stream.ok()) return stream.status();
  const std::lock_guard lock(stream_mutex_);
  stream_ = *std::move(stream);
  if (ending_soon_) stream_->EndSoon();
  return {};
}

void CameraNode::Close() {
  std::unique_ptr<CameraStream> stream;
  {
    const std::lock_guard lock(stream_mutex_);
    stream = std::move(stream_);
  }
  if (stream != nullptr) published_ += stream->published();
}

sdk::Status CameraNode::Start() {
  published_ = 0;
  return Open();
}

sdk::Expected<sdk::Process> CameraNode::Process(sdk::Invocation& invocation) {
  if (stream_ == nullptr) {
    // A new epoch: the camera of the one before is gone.
    if (invocation.draining()) return sdk::Process::kEnd;
    if (sdk::Status status = Open(); !status.ok()) return status;
  }
  if (stream_->suspended()) {
    if (sdk::Status status = stream_->Resume(pool_, options_.interval_ns); !status.ok())
      return status;
  }
  if (invocation.draining()) {
    stream_->End(invocation.id());
    return sdk::Process::kAsync;
  }
  sdk::Frame frame = invocation.TakeInput(kIn);
  if (!frame) return sdk::Process::kNeedMore;
  if (sdk::Status status = stream_->Submit(std::move(frame), invocation.id()); !status.ok()) {
    return status;
  }
  return sdk::Process::kAsync;
}

sdk::Status CameraNode::Drain() { return {}; }

void CameraNode::EndSoon() {
  const std::lock_guard lock(stream_mutex_);
  ending_soon_ = true;
  if (stream_ != nullptr) stream_->EndSoon();
}

void CameraNode::Stop(int64_t /*deadline_ns*/, bool /*completed*/) {
  Close();
  context().Note(sdk::Format("%llu frames shown as the camera %s",
                             static_cast<unsigned long long>(published_), options_.name.c_str())
                     .c_str());
}

}  // namespace sluice::pipewire
