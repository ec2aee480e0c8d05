#!/bin/bash
# The installed tree works wherever it is unpacked: the command finds its plugins, and a plugin author the headers.
set -euo pipefail
tar=$PWD/$1
examples=$PWD/plugins/examples
prefix=$TEST_TMPDIR/prefix
mkdir "$prefix"
tar -xzf "$tar" -C "$prefix"

fail() {
  echo "FAILED: $*" >&2
  (cd "$prefix" && find . -type f | sort) >&2
  exit 1
}

# Neither this test's runfiles nor the caller's own plugins may help it.
cd /
unset RUNFILES_DIR RUNFILES_MANIFEST_FILE TEST_SRCDIR SLUICE_PLUGIN_PATH
export HOME=$TEST_TMPDIR XDG_DATA_HOME=$TEST_TMPDIR/data
sluice=$prefix/bin/sluice

types=$("$sluice" list --json) || fail "sluice list"
for type in core.testsrc ffmpeg.read vulkan.look; do
  [[ $types == *"\"$type\""* ]] || fail "sluice list does not name $type: $types"
done
"$sluice" check "$prefix/share/sluice/graphs/noir.yaml" || fail "sluice check of an installed graph"

# A plugin is built against the installed headers alone, and found where --plugin-path says.
cp -rL "$examples/counter_c" "$TEST_TMPDIR/counter_c"
cd "$TEST_TMPDIR/counter_c"
export PKG_CONFIG_PATH=$prefix/lib/pkgconfig
# shellcheck disable=SC2046
cc -shared -fPIC -fvisibility=hidden -o counter_c.so counter.c $(pkg-config --cflags --libs sluice) \
  "-DSLUICE_MANIFEST_HASH=0x$(sha256sum <counter.sluice.yaml | cut -c1-16)ull" || fail "cc"
types=$("$sluice" --plugin-path "$PWD" list --json) || types=$("$sluice" list --json --plugin-path "$PWD") ||
  fail "sluice list with --plugin-path"
[[ $types == *counter* ]] || fail "the plugin built here is not listed: $types"
echo PASSED
