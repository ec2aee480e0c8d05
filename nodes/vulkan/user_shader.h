#ifndef SLUICE_NODES_VULKAN_USER_SHADER_H_
#define SLUICE_NODES_VULKAN_USER_SHADER_H_

#include <cstdint>
#include <sluice/params.hpp>
#include <string>
#include <vector>

#include "nodes/vulkan/looks.h"
#include "nodes/vulkan/result.h"

namespace sluice::vulkan {

/// GLSL of a graph's own and its numbers. docs/shaders.md says what the text must hold.
struct UserShader {
  std::string name;  ///< For messages: the file's path, or "source".
  std::string path;  ///< Of the file; empty for text in the graph.
  std::string text;
  /// In the order of Params; the first is "amount".
  std::vector<std::string> param_names;
  Params values{};
};

/// From the node's parameters: `shader` (a file) or `source` (the text); `params` (a map of
/// numbers), and every other number: those that the manifest of a plugin without code declares.
/// Errors: InvalidArgument, NotFound, Io.
Result<UserShader> LoadUserShader(const sdk::Params& params);

/// Reads the text anew from its file. Errors: NotFound, InvalidArgument.
Status ReadUserShader(UserShader& shader);

/// Sets numbers from a map in JSON. Errors: NotFound for a name that the shader does not have;
/// InvalidArgument. Nothing is set then.
Status SetUserParams(const std::string& json, UserShader& shader);

/// Compiles the text on its own. Errors: InvalidArgument; the message has the compiler's lines,
/// each with the shader's name and line.
Status CheckUserShader(const UserShader& shader);

/// The shader as a stage; a sampling one's inputs are for the caller to say.
Stage UserStage(const UserShader& shader);

}  // namespace sluice::vulkan

#endif  // SLUICE_NODES_VULKAN_USER_SHADER_H_
