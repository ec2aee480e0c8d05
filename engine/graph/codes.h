#pragma once

#include <string_view>

namespace sluice::graph {

// Codes of findings in a graph text; docs/graph-language.md explains each. A
// code keeps its meaning for ever; new findings get new numbers.

// The shape of the text (engine/config).
inline constexpr std::string_view kErrKind = "SLU-E101";     ///< a list where a mapping is due, ...
inline constexpr std::string_view kErrVersion = "SLU-E102";  ///< `sluice:` missing or unknown
inline constexpr std::string_view kErrUnknownKey = "SLU-E103";
inline constexpr std::string_view kErrMissingKey = "SLU-E104";
inline constexpr std::string_view kErrBadValue = "SLU-E105";  ///< of a key of the language itself
inline constexpr std::string_view kErrSubstitution =
    "SLU-E106";  ///< ${...} unknown, without value, unclosed
inline constexpr std::string_view kErrOverride = "SLU-E107";  ///< --set
inline constexpr std::string_view kErrName = "SLU-E108";      ///< not a valid name
inline constexpr std::string_view kErrEdgeSyntax = "SLU-E109";

// What it refers to (engine/graph).
inline constexpr std::string_view kErrUnknownNode = "SLU-E120";
inline constexpr std::string_view kErrUnknownType = "SLU-E121";
inline constexpr std::string_view kErrUnknownParam = "SLU-E122";
inline constexpr std::string_view kErrParamValue = "SLU-E123";
inline constexpr std::string_view kErrMissingParam = "SLU-E124";
inline constexpr std::string_view kErrUnknownPort = "SLU-E125";
inline constexpr std::string_view kErrPortNeeded = "SLU-E126";  ///< several ports: which one?
inline constexpr std::string_view kErrPortDirection = "SLU-E127";
inline constexpr std::string_view kErrInputTaken = "SLU-E128";  ///< a second edge into one input
inline constexpr std::string_view kErrUnconnected = "SLU-E129";
inline constexpr std::string_view kErrCycle = "SLU-E130";
inline constexpr std::string_view kErrSync = "SLU-E131";
inline constexpr std::string_view kErrEmptyGraph = "SLU-E132";

inline constexpr std::string_view kWarnUnusedParam = "SLU-W101";
inline constexpr std::string_view kWarnDevice = "SLU-W102";  ///< of `gpu`, not on this machine

}  // namespace sluice::graph
