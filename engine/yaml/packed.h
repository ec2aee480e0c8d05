#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "engine/yaml/value.h"

namespace sluice::yaml {

/// The tree as bytes that are read much faster than its text: a form for caches, of this version of
/// the engine alone. Marks are in it.
std::string Pack(const Value& value);

/// Nothing for bytes that are no tree within the limits of depth and number. What Pack() made comes
/// back as it was.
std::optional<Value> Unpack(std::string_view bytes, const Limits& limits = {});

}  // namespace sluice::yaml
