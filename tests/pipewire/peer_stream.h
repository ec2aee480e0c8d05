#pragma once

#include <pipewire/pipewire.h>

#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/pipewire/peer_memory.h"
#include "tests/pipewire/peer_options.h"
#include "tests/pipewire/peer_timeline.h"

namespace sluice::testing {

enum PeerExit { kPeerGood = 0, kPeerBadFrames = 1, kPeerFailed = 2, kPeerDeadline = 3 };

/// What both peers are: one pw_stream on one thread, which runs until End.
/// Everything is called on that thread.
class PeerStream {
 public:
  PeerStream(const PeerOptions& options, pw_direction direction);
  virtual ~PeerStream();
  PeerStream(const PeerStream&) = delete;
  PeerStream& operator=(const PeerStream&) = delete;

  /// Runs until End, SIGTERM or SIGINT; prints what Summary says, and returns
  /// the exit status.
  int Run(pw_properties* properties, uint32_t flags, const std::vector<const spa_pod*>& offers);

 protected:
  /// One buffer of the stream, mapped.
  struct Buffer {
    pw_buffer* buffer = nullptr;
    std::vector<BlockMap> blocks;
    std::vector<UniqueFd> own;     ///< Where this end made the memory.
    std::string problem;           ///< Why it is not mapped.
    SyncPoints* points = nullptr;  ///< With explicit sync; it has acquire and release then.
    Syncobj acquire;
    Syncobj release;

    /// Without the syncobjs.
    uint32_t planes() const { return buffer->buffer->n_datas - (points ? 2 : 0); }
  };

  struct BuffersWanted {
    int least = 2;
    int count = 4;
    int most = 32;
    uint32_t blocks = 0;  ///< 0: any number.
    uint32_t bytes = 0;   ///< 0: any size.
    uint32_t stride = 0;  ///< 0: any.
    int types = 0;
  };

  virtual void OnState(pw_stream_state) {}
  virtual void OnFormat(const spa_pod* format) = 0;  ///< Null: none any more.
  virtual void OnBuffer(Buffer&) {}                  ///< New, before it is mapped.
  virtual void OnBufferGone(Buffer&) {}
  virtual void OnProcess() = 0;
  virtual void OnTriggerDone() {}
  virtual void OnTimer() {}
  virtual void OnAlarm() {}
  virtual nlohmann::json Summary() = 0;
  virtual bool FramesAreGood() const { return true; }

  /// One line on stdout, now.
  void Say(nlohmann::json line);
  void End(const std::string& reason, PeerExit status);
  /// In `ns`, and then each `every_ns`; 0: never.
  void SetTimer(uint64_t ns, uint64_t every_ns);
  /// Another timer, once.
  void SetAlarm(uint64_t ns);
  /// ParamBuffers, ParamMeta: what both ends say when a format is agreed upon.
  void AnnounceBuffers(const BuffersWanted& wanted);
  static Buffer* Of(pw_buffer* buffer) { return static_cast<Buffer*>(buffer->user_data); }
  /// The producer says that no picture is in it.
  static bool IsEmpty(const pw_buffer& buffer);
  static uint64_t Now();

  const PeerOptions& options() const { return options_; }
  pw_stream* stream() { return stream_; }
  /// Null: no explicit sync.
  const std::shared_ptr<SyncDevice>& sync_device() const { return sync_device_; }
  bool writable() const { return direction_ == PW_DIRECTION_OUTPUT; }

 private:
  static const pw_stream_events& Events();
  void StateChanged(pw_stream_state state, const char* error);
  void AddBuffer(pw_buffer* buffer);
  void RemoveBuffer(pw_buffer* buffer);

  PeerOptions options_;
  pw_direction direction_;
  pw_main_loop* loop_ = nullptr;
  pw_stream* stream_ = nullptr;
  spa_source* timer_ = nullptr;
  spa_source* alarm_ = nullptr;
  std::shared_ptr<SyncDevice> sync_device_;
  std::string end_;
  PeerExit status_ = kPeerGood;
};

}  // namespace sluice::testing
