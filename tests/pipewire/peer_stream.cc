#include "tests/pipewire/peer_stream.h"

#include <signal.h>
#include <spa/param/buffers.h>
#include <spa/pod/builder.h>

#include <cstdio>
#include <ctime>

namespace sluice::testing {
namespace {

timespec FromNs(uint64_t ns) {
  return {static_cast<time_t>(ns / 1'000'000'000), static_cast<long>(ns % 1'000'000'000)};
}

}  // namespace

PeerStream::PeerStream(const PeerOptions& options, pw_direction direction)
    : options_(options), direction_(direction) {
  pw_init(nullptr, nullptr);
  loop_ = pw_main_loop_new(nullptr);
}

PeerStream::~PeerStream() {
  if (loop_) pw_main_loop_destroy(loop_);
  pw_deinit();
}

bool PeerStream::IsEmpty(const pw_buffer& buffer) {
  const auto* header = static_cast<const spa_meta_header*>(
      spa_buffer_find_meta_data(buffer.buffer, SPA_META_Header, sizeof(spa_meta_header)));
  const spa_chunk& chunk = *buffer.buffer->datas[0].chunk;
  return header && (header->flags & SPA_META_HEADER_FLAG_CORRUPTED) != 0 &&
         (chunk.flags & SPA_CHUNK_FLAG_CORRUPTED) != 0 && chunk.size == 0;
}

uint64_t PeerStream::Now() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

void PeerStream::Say(nlohmann::json line) {
  std::printf("%s\n", line.dump().c_str());
  std::fflush(stdout);
}

void PeerStream::End(const std::string& reason, PeerExit status) {
  if (end_.empty()) {
    end_ = reason;
    status_ = status;
  }
  pw_main_loop_quit(loop_);
}

void PeerStream::SetTimer(uint64_t ns, uint64_t every_ns) {
  timespec first = FromNs(ns);
  timespec interval = FromNs(every_ns);
  pw_loop_update_timer(pw_main_loop_get_loop(loop_), timer_, &first, &interval, false);
}

void PeerStream::SetAlarm(uint64_t ns) {
  timespec when = FromNs(ns);
  pw_loop_update_timer(pw_main_loop_get_loop(loop_), alarm_, &when, nullptr, false);
}

void PeerStream::AnnounceBuffers(const BuffersWanted& wanted) {
  uint8_t space[2048];
  spa_pod_builder builder = SPA_POD_BUILDER_INIT(space, sizeof(space));
  std::vector<const spa_pod*> params;
  const auto add_buffers = [&](uint32_t more_blocks, int metas) {
    spa_pod_frame frame;
    spa_pod_builder_push_object(&builder, &frame, SPA_TYPE_OBJECT_ParamBuffers, SPA_PARAM_Buffers);
    spa_pod_builder_add(&builder, SPA_PARAM_BUFFERS_buffers,
                        SPA_POD_CHOICE_RANGE_Int(wanted.count, wanted.least, wanted.most),
                        SPA_PARAM_BUFFERS_dataType, SPA_POD_CHOICE_FLAGS_Int(wanted.types), 0);
    if (wanted.blocks > 0) {
      spa_pod_builder_add(&builder, SPA_PARAM_BUFFERS_blocks,
                          SPA_POD_Int(static_cast<int>(wanted.blocks + more_blocks)), 0);
    }
    if (wanted.bytes > 0) {
      spa_pod_builder_add(&builder, SPA_PARAM_BUFFERS_size,
                          SPA_POD_Int(static_cast<int>(wanted.bytes)), 0);
    }
    if (wanted.stride > 0) {
      spa_pod_builder_add(&builder, SPA_PARAM_BUFFERS_stride,
                          SPA_POD_Int(static_cast<int>(wanted.stride)), 0);
    }
    if (metas) {
      // The two last blocks are syncobjs: who does not know of it must not get them.
      spa_pod_builder_prop(&builder, kBuffersMetaType, SPA_POD_PROP_FLAG_MANDATORY);
      spa_pod_builder_int(&builder, metas);
    }
    params.push_back(static_cast<const spa_pod*>(spa_pod_builder_pop(&builder, &frame)));
  };
  const auto add_meta = [&](uint32_t type, size_t size) {
    params.push_back(static_cast<const spa_pod*>(spa_pod_builder_add_object(
        &builder, SPA_TYPE_OBJECT_ParamMeta, SPA_PARAM_Meta, SPA_PARAM_META_type, SPA_POD_Id(type),
        SPA_PARAM_META_size, SPA_POD_Int(static_cast<int>(size)))));
  };
  if (sync_device_) {
    add_buffers(2, 1 << kMetaSyncTimeline);
    add_meta(kMetaSyncTimeline, sizeof(SyncPoints));
  }
  add_buffers(0, 0);
  add_meta(SPA_META_Header, sizeof(spa_meta_header));
  pw_stream_update_params(stream_, params.data(), static_cast<uint32_t>(params.size()));
}

const pw_stream_events& PeerStream::Events() {
  static const pw_stream_events events = [] {
    pw_stream_events made{};
    made.version = PW_VERSION_STREAM_EVENTS;
    made.state_changed = [](void* data, pw_stream_state, pw_stream_state state, const char* error) {
      static_cast<PeerStream*>(data)->StateChanged(state, error);
    };
    made.param_changed = [](void* data, uint32_t id, const spa_pod* pod) {
      if (id == SPA_PARAM_Format) static_cast<PeerStream*>(data)->OnFormat(pod);
    };
    made.add_buffer = [](void* data, pw_buffer* buffer) {
      static_cast<PeerStream*>(data)->AddBuffer(buffer);
    };
    made.remove_buffer = [](void* data, pw_buffer* buffer) {
      static_cast<PeerStream*>(data)->RemoveBuffer(buffer);
    };
    made.process = [](void* data) { static_cast<PeerStream*>(data)->OnProcess(); };
    made.trigger_done = [](void* data) { static_cast<PeerStream*>(data)->OnTriggerDone(); };
    return made;
  }();
  return events;
}

void PeerStream::StateChanged(pw_stream_state state, const char* error) {
  nlohmann::json line{{"event", "state"}, {"state", pw_stream_state_as_string(state)}};
  if (error) line["error"] = error;
  if (state != PW_STREAM_STATE_UNCONNECTED) line["node"] = pw_stream_get_node_id(stream_);
  Say(line);
  OnState(state);
  if (state == PW_STREAM_STATE_ERROR) End(error ? error : "error", kPeerFailed);
  if (state == PW_STREAM_STATE_UNCONNECTED) End("disconnected", kPeerFailed);
}

void PeerStream::AddBuffer(pw_buffer* buffer) {
  auto* made = new Buffer{.buffer = buffer};
  buffer->user_data = made;
  made->points = static_cast<SyncPoints*>(
      spa_buffer_find_meta_data(buffer->buffer, kMetaSyncTimeline, sizeof(SyncPoints)));
  OnBuffer(*made);
  for (uint32_t i = 0; i < made->planes(); ++i) {
    const spa_data& data = buffer->buffer->datas[i];
    auto map = BlockMap::Map(data, writable());
    nlohmann::json line{{"event", "buffer"},
                        {"block", i},
                        {"type", MemoryTypeName(data.type)},
                        {"size", data.maxsize},
                        {"empty", IsEmpty(*buffer)}};
    if (map) {
      line["inode"] = map->inode();
      line["dmabuf"] = map->dmabuf();
      made->blocks.push_back(std::move(*map));
    } else {
      line["problem"] = made->problem = map.error().ToString();
    }
    Say(line);
  }
}

void PeerStream::RemoveBuffer(pw_buffer* buffer) {
  Buffer* made = Of(buffer);
  if (!made) return;
  OnBufferGone(*made);
  buffer->user_data = nullptr;
  delete made;
}

int PeerStream::Run(pw_properties* properties, uint32_t flags,
                    const std::vector<const spa_pod*>& offers) {
  pw_loop* loop = pw_main_loop_get_loop(loop_);
  for (const int number : {SIGTERM, SIGINT}) {
    pw_loop_add_signal(
        loop, number,
        [](void* data, int) { static_cast<PeerStream*>(data)->End("signal", kPeerGood); }, this);
  }
  timer_ = pw_loop_add_timer(
      loop, [](void* data, uint64_t) { static_cast<PeerStream*>(data)->OnTimer(); }, this);
  alarm_ = pw_loop_add_timer(
      loop, [](void* data, uint64_t) { static_cast<PeerStream*>(data)->OnAlarm(); }, this);
  if (options_.sync_timeline) {
    auto device = SyncDevice::Open();
    if (device) sync_device_ = std::move(*device);
    if (!device) End(device.error().message, kPeerFailed);
  }
  if (options_.deadline_ms > 0) {
    spa_source* deadline = pw_loop_add_timer(
        loop,
        [](void* data, uint64_t) {
          static_cast<PeerStream*>(data)->End("deadline", kPeerDeadline);
        },
        this);
    timespec when = FromNs(static_cast<uint64_t>(options_.deadline_ms) * 1'000'000);
    pw_loop_update_timer(loop, deadline, &when, nullptr, false);
  }
  stream_ = pw_stream_new_simple(loop, options_.name.c_str(), properties, &Events(), this);
  std::vector<const spa_pod*> pods = offers;
  if (!end_.empty()) {
    // It has failed already.
  } else if (!stream_) {
    End("no stream", kPeerFailed);
  } else if (const int result = pw_stream_connect(stream_, direction_, PW_ID_ANY,
                                                  static_cast<pw_stream_flags>(flags), pods.data(),
                                                  static_cast<uint32_t>(pods.size()));
             result < 0) {
    End("no connection: " + std::string(std::strerror(-result)), kPeerFailed);
  } else {
    pw_main_loop_run(loop_);
  }
  nlohmann::json summary = Summary();
  summary["end"] = end_;
  if (status_ == kPeerGood && !FramesAreGood()) status_ = kPeerBadFrames;
  // Its buffers go first: they call back into this object.
  if (stream_) pw_stream_destroy(stream_);
  stream_ = nullptr;
  Say(summary);
  return status_;
}

}  // namespace sluice::testing
