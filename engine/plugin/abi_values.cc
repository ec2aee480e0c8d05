#include "engine/plugin/abi_values.h"

#include <type_traits>

#include "engine/base/log.h"
#include "engine/graph/node_type.h"
#include "engine/media/format.h"
#include "sluice/abi.h"
#include "sluice/format.h"
#include "sluice/node.h"

namespace sluice::plugin {
namespace {

/// The engine's enumerations cross the boundary as they are: each value must be the ABI's.
template <typename Engine, typename Abi>
constexpr bool Same(Engine engine, Abi abi) {
  return static_cast<int64_t>(engine) == static_cast<int64_t>(abi);
}

static_assert(Same(Code::kInvalidArgument, SLUICE_E_INVALID_ARGUMENT));
static_assert(Same(Code::kNotFound, SLUICE_E_NOT_FOUND));
static_assert(Same(Code::kUnsupported, SLUICE_E_UNSUPPORTED));
static_assert(Same(Code::kResourceExhausted, SLUICE_E_RESOURCE_EXHAUSTED));
static_assert(Same(Code::kTimeout, SLUICE_E_TIMEOUT));
static_assert(Same(Code::kDeviceLost, SLUICE_E_DEVICE_LOST));
static_assert(Same(Code::kCancelled, SLUICE_E_CANCELLED));
static_assert(Same(Code::kIo, SLUICE_E_IO));
static_assert(Same(Code::kInternal, SLUICE_E_INTERNAL));
static_assert(Same(Code::kNotSubmitted, SLUICE_E_NOT_SUBMITTED));
static_assert(Same(Code::kAlreadyExists, SLUICE_E_ALREADY_EXISTS));
static_assert(Same(Code::kPermissionDenied, SLUICE_E_PERMISSION_DENIED));
static_assert(Same(Code::kWouldBlock, SLUICE_E_WOULD_BLOCK));

static_assert(Same(LogLevel::kDebug, SLUICE_LOG_DEBUG));
static_assert(Same(LogLevel::kInfo, SLUICE_LOG_INFO));
static_assert(Same(LogLevel::kWarning, SLUICE_LOG_WARNING));
static_assert(Same(LogLevel::kError, SLUICE_LOG_ERROR));

static_assert(Same(media::kYu12, SLUICE_FORMAT_YU12));
static_assert(Same(media::kNv12, SLUICE_FORMAT_NV12));
static_assert(Same(media::kYuyv, SLUICE_FORMAT_YUYV));
static_assert(Same(media::kAb24, SLUICE_FORMAT_AB24));
static_assert(Same(media::kXb24, SLUICE_FORMAT_XB24));
static_assert(Same(media::kAr24, SLUICE_FORMAT_AR24));
static_assert(Same(media::kXr24, SLUICE_FORMAT_XR24));
static_assert(Same(media::kR8, SLUICE_FORMAT_R8));
static_assert(Same(media::kP010, SLUICE_FORMAT_P010));
static_assert(Same(media::kAb4h, SLUICE_FORMAT_AB4H));
static_assert(Same(media::kXb4h, SLUICE_FORMAT_XB4H));
static_assert(Same(media::kUyvy, SLUICE_FORMAT_UYVY));
static_assert(Same(media::kNv21, SLUICE_FORMAT_NV21));
static_assert(Same(media::kNv16, SLUICE_FORMAT_NV16));
static_assert(Same(media::kBg24, SLUICE_FORMAT_BG24));
static_assert(Same(media::kRg24, SLUICE_FORMAT_RG24));
static_assert(Same(media::kRg16, SLUICE_FORMAT_RG16));
static_assert(Same(media::kMjpg, SLUICE_FORMAT_MJPG));
static_assert(Same(media::kH264, SLUICE_FORMAT_H264));
static_assert(Same(media::kHevc, SLUICE_FORMAT_HEVC));
static_assert(Same(media::kModifierLinear, SLUICE_MODIFIER_LINEAR));
static_assert(Same(media::kModifierInvalid, SLUICE_MODIFIER_INVALID));
static_assert(Same(media::kMaxPlanes, SLUICE_MAX_PLANES));

static_assert(Same(media::Matrix::kBt709, SLUICE_MATRIX_BT709));
static_assert(Same(media::Matrix::kBt601, SLUICE_MATRIX_BT601));
static_assert(Same(media::Matrix::kBt2020, SLUICE_MATRIX_BT2020));
static_assert(Same(media::Matrix::kRgb, SLUICE_MATRIX_RGB));
static_assert(Same(media::Range::kLimited, SLUICE_RANGE_LIMITED));
static_assert(Same(media::Range::kFull, SLUICE_RANGE_FULL));
static_assert(Same(media::Primaries::kBt709, SLUICE_PRIMARIES_BT709));
static_assert(Same(media::Primaries::kBt601_525, SLUICE_PRIMARIES_BT601_525));
static_assert(Same(media::Primaries::kBt601_625, SLUICE_PRIMARIES_BT601_625));
static_assert(Same(media::Primaries::kBt2020, SLUICE_PRIMARIES_BT2020));
static_assert(Same(media::Transfer::kBt709, SLUICE_TRANSFER_BT709));
static_assert(Same(media::Transfer::kSrgb, SLUICE_TRANSFER_SRGB));
static_assert(Same(media::Transfer::kLinear, SLUICE_TRANSFER_LINEAR));
static_assert(Same(media::Transfer::kPq, SLUICE_TRANSFER_PQ));
static_assert(Same(media::Transfer::kHlg, SLUICE_TRANSFER_HLG));
static_assert(Same(media::Transfer::kGamma22, SLUICE_TRANSFER_GAMMA22));
static_assert(Same(media::Transfer::kGamma28, SLUICE_TRANSFER_GAMMA28));
static_assert(Same(media::Siting::kLeft, SLUICE_SITING_LEFT));
static_assert(Same(media::Siting::kCenter, SLUICE_SITING_CENTER));
static_assert(Same(media::Siting::kTopLeft, SLUICE_SITING_TOP_LEFT));

static_assert(Same(media::kViewDmabuf, SLUICE_VIEW_DMABUF));
static_assert(Same(media::kViewShm, SLUICE_VIEW_SHM));
static_assert(Same(media::kViewDevice, SLUICE_VIEW_DEVICE));
static_assert(Same(media::kViewCpu, SLUICE_VIEW_CPU));

static_assert(Same(graph::kSyncCpuDone, SLUICE_SYNC_CPU_DONE));
static_assert(Same(graph::kSyncImplicit, SLUICE_SYNC_IMPLICIT));
static_assert(Same(graph::kSyncSyncFile, SLUICE_SYNC_SYNC_FILE));
static_assert(Same(graph::kSyncSyncobj, SLUICE_SYNC_SYNCOBJ));
static_assert(Same(graph::kSyncTimeline, SLUICE_SYNC_TIMELINE));

static_assert(Same(graph::kColorFieldPrimaries, SLUICE_COLOR_FIELD_PRIMARIES));
static_assert(Same(graph::kColorFieldTransfer, SLUICE_COLOR_FIELD_TRANSFER));
static_assert(Same(graph::kColorFieldMatrix, SLUICE_COLOR_FIELD_MATRIX));
static_assert(Same(graph::kColorFieldRange, SLUICE_COLOR_FIELD_RANGE));
static_assert(Same(graph::kColorFieldSiting, SLUICE_COLOR_FIELD_SITING));

static_assert(Same(graph::ParamType::kString, SLUICE_VALUE_STRING));
static_assert(Same(graph::ParamType::kInt, SLUICE_VALUE_INT));
static_assert(Same(graph::ParamType::kFloat, SLUICE_VALUE_FLOAT));
static_assert(Same(graph::ParamType::kBool, SLUICE_VALUE_BOOL));
static_assert(Same(graph::ParamType::kSize, SLUICE_VALUE_SIZE));
static_assert(Same(graph::ParamType::kRate, SLUICE_VALUE_RATE));
static_assert(Same(graph::ParamType::kDuration, SLUICE_VALUE_DURATION));
static_assert(Same(graph::ParamType::kEnum, SLUICE_VALUE_ENUM));
static_assert(Same(graph::ParamType::kPath, SLUICE_VALUE_PATH));
static_assert(Same(graph::ParamType::kMap, SLUICE_VALUE_MAP));
static_assert(Same(graph::Direction::kInput, SLUICE_PORT_INPUT));
static_assert(Same(graph::Direction::kOutput, SLUICE_PORT_OUTPUT));

}  // namespace

Code CodeFromAbi(int32_t result) {
  const bool defined = result <= SLUICE_E_INVALID_ARGUMENT && result >= SLUICE_E_WOULD_BLOCK;
  return defined ? static_cast<Code>(result) : Code::kInternal;
}

}  // namespace sluice::plugin
