// One suite for every allocator of the engine. What this machine lacks is skipped with the
// reason; tests/vm runs all of it on a kernel that has everything.

#include "engine/media/allocator.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <functional>
#include <string>

#include <gtest/gtest.h>

#include "engine/media/testing/ioctl_spy.h"

namespace sluice::media {
namespace {

struct Row {
  std::string name;
  uint32_t views;
  std::function<AllocatorProbe()> probe;
  std::function<Result<std::unique_ptr<Allocator>>()> create;
};

void PrintTo(const Row& row, std::ostream* out) { *out << row.name; }

const Row kRows[] = {
    {"memfd", kViewShm | kViewCpu, [] { return AllocatorProbe{true, 0, "", ""}; },
     []() -> Result<std::unique_ptr<Allocator>> { return CreateMemfdAllocator(); }},
    {"udmabuf", kViewDmabuf | kViewShm | kViewCpu, [] { return ProbeUdmabuf(); },
     [] { return CreateUdmabufAllocator(); }},
    {"dma_heap_system", kViewDmabuf | kViewCpu, [] { return ProbeDmaHeap(); },
     [] { return CreateDmaHeapAllocator(); }},
};

size_t OpenFds() {
  size_t count = 0;
  DIR* dir = opendir("/proc/self/fd");
  while (readdir(dir) != nullptr) ++count;
  closedir(dir);
  return count;
}

uint64_t ResidentBytes() {
  std::ifstream statm("/proc/self/statm");
  uint64_t total = 0;
  uint64_t resident = 0;
  statm >> total >> resident;
  return resident * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

/// Lines of /proc/self/maps: what is mapped at all.
size_t Mappings() {
  std::ifstream maps("/proc/self/maps");
  size_t count = 0;
  for (std::string line; std::getline(maps, line);) ++count;
  return count;
}

std::string LinkOf(int fd) {
  char target[256] = {};
  const ssize_t length =
      readlink(("/proc/self/fd/" + std::to_string(fd)).c_str(), target, sizeof(target) - 1);
  return length > 0 ? std::string(target, static_cast<size_t>(length)) : std::string();
}

class AllocatorTest : public testing::TestWithParam<Row> {
 protected:
  void SetUp() override {
    AllocatorProbe probe = GetParam().probe();
    if (!probe.usable) GTEST_SKIP() << probe.detail << (probe.advice.empty() ? "" : "; ") << probe.advice;
    auto created = GetParam().create();
    ASSERT_TRUE(created) << created.error().ToString();
    allocator_ = std::move(*created);
    page_ = allocator_->granularity();
  }

  std::unique_ptr<Memory> Allocate(uint64_t size, std::string_view label = "sluice:test:0") {
    auto memory = allocator_->Allocate(label, size);
    EXPECT_TRUE(memory) << memory.error().ToString();
    return memory ? std::move(*memory) : nullptr;
  }

  std::unique_ptr<Allocator> allocator_;
  uint64_t page_ = 0;
};

TEST_P(AllocatorTest, GivesWhatItSays) {
  EXPECT_EQ(allocator_->views(), GetParam().views);
  auto memory = Allocate(page_ + 1);
  ASSERT_TRUE(memory);
  EXPECT_EQ(memory->views(), allocator_->views());
  EXPECT_EQ(memory->part_count(), 1u);
  EXPECT_EQ(memory->fd(kViewShm) >= 0, (memory->views() & kViewShm) != 0);
  EXPECT_EQ(memory->fd(kViewDmabuf) >= 0, (memory->views() & kViewDmabuf) != 0);
  EXPECT_EQ(memory->fd(kViewDmabuf, 1), -1);
  EXPECT_EQ(IsDmabuf(memory->fd(kViewDmabuf)), (memory->views() & kViewDmabuf) != 0);
  EXPECT_FALSE(IsDmabuf(memory->fd(kViewShm))) << "shared memory is no dma-buf";
}

TEST_P(AllocatorTest, RoundsUpAndAlignsToPages) {
  auto memory = Allocate(page_ + 1);
  ASSERT_TRUE(memory);
  EXPECT_EQ(memory->size(), 2 * page_);
  for (View view : {kViewShm, kViewDmabuf}) {
    if (memory->fd(view) < 0) continue;
    EXPECT_EQ(lseek(memory->fd(view), 0, SEEK_END), static_cast<off_t>(2 * page_));
  }
  auto base = memory->Map();
  ASSERT_TRUE(base) << base.error().ToString();
  EXPECT_EQ(reinterpret_cast<uintptr_t>(*base) % page_, 0u);
}

TEST_P(AllocatorTest, EveryByteIsZero) {
  for (int round = 0; round < 3; ++round) {
    auto memory = Allocate(16 * page_);
    ASSERT_TRUE(memory && memory->Map());
    for (uint64_t i = 0; i < memory->size(); ++i) ASSERT_EQ(memory->mapping()[i], 0) << i;
    // Another owner's bytes must not come back.
    std::memset(memory->mapping(), 0xEE, memory->size());
  }
}

TEST_P(AllocatorTest, PagesAreThereBeforeTheFirstTouch) {
  constexpr size_t kPages = 64;
  auto memory = Allocate(kPages * page_);
  ASSERT_TRUE(memory && memory->Map());
  if (memory->fd(kViewShm) < 0) GTEST_SKIP() << "mincore() knows pages of files only";
  unsigned char resident[kPages];
  ASSERT_EQ(mincore(memory->mapping(), memory->size(), resident), 0);
  for (unsigned char page : resident) ASSERT_EQ(page & 1, 1);
}

TEST_P(AllocatorTest, IsMappedOnlyWhenSomebodyAsks) {
  const size_t before = Mappings();
  auto memory = Allocate(64 * page_);
  ASSERT_TRUE(memory);
  EXPECT_FALSE(memory->mapped());
  EXPECT_EQ(Mappings(), before);
  auto base = memory->Map();
  ASSERT_TRUE(base);
  EXPECT_TRUE(memory->mapped());
  EXPECT_TRUE(memory->writable());
  EXPECT_EQ(Mappings(), before + 1);
  EXPECT_EQ(*memory->Map(), *base) << "once for life";
  EXPECT_EQ(Mappings(), before + 1);
  memory = nullptr;
  EXPECT_EQ(Mappings(), before);
}

TEST_P(AllocatorTest, EveryViewShowsTheSameBytes) {
  auto memory = Allocate(4 * page_);
  ASSERT_TRUE(memory && memory->Map());
  ASSERT_TRUE(memory->BeginCpuAccess(kCpuWrite));
  for (uint64_t i = 0; i < memory->size(); ++i) memory->mapping()[i] = static_cast<uint8_t>(i * 7);
  ASSERT_TRUE(memory->EndCpuAccess(kCpuWrite));
  for (View view : {kViewShm, kViewDmabuf}) {
    if (memory->fd(view) < 0) continue;
    void* other = mmap(nullptr, memory->size(), PROT_READ, MAP_SHARED, memory->fd(view), 0);
    ASSERT_NE(other, MAP_FAILED) << strerror(errno);
    EXPECT_EQ(std::memcmp(other, memory->mapping(), memory->size()), 0) << ViewNames(view);
    munmap(other, memory->size());
  }
}

TEST_P(AllocatorTest, WhatADeviceWroteIsStillThereAfterTheFirstTouchByTheCpu) {
  auto memory = Allocate(2 * page_);
  ASSERT_TRUE(memory);
  if (memory->fd(kViewDmabuf) < 0) GTEST_SKIP() << "no dma-buf";
  void* device = mmap(nullptr, memory->size(), PROT_WRITE, MAP_SHARED, memory->fd(kViewDmabuf), 0);
  ASSERT_NE(device, MAP_FAILED) << strerror(errno);
  std::memset(device, 0x5a, memory->size());
  munmap(device, memory->size());
  ASSERT_TRUE(memory->Map());
  ASSERT_TRUE(memory->BeginCpuAccess(kCpuRead));
  for (uint64_t i = 0; i < memory->size(); ++i) ASSERT_EQ(memory->mapping()[i], 0x5a) << i;
  ASSERT_TRUE(memory->EndCpuAccess(kCpuRead));
}

TEST_P(AllocatorTest, CpuAccessIsBracketedOnceForADmaBufAndNotForSharedMemory) {
  auto memory = Allocate(page_);
  ASSERT_TRUE(memory && memory->Map());
  auto& spy = IoctlSpy::Get();
  const uint64_t starts = spy.sync_starts;
  const uint64_t ends = spy.sync_ends;
  for (int i = 0; i < 10; ++i) {
    ASSERT_TRUE(memory->BeginCpuAccess(kCpuRead | kCpuWrite));
    ASSERT_TRUE(memory->EndCpuAccess(kCpuRead | kCpuWrite));
  }
  const uint64_t wanted = memory->fd(kViewShm) < 0 ? 10 : 0;
  EXPECT_EQ(spy.sync_starts - starts, wanted);
  EXPECT_EQ(spy.sync_ends - ends, wanted);
}

TEST_P(AllocatorTest, SharedMemoryCannotShrinkAndIsOpenToWriters) {
  auto memory = Allocate(page_);
  ASSERT_TRUE(memory);
  if (memory->fd(kViewShm) < 0) GTEST_SKIP() << "no shm view";
  const int seals = fcntl(memory->fd(kViewShm), F_GET_SEALS);
  EXPECT_EQ(seals & F_SEAL_SHRINK, F_SEAL_SHRINK);
  EXPECT_EQ(seals & F_SEAL_WRITE, 0);
  EXPECT_EQ(ftruncate(memory->fd(kViewShm), 0), -1);
}

TEST_P(AllocatorTest, LabelIsVisibleFromOutside) {
  auto memory = Allocate(page_, "sluice:clip.out:7");
  ASSERT_TRUE(memory);
  for (View view : {kViewShm, kViewDmabuf}) {
    if (memory->fd(view) < 0) continue;
    EXPECT_NE(LinkOf(memory->fd(view)).find("sluice:clip.out:7"), std::string::npos)
        << LinkOf(memory->fd(view));
  }
}

TEST_P(AllocatorTest, LongLabelsKeepTheNumberOfTheBuffer) {
  auto memory = Allocate(page_, "sluice:" + std::string(100, 'x') + ".out:7");
  ASSERT_TRUE(memory);
  for (View view : {kViewShm, kViewDmabuf}) {
    if (memory->fd(view) < 0) continue;
    EXPECT_NE(LinkOf(memory->fd(view)).find(".out:7"), std::string::npos);
  }
}

TEST_P(AllocatorTest, FdsCloseOnExec) {
  auto memory = Allocate(page_);
  ASSERT_TRUE(memory);
  for (View view : {kViewShm, kViewDmabuf}) {
    if (memory->fd(view) < 0) continue;
    EXPECT_NE(fcntl(memory->fd(view), F_GETFD) & FD_CLOEXEC, 0);
  }
}

TEST_P(AllocatorTest, RefusesImpossibleSizesWithNumbersAndKeepsNothing) {
  const size_t fds = OpenFds();
  for (uint64_t size : {uint64_t{0}, UINT64_MAX, uint64_t{1} << 63}) {
    auto memory = allocator_->Allocate("sluice:none:0", size);
    ASSERT_FALSE(memory) << size;
    EXPECT_EQ(memory.error().code, Code::kInvalidArgument);
    EXPECT_NE(memory.error().message.find(std::to_string(size)), std::string::npos);
  }
  EXPECT_EQ(OpenFds(), fds);
}

TEST_P(AllocatorTest, RefusesMoreThanTheMachineHas) {
  const size_t fds = OpenFds();
  const uint64_t size = uint64_t{1} << 60;
  auto memory = allocator_->Allocate("sluice:clip.out:0", size);
  ASSERT_FALSE(memory);
  EXPECT_EQ(memory.error().code, Code::kResourceExhausted);
  EXPECT_NE(memory.error().message.find("sluice:clip.out:0"), std::string::npos);
  EXPECT_NE(memory.error().message.find(std::to_string(size)), std::string::npos)
      << memory.error().message;
  EXPECT_EQ(OpenFds(), fds);
}

TEST_P(AllocatorTest, RefusesMoreThanItsBoundAndGivesTheBoundItself) {
  const uint64_t bound = allocator_->max_bytes();
  if (bound == 0) GTEST_SKIP() << "no bound of its own";
  auto memory = allocator_->Allocate("sluice:clip.out:0", bound + 1);
  ASSERT_FALSE(memory);
  EXPECT_EQ(memory.error().code, Code::kResourceExhausted);
  EXPECT_NE(memory.error().message.find(std::to_string(bound)), std::string::npos);
  EXPECT_NE(memory.error().message.find(std::to_string(bound + page_)), std::string::npos)
      << memory.error().message;
  EXPECT_TRUE(Allocate(bound));
}

TEST_P(AllocatorTest, SaysWhenThereAreNoMoreFds) {
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  rlimit tight = before;
  tight.rlim_cur = OpenFds();
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &tight), 0);
  std::vector<std::unique_ptr<Memory>> held;
  Result<std::unique_ptr<Memory>> memory;
  for (int i = 0; i < 16; ++i) {
    memory = allocator_->Allocate("sluice:clip.out:0", page_);
    if (!memory) break;
    held.push_back(std::move(*memory));
  }
  setrlimit(RLIMIT_NOFILE, &before);
  ASSERT_FALSE(memory);
  EXPECT_EQ(memory.error().code, Code::kResourceExhausted) << memory.error().ToString();
}

TEST_P(AllocatorTest, AThousandAllocationsLeaveNothingBehind) {
  auto round = [&] {
    auto memory = Allocate(4 * page_);
    if (!memory || !memory->Map()) return false;
    memory->mapping()[0] = 1;
    return true;
  };
  for (int i = 0; i < 50; ++i) ASSERT_TRUE(round());
  const size_t fds = OpenFds();
  const size_t mappings = Mappings();
  const uint64_t resident = ResidentBytes();
  for (int i = 0; i < 1000; ++i) ASSERT_TRUE(round());
  EXPECT_EQ(OpenFds(), fds);
  EXPECT_LE(Mappings(), mappings + 4) << "1000 would show a leak; the heap may move a little";
  EXPECT_LT(ResidentBytes(), resident + 1000 * page_ / 2);
}

INSTANTIATE_TEST_SUITE_P(All, AllocatorTest, testing::ValuesIn(kRows),
                         [](const auto& row) { return row.param.name; });

TEST(AllocatorProbeTest, WhatIsMissingIsNamed) {
  AllocatorProbe probe = ProbeDmaHeap("no such heap");
  EXPECT_FALSE(probe.usable);
  EXPECT_NE(probe.detail.find("/dev/dma_heap/no such heap"), std::string::npos) << probe.detail;
  EXPECT_FALSE(probe.advice.empty());
  EXPECT_EQ(CreateDmaHeapAllocator("../zero").error().code, Code::kInvalidArgument);
  EXPECT_EQ(CreateDmaHeapAllocator("").error().code, Code::kInvalidArgument);
}

TEST(MakeAllocatorsTest, MemfdComesFirstAndTheRestIsUsable) {
  auto allocators = MakeAllocators();
  ASSERT_FALSE(allocators.empty());
  EXPECT_EQ(allocators[0]->name(), "memfd");
  EXPECT_EQ(allocators.size(),
            1u + (ProbeUdmabuf().usable ? 1 : 0) + (ProbeDmaHeap().usable ? 1 : 0));
  for (auto& allocator : allocators) EXPECT_TRUE(allocator->Allocate("sluice:test:0", 1));
}

}  // namespace
}  // namespace sluice::media
