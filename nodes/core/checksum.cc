#include "nodes/core/checksum.h"

#include <array>
#include <cinttypes>
#include <cstdio>
#include <utility>

#include "nodes/core/crc32.h"
#include "nodes/core/pixels.h"

namespace sluice::core {

sdk::Status Checksum::Configure(const sdk::Configuration& configuration) {
  const sdk::Expected<const sluice_port_config*> port = configuration.Port("in");
  if (!port.ok()) return port.status();
  const sluice_format& format = (*port)->format;
  if (PlanesOf(format.fourcc).empty() || format.modifier != SLUICE_MODIFIER_LINEAR) {
    return sdk::Status::Error(SLUICE_E_UNSUPPORTED, "in: the format cannot be read");
  }
  passes_on_ = configuration.Find("out") != nullptr;
  replace_ = overwrite_ || configuration.overwrite();
  return {};
}

sdk::Status Checksum::Reconfigure(const sdk::Configuration& configuration) {
  return Configure(configuration);
}

sdk::Status Checksum::Start() {
  frames_ = 0;
  total_ = 0;
  finished_ = false;
  return path_.empty() ? sdk::Status() : file_.Open(path_, replace_);
}

sdk::Expected<sdk::Process> Checksum::Process(sdk::Invocation& invocation) {
  sdk::Frame frame = invocation.TakeInput(0);
  if (frame) {
    if (sdk::Status status = Write(frame); !status.ok()) return status;
    if (passes_on_) {
      if (sdk::Status status = context().Emit(0, std::move(frame)); !status.ok()) return status;
    }
    return sdk::Process::kDone;
  }
  if (!invocation.draining()) return sdk::Process::kNeedMore;
  if (sdk::Status status = Finish(); !status.ok()) return status;
  return sdk::Process::kEnd;
}

sdk::Status Checksum::Write(const sdk::FrameRef& frame) {
  const sluice_frame_info& info = frame.Info();
  uint32_t sum = 0;
  {
    sdk::Expected<sdk::Mapping> mapping = frame.Map(SLUICE_MAP_READ);
    if (!mapping.ok()) return mapping.status();
    sum = PixelChecksum(*mapping, frame.Format(), info);
  }
  ++frames_;
  const std::array<uint8_t, 4> bytes{static_cast<uint8_t>(sum), static_cast<uint8_t>(sum >> 8),
                                     static_cast<uint8_t>(sum >> 16),
                                     static_cast<uint8_t>(sum >> 24)};
  total_ = Crc32(total_, bytes.data(), bytes.size());
  if (!file_.is_open()) return {};
  std::array<char, 80> line;
  const int size =
      info.pts_ns == SLUICE_PTS_NONE
          ? std::snprintf(line.data(), line.size(), "%" PRIu64 " none %08" PRIx32 "\n",
                          info.sequence, sum)
          : std::snprintf(line.data(), line.size(), "%" PRIu64 " %" PRId64 " %08" PRIx32 "\n",
                          info.sequence, info.pts_ns, sum);
  return file_.Append({line.data(), static_cast<std::size_t>(size)});
}

sdk::Status Checksum::Finish() {
  finished_ = true;
  context().Note(
      sdk::Format("checksum of %" PRIu64 " frames: %08" PRIx32, frames_, total_).c_str());
  return file_.is_open() ? file_.Commit() : sdk::Status();
}

void Checksum::Stop(int64_t /*deadline_ns*/, bool completed) {
  // A file that nobody finished is not whole.
  if (completed && !finished_) context().Log(SLUICE_LOG_WARNING, "stopped without a drain");
  file_.Discard();
}

}  // namespace sluice::core
