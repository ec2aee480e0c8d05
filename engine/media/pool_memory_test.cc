// Pools and their memory: who made it, who may have its fds, who maps it.

#include "engine/media/buffer_pool.h"

#include <dirent.h>
#include <fstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace sluice::media {
namespace {

size_t OpenFds() {
  size_t count = 0;
  DIR* dir = opendir("/proc/self/fd");
  while (readdir(dir) != nullptr) ++count;
  closedir(dir);
  return count;
}

size_t MappingsOf(const std::string& name) {
  std::ifstream maps("/proc/self/maps");
  size_t count = 0;
  for (std::string line; std::getline(maps, line);) {
    if (line.find("sluice:" + name + ":") != std::string::npos) ++count;
  }
  return count;
}

BufferPool::Options Small(std::string name, uint32_t buffers) {
  BufferPool::Options options;
  options.name = std::move(name);
  options.format.fourcc = kYu12;
  options.format.width = 64;
  options.format.height = 32;
  options.layout = *ComputeLayout(options.format, {});
  options.buffers = buffers;
  return options;
}

RefPtr<BufferPool> Make(BufferPool::Options options) {
  auto pool = BufferPool::Create(std::move(options), *CreateMemfdAllocator());
  EXPECT_TRUE(pool) << pool.error().message;
  return pool ? *pool : nullptr;
}

std::vector<std::unique_ptr<Memory>> Memories(const Layout& layout, size_t count) {
  std::vector<std::unique_ptr<Memory>> memories;
  auto allocator = CreateMemfdAllocator();
  for (size_t i = 0; i < count; ++i) {
    std::vector<Memory::Part> parts;
    for (uint32_t part = 0; part < layout.part_count; ++part) {
      auto one = allocator->Allocate("sluice:port:0", layout.size);
      EXPECT_TRUE(one);
      Memory::Part& owned = parts.emplace_back();
      owned.shm = std::move(*UniqueFd::Duplicate((*one)->fd(kViewShm)));
      owned.size = (*one)->size();
    }
    memories.push_back(std::make_unique<Memory>(std::move(parts), kViewShm | kViewCpu));
  }
  return memories;
}

/// Each plane in a part of its own.
BufferPool::Options InParts(std::string name, uint32_t buffers) {
  auto options = Small(std::move(name), buffers);
  options.layout.part_count = options.layout.plane_count;
  for (uint32_t i = 0; i < options.layout.plane_count; ++i) {
    options.layout.planes[i].part = i;
    options.layout.planes[i].offset = 0;
  }
  return options;
}

TEST(PoolMemoryTest, TakesMemoryThatAPortMadeInItsOrder) {
  auto options = InParts("camera.out", 0);
  options.allocator = "camera";
  auto memories = Memories(options.layout, 3);
  std::vector<const Memory*> made;
  for (auto& memory : memories) made.push_back(memory.get());
  auto pool = BufferPool::Create(options, std::move(memories));
  ASSERT_TRUE(pool) << pool.error().message;
  EXPECT_EQ((*pool)->size(), 3u);
  EXPECT_EQ((*pool)->views(), kViewShm | kViewCpu);
  EXPECT_EQ((*pool)->options().allocator, "camera");
  std::vector<Frame*> held;
  for (uint32_t i = 0; i < 3; ++i) {
    Frame* frame = (*pool)->TryAcquire(0);
    ASSERT_NE(frame, nullptr);
    EXPECT_EQ(frame->buffer().id().index, i);
    EXPECT_EQ(&frame->buffer().memory(), made[i]);
    frame->Publish({}, 0);
    held.push_back(frame);
  }
  EXPECT_EQ((*pool)->TryAcquire(0), nullptr);
  for (Frame* frame : held) frame->Release();
}

TEST(PoolMemoryTest, ViewsAreThoseThatEveryBufferHas) {
  auto options = Small("camera.out", 2);
  auto memories = Memories(options.layout, 1);
  std::vector<Memory::Part> parts(1);
  parts[0].size = options.layout.size;
  memories.push_back(std::make_unique<Memory>(std::move(parts), kViewCpu | kViewDevice));
  auto pool = BufferPool::Create(options, std::move(memories));
  ASSERT_TRUE(pool);
  EXPECT_EQ((*pool)->views(), uint32_t{kViewCpu});
}

TEST(PoolMemoryTest, RefusesMemoryThatItsLayoutDoesNotFit) {
  const size_t fds = OpenFds();
  auto expect = [](BufferPool::Options options, std::vector<std::unique_ptr<Memory>> memories,
                   std::string_view named) {
    auto pool = BufferPool::Create(std::move(options), std::move(memories));
    ASSERT_FALSE(pool);
    EXPECT_EQ(pool.error().code, Code::kInvalidArgument);
    EXPECT_NE(pool.error().message.find(named), std::string::npos) << pool.error().message;
  };
  auto layout = InParts("", 2).layout;
  auto fewer_parts = layout;
  fewer_parts.part_count = 1;
  expect(InParts("camera.out", 2), Memories(fewer_parts, 2), "buffer 0 of camera.out");
  expect(InParts("camera.out", 2), Memories(layout, 3), "wants 2 buffers, 3 were made");
  auto beyond = InParts("camera.out", 2);
  beyond.layout.planes[1].offset = uint64_t{1} << 40;
  expect(beyond, Memories(layout, 2), "plane 1");
  auto overflows = InParts("camera.out", 2);
  overflows.layout.planes[2].offset = UINT64_MAX - 8;
  expect(overflows, Memories(layout, 2), "plane 2");
  auto no_part = InParts("camera.out", 2);
  no_part.layout.planes[2].part = 3;
  expect(no_part, Memories(layout, 2), "part 3 of 3");
  expect(InParts("camera.out", 0), {}, "0 buffers");
  EXPECT_EQ(OpenFds(), fds);
}

TEST(PoolMemoryTest, OnlyThoseWhoAskedMayHaveFds) {
  auto pool = Make(Small("clip.out", 1));
  EXPECT_FALSE(pool->MayHaveFds(kProducer));
  HolderId look = pool->AddHolder("look"), show = pool->AddHolder("show", true);
  EXPECT_FALSE(pool->MayHaveFds(look));
  EXPECT_TRUE(pool->MayHaveFds(show));
  EXPECT_FALSE(pool->MayHaveFds(HolderId{99}));
  EXPECT_EQ(pool->AddHolder("show"), show);
  EXPECT_TRUE(pool->MayHaveFds(show)) << "asking again takes nothing back";
  EXPECT_EQ(pool->AddHolder("look", true), look);
  EXPECT_TRUE(pool->MayHaveFds(look));
  EXPECT_EQ(pool->HolderName(show), "show");
  auto options = Small("camera.out", 1);
  options.producer_raw_fds = true;
  EXPECT_TRUE(Make(std::move(options))->MayHaveFds(kProducer));
}

TEST(PoolMemoryTest, MapsNothingByItself) {
  auto options = Small("unmapped", 2);
  options.poison = true;
  auto pool = Make(std::move(options));
  for (int i = 0; i < 3; ++i) {
    Frame* frame = pool->TryAcquire(0);
    frame->Publish({}, 0);
    Frame* second = pool->Share(*frame, pool->AddHolder("show"), 0);
    frame->Release();
    second->Release();
  }
  EXPECT_EQ(MappingsOf("unmapped"), 0u);
}

}  // namespace
}  // namespace sluice::media
