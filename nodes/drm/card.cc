#include "nodes/drm/card.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>

#include <drm_fourcc.h>

#include "nodes/drm/kms.h"
#include "nodes/drm/screen.h"

namespace sluice::drm {
namespace {

constexpr uint32_t kMaxCards = 64;

/// The open cards of this process. Never destroyed: the library is not unloaded.
struct Registry {
  std::mutex mutex;
  std::map<dev_t, std::weak_ptr<Card>> cards;
};
Registry& TheRegistry() {
  static Registry& registry = *new Registry;
  return registry;
}

bool HasConnectedScreen(int fd) {
  const ResourcesPtr resources(drmModeGetResources(fd));
  if (resources == nullptr) return false;
  for (int i = 0; i < resources->count_connectors; ++i) {
    const ConnectorPtr connector(drmModeGetConnector(fd, resources->connectors[i]));
    if (connector != nullptr && connector->connector_type != DRM_MODE_CONNECTOR_WRITEBACK &&
        connector->connection == DRM_MODE_CONNECTED && connector->count_modes > 0) {
      return true;
    }
  }
  return false;
}

}  // namespace

GemHandle::~GemHandle() {
  if (card_ != nullptr) card_->Close(handle_);
}

Framebuffer::~Framebuffer() {
  if (id_ != 0) drmModeRmFB(card_->fd(), id_);
}

sdk::Expected<std::shared_ptr<Card>> Card::Open(const std::string& path) {
  if (path != "auto") return OpenPath(path);
  sdk::Status first_failure;
  for (uint32_t i = 0; i < kMaxCards; ++i) {
    const std::string name = sdk::Format("/dev/dri/card%u", i);
    if (access(name.c_str(), F_OK) != 0) continue;
    sdk::Expected<std::shared_ptr<Card>> card = OpenPath(name);
    if (card.ok() && HasConnectedScreen((*card)->fd())) return card;
    if (!card.ok() && first_failure.ok()) first_failure = card.status();
  }
  if (!first_failure.ok()) return first_failure;
  return sdk::Status::Error(SLUICE_E_NOT_FOUND,
                            "no card in /dev/dri has a connected display; name one in `device`");
}

sdk::Expected<std::shared_ptr<Card>> Card::OpenPath(const std::string& path) {
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) {
    return sdk::Status::Error(SLUICE_E_NOT_FOUND, "%s: %s", path.c_str(), ErrnoText(errno));
  }
  if (!S_ISCHR(info.st_mode)) {
    return sdk::Status::Error(SLUICE_E_UNSUPPORTED, "%s is not a device", path.c_str());
  }
  Registry& registry = TheRegistry();
  // Before the lock, as the end of a card takes it, too.
  std::shared_ptr<Card> known;
  const std::shared_ptr<Card> card(new Card);
  const std::lock_guard lock(registry.mutex);
  known = registry.cards[info.st_rdev].lock();
  if (known != nullptr && !known->lost()) return known;
  card->path_ = path;
  card->number_ = info.st_rdev;
  card->fd_.reset(open(path.c_str(), O_RDWR | O_CLOEXEC | O_NONBLOCK));
  if (!card->fd_) {
    return sdk::Status::Error(
        errno == EACCES || errno == EPERM ? SLUICE_E_PERMISSION_DENIED : SLUICE_E_IO, "%s: %s",
        path.c_str(), ErrnoText(errno));
  }
  if (sdk::Status status = card->Setup(); !status.ok()) return status;
  registry.cards[info.st_rdev] = card;
  return card;
}

