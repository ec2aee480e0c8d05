#include "nodes/vulkan/user_shader.h"

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

#include "nodes/vulkan/glsl.h"
#include "nodes/vulkan/pass_text.h"
#include "nodes/vulkan/user_text.h"

namespace sluice::vulkan {
namespace {

constexpr size_t kMaxShaderBytes = 256 * 1024;
bool IsIdentifier(std::string_view name) {
  if (name.empty() || name.size() > 64 || std::isdigit(static_cast<unsigned char>(name[0])) != 0)
    return false;
  for (const char c : name) {
    if (std::isalnum(static_cast<unsigned char>(c)) == 0 && c != '_') return false;
  }
  // GLSL reserves both.
  return name.find("__") == std::string_view::npos && name.substr(0, 3) != "gl_";
}

Status AddParam(const std::string& name, double value, UserShader& shader) {
  if (!std::isfinite(static_cast<float>(value)))
    return Fail(SLUICE_E_INVALID_ARGUMENT, "params: " + name + " is no finite number");
  if (!IsIdentifier(name)) {
    return Fail(SLUICE_E_INVALID_ARGUMENT, "\"" + name + "\" is not a name that a shader can use");
  }
  for (const std::string& known : shader.param_names) {
    if (known == name)
      return Fail(SLUICE_E_INVALID_ARGUMENT, "parameter \"" + name + "\" is there twice");
  }
  if (shader.param_names.size() == kParamCount) {
    return Fail(SLUICE_E_INVALID_ARGUMENT,
                "a shader has at most " + std::to_string(kParamCount - 1) + " parameters");
  }
  shader.values[shader.param_names.size()] = static_cast<float>(value);
  shader.param_names.push_back(name);
  return {};
}

Status AddMap(const std::string& json, UserShader& shader) {
  const auto map = nlohmann::json::parse(json, nullptr, false);
  if (!map.is_object()) return Fail(SLUICE_E_INVALID_ARGUMENT, "params: not a map of numbers");
  for (const auto& [name, value] : map.items()) {
    double number = 0;
    if (value.is_number()) {
      number = value.get<double>();
    } else if (value.is_boolean()) {
      number = value.get<bool>() ? 1 : 0;
    } else if (value.is_string()) {
      // A scalar of YAML may come as its text.
      char* end = nullptr;
      const std::string text = value.get<std::string>();
      number = std::strtod(text.c_str(), &end);
      if (text.empty() || *end != '\0') {
        return Fail(SLUICE_E_INVALID_ARGUMENT, "params: " + name + " is not a number");
      }
    } else {
      return Fail(SLUICE_E_INVALID_ARGUMENT, "params: " + name + " is not a number");
    }
    if (Status s = AddParam(name, number, shader); !s) return s;
  }
  return {};
}

/// As #line can say it.
std::string AsLineName(std::string path) {
  const auto is_odd = [](char c) {
    return c == '"' || c == '\\' || std::iscntrl(static_cast<unsigned char>(c)) != 0;
  };
  std::replace_if(path.begin(), path.end(), is_odd, '_');
  return path;
}

Result<std::string> ReadText(const std::string& path) {
  // A FIFO would be waited for.
  std::error_code error;
  const auto status = std::filesystem::status(path, error);
  if (std::filesystem::exists(status) && !std::filesystem::is_regular_file(status))
    return Fail(SLUICE_E_INVALID_ARGUMENT, path + ": is no file");
  std::ifstream file(path, std::ios::binary);
  if (!file) return Fail(SLUICE_E_NOT_FOUND, path + ": " + std::strerror(errno));
  std::string text;
  text.resize(kMaxShaderBytes + 1);
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(file.gcount()));
  if (text.size() > kMaxShaderBytes) {
    return Fail(SLUICE_E_INVALID_ARGUMENT,
                path + ": a shader has at most " + std::to_string(kMaxShaderBytes) + " bytes");
  }
  return WithLineFeeds(text);
}

/// How Sluice calls each interface; what is the user's is marked.
constexpr char kCallColor[] = R"(
vec4 shade(vec4 c, ivec2 at) {
  const vec3 rgb = sluiceLimited ? c.rgb : clamp(c.rgb, 0.0, 1.0);
  return vec4(clamp(mix(rgb, shade_own0(rgb, at), param(0)), 0.0, 1.0), c.a);
}
)";
constexpr char kCallColorAlpha[] = R"(
vec4 shade(vec4 c, ivec2 at) { return mix(c, shade_own0(c, at), param(0)); }
)";
constexpr char kCallSample[] = R"(
vec4 shade(ivec2 at) {
  const vec4 c = shade_own0(at);
  return param(0) == 1.0 ? c : mix(pixel0(at), c, param(0));
}
)";

