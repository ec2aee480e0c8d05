#include "nodes/vulkan/user_shader.h"

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <shaderc/shaderc.hpp>
#include <sstream>
#include <string_view>

#include "nodes/vulkan/shader_sources.h"

namespace sluice::vulkan {
namespace {

constexpr size_t kMaxShaderBytes = 256 * 1024;
constexpr char kInterface[] = "vec3 shade(vec3 color, ivec2 position)";

/// Resolves the includes of frame.comp: its own parts, and "user.glsl".
class Includer final : public shaderc::CompileOptions::IncluderInterface {
 public:
  explicit Includer(std::string user) : user_(std::move(user)) {}

  shaderc_include_result* GetInclude(const char* requested, shaderc_include_type, const char*,
                                     size_t) override {
    std::string_view text;
    if (std::strcmp(requested, "user.glsl") == 0) {
      text = user_;
    } else {
      for (const ShaderSource& part : kShaderSources) {
        if (part.name == requested) text = part.text;
      }
    }
    static constexpr std::string_view kMissing = "no such file";
    const bool found = !text.empty();
    auto* result = new shaderc_include_result{};
    // An empty name tells the compiler that the content is an error message.
    result->source_name = found ? requested : "";
    result->source_name_length = std::strlen(result->source_name);
    result->content = found ? text.data() : kMissing.data();
    result->content_length = found ? text.size() : kMissing.size();
    return result;
  }
  void ReleaseInclude(shaderc_include_result* result) override { delete result; }

 private:
  const std::string user_;
};

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

Result<std::string> ReadText(const std::string& path) {
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
  return text;
}

/// The text with blanks for comments and continued lines joined; places stay in their lines.
std::string WithoutComments(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size();) {
    const std::string_view rest = text.substr(i);
    if (rest.starts_with("//")) {
      i += std::min(rest.find('\n'), rest.size());
    } else if (rest.starts_with("/*")) {
      const size_t end = std::min(rest.find("*/", 2), rest.size() - 2) + 2;
      out += ' ';
      out.append(static_cast<size_t>(std::count(rest.begin(), rest.begin() + static_cast<long>(end), '\n')), '\n');
      i += end;
    } else if (rest.starts_with("\\\n")) {
      i += 2;
    } else {
      out += text[i++];
    }
  }
  return out;
}

bool IsWordChar(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }

/// Words that would give the shader resources of its own, which nothing binds.
constexpr std::string_view kResourceWords[] = {"buffer", "uniform", "shared", "layout"};
constexpr std::string_view kDirectives[] = {"define", "undef", "if",    "ifdef", "ifndef",
                                            "else",   "elif",  "endif", "error", "pragma"};

/// The complaint about the word or directive at `at`, or "".
std::string Complaint(std::string_view text, size_t at, std::string_view word) {
  const size_t line = text.find_last_of('\n', at == 0 ? 0 : at - 1);
  const size_t begin = line == std::string_view::npos || text[line] != '\n' ? 0 : line + 1;
  const std::string_view before = text.substr(begin, at - begin);
  const size_t hash = before.find_first_not_of(" \t");
  const bool directive = hash != std::string_view::npos && before[hash] == '#' &&
                         before.find_first_not_of(" \t", hash + 1) == std::string_view::npos;
  if (directive && std::find(std::begin(kDirectives), std::end(kDirectives), word) == std::end(kDirectives)) {
    return "`#" + std::string(word) + "` is Sluice's part";
  }
  if (std::find(std::begin(kResourceWords), std::end(kResourceWords), word) != std::end(kResourceWords)) {
    return "`" + std::string(word) + "`: a user's shader has no resources of its own";
  }
  if (word == "main") return "`main` is Sluice's part";
  return "";
}

/// What the compiler cannot say well, because it sees our part of the text too, and what would let
/// the text reach beyond its pixel.
Status CheckInterface(const UserShader& shader) {
  const std::string text = WithoutComments(shader.text);
  int line = 1;
  bool shade = false;
  for (size_t i = 0; i < text.size();) {
    std::string complaint;
    size_t end = i + 1;
    if (text[i] == '\n') {
      ++line;
    } else if (std::string_view(text).substr(i).starts_with("##")) {
      complaint = "`##` is not for a user's shader";
    } else if (IsWordChar(text[i])) {
      while (end < text.size() && IsWordChar(text[end])) ++end;
      const std::string_view word = std::string_view(text).substr(i, end - i);
      shade = shade || word == "shade";
      complaint = Complaint(text, i, word);
    }
    if (!complaint.empty()) {
      return Fail(SLUICE_E_INVALID_ARGUMENT, shader.name + ":" + std::to_string(line) + ": " +
                                                 complaint + ": define only `" + kInterface + "`");
    }
    i = end;
  }
  if (shade) return {};
  return Fail(SLUICE_E_INVALID_ARGUMENT, shader.name + ": defines no `" + kInterface + "`");
}

/// The user's text between the declarations that it may use and the call of its function.
std::string Wrap(const UserShader& shader) {
  std::string out = "vec2 frameSize() { return vec2(push.width, push.height); }\n";
  out += std::string(kInterface) + ";\n";
  for (size_t i = 1; i < shader.param_names.size(); ++i) {
    out += "float " + shader.param_names[i] + " = push.param[" + std::to_string(i) + "];\n";
  }
  out += "#line 1 \"" + shader.name + "\"\n" + shader.text + "\n#line 1 \"sluice\"\n";
  out += "vec3 look(vec3 rgb, ivec2 at) { return shade(rgb, at); }\n";
  return out;
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
  shader.name = path.empty() ? "source" : path;
  if (path.empty()) {
    shader.text = source;
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

Result<std::vector<uint32_t>> CompileUserShader(const UserShader& shader) {
  if (Status s = CheckInterface(shader); !s) return tl::unexpected(s.error());
  shaderc::CompileOptions options;
  options.SetTargetEnvironment(shaderc_target_env_vulkan, shaderc_env_version_vulkan_1_3);
  options.SetOptimizationLevel(shaderc_optimization_level_performance);
  options.AddMacroDefinition("SLUICE_USER_SHADER", "1");
  options.SetIncluder(std::make_unique<Includer>(Wrap(shader)));
  std::string_view main;
  for (const ShaderSource& part : kShaderSources) {
    if (part.name == std::string_view("frame.comp")) main = part.text;
  }
  const shaderc::Compiler compiler;
  const auto result = compiler.CompileGlslToSpv(main.data(), main.size(), shaderc_compute_shader,
                                                "frame.comp", options);
  if (result.GetCompilationStatus() != shaderc_compilation_status_success) {
    std::string message = result.GetErrorMessage();
    while (!message.empty() && message.back() == '\n') message.pop_back();
    if (message.find("No function definition (body) found") != std::string::npos) {
      message = shader.name + ": defines no `" + kInterface + "`";
    }
    return Fail(SLUICE_E_INVALID_ARGUMENT, message);
  }
  return std::vector<uint32_t>(result.cbegin(), result.cend());
}

}  // namespace sluice::vulkan