sdk::Status Card::Setup() {
  const VersionPtr version(drmGetVersion(fd()));
  if (version == nullptr) {
    return sdk::Status::Error(SLUICE_E_UNSUPPORTED, "%s is not a DRM device", path_.c_str());
  }
  driver_.assign(version->name, static_cast<std::size_t>(version->name_len));
  if (drmSetClientCap(fd(), DRM_CLIENT_CAP_UNIVERSAL_PLANES, 1) != 0 ||
      drmSetClientCap(fd(), DRM_CLIENT_CAP_ATOMIC, 1) != 0) {
    return sdk::Status::Error(SLUICE_E_UNSUPPORTED, "%s (%s) has no atomic mode setting",
                              path_.c_str(), driver_.c_str());
  }
  // Without it there is no writeback; a display needs none.
  drmSetClientCap(fd(), DRM_CLIENT_CAP_WRITEBACK_CONNECTORS, 1);
  // Who opens a card first is its master; on a text console anyone may become it.
  if (drmIsMaster(fd()) == 0) drmSetMaster(fd());
  uint64_t value = 0;
  has_modifiers_ = drmGetCap(fd(), DRM_CAP_ADDFB2_MODIFIERS, &value) == 0 && value != 0;
  has_dumb_buffers_ = drmGetCap(fd(), DRM_CAP_DUMB_BUFFER, &value) == 0 && value != 0;
  events_.SetFd(fd());
  return {};
}

Card::~Card() {
  Registry& registry = TheRegistry();
  const std::lock_guard lock(registry.mutex);
  const auto found = registry.cards.find(number_);
  // A newer card may stand there by now.
  if (found != registry.cards.end() && found->second.expired()) registry.cards.erase(found);
}

void Card::MarkLost() {
  const std::lock_guard lock(mutex_);
  lost_ = true;
}

bool Card::lost() const {
  const std::lock_guard lock(mutex_);
  return lost_;
}

GemHandle Card::Counted(uint32_t handle) {
  ++handles_[handle];
  return GemHandle(this, handle);
}

void Card::Close(uint32_t handle) {
  const std::lock_guard lock(mutex_);
  const auto found = handles_.find(handle);
  if (found == handles_.end() || --found->second > 0) return;
  handles_.erase(found);
  drm_gem_close close{};
  close.handle = handle;
  drmIoctl(fd(), DRM_IOCTL_GEM_CLOSE, &close);
}

sdk::Expected<GemHandle> Card::Import(int dmabuf) {
  // One lock for both: a handle must not be closed between its import and its count.
  const std::lock_guard lock(mutex_);
  uint32_t handle = 0;
  if (drmPrimeFDToHandle(fd(), dmabuf, &handle) != 0) {
    const int number = errno;
    if (number == ENODEV && lost_) return KmsError(number, path_.c_str());
    return sdk::Status::Error(SLUICE_E_UNSUPPORTED, "%s (%s) does not import this dma-buf: %s",
                              path_.c_str(), driver_.c_str(), ErrnoText(number));
  }
  return Counted(handle);
}

sdk::Expected<DumbBuffer> Card::MakeDumb(uint32_t width, uint32_t height, uint32_t bits_per_pixel) {
  if (!has_dumb_buffers_) {
    return sdk::Status::Error(SLUICE_E_UNSUPPORTED, "%s (%s) makes no dumb buffers", path_.c_str(),
                              driver_.c_str());
  }
  drm_mode_create_dumb dumb{};
  dumb.width = width;
  dumb.height = height;
  dumb.bpp = bits_per_pixel;
  const std::lock_guard lock(mutex_);
  if (drmIoctl(fd(), DRM_IOCTL_MODE_CREATE_DUMB, &dumb) != 0) {
    const std::string what = sdk::Format("%s (%s): a dumb buffer of %ux%u", path_.c_str(),
                                         driver_.c_str(), width, height);
    return KmsError(errno, what.c_str());
  }
  DumbBuffer buffer;
  buffer.handle = Counted(dumb.handle);
  buffer.stride = dumb.pitch;
  buffer.size = dumb.size;
  return buffer;
}

