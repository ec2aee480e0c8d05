#include <numeric>

#include <fmt/format.h>

#include "engine/base/log.h"
#include "engine/plugin/host.h"

namespace sluice::plugin {
namespace {

/// Owns what a plugin hands over, before anything is believed.
std::vector<UniqueFd> TakeFds(const sluice_memory& memory) {
  std::vector<UniqueFd> fds;
  for (uint32_t i = 0; i < memory.part_count && i < SLUICE_MAX_PLANES; ++i) {
    fds.emplace_back(memory.parts[i].fd);
  }
  return fds;
}

}  // namespace

Status PoolSink::Add(const sluice_buffer_desc& buffer) {
  Status added = Check(buffer, TakeFds(buffer.memory));
  if (added) return added;
  added.error().message =
      fmt::format("buffer {} that it made: {}", memory_.buffers.size(), added.error().message);
  if (!error_) error_ = added.error();
  return added;
}

Status PoolSink::Check(const sluice_buffer_desc& buffer, std::vector<UniqueFd> fds) {
  if (memory_.buffers.size() >= wanted_) {
    return Fail(Code::kInvalidArgument, fmt::format("more than the {} buffers wanted", wanted_));
  }
  if (buffer.memory.part_count > SLUICE_MAX_PLANES) {
    return Fail(Code::kInvalidArgument,
                fmt::format("a buffer of {} parts", buffer.memory.part_count));
  }
  auto layout = FromAbi(buffer.layout);
  if (!layout) return tl::unexpected(layout.error());
  if (!memory_.buffers.empty() && *layout != memory_.layout) {
    return Fail(Code::kInvalidArgument, fmt::format("buffer {} has another layout than buffer 0",
                                                    memory_.buffers.size()));
  }
  media::AdoptOptions options;
  options.view = buffer.memory.view;
  options.base = buffer.base;
  options.base_size = layout->size;
  for (size_t i = 0; i < fds.size(); ++i) {
    options.parts.push_back({std::move(fds[i]), buffer.memory.parts[i].size});
  }
  auto memory = media::AdoptMemory(std::move(options));
  if (!memory) return tl::unexpected(memory.error());
  std::vector<uint64_t> sizes;
  for (uint32_t i = 0; i < (*memory)->part_count(); ++i) sizes.push_back((*memory)->size(i));
  SLUICE_RETURN_IF_ERROR(media::CheckLayout(*layout, format_, sizes));
  const uint64_t size = std::accumulate(sizes.begin(), sizes.end(), uint64_t{0});
  if (layout->size > size) {
    return Fail(Code::kInvalidArgument, fmt::format("its layout has {} bytes, its memory {}",
                                                    layout->size, size));
  }
  memory_.layout = *layout;
  memory_.buffers.push_back(std::move(*memory));
  return {};
}

Status PoolSink::Finish() const {
  if (error_) return tl::unexpected(*error_);
  if (memory_.buffers.size() == wanted_) return {};
  return Fail(Code::kInternal, fmt::format("the port made {} of {} buffers",
                                           memory_.buffers.size(), wanted_));
}

Result<media::Layout> FromAbi(const sluice_layout& abi) {
  if (abi.plane_count == 0 || abi.plane_count > media::kMaxPlanes || abi.part_count == 0 ||
      abi.part_count > media::kMaxPlanes) {
    return Fail(Code::kInvalidArgument, fmt::format("a layout of {} planes in {} parts",
                                                    abi.plane_count, abi.part_count));
  }
  media::Layout layout;
  layout.coded_width = abi.coded_width;
  layout.coded_height = abi.coded_height;
  layout.plane_count = abi.plane_count;
  layout.part_count = abi.part_count;
  layout.size = abi.size;
  for (uint32_t i = 0; i < abi.plane_count; ++i) {
    const sluice_plane& plane = abi.planes[i];
    layout.planes[i] = {plane.part, plane.offset, plane.stride, plane.size};
  }
  return layout;
}

}  // namespace sluice::plugin
