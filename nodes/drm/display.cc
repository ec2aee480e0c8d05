#include "nodes/drm/display.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "nodes/drm/formats.h"

namespace sluice::drm {
namespace {

constexpr uint32_t kIn = 0;
constexpr uint32_t kMaxSide = 16384;  // the manifest's
constexpr const char* kInPort = "in";

sdk::Expected<Fit> ParseFit(const std::string& text) {
  if (text == "auto") return Fit::kAuto;
  if (text == "none") return Fit::kNone;
  if (text == "scale") return Fit::kScale;
  return sdk::Status::Error(SLUICE_E_INVALID_ARGUMENT, "fit: '%s' is not auto, none or scale",
                            text.c_str());
}

sdk::Size SizeOf(const drmModeModeInfo& mode) { return {mode.hdisplay, mode.vdisplay}; }

/// What the frame shows of its buffer.
Picture PictureOf(const sluice_format& format, const sluice_frame_info* info) {
  Picture picture;
  picture.visible = {0, 0, format.width, format.height};
  if (info == nullptr) return picture;
  const bool cropped = info->crop_width != 0 && info->crop_height != 0 &&
                       uint64_t{info->crop_x} + info->crop_width <= format.width &&
                       uint64_t{info->crop_y} + info->crop_height <= format.height;
  if (cropped) picture.visible = {info->crop_x, info->crop_y, info->crop_width, info->crop_height};
  picture.aspect_num = info->aspect_num;
  picture.aspect_den = info->aspect_den;
  return picture;
}

}  // namespace

sdk::Expected<std::unique_ptr<Display>> Display::Create(sdk::NodeContext context,
                                                        const sdk::Params& params) {
  Options options;
  options.device = params.String("device", "auto");
  options.connector = params.String("connector", "auto");
  const sdk::Expected<ModeRequest> mode = ParseMode(params.String("mode", "auto"));
  if (!mode.ok()) return mode.status();
  options.mode = *mode;
  const sdk::Expected<Fit> fit = ParseFit(params.String("fit", "auto"));
  if (!fit.ok()) return fit.status();
  options.fit = *fit;
  options.timeout_ns = params.DurationNs("timeout", 5'000'000'000);
  if (options.timeout_ns <= 0) {
    return sdk::Status::Error(SLUICE_E_INVALID_ARGUMENT, "timeout must be above 0");
  }
  return std::make_unique<Display>(context, std::move(options));
}

Display::~Display() { CloseScreen(); }

// ---- negotiation

sdk::Status Display::OpenScreen() {
  if (screen_ != nullptr && !card_->lost()) return {};
  if (started_) {
    // Its pictures are still under way: a restart opens it anew.
    return sdk::Status::Error(SLUICE_E_DEVICE_LOST, "%s is gone", card_->path().c_str());
  }
  CloseScreen();
  sdk::Expected<std::shared_ptr<Card>> card = Card::Open(options_.device);
  if (!card.ok()) return card.status();
  sdk::Expected<std::shared_ptr<Screen>> screen = Screen::Open(*card, options_.connector);
  if (!screen.ok()) return screen.status();
  card_ = *std::move(card);
  screen_ = *std::move(screen);
  return {};
}

void Display::CloseScreen() {
  if (screen_ != nullptr) RestoreLate();
  framebuffers_.Clear();
  // The event thread or a drm.writeback may hold it for longer.
  if (screen_ != nullptr) card_->RemoveScreen(screen_.get());
  screen_.reset();
  card_.reset();
}

void Display::RestoreLate() {
  if (sdk::Status status = screen_->RestoreLate(); !status.ok()) {
    context().Log(SLUICE_LOG_WARNING, "%s", status.c_message());
  }
}

sdk::Status Display::Probe(sdk::OfferSink& offers) {
  if (sdk::Status status = OpenScreen(); !status.ok()) return status;
  const std::vector<drmModeModeInfo>& modes = screen_->modes();
  const auto index = ChooseMode(modes, options_.mode, {});
  if (!index) {
    std::string known;
    for (const sdk::Size size : SizesOf(modes, modes.size())) {
      known += sdk::Format("%s%ux%u", known.empty() ? "" : ", ", size.width, size.height);
    }
    return sdk::Status::Error(SLUICE_E_UNSUPPORTED, "mode: %s has no such mode; it has %s",
                              screen_->connector_name().c_str(), known.c_str());
  }
  const sdk::Expected<PlaneAbility> ability = screen_->TryAbility(modes[*index]);
  if (!ability.ok()) return ability.status();
  const bool any_size = ability->positions || (ability->scales && options_.fit != Fit::kNone);

  const std::vector<sdk::Size> sizes =
      options_.mode.automatic() ? SizesOf(modes) : std::vector{SizeOf(modes[*index])};
  for (const sdk::Size size : sizes) {
    if (sdk::Status status = OfferSizes(offers, size.width, size.width, size.height, size.height);
        !status.ok()) {
      return status;
    }
    if (any_size) break;  // the next offer has them all
  }
  const bool only_scaled = options_.fit == Fit::kScale;
  if (any_size && (!only_scaled || ability->scales)) {
    return OfferSizes(offers, 1, kMaxSide, 1, kMaxSide);
  }
  if (only_scaled) return {};
  // A plane that must be covered can still show the middle of something larger.
  return OfferSizes(offers, sizes[0].width, kMaxSide, sizes[0].height, kMaxSide);
}

sdk::Status Display::OfferSizes(sdk::OfferSink& offers, uint32_t width_min, uint32_t width_max,
                                uint32_t height_min, uint32_t height_max) {
  for (const FormatGroup& group : GroupFormats(screen_->formats())) {
    sdk::OfferBuilder offer;
    for (const uint32_t fourcc : group.fourccs) offer.Format(fourcc);
    for (const uint64_t modifier : group.modifiers) offer.Modifiers({modifier});
    offer.Views(SLUICE_VIEW_DMABUF)
        .Sync(SLUICE_SYNC_SYNC_FILE | SLUICE_SYNC_CPU_DONE)
        .Width(width_min, width_max, 1)
        .Height(height_min, height_max, 1)
        .Hold(1, 1);
    if (sdk::Status status = offers.Add(kInPort, offer); !status.ok()) return status;
  }
  if (!card_->has_dumb_buffers()) return {};
  // Second choice: the CPU may read a driver's memory slowly. Where a driver refuses all foreign
  // buffers this is what is left.
  sdk::OfferBuilder own;
  for (const FormatGroup& group : GroupFormats(screen_->formats())) {
    if (group.modifiers.front() != SLUICE_MODIFIER_LINEAR) continue;
    for (const uint32_t fourcc : group.fourccs) {
      if (DumbShapeOf(fourcc).bits_per_pixel != 0) own.Format(fourcc);
    }
  }
  own.Views(SLUICE_VIEW_DMABUF)
      .Allocates(SLUICE_VIEW_DMABUF)
      .Sync(SLUICE_SYNC_SYNC_FILE | SLUICE_SYNC_CPU_DONE)
      .Width(width_min, width_max, 1)
      .Height(height_min, height_max, 1)
      .Hold(1, 1);
  if (own.Build().fourcc_count == 0) return {};
  return offers.Add(kInPort, own);
}

sdk::Status Display::Configure(const sdk::Configuration& configuration) {
  const sdk::Expected<const sluice_port_config*> port = configuration.Port(kInPort);
  if (!port.ok()) return port.status();
  if (sdk::Status status = OpenScreen(); !status.ok()) return status;
  const sluice_format& format = (*port)->format;
  const uint32_t shown_as = ShownAs(screen_->formats(), format.fourcc, format.modifier);
  if (shown_as == 0) {
    return sdk::Status::Error(
        SLUICE_E_UNSUPPORTED, "in: %s does not show %.4s with modifier 0x%llx",
        screen_->connector_name().c_str(), reinterpret_cast<const char*>(&format.fourcc),
        static_cast<unsigned long long>(format.modifier));
  }
  const std::vector<drmModeModeInfo>& modes = screen_->modes();
  const auto index = ChooseMode(modes, options_.mode, {format.width, format.height});
  if (!index) return sdk::Status::Error(SLUICE_E_UNSUPPORTED, "mode: there is none such");
  const drmModeModeInfo& mode = modes[*index];
  const sdk::Expected<PlaneAbility> ability = screen_->TryAbility(mode);
  if (!ability.ok()) return ability.status();
  const sdk::Expected<Placement> placement =
      Place(PictureOf(format, nullptr), SizeOf(mode), *ability, options_.fit);
  if (!placement.ok()) return placement.status();

  format_ = format;
  shown_as_ = shown_as;
  mode_size_ = SizeOf(mode);
  ability_ = *ability;
  realtime_ = configuration.realtime();
  const uint32_t mhz = std::max<uint32_t>(1, RefreshMillihertz(mode));
  pacer_ = Pacer(1'000'000'000'000 / mhz);
  screen_->SetMode(mode, format.color);

  const char* how =
      placement->scaled    ? ", scaled by the plane"
      : placement->cropped ? ", cropped to its middle"
      : placement->target.width != mode.hdisplay || placement->target.height != mode.vdisplay
          ? ", centred"
          : "";
  context().Note(sdk::Format("%s of %s (%s): %ux%u in the mode %s%s",
                             screen_->connector_name().c_str(), card_->path().c_str(),
                             card_->driver().c_str(), format.width, format.height,
                             ModeName(mode).c_str(), how)
                     .c_str());
  return {};
}

sdk::Status Display::Reconfigure(const sdk::Configuration& configuration) {
  return Configure(configuration);
}

// ---- memory

sdk::Expected<DumbBuffer> Display::MakeDumb(const sluice_pool_request& request) const {
  const DumbShape shape = DumbShapeOf(request.format.fourcc);
  const uint32_t width = std::max(request.format.width, request.layout.coded_width);
  const uint32_t height = std::max(request.format.height, request.layout.coded_height);
  if (shape.bits_per_pixel == 0 || request.format.modifier != SLUICE_MODIFIER_LINEAR ||
      width == 0 || width > kMaxSide || height == 0 || height > kMaxSide) {
    return sdk::Status::Error(SLUICE_E_UNSUPPORTED, "no dumb buffer of %.4s, %ux%u",
                              reinterpret_cast<const char*>(&request.format.fourcc), width, height);
  }
  // The driver chooses the stride: a wider buffer makes it a multiple of what is asked for.
  const uint64_t multiple = std::max<uint32_t>(1, request.stride_multiple);
  const uint64_t row = (uint64_t{width} * shape.bits_per_pixel + 7) / 8;
  const uint64_t stride = (row + multiple - 1) / multiple * multiple;
  const uint64_t dumb_width = (stride * 8 + shape.bits_per_pixel - 1) / shape.bits_per_pixel;
  const uint64_t rows = (uint64_t{height} * shape.rows_num + shape.rows_den - 1) / shape.rows_den +
                        (request.tail_bytes + stride - 1) / stride;
  if (dumb_width > UINT32_MAX || rows > UINT32_MAX) {
    return sdk::Status::Error(SLUICE_E_UNSUPPORTED, "a stride of a multiple of %llu bytes",
                              static_cast<unsigned long long>(multiple));
  }
  sdk::Expected<DumbBuffer> buffer = card_->MakeDumb(
      static_cast<uint32_t>(dumb_width), static_cast<uint32_t>(rows), shape.bits_per_pixel);
  if (buffer.ok() && buffer->stride % multiple != 0) {
    return sdk::Status::Error(
        SLUICE_E_UNSUPPORTED, "%s makes strides of %u bytes, not a multiple of %llu",
        card_->driver().c_str(), buffer->stride, static_cast<unsigned long long>(multiple));
  }
  return buffer;
}

sdk::Status Display::Allocate(int32_t /*direction*/, uint32_t /*port*/,
                              const sluice_pool_request& request, sdk::PoolSink& sink) {
  if (sdk::Status status = OpenScreen(); !status.ok()) return status;
  const uint32_t shown_as =
      ShownAs(screen_->formats(), request.format.fourcc, request.format.modifier);
  if (shown_as == 0) {
    return sdk::Status::Error(SLUICE_E_UNSUPPORTED, "in: %.4s is not shown",
                              reinterpret_cast<const char*>(&request.format.fourcc));
  }
  for (uint32_t i = 0; i < request.buffers; ++i) {
    sdk::Expected<DumbBuffer> dumb = MakeDumb(request);
    if (!dumb.ok()) return dumb.status();
    sluice_buffer_desc desc{};
    desc.layout = DumbLayout(
        request.format.fourcc, std::max(request.format.width, request.layout.coded_width),
        std::max(request.format.height, request.layout.coded_height), dumb->stride, dumb->size);
    if (desc.layout.plane_count == 0) {
      return sdk::Status::Error(SLUICE_E_UNSUPPORTED, "%s made a dumb buffer that is too small",
                                card_->driver().c_str());
    }
    sdk::Expected<sdk::UniqueFd> fd = card_->Export(dumb->handle);
    if (!fd.ok()) return fd.status();
    std::array<GemHandle, SLUICE_MAX_PLANES> handles;
    handles[0] = std::move(dumb->handle);
    sdk::Expected<Framebuffer> framebuffer =
        card_->MakeFramebuffer(shown_as, SLUICE_MODIFIER_LINEAR, desc.layout, std::move(handles));
    if (!framebuffer.ok()) return framebuffer.status();
    framebuffers_.Add({request.pool, request.epoch, i}, *std::move(framebuffer));
    desc.memory.view = SLUICE_VIEW_DMABUF;
    desc.memory.part_count = 1;
    desc.memory.parts[0] = {fd->release(), 0, desc.layout.size};
    if (sdk::Status status = sink.Add(desc); !status.ok()) return status;
  }
  return {};
}

void Display::ReleasePool(uint32_t pool, uint32_t epoch) { ForgetPool(pool, epoch); }
void Display::ForgetPool(uint32_t pool, uint32_t epoch) {
  if (screen_ != nullptr) RestoreLate();
  framebuffers_.Forget(pool, epoch);
}

sdk::Status Display::TestImport(int32_t /*direction*/, uint32_t /*port*/, sdk::FrameRef frame) {
  const sdk::Expected<uint32_t> framebuffer =
      framebuffers_.Get(card_, context().host(), frame, shown_as_);
  if (!framebuffer.ok()) return framebuffer.status();
  const sdk::Expected<Placement> placement =
      Place(PictureOf(format_, nullptr), mode_size_, ability_, options_.fit);
  if (!placement.ok()) return placement.status();
  return screen_->Test(*framebuffer, *placement);
}

// ---- running

sdk::Status Display::Start() {
  shown_ = late_ = 0;
  sdk::Status status = screen_->Start(this, options_.timeout_ns);
  started_ = status.ok();
  return status;
}

sdk::Expected<Placement> Display::PlacementOf(const sdk::FrameRef& frame) const {
  return Place(PictureOf(format_, &frame.Info()), mode_size_, ability_, options_.fit);
}

sdk::Expected<sdk::UniqueFd> Display::FenceOf(const sdk::FrameRef& frame) const {
  const sdk::Fence acquire = frame.AcquireFence();
  const sluice_fence& fence = *acquire.c();
  if (fence.kind == SLUICE_FENCE_SIGNALLED) return sdk::UniqueFd();
  int fd = -1;
  if (fence.kind == SLUICE_FENCE_SYNC_FILE) {
    fd = fcntl(fence.fd, F_DUPFD_CLOEXEC, 0);
    if (fd < 0) return KmsError(errno, "a fence");
    return sdk::UniqueFd(fd);
  }
  const sluice_timeline_api* timelines = context().host().timelines();
  const int32_t code = timelines->to_sync_file(fence.timeline, fence.point, &fd);
  if (code >= 0) return sdk::UniqueFd(fd);
  // It may have passed meanwhile.
  if (timelines->status(fence.timeline, fence.point) == 1) return sdk::UniqueFd();
  return sdk::Status::Error(code, "the fence of frame %llu gives no sync_file (%s)",
                            static_cast<unsigned long long>(frame.Info().sequence),
                            sdk::CodeName(code));
}

sdk::Expected<sdk::Process> Display::Process(sdk::Invocation& invocation) {
  if (invocation.draining()) return sdk::Process::kEnd;
  Shot shot;
  shot.frame = invocation.TakeInput(kIn);
  if (!shot.frame) return sdk::Process::kNeedMore;
  sdk::Expected<sdk::UniqueFd> fence = FenceOf(shot.frame);
  if (!fence.ok()) return fence.status();
  if (FenceStatus(fence->get()) < 0) {
    context().CountDrop(kInPort, 1, "the fence of its producer carries an error");
    return sdk::Process::kDone;
  }
  sdk::Expected<Placement> placement = PlacementOf(shot.frame);
  if (!placement.ok()) return placement.status();
  const sdk::Expected<uint32_t> framebuffer =
      framebuffers_.Get(card_, context().host(), shot.frame, shown_as_);
  if (!framebuffer.ok()) return framebuffer.status();
  shot.invocation = invocation.id();
  shot.framebuffer = *framebuffer;
  shot.placement = *placement;
  shot.fence = *std::move(fence);
  under_way_ = shot.frame.Info();
  const bool mirrored = (under_way_.flags & SLUICE_FRAME_MIRRORED) != 0;
  if ((under_way_.rotation_degrees != 0 || mirrored) && !std::exchange(as_they_lie_noted_, true)) {
    context().Note("pictures are shown as they lie: they are not turned or mirrored as they say");
  }
  if (realtime_) shot.not_before_ns = pacer_.NotBefore(under_way_);
  if (sdk::Status status = screen_->Show(std::move(shot)); !status.ok()) return status;
  return sdk::Process::kAsync;
}

sdk::Status Display::Drain() {
  screen_->MarkEnded();
  return {};
}

void Display::Stop(int64_t deadline_ns, bool /*completed*/) {
  started_ = false;
  if (screen_ == nullptr) return;
  if (sdk::Status status = screen_->Stop(deadline_ns); !status.ok()) {
    context().Log(SLUICE_LOG_WARNING, "%s", status.c_message());
  }
  std::string text = sdk::Format("%llu frames shown", static_cast<unsigned long long>(shown_));
  if (realtime_) text += sdk::Format(", %llu of them late", static_cast<unsigned long long>(late_));
  context().Note(text.c_str());
}

void Display::OnShown(uint64_t invocation, int64_t time_ns, int32_t fence_status) {
  ++shown_;
  if (realtime_ && pacer_.Shown(under_way_, time_ns)) ++late_;
  if (fence_status < 0) {
    context().CountDrop(kInPort, 1, "shown, but the fence of its producer carries an error");
  }
  context().Complete(invocation);
}

void Display::OnFailed(uint64_t invocation, const sdk::Status& status) {
  context().Complete(invocation, status);
}

void Display::OnCancelled(uint64_t invocation) { context().Complete(invocation); }

void Display::OnNote(const char* text) { context().Note(text); }

}  // namespace sluice::drm
