#include "nodes/pipewire/filter_pair.h"

#include <cerrno>
#include <cstring>
#include <map>
#include <mutex>
#include <utility>

namespace sluice::pipewire {
namespace {

/// How long a reader may keep a frame, and one that lost its buffers may still look at them.
constexpr int64_t kPatienceNs = 2'000'000'000;

/// The pairs of this process, by the daemon's and their own name.
struct Pairs {
  std::mutex mutex;
  std::map<std::pair<std::string, std::string>, std::weak_ptr<FilterPair>> by_name;
};

Pairs& AllPairs() {
  static Pairs pairs;
  return pairs;
}

constexpr const char* kTypes[] = {"pipewire.filter_in", "pipewire.filter_out"};

}  // namespace

// --- Two halves ----------------------------------------------------------------------------------

sdk::Expected<std::shared_ptr<FilterPair>> FilterPair::Join(Half half, const Options& options,
                                                            sdk::NodeContext context) {
  Pairs& pairs = AllPairs();
  const std::lock_guard guard(pairs.mutex);
  std::weak_ptr<FilterPair>& known = pairs.by_name[{options.remote, options.name}];
  std::shared_ptr<FilterPair> pair = known.lock();
  if (pair == nullptr) {
    pair.reset(new FilterPair(options));
    known = pair;
  }
  if (pair->joined_[half]) {
    return sdk::Status::Error(SLUICE_E_ALREADY_EXISTS,
                              "there is another %s of the name '%s': each pair needs a name of its "
                              "own",
                              kTypes[half], options.name.c_str());
  }
  pair->joined_[half] = true;
  pair->Locked([&] {
    pair->contexts_[half] = context;
    if (half == kIn) {
      pair->options_.description = options.description;
      pair->input_.emplace(context);
    }
    if (half == kOut) pair->output_.emplace(context, kPatienceNs);
  });
  return pair;
}

void FilterPair::Leave(Half half) {
  Stop(half);
  Pairs& pairs = AllPairs();
  const std::lock_guard guard(pairs.mutex);
  joined_[half] = false;
  if (half == kIn) input_.reset();
  if (half == kOut) output_.reset();
  if (!joined_[1 - half]) pairs.by_name.erase({options_.remote, options_.name});
}

FilterPair::~FilterPair() { Close(); }

sdk::Status FilterPair::CheckComplete(Half half) const {
  const std::lock_guard guard(AllPairs().mutex);
  if (joined_[1 - half]) return {};
  return sdk::Status::Error(SLUICE_E_INVALID_ARGUMENT,
                            "the filter '%s' has no other half: a %s with name: %s is missing",
                            options_.name.c_str(), kTypes[1 - half], options_.name.c_str());
}

void FilterPair::SetFormat(const sluice_format& format) {
  Locked([&] { input_->SetFormat(format); });
}

void FilterPair::SetPool(const SharedPool& pool) {
  Locked([&] { output_->SetPool(pool); });
}

sdk::Status FilterPair::Start(Half half) {
  const std::lock_guard guard(mutex_);
  started_[half] = true;
  if (!started_[1 - half]) return {};
  return Open();
}

void FilterPair::Stop(Half half) {
  const std::lock_guard guard(mutex_);
  Close();
  started_[half] = false;
}

bool FilterPair::started(Half half) const {
  const std::lock_guard guard(mutex_);
  return started_[half];
}

sdk::Status FilterPair::lost() const {
  return Locked([&] { return lost_; });
}

// --- The node of PipeWire ------------------------------------------------------------------------

sdk::Status FilterPair::Open() {
  Close();
  auto connection = Connection::Open(options_.remote);
  if (!connection.ok()) return connection.status();
  connection_ = *std::move(connection);
  sdk::Status status;
  {
    const Connection::Lock lock(*connection_);
    lost_ = {};
    connection_->AddListener(this);
    status = MakeFilter(lock);
  }
  if (!status.ok()) Close();
  return status;
}

sdk::Status FilterPair::MakeFilter(const Connection::Lock& lock) {
  pw_properties* properties = pw_properties_new(
      PW_KEY_MEDIA_TYPE, "Video", PW_KEY_MEDIA_CATEGORY, "Filter", PW_KEY_MEDIA_CLASS,
      "Video/Filter", PW_KEY_NODE_NAME, options_.name.c_str(), PW_KEY_NODE_DESCRIPTION,
      options_.description.c_str(), PW_KEY_NODE_AUTOCONNECT, "false", nullptr);
  filter_ = pw_filter_new(connection_->core(), options_.name.c_str(), properties);
  if (filter_ == nullptr) {
    return sdk::Status::Error(SLUICE_E_INTERNAL, "a filter of PipeWire: %s", strerror(errno));
  }
  pw_filter_add_listener(filter_, &hook_, &Events(), this);
  if (sdk::Status status = input_->Attach(filter_); !status.ok()) return status;
  if (sdk::Status status = output_->Attach(filter_); !status.ok()) return status;
  // Within the cycle of whoever drives it: so the peer knows that it reads before the cycle ends.
  if (const int result = pw_filter_connect(filter_, PW_FILTER_FLAG_RT_PROCESS, nullptr, 0);
      result < 0) {
    return sdk::Status::Error(SLUICE_E_INTERNAL, "a filter of PipeWire: %s", strerror(-result));
  }
  if (sdk::Status status = connection_->RoundTrip(lock, 3'000'000'000); !status.ok()) return status;
  return lost_;
}

void FilterPair::Close() {
  if (connection_ == nullptr) return;
  {
    const Connection::Lock lock(*connection_);
    connection_->RemoveListener(this);
    if (filter_ != nullptr) {
      pw_filter_destroy(filter_);
      filter_ = nullptr;
    }
    if (input_) input_->Detach();
    if (output_) output_->Detach();
  }
  connection_.reset();
}

void FilterPair::Lose(sdk::Status reason) {
  if (!lost_.ok()) return;
  lost_ = std::move(reason);
  contexts_[kIn].Wake();
}

// --- What PipeWire says --------------------------------------------------------------------------

const pw_filter_events& FilterPair::Events() {
  static constexpr pw_filter_events kEvents = [] {
    pw_filter_events events{};
    events.version = PW_VERSION_FILTER_EVENTS;
    events.state_changed = [](void* data, pw_filter_state, pw_filter_state state,
                              const char* error) {
      static_cast<FilterPair*>(data)->OnState(state, error);
    };
    events.param_changed = [](void* data, void* port, uint32_t id, const spa_pod* param) {
      static_cast<FilterPair*>(data)->OnParam(port, id, param);
    };
    events.add_buffer = [](void* data, void* port, pw_buffer* buffer) {
      static_cast<FilterPair*>(data)->OnBuffer(port, buffer, true);
    };
    events.remove_buffer = [](void* data, void* port, pw_buffer* buffer) {
      static_cast<FilterPair*>(data)->OnBuffer(port, buffer, false);
    };
    events.process = [](void* data, spa_io_position*) {
      static_cast<FilterPair*>(data)->OnProcess();
    };
    return events;
  }();
  return kEvents;
}

void FilterPair::OnGlobalRemoved(const Global& global) {
  if (global.type != PW_TYPE_INTERFACE_Link || filter_ == nullptr) return;
  const uint32_t id = pw_filter_get_node_id(filter_);
  if (global.Property(PW_KEY_LINK_OUTPUT_NODE) == std::to_string(id)) output_->OnUnlinked();
}

void FilterPair::OnState(pw_filter_state state, const char* error) {
  if (state != PW_FILTER_STATE_ERROR) return;
  Lose(sdk::Status::Error(SLUICE_E_IO, "the filter %s: %s", options_.name.c_str(),
                          error != nullptr ? error : "PipeWire says that it failed"));
}

void FilterPair::OnParam(const void* port, uint32_t id, const spa_pod* param) {
  if (port == nullptr || id != SPA_PARAM_Format) return;
  if (port == input_->port()) input_->OnFormat(param);
  if (port == output_->port()) output_->OnFormat(param);
}

void FilterPair::OnBuffer(const void* port, pw_buffer* buffer, bool added) {
  if (port == input_->port()) {
    added ? input_->OnAddBuffer(buffer, pw_core_get_mempool(connection_->core()))
          : input_->OnRemoveBuffer(buffer);
  } else if (port == output_->port()) {
    added ? output_->OnAddBuffer(buffer) : output_->OnRemoveBuffer(buffer);
  }
}

void FilterPair::OnProcess() {
  input_->OnProcess();
  output_->OnProcess();
  if (input_->waiting()) contexts_[kIn].Wake();
}

// --- Frames --------------------------------------------------------------------------------------

bool FilterPair::InputWaiting() const {
  return Locked([&] { return input_->waiting(); });
}

std::optional<uint64_t> FilterPair::CopyNext(const sdk::Mapping& to, sluice_frame_info* info) {
  return Locked([&] { return input_->CopyNext(to, info); });
}

void FilterPair::Send(sdk::Frame frame) {
  Locked([&] { output_->Send(std::move(frame)); });
}

bool FilterPair::LetHome() {
  return Locked([&] { return output_->LetHome(); });
}

}  // namespace sluice::pipewire
