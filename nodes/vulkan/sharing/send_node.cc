#include "nodes/vulkan/sharing/send_node.h"

#include <algorithm>
#include <utility>

#include "nodes/vulkan/domain.h"
#include "nodes/vulkan/sharing/offers.h"

namespace sluice::vulkan {
namespace {

constexpr const char* kInPort = "in";
constexpr uint32_t kIn = 0;

}  // namespace

SendNode::SendNode(sdk::NodeContext context, const sdk::Params& params)
    : Node(context), device_(params.String("device")) {
  options_.path = params.String("socket");
  options_.most = static_cast<uint32_t>(params.Int("frames", 4));
  options_.patience_ns = params.DurationNs("timeout", 2'000'000'000);
}

sdk::Status SendNode::Probe(sdk::OfferSink& offers) {
  auto device = FindSharingDevice(device_);
  if (!device) return sdk::Status(device.error().code, device.error().message);
  if (!device->external.opaque_memory()) {
    return sdk::Status::Error(SLUICE_E_UNSUPPORTED,
                              "%s cannot share memory with other processes (OPAQUE_FD)",
                              device->name.c_str());
  }
  uuid_ = device->uuid;
  // The pool's memory went with the device that made it, and the engine would keep the pool.
  const VulkanDomain* domain = VulkanDomain::FindOpen(uuid_.data());
  if (domain_ != 0 && domain != nullptr && domain->serial() != domain_) ++generation_;
  const uint32_t hold = options_.most + generation_ % 2;
  sdk::OfferBuilder offer = SharedMemoryOffer(uuid_);
  offer.Formats(kSharedFormats).Buffers(0, kMostShared).Hold(hold, hold);
  return offers.Add(kInPort, offer);
}

sdk::Status SendNode::Allocate(int32_t /*direction*/, uint32_t /*port*/,
                               const sluice_pool_request& request, sdk::PoolSink& sink) {
  VulkanDomain* domain = VulkanDomain::FindOpen(uuid_.data());
  if (domain == nullptr) {
    return sdk::Status::Error(SLUICE_E_UNSUPPORTED, "no node of this graph works on device %s",
                              FormatUuid(uuid_).c_str());
  }
  domain_ = domain->serial();
  auto shared = std::make_shared<FrameServer::Shared>();
  if (sdk::Status status = domain->AllocateShared(request, sink, shared->pool.memory, shared->fds);
      !status.ok()) {
    return status;
  }
  const DeviceInfo& info = domain->device().info();
  shared->pool.device_uuid = info.uuid;
  shared->pool.driver_uuid = info.driver_uuid;
  shared->pool.device_name = info.name;
  shared->pool.format = request.format;
  shared->pool.buffers = request.buffers;
  shared->id = {request.pool, request.epoch, 0};
  shared_ = std::move(shared);
  return {};
}

void SendNode::ReleasePool(uint32_t pool, uint32_t epoch) {
  ForgetPoolOf(uuid_, domain_, pool, epoch);
  if (shared_ != nullptr && shared_->id.pool == pool && shared_->id.epoch == epoch)
    shared_ = nullptr;
}

sdk::Status SendNode::Configure(const sdk::Configuration& configuration) {
  const auto port = configuration.Port(kInPort);
  if (!port.ok()) return port.status();
  if (shared_ == nullptr || (*port)->views != SLUICE_VIEW_DEVICE ||
      (*port)->buffers != shared_->pool.buffers) {
    return sdk::Status(SLUICE_E_INTERNAL, "in: the pool is not the one that this port made");
  }
  // One that lives on into another epoch is already shown to a reader, with the same layout.
  if (shared_->pool.layout.plane_count == 0) shared_->pool.layout = (*port)->layout;
  return {};
}

sdk::Status SendNode::Reconfigure(const sdk::Configuration& configuration) {
  if (sdk::Status status = Configure(configuration); !status.ok()) return status;
  if (server_ != nullptr) server_->Serve(shared_);
  return {};
}

sdk::Status SendNode::Start() {
  auto server = FrameServer::Open(context(), options_);
  if (!server.ok()) return server.status();
  (*server)->Serve(shared_);
  const std::lock_guard lock(server_mutex_);
  server_ = *std::move(server);
  return {};
}

sdk::Expected<sdk::Process> SendNode::Process(sdk::Invocation& invocation) {
  if (invocation.draining()) {
    server_->End(invocation.id());
    return sdk::Process::kAsync;
  }
  sdk::Frame frame = invocation.TakeInput(kIn);
  if (!frame) return sdk::Process::kNeedMore;
  if (sdk::Status status = server_->Submit(std::move(frame), invocation.id()); !status.ok())
    return status;
  return sdk::Process::kAsync;
}

void SendNode::EndSoon() {
  const std::lock_guard lock(server_mutex_);
  if (server_ != nullptr) server_->EndSoon();
}

void SendNode::Stop(int64_t /*deadline_ns*/, bool /*completed*/) {
  std::unique_ptr<FrameServer> server;
  {
    const std::lock_guard lock(server_mutex_);
    server = std::move(server_);
  }
  if (server == nullptr) return;
  const uint64_t handed = server->handed();
  server.reset();
  context().Note(sdk::Format("%llu frames were handed over at %s, finished, in the device's memory",
                             static_cast<unsigned long long>(handed), options_.path.c_str())
                     .c_str());
}

}  // namespace sluice::vulkan
