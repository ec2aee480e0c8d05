#pragma once

namespace sluice::cli {

/// Exit statuses of the command; docs/cli.md promises them.
inline constexpr int kExitDone = 0;
inline constexpr int kExitFailed =
    1;  ///< the graph failed while running, or the output was not written
inline constexpr int kExitUsage = 2;    ///< the command line or the graph is wrong
inline constexpr int kExitMachine = 3;  ///< the machine lacks a device, a driver or a plugin
/// The user ended the run (SIGINT, SIGTERM). What drained is whole, but it is not all that the
/// graph says.
inline constexpr int kExitInterrupted = 130;

}  // namespace sluice::cli
