#ifndef NODES_PIPEWIRE_FILTER_PAIR_H_
#define NODES_PIPEWIRE_FILTER_PAIR_H_

#include <array>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include <pipewire/filter.h>

#include <sluice/node.hpp>

#include "nodes/pipewire/connection.h"
#include "nodes/pipewire/filter_input.h"
#include "nodes/pipewire/filter_output.h"

namespace sluice::pipewire {

/// One node of PipeWire with an input and an output, which two nodes of a graph share: what arrives
/// at its input comes out of the one, what goes into the other leaves by its output.
///
/// It exists in PipeWire while both halves run. Threads: any, unless said.
class FilterPair final : private Connection::Listener {
 public:
  enum Half { kIn, kOut };
  struct Options {
    std::string remote;
    std::string name;         ///< node.name; the two halves have it in common
    std::string description;  ///< for people; that of the input's half
  };

  /// The pair of this name, of which the caller is one half until Leave().
  /// Errors: ALREADY_EXISTS (somebody else is that half).
  static sdk::Expected<std::shared_ptr<FilterPair>> Join(Half half, const Options& options,
                                                         sdk::NodeContext context);
  void Leave(Half half);
  ~FilterPair();

  /// Errors: INVALID_ARGUMENT, which names the half that is missing.
  sdk::Status CheckComplete(Half half) const;

  void SetFormat(const sluice_format& format);
  void SetPool(const SharedPool& pool);

  /// With the second half, it appears in PipeWire. [main-thread]
  /// Errors: NOT_FOUND (no daemon), TIMEOUT, DEVICE_LOST, INTERNAL.
  sdk::Status Start(Half half);
  /// It vanishes. [main-thread]
  void Stop(Half half);
  bool started(Half half) const;
  /// Not ok: it is over, and why.
  sdk::Status lost() const;

  bool InputWaiting() const;
  std::optional<uint64_t> CopyNext(const sdk::Mapping& to, sluice_frame_info* info);
  void Send(sdk::Frame frame);
  bool LetHome();

 private:
  explicit FilterPair(Options options) : options_(std::move(options)) {}

  // Under the mutex:
  sdk::Status Open();
  sdk::Status MakeFilter(const Connection::Lock& lock);
  void Close();

  void Lose(sdk::Status reason);
  /// Nothing else touches the ports meanwhile.
  template <class Body>
  auto Locked(Body&& body) const {
    const std::lock_guard guard(mutex_);
    std::optional<Connection::Lock> lock;
    if (connection_ != nullptr) lock.emplace(*connection_);
    return body();
  }

  // Connection::Listener:
  void OnDisconnected(const sdk::Status& reason) override { Lose(reason); }
  void OnGlobalRemoved(const Global& global) override;

  static const pw_filter_events& Events();
  void OnState(pw_filter_state state, const char* error);
  void OnParam(const void* port, uint32_t id, const spa_pod* param);
  void OnBuffer(const void* port, pw_buffer* buffer, bool added);
  void OnProcess();  // on PipeWire's thread for data

  Options options_;
  std::array<bool, 2> joined_{};  ///< guarded by the mutex of all pairs
  // Before the loop's lock, and never on the loop's thread: a half that is made anew closes the
  // filter while the other half works.
  mutable std::mutex mutex_;
  std::array<bool, 2> started_{};
  std::array<sdk::NodeContext, 2> contexts_{};
  std::shared_ptr<Connection> connection_;
  pw_filter* filter_ = nullptr;
  spa_hook hook_{};
  std::optional<FilterInput> input_;
  std::optional<FilterOutput> output_;
  sdk::Status lost_;
};

}  // namespace sluice::pipewire

#endif  // NODES_PIPEWIRE_FILTER_PAIR_H_
