#ifndef NODES_PIPEWIRE_CAMERA_STREAM_H_
#define NODES_PIPEWIRE_CAMERA_STREAM_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <pipewire/pipewire.h>

#include <sluice/node.hpp>
#include <sluice/unique_fd.hpp>

#include "nodes/pipewire/camera_buffers.h"
#include "nodes/pipewire/camera_ledger.h"
#include "nodes/pipewire/connection.h"
#include "nodes/pipewire/formats.h"
#include "nodes/pipewire/sync_timeline.h"

namespace sluice::pipewire {

/// A size and format that a reader needs.
struct CameraWish {
  uint32_t fourcc = 0;
  Size size;

  bool operator==(const CameraWish&) const = default;
};

/// A Video/Source of PipeWire over the buffers of a pool: frames go out as the buffers that they
/// are in, and come home when their last reader is done.
///
/// One frame is under way at a time: it waits until somebody is linked and the cycle before it has
/// ended. Threads: any for the functions said so, else PipeWire's loop; all of it is guarded by the
/// loop's lock.
class CameraStream final : private Connection::Listener {
 public:
  struct Options {
    std::string name;
    std::string description;
    int64_t patience_ns = 0;  ///< how long a reader may keep a frame
    /// The least time between two frames: a reader's loop that has not run yet loses the first.
    int64_t interval_ns = 0;
    /// Readers may ask for other sizes and formats than the pool's.
    bool follow = false;
  };

  /// Appears in the daemon's graph. `pool` has all its buffers; its fds stay open until the stream
  /// is suspended or ends. Errors: DEVICE_LOST, UNSUPPORTED (PipeWire has no such format), IO.
  static sdk::Expected<std::unique_ptr<CameraStream>> Create(std::shared_ptr<Connection> connection,
                                                             sdk::NodeContext context,
                                                             const Options& options,
                                                             const SharedPool& pool);
  /// Gives all frames back; what is under way is completed. Not on the loop's thread.
  ~CameraStream();

  /// Takes the frame of `invocation`, which is completed when the frame was published, or with an
  /// error. One at a time. Threads: any. Errors: as Create(), and the fence's.
  sdk::Status Submit(sdk::Frame frame, uint64_t invocation);
  /// No further frame comes: `invocation` is completed with END as soon as the last one was handed
  /// over and read, or patience is over. Threads: any.
  void End(uint64_t invocation);
  /// A frame for which nobody is there need not wait any more, until Suspend(). Threads: any.
  void EndSoon();

  uint64_t published() const;

  // With Options::follow. A reader's wish is said once, by RequestRenegotiateInput(); until the
  // next epoch frames go nowhere. Threads: the engine's, between epochs.
  /// What a reader needs; it is linked, and has buffers with nothing in them. Threads: any.
  std::optional<CameraWish> wish() const;
  /// The pool goes: all frames are given back. Links stay, and see nothing.
  void Suspend();
  bool suspended() const;
  /// Goes on with the next epoch's pool. A wish that this is not is refused, and its reader named.
  /// Errors: as Submit().
  sdk::Status Resume(const SharedPool& pool, int64_t interval_ns);

 private:
  struct Slot {
    sdk::Frame frame;              ///< the lease, while the buffer is out
    pw_buffer* buffer = nullptr;   ///< what it is bound to, while there are buffers
    bool held = false;             ///< `buffer` is dequeued
    bool reported = false;         ///< that somebody keeps it
    bool taken = false;            ///< somebody was seen to read it
    uint64_t unlinked_before = 0;  ///< unlinked_ when it was published
  };
  /// What was put into one of PipeWire's buffers.
  struct Bound {
    std::vector<sdk::UniqueFd> fds;
    std::shared_ptr<SyncPair> sync;  ///< or null
  };
  /// A frame whose reader has not said yet that it is done.
  struct Unreleased {
    std::shared_ptr<SyncPair> sync;
    uint64_t point = 0;
    int64_t since_ns = 0;
    bool taken = false;  ///< somebody was seen to read it
  };
  struct Waiting {
    sdk::Frame frame;
    uint64_t invocation = 0;
    sdk::UniqueFd fence;  ///< what must pass before it is published; none: nothing
    bool promised = false;  ///< its fence has nothing behind it yet: `fence` is still to come
  };
  /// A link of this node, by its global's id.
  struct Peer {
    CameraStream* stream = nullptr;
    uint32_t node = 0;
    pw_proxy* proxy = nullptr;
    spa_hook hook{};
    bool active = false;
    bool agreed = false;  ///< on format and buffers
    bool refused = false;
  };

