#ifndef SLUICE_NODES_VULKAN_SHARING_SERVER_H_
#define SLUICE_NODES_VULKAN_SHARING_SERVER_H_

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <sluice/node.hpp>

#include "nodes/vulkan/sharing/socket.h"

namespace sluice::vulkan {

/// The sending end: a listening socket, its one reader, and the frames that are with it. Finished
/// frames come in by Submit(), one at a time; each is held until the reader gives it back, or is
/// gone. A thread of its own talks to the reader, so that the engine's never wait for it.
///
/// While nobody reads, the frame that is there waits. A reader that has all that it may have, and
/// gives none back for `patience_ns`, is named; from then on frames are dropped until it gives one
/// back or goes. A reader that leaves makes room for the next one, and keeps what it still reads.
/// When the run or the epoch ends, nobody who is not there is waited for, and a
/// reader for `ending_ns` at most. Threads: [thread-safe].
class FrameServer {
 public:
  struct Options {
    std::string path;
    uint32_t most = 4;  ///< frames that the reader may have at once
    int64_t patience_ns = 0;
    /// How long a reader may take from its connection to its start, compiling its kernels say.
    int64_t start_ns = 60'000'000'000;
    /// How long a reader is waited for, in all, once the run or the epoch ends: well below the 5 s
    /// in which the frames of an epoch must come to rest, whatever `patience_ns` is.
    int64_t ending_ns = 3'000'000'000;
  };
  /// What a reader is given.
  struct Shared {
    SharedPool pool;
    sluice_buffer_id id{};  ///< of the pool; its index means nothing
    std::vector<sdk::UniqueFd> fds;
  };

  /// Listens. Errors: as WireListener::Listen.
  static sdk::Expected<std::unique_ptr<FrameServer>> Open(const sdk::NodeContext& context,
                                                          const Options& options);
  /// Gives every frame back, and completes what is under way.
  ~FrameServer();
  FrameServer(const FrameServer&) = delete;
  FrameServer& operator=(const FrameServer&) = delete;

  /// Frames are of `shared` from now on, in an epoch that is not ending; a reader of another pool
  /// is dismissed.
  void Serve(std::shared_ptr<const Shared> shared);
  /// Takes a finished frame of that pool; `invocation` is completed when it is with the reader, or
  /// dropped. Errors: INTERNAL for a buffer of another pool; IO.
  sdk::Status Submit(sdk::Frame frame, uint64_t invocation);
  /// Completes `invocation` with END when the reader has heard of the end and has given all back,
  /// or has gone, or after the patience. Who comes later hears of it, too.
  void End(uint64_t invocation);
  /// Until Serve(), what waits for a reader that is not there is dropped, and who is there is
  /// waited for as Options::ending_ns says.
  void EndSoon();

  /// Frames that were handed over.
  uint64_t handed() const { return handed_.load(std::memory_order_relaxed); }

 private:
  struct Waiting {
    sdk::Frame frame;
    uint64_t invocation = 0;
  };

  /// A connection, and the frames that are with it.
  struct Reader {
    WireSocket socket;
    bool started = false;  ///< it wants frames
    bool told_end = false;
    bool leaves = false;                       ///< it wants no more
    std::array<sdk::Frame, kMostShared> lent;  ///< by the index of their buffers

    uint32_t CountLent() const;
  };

  FrameServer(const sdk::NodeContext& context, const Options& options, WireListener listener,
              sdk::UniqueFd event);
  void Run();
  void Wake() const;
  void Fail(sdk::Status status);
  /// What the socket's file and the reader have to say.
  void Welcome();
  void CannotAccept(const std::string& why);
  void Hear();
  /// Why it is no reader any more, or null.
  const char* HearFrom(Reader& reader);
  /// What is wrong with the message, or null.
  const char* HearOne(Reader& reader, const WireMessage& message);
  const char* Leave(Reader& reader, uint32_t kept);
  /// Whatever can be done now. Returns when something is due, or 0.
  int64_t Advance(int64_t now_ns);
  int64_t Deliver(int64_t now_ns);
  int64_t Finish(int64_t now_ns);
  int64_t CheckStart(int64_t now_ns);
  /// Until when a reader is waited for that has not moved since `since_ns`.
  int64_t DueAfter(int64_t since_ns) const;
  void Drop(const char* reason);
  void CompleteWaiting();
  /// The present reader is gone, or is sent away: all its frames come home.
  void Dismiss(const char* why, std::optional<ByeMessage::Why> bye);
  /// With whomever.
  uint32_t CountLent() const;

  const sdk::NodeContext context_;
  const Options options_;
  const WireListener listener_;
  const sdk::UniqueFd event_;
  std::atomic<uint64_t> handed_{0};

  std::mutex mutex_;  // what follows
  sdk::Status failed_;
  bool stopping_ = false;
  int64_t ending_soon_ns_ = 0;  ///< CLOCK_MONOTONIC: since when it is; 0: it is not
  std::shared_ptr<const Shared> shared_;
  std::optional<Waiting> waiting_;
  int64_t accept_at_ns_ = 0;  ///< CLOCK_MONOTONIC: until then nobody who connects is looked at
  std::string accept_error_;  ///< that was told last
  std::optional<uint64_t> ending_;
  int64_t ending_since_ns_ = 0;
  bool ended_ = false;  ///< no frame comes any more
  Reader reader_;       ///< the present one, or none
  std::vector<Reader> leaving_;
  bool late_ = false;     ///< the reader keeps all that it may have, and was named for it
  int64_t moved_ns_ = 0;  ///< it came, a frame went to it, or came back from anybody

  std::thread thread_;  // last: uses the rest
};

}  // namespace sluice::vulkan

#endif  // SLUICE_NODES_VULKAN_SHARING_SERVER_H_
