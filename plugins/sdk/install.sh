#!/bin/bash
# install.sh PREFIX: puts the plugin headers, sluice.pc and the linker's version script below PREFIX.
set -euo pipefail
[ $# -eq 1 ] || { echo "usage: install.sh PREFIX" >&2; exit 2; }
root=$(cd "$(dirname "$0")/../.." && pwd)
mkdir -p "$1"
prefix=$(cd "$1" && pwd)
install -d "$prefix/include/sluice/testing" "$prefix/lib/pkgconfig" "$prefix/lib/sluice"
install -m 644 "$root"/plugins/abi/sluice/*.h "$root"/plugins/sdk/sluice/*.hpp "$prefix/include/sluice/"
install -m 644 "$root"/plugins/sdk/sluice/testing/*.hpp "$prefix/include/sluice/testing/"
install -m 644 "$root/bazel/plugin.lds" "$prefix/lib/sluice/"
sed "s|@PREFIX@|$prefix|; s|@VERSION@|0.1.0|" "$root/plugins/sdk/sluice.pc.in" > "$prefix/lib/pkgconfig/sluice.pc"
