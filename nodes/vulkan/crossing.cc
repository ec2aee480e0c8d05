// Frames that cross the link to the device by the transfer queue, beside the kernels.
#include <algorithm>
#include <chrono>
#include <utility>

#include "nodes/vulkan/domain.h"

namespace sluice::vulkan {
namespace {

constexpr std::chrono::seconds kStrayWait{2};

}  // namespace

void VulkanDomain::Crossing::Clear() {
  slot = nullptr;
  in.clear();
  out.clear();
  waiting.clear();
  after = 0;
}

// Dma-bufs are read where they lie: they may belong to another device's memory as well as to the
// host's, and their ownership passes on the queue of kernels. What can also be had as one may come
// by that way.
bool VulkanDomain::MayCross(const Border& border) const {
  return border.shape.far && border.shape.parts == 1 &&
         (border.port.views & SLUICE_VIEW_SHM) != 0 &&
         (border.port.views & views() & SLUICE_VIEW_DMABUF) == 0 &&
         (border.port.sync & SLUICE_SYNC_IMPLICIT) == 0;
}

Status VulkanDomain::OpenTransfers() {
  const Device::TransferQueue& queues = device_->transfer();
  if (!device_->has_link() || queues.queue == VK_NULL_HANDLE) return {};
  auto in = TransferQueue::Create(*device_, queues.queue);
  if (!in) return tl::unexpected(in.error());
  transfer_in_ = std::move(*in);
  // Behind a copy out, which waits for its kernels, the next copy in would wait for them, too.
  if (queues.second == VK_NULL_HANDLE) return {};
  auto out = TransferQueue::Create(*device_, queues.second);
  if (!out) return tl::unexpected(out.error());
  second_transfer_ = std::move(*out);
  return {};
}

void VulkanDomain::ChooseBrought(Island& island) {
  if (transfer_in_ == nullptr) return;
  TransferRing& ring = island.gpu->ring;
  ring.Resize(island.input_borders.size(), island.output_borders.size());
  std::vector<bool> may;
  for (const Border& border : island.input_borders) may.push_back(MayCross(border));
  const std::vector<bool> brought = BringOver(may, Passes(), island.network);
  for (uint32_t i = 0; i < brought.size(); ++i) {
    Border& border = island.input_borders[i];
    border.brought = brought[i];
    if (!border.brought) continue;
    if (const Status s = ring.Reserve(i, border.shape.bytes); !s) {
      // It goes without, over the link.
      host_.Log(SLUICE_LOG_WARNING, kDomain, "%s: %s: %s", island.name.c_str(), border.port.name,
                s.error().message.c_str());
      ring.Drop(i);
      border.brought = false;
      island.network.inputs[i].far = true;
    }
  }
}

void VulkanDomain::OpenCopyTimes(Island& island) {
  if (transfer_in_ == nullptr) return;
  Status made = island.gpu->times_in.Create(island.input_borders.size());
  if (made) made = island.gpu->times_out.Create(island.output_borders.size());
  if (!made)
    host_.Log(SLUICE_LOG_WARNING, kDomain, "%s: copies are not timed: %s", island.name.c_str(),
              made.error().message.c_str());
}

void VulkanDomain::AddCopyTimes(const Island& island, bool is_input, sdk::PassTimeSink& sink) {
  if (transfer_in_ == nullptr) return;
  CopyTimes& copies = is_input ? island.gpu->times_in : island.gpu->times_out;
  copies.Collect(is_input ? *transfer_in_ : transfer_out());
  const std::vector<Border>& borders = is_input ? island.input_borders : island.output_borders;
  for (size_t b = 0; b < copies.times().size(); ++b) {
    const PassTime& time = copies.times()[b];
    if (time.frames == 0) continue;
    const Border& border = borders[b];
    const std::string label =
        CopyLabel(is_input, island.network.nodes[border.index].name, border.port.name);
    sink.Add(
        {label.c_str(), &border.index, 1, 0, time.frames, time.total_ns, time.min_ns, time.max_ns});
  }
}

void VulkanDomain::Cross(Island& island, uint32_t index, bool is_input, Bound& bound) {
  if (transfer_in_ == nullptr) return;
  const Border& border = is_input ? island.input_borders[index] : island.output_borders[index];
  const bool staged = bound.staging != nullptr && MayCross(border);
  const bool brought = border.brought && bound.import != nullptr && bound.import->base != nullptr;
  if (!staged && !brought) return;
  Crossing& crossing = island.crossing;
  if (crossing.slot == nullptr) crossing.slot = &island.gpu->ring.Next();
  Memory& place = (is_input ? crossing.slot->inputs : crossing.slot->outputs)[index];
  const uint64_t bytes = border.shape.bytes;
  // Without it kernels use the host's memory itself.
  if (!island.gpu->ring.Fill(place, bytes)) return;
  const VkBuffer host = bound.frame.planes[0];
  if (is_input) {
    crossing.in.push_back({host, place.buffer(), bytes, index});
  } else {
    crossing.out.push_back({place.buffer(), host, bytes, index});
  }
  bound.frame = {AllPlanesIn(place.buffer()), place.serial()};
}

void VulkanDomain::HandToTransfer(Island& island, const sluice_fence& fence, size_t first) {
  Crossing& crossing = island.crossing;
  const auto from = island.waiting.begin() + static_cast<std::ptrdiff_t>(first);
  crossing.waiting.insert(crossing.waiting.end(), from, island.waiting.end());
  island.waiting.erase(from, island.waiting.end());
  // What one submission of the queue of kernels writes and a later one reads is ordered by their
  // barriers; a copy on another queue has to wait for it.
  if (fence.kind == SLUICE_FENCE_TIMELINE && fence.timeline == timeline_.c())
    crossing.after = std::max(crossing.after, fence.point);
}

Result<uint64_t> VulkanDomain::CopyIn(Island& island) {
  Crossing& crossing = island.crossing;
  if (crossing.in.empty()) {
    // All of them came another way this time.
    island.waiting.insert(island.waiting.end(), crossing.waiting.begin(), crossing.waiting.end());
    return uint64_t{0};
  }
  TransferRing::Slot& slot = *crossing.slot;
  const uint64_t after = std::max(crossing.after, slot.computed);
  auto point = island.gpu->times_in.Submit(
      *transfer_in_,
      {.copies = crossing.in, .after = queue_->At(after), .waits = crossing.waiting});
  if (!point) return tl::unexpected(TransferFailed(point.error()));
  slot.copied.in = island.last_copies.in = *point;
  return point;
}

std::array<TimelinePoint, 2> VulkanDomain::Awaited(const Crossing& crossing) const {
  if (crossing.slot == nullptr) return {};
  const TransferPoints& copied = crossing.slot->copied;
  // Of one queue the later point is enough.
  if (second_transfer_ == nullptr)
    return {transfer_in_->At(std::max(copied.in, copied.out)), TimelinePoint{}};
  return {transfer_in_->At(copied.in), second_transfer_->At(copied.out)};
}

// The kernels are under way: a copy that the device refuses fails the frame, not the firing.
void VulkanDomain::CopyOutBehind(Island& island, uint64_t point) {
  Crossing& crossing = island.crossing;
  if (crossing.slot == nullptr) return;
  crossing.slot->computed = point;
  if (crossing.out.empty()) return;
  const auto behind = island.gpu->times_out.Submit(
      transfer_out(), {.copies = crossing.out, .to_host = true, .after = queue_->At(point)});
  int32_t error = 0;
  if (behind) {
    crossing.slot->copied.out = island.last_copies.out = *behind;
  } else {
    error = TransferFailed(behind.error()).code;
    host_.Log(SLUICE_LOG_ERROR, kDomain, "%s: %s", island.name.c_str(),
              behind.error().message.c_str());
  }
  const std::lock_guard<std::mutex> lock(copies_mutex_);
  for (CopyOut& copy : copies_) {
    if (copy.point != point) continue;
    copy.transfer = behind ? *behind : 0;
    copy.error = error;
  }
}

Error VulkanDomain::TransferFailed(const Error& error) {
  if (error.code == SLUICE_E_DEVICE_LOST) queue_->Lose();
  return error;
}

bool VulkanDomain::EndTransfer(uint64_t transfer) {
  if (transfer == 0) return true;
  const Status over =
      transfer_in_->WaitFor(transfer, std::chrono::steady_clock::now() + kStrayWait);
  return over || over.error().code == SLUICE_E_DEVICE_LOST;
}

std::optional<VulkanDomain::CopyOut> VulkanDomain::NextCopyOut(uint64_t point) {
  const std::lock_guard<std::mutex> known(crossing_mutex_);
  const std::lock_guard<std::mutex> lock(copies_mutex_);
  if (copies_.empty() || copies_.front().point > point) return std::nullopt;
  return copies_.front();
}

void VulkanDomain::EndCopyOut() {
  const std::lock_guard<std::mutex> lock(copies_mutex_);
  if (!copies_.empty()) copies_.pop_front();
}

}  // namespace sluice::vulkan
