#!/bin/bash
# Installs the headers into a prefix and builds the examples there with pkg-config, as a third party would.
set -euo pipefail
root=$PWD
work=$(mktemp -d "${TEST_TMPDIR:-/tmp}/out_of_tree.XXXXXX")
trap 'rm -rf "$work"' EXIT

"$root/plugins/sdk/install.sh" "$work/prefix"
export PKG_CONFIG_PATH=$work/prefix/lib/pkgconfig

fail() { echo "FAILED: $*" >&2; exit 1; }

# The plugin exports one symbol, and has its manifest inside, byte for byte.
check() {
  local so=$1 manifest=$2
  [ "$(nm -D --defined-only "$so" | awk '{print $NF}')" = sluice_plugin ] ||
    fail "$so exports something else: $(nm -D --defined-only "$so")"
  objcopy --dump-section .sluice.manifest="$work/manifest" "$so" "$work/copy.so"
  cmp "$work/manifest" "$manifest" || fail "$so has another manifest"
}

for example in invert counter_c; do
  cp -rL "$root/plugins/examples/$example" "$work/$example"
  make -s -C "$work/$example" || fail "make in $example"
done
check "$work/invert/invert.so" "$work/invert/invert.sluice.yaml"
check "$work/counter_c/counter_c.so" "$work/counter_c/counter.sluice.yaml"

# The line in counter.c's head, with nothing but cc.
cd "$work/counter_c"
rm counter_c.so
cc -shared -fPIC -fvisibility=hidden -o counter_c.so counter.c $(pkg-config --cflags sluice) \
  -DSLUICE_MANIFEST_HASH=0x$(sha256sum < counter.sluice.yaml | cut -c1-16)ull
check counter_c.so counter.sluice.yaml

# The guide's first plugin: each code block that begins with the name of a file is that file.
mkdir "$work/guide"
cd "$work/guide"
awk '/^```[a-z]/ { inside = 1; name = ""; next }
     /^```$/ { inside = 0 }
     inside && name == "" { name = $1 ~ "^(//|#|/[*])$" ? $2 : "/dev/null" }
     inside { print > name }' "$root/docs/plugin-guide.md"
bash -eu build || fail "the guide's build"
check half.so half.sluice.yaml
bash -eu test || fail "the guide's test"
echo PASSED
