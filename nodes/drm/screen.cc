#include "nodes/drm/screen.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <utility>

#include <drm_fourcc.h>

#include "nodes/drm/modes.h"

namespace sluice::drm {
namespace {

/// How soon a commit that the driver was too busy for is tried again.
constexpr int64_t kRetryNs = 2'000'000;
constexpr std::size_t kMostWritebacks = 16;
constexpr uint32_t kPlaneTypePrimary = 1;

bool SameMode(const drmModeModeInfo& a, const drmModeModeInfo& b) {
  return std::memcmp(&a, &b, sizeof(a)) == 0;
}

/// The names that the kernel's enum has for these.
const char* EncodingName(uint8_t matrix) {
  switch (matrix) {
    case SLUICE_MATRIX_BT601:
      return "ITU-R BT.601 YCbCr";
    case SLUICE_MATRIX_BT709:
      return "ITU-R BT.709 YCbCr";
    case SLUICE_MATRIX_BT2020:
      return "ITU-R BT.2020 YCbCr";
    default:
      return nullptr;
  }
}
const char* RangeName(uint8_t range) {
  switch (range) {
    case SLUICE_RANGE_LIMITED:
      return "YCbCr limited range";
    case SLUICE_RANGE_FULL:
      return "YCbCr full range";
    default:
      return nullptr;
  }
}

}  // namespace

// ---- what there is

sdk::Expected<std::shared_ptr<Screen>> Screen::Open(std::shared_ptr<Card> card,
                                                    const std::string& connector) {
  const std::shared_ptr<Screen> screen(new Screen);
  screen->card_ = std::move(card);
  if (sdk::Status status = screen->ChooseConnector(connector); !status.ok()) return status;
  if (sdk::Status status = screen->ChoosePlane(); !status.ok()) return status;
  if (sdk::Status status = screen->ReadProperties(); !status.ok()) return status;
  screen->targets_.reserve(kMostWritebacks);
  screen->written_.reserve(kMostWritebacks);
  screen->card_->AddScreen(screen);
  return screen;
}

sdk::Status Screen::ChooseConnector(const std::string& name) {
  const int fd = card_->fd();
  const ResourcesPtr resources(drmModeGetResources(fd));
  if (resources == nullptr) {
    return sdk::Status::Error(SLUICE_E_UNSUPPORTED, "%s (%s) drives no display",
                              card_->path().c_str(), card_->driver().c_str());
  }
  const std::vector<std::shared_ptr<Screen>> others = card_->Screens();
  std::string known;
  bool taken = false;
  for (int i = 0; i < resources->count_connectors; ++i) {
    const ConnectorPtr connector(drmModeGetConnector(fd, resources->connectors[i]));
    if (connector == nullptr || connector->connector_type == DRM_MODE_CONNECTOR_WRITEBACK) continue;
    const std::string its_name =
        ConnectorName(connector->connector_type, connector->connector_type_id);
    const bool connected =
        connector->connection == DRM_MODE_CONNECTED && connector->count_modes > 0;
    known += (known.empty() ? "" : ", ") + its_name + (connected ? "" : " (not connected)");
    if (name != "auto" && name != its_name) continue;
    if (!connected) continue;
    if (std::any_of(others.begin(), others.end(), [&](const auto& other) {
          return other->connector() == connector->connector_id;
        })) {
      taken = true;
      continue;
    }
    connector_ = connector->connector_id;
    connector_name_ = its_name;
    modes_.assign(connector->modes, connector->modes + connector->count_modes);
    return ChooseCrtc(*connector);
  }
  if (taken) {
    return sdk::Status::Error(SLUICE_E_ALREADY_EXISTS,
                              "connector: another drm.display shows on %s; %s has %s", name.c_str(),
                              card_->path().c_str(), known.c_str());
  }
  return sdk::Status::Error(SLUICE_E_NOT_FOUND, "connector: %s (%s) has %s", card_->path().c_str(),
                            card_->driver().c_str(), known.empty() ? "none" : known.c_str());
}

sdk::Status Screen::ChooseCrtc(const drmModeConnector& connector) {
  const int fd = card_->fd();
  const ResourcesPtr resources(drmModeGetResources(fd));
  if (resources == nullptr) return KmsError(errno, "the card's resources");
  uint32_t possible = 0;
  for (int i = 0; i < connector.count_encoders; ++i) {
    const EncoderPtr encoder(drmModeGetEncoder(fd, connector.encoders[i]));
    if (encoder != nullptr) possible |= encoder->possible_crtcs;
  }
  const std::vector<std::shared_ptr<Screen>> others = card_->Screens();
  std::vector<CrtcUse> uses(std::clamp(resources->count_crtcs, 0, 32));
  for (std::size_t i = 0; i < uses.size(); ++i) {
    uses[i].possible = (possible >> i & 1) != 0 &&
                       std::none_of(others.begin(), others.end(), [&](const auto& other) {
                         return other->crtc() == resources->crtcs[i];
                       });
  }
  for (int c = 0; c < resources->count_connectors; ++c) {
    const uint32_t id = resources->connectors[c];
    const uint64_t on = Properties::Read(fd, id, DRM_MODE_OBJECT_CONNECTOR).Value("CRTC_ID");
    for (std::size_t i = 0; i < uses.size(); ++i) {
      if (on != resources->crtcs[i]) continue;
      (id == connector.connector_id ? uses[i].current : uses[i].lit) = true;
    }
  }
  if (const std::optional<std::size_t> chosen = drm::ChooseCrtc(uses)) {
    crtc_ = resources->crtcs[*chosen];
    crtc_index_ = static_cast<uint32_t>(*chosen);
    return {};
  }
  return sdk::Status::Error(SLUICE_E_NOT_FOUND, "%s of %s: no CRTC is free",
                            connector_name_.c_str(), card_->path().c_str());
}

sdk::Status Screen::ChoosePlane() {
  const int fd = card_->fd();
  const PlanesPtr planes(drmModeGetPlaneResources(fd));
  const std::vector<std::shared_ptr<Screen>> others = card_->Screens();
  for (uint32_t i = 0; planes != nullptr && i < planes->count_planes; ++i) {
    const PlanePtr plane(drmModeGetPlane(fd, planes->planes[i]));
    if (plane == nullptr || (plane->possible_crtcs >> crtc_index_ & 1) == 0) continue;
    const Properties properties = Properties::Read(fd, plane->plane_id, DRM_MODE_OBJECT_PLANE);
    if (properties.Value("type") != kPlaneTypePrimary) continue;
    const uint64_t on = properties.Value("CRTC_ID");
    if (on != 0 && on != crtc_) continue;
    // One that suits several CRTCs may be another screen's, which has shown nothing yet.
    if (std::any_of(others.begin(), others.end(),
                    [&](const auto& other) { return other->plane() == plane->plane_id; })) {
      continue;
    }
    plane_ = plane->plane_id;
    formats_ = LinearFormats({plane->formats, plane->count_formats});
    const std::vector<std::byte> blob =
        ReadBlob(fd, static_cast<uint32_t>(properties.Value("IN_FORMATS")));
    if (!blob.empty() && card_->has_modifiers()) {
      sdk::Expected<std::vector<PlaneFormat>> formats = ParseInFormats(blob);
      if (!formats.ok()) return formats.status();
      formats_ = *std::move(formats);
    }
    return {};
  }
  return sdk::Status::Error(SLUICE_E_UNSUPPORTED, "%s of %s: no primary plane is free",
                            connector_name_.c_str(), card_->path().c_str());
}

sdk::Status Screen::ReadProperties() {
  const int fd = card_->fd();
  const Properties connector = Properties::Read(fd, connector_, DRM_MODE_OBJECT_CONNECTOR);
  const Properties crtc = Properties::Read(fd, crtc_, DRM_MODE_OBJECT_CRTC);
  const Properties plane = Properties::Read(fd, plane_, DRM_MODE_OBJECT_PLANE);
  ids_.connector_crtc_id = connector.Id("CRTC_ID");
  ids_.mode_id = crtc.Id("MODE_ID");
  ids_.active = crtc.Id("ACTIVE");
  ids_.out_fence = crtc.Id("OUT_FENCE_PTR");
  ids_.fb_id = plane.Id("FB_ID");
  ids_.crtc_id = plane.Id("CRTC_ID");
  ids_.src_x = plane.Id("SRC_X");
  ids_.src_y = plane.Id("SRC_Y");
  ids_.src_w = plane.Id("SRC_W");
  ids_.src_h = plane.Id("SRC_H");
  ids_.crtc_x = plane.Id("CRTC_X");
  ids_.crtc_y = plane.Id("CRTC_Y");
  ids_.crtc_w = plane.Id("CRTC_W");
  ids_.crtc_h = plane.Id("CRTC_H");
  ids_.in_fence = plane.Id("IN_FENCE_FD");
  if (plane.Choice("pixel blend mode", "None", &ids_.blend_none)) {
    ids_.blend = plane.Id("pixel blend mode");
  }
  ids_.color_encoding = plane.Id("COLOR_ENCODING");
  ids_.color_range = plane.Id("COLOR_RANGE");
  const uint32_t needed[] = {ids_.connector_crtc_id,
                             ids_.mode_id,
                             ids_.active,
                             ids_.fb_id,
                             ids_.crtc_id,
                             ids_.src_x,
                             ids_.src_y,
                             ids_.src_w,
                             ids_.src_h,
                             ids_.crtc_x,
                             ids_.crtc_y,
                             ids_.crtc_w,
                             ids_.crtc_h};
  if (std::find(std::begin(needed), std::end(needed), 0u) == std::end(needed)) return {};
  return sdk::Status::Error(SLUICE_E_UNSUPPORTED, "%s (%s) lacks properties of atomic mode setting",
                            card_->path().c_str(), card_->driver().c_str());
}

// ---- trying

void Screen::BuildPlane(AtomicRequest& request, uint32_t framebuffer, const Placement& placement) {
  request.Object(plane_);
  request.Set(ids_.fb_id, framebuffer);
  request.Set(ids_.crtc_id, crtc_);
  // Sources are 16.16 fixed point.
  request.Set(ids_.src_x, uint64_t{placement.source.x} << 16);
  request.Set(ids_.src_y, uint64_t{placement.source.y} << 16);
  request.Set(ids_.src_w, uint64_t{placement.source.width} << 16);
  request.Set(ids_.src_h, uint64_t{placement.source.height} << 16);
  request.Set(ids_.crtc_x, placement.target.x);
  request.Set(ids_.crtc_y, placement.target.y);
  request.Set(ids_.crtc_w, placement.target.width);
  request.Set(ids_.crtc_h, placement.target.height);
  if (encoding_) request.Set(ids_.color_encoding, *encoding_);
  if (range_) request.Set(ids_.color_range, *range_);
  request.Set(ids_.blend, ids_.blend_none);
}

void Screen::BuildModeset(AtomicRequest& request, uint32_t mode_blob) {
  request.Object(connector_);
  request.Set(ids_.connector_crtc_id, crtc_);
  request.Object(crtc_);
  request.Set(ids_.mode_id, mode_blob);
  request.Set(ids_.active, 1);
}

bool Screen::TryCommit(const drmModeModeInfo& mode, uint32_t framebuffer,
                       const Placement& placement, int* error) {
  const Blob blob(card_->fd(), &mode, sizeof(mode));
  if (blob.id() == 0) {
    *error = errno;
    return false;
  }
  AtomicRequest request;
  BuildModeset(request, blob.id());
  BuildPlane(request, framebuffer, placement);
  *error = request.Commit(card_->fd(), DRM_MODE_ATOMIC_TEST_ONLY | DRM_MODE_ATOMIC_ALLOW_MODESET);
  return *error == 0;
}

sdk::Expected<PlaneAbility> Screen::TryAbility(const drmModeModeInfo& mode) {
  PlaneAbility ability;
  constexpr uint32_t kSmall = 64;
  const uint32_t fourcc = Takes(formats_, SLUICE_FORMAT_XR24, SLUICE_MODIFIER_LINEAR)
                              ? SLUICE_FORMAT_XR24
                              : SLUICE_FORMAT_AR24;
  // Where nothing can be tried, nothing is promised; importing still tests the real thing.
  if (!card_->has_dumb_buffers() || mode.hdisplay < 2 * kSmall || mode.vdisplay < 2 * kSmall ||
      !Takes(formats_, fourcc, SLUICE_MODIFIER_LINEAR)) {
    return ability;
  }
  sdk::Expected<DumbBuffer> dumb = card_->MakeDumb(mode.hdisplay, mode.vdisplay, 32);
  if (!dumb.ok()) return dumb.status();
  sluice_layout layout{};
  layout.coded_width = mode.hdisplay;
  layout.coded_height = mode.vdisplay;
  layout.plane_count = layout.part_count = 1;
  layout.planes[0].stride = dumb->stride;
  std::array<GemHandle, SLUICE_MAX_PLANES> handles;
  handles[0] = std::move(dumb->handle);
  sdk::Expected<Framebuffer> framebuffer =
      card_->MakeFramebuffer(fourcc, SLUICE_MODIFIER_LINEAR, layout, std::move(handles));
  if (!framebuffer.ok()) return framebuffer.status();

  const Rect whole{0, 0, mode.hdisplay, mode.vdisplay};
  const Rect small{(mode.hdisplay - kSmall) / 2, (mode.vdisplay - kSmall) / 2, kSmall, kSmall};
  const std::lock_guard lock(mutex_);
  int error = 0;
  if (!TryCommit(mode, framebuffer->id(), {whole, whole}, &error)) {
    const std::string what = sdk::Format("%s: a test of the mode %s on %s", card_->path().c_str(),
                                         ModeName(mode).c_str(), connector_name_.c_str());
    return KmsError(error, what.c_str());
  }
  ability.positions = TryCommit(mode, framebuffer->id(), {{0, 0, kSmall, kSmall}, small}, &error);
  ability.scales = TryCommit(mode, framebuffer->id(), {{0, 0, kSmall, kSmall}, whole}, &error);
  return ability;
}

void Screen::SetMode(const drmModeModeInfo& mode, const sluice_color& color) {
  const std::lock_guard lock(mutex_);
  if (!has_mode_ || !SameMode(mode, mode_)) needs_modeset_ = true;
  mode_ = mode;
  has_mode_ = true;
  const Properties plane = Properties::Read(card_->fd(), plane_, DRM_MODE_OBJECT_PLANE);
  const auto number = [&](const char* property, const char* choice) -> std::optional<uint64_t> {
    uint64_t value = 0;
    if (choice == nullptr || !plane.Choice(property, choice, &value)) return std::nullopt;
    return value;
  };
  encoding_ = number("COLOR_ENCODING", EncodingName(color.matrix));
  range_ = number("COLOR_RANGE", RangeName(color.range));
}

std::optional<drmModeModeInfo> Screen::mode() const {
  const std::lock_guard lock(mutex_);
  if (!has_mode_) return std::nullopt;
  return mode_;
}

sdk::Status Screen::Test(uint32_t framebuffer, const Placement& placement) {
  const std::lock_guard lock(mutex_);
  int error = 0;
  if (TryCommit(mode_, framebuffer, placement, &error)) return {};
  const std::string what = sdk::Format(
      "%s (%s) does not show this picture on %s (%ux%u of it as %ux%u)", card_->path().c_str(),
      card_->driver().c_str(), connector_name_.c_str(), placement.source.width,
      placement.source.height, placement.target.width, placement.target.height);
  return KmsError(error, what.c_str());
}

// ---- showing

sdk::Status Screen::Start(ScreenClient* client, int64_t flip_timeout_ns) {
  if (sdk::Status status = RestoreLate(); !status.ok()) client->OnNote(status.c_message());
  {
    const std::lock_guard lock(mutex_);
    // With a picture of ours still there, what was before it is what is restored.
    if (!touched_) {
      sdk::Expected<SavedState> saved = SavedState::Read(card_->fd(), crtc_, plane_, connector_);
      if (!saved.ok()) return saved.status();
      saved_ = *std::move(saved);
    }
    client_ = client;
    flip_timeout_ns_ = flip_timeout_ns;
    needs_modeset_ = true;
    mode_blob_ = {};
    overdue_ = false;
    ended_ = false;
  }
  sdk::Expected<uint64_t> id = card_->events().Add(shared_from_this());
  if (!id.ok()) return id.status();
  const std::lock_guard lock(mutex_);
  event_id_ = *id;
  return {};
}

sdk::Status Screen::Show(Shot shot) {
  const int64_t now = NowNs();
  std::unique_lock lock(mutex_);
  // A commit that waits cannot be taken back, nor can its process be killed until its fence signals
  // (seen with 6.12): only fences that the kernel answers for are given to it.
  shot.wait_here = shot.fence && MayNeverSignal(shot.fence.get());
  if (lost_) return sdk::Status::Error(SLUICE_E_DEVICE_LOST, "%s is gone", card_->path().c_str());
  if (waiting_ || flying_) {
    return sdk::Status::Error(SLUICE_E_TIMEOUT, "%s: the picture before was never shown",
                              connector_name_.c_str());
  }
  shot_since_ns_ = std::max(now, shot.not_before_ns);
  overdue_ = false;
  retry_ns_ = 0;
  waiting_ = std::move(shot);
  bool committed = false;
  if (sdk::Status status = CommitWaiting(now, &committed); !status.ok()) {
    waiting_.reset();
    return status;
  }
  lock.unlock();
  card_->events().Wake();  // for the deadline, or for what must wait
  return {};
}

int Screen::CommitOnce(bool with_fences, bool modeset, int32_t* out_fence,
                       int32_t* writeback_fence) {
  const Shot& shot = *waiting_;
  request_.Clear();
  if (modeset) {
    if (mode_blob_.id() == 0 || needs_modeset_) {
      mode_blob_ = Blob(card_->fd(), &mode_, sizeof(mode_));
      if (mode_blob_.id() == 0) return errno;
    }
    BuildModeset(request_, mode_blob_.id());
    saved_.DisableOthers(request_, plane_);
  }
  BuildPlane(request_, shot.framebuffer, shot.placement);
  if (with_fences && shot.fence && !shot.wait_here) {
    request_.Set(ids_.in_fence, static_cast<uint64_t>(int64_t{shot.fence.get()}));
  }
  if (with_fences && ids_.out_fence != 0) {
    request_.Object(crtc_);
    request_.Set(ids_.out_fence, reinterpret_cast<uintptr_t>(out_fence));
  }
  AddWriteback(request_, writeback_fence);
  uint32_t flags = DRM_MODE_ATOMIC_NONBLOCK | DRM_MODE_PAGE_FLIP_EVENT;
  if (modeset) flags |= DRM_MODE_ATOMIC_ALLOW_MODESET;
  return request_.Commit(card_->fd(), flags, event_id_);
}

sdk::Status Screen::CommitWaiting(int64_t now_ns, bool* committed) {
  *committed = false;
  Shot& shot = *waiting_;
  if (now_ns < shot.not_before_ns || now_ns < retry_ns_) return {};
  const bool with_fences = fences_ok_ && ids_.in_fence != 0;
  // A driver that takes no fence gets the picture when it is complete.
  const bool waits = shot.fence && (shot.wait_here || !with_fences);
  if (waits && FenceStatus(shot.fence.get()) == 0) return {};
  if (WaitsForTarget()) return {};  // OfferTarget() wakes the loop
  const bool reroute = (writeback_client_ != nullptr) && !writeback_routed_;
  const bool modeset = needs_modeset_ || reroute;
  int32_t out_fence = -1;
  int32_t writeback_fence = -1;
  const int error = CommitOnce(with_fences, modeset, &out_fence, &writeback_fence);
  FinishWriteback(error == 0, writeback_fence);
  if (error == EPERM && fences_ok_) {
    // Seen with NVIDIA 555: modes can be set, fences not.
    fences_ok_ = false;
    client_->OnNote("the driver refuses fences: pictures wait in the program, not in the driver");
    return CommitWaiting(now_ns, committed);
  }
  if (error == EBUSY && now_ns - shot_since_ns_ < flip_timeout_ns_) {
    retry_ns_ = now_ns + kRetryNs;
    return {};
  }
  if (error != 0) {
    if (error == ENODEV || error == ENXIO) {
      lost_ = true;
      card_->MarkLost();
    }
    const std::string what =
        sdk::Format("%s, %s: showing a picture", card_->path().c_str(), connector_name_.c_str());
    return KmsError(error, what.c_str());
  }
  *committed = true;
  touched_ = true;
  needs_modeset_ = false;
  if (reroute) writeback_routed_ = true;
  if (writeback_routed_) saved_.AddConnector(writeback_.id, writeback_.crtc_id);
  out_fence_.reset(out_fence);
  // The one on the screen is free when this one has taken its place.
  if (front_ && out_fence_) {
    front_->frame.Release(sdk::Fence::SyncFile(out_fence_.get()));
    front_.reset();
  }
  flying_ = std::move(waiting_);
  waiting_.reset();
  flipped_ns_ = 0;
  return {};
}

void Screen::OnFlip(const FlipEvent& flip) {
  const std::lock_guard lock(mutex_);
  if (!flying_) return;
  flipped_ns_ = std::max<int64_t>(1, flip.time_ns);
  FinishFlight();
}

/// A commit that writes back is under way until that is done, too: a driver may do it only at the
/// vblank after the flip (seen with vkms), and another commit in between would take its place.
void Screen::FinishFlight() {
  if (!flying_ || flipped_ns_ == 0 || FenceStatus(writeback_done_.get()) == 0) return;
  front_ = std::move(flying_);  // releases the one before, where no fence did
  flying_.reset();
  out_fence_.reset();
  writeback_done_.reset();
  const int32_t status = FenceStatus(front_->fence.get());
  front_->fence.reset();
  changed_.notify_all();
  if (client_ != nullptr && !overdue_) {
    client_->OnShown(front_->invocation, flipped_ns_, status);
  }
}

EventSink::Next Screen::Advance(int64_t now_ns) {
  const std::lock_guard lock(mutex_);
  Next next;
  if (waiting_ && !overdue_) {
    bool committed = false;
    if (sdk::Status status = CommitWaiting(now_ns, &committed); !status.ok()) {
      FailWaiting(status);
      return next;
    }
    if (waiting_) {
      if (now_ns < waiting_->not_before_ns) {
        next.at_ns = waiting_->not_before_ns;
        return next;
      }
      if (retry_ns_ != 0) {
        next.at_ns = retry_ns_;
      } else if (FenceStatus(waiting_->fence.get()) == 0) {
        next.fd = waiting_->fence.get();
      }
    }
  }
  FinishFlight();
  if ((!waiting_ && !flying_) || overdue_) return next;
  if (flying_ && flipped_ns_ != 0) next.fd = writeback_done_.get();
  const int64_t deadline =
      flip_timeout_ns_ > INT64_MAX - shot_since_ns_ ? INT64_MAX : shot_since_ns_ + flip_timeout_ns_;
  if (now_ns >= deadline) {
    overdue_ = true;
    const Shot& shot = waiting_ ? *waiting_ : *flying_;
    const uint64_t invocation = shot.invocation;
    const sdk::Status status = DescribeLate(shot, flying_.has_value());
    changed_.notify_all();
    if (client_ != nullptr) client_->OnFailed(invocation, status);
    return {};
  }
  next.at_ns = std::min(next.at_ns, deadline);
  return next;
}

sdk::Status Screen::DescribeLate(const Shot& shot, bool in_flight) const {
  const double seconds = static_cast<double>(flip_timeout_ns_) / 1e9;
  const FenceInfo fence = DescribeFence(shot.fence.get());
  const auto sequence = static_cast<unsigned long long>(shot.frame.Info().sequence);
  if (fence.status == 0) {
    return sdk::Status::Error(
        SLUICE_E_TIMEOUT,
        "%s: frame %llu was not shown within %.1f s: its fence (%s) has not signalled",
        connector_name_.c_str(), sequence, seconds,
        fence.signaller.empty() ? "of an unknown signaller" : fence.signaller.c_str());
  }
  if (!in_flight && WaitsForTarget()) {
    return sdk::Status::Error(
        SLUICE_E_TIMEOUT,
        "%s: frame %llu was not shown within %.1f s: no buffer came to write it back into",
        connector_name_.c_str(), sequence, seconds);
  }
  return sdk::Status::Error(SLUICE_E_TIMEOUT, "%s: frame %llu was not shown within %.1f s: %s %s",
                            connector_name_.c_str(), sequence, seconds, card_->driver().c_str(),
                            !in_flight         ? "takes no commit"
                            : flipped_ns_ != 0 ? "has not written it back"
                                               : "reports no page flip");
}

void Screen::FailWaiting(const sdk::Status& status) {
  const uint64_t invocation = waiting_->invocation;
  waiting_.reset();
  changed_.notify_all();
  if (client_ != nullptr) client_->OnFailed(invocation, status);
}

void Screen::OnLost(const sdk::Status& why) {
  card_->MarkLost();
  const std::lock_guard lock(mutex_);
  lost_ = true;
  std::optional<Shot>& shot = waiting_ ? waiting_ : flying_;
  changed_.notify_all();
  if (!shot) return;
  const uint64_t invocation = shot->invocation;
  shot.reset();
  if (client_ != nullptr && !overdue_) client_->OnFailed(invocation, why);
}

void Screen::MarkEnded() {
  const std::lock_guard lock(mutex_);
  ended_ = true;
  if (writeback_client_ != nullptr) writeback_client_->OnWritten();
}

bool Screen::ended() const {
  const std::lock_guard lock(mutex_);
  return ended_ || lost_;
}

sdk::Status Screen::Stop(int64_t deadline_ns) {
  MarkEnded();
  uint64_t event_id = 0;
  sdk::Status result;
  {
    std::unique_lock lock(mutex_);
    if (client_ == nullptr) return {};
    if (waiting_) {
      const uint64_t invocation = waiting_->invocation;
      waiting_.reset();
      if (!overdue_) client_->OnCancelled(invocation);
    }
    const int64_t limit = std::min(deadline_ns, shot_since_ns_ + flip_timeout_ns_);
    while (flying_ && !lost_ && !overdue_ && NowNs() < limit) {
      changed_.wait_for(lock,
                        std::chrono::nanoseconds(std::min<int64_t>(limit - NowNs(), 100'000'000)));
    }
    if (flying_ && !overdue_) client_->OnCancelled(flying_->invocation);
    client_ = nullptr;
    event_id = std::exchange(event_id_, 0);
    if (lost_) {
      result = sdk::Status::Error(SLUICE_E_DEVICE_LOST, "%s is gone", card_->path().c_str());
    } else if (CommitUnderWay()) {
      // The kernel holds the commit; nothing can be put on top of it without waiting for it.
      result = sdk::Status::Error(SLUICE_E_TIMEOUT,
                                  "%s: a commit is still under way, so the screen is not restored",
                                  connector_name_.c_str());
    } else {
      result = Restore();
    }
    if (flying_ && out_fence_) {
      flying_->frame.Release(sdk::Fence::SyncFile(out_fence_.get()));
    }
    flying_.reset();
    front_.reset();
    // RestoreLate() asks it otherwise.
    if (!CommitUnderWay()) out_fence_.reset();
    writeback_done_.reset();
    mode_blob_ = {};
    needs_modeset_ = true;
  }
  // Without the lock: the thread may be in a call to us.
  card_->events().Remove(event_id);
  return result;
}

bool Screen::CommitUnderWay() const { return flying_ || FenceStatus(out_fence_.get()) == 0; }

sdk::Status Screen::RestoreLate() {
  const std::lock_guard lock(mutex_);
  if (client_ != nullptr || lost_ || CommitUnderWay()) return {};
  out_fence_.reset();
  return Restore();
}

sdk::Status Screen::Restore() {
  writeback_routed_ = false;
  if (!std::exchange(touched_, false)) return {};
  bool turned_off = false;
  if (sdk::Status status = saved_.Restore(card_->fd(), &turned_off); !status.ok()) return status;
  return {};
}

// ---- writeback

sdk::Status Screen::AttachWriteback(const WritebackConnector& connector, WritebackClient* client) {
  const std::lock_guard lock(mutex_);
  if (writeback_client_ != nullptr) {
    return sdk::Status::Error(SLUICE_E_ALREADY_EXISTS, "%s: another drm.writeback has its pictures",
                              connector_name_.c_str());
  }
  writeback_ = connector;
  writeback_client_ = client;
  writeback_routed_ = false;
  writeback_seen_ = 0;
  missed_ = 0;
  return {};
}

void Screen::DetachWriteback() {
  const std::lock_guard lock(mutex_);
  writeback_client_ = nullptr;
  targets_.clear();
  if (waiting_) card_->events().Wake();
  for (Written& written : written_) {
    if (written.fence) written.frame.Release(sdk::Fence::SyncFile(written.fence.get()));
  }
  written_.clear();
}

void Screen::OfferTarget(WritebackTarget target) {
  {
    const std::lock_guard lock(mutex_);
    if (targets_.size() < kMostWritebacks) targets_.push_back(std::move(target));
    if (!waiting_) return;
  }
  card_->events().Wake();
}

std::size_t Screen::Targets() const {
  const std::lock_guard lock(mutex_);
  return targets_.size();
}

bool Screen::TakeWritten(Written* written) {
  const std::lock_guard lock(mutex_);
  if (written_.empty()) return false;
  *written = std::move(written_.front());
  written_.erase(written_.begin());
  return true;
}

uint64_t Screen::TakeMissed() {
  const std::lock_guard lock(mutex_);
  return std::exchange(missed_, 0);
}

bool Screen::WaitsForTarget() const {
  return writeback_client_ != nullptr && writeback_.lossless && targets_.empty() &&
         writeback_seen_ % writeback_.every == 0;
}

bool Screen::AddWriteback(AtomicRequest& request, int32_t* fence) {
  if (writeback_client_ == nullptr) return false;
  request.Object(writeback_.id);
  request.Set(writeback_.crtc_id, crtc_);
  if (writeback_seen_ % writeback_.every != 0) return false;
  if (targets_.empty()) return false;
  target_under_way_ = std::move(targets_.front());
  targets_.erase(targets_.begin());
  request.Set(writeback_.fb_id, target_under_way_->framebuffer);
  request.Set(writeback_.out_fence, reinterpret_cast<uintptr_t>(fence));
  return true;
}

void Screen::FinishWriteback(bool committed, int32_t fence) {
  if (writeback_client_ == nullptr) return;
  if (!committed) {
    if (target_under_way_) targets_.insert(targets_.begin(), *std::move(target_under_way_));
    target_under_way_.reset();
    return;
  }
  const bool wanted = writeback_seen_++ % writeback_.every == 0;
  if (!target_under_way_) {
    missed_ += wanted ? 1 : 0;
    if (wanted) writeback_client_->OnWritten();
    return;
  }
  Written written{std::move(target_under_way_->frame), sdk::UniqueFd(fence)};
  writeback_done_.reset(fence < 0 ? -1 : fcntl(fence, F_DUPFD_CLOEXEC, 0));
  target_under_way_.reset();
  if (sluice_frame_info* info = written.frame.InfoMut(); info != nullptr) {
    *info = waiting_->frame.Info();
    info->crop_x = info->crop_y = 0;
    info->crop_width = mode_.hdisplay;
    info->crop_height = mode_.vdisplay;
    info->aspect_num = info->aspect_den = 0;
    info->rotation_degrees = 0;
    info->bytes_used = 0;
  }
  written_.push_back(std::move(written));
  writeback_client_->OnWritten();
}

}  // namespace sluice::drm
