#include "engine/media/memory.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cerrno>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "engine/media/allocator.h"
#include "engine/media/testing/ioctl_spy.h"
#include "engine/sync/dmabuf_fence.h"

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

uint64_t Page() { return static_cast<uint64_t>(sysconf(_SC_PAGESIZE)); }

UniqueFd Memfd(uint64_t size, int seals = F_SEAL_SHRINK) {
  UniqueFd fd(memfd_create("peer", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  EXPECT_EQ(ftruncate(fd.get(), static_cast<off_t>(size)), 0);
  EXPECT_EQ(fcntl(fd.get(), F_ADD_SEALS, seals), 0);
  return fd;
}

AdoptOptions Claim(View view, UniqueFd fd, uint64_t size) {
  AdoptOptions options;
  options.label = "capture.out buffer 3";
  options.view = view;
  options.parts.push_back({std::move(fd), size});
  return options;
}

/// What the message of a refused claim must name.
void ExpectRefused(AdoptOptions options, std::vector<std::string> names) {
  names.push_back("capture.out buffer 3");
  auto memory = AdoptMemory(std::move(options));
  ASSERT_FALSE(memory);
  EXPECT_EQ(memory.error().code, Code::kInvalidArgument) << memory.error().message;
  for (const std::string& name : names) {
    EXPECT_NE(memory.error().message.find(name), std::string::npos)
        << '"' << name << "\" is not in: " << memory.error().message;
  }
}

class AdoptMemoryTest : public testing::Test {
 protected:
  void TearDown() override { EXPECT_EQ(OpenFds(), fds_) << "an fd leaked"; }
  const size_t fds_ = OpenFds();
};

TEST_F(AdoptMemoryTest, TakesSealedSharedMemoryAndMapsWhatIsClaimed) {
  UniqueFd fd = Memfd(3 * Page());
  const int number = fd.get();
  ASSERT_EQ(pwrite(number, "x", 1, 5), 1);
  auto memory = AdoptMemory(Claim(kViewShm, std::move(fd), 2 * Page()));
  ASSERT_TRUE(memory) << memory.error().message;
  EXPECT_EQ((*memory)->views(), kViewShm | kViewCpu);
  EXPECT_EQ((*memory)->fd(kViewShm), number);
  EXPECT_EQ((*memory)->fd(kViewDmabuf), -1);
  EXPECT_EQ((*memory)->size(), 2 * Page());
  EXPECT_FALSE((*memory)->mapped());
  ASSERT_TRUE((*memory)->Map());
  EXPECT_EQ((*memory)->mapping()[5], 'x');
  EXPECT_TRUE((*memory)->writable());
}

TEST_F(AdoptMemoryTest, PartsAreMemoriesOfTheirOwn) {
  AdoptOptions options = Claim(kViewShm, Memfd(Page()), Page());
  options.parts.push_back({Memfd(2 * Page()), 2 * Page()});
  auto memory = AdoptMemory(std::move(options));
  ASSERT_TRUE(memory);
  EXPECT_EQ((*memory)->part_count(), 2u);
  EXPECT_EQ((*memory)->size(1), 2 * Page());
  EXPECT_EQ((*memory)->size(2), 0u);
  EXPECT_NE((*memory)->fd(kViewShm, 0), (*memory)->fd(kViewShm, 1));
  ASSERT_TRUE((*memory)->Map(1));
  EXPECT_FALSE((*memory)->mapped(0));
  EXPECT_TRUE((*memory)->mapped(1));
  EXPECT_EQ((*memory)->Map(2).error().code, Code::kInvalidArgument);
  EXPECT_EQ((*memory)->mapping(2), nullptr);
}

TEST_F(AdoptMemoryTest, RefusesSharedMemoryThatMayShrink) {
  ExpectRefused(Claim(kViewShm, Memfd(Page(), F_SEAL_GROW), Page()), {"part 0", "F_SEAL_SHRINK"});
}

TEST_F(AdoptMemoryTest, RefusesClaimsBeyondTheEnd) {
  ExpectRefused(Claim(kViewShm, Memfd(Page()), Page() + 1),
                {"part 0", std::to_string(Page() + 1), std::to_string(Page())});
  ExpectRefused(Claim(kViewShm, Memfd(Page()), UINT64_MAX),
                {"part 0", std::to_string(UINT64_MAX), std::to_string(Page())});
  ExpectRefused(Claim(kViewShm, Memfd(Page()), 0), {"part 0", "0 bytes"});
  AdoptOptions second = Claim(kViewShm, Memfd(Page()), Page());
  second.parts.push_back({Memfd(Page()), 7 * Page()});
  ExpectRefused(std::move(second), {"part 1", std::to_string(7 * Page())});
}

TEST_F(AdoptMemoryTest, RefusesADmaBufThatIsNone) {
  ExpectRefused(Claim(kViewDmabuf, Memfd(Page()), Page()), {"part 0", "no dma-buf"});
  ExpectRefused(Claim(kViewDmabuf, UniqueFd(eventfd(0, EFD_CLOEXEC)), 8), {"no dma-buf"});
  ExpectRefused(Claim(kViewDmabuf, UniqueFd(open("/dev/null", O_RDWR | O_CLOEXEC)), Page()),
                {"no dma-buf"});
}

TEST_F(AdoptMemoryTest, RefusesSharedMemoryThatIsNone) {
  for (const char* path : {"/proc/self/exe", "/dev/zero", "/"}) {
    ExpectRefused(Claim(kViewShm, UniqueFd(open(path, O_RDONLY | O_CLOEXEC)), 1),
                  {"part 0", "no memfd"});
  }
}

TEST_F(AdoptMemoryTest, RefusesFdsThatAreNotOpen) {
  ExpectRefused(Claim(kViewShm, UniqueFd(), Page()), {"part 0", "fd -1 is not open"});
  ExpectRefused(Claim(kViewDmabuf, UniqueFd(), Page()), {"part 0", "fd -1 is not open"});
  ExpectRefused(Claim(kViewShm, UniqueFd(1'000'000), Page()), {"fd 1000000 is not open"});
}

TEST_F(AdoptMemoryTest, RefusesTooFewAndTooManyParts) {
  AdoptOptions none = Claim(kViewShm, Memfd(Page()), Page());
  none.parts.clear();
  ExpectRefused(std::move(none), {"0 parts"});
  AdoptOptions many = Claim(kViewShm, Memfd(Page()), Page());
  for (int i = 0; i < 4; ++i) many.parts.push_back({Memfd(Page()), Page()});
  ExpectRefused(std::move(many), {"5 parts", "1 to 4"});
}

TEST_F(AdoptMemoryTest, RefusesViewsThatNoFdHas) {
  for (uint32_t view : {0u, uint32_t{kViewCpu}, kViewShm | kViewDmabuf, ~0u}) {
    AdoptOptions options = Claim(kViewShm, Memfd(Page()), Page());
    options.view = view;
    ExpectRefused(std::move(options), {"either dma-bufs or shm"});
  }
}

TEST_F(AdoptMemoryTest, MemoryOfADeviceHasBytesAndNeitherFdsNorAMapping) {
  AdoptOptions options;
  options.label = "look.out buffer 0";
  options.view = kViewDevice;
  options.base_size = 3 * Page();
  auto memory = AdoptMemory(std::move(options));
  ASSERT_TRUE(memory) << memory.error().message;
  EXPECT_EQ((*memory)->views(), uint32_t{kViewDevice});
  EXPECT_EQ((*memory)->size(), 3 * Page());
  EXPECT_EQ((*memory)->fd(kViewShm), -1);
  EXPECT_FALSE((*memory)->Map());
  ExpectRefused(Claim(kViewDevice, Memfd(Page()), Page()), {"no fds", "1 fds"});
  AdoptOptions empty = Claim(kViewDevice, UniqueFd(), 0);
  empty.parts.clear();
  ExpectRefused(std::move(empty), {"0 bytes"});
}

TEST_F(AdoptMemoryTest, PeersMemoryThatIsOpenReadOnlyIsReadOnly) {
  UniqueFd own = Memfd(Page());
  const std::string path = "/proc/self/fd/" + std::to_string(own.get());
  UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  auto memory = AdoptMemory(Claim(kViewShm, std::move(fd), Page()));
  ASSERT_TRUE(memory);
  ASSERT_EQ(pwrite(own.get(), "x", 1, 0), 1);
  ASSERT_TRUE((*memory)->Map());
  EXPECT_EQ((*memory)->mapping()[0], 'x');
  EXPECT_FALSE((*memory)->writable());
}

TEST_F(AdoptMemoryTest, MemoryThatItsOwnerHasMappedStaysHis) {
  void* base = mmap(nullptr, Page(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(base, MAP_FAILED);
  AdoptOptions options;
  options.base = base;
  options.base_size = Page();
  auto memory = AdoptMemory(std::move(options));
  ASSERT_TRUE(memory) << memory.error().message;
  EXPECT_EQ((*memory)->views(), uint32_t{kViewCpu});
  EXPECT_TRUE((*memory)->mapped() && (*memory)->writable());
  EXPECT_EQ((*memory)->mapping(), base);
  EXPECT_EQ((*memory)->fd(kViewShm), -1);
  EXPECT_TRUE((*memory)->BeginCpuAccess(kCpuWrite) && (*memory)->EndCpuAccess(kCpuWrite));
  memory->reset();
  static_cast<char*>(base)[0] = 1;  // would fault if it were gone
  EXPECT_EQ(munmap(base, Page()), 0);
}

TEST_F(AdoptMemoryTest, RefusesMappingsThatAreNoPages) {
  alignas(4096) static char page[4096];
  for (auto [base, size] : {std::pair<char*, uint64_t>{page + 1, 64}, {page, 0}}) {
    AdoptOptions options;
    options.label = "capture.out buffer 3";
    options.base = base;
    options.base_size = size;
    ExpectRefused(std::move(options), {"page aligned", std::to_string(size)});
  }
  AdoptOptions both = Claim(kViewShm, Memfd(Page()), Page());
  both.base = page;
  both.base_size = 4096;
  ExpectRefused(std::move(both), {"no fds, not 1"});
}

TEST(MemoryTest, ManyThreadsMapItOnce) {
  for (int round = 0; round < 20; ++round) {
    auto memory = AdoptMemory(Claim(kViewShm, Memfd(Page()), Page()));
    ASSERT_TRUE(memory);
    std::vector<uint8_t*> bases(4);
    std::vector<std::thread> threads;
    for (uint8_t*& base : bases) {
      threads.emplace_back([&] { base = (*memory)->mapping(); });
    }
    for (auto& thread : threads) thread.join();
    for (uint8_t* base : bases) EXPECT_EQ(base, bases[0]);
    EXPECT_NE(bases[0], nullptr);
  }
}

TEST(MemoryTest, WithoutAnFdTheCpuCannotReachIt) {
  std::vector<Memory::Part> parts(1);
  parts[0].size = Page();
  Memory memory(std::move(parts), kViewDevice);
  EXPECT_EQ(memory.Map().error().code, Code::kUnsupported);
  EXPECT_EQ(memory.mapping(), nullptr);
  EXPECT_FALSE(memory.mapped());
}

/// An eventfd plays the dma-buf: readable when its writers have finished.
class CpuAccessTest : public testing::Test {
 protected:
  CpuAccessTest() {
    std::vector<Memory::Part> parts(1);
    parts[0].dmabuf.Reset(eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK));
    parts[0].size = Page();
    memory_ = std::make_unique<Memory>(std::move(parts), kViewDmabuf | kViewCpu);
    spy_.pretend_fd = memory_->fd(kViewDmabuf);
    spy_.sync_starts = spy_.sync_ends = 0;
  }
  ~CpuAccessTest() override {
    spy_.pretend_fd = -1;
    spy_.fail_next = 0;
  }
  IoctlSpy& spy_ = IoctlSpy::Get();
  std::unique_ptr<Memory> memory_;
};

TEST_F(CpuAccessTest, SignalsDoNotDisturbIt) {
  for (int error : {EINTR, EAGAIN}) {
    spy_.fail_errno = error;
    spy_.fail_next = 3;
    EXPECT_TRUE(memory_->BeginCpuAccess(kCpuRead));
    EXPECT_EQ(spy_.fail_next, 0);
    spy_.fail_next = 3;
    EXPECT_TRUE(memory_->EndCpuAccess(kCpuRead));
  }
  EXPECT_EQ(spy_.sync_starts, 2u);
  EXPECT_EQ(spy_.sync_ends, 2u);
}

TEST_F(CpuAccessTest, OtherErrorsAreReported) {
  spy_.fail_errno = EIO;
  spy_.fail_next = 1;
  auto status = memory_->BeginCpuAccess(kCpuRead);
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, Code::kIo);
  spy_.fail_next = 1;
  EXPECT_FALSE(memory_->EndCpuAccess(kCpuRead));
}

TEST_F(CpuAccessTest, HalfBegunIsEndedAgain) {
  std::vector<Memory::Part> parts(2);
  for (Memory::Part& part : parts) {
    part.dmabuf.Reset(eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK));
    part.size = Page();
  }
  Memory memory(std::move(parts), kViewDmabuf | kViewCpu);
  spy_.pretend_fd = memory.fd(kViewDmabuf, 0);  // part 1 is no dma-buf, and fails
  EXPECT_FALSE(memory.BeginCpuAccess(kCpuRead));
  EXPECT_EQ(spy_.sync_starts, 1u);
  EXPECT_EQ(spy_.sync_ends, 1u);
}

TEST_F(CpuAccessTest, DoesNotWaitForEverForADevice) {
  uint64_t taken = 0;
  ASSERT_EQ(read(memory_->fd(kViewDmabuf), &taken, sizeof taken), ssize_t{sizeof taken});
  auto status = memory_->BeginCpuAccess(kCpuRead);
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, Code::kTimeout);
  EXPECT_EQ(spy_.sync_starts, 0u);
}

