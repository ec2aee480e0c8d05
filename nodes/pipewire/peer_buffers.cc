#include "nodes/pipewire/peer_buffers.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace sluice::pipewire {
namespace {

#ifndef DMA_BUF_MAGIC
constexpr long kDmabufMagic = 0x444d4142;
#else
constexpr long kDmabufMagic = DMA_BUF_MAGIC;
#endif

constexpr uint32_t kMaxBlocks = SLUICE_MAX_PLANES;

#if PW_CHECK_VERSION(1, 2, 0)
constexpr uint32_t kSyncobj = SPA_DATA_SyncObj;
#else
constexpr uint32_t kSyncobj = SPA_ID_INVALID;
#endif

uint64_t PageSize() { return static_cast<uint64_t>(sysconf(_SC_PAGESIZE)); }

unsigned long long Long(uint64_t value) { return value; }

/// How a plane relates to the picture: `columns` x `rows` pixels have `bytes`.
struct Shape {
  uint8_t columns, rows, bytes;
};

Shape ShapeOf(const FormatEntry& entry, uint32_t plane) {
  switch (entry.drm) {
    case SLUICE_FORMAT_YUYV:
    case SLUICE_FORMAT_UYVY:
      return {2, 1, 4};
    case SLUICE_FORMAT_NV12:
    case SLUICE_FORMAT_NV21:
      return plane == 0 ? Shape{1, 1, 1} : Shape{2, 2, 2};
    case SLUICE_FORMAT_NV16:
      return plane == 0 ? Shape{1, 1, 1} : Shape{2, 1, 2};
    case SLUICE_FORMAT_YU12:
      return plane == 0 ? Shape{1, 1, 1} : Shape{2, 2, 1};
    case SLUICE_FORMAT_R8:
      return {1, 1, 1};
    case SLUICE_FORMAT_BG24:
    case SLUICE_FORMAT_RG24:
      return {1, 1, 3};
    case SLUICE_FORMAT_RG16:
      return {1, 1, 2};
    default:
      return {1, 1, 4};
  }
}

/// A later plane's stride where only the first one's is known.
uint64_t StrideAfter(const FormatEntry& entry, uint64_t first_stride) {
  return entry.drm == SLUICE_FORMAT_YU12 ? first_stride / 2 : first_stride;
}

bool IsSealed(int fd) {
  const int seals = fcntl(fd, F_GET_SEALS);
  return seals >= 0 && (seals & F_SEAL_SHRINK) != 0;
}

bool IsDmabuf(int fd) {
  struct statfs info {};
  return fstatfs(fd, &info) == 0 && info.f_type == kDmabufMagic;
}

sdk::Status Refuse(uint32_t index, const spa_data& data, const char* why) {
  return sdk::Status::Error(
      SLUICE_E_INVALID_ARGUMENT,
      "block %u of the peer's buffer: %s (type %u, fd %lld, offset %u, size %u)", index, why,
      data.type, static_cast<long long>(data.fd), data.mapoffset, data.maxsize);
}

sdk::Expected<PeerBlock> CheckFd(uint32_t index, const spa_data& data) {
  if (data.fd < 0 || data.fd > INT32_MAX) return Refuse(index, data, "no fd");
  PeerBlock block;
  block.type = data.type;
  block.fd = sdk::UniqueFd::Dup(static_cast<int>(data.fd));
  if (!block.fd) return Refuse(index, data, strerror(errno));
  block.offset = data.mapoffset;
  if (data.type == SPA_DATA_DmaBuf) {
    if (!IsDmabuf(block.fd.get())) return Refuse(index, data, "it is no dma-buf");
    const off_t size = lseek(block.fd.get(), 0, SEEK_END);
    if (size <= 0) return Refuse(index, data, "a dma-buf without a size");
    block.fd_size = static_cast<uint64_t>(size);
    if (block.offset >= block.fd_size) return Refuse(index, data, "it begins behind its end");
    // Spec: PipeWire's "DMA-BUF Sharing": maxsize and size of a dma-buf mean nothing.
    block.size = block.fd_size - block.offset;
    block.sealed = true;
    return block;
  }
  struct stat info {};
  const bool driver =
      fstat(block.fd.get(), &info) == 0 && (S_ISCHR(info.st_mode) || IsDmabuf(block.fd.get()));
  if (driver && data.maxsize != 0) {
    // A driver's buffer (V4L2), called so for those who take no dma-bufs: to be mapped.
    auto mapping = Mapping::OfFd(block.fd.get(), block.offset, data.maxsize);
    if (!mapping.ok()) return mapping.status();
    block.type = SPA_DATA_MemPtr;
    block.fd.reset();
    block.size = data.maxsize;
    block.sealed = true;
    block.mapping = *std::move(mapping);
    return block;
  }
  if (fstat(block.fd.get(), &info) != 0 || !S_ISREG(info.st_mode) || info.st_size <= 0) {
    return Refuse(index, data, "it is no shared memory");
  }
  block.fd_size = static_cast<uint64_t>(info.st_size);
  block.size = data.maxsize;
  if (block.size == 0 || block.offset + block.size > block.fd_size) {
    return sdk::Status::Error(
        SLUICE_E_INVALID_ARGUMENT, "block %u of the peer's buffer: bytes %llu to %llu of %llu",
        index, Long(block.offset), Long(block.offset + block.size), Long(block.fd_size));
  }
  block.sealed = IsSealed(block.fd.get());
  return block;
}

sdk::Expected<PeerBlock> CheckPointer(uint32_t index, const spa_data& data, pw_mempool* pool) {
  if (data.data == nullptr || data.maxsize == 0) return Refuse(index, data, "no memory");
  const pw_memblock* memory = pool == nullptr ? nullptr : pw_mempool_find_ptr(pool, data.data);
  if (memory == nullptr) return Refuse(index, data, "memory that this process does not have");
  // The pool found the first byte; the last one must lie in the same block.
  const auto* last = static_cast<const uint8_t*>(data.data) + (data.maxsize - 1);
  if (pw_mempool_find_ptr(pool, last) != memory) {
    return Refuse(index, data, "it ends outside of its memory");
  }
  PeerBlock block;
  block.type = SPA_DATA_MemPtr;
  block.size = data.maxsize;
  block.sealed = IsSealed(memory->fd);
  // PipeWire takes its own mapping away as it likes.
  auto mapping = Mapping::OfMapped(data.data, data.maxsize);
  if (!mapping.ok()) return mapping.status();
  block.mapping = *std::move(mapping);
  return block;
}

sdk::Expected<PeerBlock> CheckBlock(uint32_t index, const spa_data& data, pw_mempool* pool) {
  switch (data.type) {
    case SPA_DATA_MemFd:
    case SPA_DATA_DmaBuf:
      return CheckFd(index, data);
    case SPA_DATA_MemPtr:
      return CheckPointer(index, data, pool);
    default:
      return Refuse(index, data, "memory of an unknown kind");
  }
}

}  // namespace

