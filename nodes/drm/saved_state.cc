#include "nodes/drm/saved_state.h"

#include <cerrno>

namespace sluice::drm {
namespace {

/// What a commit of ours may change on a plane.
constexpr const char* kPlaneProperties[] = {"FB_ID",
                                            "CRTC_ID",
                                            "SRC_X",
                                            "SRC_Y",
                                            "SRC_W",
                                            "SRC_H",
                                            "CRTC_X",
                                            "CRTC_Y",
                                            "CRTC_W",
                                            "CRTC_H",
                                            "pixel blend mode",
                                            "COLOR_ENCODING",
                                            "COLOR_RANGE"};

}  // namespace

sdk::Expected<SavedState> SavedState::Read(int fd, uint32_t crtc, uint32_t own_plane,
                                           uint32_t connector) {
  SavedState state;
  const Properties properties = Properties::Read(fd, crtc, DRM_MODE_OBJECT_CRTC);
  state.crtc_.id = crtc;
  state.mode_property_ = properties.Id("MODE_ID");
  state.active_property_ = properties.Id("ACTIVE");
  if (state.mode_property_ == 0 || state.active_property_ == 0) {
    return sdk::Status::Error(SLUICE_E_IO, "the state of CRTC %u cannot be read", crtc);
  }
  state.active_ = properties.Value("ACTIVE") != 0;
  // The blob of whoever set the mode goes when the mode is replaced: the bytes are kept instead.
  state.mode_ = ReadBlob(fd, static_cast<uint32_t>(properties.Value("MODE_ID")));

  const ResourcesPtr resources(drmModeGetResources(fd));
  if (resources == nullptr) {
    return sdk::Status::Error(SLUICE_E_IO, "the card's resources cannot be read");
  }
  for (int i = 0; i < resources->count_connectors; ++i) {
    const uint32_t id = resources->connectors[i];
    const Properties of_connector = Properties::Read(fd, id, DRM_MODE_OBJECT_CONNECTOR);
    const uint64_t connected_to = of_connector.Value("CRTC_ID");
    if (id != connector && connected_to != crtc) continue;
    state.connectors_.push_back({id, {{of_connector.Id("CRTC_ID"), connected_to}}});
  }

  const PlanesPtr planes(drmModeGetPlaneResources(fd));
  for (uint32_t i = 0; planes != nullptr && i < planes->count_planes; ++i) {
    const uint32_t id = planes->planes[i];
    const Properties of_plane = Properties::Read(fd, id, DRM_MODE_OBJECT_PLANE);
    const uint64_t on = of_plane.Value("CRTC_ID");
    // The others are not touched: until then another screen may show on them.
    if (on != crtc && id != own_plane) continue;
    Plane& saved = state.planes_.emplace_back();
    saved.id = id;
    saved.fb_id = of_plane.Id("FB_ID");
    saved.crtc_id = of_plane.Id("CRTC_ID");
    saved.shown = on == crtc;
    for (const char* name : kPlaneProperties) {
      if (const Properties::Property* property = of_plane.Find(name)) {
        saved.values.push_back({property->id, property->value});
      }
    }
  }
  return state;
}

void SavedState::AddConnector(uint32_t connector, uint32_t crtc_id_property) {
  for (const Object& known : connectors_) {
    if (known.id == connector) return;
  }
  connectors_.push_back({connector, {{crtc_id_property, 0}}});
}

void SavedState::DisableOthers(AtomicRequest& request, uint32_t kept) const {
  for (const Plane& plane : planes_) {
    if (!plane.shown || plane.id == kept) continue;
    request.Object(plane.id);
    request.Set(plane.fb_id, 0);
    request.Set(plane.crtc_id, 0);
  }
}

int SavedState::Commit(int fd, bool off) const {
  AtomicRequest request;
  Blob mode;
  const bool active = active_ && !mode_.empty() && !off;
  if (active) {
    mode = Blob(fd, mode_.data(), mode_.size());
    if (mode.id() == 0) return ENOMEM;
  }
  request.Object(crtc_.id);
  request.Set(mode_property_, mode.id());
  request.Set(active_property_, active ? 1 : 0);
  for (const Object& connector : connectors_) {
    request.Object(connector.id);
    for (const Value& value : connector.values) {
      request.Set(value.property, active || value.value != crtc_.id ? value.value : 0);
    }
  }
  for (const Plane& plane : planes_) {
    request.Object(plane.id);
    for (const Value& value : plane.values) {
      const bool show = active && plane.shown;
      const bool names_something = value.property == plane.fb_id || value.property == plane.crtc_id;
      request.Set(value.property, names_something && !show ? 0 : value.value);
    }
  }
  return request.Commit(fd, DRM_MODE_ATOMIC_ALLOW_MODESET);
}

sdk::Status SavedState::Restore(int fd, bool* turned_off) const {
  *turned_off = false;
  if (crtc_.id == 0) return {};
  if (Commit(fd, false) == 0) return {};
  const int error = Commit(fd, true);
  if (error != 0) return KmsError(error, "restoring what the display showed before");
  *turned_off = true;
  return {};
}

}  // namespace sluice::drm
