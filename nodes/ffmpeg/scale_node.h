#ifndef NODES_FFMPEG_SCALE_NODE_H_
#define NODES_FFMPEG_SCALE_NODE_H_

#include <sluice/node.hpp>

#include "nodes/ffmpeg/swscaler.h"

namespace sluice::ffmpeg {

/// What ffmpeg.convert and ffmpeg.scale do: one counted pass of swscale from the input's format to
/// the output's.
class Conversion {
 public:
  sdk::Status Configure(const sdk::Configuration& configuration);
  sdk::Expected<sdk::Process> Process(const sdk::NodeContext& context, sdk::Invocation& invocation);

 private:
  SwScaler scaler_;
  sluice_format in_{};
  sluice_format out_{};
  std::string reason_;
};

/// ffmpeg.convert: pixel format and colour encoding; the size stays.
class ConvertNode : public sdk::Node<ConvertNode> {
 public:
  static constexpr const char* kType = "ffmpeg.convert";
  ConvertNode(const sdk::NodeContext& context, const sdk::Params&) : Node(context) {}
  sdk::Status Configure(const sdk::Configuration& c) { return conversion_.Configure(c); }
  sdk::Status Reconfigure(const sdk::Configuration& c) { return conversion_.Configure(c); }
  sdk::Expected<sdk::Process> Process(sdk::Invocation& invocation) {
    return conversion_.Process(context(), invocation);
  }

 private:
  Conversion conversion_;
};

/// ffmpeg.scale: the same to a size of its own.
class ScaleNode : public sdk::Node<ScaleNode> {
 public:
  static constexpr const char* kType = "ffmpeg.scale";
  ScaleNode(const sdk::NodeContext& context, const sdk::Params&) : Node(context) {}
  sdk::Status Configure(const sdk::Configuration& c) { return conversion_.Configure(c); }
  sdk::Status Reconfigure(const sdk::Configuration& c) { return conversion_.Configure(c); }
  sdk::Expected<sdk::Process> Process(sdk::Invocation& invocation) {
    return conversion_.Process(context(), invocation);
  }

 private:
  Conversion conversion_;
};

}  // namespace sluice::ffmpeg

#endif  // NODES_FFMPEG_SCALE_NODE_H_
