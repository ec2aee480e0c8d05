#!/bin/bash
# The graphs with PipeWire in graphs/, each as its head says: other processes read the virtual cameras.
# usage: graphs_test.sh SLUICE WITH_DAEMON
set -euo pipefail
sluice=$(realpath "$1") with_daemon=$(realpath "$2") graphs=$(realpath graphs)
cd "$TEST_TMPDIR"

cat >reader.yaml <<'END'
sluice: 1
name: reader
params: { target: sluice, frames: 12 }
nodes:
  camera: { type: pipewire.capture, target: "${target}", frames: "${frames}" }
  sums: { type: core.checksum, path: arrived.txt, overwrite: true }
edges: [ camera -> sums ]
END
cat >webcam.yaml <<'END'
sluice: 1
name: webcam
settings: { clock: realtime }
nodes:
  pictures: { type: core.testsrc, size: 320x180, rate: 30, format: YUYV }
  camera: { type: pipewire.camera, name: webcam, description: Somebody's webcam }
edges: [ pictures -> camera ]
END
cat >sent.yaml <<'END'
sluice: 1
name: sent
params: { clip: /usr/share/forensics-samples/original-files/movie1/VID_20191220_170832.mp4 }
nodes:
  clip: { type: ffmpeg.read, path: "${clip}" }
  look: { type: vulkan.look, look: noir }
  sums: { type: core.checksum, path: sent.txt }
edges: [ clip -> look -> sums ]
END

cat >functions.sh <<'END'
set -euo pipefail
sluice=$1
shift
# start NAME GRAPH...: a camera in the background, whose node is NAME.
start() {
  local name=$1
  shift
  "$sluice" run "$@" >"$name.txt" 2>&1 &
  for _ in {1..400}; do
    ! pw-cli ls Node | grep -q "node.name = \"$name\"" || return 0
    kill -0 $! || break
    sleep 0.05
  done
  cat "$name.txt"
  return 1
}
# finish NAME: of the last one that was started.
finish() {
  local status=0
  kill -TERM $!
  wait $! || status=$?
  cat "$1.txt"
  ((status == 0 || status == 130 || status == 143))
}
END
cat >with_camera.sh <<'END'
. ./functions.sh
[[ $1 != --webcam ]] || { shift; start webcam webcam.yaml; }
start sluice "$@"
"$sluice" run reader.yaml | tee reader.txt
finish sluice
END
cat >record.sh <<'END'
. ./functions.sh
start webcam webcam.yaml
"$sluice" run "$@"
finish webcam
END

check() {
  echo "--- $1"
  shift
  "$@" || { echo "FAILED: $*"; exit 1; }
}
status=0
"$with_daemon" --session-manager -- bash with_camera.sh "$sluice" --webcam "$graphs/virtual-camera.yaml" \
  --set camera=webcam || status=$?
if ((status == 77)); then
  echo "SKIP: PipeWire or its session manager is not installed: run ./setup"
  exit 0
fi
((status == 0)) || exit "$status"
check "virtual-camera.yaml is read without a copy" grep -q '^bytes copied: 0$' reader.txt
check "and itself copies nothing" grep -q '^bytes copied: 0$' sluice.txt
check "twelve frames were read" test "$(wc -l <arrived.txt)" = 12

"$sluice" run sent.yaml
check "virtual-camera-from-file.yaml" "$with_daemon" --session-manager -- bash with_camera.sh "$sluice" \
  "$graphs/virtual-camera-from-file.yaml"
check "is read without a copy" grep -q '^bytes copied: 0$' reader.txt
# The sums of what was read are those of the clip's filtered frames, in their order.
check "shows the clip, frame for frame" awk '
  NR == FNR { sent[$3] = NR; next }
  !($3 in sent) || sent[$3] <= last { print "frame " $1 " is not the next one of the clip"; bad = 1 }
  { last = sent[$3] }
  END { exit bad }' sent.txt arrived.txt

check "screen-to-file.yaml" "$with_daemon" --session-manager -- bash record.sh "$sluice" \
  "$graphs/screen-to-file.yaml" --set screen=webcam --set frames=20 --set movie="$PWD/screen.mp4"
check "has every frame" test "$(ffprobe -v error -count_frames -select_streams v -show_entries stream=nb_read_frames \
  -of csv=p=0 screen.mp4)" = 20