// --- Mappings ------------------------------------------------------------------------------------

sdk::Expected<std::shared_ptr<Mapping>> Mapping::OfFd(int fd, uint64_t offset, uint64_t size) {
  const uint64_t inset = offset % PageSize();
  void* base =
      mmap(nullptr, inset + size, PROT_READ, MAP_SHARED, fd, static_cast<off_t>(offset - inset));
  if (base == MAP_FAILED) {
    return sdk::Status::Error(SLUICE_E_IO, "the peer's buffer cannot be mapped: %s",
                              strerror(errno));
  }
  return std::shared_ptr<Mapping>(new Mapping(static_cast<uint8_t*>(base), inset + size, inset));
}

sdk::Expected<std::shared_ptr<Mapping>> Mapping::OfMapped(const void* address, uint64_t size) {
  const uint64_t inset = reinterpret_cast<uintptr_t>(address) % PageSize();
  auto* start = const_cast<uint8_t*>(static_cast<const uint8_t*>(address)) - inset;
  // Spec: mremap(2): an old size of 0 makes another mapping of the same pages.
  void* base = mremap(start, 0, inset + size, MREMAP_MAYMOVE);
  if (base == MAP_FAILED) {
    return sdk::Status::Error(SLUICE_E_IO, "the peer's buffer cannot be mapped: %s",
                              strerror(errno));
  }
  return std::shared_ptr<Mapping>(new Mapping(static_cast<uint8_t*>(base), inset + size, inset));
}

Mapping::~Mapping() { munmap(base_, size_); }

// --- Checks --------------------------------------------------------------------------------------

sdk::Expected<std::shared_ptr<Mapping>> PeerBlock::Map() const {
  if (mapping != nullptr || !sealed) return mapping;
  return Mapping::OfFd(fd.get(), 0, fd_size);
}

bool PeerBlock::Read(const Mapping* map, uint64_t at, uint64_t bytes, uint8_t* to) const {
  if (map != nullptr) {
    std::memcpy(to, map->base() + at, bytes);
    return true;
  }
  // What may shrink is read, not mapped: an early end is an answer and not a signal.
  return pread(fd.get(), to, bytes, static_cast<off_t>(at)) == static_cast<ssize_t>(bytes);
}

bool PeerBuffer::Only(uint32_t type) const {
  return !blocks.empty() && std::all_of(blocks.begin(), blocks.end(),
                                        [&](const PeerBlock& block) { return block.type == type; });
}

uint32_t BlockCount(const spa_buffer& buffer) {
  uint32_t count = buffer.n_datas;
  while (count > 0 && buffer.datas[count - 1].type == kSyncobj) --count;
  return count;
}

