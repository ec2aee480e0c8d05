// What media programs did before dma-bufs: each picture goes through plain memory, by the CPU.

#include <cstring>

#include <sluice/sdk.hpp>

namespace {

namespace sdk = sluice::sdk;

constexpr uint32_t kIn = 0, kOut = 0;
constexpr uint64_t kPixelBytes = 4;  // all formats of the manifest

class Copy : public sdk::Node<Copy> {
 public:
  static constexpr const char* kType = "bench.copy";

  Copy(sdk::NodeContext context, const sdk::Params&) : Node(context) {}

  sdk::Status Configure(const sdk::Configuration& configuration) {
    const auto in = configuration.Port("in");
    if (!in.ok()) return in.status();
    row_bytes_ = (*in)->format.width * kPixelBytes;
    rows_ = (*in)->format.height;
    return {};
  }

  sdk::Expected<sdk::Process> Process(sdk::Invocation& invocation) {
    const sdk::Frame in = invocation.TakeInput(kIn);
    const sdk::FrameRef out = invocation.Output(kOut);
    if (!in || !out) return sdk::Process::kNeedMore;
    {
      const sdk::Expected<sdk::Mapping> source = in.Map(SLUICE_MAP_READ);
      const sdk::Expected<sdk::Mapping> target = out.Map(SLUICE_MAP_WRITE);
      if (!source.ok()) return source.status();
      if (!target.ok()) return target.status();
      CopyRows(*source, *target);
    }  // unmapped before it is emitted
    context().CountCopy("out", row_bytes_ * rows_, "copied by the CPU, as the node is for");
    *out.InfoMut() = in.Info();
    const sdk::Status status = context().EmitReserved(kOut, out);
    if (!status.ok()) return status;
    return sdk::Process::kDone;
  }

 private:
  void CopyRows(const sdk::Mapping& source, const sdk::Mapping& target) const {
    if (source.stride(0) == row_bytes_ && target.stride(0) == row_bytes_) {
      std::memcpy(target.plane(0), source.plane(0), row_bytes_ * rows_);
      return;
    }
    for (uint64_t row = 0; row < rows_; ++row) {
      std::memcpy(target.Row(0, row), source.Row(0, row), row_bytes_);
    }
  }

  uint64_t row_bytes_ = 0;
  uint64_t rows_ = 0;
};

}  // namespace

SLUICE_EXPORT_PLUGIN(Copy);
