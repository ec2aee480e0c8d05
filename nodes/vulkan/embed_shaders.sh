#!/bin/bash
# embed_shaders.sh FILE...: prints a C++ header with the text of each shader file, for compilation at run time.
set -euo pipefail
echo '#pragma once'
echo '#include <string_view>'
echo 'struct ShaderSource { std::string_view name; std::string_view text; };'
echo 'inline constexpr ShaderSource kShaderSources[] = {'
for file in "$@"; do
  printf '{"%s", R"__GLSL__(' "${file##*/}"
  cat -- "$file"
  printf ')__GLSL__"},\n'
done
echo '};'
