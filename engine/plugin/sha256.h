#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace sluice::plugin {

/// SHA-256 of `bytes` as 64 lower-case hexadecimal digits.
/// Spec: FIPS 180-4.
std::string Sha256Hex(std::string_view bytes);

/// The first 16 of those digits as a number: what sluice_entry.manifest_hash is.
uint64_t ManifestHash(std::string_view bytes);

}  // namespace sluice::plugin