// --- With dma-bufs that are real: in a guest ----------------------------------------------------

class DmabufTest : public AdoptMemoryTest {
 protected:
  void SetUp() override {
    AllocatorProbe probe = ProbeUdmabuf();
    if (!probe.usable) GTEST_SKIP() << probe.detail;
  }
  UniqueFd Dmabuf(uint64_t size) {
    auto allocator = CreateUdmabufAllocator();
    auto memory = (*allocator)->Allocate("sluice:test:0", size);
    EXPECT_TRUE(memory);
    return std::move(*UniqueFd::Duplicate((*memory)->fd(kViewDmabuf)));
  }
};

TEST_F(DmabufTest, IsAdoptedMappedAndWrittenWithoutItsMaker) {
  auto memory = AdoptMemory(Claim(kViewDmabuf, Dmabuf(2 * Page()), 2 * Page()));
  ASSERT_TRUE(memory) << memory.error().message;
  EXPECT_EQ((*memory)->views(), kViewDmabuf | kViewCpu);
  EXPECT_FALSE((*memory)->mapped());
  ASSERT_TRUE((*memory)->Map());
  ASSERT_TRUE((*memory)->BeginCpuAccess(kCpuWrite));
  std::memset((*memory)->mapping(), 7, (*memory)->size());
  ASSERT_TRUE((*memory)->EndCpuAccess(kCpuWrite));
}