sdk::Expected<sdk::UniqueFd> Card::Export(const GemHandle& handle) {
  int dmabuf = -1;
  if (drmPrimeHandleToFD(fd(), handle.get(), DRM_CLOEXEC | DRM_RDWR, &dmabuf) != 0) {
    return sdk::Status::Error(SLUICE_E_UNSUPPORTED, "%s (%s) does not export its buffers: %s",
                              path_.c_str(), driver_.c_str(), ErrnoText(errno));
  }
  return sdk::UniqueFd(dmabuf);
}

sdk::Expected<Framebuffer> Card::MakeFramebuffer(uint32_t fourcc, uint64_t modifier,
                                                 const sluice_layout& layout,
                                                 std::array<GemHandle, SLUICE_MAX_PLANES> handles) {
  uint32_t gem[4] = {};
  uint32_t strides[4] = {};
  uint32_t offsets[4] = {};
  uint64_t modifiers[4] = {};
  if (layout.plane_count == 0 || layout.plane_count > SLUICE_MAX_PLANES) {
    return sdk::Status::Error(SLUICE_E_INVALID_ARGUMENT, "a picture of %u planes",
                              layout.plane_count);
  }
  for (uint32_t i = 0; i < layout.plane_count; ++i) {
    const sluice_plane& plane = layout.planes[i];
    if (plane.part >= SLUICE_MAX_PLANES || !handles[plane.part] || plane.stride > UINT32_MAX ||
        plane.offset > UINT32_MAX) {
      return sdk::Status::Error(SLUICE_E_INVALID_ARGUMENT,
                                "plane %u: part %u, offset %llu, stride %llu", i, plane.part,
                                static_cast<unsigned long long>(plane.offset),
                                static_cast<unsigned long long>(plane.stride));
    }
    gem[i] = handles[plane.part].get();
    strides[i] = static_cast<uint32_t>(plane.stride);
    offsets[i] = static_cast<uint32_t>(plane.offset);
    modifiers[i] = modifier;
  }
  Framebuffer framebuffer;
  const bool plain = !has_modifiers_ || modifier == DRM_FORMAT_MOD_INVALID;
  const int failed = plain
                         ? drmModeAddFB2(fd(), layout.coded_width, layout.coded_height, fourcc, gem,
                                         strides, offsets, &framebuffer.id_, 0)
                         : drmModeAddFB2WithModifiers(fd(), layout.coded_width, layout.coded_height,
                                                      fourcc, gem, strides, offsets, modifiers,
                                                      &framebuffer.id_, DRM_MODE_FB_MODIFIERS);
  if (failed != 0) {
    framebuffer.id_ = 0;
    const std::string what = sdk::Format(
        "%s (%s): a framebuffer %.4s of %ux%u, stride %u, modifier 0x%llx", path_.c_str(),
        driver_.c_str(), reinterpret_cast<const char*>(&fourcc), layout.coded_width,
        layout.coded_height, strides[0], static_cast<unsigned long long>(modifier));
    return KmsError(errno, what.c_str());
  }
  framebuffer.card_ = shared_from_this();
  framebuffer.handles_ = std::move(handles);
  return framebuffer;
}

void Card::AddScreen(const std::shared_ptr<Screen>& screen) {
  const std::lock_guard lock(mutex_);
  std::erase_if(screens_, [](const auto& entry) { return entry.expired(); });
  screens_.push_back(screen);
}

void Card::RemoveScreen(const Screen* screen) {
  const std::lock_guard lock(mutex_);
  std::erase_if(screens_, [&](const auto& entry) {
    const std::shared_ptr<Screen> held = entry.lock();
    return held == nullptr || held.get() == screen;
  });
}

std::vector<std::shared_ptr<Screen>> Card::Screens() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::shared_ptr<Screen>> screens;
  for (const std::weak_ptr<Screen>& entry : screens_) {
    if (std::shared_ptr<Screen> screen = entry.lock()) screens.push_back(std::move(screen));
  }
  return screens;
}

}  // namespace sluice::drm
