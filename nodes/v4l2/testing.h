#ifndef NODES_V4L2_TESTING_H_
#define NODES_V4L2_TESTING_H_

#include <fcntl.h>
#include <linux/dma-buf.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <sluice/testing/node_runner.hpp>

#include "nodes/v4l2/device.h"
#include "nodes/v4l2/formats.h"

extern "C" const sluice_entry sluice_plugin;

/// What tests of the v4l2 nodes share: they play the host, with real dma-bufs.
namespace sluice::v4l2::testing {

using sdk::testing::FakeFrame;
using sdk::testing::FakeHost;
using sdk::testing::FakePoolSink;
using sdk::testing::HeldFrame;
using sdk::testing::MakeFormat;
using sdk::testing::NodeRunner;
using sdk::testing::Parameters;
using sdk::testing::PortSpec;

/// A dma-buf, mapped, with the ioctls around what is read.
class MappedDmabuf {
 public:
  MappedDmabuf(int fd, uint64_t size) : fd_(fd), size_(size) {
    base_ = mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_SHARED, fd_, 0);
  }
  MappedDmabuf(MappedDmabuf&& other) noexcept
      : fd_(other.fd_), size_(other.size_), base_(std::exchange(other.base_, MAP_FAILED)) {}
  ~MappedDmabuf() {
    if (base_ != MAP_FAILED) munmap(base_, size_);
  }
  bool ok() const { return base_ != MAP_FAILED; }
  uint8_t* data() const { return static_cast<uint8_t*>(base_); }
  std::vector<uint8_t> Read() const {
    Sync(DMA_BUF_SYNC_START | DMA_BUF_SYNC_READ);
    std::vector<uint8_t> bytes(data(), data() + size_);
    Sync(DMA_BUF_SYNC_END | DMA_BUF_SYNC_READ);
    return bytes;
  }

 private:
  void Sync(uint64_t flags) const {
    dma_buf_sync sync{flags};
    ioctl(fd_, DMA_BUF_IOCTL_SYNC, &sync);
  }
  int fd_;
  uint64_t size_;
  void* base_;
};

/// The buffers that a node has made: what the host does for a port that allocates.
class OwnBuffers {
 public:
  static sluice_pool_request Request(const sluice_format& format, uint32_t buffers) {
    sluice_pool_request request{};
    request.pool = request.epoch = 1;
    request.buffers = buffers;
    request.views = SLUICE_VIEW_DMABUF;
    request.format = format;
    return request;
  }
  int32_t Make(NodeRunner& runner, int32_t direction, const sluice_pool_request& request) {
    const auto* allocator = static_cast<const sluice_allocator*>(
        runner.node().get_extension(runner.node().self, SLUICE_ALLOCATOR_ID));
    if (allocator == nullptr) return SLUICE_E_UNSUPPORTED;
    const int32_t code = allocator->allocate(runner.node().self, direction, 0, &request, sink_.c());
    for (const sluice_buffer_desc& buffer : sink_.buffers()) {
      maps_.emplace_back();
      for (uint32_t i = 0; i < buffer.memory.part_count; ++i) {
        maps_.back().emplace_back(buffer.memory.parts[i].fd, buffer.memory.parts[i].size);
      }
    }
    return code;
  }
  const std::vector<sluice_buffer_desc>& buffers() const { return sink_.buffers(); }
  const sluice_layout& layout() const { return sink_.buffers().at(0).layout; }
  /// The parts of a buffer, one behind the other.
  std::vector<std::vector<uint8_t>> Read(uint32_t index) const {
    std::vector<std::vector<uint8_t>> parts;
    for (const MappedDmabuf& map : maps_.at(index)) parts.push_back(map.Read());
    return parts;
  }
  MappedDmabuf& map(uint32_t index, uint32_t part = 0) { return maps_.at(index).at(part); }

 private:
  FakePoolSink sink_;
  std::vector<std::vector<MappedDmabuf>> maps_;
};

using Rgb = std::array<int, 3>;

/// The colour of one pixel; YUV is taken as `full`-range or limited BT.601 or BT.709.
Rgb PixelAt(uint32_t fourcc, const sluice_layout& layout,
            const std::vector<std::vector<uint8_t>>& parts, uint32_t x, uint32_t y,
            const sluice_color& color);

/// How many fds this process has open.
int CountFds();

}  // namespace sluice::v4l2::testing

#endif  // NODES_V4L2_TESTING_H_