TEST_F(DmabufTest, IsNotLargerThanItIs) {
  ExpectRefused(Claim(kViewDmabuf, Dmabuf(Page()), Page() + 1),
                {"part 0", std::to_string(Page() + 1), std::to_string(Page()), "dma-buf"});
}

TEST_F(DmabufTest, IsNoSharedMemory) {
  ExpectRefused(Claim(kViewShm, Dmabuf(Page()), Page()), {"part 0", "no memfd"});
}

TEST_F(DmabufTest, CpuWaitsForTheDeviceThatWritesIt) {
  UniqueFd timeline(open("/sys/kernel/debug/sync/sw_sync", O_RDWR | O_CLOEXEC));
  if (!timeline.valid()) GTEST_SKIP() << "no sw_sync: " << strerror(errno);
  struct {
    uint32_t value;
    char name[32];
    int32_t fence;
  } create{1, "memory_test", -1};
  ASSERT_EQ(ioctl(timeline.get(), _IOWR('W', 0, decltype(create)), &create), 0);
  UniqueFd fence(create.fence);
  auto memory = AdoptMemory(Claim(kViewDmabuf, Dmabuf(Page()), Page()));
  ASSERT_TRUE(memory);
  ASSERT_TRUE(sync::ImportSyncFile((*memory)->fd(kViewDmabuf), sync::kDmabufWrite, fence.get()));
  EXPECT_EQ((*memory)->BeginCpuAccess(kCpuRead).error().code, Code::kTimeout);
  uint32_t steps = 1;
  ASSERT_EQ(ioctl(timeline.get(), _IOW('W', 1, uint32_t), &steps), 0);
  EXPECT_TRUE((*memory)->BeginCpuAccess(kCpuRead));
  EXPECT_TRUE((*memory)->EndCpuAccess(kCpuRead));
}

}  // namespace
}  // namespace sluice::media
