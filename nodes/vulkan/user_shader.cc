#include "nodes/vulkan/user_shader.h"

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <set>
#include <string_view>
#include <utility>

#include "nodes/vulkan/compiler.h"
#include "nodes/vulkan/glsl.h"
#include "nodes/vulkan/pass_text.h"

namespace sluice::vulkan {
namespace {

constexpr size_t kMaxShaderBytes = 256 * 1024;
constexpr char kInterface[] = "vec3 shade(vec3 color, ivec2 position)";
constexpr char kInterfaces[] =
    "`vec3 shade(vec3 color, ivec2 position)`, `vec4 shade(vec4 color, ivec2 position)` or "
    "`vec4 shade(ivec2 position)`";

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
  return text;
}

/// The length of the continuation ("\" and the end of the line) that the text begins with, or 0.
size_t Continuation(std::string_view text) {
  if (text.starts_with("\\\n")) return 2;
  return text.starts_with("\\\r\n") ? 3 : 0;
}

/// The length of the comment to the end of its line, which may be continued.
size_t LineComment(std::string_view text) {
  size_t i = 0;
  while (i < text.size() && text[i] != '\n') i += std::max<size_t>(Continuation(text.substr(i)), 1);
  return i;
}

/// The text with blanks for comments and continued lines joined, as the compiler sees it. What
/// comes behind stays in its line.
std::string WithoutComments(std::string_view text) {
  std::string out;
  size_t joined = 0;
  for (size_t i = 0; i < text.size();) {
    const std::string_view rest = text.substr(i);
    if (rest.starts_with("//")) {
      const size_t end = LineComment(rest);
      joined += static_cast<size_t>(
          std::count(rest.begin(), rest.begin() + static_cast<long>(end), '\n'));
      i += end;
    } else if (rest.starts_with("/*")) {
      const size_t end = std::min(rest.find("*/", 2), rest.size() - 2) + 2;
      out += ' ';
      out.append(static_cast<size_t>(
                     std::count(rest.begin(), rest.begin() + static_cast<long>(end), '\n')),
                 '\n');
      i += end;
    } else if (const size_t length = Continuation(rest); length > 0) {
      ++joined;
      i += length;
    } else {
      if (text[i] == '\n') out.append(std::exchange(joined, 0), '\n');
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

using NameSet = std::set<std::string, std::less<>>;

/// Names of Sluice's text around that reach memory at any place.
const NameSet& MemoryNames() {
  static const NameSet* const names = [] {
    auto* all = new NameSet{"table"};
    for (const char* file : {"result.glsl", "source.glsl", "load.glsl", "store.glsl"}) {
      for (std::string& name : TopLevelNames(ShaderText(file))) all->insert(std::move(name));
    }
    return all;
  }();
  return *names;
}

/// Whether the word is one of those, of whichever input (pass_text.h marks them).
bool ReachesMemory(std::string_view word) {
  return MemoryNames().contains(word) || MemoryNames().contains(PlainMessage(std::string(word)));
}

/// The complaint about the word or directive at `at`, or "". `own`: names that the text defines.
std::string Complaint(std::string_view text, size_t at, std::string_view word, const NameSet& own) {
  const size_t line = text.find_last_of('\n', at == 0 ? 0 : at - 1);
  const size_t begin = line == std::string_view::npos || text[line] != '\n' ? 0 : line + 1;
  const std::string_view before = text.substr(begin, at - begin);
  const size_t hash = before.find_first_not_of(" \t");
  const bool directive = hash != std::string_view::npos && before[hash] == '#' &&
                         before.find_first_not_of(" \t", hash + 1) == std::string_view::npos;
  if (directive &&
      std::find(std::begin(kDirectives), std::end(kDirectives), word) == std::end(kDirectives)) {
    return "`#" + std::string(word) + "` is Sluice's part";
  }
  if (std::find(std::begin(kResourceWords), std::end(kResourceWords), word) !=
      std::end(kResourceWords)) {
    return "`" + std::string(word) + "`: a user's shader has no resources of its own";
  }
  if (word == "main") return "`main` is Sluice's part";
  if (!own.contains(word) && ReachesMemory(word))
    return "`" + std::string(word) + "` is a name of Sluice's part";
  return "";
}

/// What the compiler cannot say well, because it sees our part of the text too, and what would let
/// the text reach beyond its pixel.
Status CheckInterface(const UserShader& shader) {
  const std::string text = WithoutComments(shader.text);
  const std::vector<std::string> names = TopLevelNames(text);
  NameSet own(names.begin(), names.end());
  own.insert(shader.param_names.begin(), shader.param_names.end());
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
      complaint = Complaint(text, i, word, own);
    }
    if (!complaint.empty()) {
      return Fail(SLUICE_E_INVALID_ARGUMENT, shader.name + ":" + std::to_string(line) + ": " +
                                                 complaint + ": define only `" + kInterface +
                                                 "` or another of its kind");
    }
    i = end;
  }
  if (shade) return {};
  return Fail(SLUICE_E_INVALID_ARGUMENT, shader.name + ": defines no `" + kInterface + "`");
}

/// Which of the three interfaces the text defines.
enum class Interface { kNone, kColor, kColorAlpha, kSample };

/// The types of a function's parameters; `at`: behind its "(".
std::vector<std::string_view> ParameterTypes(const std::vector<std::string_view>& tokens,
                                             size_t at) {
  std::vector<std::string_view> types;
  bool expected = true;
  for (; at < tokens.size() && tokens[at] != ")"; ++at) {
    if (tokens[at] == ",") {
      expected = true;
    } else if (expected && tokens[at] != "const" && tokens[at] != "in") {
      types.push_back(tokens[at]);
      expected = false;
    }
  }
  return types;
}

Interface InterfaceOf(const std::string& text) {
  const std::vector<std::string_view> tokens = GlslTokens(text);
  for (size_t i = 1; i + 1 < tokens.size(); ++i) {
    if (tokens[i] != "shade" || tokens[i + 1] != "(") continue;
    const std::vector<std::string_view> types = ParameterTypes(tokens, i + 2);
    using Types = std::vector<std::string_view>;
    if (tokens[i - 1] == "vec3" && types == Types{"vec3", "ivec2"}) return Interface::kColor;
    if (tokens[i - 1] == "vec4" && types == Types{"vec4", "ivec2"}) return Interface::kColorAlpha;
    if (tokens[i - 1] == "vec4" && types == Types{"ivec2"}) return Interface::kSample;
  }
  return Interface::kNone;
}

/// Whether the text names a function that reads pixels other than its own.
bool ReadsAround(const std::string& text) {
  const std::vector<std::string_view> tokens = GlslTokens(text);
  return std::any_of(tokens.begin(), tokens.end(), [](std::string_view token) {
    return token == "sampleRgb" || token == "pixel0" || token == "bilinear0";
  });
}

/// How Sluice calls each interface.
constexpr char kCallColor[] = R"(
vec4 shade(vec4 c, ivec2 at) {
  const vec3 rgb = sluiceLimited ? c.rgb : clamp(c.rgb, 0.0, 1.0);
  return vec4(clamp(mix(rgb, userShade(rgb, at), param(0)), 0.0, 1.0), c.a);
}
)";
constexpr char kCallColorAlpha[] = R"(
vec4 shade(vec4 c, ivec2 at) { return mix(c, userShade(c, at), param(0)); }
)";
constexpr char kCallSample[] = R"(
vec4 shade(ivec2 at) {
  const vec4 c = userShade(at);
  return param(0) == 1.0 ? c : mix(pixel0(at), c, param(0));
}
)";

