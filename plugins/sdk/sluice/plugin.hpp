#ifndef SLUICE_SDK_PLUGIN_HPP_
#define SLUICE_SDK_PLUGIN_HPP_

#include <cstring>
#include <type_traits>

#include <sluice/doctor.hpp>
#include <sluice/domain.hpp>
#include <sluice/node.hpp>
#include <sluice/profile.hpp>

namespace sluice::sdk::internal {

template <class T>
concept NodeType = requires {
  T::kType;
};
template <class T>
concept DomainType = requires {
  T::kDomain;
};

template <class T>
concept PassesType = DomainType<T> && requires(T& domain, const sluice_island_desc& desc,
                                               std::span<const sluice_format> formats,
                                               PassSink& sink) {
  domain.Predict(desc, formats, formats, sink);
};

template <class T>
concept DoctorType = requires(Findings& findings) {
  T::Examine(findings);
};

template <class T>
concept ProfilerType = requires(Measurements& measurements) {
  T::Measure(measurements);
};

template <class T>
const char* NameOf() {
  if constexpr (NodeType<T>) return T::kType;
  if constexpr (DomainType<T>) return T::kDomain;
  return nullptr;
}

/// The factories and the entry of a plugin with the node, domain, doctor and profiler classes Ts.
template <class... Ts>
struct Plugin {
  static_assert(((NodeType<Ts> + DomainType<Ts> + DoctorType<Ts> + ProfilerType<Ts> == 1) && ...),
                "every class states kType (a node) or kDomain (a domain) or has a static "
                "Examine(Findings&) (a doctor) or Measure(Measurements&) (a profiler)");
  static_assert((0u + ... + (PassesType<Ts> ? 1u : 0u)) <= 1,
                "one domain of a plugin at most can tell its passes");

  static uint32_t NodeCount() noexcept { return (0u + ... + (NodeType<Ts> ? 1u : 0u)); }
  static uint32_t DomainCount() noexcept { return (0u + ... + (DomainType<Ts> ? 1u : 0u)); }
  static const char* NodeId(uint32_t index) noexcept {
    const char* id = nullptr;
    ((NodeType<Ts> && index-- == 0 ? static_cast<void>(id = NameOf<Ts>()) : static_cast<void>(0)),
     ...);
    return id;
  }
  static const char* DomainId(uint32_t index) noexcept {
    const char* id = nullptr;
    ((DomainType<Ts> && index-- == 0 ? static_cast<void>(id = NameOf<Ts>()) : static_cast<void>(0)),
     ...);
    return id;
  }

  static int32_t CreateNode(const sluice_host* host, const char* id, const sluice_param_set* params,
                            sluice_node_host* node_host, sluice_node* out) noexcept {
    int32_t result = SLUICE_E_NOT_FOUND;
    const auto try_one = [&]<class T>(std::type_identity<T>) {
      if constexpr (NodeType<T>) {
        if (std::strcmp(T::kType, id) != 0) return false;
        result = MakeNode<T>(host, params, node_host, out);
        return true;
      } else {
        return false;
      }
    };
    static_cast<void>((try_one(std::type_identity<Ts>{}) || ...));
    return result;
  }
  static int32_t CreateDomain(const sluice_host* host, const char* id,
                              const sluice_param_set* params, sluice_domain* out, char* error,
                              std::size_t error_size) noexcept {
    int32_t result = SLUICE_E_NOT_FOUND;
    const auto try_one = [&]<class T>(std::type_identity<T>) {
      if constexpr (DomainType<T>) {
        if (std::strcmp(T::kDomain, id) != 0) return false;
        result = DomainInstance<T>::Make(host, params, out, error, error_size);
        return true;
      } else {
        return false;
      }
    };
    static_cast<void>((try_one(std::type_identity<Ts>{}) || ...));
    return result;
  }