const char* CallOf(Interface interface) {
  switch (interface) {
    case Interface::kColor:
      return kCallColor;
    case Interface::kColorAlpha:
      return kCallColorAlpha;
    default:
      return kCallSample;
  }
}

/// The user's text between what it may use and the call of its function. Its names are marked, so
/// that they may be those of GLSL's functions and of Sluice's text.
std::string Wrap(const UserShader& shader, Interface interface, bool reads_around) {
  const std::string text = WithoutComments(shader.text);
  std::map<std::string, std::string, std::less<>> names;
  for (const std::string& name : TopLevelNames(text)) names[name] = OwnName(name);
  std::string out;
  for (size_t i = 1; i < shader.param_names.size(); ++i) {
    const std::string& name = shader.param_names[i];
    names[name] = OwnName(name);
    out += "float " + names[name] + " = param(" + std::to_string(i) + ");\n";
  }
  // What the text may call, unless it has these names itself.
  if (names.try_emplace("frameSize", OwnName("frameSize")).second)
    out += "vec2 " + names["frameSize"] + "() { return vec2(frameSize()); }\n";
  const bool looks_around = reads_around || interface == Interface::kSample;
  if (looks_around && names.try_emplace("sampleRgb", OwnName("sampleRgb")).second)
    out += "vec3 " + names["sampleRgb"] + "(vec2 at) { return bilinear0(at).rgb; }\n";
  return out + "#line 1 \"" + shader.name + "\"\n" + Rename(text, names) +
         "\n#line 1 \"sluice\"\n" + CallOf(interface);
}

}  // namespace

Result<UserShader> LoadUserShader(const sdk::Params& params) {
  UserShader shader;
  shader.param_names.emplace_back("amount");
  shader.values[0] = static_cast<float>(params.Float("amount", 1.0));
  const std::string path = params.String("shader");
  const std::string source = params.String("source");
  if (path.empty() == source.empty()) {
    return Fail(SLUICE_E_INVALID_ARGUMENT, "give either shader (a file) or source (GLSL)");
  }
  shader.name = path.empty() ? "source" : AsLineName(path);
  shader.path = path;
  if (path.empty()) {
    shader.text = WithLineFeeds(source);
  } else {
    auto text = ReadText(path);
    if (!text) return tl::unexpected(text.error());
    shader.text = std::move(*text);
  }
  if (params.Has("params")) {
    if (Status s = AddMap(params.String("params"), shader); !s) return tl::unexpected(s.error());
  }
  for (const sluice_param& param : params.all()) {
    const std::string name = param.name;
    if (name == "amount") continue;
    double value = 0;
    if (param.type == SLUICE_VALUE_FLOAT) {
      value = param.f;
    } else if (param.type == SLUICE_VALUE_INT || param.type == SLUICE_VALUE_BOOL) {
      value = static_cast<double>(param.i);
    } else {
      continue;
    }
    if (Status s = AddParam(name, value, shader); !s) return tl::unexpected(s.error());
  }
  return shader;
}

Status ReadUserShader(UserShader& shader) {
  auto text = ReadText(shader.path);
  if (!text) return tl::unexpected(text.error());
  shader.text = std::move(*text);
  return {};
}

Status SetUserParams(const std::string& json, UserShader& shader) {
  UserShader given;
  if (Status s = AddMap(json, given); !s) return s;
  Params values = shader.values;
  for (size_t i = 0; i < given.param_names.size(); ++i) {
    const auto known =
        std::find(shader.param_names.begin(), shader.param_names.end(), given.param_names[i]);
    if (known == shader.param_names.end()) {
      return Fail(SLUICE_E_NOT_FOUND,
                  "the shader has no parameter \"" + given.param_names[i] + "\"");
    }
    values[static_cast<size_t>(known - shader.param_names.begin())] = given.values[i];
  }
  shader.values = values;
  return {};
}

Stage UserStage(const UserShader& shader) {
  const Interface interface = InterfaceOf(shader.text);
  Stage stage;
  stage.kind = interface == Interface::kSample ? Stage::Kind::kSample : Stage::Kind::kPointwise;
  stage.label =
      shader.path.empty() ? shader.name : std::filesystem::path(shader.path).filename().string();
  stage.origin = shader.name;
  stage.samples = stage.kind == Stage::Kind::kPointwise && ReadsAround(shader.text);
  stage.glsl = Wrap(shader, interface, stage.samples);
  stage.param_count = kParamCount;
  stage.limits = interface == Interface::kColor;
  // The amount: worth a body of its own where little else is done.
  if (stage.kind == Stage::Kind::kPointwise && !stage.samples) stage.neutrals = {{0, 1.0F}};
  return stage;
}

}  // namespace sluice::vulkan
