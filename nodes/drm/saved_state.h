#pragma once

#include <cstdint>
#include <vector>

#include <sluice/sdk.hpp>

#include "nodes/drm/kms.h"

namespace sluice::drm {

/// What a CRTC showed before we came: its mode, its planes, and what was connected to it.
class SavedState {
 public:
  /// Reads the state of `crtc` with the planes that it shows, and of `plane` and `connector`,
  /// wherever those are.
  /// Errors: IO.
  static sdk::Expected<SavedState> Read(int fd, uint32_t crtc, uint32_t plane, uint32_t connector);

  /// Another connector that is to be let go by Restore().
  void AddConnector(uint32_t connector, uint32_t crtc_id_property);
  /// Turns the CRTC's planes off but for `kept`, as another program's would lie over our picture.
  void DisableOthers(AtomicRequest& request, uint32_t kept) const;
  /// Puts it back; waits for the screen. Where it no longer can be (its owner is gone, and its
  /// framebuffer with it) the CRTC is turned off, and the kernel's console comes back by itself.
  /// Errors: DEVICE_LOST; PERMISSION_DENIED; IO.
  sdk::Status Restore(int fd, bool* turned_off) const;

 private:
  struct Value {
    uint32_t property;
    uint64_t value;
  };
  struct Object {
    uint32_t id = 0;
    std::vector<Value> values;
  };
  struct Plane {
    uint32_t id = 0;
    uint32_t fb_id = 0, crtc_id = 0;  ///< properties
    bool shown = false;
    std::vector<Value> values;
  };
  int Commit(int fd, bool off) const;

  Object crtc_;
  uint32_t mode_property_ = 0, active_property_ = 0;
  std::vector<std::byte> mode_;  ///< the mode's bytes; empty = off
  bool active_ = false;
  std::vector<Object> connectors_;  ///< CRTC_ID each
  std::vector<Plane> planes_;
};

}  // namespace sluice::drm
