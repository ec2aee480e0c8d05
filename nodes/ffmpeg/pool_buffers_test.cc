#include "nodes/ffmpeg/pool_buffers.h"

#include "nodes/ffmpeg/decoder.h"
#include "nodes/ffmpeg/demuxer.h"
#include "nodes/ffmpeg/testing.h"

namespace sluice::ffmpeg::testing {
namespace {

/// The dynamic port of a fake host, without a node.
class PoolPort : public st::NodeEvents {
 public:
  void MakePool(const sluice_format& format, const sluice_layout& layout, uint32_t count) {
    pool_ = &host_.MakePool(format, layout, count);
  }
  sdk::NodeContext context() { return {host_.host(), c()}; }
  st::FakeHost& host() { return host_; }
  st::FakePool& pool() { return *pool_; }

  const char* Name() override { return "port"; }
  int32_t Offer(const char*, const sluice_offer&) override { return SLUICE_OK; }
  int32_t Emit(uint32_t, st::FakeFrame*, const sluice_fence*) override { return SLUICE_OK; }
  int32_t Acquire(uint32_t, sluice_frame** out) override {
    const std::lock_guard lock(host_.mutex());
    st::FakeFrame* frame = pool_->TakeBuffer(st::Holder::kNode);
    if (frame == nullptr) return SLUICE_E_WOULD_BLOCK;
    frame->by_node = true;
    *out = frame->c();
    return SLUICE_OK;
  }
  void Complete(uint64_t, int32_t) override {}
  void Wake() override {}
  void WakeAt(int64_t) override {}
  int32_t RequestRenegotiate(uint32_t) override { return SLUICE_OK; }
  void SetError(int32_t, const char*) override {}
  void CountCopy(const char*, uint64_t, const char*) override {}
  void CountDrop(const char*, uint64_t, const char*) override {}
  void Note(const char*) override {}
  void Progress(uint64_t, uint64_t) override {}
  void Log(int32_t, const char*) override {}
  void* Domain() override { return nullptr; }

 private:
  st::FakeHost host_;
  st::FakePool* pool_ = nullptr;
};

/// Decodes all of the phone clip into a pool with this layout; calls `see` for each picture.
template <class See>
void DecodePhoneClip(PoolPort& port, const sluice_layout& layout, See see) {
  auto demuxer = Demuxer::Open({kPhoneClip, -1, 0});
  ASSERT_TRUE(demuxer.ok());
  sluice_format format = st::MakeFormat(SLUICE_FORMAT_YU12, 1920, 1080);
  port.MakePool(format, layout, 24);
  PoolBuffers buffers(port.context(), 0);
  auto decoder =
      OpenDecoder(*(*demuxer)->stream().codecpar, (*demuxer)->stream().time_base, 4, &buffers);
  ASSERT_TRUE(decoder.ok());
  const PacketPtr packet(av_packet_alloc());
  const FramePtr frame(av_frame_alloc());
  bool ended = false;
  int pictures = 0;
  while (true) {
    const int result = avcodec_receive_frame(decoder->get(), frame.get());
    if (result == AVERROR_EOF) break;
    if (result == AVERROR(EAGAIN)) {
      ASSERT_FALSE(ended);
      ended = (*demuxer)->Read(packet.get()) < 0;
      avcodec_send_packet(decoder->get(), ended ? nullptr : packet.get());
      av_packet_unref(packet.get());
      continue;
    }
    ASSERT_EQ(result, 0);
    ++pictures;
    see(buffers, *frame);
  }
  EXPECT_EQ(pictures, 41);
}

sluice_layout DecoderSizedLayout() {
  sluice_offer offer{};
  offer.width_multiple = 1;
  offer.height_multiple = 16;
  offer.stride_multiple = offer.offset_multiple = 64;
  offer.tail_bytes = 16384;
  return LayoutOf(st::MakeFormat(SLUICE_FORMAT_YU12, 1920, 1080), offer);
}

TEST(PoolBuffersTest, TheDecodersPointersLieInThePoolsMappings) {
  PoolPort port;
  DecodePhoneClip(port, DecoderSizedLayout(), [&](PoolBuffers& buffers, const AVFrame& frame) {
    for (int plane = 0; plane < 3; ++plane) EXPECT_TRUE(port.pool().Contains(frame.data[plane]));
    // Nobody who asks libav first writes to what was given out.
    EXPECT_EQ(av_frame_is_writable(const_cast<AVFrame*>(&frame)), 0);
    EXPECT_TRUE(buffers.Share(frame));
  });
  EXPECT_EQ(port.host().LeasesOfNode(), 0u);
  EXPECT_TRUE(port.host().ledger().violations().empty());
}

TEST(PoolBuffersTest, DecodesElsewhereWhenTheLayoutHasNoRoomForWholeMacroblocks) {
  PoolPort port;
  const sluice_layout visible = st::MakeLayout(st::MakeFormat(SLUICE_FORMAT_YU12, 1920, 1080));
  DecodePhoneClip(port, visible, [&](PoolBuffers& buffers, const AVFrame& frame) {
    EXPECT_FALSE(port.pool().Contains(frame.data[0]));
    EXPECT_FALSE(buffers.Share(frame));
    EXPECT_EQ(buffers.Reason(frame), OwnMemory::kLayout);
  });
  EXPECT_EQ(port.host().LeasesOfNode(), 0u);
}

TEST(PoolBuffersTest, PicturesOfAnEarlierEpochAreNotShared) {
  PoolPort port;
  bool retired = false;
  DecodePhoneClip(port, DecoderSizedLayout(), [&](PoolBuffers& buffers, const AVFrame& frame) {
    if (std::exchange(retired, true)) return;
    buffers.Retire();
    EXPECT_FALSE(buffers.Share(frame));
    EXPECT_EQ(buffers.Reason(frame), OwnMemory::kEpoch);
  });
}

}  // namespace
}  // namespace sluice::ffmpeg::testing
