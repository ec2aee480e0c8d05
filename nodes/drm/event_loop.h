#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include <sluice/sdk.hpp>
#include <sluice/unique_fd.hpp>

#include "nodes/drm/kms.h"

namespace sluice::drm {

/// CLOCK_MONOTONIC.
int64_t NowNs();

/// What wants to hear of a card's events. Called on the loop's thread.
class EventSink {
 public:
  virtual ~EventSink() = default;
  /// A flip whose commit carried the id that Add() gave.
  virtual void OnFlip(const FlipEvent& flip) = 0;
  /// The card gives no more events.
  virtual void OnLost(const sdk::Status& why) = 0;
  /// Does what is due. Called after every event, and at the time it asked for.
  struct Next {
    int64_t at_ns = INT64_MAX;  ///< CLOCK_MONOTONIC
    int fd = -1;                ///< or when this is readable
  };
  virtual Next Advance(int64_t now_ns) = 0;
};

/// The one reader of a card's events: a thread that runs while there is a sink.
/// Threads: [thread-safe], but not from a sink's own calls (save Wake).
class EventLoop {
 public:
  EventLoop() = default;
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;
  ~EventLoop();

  /// Which fd is read. Before the first Add().
  void SetFd(int fd) { fd_ = fd; }
  /// The id for the user data of its commits, never 0.
  /// Errors: RESOURCE_EXHAUSTED.
  sdk::Expected<uint64_t> Add(std::shared_ptr<EventSink> sink);
  /// With the last sink the thread ends. Another sink may be in a call that ends a little later.
  void Remove(uint64_t id);
  /// Has every sink look at what is due.
  void Wake();

 private:
  struct Entry {
    uint64_t id;
    std::shared_ptr<EventSink> sink;
  };
  sdk::Status StartThread();
  void Run();
  /// False: the card is gone.
  bool ReadEvents(const std::vector<Entry>& sinks, std::string* why);

  int fd_ = -1;
  sdk::UniqueFd wake_;
  std::mutex mutex_;  ///< of what follows
  std::vector<Entry> sinks_;
  uint64_t last_id_ = 0;
  bool quit_ = false;
  std::mutex thread_mutex_;  ///< of starting and ending it
  std::thread thread_;
};

}  // namespace sluice::drm
