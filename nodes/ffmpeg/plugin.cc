#include <sluice/plugin.hpp>

#include "nodes/ffmpeg/decode_node.h"
#include "nodes/ffmpeg/libav.h"
#include "nodes/ffmpeg/read_node.h"
#include "nodes/ffmpeg/scale_node.h"
#include "nodes/ffmpeg/write_node.h"

namespace {

using Plugin =
    sluice::sdk::internal::Plugin<sluice::ffmpeg::ReadNode, sluice::ffmpeg::DecodeNode,
                                  sluice::ffmpeg::WriteNode, sluice::ffmpeg::ConvertNode,
                                  sluice::ffmpeg::ScaleNode>;

int32_t Init(const sluice_host* host) noexcept {
  const int32_t code = Plugin::Init(host);
  if (code >= 0) sluice::ffmpeg::StartLogging(sluice::sdk::Host(host));
  return code;
}

void Deinit() noexcept {
  sluice::ffmpeg::StopLogging();
  Plugin::Deinit();
}

}  // namespace

// As SLUICE_EXPORT_PLUGIN, with libav's log connected in between.
SLUICE_PLUGIN_EXPORT constinit const sluice_entry sluice_plugin = {
    {SLUICE_ABI_MAJOR, SLUICE_ABI_MINOR}, SLUICE_MANIFEST_HASH, Init, Deinit, Plugin::GetFactory};
