#!/bin/bash
# In a guest whose first card is vkms, the second virtio-gpu: whole graphs that end on a display.
# usage: drm_graph.sh SLUICE
set -euo pipefail
sluice=$(realpath "$1")
cd "$TEST_TMPDIR"

cat >show.yaml <<'YAML'
sluice: 1
name: show
nodes:
  source: { type: core.testsrc, pattern: noise, size: 640x480, format: XR24, frames: 20 }
  sum: { type: core.checksum, path: shown.txt }
  screen: { type: drm.display, device: /dev/dri/card0, mode: 640x480 }
  back: { type: drm.writeback, device: /dev/dri/card0, size: 640x480, lossless: true }
  check: { type: core.checksum, path: back.txt }
edges:
  - source -> sum -> screen
  - back -> check
YAML
"$sluice" run show.yaml | tee report.txt
grep -q '^bytes copied: 0$' report.txt
test "$(wc -l <shown.txt)" -eq 20
cmp shown.txt back.txt
echo "what was written back equals what was shown, picture by picture"

cat >own.yaml <<'YAML'
sluice: 1
name: own
nodes:
  source: { type: core.testsrc, size: 640x480, format: XR24, frames: 20 }
  screen: { type: drm.display, device: /dev/dri/card1, mode: 640x480 }
edges:
  - source -> screen
YAML
"$sluice" run own.yaml | tee report.txt
grep -q '^bytes copied: 0$' report.txt
grep -q 'screen: 20 frames shown' report.txt
grep -q 'source.out .* screen.in ' report.txt
echo "a driver that refuses foreign buffers makes them itself"