/// The user's text between what it may use and the call of its function.
std::string Wrap(const UserShader& shader, Interface interface, bool reads_around) {
  std::string out = "vec2 userFrameSize() { return vec2(frameSize()); }\n";
  if (reads_around || interface == Interface::kSample)
    out += "vec3 userSampleRgb(vec2 at) { return bilinear0(at).rgb; }\n";
  for (size_t i = 1; i < shader.param_names.size(); ++i)
    out += "float " + shader.param_names[i] + " = param(" + std::to_string(i) + ");\n";
  out += "#line 1 \"" + shader.name + "\"\n" +
         Rename(WithoutComments(shader.text), {{"shade", "userShade"},
                                               {"frameSize", "userFrameSize"},
                                               {"sampleRgb", "userSampleRgb"}}) +
         "\n#line 1 \"sluice\"\n";
  out += interface == Interface::kColor        ? kCallColor
         : interface == Interface::kColorAlpha ? kCallColorAlpha
                                               : kCallSample;
  return out;
}

/// Names as the user wrote them.
std::string AsWritten(std::string message) {
  message = PlainMessage(std::move(message));
  for (const auto& [ours, theirs] : {std::pair<std::string, std::string>{"userShade", "shade"},
                                     {"userFrameSize", "frameSize"},
                                     {"userSampleRgb", "sampleRgb"}}) {
    for (size_t at = message.find(ours); at != std::string::npos; at = message.find(ours, at))
      message.replace(at, ours.size(), theirs);
  }
  return message;
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
  shader.path = path;
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

Status CheckUserShader(const UserShader& shader) {
  if (Status s = CheckInterface(shader); !s) return s;
  if (InterfaceOf(shader.text) == Interface::kNone) {
    return Fail(SLUICE_E_INVALID_ARGUMENT, shader.name + ": `shade` is none of " + kInterfaces);
  }
  constexpr uint32_t kInputs = 4;
  auto shape = HalfFloatShape(16, 16);
  if (!shape) return tl::unexpected(shape.error());
  Network network;
  network.inputs.assign(kInputs, *shape);
  network.outputs = {*shape};
  network.output_nodes = {0};
  Network::Node node;
  node.name = shader.name;
  node.stages = {UserStage(shader)};
  if (node.stages[0].kind == Stage::Kind::kSample) node.stages[0].inputs = {0, 1, 2, 3};
  for (uint32_t i = 0; i < kInputs; ++i)
    node.sources.push_back({Network::Source::Kind::kBorder, i});
  network.nodes.push_back(std::move(node));
  const auto plan = PlanPasses(network, {});
  if (!plan) return tl::unexpected(plan.error());
  static Compiler* const compiler = new Compiler(CacheDirectory());
  const PassText text = MakePassText(network, plan->passes.front(), {0}, {});
  const auto spirv = compiler->Compile(text.glsl, "sluice");
  if (spirv) return {};
  std::string message = AsWritten(spirv.error().message);
  if (message.find("No function definition (body) found") != std::string::npos)
    message = shader.name + ": `shade` has no body";
  return Fail(SLUICE_E_INVALID_ARGUMENT, message);
}

}  // namespace sluice::vulkan
