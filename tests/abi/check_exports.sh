#!/bin/bash
# check_exports.sh PLUGIN.so...: each plugin defines one dynamic symbol, sluice_plugin, and carries a manifest.
set -euo pipefail
failed=0
(($# > 0)) || { echo "no plugin was given" >&2; exit 2; }
for plugin in "$@"; do
  symbols=$(nm --dynamic --defined-only --format=posix "$plugin" | cut -d' ' -f1 | sort | tr '\n' ' ')
  if [[ $symbols != "sluice_plugin " ]]; then
    echo "$plugin exports: ${symbols:-nothing}; it must export sluice_plugin and nothing else"
    failed=1
  fi
  if ! readelf --wide --section-headers "$plugin" | grep -qF .sluice.manifest; then
    echo "$plugin has no section .sluice.manifest"
    failed=1
  fi
done
exit $failed
