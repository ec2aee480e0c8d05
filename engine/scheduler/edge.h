#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>

#include "engine/base/clock.h"
#include "engine/graph/graph_config.h"
#include "engine/media/buffer_pool.h"
#include "engine/scheduler/stats.h"

namespace sluice::scheduler {

class NodeRunner;

/// What an edge did; outlives epochs. The producer writes passed and dropped,
/// the consumer latency.
struct EdgeStats {
  std::string name;  ///< "look.out -> write.in"
  Counter passed;
  Counter dropped_oldest;
  Counter dropped_newest;
  Counter dropped_overrun;  ///< The node emitted more than it had reserved.
  Counter dropped_failed;   ///< The acquire fence carried an error.
  std::atomic<uint64_t> dropped_closed{0};  ///< The consumer had ended.
  Counter superseded;       ///< Sampled away under `latest`.
  std::atomic<uint32_t> peak{0};
  Histogram latency;        ///< From emit to consumption, ns; sampled.
};

/// A bounded queue of leases between one output and one input. One thread
/// pushes, one pops. With drop-oldest the pushing thread pops too, under a lock;
/// what Front() has shown is then out of its reach. Owns the leases inside.
class Edge {
 public:
  struct Options {
    graph::QueueConfig queue;
    /// Room beyond the depth, for producers that emit more than one frame in a call.
    uint32_t slack = 0;
    /// Both ends belong to one run group: nobody has to be woken.
    bool local = false;
  };

  Edge(Options options, EdgeStats& stats);
  ~Edge();

  const Options& options() const { return options_; }
  EdgeStats& stats() { return stats_; }
  const EdgeStats& stats() const { return stats_; }

  // Who is on the ends. Set before use.
  NodeRunner* producer = nullptr;
  NodeRunner* consumer = nullptr;
  uint32_t consumer_input = 0;
  media::HolderId holder = media::kProducer;  ///< The consumer's name in the pool's ledger.

  // Producer's side.
  bool Full() const;
  /// For `block` edges, after Full(): asks to be woken; true = it is still full.
  bool WaitForRoom();
  /// Takes the lease. True: the consumer must be woken.
  bool Push(media::Frame* frame);
  /// No frame will follow. True: the consumer must be woken.
  bool End();
  bool closed() const { return closed_.load(std::memory_order_seq_cst); }

  // Consumer's side.
  media::Frame* Front();
  /// The front one, null if there is none. *wake: the producer must be woken.
  media::Frame* Pop(bool* wake);
  /// After Front() gave nothing: asks to be woken; true = it is still empty.
  bool WaitForFrame();
  bool ended() const { return ended_.load(std::memory_order_seq_cst); }
  /// The consumer wants no more: releases what is queued. True: wake the producer.
  bool Close();

  /// Frames in the queue.
  uint32_t size() const;
  bool Empty() const { return size() == 0 && shown_.load(std::memory_order_acquire) == nullptr; }
  /// Releases what is inside. Neither end runs any more.
  void Clear();

 private:
  media::Frame* PopFront();
  void ReleaseAll();
  bool WakeConsumer();
  void Publish(std::atomic<uint32_t>& index, uint32_t value);
  bool locked() const { return options_.queue.when_full == graph::WhenFull::kDropOldest; }

  const Options options_;
  EdgeStats& stats_;
  uint32_t mask_;
  std::unique_ptr<media::Frame*[]> ring_;
  mutable std::mutex mutex_;  // drop-oldest, and closing
  /// Drop-oldest: the frame that Front() has shown; the consumer's.
  std::atomic<media::Frame*> shown_{nullptr};
  alignas(64) std::atomic<uint32_t> head_{0};
  std::atomic<bool> producer_waiting_{false};
  std::atomic<bool> closed_{false};
  alignas(64) std::atomic<uint32_t> tail_{0};
  std::atomic<bool> consumer_waiting_{false};
  std::atomic<bool> ended_{false};
};

}  // namespace sluice::scheduler
