#ifndef SLUICE_NODES_VULKAN_DMABUF_TESTING_H_
#define SLUICE_NODES_VULKAN_DMABUF_TESTING_H_

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "nodes/vulkan/domain.h"
#include "nodes/vulkan/island_testing.h"
#include "nodes/vulkan/kernel_testing.h"
#include "nodes/vulkan/reference.h"

namespace sluice::vulkan::testing {

inline const sluice_format kRgb = MakeFormat(SLUICE_FORMAT_XR24, 160, 90);
inline const sluice_format kNv12 = MakeFormat(SLUICE_FORMAT_NV12, 192, 90);

/// An island whose frames are dma-bufs.
class DmabufTest : public IslandTest {
 protected:
  void SetUp() override {
    KernelMemory::Clear();
    host_.SetExtension(SLUICE_MEMORY_API_ID, &KernelMemory::Api());
    borders_[0].views = borders_[1].views = SLUICE_VIEW_DMABUF;
    IslandTest::SetUp();
    if (domain_.self == nullptr) return;
    if (!external().import_dmabuf) GTEST_SKIP() << device() << " cannot import dma-bufs";
  }

  VulkanDomain& vulkan() { return *sdk::DomainCast<VulkanDomain>(domain_.self); }
  const ExternalSupport& external() { return vulkan().device().info().external; }
  std::string device() { return vulkan().device().info().name; }

  TestNode& AddLook(const sluice_format& format) {
    return Add("vulkan.look", {Text("look", "negative")}, format, format);
  }
  static Picture Negative(const Picture& picture) {
    Picture want(picture.format());
    Reference(picture, want, "negative", {{"amount", 1}});
    return want;
  }
  static Picture Noise(const sluice_format& format) {
    Picture picture(format);
    Fill(picture, Pattern::kNoise);
    return picture;
  }

  template <class T>
  static const T* Extension(const TestNode& node, const char* id) {
    return static_cast<const T*>(node.node.get_extension(node.node.self, id));
  }
  static int32_t TestImport(const TestNode& node, int32_t direction, FakeFrame* frame) {
    const auto* importer = Extension<sluice_importer>(node, SLUICE_IMPORTER_ID);
    return importer->test(node.node.self, direction, 0, frame->c());
  }
  void ForgetAll() {
    for (const FakePool* pool : {in_pool_, out_pool_}) {
      const sluice_buffer_id id = IdOf(const_cast<FakePool&>(*pool));
      domain_.forget_pool(domain_.self, id.pool, id.epoch);
    }
  }
  static sluice_buffer_id IdOf(FakePool& pool) {
    FakeFrame* frame = Lease(pool);
    const sluice_buffer_id id = frame->buffer->id;
    Return(frame);
    return id;
  }
  static sluice_memory OnePart(int fd, uint64_t size) {
    sluice_memory memory{};
    memory.view = SLUICE_VIEW_DMABUF;
    memory.part_count = 1;
    memory.parts[0] = {fd, 0, size};
    return memory;
  }
  static void Put(const Picture& picture, const sluice_layout& layout, uint8_t* base) {
    for (uint32_t p = 0; p < picture.layout().plane_count; ++p)
      std::memcpy(base + layout.planes[p].offset, picture.plane(p),
                  picture.layout().planes[p].size);
  }
  static void Get(const Picture& picture, const sluice_layout& layout, const uint8_t* base) {
    for (uint32_t p = 0; p < picture.layout().plane_count; ++p)
      std::memcpy(picture.plane(p), base + layout.planes[p].offset,
                  picture.layout().planes[p].size);
  }
};

}  // namespace sluice::vulkan::testing

#endif  // SLUICE_NODES_VULKAN_DMABUF_TESTING_H_
