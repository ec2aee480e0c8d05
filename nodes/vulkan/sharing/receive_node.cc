#include "nodes/vulkan/sharing/receive_node.h"

#include <poll.h>

#include <algorithm>
#include <ctime>
#include <utility>

#include "nodes/vulkan/domain.h"
#include "nodes/vulkan/sharing/offers.h"

namespace sluice::vulkan {
namespace {

constexpr const char* kOutPort = "out";
constexpr uint32_t kOut = 0;
/// How often a sender that is not there yet is looked for. The file system tells of sockets that
/// appear, but not of those that begin to listen.
constexpr int64_t kRetryNs = 20'000'000;

/// How long the last frames are waited for, so that each goes home when it is read. One that is
/// kept as a sample may stay until this stream ends.
constexpr int64_t kHomeNs = 500'000'000;

sdk::Status ToStatus(const Error& error) { return sdk::Status(error.code, error.message); }

void Pause(int64_t ns) {
  const timespec pause{ns / 1'000'000'000, ns % 1'000'000'000};
  nanosleep(&pause, nullptr);
}

}  // namespace

ReceiveNode::ReceiveNode(sdk::NodeContext context, const sdk::Params& params)
    : Node(context),
      path_(params.String("socket")),
      wait_ns_(params.DurationNs("wait", 3'000'000'000)),
      timeout_ns_(params.DurationNs("timeout", 0)),
      frame_limit_(static_cast<uint64_t>(params.Int("frames", 0))) {}

ReceiveNode::~ReceiveNode() { Disconnect(); }

std::string ReceiveNode::Name() const {
  return "the sender at " + path_ +
         (sender_ ? ", process " + std::to_string(sender_->socket.peer()) : "");
}

// --- Setting up ----------------------------------------------------------------------------------

void ReceiveNode::Disconnect() {
  Unwatch();
  if (sender_) ours_.none() ? sender_->socket.Close() : Leave();
  sender_.reset();
  ours_.reset();
  former_.clear();
}

void ReceiveNode::Unwatch() {
  if (sender_ && std::exchange(watched_, false)) context().UnwatchFd(sender_->socket.fd());
}

void ReceiveNode::Leave() {
  if (!sender_->socket || std::exchange(sender_->left, true)) return;
  // Where it fails the sender is gone.
  (void)sender_->socket.Send(LeaveMessage{static_cast<uint32_t>(ours_.to_ulong())});
}

Status ReceiveNode::TryConnect(int64_t deadline_ns) {
  auto socket = WireSocket::Connect(path_);
  if (!socket) return tl::unexpected(socket.error());
  for (;;) {
    auto received = socket->Receive();
    if (!received) {
      // It was about to end: the next one may be about to come.
      const bool gone = received.error().code == SLUICE_E_IO;
      return Fail(gone ? SLUICE_E_NOT_FOUND : received.error().code, received.error().message);
    }
    if (*received) {
      if (const auto* bye = std::get_if<ByeMessage>(&(*received)->message)) {
        if (bye->why != ByeMessage::Why::kBusy) return Fail(SLUICE_E_NOT_FOUND, "it ends");
        return Fail(SLUICE_E_RESOURCE_EXHAUSTED, "process " + std::to_string(bye->reader) +
                                                     " reads its frames already; one can");
      }
      auto* hello = std::get_if<HelloMessage>(&(*received)->message);
      if (hello == nullptr)
        return Fail(SLUICE_E_INVALID_ARGUMENT, "it does not begin with a hello");
      sender_ = std::make_shared<Sender>(
          Sender{std::move(*socket), std::move(hello->pool), std::move((*received)->fds)});
      return {};
    }
    pollfd wait{socket->fd(), POLLIN, 0};
    const int64_t left_ms = (deadline_ns - NowNs()) / 1'000'000;
    if (left_ms <= 0 || poll(&wait, 1, static_cast<int>(std::min<int64_t>(left_ms, 60'000))) == 0)
      return Fail(SLUICE_E_TIMEOUT, "it is there and says nothing");
  }
}

Status ReceiveNode::Connect(int64_t deadline_ns) {
  for (;;) {
    Status tried = TryConnect(deadline_ns);
    if (tried || tried.error().code != SLUICE_E_NOT_FOUND || NowNs() + kRetryNs >= deadline_ns) {
      if (!tried) tried.error().message = Name() + ": " + tried.error().message;
      return tried;
    }
    Pause(kRetryNs);
  }
}

sdk::Status ReceiveNode::Probe(sdk::OfferSink& offers) {
  if (std::exchange(changed_, false)) Disconnect();
  if (!sender_) {
    if (Status s = Connect(NowNs() + wait_ns_); !s) return ToStatus(s.error());
    heard_ = false;
    // A pool of the sender's earlier buffers must not be taken for one of its new ones.
    if (has_pool_) ++generation_;
    const SharedPool& pool = sender_->pool;
    const auto device = FindSharedDevice(pool.device_uuid, pool.driver_uuid, pool.device_name);
    if (!device) {
      const std::string name = Name();
      Disconnect();
      return sdk::Status(device.error().code, name + ": " + device.error().message);
    }
    context().Note(sdk::Format("%s shares %u buffers of %s; frames are finished when they come",
                               Name().c_str(), pool.buffers, pool.device_name.c_str())
                       .c_str());
  }
  const VulkanDomain* domain = VulkanDomain::FindOpen(sender_->pool.device_uuid.data());
  if (domain_ != 0 && domain != nullptr && domain->serial() != domain_) ++generation_;
  const sluice_format& format = sender_->pool.format;
  sdk::OfferBuilder offer = SharedMemoryOffer(sender_->pool.device_uuid);
  offer.Format(format.fourcc)
      .Size(format.width, format.height)
      .Rate(format.rate)
      .Color(format.color)
      .Buffers(sender_->pool.buffers, kMostPool)
      .DynamicReserve(1 + generation_ % 2);
  return offers.Add(kOutPort, offer);
}

sdk::Status ReceiveNode::Allocate(int32_t /*direction*/, uint32_t /*port*/,
                                  const sluice_pool_request& request, sdk::PoolSink& sink) {
  if (!sender_) return sdk::Status(SLUICE_E_INTERNAL, "no sender");
  const SharedPool& pool = sender_->pool;
  VulkanDomain* domain = VulkanDomain::FindOpen(pool.device_uuid.data());
  if (domain == nullptr) {
    return sdk::Status::Error(SLUICE_E_UNSUPPORTED, "no node of this graph works on %s",
                              pool.device_name.c_str());
  }
  domain_ = domain->serial();
  device_ = pool.device_uuid;
  sdk::Status status =
      domain->ImportShared(request, pool.layout, pool.memory, sender_->fds, sender_, sink);
  if (!status.ok()) {
    return sdk::Status(status.code(), Name() + ": " + status.message());
  }
  // The same buffers by another name: what is free in the new pool may be read in the old one.
  if (has_pool_ && ours_.any()) former_.push_back({pool_, ours_});
  pool_ = {request.pool, request.epoch, 0};
  has_pool_ = true;
  return {};
}

void ReceiveNode::ReleasePool(uint32_t pool, uint32_t epoch) {
  ForgetPoolOf(device_, domain_, pool, epoch);
  const std::lock_guard lock(mutex_);
  std::erase_if(former_, [&](const Former& former) {
    return former.pool.pool == pool && former.pool.epoch == epoch;
  });
  if (has_pool_ && pool_.pool == pool && pool_.epoch == epoch) {
    // Nobody here reads any of it. The sender stays: the plan may be solved again.
    has_pool_ = false;
    GiveBack();
  } else {
    context().Wake();
  }
}

sdk::Status ReceiveNode::Configure(const sdk::Configuration& configuration) {
  const auto port = configuration.Port(kOutPort);
  if (!port.ok()) return port.status();
  if (!has_pool_ || !sender_ || (*port)->views != SLUICE_VIEW_DEVICE ||
      (*port)->buffers < sender_->pool.buffers) {
    return sdk::Status(SLUICE_E_INTERNAL, "out: the pool is not the one that the sender shares");
  }
  return {};
}

void ReceiveNode::Begin() {
  last_ns_ = NowNs();
  if (sender_->left) return context().Wake();
  // A sender that is gone by now is found so when it is read from, and the node's policy holds.
  (void)sender_->socket.Send(StartMessage{});
  context().Wake();
}

sdk::Status ReceiveNode::Start() {
  delivered_ = 0;
  Begin();
  return {};
}

sdk::Status ReceiveNode::Reconfigure(const sdk::Configuration& configuration) {
  if (sdk::Status status = Configure(configuration); !status.ok()) return status;
  Begin();
  return {};
}

void ReceiveNode::Stop(int64_t /*deadline_ns*/, bool /*completed*/) {
  // The sender keeps what we read until it sees the connection end, with the pool or with us.
  Unwatch();
}

// --- Running -------------------------------------------------------------------------------------

sdk::Expected<sdk::Process> ReceiveNode::Process(sdk::Invocation& /*invocation*/) {
  const std::lock_guard lock(mutex_);
  if (changed_) return sdk::Process::kNeedMore;
  if (!sender_) return sdk::Status(SLUICE_E_INTERNAL, "no sender");
  if (HasAll()) return TakeNoMore();
  auto more = Hear();
  if (!more.ok()) return more.status();
  if (changed_) return sdk::Process::kNeedMore;
  if (!*more) return sdk::Process::kEnd;
  if (HasAll()) return TakeNoMore();
  GiveBack();
  if (timeout_ns_ != 0) {
    // It cannot be late while all of its buffers are here.
    if (ours_.count() == sender_->pool.buffers) last_ns_ = NowNs();
    if (NowNs() >= last_ns_ + timeout_ns_) {
      return sdk::Status::Error(SLUICE_E_TIMEOUT, "%s has sent no frame for %lld ms",
                                Name().c_str(), static_cast<long long>(timeout_ns_ / 1'000'000));
    }
    context().WakeAt(last_ns_ + timeout_ns_);
  }
  watched_ = true;
  if (sdk::Status status = context().WatchFd(sender_->socket.fd()); !status.ok()) return status;
  return sdk::Process::kNeedMore;
}

sdk::Expected<bool> ReceiveNode::Hear() {
  while (!HasAll()) {
    auto received = sender_->socket.Receive();
    if (!received) {
      const bool gone = received.error().code == SLUICE_E_IO;
      return sdk::Status::Error(
          received.error().code, "%s: %s", Name().c_str(),
          gone ? "it is gone, in mid-stream" : received.error().message.c_str());
    }
    if (!*received) return true;
    last_ns_ = NowNs();
    const WireMessage& message = (*received)->message;
    if (const auto* frame = std::get_if<FrameMessage>(&message)) {
      if (sdk::Status status = Deliver(*frame); !status.ok()) return status;
      continue;
    }
    const auto* bye = std::get_if<ByeMessage>(&message);
    if (bye == nullptr) {
      return sdk::Status::Error(SLUICE_E_INVALID_ARGUMENT,
                                "%s: a message that does not belong there", Name().c_str());
    }
    if (bye->why != ByeMessage::Why::kChanged) {
      // It writes no more, so that it need not wait for what is still read here.
      Unwatch();
      sender_->socket.Close();
      return false;
    }
    // Its earlier pool is written by nobody any more.
    ours_.reset();
    former_.clear();
    changed_ = true;
    if (sdk::Status status = context().RequestRenegotiate(kOut); !status.ok()) return status;
    return true;
  }
  return true;
}

sdk::Process ReceiveNode::TakeNoMore() {
  GiveBack();
  Unwatch();
  if (ours_.none()) {
    sender_->socket.Close();
    return sdk::Process::kEnd;
  }
  Leave();
  const int64_t due_ns = last_ns_ + kHomeNs;
  if (NowNs() >= due_ns) return sdk::Process::kEnd;
  context().WakeAt(due_ns);
  return sdk::Process::kNeedMore;  // and is woken for each that is free
}

sdk::Status ReceiveNode::Deliver(const FrameMessage& message) {
  const SharedPool& pool = sender_->pool;
  const sluice_frame_info& info = message.info;
  if (message.index >= pool.buffers || ours_.test(message.index)) {
    return sdk::Status::Error(SLUICE_E_INVALID_ARGUMENT, "%s: a frame in buffer %u, which is %s",
                              Name().c_str(), message.index,
                              message.index >= pool.buffers ? "none" : "here already");
  }
  if (uint64_t{info.crop_x} + info.crop_width > pool.format.width ||
      uint64_t{info.crop_y} + info.crop_height > pool.format.height) {
    return sdk::Status::Error(SLUICE_E_INVALID_ARGUMENT,
                              "%s: a frame visible up to %llu,%llu of %ux%u", Name().c_str(),
                              static_cast<unsigned long long>(info.crop_x) + info.crop_width,
                              static_cast<unsigned long long>(info.crop_y) + info.crop_height,
                              pool.format.width, pool.format.height);
  }
  auto frame = context().AcquireBuffer(kOut, message.index);
  if (!frame.ok()) {
    const int32_t code = frame.status().code();
    if (code == SLUICE_E_CANCELLED) return {};  // stop() is about to come
    return sdk::Status::Error(code, "out: buffer %u cannot be had (%s)", message.index,
                              sdk::CodeName(code));
  }
  const sluice_buffer_id id = frame->BufferId();
  if (id.pool != pool_.pool || id.epoch != pool_.epoch) {
    return sdk::Status::Error(SLUICE_E_INTERNAL, "pool %u, epoch %u, is none of the sender's",
                              id.pool, id.epoch);
  }
  *frame->InfoMut() = info;
  ours_.set(message.index);
  if (!std::exchange(heard_, true)) {
    context().Log(SLUICE_LOG_INFO, "frames come from process %d",
                  static_cast<int>(sender_->socket.peer()));
  }
  ++delivered_;
  return context().Emit(kOut, *std::move(frame));
}

void ReceiveNode::GiveBack() {
  if (!sender_ || !sender_->socket) return;
  for (uint32_t i = 0; i < sender_->pool.buffers; ++i) {
    if (!ours_.test(i) || (has_pool_ && !context().IsFree(kOut, i))) continue;
    if (std::any_of(former_.begin(), former_.end(),
                    [i](const Former& former) { return former.read.test(i); })) {
      continue;
    }
    ours_.reset(i);
    // Where it fails, what the sender sent before says whether it has ended in order: read next.
    if (!sender_->socket.Send(ReleaseMessage{i})) context().Wake();
  }
}

}  // namespace sluice::vulkan