  CameraStream(std::shared_ptr<Connection> connection, sdk::NodeContext context,
               const Options& options, const SharedPool& pool);

  // Connection::Listener.
  void OnDisconnected(const sdk::Status& reason) override;
  void OnGlobal(const Global& global) override;
  void OnGlobalRemoved(const Global& global) override;

  // Of the stream, by its own name.
  static const pw_stream_events& Events();
  void OnState(pw_stream_state state, const char* error);
  void OnFormat(const spa_pod* param);
  void OnAddBuffer(pw_buffer* buffer);
  void OnRemoveBuffer(pw_buffer* buffer);
  void OnProcess();
  void OnTriggerDone();
  void OnTimer();
  void EndCycle();
  int64_t CyclePatienceNs() const;
  void SayRefused(const Peer& peer, const char* why);
  void OnLinkInfo(Peer& peer, const pw_link_info& info);

  sdk::Status Connect();
  sdk::Status Appear();
  void Reappear();
  void FindSync();
  void AddFormats(PodList& pods) const;
  void AddFollowFormats(PodList& pods) const;
  bool IsOfPool(const VideoFormat& format) const;
  void TakeWish(const VideoFormat& format);
  void OfferAnew();
  void OfferEmptyBuffers(const VideoFormat& format);
  void CloseOffers();

  void Advance();
  void Collect();
  void TryPublish();
  bool SomebodyReads() const;
  bool FencePassed();
  /// False: it is still only promised, or failed.
  bool TakePromised();
  void Publish(std::size_t index);
  void Look();
  [[gnu::format(printf, 2, 3)]] void Say(const char* format, ...);
  void TryEnd();
  std::shared_ptr<SyncPair> SyncOf(const Slot& slot) const;
  void GiveHome(Slot& slot);
  void CheckReleases();
  void Renegotiate();
  void ForgetReaders();
  void Arm();
  /// The frame under way and its invocation. Its fence is not watched any more.
  std::optional<Waiting> TakeWaiting();
  void Complete(int32_t result);
  void Fail(const sdk::Status& status);
  void WatchFence(int fd);
  uint32_t ReadersOf(const Slot& slot) const;
  /// Whether somebody is linked, and was not refused.
  bool Watched() const;
  std::string PeerNames() const;
  std::string NameOf(uint32_t node) const;

  const std::shared_ptr<Connection> connection_;
  const sdk::NodeContext context_;
  Options options_;
  SharedPool pool_;

  pw_stream* stream_ = nullptr;
  spa_hook hook_{};
  spa_source* timer_ = nullptr;
  spa_source* event_ = nullptr;
  spa_source* foreign_cycle_ = nullptr;
  spa_source* fence_source_ = nullptr;

  ReaderLedger ledger_;
  std::vector<Slot> slots_;
  std::map<pw_buffer*, Bound> bound_;
  sdk::UniqueFd sync_device_;  ///< for timelines; none: no explicit sync
  std::vector<Unreleased> unreleased_;
  std::optional<VideoFormat> agreed_;
  std::optional<CameraWish> wish_;
  std::vector<CameraWish> refused_;  ///< that the graph cannot give, as it is
  sdk::UniqueFd empty_memory_;
  /// What links are given while there is no pool for them.
  std::optional<SharedPool> empty_;
  bool suspended_ = false;
  bool closed_ = false;  ///< only the pool's format is offered, until nobody is linked
  std::optional<Waiting> waiting_;
  std::optional<uint64_t> ending_;
  int64_t ending_since_ns_ = 0;
  std::map<uint32_t, std::unique_ptr<Peer>> peers_;
  sdk::Status lost_;
  bool streaming_ = false;
  bool appeared_ = false;    ///< others see the stream
  bool failed_ = false;      ///< and must not use it any more
  int64_t reappear_ns_ = 0;  ///< before which a failed one is left alone
  bool ending_soon_ = false;
  bool renegotiating_ = false;  ///< until the buffers there are go
  int64_t cycle_since_ns_ = 0;  ///< of the cycle under way; 0: none is
  bool hung_ = false;           ///< the last one was given up on
  int64_t cycle_ended_ns_ = 0;
  int64_t due_ns_ = 0;     ///< before which no frame is published
  uint64_t unlinked_ = 0;  ///< links that went away
  int64_t armed_for_ns_ = 0;
  uint64_t published_ = 0;
  std::set<std::string> said_;
};

}  // namespace sluice::pipewire

#endif  // NODES_PIPEWIRE_CAMERA_STREAM_H_
