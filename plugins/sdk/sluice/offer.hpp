#ifndef SLUICE_SDK_OFFER_HPP_
#define SLUICE_SDK_OFFER_HPP_

#include <cstring>
#include <initializer_list>
#include <vector>

#include <sluice/format.h>
#include <sluice/node.h>
#include <sluice/host.hpp>

namespace sluice::sdk {

/// Puts one sluice_offer together. What is not said is "any"; linear is the modifier unless others
/// are named.
class OfferBuilder {
 public:
  OfferBuilder() { offer_.struct_size = sizeof(offer_); }

  OfferBuilder& Formats(std::initializer_list<uint32_t> fourccs) {
    fourccs_.insert(fourccs_.end(), fourccs);
    return *this;
  }
  OfferBuilder& Format(uint32_t fourcc) { return Formats({fourcc}); }
  OfferBuilder& Modifiers(std::initializer_list<uint64_t> modifiers) {
    modifiers_.insert(modifiers_.end(), modifiers);
    return *this;
  }
  /// SLUICE_VIEW_* bits that the port can use.
  OfferBuilder& Views(uint32_t views) { return Set(&sluice_offer::views, views); }
  /// SLUICE_VIEW_* bits of memory that the port can make.
  OfferBuilder& Allocates(uint32_t views) { return Set(&sluice_offer::allocates, views); }
  /// SLUICE_SYNC_* bits.
  OfferBuilder& Sync(uint32_t sync) { return Set(&sluice_offer::sync, sync); }
  /// Exactly this size, pixels.
  OfferBuilder& Size(uint32_t width, uint32_t height) {
    return Width(width, width, 1).Height(height, height, 1);
  }
  OfferBuilder& Width(uint32_t min, uint32_t max, uint32_t step) {
    offer_.width_min = min;
    offer_.width_max = max;
    offer_.width_step = step;
    return *this;
  }
  OfferBuilder& Height(uint32_t min, uint32_t max, uint32_t step) {
    offer_.height_min = min;
    offer_.height_max = max;
    offer_.height_step = step;
    return *this;
  }
  OfferBuilder& Rate(sluice_rate min, sluice_rate max) {
    offer_.rate_min = min;
    offer_.rate_max = max;
    return *this;
  }
  OfferBuilder& Rate(sluice_rate rate) { return Rate(rate, rate); }
  /// `assumed`: SLUICE_COLOR_FIELD_* bits that were guessed, not read.
  OfferBuilder& Color(const sluice_color& color, uint32_t assumed = 0) {
    offer_.color = color;
    offer_.color_assumed = assumed;
    return *this;
  }
  /// Multiples of the coded size, pixels.
  OfferBuilder& CodedMultiples(uint32_t width, uint32_t height) {
    offer_.width_multiple = width;
    offer_.height_multiple = height;
    return *this;
  }
  /// Multiples in bytes.
  OfferBuilder& Align(uint32_t stride, uint32_t offset, uint32_t base, uint32_t size) {
    offer_.stride_multiple = stride;
    offer_.offset_multiple = offset;
    offer_.base_multiple = base;
    offer_.size_multiple = size;
    return *this;
  }
  OfferBuilder& TailBytes(uint32_t bytes) { return Set(&sluice_offer::tail_bytes, bytes); }
  OfferBuilder& Buffers(uint32_t min, uint32_t max) {
    offer_.buffers_min = min;
    offer_.buffers_max = max;
    return *this;
  }
  OfferBuilder& Hold(uint32_t min, uint32_t max) {
    offer_.hold_min = min;
    offer_.hold_max = max;
    return *this;
  }
  OfferBuilder& Retains(uint32_t frames) { return Set(&sluice_offer::retains, frames); }
  OfferBuilder& DynamicReserve(uint32_t frames) {
    return Set(&sluice_offer::dynamic_reserve, frames);
  }
  /// Taking it copies each frame; `reason` outlives the builder.
  OfferBuilder& Copies(const char* reason) {
    offer_.copies = reason;
    return *this;
  }
  OfferBuilder& Device(const uint8_t (&uuid)[16]) {
    std::memcpy(offer_.device_uuid, uuid, sizeof(uuid));
    return *this;
  }

  /// Borrows from the builder: valid until it changes or ends.
  const sluice_offer& Build() {
    offer_.fourccs = fourccs_.data();
    offer_.fourcc_count = static_cast<uint32_t>(fourccs_.size());
    offer_.modifiers = modifiers_.data();
    offer_.modifier_count = static_cast<uint32_t>(modifiers_.size());
    return offer_;
  }

 private:
  OfferBuilder& Set(uint32_t sluice_offer::*member, uint32_t value) {
    offer_.*member = value;
    return *this;
  }

  std::vector<uint32_t> fourccs_;
  std::vector<uint64_t> modifiers_;
  sluice_offer offer_{};
};

/// Where Probe() puts the refined offers. Valid for that call.
class OfferSink {
 public:
  OfferSink(const Host& host, sluice_offer_sink* sink) : host_(host), sink_(sink) {}

  /// Copies the offer.
  /// Errors: NOT_FOUND for a port that is none; INVALID_ARGUMENT.
  Status Add(const char* port, const sluice_offer& offer) {
    const int32_t code = host_.nodes()->offer(sink_, port, &offer);
    if (code >= 0) return {};
    return Status::Error(code, "the offer for port %s was refused", port);
  }
  Status Add(const char* port, OfferBuilder& builder) { return Add(port, builder.Build()); }

 private:
  Host host_;
  sluice_offer_sink* sink_;
};

}  // namespace sluice::sdk

#endif  // SLUICE_SDK_OFFER_HPP_
