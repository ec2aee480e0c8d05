// The guest has what the tests of dma-bufs and fences need: shared memory and heap memory as
// dma-bufs, and fences that a test signals when it wants.

#include <fcntl.h>
#include <linux/dma-buf.h>
#include <linux/dma-heap.h>
#include <linux/types.h>
#include <linux/udmabuf.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <string>

#include "engine/base/unique_fd.h"
#include "gtest/gtest.h"

namespace sluice {
namespace {

constexpr size_t kSize = 64 * 1024;

// drivers/dma-buf/sw_sync.c: the kernel has no header of it for programs.
struct SwSyncCreateFence {
  uint32_t value;
  char name[32];
  int32_t fence;
};
constexpr unsigned long kSwSyncCreateFence = _IOWR('W', 0, SwSyncCreateFence);
constexpr unsigned long kSwSyncIncrement = _IOW('W', 1, uint32_t);

UniqueFd Open(const std::string& path) { return UniqueFd(open(path.c_str(), O_RDWR | O_CLOEXEC)); }

bool IsReady(const UniqueFd& fd, short events) {
  pollfd entry{fd.get(), events, 0};
  return poll(&entry, 1, 0) == 1;
}

UniqueFd SealedMemory(size_t size) {
  UniqueFd memory(memfd_create("devices_test", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  EXPECT_EQ(ftruncate(memory.get(), static_cast<off_t>(size)), 0);
  EXPECT_EQ(fcntl(memory.get(), F_ADD_SEALS, F_SEAL_SHRINK), 0);
  return memory;
}

UniqueFd ShareAsDmaBuf(const UniqueFd& memory, size_t size) {
  udmabuf_create request{};
  request.memfd = static_cast<uint32_t>(memory.get());
  request.flags = UDMABUF_FLAGS_CLOEXEC;
  request.size = size;
  return UniqueFd(ioctl(Open("/dev/udmabuf").get(), UDMABUF_CREATE, &request));
}

UniqueFd AllocateFromHeap(size_t size) {
  dma_heap_allocation_data request{};
  request.len = size;
  request.fd_flags = O_RDWR | O_CLOEXEC;
  if (ioctl(Open("/dev/dma_heap/system").get(), DMA_HEAP_IOCTL_ALLOC, &request) != 0)
    return UniqueFd();
  return UniqueFd(static_cast<int>(request.fd));
}

// A fence of a timeline of its own.
class TestFence {
 public:
  TestFence() : timeline_(Open("/sys/kernel/debug/sync/sw_sync")) {
    SwSyncCreateFence request{1, "devices_test", -1};
    if (ioctl(timeline_.get(), kSwSyncCreateFence, &request) == 0) fence_ = UniqueFd(request.fence);
  }
  const UniqueFd& fd() const { return fence_; }
  void Signal() {
    uint32_t steps = 1;
    ASSERT_EQ(ioctl(timeline_.get(), kSwSyncIncrement, &steps), 0);
  }

 private:
  UniqueFd timeline_;
  UniqueFd fence_;
};

TEST(Udmabuf, SharesItsBytesWithTheMemoryItWasMadeOf) {
  UniqueFd memory = SealedMemory(kSize);
  UniqueFd buffer = ShareAsDmaBuf(memory, kSize);
  ASSERT_TRUE(buffer.valid());
  void* written = mmap(nullptr, kSize, PROT_READ | PROT_WRITE, MAP_SHARED, buffer.get(), 0);
  void* seen = mmap(nullptr, kSize, PROT_READ, MAP_SHARED, memory.get(), 0);
  ASSERT_NE(written, MAP_FAILED);
  ASSERT_NE(seen, MAP_FAILED);
  dma_buf_sync access{DMA_BUF_SYNC_WRITE | DMA_BUF_SYNC_START};
  ASSERT_EQ(ioctl(buffer.get(), DMA_BUF_IOCTL_SYNC, &access), 0);
  static_cast<uint8_t*>(written)[kSize - 1] = 0x5a;
  access.flags = DMA_BUF_SYNC_WRITE | DMA_BUF_SYNC_END;
  ASSERT_EQ(ioctl(buffer.get(), DMA_BUF_IOCTL_SYNC, &access), 0);
  EXPECT_EQ(static_cast<uint8_t*>(seen)[kSize - 1], 0x5a);
  munmap(written, kSize);
  munmap(seen, kSize);
}

TEST(Udmabuf, RefusesMemoryThatMayShrink) {
  UniqueFd memory(memfd_create("devices_test", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  ASSERT_EQ(ftruncate(memory.get(), kSize), 0);
  EXPECT_FALSE(ShareAsDmaBuf(memory, kSize).valid());
  EXPECT_EQ(errno, EINVAL);
}

TEST(DmaHeap, GivesABufferOfTheSizeAskedFor) {
  UniqueFd buffer = AllocateFromHeap(kSize);
  ASSERT_TRUE(buffer.valid());
  EXPECT_EQ(lseek(buffer.get(), 0, SEEK_END), static_cast<off_t>(kSize));
}

TEST(SwSync, SignalsAFenceOnlyWhenTold) {
  TestFence fence;
  ASSERT_TRUE(fence.fd().valid());
  EXPECT_FALSE(IsReady(fence.fd(), POLLIN));
  fence.Signal();
  EXPECT_TRUE(IsReady(fence.fd(), POLLIN));
}

class ImplicitFence : public testing::TestWithParam<UniqueFd (*)()> {};

TEST_P(ImplicitFence, OfABufferIsTheOnePutIn) {
  UniqueFd buffer = GetParam()();
  ASSERT_TRUE(buffer.valid());
  TestFence fence;
  ASSERT_TRUE(fence.fd().valid());

  dma_buf_import_sync_file put_in{DMA_BUF_SYNC_WRITE, fence.fd().get()};
  ASSERT_EQ(ioctl(buffer.get(), DMA_BUF_IOCTL_IMPORT_SYNC_FILE, &put_in), 0);
  dma_buf_export_sync_file taken_out{DMA_BUF_SYNC_READ, -1};
  ASSERT_EQ(ioctl(buffer.get(), DMA_BUF_IOCTL_EXPORT_SYNC_FILE, &taken_out), 0);
  UniqueFd reader_waits_for(taken_out.fd);

  EXPECT_FALSE(IsReady(reader_waits_for, POLLIN));
  EXPECT_FALSE(IsReady(buffer, POLLIN));
  fence.Signal();
  EXPECT_TRUE(IsReady(reader_waits_for, POLLIN));
  EXPECT_TRUE(IsReady(buffer, POLLIN));
}

INSTANTIATE_TEST_SUITE_P(Udmabuf, ImplicitFence,
                         testing::Values([] { return ShareAsDmaBuf(SealedMemory(kSize), kSize); }));
INSTANTIATE_TEST_SUITE_P(DmaHeap, ImplicitFence,
                         testing::Values([] { return AllocateFromHeap(kSize); }));

}  // namespace
}  // namespace sluice
