#include "nodes/ffmpeg/libav.h"

#include <array>
#include <cmath>
#include <cstdarg>
#include <map>
#include <mutex>
#include <thread>

namespace sluice::ffmpeg {
namespace {

// libav has one log callback for the process.
struct LogState {
  std::mutex mutex;
  sdk::Host host;
  bool logging = false;
  std::map<std::thread::id, std::string> last_lines;
};

LogState& Log() {
  // Never destroyed: codec threads may write until the process ends.
  static auto* state = new LogState;
  return *state;
}

int32_t HostLevel(int level) {
  if (level <= AV_LOG_ERROR) return SLUICE_LOG_WARNING;
  if (level <= AV_LOG_WARNING) return SLUICE_LOG_INFO;
  return SLUICE_LOG_DEBUG;
}

void OnLog(void* object, int level, const char* format, va_list args) {
  if (level > AV_LOG_INFO) return;
  char text[512];
  int print_prefix = 1;
  av_log_format_line2(object, level, format, args, text, sizeof(text), &print_prefix);
  std::string line(text);
  while (!line.empty() && (line.back() == '\n' || line.back() == '\r')) line.pop_back();
  if (line.empty()) return;
  LogState& state = Log();
  sdk::Host host;
  {
    const std::lock_guard lock(state.mutex);
    if (level <= AV_LOG_ERROR) {
      const auto found = state.last_lines.find(std::this_thread::get_id());
      if (found != state.last_lines.end()) found->second = line;
    }
    if (!state.logging) return;
    host = state.host;
  }
  host.Log(HostLevel(level), "libav", "%s", line.c_str());
}

}  // namespace

void IoDeleter::operator()(AVIOContext* context) const {
  if (context == nullptr) return;
  // The buffer may have been replaced since it was given: the context knows.
  av_freep(&context->buffer);
  avio_context_free(&context);
}

std::string ErrorText(int result) {
  std::array<char, AV_ERROR_MAX_STRING_SIZE> text{};
  av_strerror(result, text.data(), text.size());
  return text.data();
}

int32_t ErrorCode(int result) {
  switch (result) {
    case AVERROR(ENOENT):
    case AVERROR_STREAM_NOT_FOUND:
      return SLUICE_E_NOT_FOUND;
    case AVERROR(EACCES):
    case AVERROR(EPERM):
      return SLUICE_E_PERMISSION_DENIED;
    case AVERROR(ENOMEM):
      return SLUICE_E_RESOURCE_EXHAUSTED;
    case AVERROR(EINVAL):
    case AVERROR_OPTION_NOT_FOUND:
      return SLUICE_E_INVALID_ARGUMENT;
    case AVERROR_PATCHWELCOME:
    case AVERROR_DECODER_NOT_FOUND:
    case AVERROR_ENCODER_NOT_FOUND:
    case AVERROR_PROTOCOL_NOT_FOUND:
      return SLUICE_E_UNSUPPORTED;
    default:
      return SLUICE_E_IO;
  }
}

void StartLogging(const sdk::Host& host) {
  LogState& state = Log();
  {
    const std::lock_guard lock(state.mutex);
    state.host = host;
    state.logging = true;
  }
  av_log_set_callback(OnLog);
}

void StopLogging() {
  av_log_set_callback(av_log_default_callback);
  LogState& state = Log();
  const std::lock_guard lock(state.mutex);
  state.logging = false;
  state.host = sdk::Host();
}

LastLogLine::LastLogLine() {
  LogState& state = Log();
  const std::lock_guard lock(state.mutex);
  state.last_lines[std::this_thread::get_id()].clear();
}

LastLogLine::~LastLogLine() {
  LogState& state = Log();
  const std::lock_guard lock(state.mutex);
  state.last_lines.erase(std::this_thread::get_id());
}

std::string LastLogLine::Or(int result) const {
  LogState& state = Log();
  {
    const std::lock_guard lock(state.mutex);
    const auto found = state.last_lines.find(std::this_thread::get_id());
    if (found != state.last_lines.end() && !found->second.empty()) return found->second;
  }
  return ErrorText(result);
}

AVRational ToRational(sluice_rate rate) {
  return {static_cast<int>(rate.numerator), static_cast<int>(rate.denominator)};
}

Rotation ReadDisplayMatrix(const int32_t* matrix) {
  if (matrix == nullptr) return {};
  const auto value = [matrix](int index) { return static_cast<double>(matrix[index]); };
  const double determinant = value(0) * value(4) - value(1) * value(3);
  if (determinant == 0) return {0, false};
  Rotation rotation;
  rotation.mirrored = determinant < 0;
  // The second column is that of the turn alone, as the mirror exchanges left and right behind it.
  const double degrees = rotation.mirrored ? std::atan2(value(1), value(4)) * 180 / M_PI
                                           : -av_display_rotation_get(matrix);
  const auto quarter = static_cast<int32_t>(std::lround(degrees / 90.0));
  rotation.degrees = ((quarter % 4 + 4) % 4) * 90;
  rotation.exact = std::abs(degrees - 90.0 * quarter) < 0.5;
  return rotation;
}

void WriteDisplayMatrix(int32_t rotation_degrees, bool mirrored, int32_t matrix[9]) {
  av_display_rotation_set(matrix, rotation_degrees);
  if (mirrored) av_display_matrix_flip(matrix, 1, 0);
}

}  // namespace sluice::ffmpeg
