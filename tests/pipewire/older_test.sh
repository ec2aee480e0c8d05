#!/bin/bash
# Sluice's PipeWire nodes, built against the oldest PipeWire that is supported, with that PipeWire's daemon and library:
# one process is a camera, another reads it, and every frame that arrives is the one that was sent.
# usage: older_test.sh FOLDER SLUICE WITH_DAEMON [PLUGIN...]; FOLDER is empty where that PipeWire is not unpacked.
set -euo pipefail
folder=$1 sluice=$(realpath "$2") with_daemon=$(realpath "$3")
shift 3
if [[ -z $folder ]]; then
  echo "SKIP: the oldest PipeWire is not unpacked here: run ./setup (on Debian 12)"
  exit 0
fi

plugins=$TEST_TMPDIR/plugins
mkdir -p "$plugins"
for plugin in "$@"; do
  [[ $plugin != *.so ]] || cp "$plugin" "$plugins/"
done

cd "$TEST_TMPDIR"
readonly PICTURES='type: core.testsrc, pattern: noise, size: 320x180, rate: 60, format: XR24'
cat >camera.yaml <<END
sluice: 1
name: camera
settings: { clock: realtime }
nodes:
  pictures: { $PICTURES }
  camera: { type: pipewire.camera, name: older }
edges: [ pictures -> camera ]
END
cat >reader.yaml <<END
sluice: 1
name: reader
nodes:
  camera: { type: pipewire.capture, target: older, frames: 100 }
  sums: { type: core.checksum, path: arrived.txt }
edges: [ camera -> sums ]
END
cat >sent.yaml <<END
sluice: 1
name: sent
nodes:
  pictures: { $PICTURES, frames: 1000 }
  sums: { type: core.checksum, path: sent.txt }
edges: [ pictures -> sums ]
END
cat >both.sh <<'END'
set -euo pipefail
pw-cli --version | tee versions.txt
"$1" run --plugin-path "$2" camera.yaml >camera.txt 2>&1 &
camera=$!
for _ in {1..200}; do
  ! pw-cli ls Node | grep -q '"older"' || break
  kill -0 "$camera"
  sleep 0.05
done
"$1" run --plugin-path "$2" reader.yaml
kill -TERM "$camera"
wait "$camera" || echo "the camera's exit status: $?"
END

libraries=$folder/usr/lib/x86_64-linux-gnu
"$sluice" run sent.yaml >sent.log
env PATH="$folder/usr/bin:$PATH" LD_LIBRARY_PATH="$libraries" PIPEWIRE_MODULE_DIR="$libraries/pipewire-0.3" \
  SPA_PLUGIN_DIR="$libraries/spa-0.2" PIPEWIRE_CONFIG_DIR="$folder/usr/share/pipewire" \
  "$with_daemon" -- bash both.sh "$sluice" "$plugins" | tee reader.txt || { cat camera.txt; exit 1; }

grep -q '^camera: stopped after' camera.txt
grep -q 'libpipewire 0\.3\.' versions.txt
grep -q '^bytes copied: 0$' reader.txt
grep -q '^bytes copied: 0$' camera.txt
# Lines of sequence, time and sum. The reader counts from its first frame; a frame that it missed is a gap in both.
awk 'NR == FNR { sent[$3] = $1; next }
     !($3 in sent) { print "frame " $1 " is none that was sent"; bad = 1; next }
     { n++; if (n == 1) first = sent[$3] - $1; if (sent[$3] - $1 != first) { print "frame " $1 " is number " sent[$3]; bad = 1 } }
     END { print n " frames are the ones that were sent"; exit bad || n != 100 }' sent.txt arrived.txt
