#include "nodes/vulkan/sharing/wire.h"

#include <algorithm>
#include <cstring>
#include <type_traits>

namespace sluice::vulkan {
namespace {

constexpr uint32_t kMaxSide = 16384;
constexpr uint64_t kMaxBytes = uint64_t{1} << 40;
constexpr size_t kNameBytes = 128;

enum class Kind : uint32_t { kHello = 1, kStart, kFrame, kRelease, kBye, kLeave };

struct Header {
  uint32_t magic;
  uint32_t version;
  uint32_t kind;
  uint32_t size;  ///< of the whole message, bytes
};

struct WirePlane {
  uint64_t offset, stride, size;
};

struct WireHello {
  Header header;
  uint8_t device_uuid[VK_UUID_SIZE];
  uint8_t driver_uuid[VK_UUID_SIZE];
  char device_name[kNameBytes];
  uint64_t modifier;
  uint32_t fourcc, width, height;
  uint32_t rate_numerator, rate_denominator;
  uint8_t color[5];  ///< primaries, transfer, matrix, range, siting
  uint8_t reserved[3];
  uint32_t coded_width, coded_height, reserved1;
  WirePlane planes[SLUICE_MAX_PLANES];
  uint64_t layout_bytes, buffer_bytes, allocation_bytes;
  uint32_t plane_count, buffers, memory_type, dedicated, usage, reserved2;
};

struct WireStart {
  Header header;
};

struct WireFrame {
  Header header;
  uint32_t index, reserved;
  int64_t pts_ns, duration_ns, pts_ticks, duration_ticks, captured_ns;
  uint64_t sequence;
  uint32_t time_base_num, time_base_den, flags, field_order;
  uint32_t crop_x, crop_y, crop_width, crop_height, aspect_num, aspect_den;
  int32_t rotation_degrees;
  uint32_t reserved2;
};

struct WireRelease {
  Header header;
  uint32_t index, reserved;
};

struct WireLeave {
  Header header;
  uint32_t kept, reserved;
};
static_assert(kMostShared <= 32);

struct WireBye {
  Header header;
  uint32_t why;
  int32_t reader;
};

template <typename... T>
constexpr bool kNoPadding = (std::has_unique_object_representations_v<T> && ...);
static_assert(kNoPadding<WireHello, WireStart, WireFrame, WireRelease, WireLeave, WireBye>);
static_assert(sizeof(WireHello) <= kMostWireBytes);

template <typename T>
WireBytes Pack(T wire, Kind kind) {
  wire.header = {kWireMagic, kWireVersion, static_cast<uint32_t>(kind), sizeof(T)};
  WireBytes out;
  out.size = sizeof(T);
  std::memcpy(out.bytes.data(), &wire, sizeof(T));
  return out;
}

tl::unexpected<Error> Wrong(const char* what, uint64_t value) {
  return Fail(SLUICE_E_INVALID_ARGUMENT,
              std::string("a message with ") + what + " " + std::to_string(value));
}

template <typename T>
Result<T> Unpack(std::span<const std::byte> bytes) {
  T wire;
  if (bytes.size() != sizeof(T)) return Wrong("a size of", bytes.size());
  std::memcpy(&wire, bytes.data(), sizeof(T));
  return wire;
}

WireBytes PackHello(const SharedPool& pool) {
  WireHello wire{};
  std::copy(pool.device_uuid.begin(), pool.device_uuid.end(), wire.device_uuid);
  std::copy(pool.driver_uuid.begin(), pool.driver_uuid.end(), wire.driver_uuid);
  pool.device_name.copy(wire.device_name, kNameBytes - 1);
  const sluice_format& format = pool.format;
  wire.modifier = format.modifier;
  wire.fourcc = format.fourcc;
  wire.width = format.width;
  wire.height = format.height;
  wire.rate_numerator = format.rate.numerator;
  wire.rate_denominator = format.rate.denominator;
  const sluice_color& color = format.color;
  const uint8_t terms[] = {color.primaries, color.transfer, color.matrix, color.range,
                           color.siting};
  std::copy(std::begin(terms), std::end(terms), wire.color);
  wire.coded_width = pool.layout.coded_width;
  wire.coded_height = pool.layout.coded_height;
  wire.plane_count = pool.layout.plane_count;
  for (uint32_t i = 0; i < pool.layout.plane_count && i < SLUICE_MAX_PLANES; ++i) {
    const sluice_plane& plane = pool.layout.planes[i];
    wire.planes[i] = {plane.offset, plane.stride, plane.size};
  }
  wire.layout_bytes = pool.layout.size;
  wire.buffers = pool.buffers;
  wire.buffer_bytes = pool.memory.buffer_bytes;
  wire.allocation_bytes = pool.memory.allocation_bytes;
  wire.memory_type = pool.memory.memory_type;
  wire.dedicated = pool.memory.dedicated ? 1 : 0;
  wire.usage = pool.memory.usage;
  return Pack(wire, Kind::kHello);
}

WireBytes PackFrame(const FrameMessage& frame) {
  const sluice_frame_info& info = frame.info;
  WireFrame wire{};
  wire.index = frame.index;
  wire.pts_ns = info.pts_ns;
  wire.duration_ns = info.duration_ns;
  wire.pts_ticks = info.pts_ticks;
  wire.duration_ticks = info.duration_ticks;
  wire.captured_ns = info.captured_ns;
  wire.sequence = info.sequence;
  wire.time_base_num = info.time_base_num;
  wire.time_base_den = info.time_base_den;
  wire.flags = info.flags;
  wire.field_order = info.field_order;
  wire.crop_x = info.crop_x;
  wire.crop_y = info.crop_y;
  wire.crop_width = info.crop_width;
  wire.crop_height = info.crop_height;
  wire.aspect_num = info.aspect_num;
  wire.aspect_den = info.aspect_den;
  wire.rotation_degrees = info.rotation_degrees;
  return Pack(wire, Kind::kFrame);
}

/// Each plane within the buffer, without overflow; MakeShape() says whether kernels can use it.
Status CheckPlanes(const WireHello& wire) {
  if (wire.plane_count == 0 || wire.plane_count > SLUICE_MAX_PLANES)
    return Wrong("a count of planes of", wire.plane_count);
  if (wire.coded_width < wire.width || wire.coded_width > 2 * kMaxSide)
    return Wrong("a coded width of", wire.coded_width);
  if (wire.coded_height < wire.height || wire.coded_height > 2 * kMaxSide)
    return Wrong("a coded height of", wire.coded_height);
  if (wire.layout_bytes == 0 || wire.layout_bytes > kMaxBytes)
    return Wrong("a layout of bytes", wire.layout_bytes);
  for (uint32_t i = 0; i < wire.plane_count; ++i) {
    const WirePlane& plane = wire.planes[i];
    if (plane.stride == 0 || plane.stride > wire.layout_bytes)
      return Wrong("a stride of", plane.stride);
    if (plane.offset > wire.layout_bytes) return Wrong("a plane at", plane.offset);
    if (plane.size > wire.layout_bytes - plane.offset) return Wrong("a plane of", plane.size);
  }
  return {};
}

Status CheckHello(const WireHello& wire) {
  if (wire.width == 0 || wire.width > kMaxSide) return Wrong("a width of", wire.width);
  if (wire.height == 0 || wire.height > kMaxSide) return Wrong("a height of", wire.height);
  if (wire.modifier != SLUICE_MODIFIER_LINEAR) return Wrong("a modifier of", wire.modifier);
  if ((wire.rate_numerator == 0) != (wire.rate_denominator == 0))
    return Wrong("a rate over", wire.rate_denominator);
  if (wire.color[0] > SLUICE_PRIMARIES_BT2020) return Wrong("primaries of", wire.color[0]);
  if (wire.color[1] > SLUICE_TRANSFER_GAMMA28) return Wrong("a transfer of", wire.color[1]);
  if (wire.color[2] > SLUICE_MATRIX_RGB) return Wrong("a matrix of", wire.color[2]);
  if (wire.color[3] > SLUICE_RANGE_FULL) return Wrong("a range of", wire.color[3]);
  if (wire.color[4] > SLUICE_SITING_TOP_LEFT) return Wrong("a siting of", wire.color[4]);
  if (Status s = CheckPlanes(wire); !s) return s;
  if (wire.buffers == 0 || wire.buffers > kMostShared)
    return Wrong("a count of buffers of", wire.buffers);
  if (wire.buffer_bytes < wire.layout_bytes || wire.buffer_bytes > kMaxBytes)
    return Wrong("buffers of bytes", wire.buffer_bytes);
  if (wire.allocation_bytes < wire.buffer_bytes || wire.allocation_bytes > kMaxBytes)
    return Wrong("allocations of bytes", wire.allocation_bytes);
  if (wire.memory_type >= VK_MAX_MEMORY_TYPES) return Wrong("a memory type of", wire.memory_type);
  if (wire.dedicated > 1) return Wrong("a flag of", wire.dedicated);
  return {};
}

Result<WireMessage> UnpackHello(std::span<const std::byte> bytes) {
  const auto wire = Unpack<WireHello>(bytes);
  if (!wire) return tl::unexpected(wire.error());
  if (Status s = CheckHello(*wire); !s) return tl::unexpected(s.error());
  SharedPool pool;
  std::copy(std::begin(wire->device_uuid), std::end(wire->device_uuid), pool.device_uuid.begin());
  std::copy(std::begin(wire->driver_uuid), std::end(wire->driver_uuid), pool.driver_uuid.begin());
  for (size_t i = 0; i < kNameBytes && wire->device_name[i] != 0; ++i) {
    const char c = wire->device_name[i];
    pool.device_name += c >= ' ' && c <= '~' ? c : '?';
  }
  pool.format.fourcc = wire->fourcc;
  pool.format.width = wire->width;
  pool.format.height = wire->height;
  pool.format.modifier = wire->modifier;
  pool.format.rate = {wire->rate_numerator, wire->rate_denominator};
  pool.format.color = {wire->color[0], wire->color[1], wire->color[2],
                       wire->color[3], wire->color[4], {}};
  pool.layout.coded_width = wire->coded_width;
  pool.layout.coded_height = wire->coded_height;
  pool.layout.plane_count = wire->plane_count;
  pool.layout.part_count = 1;
  pool.layout.size = wire->layout_bytes;
  for (uint32_t i = 0; i < wire->plane_count; ++i) {
    const WirePlane& plane = wire->planes[i];
    pool.layout.planes[i] = {0, 0, plane.offset, plane.stride, plane.size};
  }
  pool.buffers = wire->buffers;
  pool.memory = {wire->buffer_bytes, wire->allocation_bytes, wire->memory_type,
                 wire->dedicated == 1, wire->usage};
  return HelloMessage{std::move(pool)};
}

Result<WireMessage> UnpackFrame(std::span<const std::byte> bytes) {
  const auto wire = Unpack<WireFrame>(bytes);
  if (!wire) return tl::unexpected(wire.error());
  if (wire->index >= kMostShared) return Wrong("a buffer", wire->index);
  if (wire->field_order > SLUICE_FIELD_BOTTOM_FIRST)
    return Wrong("a field order of", wire->field_order);
  if ((wire->time_base_num == 0) != (wire->time_base_den == 0))
    return Wrong("a time base over", wire->time_base_den);
  if ((wire->aspect_num == 0) != (wire->aspect_den == 0))
    return Wrong("an aspect over", wire->aspect_den);
  const uint64_t right = uint64_t{wire->crop_x} + wire->crop_width;
  const uint64_t bottom = uint64_t{wire->crop_y} + wire->crop_height;
  if (right > kMaxSide) return Wrong("a visible width up to", right);
  if (bottom > kMaxSide) return Wrong("a visible height up to", bottom);
  const int32_t turn = wire->rotation_degrees;
  if (turn != 0 && turn != 90 && turn != 180 && turn != 270)
    return Wrong("a rotation of", static_cast<uint32_t>(turn));
  FrameMessage frame;
  frame.index = wire->index;
  sluice_frame_info& info = frame.info;
  info.pts_ns = wire->pts_ns;
  info.duration_ns = wire->duration_ns;
  info.pts_ticks = wire->pts_ticks;
  info.duration_ticks = wire->duration_ticks;
  info.captured_ns = wire->captured_ns;
  info.sequence = wire->sequence;
  info.time_base_num = wire->time_base_num;
  info.time_base_den = wire->time_base_den;
  info.flags = wire->flags & (SLUICE_FRAME_DISCONTINUITY | SLUICE_FRAME_CORRUPT | SLUICE_FRAME_KEY |
                              SLUICE_FRAME_MIRRORED);
  info.field_order = wire->field_order;
  info.crop_x = wire->crop_x;
  info.crop_y = wire->crop_y;
  info.crop_width = wire->crop_width;
  info.crop_height = wire->crop_height;
  info.aspect_num = wire->aspect_num;
  info.aspect_den = wire->aspect_den;
  info.rotation_degrees = turn;
  return frame;
}

}  // namespace

WireBytes Encode(const WireMessage& message) {
  if (const auto* hello = std::get_if<HelloMessage>(&message)) return PackHello(hello->pool);
  if (const auto* frame = std::get_if<FrameMessage>(&message)) return PackFrame(*frame);
  if (const auto* release = std::get_if<ReleaseMessage>(&message))
    return Pack(WireRelease{{}, release->index, 0}, Kind::kRelease);
  if (const auto* leave = std::get_if<LeaveMessage>(&message))
    return Pack(WireLeave{{}, leave->kept, 0}, Kind::kLeave);
  if (const auto* bye = std::get_if<ByeMessage>(&message))
    return Pack(WireBye{{}, static_cast<uint32_t>(bye->why), bye->reader}, Kind::kBye);
  return Pack(WireStart{}, Kind::kStart);
}

Result<WireMessage> Decode(std::span<const std::byte> bytes) {
  Header header{};
  if (bytes.size() < sizeof header) return Wrong("a size of", bytes.size());
  std::memcpy(&header, bytes.data(), sizeof header);
  if (header.magic != kWireMagic) return Wrong("a beginning of", header.magic);
  if (header.version != kWireVersion) {
    return Fail(SLUICE_E_UNSUPPORTED, "version " + std::to_string(header.version) +
                                          " of the protocol; this is version " +
                                          std::to_string(kWireVersion));
  }
  if (header.size != bytes.size()) return Wrong("a size of", header.size);
  switch (static_cast<Kind>(header.kind)) {
    case Kind::kHello:
      return UnpackHello(bytes);
    case Kind::kStart:
      if (const auto wire = Unpack<WireStart>(bytes); !wire) return tl::unexpected(wire.error());
      return StartMessage{};
    case Kind::kFrame:
      return UnpackFrame(bytes);
    case Kind::kRelease: {
      const auto wire = Unpack<WireRelease>(bytes);
      if (!wire) return tl::unexpected(wire.error());
      if (wire->index >= kMostShared) return Wrong("a buffer", wire->index);
      return ReleaseMessage{wire->index};
    }
    case Kind::kLeave: {
      const auto wire = Unpack<WireLeave>(bytes);
      if (!wire) return tl::unexpected(wire.error());
      return LeaveMessage{wire->kept};
    }
    case Kind::kBye: {
      const auto wire = Unpack<WireBye>(bytes);
      if (!wire) return tl::unexpected(wire.error());
      if (wire->why < 1 || wire->why > static_cast<uint32_t>(ByeMessage::Why::kChanged))
        return Wrong("a reason of", wire->why);
      return ByeMessage{static_cast<ByeMessage::Why>(wire->why), wire->reader};
    }
  }
  return Wrong("a kind of", header.kind);
}

}  // namespace sluice::vulkan
