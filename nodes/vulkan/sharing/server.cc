#include "nodes/vulkan/sharing/server.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace sluice::vulkan {
namespace {

constexpr const char* kInPort = "in";
/// A connection that cannot be taken leaves the listener readable.
constexpr int64_t kAcceptPauseNs = 100'000'000;

sdk::Status ToStatus(const Error& error) { return sdk::Status(error.code, error.message); }

/// Milliseconds for poll() until `due_ns`, rounded up; -1 for 0.
int WaitMs(int64_t due_ns) {
  if (due_ns == 0) return -1;
  const int64_t ms = (due_ns - NowNs() + 999'999) / 1'000'000;
  return static_cast<int>(std::clamp<int64_t>(ms, 0, 60'000));
}

/// The earlier of two times; 0 is none.
int64_t Earlier(int64_t a, int64_t b) { return a == 0 || b == 0 ? a + b : std::min(a, b); }

}  // namespace

FrameServer::FrameServer(const sdk::NodeContext& context, const Options& options,
                         WireListener listener, sdk::UniqueFd event)
    : context_(context),
      options_(options),
      listener_(std::move(listener)),
      event_(std::move(event)),
      thread_([this] { Run(); }) {}

sdk::Expected<std::unique_ptr<FrameServer>> FrameServer::Open(const sdk::NodeContext& context,
                                                              const Options& options) {
  auto listener = WireListener::Listen(options.path);
  if (!listener) return ToStatus(listener.error());
  sdk::UniqueFd event(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!event) return sdk::Status::Error(SLUICE_E_IO, "an eventfd: %s", std::strerror(errno));
  return std::unique_ptr<FrameServer>(
      new FrameServer(context, options, std::move(*listener), std::move(event)));
}

FrameServer::~FrameServer() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  Wake();
  thread_.join();
  const std::lock_guard lock(mutex_);
  if (reader_.socket) Dismiss("the graph ends", std::nullopt);
  if (waiting_) CompleteWaiting();
  if (ending_) context_.Complete(*ending_, SLUICE_PROCESS_END);
}

void FrameServer::Wake() const {
  const uint64_t one = 1;
  // Full means that it will wake anyway.
  (void)!write(event_.get(), &one, sizeof one);
}

// --- From the node -------------------------------------------------------------------------------

void FrameServer::Serve(std::shared_ptr<const Shared> shared) {
  const std::lock_guard lock(mutex_);
  ending_soon_ns_ = 0;
  late_ = false;  // its time may have been cut short by the end of the epoch before
  if (shared_ == shared) return;
  if (reader_.socket) Dismiss("the pool is another one", ByeMessage::Why::kChanged);
  leaving_.clear();  // nobody writes into what they have any more
  shared_ = std::move(shared);
  Wake();
}

sdk::Status FrameServer::Submit(sdk::Frame frame, uint64_t invocation) {
  const std::lock_guard lock(mutex_);
  const sluice_buffer_id id = frame.BufferId();
  if (shared_ == nullptr || id.pool != shared_->id.pool || id.epoch != shared_->id.epoch ||
      id.index >= shared_->pool.buffers) {
    return sdk::Status::Error(SLUICE_E_INTERNAL,
                              "in: buffer %u of pool %u, epoch %u, is not what is shared", id.index,
                              id.pool, id.epoch);
  }
  if (!failed_.ok()) return failed_;
  waiting_ = Waiting{std::move(frame), invocation};
  Wake();
  return {};
}

void FrameServer::End(uint64_t invocation) {
  const std::lock_guard lock(mutex_);
  if (!failed_.ok()) return context_.Complete(invocation, failed_);
  ending_ = invocation;
  ending_since_ns_ = NowNs();
  Wake();
}

void FrameServer::EndSoon() {
  const std::lock_guard lock(mutex_);
  if (ending_soon_ns_ == 0) ending_soon_ns_ = NowNs();
  Wake();
}

// --- The thread ----------------------------------------------------------------------------------

void FrameServer::Run() {
  int64_t due_ns = 0;
  std::vector<pollfd> fds;
  for (;;) {
    fds = {{event_.get(), POLLIN, 0}, {-1, POLLIN, 0}};
    {
      const std::lock_guard lock(mutex_);
      if (NowNs() < accept_at_ns_) {
        due_ns = Earlier(due_ns, accept_at_ns_);
      } else if (shared_ != nullptr) {  // who comes before there is a pool waits for it
        fds[1].fd = listener_.fd();
      }
      if (reader_.socket) fds.push_back({reader_.socket.fd(), POLLIN, 0});
      for (const Reader& reader : leaving_) fds.push_back({reader.socket.fd(), POLLIN, 0});
    }
    // Readers' sockets are closed on this thread, or under the lock before a wake.
    const bool failed = poll(fds.data(), fds.size(), WaitMs(due_ns)) < 0 && errno != EINTR;
    const std::lock_guard lock(mutex_);
    if (failed) return Fail(sdk::Status::Error(SLUICE_E_IO, "poll: %s", std::strerror(errno)));
    uint64_t count = 0;
    (void)!read(event_.get(), &count, sizeof count);
    if (stopping_) return;
    Hear();
    if ((fds[1].revents & POLLIN) != 0) Welcome();
    due_ns = Advance(NowNs());
  }
}

/// Nobody will look at the socket any more.
void FrameServer::Fail(sdk::Status status) {
  failed_ = std::move(status);
  if (waiting_) {
    waiting_->frame.Release();
    context_.Complete(std::exchange(waiting_, std::nullopt)->invocation, failed_);
  }
  if (ending_) context_.Complete(*std::exchange(ending_, std::nullopt), failed_);
}

void FrameServer::Welcome() {
  auto socket = listener_.Accept();
  if (!socket) return CannotAccept(socket.error().message);
  if (!*socket || shared_ == nullptr) return;
  accept_error_.clear();
  if (ended_) return (void)socket->Send(ByeMessage{ByeMessage::Why::kEnded, 0});
  if (reader_.socket) {
    const pid_t present = reader_.socket.peer();
    (void)socket->Send(ByeMessage{ByeMessage::Why::kBusy, present});
    return context_.Log(SLUICE_LOG_WARNING, "process %d is refused: process %d reads already",
                        static_cast<int>(socket->peer()), static_cast<int>(present));
  }
  if (Status s = socket->Send(HelloMessage{shared_->pool}, shared_->fds); !s) {
    return context_.Log(SLUICE_LOG_WARNING, "%s", s.error().message.c_str());
  }
  reader_ = Reader{};
  reader_.socket = std::move(*socket);
  late_ = false;
  moved_ns_ = NowNs();
}

void FrameServer::CannotAccept(const std::string& why) {
  accept_at_ns_ = NowNs() + kAcceptPauseNs;
  if (std::exchange(accept_error_, why) == why) return;
  context_.Log(SLUICE_LOG_WARNING, "%s: refused: %s", options_.path.c_str(), why.c_str());
}

void FrameServer::Hear() {
  if (reader_.socket) {
    if (const char* why = HearFrom(reader_)) Dismiss(why, std::nullopt);
  }
  if (reader_.leaves) leaving_.push_back(std::exchange(reader_, Reader{}));
  const size_t gone = std::erase_if(leaving_, [&](Reader& reader) {
    return HearFrom(reader) != nullptr || reader.CountLent() == 0;
  });
  if (gone == 0) return;
  // What they had is there for the present one, whose time begins anew.
  moved_ns_ = NowNs();
  late_ = false;
}

const char* FrameServer::HearFrom(Reader& reader) {
  // A reader that never stops talking must not keep the lock.
  for (uint32_t i = 0; i < 2 * kMostShared; ++i) {
    auto received = reader.socket.Receive();
    // To end without a word is how a reader goes.
    if (!received && received.error().code == SLUICE_E_IO) return "it has gone";
    if (received && !*received) return nullptr;
    const char* wrong = received ? HearOne(reader, (*received)->message) : nullptr;
    if (received && wrong == nullptr) continue;
    context_.Log(SLUICE_LOG_WARNING, "the reader, process %d, is sent away: %s",
                 static_cast<int>(reader.socket.peer()),
                 received ? wrong : received.error().message.c_str());
    return "it broke the protocol";
  }
  return nullptr;
}

const char* FrameServer::HearOne(Reader& reader, const WireMessage& message) {
  if (std::holds_alternative<StartMessage>(message)) {
    if (!std::exchange(reader.started, true)) {
      context_.Log(SLUICE_LOG_INFO, "process %d reads the frames",
                   static_cast<int>(reader.socket.peer()));
    }
    return nullptr;
  }
  if (const auto* leave = std::get_if<LeaveMessage>(&message)) return Leave(reader, leave->kept);
  const auto* release = std::get_if<ReleaseMessage>(&message);
  if (release == nullptr) return "a message that only a sender has";
  if (!reader.lent[release->index]) return "it gives back a buffer that it does not have";
  reader.lent[release->index].Release();
  moved_ns_ = NowNs();
  late_ = false;
  return nullptr;
}

/// What it has not taken from the socket by now it will never read.
const char* FrameServer::Leave(Reader& reader, uint32_t kept) {
  for (uint32_t i = 0; i < kMostShared; ++i) {
    const bool keeps = (kept >> i & 1) != 0;
    if (keeps && !reader.lent[i]) return "it keeps a buffer that it does not have";
    if (!keeps) reader.lent[i].Release();
  }
  reader.leaves = true;
  context_.Log(SLUICE_LOG_INFO, "process %d reads no more (it leaves); %u frames are still with it",
               static_cast<int>(reader.socket.peer()), reader.CountLent());
  return nullptr;
}

void FrameServer::Dismiss(const char* why, std::optional<ByeMessage::Why> bye) {
  if (bye && !reader_.told_end) (void)reader_.socket.Send(ByeMessage{*bye, 0});
  context_.Log(SLUICE_LOG_INFO, "process %d reads no more (%s); %u frames come home",
               static_cast<int>(reader_.socket.peer()), why, reader_.CountLent());
  reader_ = Reader{};
  late_ = false;
}

uint32_t FrameServer::Reader::CountLent() const {
  return static_cast<uint32_t>(std::count_if(
      lent.begin(), lent.end(), [](const sdk::Frame& frame) { return static_cast<bool>(frame); }));
}

uint32_t FrameServer::CountLent() const {
  uint32_t count = reader_.CountLent();
  for (const Reader& reader : leaving_) count += reader.CountLent();
  return count;
}

int64_t FrameServer::Advance(int64_t now_ns) {
  int64_t due_ns = reader_.socket && !reader_.started ? CheckStart(now_ns) : 0;
  if (waiting_) due_ns = Earlier(due_ns, Deliver(now_ns));
  if (!waiting_ && ending_) due_ns = Earlier(due_ns, Finish(now_ns));
  return due_ns;
}

/// One that only sits there would keep all others out.
int64_t FrameServer::CheckStart(int64_t now_ns) {
  const int64_t due_ns = moved_ns_ + options_.start_ns;
  if (now_ns < due_ns) return due_ns;
  context_.Log(SLUICE_LOG_WARNING, "process %d has connected and has not begun to read for %.1f s",
               static_cast<int>(reader_.socket.peer()),
               static_cast<double>(now_ns - moved_ns_) / 1e9);
  Dismiss("it never began", std::nullopt);
  return 0;
}

int64_t FrameServer::DueAfter(int64_t since_ns) const {
  const int64_t due_ns = since_ns + options_.patience_ns;
  return ending_soon_ns_ == 0 ? due_ns : std::min(due_ns, ending_soon_ns_ + options_.ending_ns);
}

void FrameServer::CompleteWaiting() {
  waiting_->frame.Release();
  context_.Complete(std::exchange(waiting_, std::nullopt)->invocation);
}

void FrameServer::Drop(const char* reason) {
  context_.CountDrop(kInPort, 1, reason);
  CompleteWaiting();
}

int64_t FrameServer::Deliver(int64_t now_ns) {
  if (!reader_.started) {
    if (ending_soon_ns_ != 0) Drop("nobody reads");
    return 0;
  }
  if (CountLent() >= options_.most) {
    const int64_t due_ns = DueAfter(moved_ns_);
    if (!late_ && now_ns < due_ns) return due_ns;
    if (!std::exchange(late_, true)) {
      context_.Log(SLUICE_LOG_WARNING,
                   "the reader, process %d, has %u frames and has given none back for %.1f s%s: "
                   "frames are dropped until it does",
                   static_cast<int>(reader_.socket.peer()), reader_.CountLent(),
                   static_cast<double>(now_ns - moved_ns_) / 1e9,
                   leaving_.empty() ? "" : ", nor have those that left");
    }
    Drop("the reader keeps its frames");
    return 0;
  }
  const uint32_t index = waiting_->frame.BufferId().index;
  if (Status s = reader_.socket.Send(FrameMessage{index, waiting_->frame.Info()}); !s) {
    Dismiss(s.error().message.c_str(), std::nullopt);
    return 0;  // the frame waits for the next reader
  }
  handed_.fetch_add(1, std::memory_order_relaxed);
  moved_ns_ = now_ns;
  reader_.lent[index] = std::move(waiting_->frame);
  CompleteWaiting();
  return 0;
}

int64_t FrameServer::Finish(int64_t now_ns) {
  ended_ = true;
  if (reader_.socket && !std::exchange(reader_.told_end, true))
    (void)reader_.socket.Send(ByeMessage{ByeMessage::Why::kEnded, 0});
  // What it still has stays as it is: nobody writes into it, and its memory is the reader's too.
  const int64_t due_ns = DueAfter(ending_since_ns_);
  if (CountLent() > 0 && now_ns < due_ns) return due_ns;
  context_.Complete(*std::exchange(ending_, std::nullopt), SLUICE_PROCESS_END);
  return 0;
}

}  // namespace sluice::vulkan
