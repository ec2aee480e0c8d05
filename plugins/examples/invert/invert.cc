// A filter in C++. Read it from the bottom up.

#include <atomic>
#include <cstring>

#include <sluice/sdk.hpp>

namespace {

namespace sdk = sluice::sdk;

constexpr uint32_t kIn = 0, kOut = 0;  // ports, in the order of the manifest

class Invert : public sdk::Node<Invert> {
 public:
  static constexpr const char* kType = "example.invert";

  Invert(sdk::NodeContext context, const sdk::Params& params)
      : Node(context), amount_(params.Float("amount", 1)) {}

  // 2. The formats are fixed for one epoch. The manifest's ties have made both ports alike.
  sdk::Status Configure(const sdk::Configuration& configuration) {
    const auto in = configuration.Port("in");
    const auto out = configuration.Port("out");
    if (!in.ok()) return in.status();
    if (!out.ok()) return out.status();
    const sluice_format& format = (*in)->format;
    if (format.fourcc != (*out)->format.fourcc || format.width != (*out)->format.width ||
        format.height != (*out)->format.height) {
      return sdk::Status::Error(SLUICE_E_UNSUPPORTED, "in and out must be alike");
    }
    switch (format.fourcc) {
      case SLUICE_FORMAT_R8:
        pixel_bytes_ = 1;
        break;
      case SLUICE_FORMAT_AB24:
      case SLUICE_FORMAT_XB24:
      case SLUICE_FORMAT_AR24:
      case SLUICE_FORMAT_XR24:
        pixel_bytes_ = 4;
        break;
      default:
        return sdk::Status::Error(SLUICE_E_UNSUPPORTED, "in: neither RGB nor grey");
    }
    format_ = format;
    return {};
  }

  // 3. One frame in, one out. Called by one thread at a time, when the frame may be read and a
  // buffer is reserved.
  sdk::Expected<sdk::Process> Process(sdk::Invocation& invocation) {
    sdk::Frame in = invocation.TakeInput(kIn);
    const sdk::FrameRef out = invocation.Output(kOut);
    if (!in || !out) return sdk::Process::kNeedMore;
    {
      sdk::Expected<sdk::Mapping> source = in.Map(SLUICE_MAP_READ);
      sdk::Expected<sdk::Mapping> target = out.Map(SLUICE_MAP_WRITE);
      if (!source.ok()) return source.status();
      if (!target.ok()) return target.status();
      const auto weight = static_cast<int>(amount_.load(std::memory_order_relaxed) * 256 + 0.5);
      for (uint32_t y = 0; y < format_.height; ++y) {
        InvertRow(source->Row(0, y), target->Row(0, y), weight);
      }
    }                            // unmapped before it is emitted
    *out.InfoMut() = in.Info();  // time, sequence and the rest travel on
    const sdk::Status status = context().EmitReserved(kOut, out);
    if (!status.ok()) return status;
    return sdk::Process::kDone;
  }  // `in` gives its lease back here

  // 4. `change: running` in the manifest. From any thread.
  sdk::Status SetParam(const sluice_param& param) {
    if (std::strcmp(param.name, "amount") != 0) return sdk::Status(SLUICE_E_NOT_FOUND);
    amount_.store(param.f, std::memory_order_relaxed);
    return {};
  }

 private:
  void InvertRow(const uint8_t* from, uint8_t* to, int weight) const {
    const uint64_t size = uint64_t{format_.width} * pixel_bytes_;
    for (uint64_t i = 0; i < size; ++i) {
      const bool alpha = pixel_bytes_ == 4 && i % 4 == 3;
      const int value = from[i];
      to[i] = static_cast<uint8_t>(alpha ? value : value + ((255 - 2 * value) * weight) / 256);
    }
  }

  std::atomic<double> amount_;
  sluice_format format_{};
  uint32_t pixel_bytes_ = 4;
};

}  // namespace

// 1. The plugin's one symbol. The manifest declares the same node types.
SLUICE_EXPORT_PLUGIN(Invert);
