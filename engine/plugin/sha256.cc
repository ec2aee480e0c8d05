#include "engine/plugin/sha256.h"

#include <openssl/evp.h>

#include <array>

#include "engine/base/result.h"

namespace sluice::plugin {
namespace {

std::array<unsigned char, 32> Sha256(std::string_view bytes) {
  std::array<unsigned char, 32> digest{};
  unsigned int size = 0;
  // Fails only where libcrypto itself is broken: there is no input that it refuses.
  SLUICE_CHECK(
      EVP_Digest(bytes.data(), bytes.size(), digest.data(), &size, EVP_sha256(), nullptr) == 1);
  SLUICE_CHECK(size == digest.size());
  return digest;
}

}  // namespace

std::string Sha256Hex(std::string_view bytes) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (const unsigned char byte : Sha256(bytes)) {
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

uint64_t ManifestHash(std::string_view bytes) {
  const auto digest = Sha256(bytes);
  uint64_t hash = 0;
  for (int i = 0; i < 8; ++i) hash = hash << 8 | digest[static_cast<size_t>(i)];
  return hash;
}

}  // namespace sluice::plugin
