#!/bin/bash
# embed_manifest.sh MANIFEST: prints C source that puts the file's bytes into the section .sluice.manifest.
set -euo pipefail
manifest=$1
sha256=$(sha256sum -- "$manifest" | cut -d' ' -f1)
cat <<EOF
/* Generated from ${manifest##*/}. */
extern const char sluice_manifest_sha256[65];
const char sluice_manifest_sha256[65] = "$sha256";

/* Nothing refers to the bytes: they are read from the file, so the linker is told to keep them. */
__attribute__((section(".sluice.manifest"), used, retain))
static const unsigned char sluice_manifest_bytes[] = {
EOF
od -An -v -tu1 -- "$manifest" | sed -E 's/[[:space:]]*([0-9]+)/\1,/g'
echo '};'
