#include <algorithm>
#include <cctype>
#include <iterator>
#include <set>
#include <string_view>

#include "nodes/vulkan/compiler.h"
#include "nodes/vulkan/glsl.h"
#include "nodes/vulkan/pass_text.h"
#include "nodes/vulkan/user_shader.h"
#include "nodes/vulkan/user_text.h"

namespace sluice::vulkan {
namespace {

constexpr char kInterface[] = "vec3 shade(vec3 color, ivec2 position)";
constexpr char kInterfaces[] =
    "`vec3 shade(vec3 color, ivec2 position)`, `vec4 shade(vec4 color, ivec2 position)` or "
    "`vec4 shade(ivec2 position)`";

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

Compiler& SharedCompiler() {
  static Compiler* const compiler = new Compiler(CacheDirectory());
  return *compiler;
}

bool IsWordOfGlsl(const std::string& name) {
  const std::string text = "#version 460\nvoid main() {\n  float " + name + " = 0.0;\n}\n";
  return !SharedCompiler().Compile(text, "sluice");
}

/// A parameter that the text cannot see, or not as what it is, is a mistake.
Status CheckParameterNames(const UserShader& shader) {
  const std::vector<std::string> arguments = ArgumentsOf(shader.text);
  for (size_t i = 1; i < shader.param_names.size(); ++i) {
    const std::string& name = shader.param_names[i];
    const char* of = nullptr;
    if (name == "shade") of = "the function itself";
    if (std::find(arguments.begin(), arguments.end(), name) != arguments.end())
      of = "an argument of `shade`";
    if (of == nullptr && IsWordOfGlsl(name)) of = "a word of GLSL";
    if (of == nullptr) continue;
    return Fail(SLUICE_E_INVALID_ARGUMENT,
                shader.name + ": parameter \"" + name + "\" has the name of " + of);
  }
  return {};
}

void ReplaceAll(std::string& text, std::string_view what, std::string_view by) {
  for (size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + by.size()))
    text.replace(at, what.size(), by);
}

Error NotClosed(const UserShader& shader, const Unclosed& unclosed) {
  return {SLUICE_E_INVALID_ARGUMENT, shader.name + ":" + std::to_string(unclosed.line) +
                                         ": error: `" + unclosed.what + "` is not closed"};
}

/// The compiler's message, or a better one where it found the fault behind the user's text.
std::string Explain(const UserShader& shader, std::string message) {
  // A file may be named as if it were marked.
  constexpr std::string_view kPlace = "\x01";
  ReplaceAll(message, shader.name, kPlace);
  message = PlainMessage(std::move(message));
  const bool has_place = message.find(std::string(kPlace) + ":") != std::string::npos;
  ReplaceAll(message, kPlace, shader.name);
  if (message.find("No function definition (body) found") != std::string::npos)
    return shader.name + ": `shade` has no body";
  if (has_place) return message;
  if (const auto unclosed = UnclosedBracket(shader.text))
    return NotClosed(shader, *unclosed).message;
  return shader.name + ": error at the end of the text: " + message;
}

/// The text of one pass that has the shader alone.
Result<std::string> TextWith(const UserShader& shader) {
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
  return MakePassText(network, plan->passes.front(), {0}, {}).glsl;
}

}  // namespace

Status CheckUserShader(const UserShader& shader) {
  // The compiler is not shown comments.
  if (const auto unclosed = UnclosedComment(shader.text))
    return tl::unexpected(NotClosed(shader, *unclosed));
  if (Status s = CheckInterface(shader); !s) return s;
  if (InterfaceOf(shader.text) == Interface::kNone) {
    return Fail(SLUICE_E_INVALID_ARGUMENT, shader.name + ": `shade` is none of " + kInterfaces);
  }
  if (Status s = CheckParameterNames(shader); !s) return s;
  const auto text = TextWith(shader);
  if (!text) return tl::unexpected(text.error());
  const auto spirv = SharedCompiler().Compile(*text, "sluice");
  if (spirv) return {};
  return Fail(SLUICE_E_INVALID_ARGUMENT, Explain(shader, spirv.error().message));
}

}  // namespace sluice::vulkan
