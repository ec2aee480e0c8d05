#include "nodes/pipewire/filter_output.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <utility>

#include <spa/buffer/meta.h>
#include <spa/param/buffers.h>

namespace sluice::pipewire {
namespace {

constexpr const char* kIn = "in";
/// More than that wait only where PipeWire's cycles are slower than the graph.
constexpr std::size_t kMostWaiting = 2;

/// The pool's format at any rate: a filter has that of whoever drives it.
VideoFormat Offer(const SharedPool& pool, bool dmabuf) {
  VideoFormat format = FormatOf(pool, dmabuf);
  if (format.rate.numerator == 0) format.rate = {30, 1};
  format.rate_min = {0, 1};
  format.rate_max = {1000, 1};
  return format;
}

}  // namespace

// --- Setting up ----------------------------------------------------------------------------------

void FilterOutput::SetPool(const SharedPool& pool) {
  const std::lock_guard guard(mutex_);
  pool_ = pool;
  waiting_.clear();
  slots_.clear();
  slots_.resize(pool.buffers.size());
  ledger_.Reset(pool.buffers.size());
}

void FilterOutput::AddFormats(PodList& pods) const {
  if (pool_.dmabuf()) pods.Add(BuildFormat(pods.Next(), Offer(pool_, true)));
  if (pool_.shm()) pods.Add(BuildFormat(pods.Next(), Offer(pool_, false)));
}

sdk::Status FilterOutput::Attach(pw_filter* filter) {
  filter_ = filter;
  PodList formats;
  AddFormats(formats);
  port_ = pw_filter_add_port(filter, PW_DIRECTION_OUTPUT, PW_FILTER_PORT_FLAG_ALLOC_BUFFERS,
                             sizeof(void*), pw_properties_new(PW_KEY_PORT_NAME, "output", nullptr),
                             formats.data(), formats.size());
  if (port_ != nullptr) return {};
  return sdk::Status::Error(SLUICE_E_INTERNAL, "an output port of PipeWire: %s", strerror(errno));
}

void FilterOutput::Detach() {
  const std::lock_guard guard(mutex_);
  waiting_.clear();
  for (Slot& slot : slots_) slot = Slot{};
  ledger_.Reset(slots_.size());
  fds_.clear();
  agreed_.reset();
  renegotiating_ = false;
  port_ = nullptr;
  filter_ = nullptr;
}

void FilterOutput::OnFormat(const spa_pod* param) {
  agreed_.reset();
  if (param == nullptr) return;
  sdk::Expected<VideoFormat> format = ParseFormat(param);
  if (!format.ok()) {
    context_.Log(SLUICE_LOG_WARNING, "%s", format.status().c_message());
    return;
  }
  agreed_ = *std::move(format);
  PodList params;
  AddBufferParams(pool_, agreed_->dmabuf(), params);
  // Streams ask for it by themselves.
  params.Add(static_cast<const spa_pod*>(spa_pod_builder_add_object(
      params.Next().get(), SPA_TYPE_OBJECT_ParamMeta, SPA_PARAM_Meta, SPA_PARAM_META_type,
      SPA_POD_Id(SPA_META_Busy), SPA_PARAM_META_size,
      SPA_POD_Int(static_cast<int32_t>(sizeof(spa_meta_busy))))));
  pw_filter_update_params(filter_, port_, params.data(), params.size());
}

void FilterOutput::OnAddBuffer(pw_buffer* buffer) {
  const std::lock_guard guard(mutex_);
  const auto free = std::find_if(slots_.begin(), slots_.end(),
                                 [](const Slot& slot) { return slot.buffer == nullptr; });
  // One more than the pool has is a second name of a buffer, and never published.
  const bool spare = free == slots_.end();
  const std::size_t index =
      spare ? fds_.size() % slots_.size() : static_cast<std::size_t>(free - slots_.begin());
  auto fds = FillBuffer(pool_, pool_.buffers[index], agreed_ && agreed_->dmabuf(), *buffer->buffer);
  buffer->user_data = nullptr;
  MarkEmpty(*buffer->buffer);
  if (!fds.ok()) {
    context_.Log(SLUICE_LOG_WARNING, "%s", fds.status().c_message());
    return ForgetMemory(*buffer->buffer);
  }
  fds_[buffer] = *std::move(fds);
  if (spare) return;
  free->buffer = buffer;
  free->held = false;
  buffer->user_data = &*free;
}

void FilterOutput::OnRemoveBuffer(pw_buffer* buffer) {
  const std::lock_guard guard(mutex_);
  if (auto* slot = static_cast<Slot*>(buffer->user_data); slot != nullptr) {
    ledger_.Removed(static_cast<std::size_t>(slot - slots_.data()), ReadersOf(*slot));
    slot->buffer = nullptr;
    slot->held = false;
    buffer->user_data = nullptr;
  }
  fds_.erase(buffer);
  renegotiating_ = false;
  // What waits was for those who are gone.
  if (!linked()) waiting_.clear();
  context_.Wake();
}

void FilterOutput::OnUnlinked() {
  const std::lock_guard guard(mutex_);
  ++unlinked_;
}

// --- Running -------------------------------------------------------------------------------------

bool FilterOutput::linked() const {
  return port_ != nullptr && std::any_of(slots_.begin(), slots_.end(),
                                         [](const Slot& slot) { return slot.buffer != nullptr; });
}

uint32_t FilterOutput::ReadersOf(const Slot& slot) {
  if (slot.buffer == nullptr) return 0;
  auto* busy = static_cast<spa_meta_busy*>(
      spa_buffer_find_meta_data(slot.buffer->buffer, SPA_META_Busy, sizeof(spa_meta_busy)));
  if (busy == nullptr) return 0;
  return std::atomic_ref<uint32_t>(busy->count).load(std::memory_order_acquire);
}

void FilterOutput::Send(sdk::Frame frame) {
  const std::lock_guard guard(mutex_);
  if (!linked()) return;
  waiting_.push_back(std::move(frame));
  if (waiting_.size() <= kMostWaiting) return;
  waiting_.pop_front();
  context_.CountDrop(kIn, 1, "PipeWire asked for none in time");
}

void FilterOutput::OnProcess() {
  const std::lock_guard guard(mutex_);
  while (pw_buffer* buffer = pw_filter_dequeue_buffer(port_)) {
    auto* slot = static_cast<Slot*>(buffer->user_data);
    if (slot == nullptr) continue;
    slot->held = true;
    ledger_.GivenBack(static_cast<std::size_t>(slot - slots_.data()));
  }
  // Its driver begins no cycle before the last one has ended.
  ledger_.CycleEnded();
  ReleaseUnread();
  Publish();
}

void FilterOutput::Publish() {
  if (waiting_.empty()) return;
  const std::size_t index = waiting_.front().BufferId().index;
  if (index >= slots_.size()) {
    waiting_.pop_front();
    return;
  }
  Slot& slot = slots_[index];
  // Not while another use of the same memory is under way.
  if (!slot.held || slot.frame) return;
  slot.frame = std::move(waiting_.front());
  waiting_.pop_front();
  DescribeFrame(pool_, slot.frame, NowNs(), *slot.buffer->buffer);
  slot.held = false;
  slot.unlinked_before = unlinked_;
  ledger_.Published(index, NowNs());
  pw_filter_queue_buffer(port_, slot.buffer);
}

bool FilterOutput::LetHome() {
  bool lost = false;
  bool poll = false;
  {
    const std::lock_guard guard(mutex_);
    ReleaseUnread();
    lost = BuffersAreLost();
    poll = ledger_.MustPoll();
  }
  // PipeWire then drops all buffers and asks for them anew, for each link. Without the mutex, which
  // its data thread may wait for.
  if (lost) {
    PodList formats;
    AddFormats(formats);
    pw_filter_update_params(filter_, port_, formats.data(), formats.size());
  }
  return poll;
}

/// Whether buffers are kept by readers that are gone, or must be. One that somebody who is still
/// linked keeps is left to him.
bool FilterOutput::BuffersAreLost() {
  if (port_ == nullptr || renegotiating_) return false;
  const int64_t now_ns = NowNs();
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    const bool orphaned = unlinked_ != slots_[i].unlinked_before;
    renegotiating_ |= orphaned && ledger_.Overdue(i, ReadersOf(slots_[i]), now_ns);
  }
  return renegotiating_;
}

void FilterOutput::ReleaseUnread() {
  const int64_t now_ns = NowNs();
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    if (slots_[i].frame && ledger_.TakeHome(i, ReadersOf(slots_[i]), now_ns)) {
      if (slots_[i].buffer != nullptr) MarkEmpty(*slots_[i].buffer->buffer);
      slots_[i].frame.Release();
    }
  }
}

}  // namespace sluice::pipewire
