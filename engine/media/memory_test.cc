#include "engine/media/memory.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cerrno>
#include <cstring>
#include <string>

#include <gtest/gtest.h>

#include "engine/media/allocator.h"

namespace sluice::media {
namespace {

size_t OpenFds() {
  size_t count = 0;
  DIR* dir = opendir("/proc/self/fd");
  while (readdir(dir) != nullptr) ++count;
  closedir(dir);
  return count;
}

TEST(MemfdTest, IsSealedRoundedZeroedAndClosedAtTheEnd) {
  size_t fds = OpenFds();
  auto allocator = CreateMemfdAllocator();
  uint64_t page = allocator->granularity();
  {
    auto memory = allocator->Allocate("sluice:sealed:0", page + 1);
    ASSERT_TRUE(memory);
    int fd = (*memory)->fd(kViewShm);
    EXPECT_EQ((*memory)->size(), 2 * page);
    struct stat info {};
    ASSERT_EQ(fstat(fd, &info), 0);
    EXPECT_EQ(static_cast<uint64_t>(info.st_size), 2 * page);
    EXPECT_GE(static_cast<uint64_t>(info.st_blocks) * 512, 2 * page) << "allocated, not sparse";
    EXPECT_EQ(fcntl(fd, F_GET_SEALS), F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
    EXPECT_EQ(ftruncate(fd, 0), -1);
    EXPECT_EQ(ftruncate(fd, static_cast<off_t>(4 * page)), -1);
    EXPECT_NE(fcntl(fd, F_GETFD) & FD_CLOEXEC, 0);
    EXPECT_EQ(reinterpret_cast<uintptr_t>((*memory)->mapping()) % page, 0u);
    for (uint64_t i = 0; i < 2 * page; ++i) ASSERT_EQ((*memory)->mapping()[i], 0);
    // The fd and the mapping are the same memory.
    (*memory)->mapping()[page] = 42;
    uint8_t byte = 0;
    ASSERT_EQ(pread(fd, &byte, 1, static_cast<off_t>(page)), 1);
    EXPECT_EQ(byte, 42);
    EXPECT_EQ(OpenFds(), fds + 1);
  }
  EXPECT_EQ(OpenFds(), fds);
}

TEST(MemfdTest, IsMappedBeforeItsFirstTouch) {
  auto allocator = CreateMemfdAllocator();
  auto memory = allocator->Allocate("sluice:resident:0", 256 * allocator->granularity());
  ASSERT_TRUE(memory);
  int pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
  if (pagemap < 0) GTEST_SKIP() << "/proc/self/pagemap: " << strerror(errno);
  uint64_t page = allocator->granularity();
  uint64_t entries[256];
  auto first = reinterpret_cast<uintptr_t>((*memory)->mapping()) / page;
  ASSERT_EQ(pread(pagemap, entries, sizeof(entries), static_cast<off_t>(first * 8)),
            static_cast<ssize_t>(sizeof(entries)));
  close(pagemap);
  // Documentation/admin-guide/mm/pagemap.rst: bit 63, page present.
  for (uint64_t entry : entries) ASSERT_NE(entry >> 63, 0u);
}

TEST(MemfdTest, RefusesImpossibleSizesAndKeepsNothing) {
  size_t fds = OpenFds();
  auto allocator = CreateMemfdAllocator();
  for (uint64_t size : {uint64_t{0}, UINT64_MAX, uint64_t{1} << 63}) {
    EXPECT_FALSE(allocator->Allocate("sluice:none:0", size)) << size;
  }
  EXPECT_EQ(OpenFds(), fds);
}

TEST(MemfdTest, LongNamesAreNoError) {
  auto allocator = CreateMemfdAllocator();
  EXPECT_TRUE(allocator->Allocate(std::string(1000, 'x'), 1));
}

}  // namespace
}  // namespace sluice::media
