#ifndef NODES_PIPEWIRE_FILTER_OUTPUT_H_
#define NODES_PIPEWIRE_FILTER_OUTPUT_H_

#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include <pipewire/filter.h>

#include <sluice/node.hpp>
#include <sluice/unique_fd.hpp>

#include "nodes/pipewire/camera_buffers.h"
#include "nodes/pipewire/camera_ledger.h"
#include "nodes/pipewire/connection.h"

namespace sluice::pipewire {

/// The output port of a filter: the graph's frames, read where they are. A frame's lease ends when
/// its last reader is done; how that is known, docs/design/0012 says.
/// Threads: everything under the connection's lock, or on its loop; but for OnProcess(), which
/// comes on PipeWire's thread for data.
class FilterOutput {
 public:
  /// `patience_ns`: how long a reader may keep a frame, and one that went away with its buffers may
  /// still look.
  FilterOutput(sdk::NodeContext context, int64_t patience_ns)
      : context_(context), ledger_(patience_ns) {}

  /// The buffers that frames come in. Their fds are borrowed, and outlive the port.
  void SetPool(const SharedPool& pool);

  sdk::Status Attach(pw_filter* filter);
  /// The filter is gone: all frames go home.
  void Detach();
  const void* port() const { return port_; }

  void OnFormat(const spa_pod* param);
  void OnAddBuffer(pw_buffer* buffer);
  void OnRemoveBuffer(pw_buffer* buffer);
  /// One of the output's links is gone.
  void OnUnlinked();
  /// A cycle of PipeWire asks for the next frame.
  void OnProcess();

  /// Sends a frame in the next cycle; at once home where nobody is linked.
  void Send(sdk::Frame frame);
  /// Lets frames go home that nobody reads any more, and has PipeWire take those back that readers
  /// kept who are gone. True: ask again later, nothing else will tell.
  bool LetHome();

 private:
  struct Slot {
    sdk::Frame frame;              ///< the lease, while the buffer is out
    pw_buffer* buffer = nullptr;   ///< the same memory, while there are buffers
    bool held = false;             ///< PipeWire does not have `buffer`
    uint64_t unlinked_before = 0;  ///< unlinked_ when it was published
  };

  void AddFormats(PodList& pods) const;
  static uint32_t ReadersOf(const Slot& slot);
  // Under the mutex:
  bool linked() const;
  void Publish();
  void ReleaseUnread();
  bool BuffersAreLost();

  sdk::NodeContext context_;
  SharedPool pool_;
  pw_filter* filter_ = nullptr;
  void* port_ = nullptr;
  std::optional<VideoFormat> agreed_;
  std::map<pw_buffer*, std::vector<sdk::UniqueFd>> fds_;

  std::mutex mutex_;  ///< guards the rest
  ReaderLedger ledger_;
  std::vector<Slot> slots_;
  std::deque<sdk::Frame> waiting_;
  uint64_t unlinked_ = 0;       ///< links that went away
  bool renegotiating_ = false;  ///< until the buffers there are go
};

}  // namespace sluice::pipewire

#endif  // NODES_PIPEWIRE_FILTER_OUTPUT_H_
