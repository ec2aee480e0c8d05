// A camera, "changing", whose picture has another size after every 40 frames: 64x48 and 128x96 in
// turn.

#include <pipewire/pipewire.h>
#include <spa/param/video/format-utils.h>

#include <cstring>

namespace {

constexpr uint64_t kFramesOfASize = 40;
constexpr long kIntervalNs = 16'000'000;

struct Camera {
  pw_main_loop* loop = nullptr;
  pw_stream* stream = nullptr;
  spa_source* timer = nullptr;
  uint32_t width = 64;
  uint32_t height = 48;
  uint64_t frames = 0;
};

Camera& From(void* data) { return *static_cast<Camera*>(data); }

const spa_pod* BuildFormat(spa_pod_builder& builder, const Camera& camera) {
  const spa_rectangle size = SPA_RECTANGLE(camera.width, camera.height);
  const spa_fraction rate = SPA_FRACTION(60, 1);
  return static_cast<const spa_pod*>(spa_pod_builder_add_object(
      &builder, SPA_TYPE_OBJECT_Format, SPA_PARAM_EnumFormat, SPA_FORMAT_mediaType,
      SPA_POD_Id(SPA_MEDIA_TYPE_video), SPA_FORMAT_mediaSubtype, SPA_POD_Id(SPA_MEDIA_SUBTYPE_raw),
      SPA_FORMAT_VIDEO_format, SPA_POD_Id(SPA_VIDEO_FORMAT_RGBA), SPA_FORMAT_VIDEO_size,
      SPA_POD_Rectangle(&size), SPA_FORMAT_VIDEO_framerate, SPA_POD_Fraction(&rate)));
}

void OnParam(void* data, uint32_t id, const spa_pod* param) {
  spa_video_info_raw agreed{};
  if (param == nullptr || id != SPA_PARAM_Format ||
      spa_format_video_raw_parse(param, &agreed) < 0) {
    return;
  }
  const auto stride = static_cast<int32_t>(agreed.size.width * 4);
  const int32_t bytes = stride * static_cast<int32_t>(agreed.size.height);
  uint8_t space[1024];
  spa_pod_builder builder = SPA_POD_BUILDER_INIT(space, sizeof(space));
  const auto* buffers = static_cast<const spa_pod*>(spa_pod_builder_add_object(
      &builder, SPA_TYPE_OBJECT_ParamBuffers, SPA_PARAM_Buffers, SPA_PARAM_BUFFERS_buffers,
      SPA_POD_CHOICE_RANGE_Int(4, 2, 16), SPA_PARAM_BUFFERS_blocks, SPA_POD_Int(1),
      SPA_PARAM_BUFFERS_size, SPA_POD_Int(bytes), SPA_PARAM_BUFFERS_stride, SPA_POD_Int(stride),
      SPA_PARAM_BUFFERS_dataType,
      SPA_POD_CHOICE_FLAGS_Int((1 << SPA_DATA_MemPtr) | (1 << SPA_DATA_MemFd))));
  pw_stream_update_params(From(data).stream, &buffers, 1);
}

void OnState(void* data, pw_stream_state, pw_stream_state state, const char*) {
  Camera& camera = From(data);
  timespec interval{0, state == PW_STREAM_STATE_STREAMING ? kIntervalNs : 0};
  pw_loop_update_timer(pw_main_loop_get_loop(camera.loop), camera.timer, &interval, &interval,
                       false);
}

void OnProcess(void* data) {
  Camera& camera = From(data);
  pw_buffer* buffer = pw_stream_dequeue_buffer(camera.stream);
  if (buffer == nullptr) return;
  spa_data& block = buffer->buffer->datas[0];
  if (block.data != nullptr) std::memset(block.data, 0x40, block.maxsize);
  block.chunk->offset = 0;
  block.chunk->size = block.maxsize;
  block.chunk->stride = static_cast<int32_t>(camera.width * 4);
  pw_stream_queue_buffer(camera.stream, buffer);
  if (++camera.frames % kFramesOfASize != 0) return;
  const bool large = camera.frames / kFramesOfASize % 2 == 1;
  camera.width = large ? 128 : 64;
  camera.height = large ? 96 : 48;
  uint8_t space[1024];
  spa_pod_builder builder = SPA_POD_BUILDER_INIT(space, sizeof(space));
  const spa_pod* format = BuildFormat(builder, camera);
  pw_stream_update_params(camera.stream, &format, 1);
}

void OnTimer(void* data, uint64_t) { pw_stream_trigger_process(From(data).stream); }

}  // namespace

int main() {
  pw_init(nullptr, nullptr);
  Camera camera;
  camera.loop = pw_main_loop_new(nullptr);
  pw_loop* loop = pw_main_loop_get_loop(camera.loop);
  pw_stream_events events{};
  events.version = PW_VERSION_STREAM_EVENTS;
  events.state_changed = OnState;
  events.param_changed = OnParam;
  events.process = OnProcess;
  camera.timer = pw_loop_add_timer(loop, OnTimer, &camera);
  camera.stream = pw_stream_new_simple(
      loop, "changing",
      pw_properties_new(PW_KEY_MEDIA_CLASS, "Video/Source", PW_KEY_NODE_NAME, "changing", nullptr),
      &events, &camera);
  uint8_t space[1024];
  spa_pod_builder builder = SPA_POD_BUILDER_INIT(space, sizeof(space));
  const spa_pod* format = BuildFormat(builder, camera);
  if (camera.stream == nullptr ||
      pw_stream_connect(
          camera.stream, PW_DIRECTION_OUTPUT, PW_ID_ANY,
          static_cast<pw_stream_flags>(PW_STREAM_FLAG_DRIVER | PW_STREAM_FLAG_MAP_BUFFERS), &format,
          1) < 0) {
    return 1;
  }
  pw_main_loop_run(camera.loop);
  return 0;
}