  static int32_t Init(const sluice_host* c_host) noexcept {
    return Guard(
        [&]() -> int32_t {
          if (c_host == nullptr) return SLUICE_E_INVALID_ARGUMENT;
          const Host host(c_host);
          const Status status = host.Check();
          if (!status.ok()) host.Log(SLUICE_LOG_ERROR, "sdk", "%s", status.c_message());
          return status.code();
        },
        [](int32_t, const char*) {});
  }
  static void Deinit() noexcept {}
  static const void* GetFactory(const char* id) noexcept {
    if ((NodeType<Ts> || ...) && std::strcmp(id, SLUICE_NODE_FACTORY_ID) == 0) return &kNodes;
    if ((DomainType<Ts> || ...) && std::strcmp(id, SLUICE_DOMAIN_FACTORY_ID) == 0) {
      return &kDomains;
    }
    if ((DoctorType<Ts> || ...) && std::strcmp(id, SLUICE_DOCTOR_ID) == 0) return &kDoctor;
    if (std::strcmp(id, SLUICE_PASSES_ID) == 0) return Passes();
    if ((ProfilerType<Ts> || ...) && std::strcmp(id, SLUICE_PROFILE_ID) == 0) return &kProfile;
    return nullptr;
  }

  static const void* Passes() noexcept {
    const void* table = nullptr;
    const auto take = [&]<class T>(std::type_identity<T>) {
      if constexpr (PassesType<T>) {
        static constexpr sluice_passes kPasses{sizeof(sluice_passes), 0,
                                               DomainInstance<T>::Predict,
                                               DomainInstance<T>::Measured};
        table = &kPasses;
      }
    };
    (take(std::type_identity<Ts>{}), ...);
    return table;
  }

  static void Examine(sluice_finding_sink* sink) noexcept {
    Findings findings(sink);
    const auto ask = [&]<class T>(std::type_identity<T>) {
      if constexpr (DoctorType<T>) {
        Guard([&]() -> int32_t { return T::Examine(findings), SLUICE_OK; },
              [&](int32_t, const char* text) { findings.Missing("plugins", "doctor", text, ""); });
      }
    };
    (ask(std::type_identity<Ts>{}), ...);
  }

  static void Measure(const sluice_profile_request* request,
                      const sluice_profile_sink* sink) noexcept {
    Measurements measurements(request, sink);
    const auto ask = [&]<class T>(std::type_identity<T>) {
      if constexpr (ProfilerType<T>) {
        Guard([&]() -> int32_t { return T::Measure(measurements), SLUICE_OK; },
              [&](int32_t, const char* text) { measurements.Problem(text); });
      }
    };
    (ask(std::type_identity<Ts>{}), ...);
  }

  static constexpr sluice_node_factory kNodes{sizeof(sluice_node_factory), 0, NodeCount, NodeId,
                                              CreateNode};
  static constexpr sluice_domain_factory kDomains{sizeof(sluice_domain_factory), 0, DomainCount,
                                                  DomainId, CreateDomain};

  static constexpr sluice_doctor kDoctor{sizeof(sluice_doctor), 0, Examine};
  static constexpr sluice_profile kProfile{sizeof(sluice_profile), 0, Measure};

  static constexpr sluice_entry Entry(uint64_t manifest_hash) {
    return {{SLUICE_ABI_MAJOR, SLUICE_ABI_MINOR}, manifest_hash, Init, Deinit, GetFactory};
  }
};

}  // namespace sluice::sdk::internal

/// Exports the plugin with these node and domain classes; a doctor class, with a static
/// Examine(Findings&), answers `sluice doctor`, a profiler class, with a static
/// Measure(Measurements&), `sluice doctor --measure`. Use it once, at global scope, with
/// SLUICE_MANIFEST_HASH defined as the first 16 hexadecimal digits of the manifest's SHA-256:
///     -DSLUICE_MANIFEST_HASH=0x$(sha256sum my.sluice.yaml | cut -c1-16)ull
#define SLUICE_EXPORT_PLUGIN(...)                                   \
  SLUICE_PLUGIN_EXPORT constinit const sluice_entry sluice_plugin = \
      ::sluice::sdk::internal::Plugin<__VA_ARGS__>::Entry(SLUICE_MANIFEST_HASH)

#endif  // SLUICE_SDK_PLUGIN_HPP_
