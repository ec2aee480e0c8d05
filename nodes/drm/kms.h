#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <xf86drm.h>
#include <xf86drmMode.h>
#include <sluice/sdk.hpp>

namespace sluice::drm {

/// "Permission denied", for any thread.
const char* ErrnoText(int number);

/// What a failed ioctl means for the user: DEVICE_LOST when the device is gone, PERMISSION_DENIED
/// without master, UNSUPPORTED for what the driver does not do, else IO. `number`: errno.
sdk::Status KmsError(int number, const char* what);

template <auto Free>
struct Freed {
  template <class T>
  void operator()(T* object) const {
    Free(object);
  }
};
using ResourcesPtr = std::unique_ptr<drmModeRes, Freed<drmModeFreeResources>>;
using ConnectorPtr = std::unique_ptr<drmModeConnector, Freed<drmModeFreeConnector>>;
using EncoderPtr = std::unique_ptr<drmModeEncoder, Freed<drmModeFreeEncoder>>;
using CrtcPtr = std::unique_ptr<drmModeCrtc, Freed<drmModeFreeCrtc>>;
using PlanesPtr = std::unique_ptr<drmModePlaneRes, Freed<drmModeFreePlaneResources>>;
using PlanePtr = std::unique_ptr<drmModePlane, Freed<drmModeFreePlane>>;
using BlobPtr = std::unique_ptr<drmModePropertyBlobRes, Freed<drmModeFreePropertyBlob>>;
using VersionPtr = std::unique_ptr<drmVersion, Freed<drmFreeVersion>>;

/// The properties of one KMS object, by name, with their values when they were read.
class Properties {
 public:
  struct Property {
    std::string name;
    uint32_t id = 0;
    uint64_t value = 0;
    std::vector<std::pair<std::string, uint64_t>> choices;  ///< of an enum
  };

  /// Empty where the object cannot be read. Type: DRM_MODE_OBJECT_*.
  static Properties Read(int fd, uint32_t object, uint32_t type);

  /// Null where the object has none of that name.
  const Property* Find(const char* name) const;
  /// 0 where the object has none of that name.
  uint32_t Id(const char* name) const;
  uint64_t Value(const char* name, uint64_t fallback = 0) const;
  /// The number of an enum's choice. False: there is none.
  bool Choice(const char* name, const char* choice, uint64_t* value) const;

 private:
  std::vector<Property> all_;
};

/// The bytes of a property blob; empty where there is none.
std::vector<std::byte> ReadBlob(int fd, uint32_t blob);

/// A CRTC as the choice of one sees it.
struct CrtcUse {
  bool possible = false;  ///< wired to the connector, and no screen of ours has it
  bool lit = false;       ///< another connector shows from it
  bool current = false;   ///< the connector itself does
};

/// The index of the CRTC for a connector, or nothing where none is possible. One that no other
/// connector shows from comes first, then the connector's own, which needs no change of wires.
std::optional<std::size_t> ChooseCrtc(std::span<const CrtcUse> crtcs);

/// One atomic commit. Used again and again, it allocates nothing.
/// Spec: DRM_IOCTL_MODE_ATOMIC
class AtomicRequest {
 public:
  void Clear();
  /// What Set() is about from now on.
  void Object(uint32_t id);
  /// A property of that object; nothing where its id is 0.
  void Set(uint32_t property, uint64_t value);
  /// 0, or the errno of the failure. Flags: DRM_MODE_ATOMIC_*, DRM_MODE_PAGE_FLIP_EVENT.
  int Commit(int fd, uint32_t flags, uint64_t user_data = 0);

 private:
  std::vector<uint32_t> objects_, counts_, properties_;
  std::vector<uint64_t> values_;
};

/// A mode (or anything else) as a property blob, for as long as this object is.
class Blob {
 public:
  Blob() = default;
  /// An empty one (id 0) where the kernel refuses.
  Blob(int fd, const void* bytes, std::size_t size);
  Blob(Blob&& other) noexcept : fd_(other.fd_), id_(std::exchange(other.id_, 0)) {}
  Blob& operator=(Blob&& other) noexcept {
    std::swap(fd_, other.fd_);
    std::swap(id_, other.id_);
    return *this;
  }
  ~Blob();
  uint32_t id() const { return id_; }

 private:
  int fd_ = -1;
  uint32_t id_ = 0;
};

/// A page flip as the kernel reported it.
struct FlipEvent {
  uint64_t user_data = 0;
  int64_t time_ns = 0;  ///< CLOCK_MONOTONIC of the vblank
  uint32_t sequence = 0;
};

/// Takes the flips out of what was read from a card. Events of other kinds are skipped; one that
/// claims more bytes than there are ends the list.
/// Spec: struct drm_event_vblank
std::vector<FlipEvent> ParseEvents(std::span<const std::byte> bytes);

/// Who signals a sync_file, and how far it is.
struct FenceInfo {
  int32_t status = 1;     ///< 1 signalled, 0 pending, negative: the errno that it failed with
  std::string signaller;  ///< "sw_sync timeline t"; empty when not known
};

/// `fd` -1: signalled.
FenceInfo DescribeFence(int fd);
/// The status alone: allocates nothing.
int32_t FenceStatus(int fd);
/// Whether the kernel does not promise that it signals: one of sw_sync, which a program signals.
/// Allocates nothing.
bool MayNeverSignal(int fd);

}  // namespace sluice::drm
