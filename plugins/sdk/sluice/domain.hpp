#ifndef SLUICE_SDK_DOMAIN_HPP_
#define SLUICE_SDK_DOMAIN_HPP_

#include <algorithm>
#include <cstring>
#include <memory>
#include <span>

#include <sluice/domain.h>
#include <sluice/passes.h>
#include <sluice/node.hpp>

namespace sluice::sdk {

/// Takes the passes that a domain would make of an island.
class PassSink {
 public:
  explicit PassSink(const sluice_pass_sink* sink) : sink_(sink) {}
  /// Copies.
  void Add(const sluice_pass& pass) { sink_->add(sink_->self, &pass); }

 private:
  const sluice_pass_sink* sink_;
};

/// Takes what a device measured of an island's passes.
class PassTimeSink {
 public:
  explicit PassTimeSink(const sluice_pass_time_sink* sink) : sink_(sink) {}
  /// Copies.
  void Add(const sluice_pass_time& time) { sink_->add(sink_->self, &time); }

 private:
  const sluice_pass_time_sink* sink_;
};

}  // namespace sluice::sdk

namespace sluice::sdk::internal {

/// The table of a domain class T. T states
///     static constexpr const char* kDomain = "name";
///     class Island;  // any class
///     static Expected<std::unique_ptr<T>> Create(const Host&, const Params&);        [main-thread]
///     Status Describe(sluice_domain_info&);                                          [main-thread]
///     Expected<std::unique_ptr<Island>> CreateIsland(const sluice_island_desc&);     [main-thread]
///     Status Submit(Island&, const sluice_batch&, std::span<sluice_fence>); [process-thread] void
///     ForgetPool(uint32_t pool, uint32_t epoch);                                [main-thread]
///     Status WaitIdle(int64_t deadline_ns);                                          [main-thread]
/// and may state both of
///     Expected<uint64_t> Predict(const sluice_island_desc&, std::span<const sluice_format> inputs,
///                                std::span<const sluice_format> outputs, PassSink&); [main-thread]
///     Status Measured(const Island&, PassTimeSink&);                                 [main-thread]
/// which answer SLUICE_PASSES_ID; Predict gives the bytes inside of the island.
/// A node of the plugin gets its T by DomainCast<T>(context().Domain()).
template <class T>
struct DomainInstance {
  Host host;
  std::unique_ptr<T> domain;

  static DomainInstance& From(void* self) { return *static_cast<DomainInstance*>(self); }

  template <class Body>
  int32_t Run(Body&& body) noexcept {
    return Guard(body, [this](int32_t, const char* text) { Report(text); });
  }
  void Report(const char* text) const { host.Log(SLUICE_LOG_ERROR, T::kDomain, "%s", text); }
  int32_t Code(const Status& status) const {
    if (!status.ok() && *status.c_message() != 0) Report(status.c_message());
    return status.code();
  }

  static int32_t Describe(void* self, sluice_domain_info* out) noexcept {
    DomainInstance& me = From(self);
    return me.Run([&] { return me.Code(me.domain->Describe(*out)); });
  }
  static int32_t CreateIsland(void* self, const sluice_island_desc* desc,
                              sluice_island** out) noexcept {
    DomainInstance& me = From(self);
    return me.Run([&]() -> int32_t {
      auto island = me.domain->CreateIsland(*desc);
      if (!island.ok()) return me.Code(island.status());
      *out = reinterpret_cast<sluice_island*>((*island).release());
      return SLUICE_OK;
    });
  }
  static void DestroyIsland(void* self, sluice_island* island) noexcept {
    From(self).Run([&]() -> int32_t {
      delete reinterpret_cast<typename T::Island*>(island);
      return SLUICE_OK;
    });
  }
  static int32_t Submit(void* self, sluice_island* island, const sluice_batch* batch,
                        sluice_fence* fences) noexcept {
    DomainInstance& me = From(self);
    return me.Run([&] {
      return me.Code(me.domain->Submit(*reinterpret_cast<typename T::Island*>(island), *batch,
                                       std::span(fences, batch->output_count + 1)));
    });
  }
  static void ForgetPool(void* self, uint32_t pool, uint32_t epoch) noexcept {
    From(self).Run([&]() -> int32_t {
      From(self).domain->ForgetPool(pool, epoch);
      return SLUICE_OK;
    });
  }
  static int32_t WaitIdle(void* self, int64_t deadline_ns) noexcept {
    DomainInstance& me = From(self);
    return me.Run([&] { return me.Code(me.domain->WaitIdle(deadline_ns)); });
  }
  static int32_t Predict(void* self, const sluice_island_desc* desc, const sluice_format* inputs,
                         const sluice_format* outputs, const sluice_pass_sink* sink,
                         uint64_t* inner_bytes) noexcept {
    DomainInstance& me = From(self);
    return me.Run([&]() -> int32_t {
      PassSink passes(sink);
      auto bytes = me.domain->Predict(*desc, std::span(inputs, desc->input_count),
                                      std::span(outputs, desc->output_count), passes);
      // That there is nothing to say is no news.
      if (!bytes.ok()) return bytes.status().code();
      *inner_bytes = *bytes;
      return SLUICE_OK;
    });
  }
  static int32_t Measured(void* self, const sluice_island* island,
                          const sluice_pass_time_sink* sink) noexcept {
    DomainInstance& me = From(self);
    return me.Run([&]() -> int32_t {
      PassTimeSink times(sink);
      return me.domain->Measured(*reinterpret_cast<const typename T::Island*>(island), times)
          .code();
    });
  }

  static void Destroy(void* self) noexcept {
    auto* me = static_cast<DomainInstance*>(self);
    me->Run([&]() -> int32_t {
      me->domain.reset();
      return SLUICE_OK;
    });
    delete me;
  }

  static int32_t Make(const sluice_host* c_host, const sluice_param_set* params, sluice_domain* out,
                      char* error, std::size_t error_size) noexcept {
    const auto report = [&](int32_t, const char* text) {
      if (error == nullptr || error_size == 0) return;
      const std::size_t size = std::min(std::strlen(text), error_size - 1);
      std::memcpy(error, text, size);
      error[size] = '\0';
    };
    return Guard(
        [&]() -> int32_t {
          auto instance = std::make_unique<DomainInstance>();
          instance->host = Host(c_host);
          Expected<std::unique_ptr<T>> made = T::Create(instance->host, Params(params));
          if (!made.ok()) {
            report(made.status().code(), made.status().c_message());
            return made.status().code();
          }
          instance->domain = *std::move(made);
          *out = sluice_domain{instance.get(), Describe,   CreateIsland, DestroyIsland,
                               Submit,         ForgetPool, WaitIdle,     Destroy};
          instance.release();
          return SLUICE_OK;
        },
        report);
  }
};

}  // namespace sluice::sdk::internal

namespace sluice::sdk {

/// The T behind what NodeContext::Domain() or `sluice_domain.self` gave.
/// Requires: it is null or was made by this plugin's T.
template <class T>
T* DomainCast(void* self) {
  return self == nullptr ? nullptr : internal::DomainInstance<T>::From(self).domain.get();
}

}  // namespace sluice::sdk

#endif  // SLUICE_SDK_DOMAIN_HPP_