sdk::Expected<PeerBuffer> CheckBuffer(const spa_buffer& buffer, pw_mempool* pool) {
  PeerBuffer checked;
  const uint32_t count = BlockCount(buffer);
  const uint32_t fences = buffer.n_datas - count;
  if (count == 0 || count > kMaxBlocks || (fences != 0 && fences != 2)) {
    return sdk::Status::Error(SLUICE_E_UNSUPPORTED,
                              "the peer's buffer has %u blocks of memory and %u of fences", count,
                              fences);
  }
  for (uint32_t i = 0; i < count; ++i) {
    auto block = CheckBlock(i, buffer.datas[i], pool);
    if (!block.ok()) return block.status();
    checked.blocks.push_back(*std::move(block));
  }
  if (!checked.Only(checked.blocks[0].type)) {
    return sdk::Status::Error(SLUICE_E_UNSUPPORTED,
                              "the blocks of the peer's buffer are of several kinds");
  }
  if (fences == 2) {
    checked.acquire = sdk::UniqueFd::Dup(static_cast<int>(buffer.datas[count].fd));
    checked.release = sdk::UniqueFd::Dup(static_cast<int>(buffer.datas[count + 1].fd));
    if (!checked.acquire || !checked.release) {
      return sdk::Status::Error(SLUICE_E_INVALID_ARGUMENT, "the peer's fences have no fd");
    }
  }
  return checked;
}

// --- Layouts -------------------------------------------------------------------------------------

Geometry GeometryOf(const spa_buffer& buffer, size_t block_count) {
  Geometry geometry;
  for (uint32_t i = 0; i < buffer.n_datas && i < block_count; ++i) {
    const spa_chunk* chunk = buffer.datas[i].chunk;
    geometry.blocks.push_back(chunk == nullptr ? Geometry::Block{}
                                               : Geometry::Block{chunk->offset, chunk->stride});
  }
  return geometry;
}

uint64_t RowBytes(const FormatEntry& entry, uint32_t plane, uint32_t width) {
  const Shape shape = ShapeOf(entry, plane);
  return (uint64_t{width} + shape.columns - 1) / shape.columns * shape.bytes;
}

uint64_t RowCount(const FormatEntry& entry, uint32_t plane, uint32_t height) {
  const Shape shape = ShapeOf(entry, plane);
  return (uint64_t{height} + shape.rows - 1) / shape.rows;
}

uint64_t PictureBytes(const FormatEntry& entry, Size size) {
  // As the engine bounds a compressed picture.
  if (entry.compressed()) return std::max<uint64_t>(uint64_t{size.width} * size.height * 2, 65536);
  uint64_t bytes = 0;
  for (uint32_t i = 0; i < entry.plane_count; ++i) {
    bytes += RowBytes(entry, i, size.width) * RowCount(entry, i, size.height);
  }
  return bytes;
}

sdk::Expected<sluice_layout> LayoutOf(const FormatEntry& entry, Size size, const PeerBuffer& buffer,
                                      const Geometry& geometry) {
  const size_t count = buffer.blocks.size();
  const auto refuse = [&](uint32_t plane, const char* why, uint64_t have, uint64_t need) {
    return sdk::Status::Error(
        SLUICE_E_UNSUPPORTED, "%s %ux%u, plane %u of the peer's buffer: %s (%llu, %llu needed)",
        FourccName(entry.drm).c_str(), size.width, size.height, plane, why, Long(have), Long(need));
  };
  if (count != 1 && count != entry.plane_count) {
    return refuse(0, "as many blocks as planes, or one", count, entry.plane_count);
  }
  sluice_layout layout{};
  layout.coded_width = size.width;
  layout.coded_height = size.height;
  layout.plane_count = entry.plane_count;
  layout.part_count = static_cast<uint32_t>(count);
  for (const PeerBlock& block : buffer.blocks) {
    layout.size += block.mapping != nullptr ? block.mapping->inset() + block.size : block.fd_size;
  }
  uint64_t end = 0;
  for (uint32_t i = 0; i < entry.plane_count; ++i) {
    const uint32_t part = count == 1 ? 0 : i;
    const PeerBlock& block = buffer.blocks[part];
    const uint64_t start = block.begin();
    const Geometry::Block place =
        part < geometry.blocks.size() ? geometry.blocks[part] : Geometry::Block{};
    if (place.offset > block.size) return refuse(i, "it begins behind its end", place.offset, 0);
    sluice_plane& plane = layout.planes[i];
    plane.part = part;
    if (entry.compressed()) {
      plane.offset = start + place.offset;
      plane.stride = plane.size = block.size - place.offset;
      break;
    }
    if (place.stride < 0) return refuse(i, "rows from the last to the first", 0, 0);
    const uint64_t row = RowBytes(entry, i, size.width);
    const auto given = static_cast<uint64_t>(place.stride);
    if (part == i) {
      plane.stride = given != 0 ? given : row;
      plane.offset = start + place.offset;
      // Where a block of its own does not say its stride, the first one's is a guide.
      if (i > 0 && given == 0) plane.stride = StrideAfter(entry, layout.planes[0].stride);
    } else {
      plane.stride = StrideAfter(entry, layout.planes[0].stride);
      plane.offset = end;
    }
    if (plane.stride < row) return refuse(i, "rows shorter than the picture", plane.stride, row);
    plane.size = plane.stride * RowCount(entry, i, size.height);
    end = plane.offset + plane.size;
    if (end > start + block.size) {
      return refuse(i, "less memory than its rows need", start + block.size, end);
    }
  }
  return layout;
}

}  // namespace sluice::pipewire
