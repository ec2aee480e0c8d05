#include "nodes/drm/writeback.h"

#include <algorithm>
#include <cstring>

#include "nodes/drm/formats.h"
#include "nodes/drm/modes.h"

namespace sluice::drm {
namespace {

constexpr uint32_t kOut = 0;
constexpr const char* kOutPort = "out";

}  // namespace

sdk::Expected<std::unique_ptr<Writeback>> Writeback::Create(sdk::NodeContext context,
                                                            const sdk::Params& params) {
  Options options;
  options.device = params.String("device", "auto");
  options.connector = params.String("connector", "auto");
  options.size = params.Size("size");
  const int64_t count = params.Int("count", 0);
  const int64_t every = params.Int("every", 1);
  if (count < 0 || every < 1) {
    return sdk::Status::Error(SLUICE_E_INVALID_ARGUMENT,
                              "count must not be negative, and every must be above 0");
  }
  options.count = static_cast<uint64_t>(count);
  options.every = static_cast<uint64_t>(every);
  options.lossless = params.Bool("lossless", false);
  return std::make_unique<Writeback>(context, std::move(options));
}

Writeback::~Writeback() { framebuffers_.Clear(); }

sdk::Status Writeback::OpenConnector() {
  if (card_ != nullptr && !card_->lost()) return {};
  framebuffers_.Clear();
  card_.reset();
  sdk::Expected<std::shared_ptr<Card>> card = Card::Open(options_.device);
  if (!card.ok()) return card.status();
  const int fd = (*card)->fd();
  const ResourcesPtr resources(drmModeGetResources(fd));
  for (int i = 0; resources != nullptr && i < resources->count_connectors; ++i) {
    const ConnectorPtr connector(drmModeGetConnector(fd, resources->connectors[i]));
    if (connector == nullptr || connector->connector_type != DRM_MODE_CONNECTOR_WRITEBACK) continue;
    const std::string name = ConnectorName(connector->connector_type, connector->connector_type_id);
    if (options_.connector != "auto" && options_.connector != name) continue;
    const Properties properties =
        Properties::Read(fd, connector->connector_id, DRM_MODE_OBJECT_CONNECTOR);
    connector_ = {connector->connector_id,
                  properties.Id("CRTC_ID"),
                  properties.Id("WRITEBACK_FB_ID"),
                  properties.Id("WRITEBACK_OUT_FENCE_PTR"),
                  options_.every,
                  options_.lossless};
    if (connector_.crtc_id == 0 || connector_.fb_id == 0 || connector_.out_fence == 0) continue;
    possible_crtcs_ = 0;
    for (int e = 0; e < connector->count_encoders; ++e) {
      const EncoderPtr encoder(drmModeGetEncoder(fd, connector->encoders[e]));
      if (encoder != nullptr) possible_crtcs_ |= encoder->possible_crtcs;
    }
    const std::vector<std::byte> blob =
        ReadBlob(fd, static_cast<uint32_t>(properties.Value("WRITEBACK_PIXEL_FORMATS")));
    std::vector<uint32_t> fourccs(blob.size() / sizeof(uint32_t));
    if (!fourccs.empty()) {
      std::memcpy(fourccs.data(), blob.data(), fourccs.size() * sizeof(uint32_t));
    }
    fourccs_.clear();
    for (const FormatGroup& group : GroupFormats(LinearFormats(fourccs))) {
      for (const uint32_t fourcc : group.fourccs) {
        // Written as it is named: a missing alpha cannot be left out here.
        if (std::find(fourccs.begin(), fourccs.end(), fourcc) != fourccs.end()) {
          fourccs_.push_back(fourcc);
        }
      }
    }
    connector_name_ = name;
    card_ = *std::move(card);
    return {};
  }
  return sdk::Status::Error(SLUICE_E_NOT_FOUND, "%s (%s) has no writeback connector%s%s",
                            (*card)->path().c_str(), (*card)->driver().c_str(),
                            options_.connector == "auto" ? "" : " ",
                            options_.connector == "auto" ? "" : options_.connector.c_str());
}

std::vector<sdk::Size> Writeback::Sizes() const {
  if (options_.size.width != 0) return {options_.size};
  for (const std::shared_ptr<Screen>& screen : card_->Screens()) {
    if ((possible_crtcs_ >> screen->crtc_index() & 1) == 0) continue;
    if (const auto mode = screen->mode()) return {{mode->hdisplay, mode->vdisplay}};
    return SizesOf(screen->modes());
  }
  const ResourcesPtr resources(drmModeGetResources(card_->fd()));
  for (int i = 0; resources != nullptr && i < resources->count_connectors; ++i) {
    const ConnectorPtr connector(drmModeGetConnector(card_->fd(), resources->connectors[i]));
    if (connector == nullptr || connector->connector_type == DRM_MODE_CONNECTOR_WRITEBACK ||
        connector->connection != DRM_MODE_CONNECTED || connector->count_modes <= 0) {
      continue;
    }
    return SizesOf({connector->modes, static_cast<std::size_t>(connector->count_modes)});
  }
  return {};
}

sdk::Status Writeback::Probe(sdk::OfferSink& offers) {
  if (sdk::Status status = OpenConnector(); !status.ok()) return status;
  if (fourccs_.empty()) {
    return sdk::Status::Error(SLUICE_E_UNSUPPORTED, "%s writes no format that is carried",
                              connector_name_.c_str());
  }
  for (const sdk::Size size : Sizes()) {
    sdk::OfferBuilder offer;
    for (const uint32_t fourcc : fourccs_) offer.Format(fourcc);
    offer.Views(SLUICE_VIEW_DMABUF)
        .Sync(SLUICE_SYNC_SYNC_FILE)
        .Size(size.width, size.height)
        .DynamicReserve(kReserve);
    if (sdk::Status status = offers.Add(kOutPort, offer); !status.ok()) return status;
  }
  return {};
}

sdk::Status Writeback::Configure(const sdk::Configuration& configuration) {
  const sdk::Expected<const sluice_port_config*> port = configuration.Port(kOutPort);
  if (!port.ok()) return port.status();
  if (sdk::Status status = OpenConnector(); !status.ok()) return status;
  const sluice_format& format = (*port)->format;
  if (format.modifier != SLUICE_MODIFIER_LINEAR ||
      std::find(fourccs_.begin(), fourccs_.end(), format.fourcc) == fourccs_.end()) {
    return sdk::Status::Error(SLUICE_E_UNSUPPORTED, "out: %s does not write %.4s",
                              connector_name_.c_str(),
                              reinterpret_cast<const char*>(&format.fourcc));
  }
  format_ = format;
  return {};
}

sdk::Status Writeback::TestImport(int32_t /*direction*/, uint32_t /*port*/, sdk::FrameRef frame) {
  const sdk::Expected<uint32_t> framebuffer =
      framebuffers_.Get(card_, context().host(), frame, format_.fourcc);
  return framebuffer.ok() ? sdk::Status() : framebuffer.status();
}

void Writeback::ForgetPool(uint32_t pool, uint32_t epoch) { framebuffers_.Forget(pool, epoch); }

sdk::Expected<std::shared_ptr<Screen>> Writeback::FindScreen() const {
  for (const std::shared_ptr<Screen>& screen : card_->Screens()) {
    if ((possible_crtcs_ >> screen->crtc_index() & 1) == 0) continue;
    const std::optional<drmModeModeInfo> mode = screen->mode();
    if (!mode) continue;
    if (mode->hdisplay == format_.width && mode->vdisplay == format_.height) return screen;
    return sdk::Status::Error(
        SLUICE_E_UNSUPPORTED,
        "%s shows %ux%u, but the pictures written back were planned as %ux%u: set `size`",
        screen->connector_name().c_str(), mode->hdisplay, mode->vdisplay, format_.width,
        format_.height);
  }
  return sdk::Status::Error(SLUICE_E_NOT_FOUND,
                            "%s: the graph has no drm.display on this card to take pictures of",
                            card_->path().c_str());
}

sdk::Status Writeback::Start() {
  emitted_ = 0;
  sdk::Expected<std::shared_ptr<Screen>> screen = FindScreen();
  if (!screen.ok()) return screen.status();
  if (sdk::Status status = (*screen)->AttachWriteback(connector_, this); !status.ok()) {
    return status;
  }
  screen_ = *std::move(screen);
  return {};
}

sdk::Status Writeback::OfferBuffers() {
  while (screen_->Targets() < kReserve) {
    sdk::Expected<sdk::Frame> frame = context().Acquire(kOut);
    if (!frame.ok()) {
      const int32_t code = frame.status().code();
      if (code == SLUICE_E_WOULD_BLOCK || code == SLUICE_E_CANCELLED) return {};
      return frame.status();
    }
    const sdk::Expected<uint32_t> framebuffer =
        framebuffers_.Get(card_, context().host(), *frame, format_.fourcc);
    if (!framebuffer.ok()) return framebuffer.status();
    screen_->OfferTarget({*framebuffer, *std::move(frame)});
  }
  return {};
}

sdk::Expected<sdk::Process> Writeback::Process(sdk::Invocation& /*invocation*/) {
  // Asked first: what was written before the end is still emitted.
  const bool ended = screen_->ended();
  Written written;
  while (screen_->TakeWritten(&written)) {
    const sdk::Fence fence =
        written.fence ? sdk::Fence::SyncFile(written.fence.get()) : sdk::Fence();
    if (sdk::Status status = context().Emit(kOut, std::move(written.frame), fence); !status.ok()) {
      return status;
    }
    if (++emitted_ == options_.count) {
      screen_->DetachWriteback();
      return sdk::Process::kEnd;
    }
  }
  if (const uint64_t missed = screen_->TakeMissed(); missed > 0) {
    context().CountDrop(kOutPort, missed, "no buffer was free when the picture was shown");
  }
  if (ended) return sdk::Process::kEnd;
  if (sdk::Status status = OfferBuffers(); !status.ok()) return status;
  return sdk::Process::kNeedMore;
}

void Writeback::Stop(int64_t /*deadline_ns*/, bool /*completed*/) {
  if (screen_ != nullptr) screen_->DetachWriteback();
  screen_.reset();
}

void Writeback::OnWritten() { context().Wake(); }

}  // namespace sluice::drm
