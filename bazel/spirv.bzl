"""spirv_header: a GLSL shader, compiled, as a C++ header with a constexpr array of its words."""

def spirv_header(name, src, symbol = None, target_env = "vulkan1.3", srcs = [], glslc_flags = [], **kwargs):
    """Makes the library `name`, whose header `SYMBOL_spv.h` defines `constexpr std::uint32_t SYMBOL_spv[]`.

    Args:
      name: of the cc_library.
      src: the shader; the stage comes from its extension (.comp, ...).
      symbol: C++ name of the array without `_spv`; `name` if not given.
      target_env: glslc --target-env.
      srcs: files that the shader #includes (found beside it).
      glslc_flags: more flags, for example -DSIZE=8.
      **kwargs: to cc_library.
    """
    symbol = symbol or name
    header = symbol + "_spv.h"
    native.genrule(
        name = name + "_gen",
        srcs = [src] + srcs,
        outs = [header],
        cmd = """
set -e
words=$$(mktemp)
trap 'rm -f "$$words"' EXIT
glslc --target-env={env} -O -mfmt=num {flags} -o "$$words" $(location {src})
{{
  echo '#pragma once'
  echo '#include <cstdint>'
  echo 'inline constexpr std::uint32_t {symbol}_spv[] = {{'
  cat "$$words"
  echo '}};'
}} > $@
""".format(env = target_env, flags = " ".join(glslc_flags), src = src, symbol = symbol),
        message = "Compiling shader",
    )
    native.cc_library(name = name, hdrs = [header], includes = ["."], **kwargs)
