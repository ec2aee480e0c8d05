#pragma once

#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

namespace sluice::cli {

/// Makes the standard streams safe to use: a closed one stays unusable, but its
/// number can no longer be given to a file or device that is opened later; a
/// reader that goes away is an error of write(), not a signal.
/// Threads: before any other is started.
void PrepareStdStreams();

/// Writes all of `text` to stdout as the last act of a command whose product it is: kExitDone,
/// or kExitFailed after saying why. A reader that left early is not worth a message.
int Deliver(std::string_view text);
int DeliverJson(const nlohmann::ordered_json& json);

/// JSON text, indented by two, with a newline. Bytes that are not UTF-8 (a file's name) are
/// replaced.
std::string ToText(const nlohmann::ordered_json& json);

/// "sluice: KIND: MESSAGE" on stderr. A stderr that cannot be written is ignored.
void Complain(std::string_view kind, std::string_view message);
inline void ComplainError(std::string_view message) { Complain("error", message); }
inline void ComplainWarning(std::string_view message) { Complain("warning", message); }

/// Raw text on stderr.
void WriteErr(std::string_view text);

}  // namespace sluice::cli
