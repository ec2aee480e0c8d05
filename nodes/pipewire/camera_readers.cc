// Who reads the frames of a camera, and who should be done with them by now.

#include <spa/buffer/meta.h>

#include <algorithm>
#include <atomic>
#include <cstdarg>
#include <cstdlib>
#include <utility>

#include "nodes/pipewire/camera_stream.h"

namespace sluice::pipewire {
namespace {

std::atomic_ref<uint32_t> CountOf(pw_buffer* buffer, bool* found) {
  static uint32_t none = 0;
  auto* busy = static_cast<spa_meta_busy*>(
      spa_buffer_find_meta_data(buffer->buffer, SPA_META_Busy, sizeof(spa_meta_busy)));
  *found = busy != nullptr;
  return std::atomic_ref<uint32_t>(busy != nullptr ? busy->count : none);
}

}  // namespace

void CameraStream::OnGlobal(const Global& global) {
  if (global.type != PW_TYPE_INTERFACE_Link || stream_ == nullptr) return;
  const uint32_t id = pw_stream_get_node_id(stream_);
  if (id == PW_ID_ANY || global.Property(PW_KEY_LINK_OUTPUT_NODE) != std::to_string(id)) return;
  static constexpr pw_link_events kEvents = [] {
    pw_link_events events{};
    events.version = PW_VERSION_LINK_EVENTS;
    events.info = [](void* data, const pw_link_info* info) {
      auto* peer = static_cast<Peer*>(data);
      peer->stream->OnLinkInfo(*peer, *info);
    };
    return events;
  }();
  auto peer = std::make_unique<Peer>();
  peer->stream = this;
  peer->node = static_cast<uint32_t>(
      std::strtoul(global.Property(PW_KEY_LINK_INPUT_NODE).c_str(), nullptr, 10));
  peer->proxy = static_cast<pw_proxy*>(pw_registry_bind(
      connection_->registry(), global.id, PW_TYPE_INTERFACE_Link, PW_VERSION_LINK, 0));
  if (peer->proxy == nullptr) return;
  pw_proxy_add_object_listener(peer->proxy, &peer->hook, &kEvents, peer.get());
  peers_[global.id] = std::move(peer);
}

void CameraStream::OnGlobalRemoved(const Global& global) {
  const auto found = peers_.find(global.id);
  if (found == peers_.end()) return;
  Peer& peer = *found->second;
  // One that fails may be gone before it says so.
  if (!peer.agreed && !peer.refused) SayRefused(peer, "the link went away before they agreed");
  spa_hook_remove(&peer.hook);
  pw_proxy_destroy(peer.proxy);
  peers_.erase(found);
  ++unlinked_;
  if (peers_.empty()) {
    ForgetReaders();
    if (std::exchange(closed_, false)) OfferAnew();
  }
  pw_loop_signal_event(connection_->loop(), event_);
}

void CameraStream::OnLinkInfo(Peer& peer, const pw_link_info& info) {
  if (!std::exchange(peer.active, info.state == PW_LINK_STATE_ACTIVE) && peer.active) {
    pw_loop_signal_event(connection_->loop(), event_);
  }
  if (info.state >= PW_LINK_STATE_PAUSED) peer.agreed = true;
  if (info.state != PW_LINK_STATE_ERROR || std::exchange(peer.refused, true)) return;
  SayRefused(peer, info.error != nullptr ? info.error : "the link failed");
}

void CameraStream::SayRefused(const Peer& peer, const char* why) {
  const sluice_format& format = pool_.format;
  Say("%s cannot read the camera %s (%s): it is %s, %ux%u, in %s", NameOf(peer.node).c_str(),
      options_.name.c_str(), why, FourccName(format.fourcc).c_str(), format.width, format.height,
      pool_.shm() ? "shared memory" : "dma-bufs");
}

std::string CameraStream::NameOf(uint32_t node) const {
  const auto found = connection_->globals().find(node);
  if (found == connection_->globals().end()) return "a reader that is gone";
  const std::string& name = found->second.Property(PW_KEY_NODE_NAME);
  return name.empty() ? "node " + std::to_string(node) : name;
}

bool CameraStream::Watched() const {
  return std::any_of(peers_.begin(), peers_.end(),
                     [](const auto& entry) { return !entry.second->refused; });
}

std::string CameraStream::PeerNames() const {
  std::string names;
  for (const auto& [id, peer] : peers_) {
    names += (names.empty() ? "" : ", ") + NameOf(peer->node);
  }
  return names.empty() ? "nobody" : names;
}

uint32_t CameraStream::ReadersOf(const Slot& slot) const {
  if (slot.buffer == nullptr) return 0;
  bool found = false;
  const uint32_t count = CountOf(slot.buffer, &found).load(std::memory_order_acquire);
  const uint32_t own = found && slot.held ? 1 : 0;
  return count > own ? count - own : 0;
}

/// Nobody is linked: what is counted still was the count of readers that died.
void CameraStream::ForgetReaders() {
  ledger_.NobodyLinked();
  for (Slot& slot : slots_) {
    if (slot.buffer == nullptr) continue;
    bool found = false;
    CountOf(slot.buffer, &found).store(slot.held ? 1 : 0, std::memory_order_release);
  }
}

/// Has PipeWire drop all buffers and ask for them anew: a new EnumFormat does so, for each link.
void CameraStream::Renegotiate() {
  if (!std::exchange(renegotiating_, true)) OfferAnew();
}

/// Looks for readers that keep a frame for too long. Their buffers are left to them as long as
/// there are others; who is still linked may mean to read on.
void CameraStream::Look() {
  const int64_t now_ns = NowNs();
  bool orphaned = false;
  bool overdue = false;
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    Slot& slot = slots_[i];
    if (!ledger_.Overdue(i, ReadersOf(slot), now_ns)) continue;
    overdue = true;
    if (unlinked_ != slot.unlinked_before) orphaned = true;  // by a link that is gone, it must be
    if (orphaned || std::exchange(slot.reported, true)) continue;
    Say("a reader keeps a frame for longer than %lld ms; the camera %s goes on without that "
        "buffer. "
        "Linked: %s",
        static_cast<long long>(options_.patience_ns / 1'000'000), options_.name.c_str(),
        PeerNames().c_str());
  }
  const bool starving = overdue && !waiting_ && ledger_.out() == slots_.size();
  if (starving) {
    Say("readers keep all %zu buffers of the camera %s for longer than %lld ms: they are taken "
        "from "
        "them. Linked: %s",
        slots_.size(), options_.name.c_str(),
        static_cast<long long>(options_.patience_ns / 1'000'000), PeerNames().c_str());
  }
  if (orphaned || starving) Renegotiate();
}

/// For the report, and at once for the log. Nothing is said twice.
void CameraStream::Say(const char* format, ...) {
  std::va_list args;
  va_start(args, format);
  const std::string text = sdk::VFormat(format, args);
  va_end(args);
  if (!said_.insert(text).second) return;
  context_.Note(text.c_str());
  context_.Log(SLUICE_LOG_WARNING, "%s", text.c_str());
}

/// A release point that nobody signals: its reader never took the frame, died, or forgot it.
void CameraStream::CheckReleases() {
  const int64_t now_ns = NowNs();
  std::erase_if(unreleased_, [&](const Unreleased& one) {
    if (one.sync->point() != one.point || one.sync->Released() != 0) return true;
    if (Watched() && now_ns - one.since_ns < options_.patience_ns) return false;
    // A reader that is late does not take a frame at all, and so has none to release.
    if (Watched() && one.taken) {
      Say("a reader does not signal the release points of the camera %s for %lld ms; they are "
          "taken "
          "as signalled. Linked: %s",
          options_.name.c_str(), static_cast<long long>(options_.patience_ns / 1'000'000),
          PeerNames().c_str());
    }
    one.sync->ReleaseNow();
    return true;
  });
}

}  // namespace sluice::pipewire
