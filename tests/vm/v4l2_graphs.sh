#!/bin/bash
# Graphs with vivid's camera and output, run by the sluice command. Each function is a case of v4l2_graphs_test.
# Usage: v4l2_graphs.sh SLUICE CASE
set -euo pipefail

sluice=$PWD/$1
export SLUICE_PLUGIN_PATH=$PWD/nodes/core:$PWD/nodes/ffmpeg:$PWD/nodes/v4l2
report=$TEST_TMPDIR/report.json

# expect CONDITION: a Python expression over the report r.
expect() {
  python3 -c "import json, sys; r = json.load(open('$report')); sys.exit(not ($1))" && return
  cat "$report"
  echo "not so: $1" >&2
  return 1
}

# Waits until process $1 has buffers of the camera.
until_it_streams() {
  for _ in {1..300}; do
    if ls -l "/proc/$1/fd" 2>/dev/null | grep --quiet dmabuf; then return; fi
    sleep 0.1
  done
  echo "no dma-buf in 30 s" >&2
  return 1
}

still_picture() { v4l2-ctl --device /dev/video0 --set-ctrl test_pattern=1,osd_text_mode=2; }

# One format for the camera: $1; what the plan says of memory: $2.
capture() {
  "$sluice" run --force --json --report "$report" - >/dev/null <<GRAPH
sluice: 1
name: capture
settings: { zero_copy: require }
nodes:
  camera: { type: v4l2.capture, device: vivid, input: "0", size: $1, rate: 30, format: $2, frames: 20 }
  sums: { type: core.checksum, path: $TEST_TMPDIR/sums.txt, overwrite: true }
edges: [camera -> sums]
GRAPH
  expect "r['result'] == 'done' and r['bytes_copied'] == 0"
  expect "r['nodes'][0]['frames_out'] == 20"
  expect "r['pools'][0]['allocator'] == 'camera.out' and r['pools'][0]['outstanding'] == 0"
  # A still picture has one checksum.
  (($(cut -d' ' -f3 "$TEST_TMPDIR/sums.txt" | sort -u | wc -l) == 1))
}

captures_without_a_copy() {
  still_picture
  capture 320x180 YUYV
  capture 320x180 NV12
  capture 320x180 XR24
}

a_camera_feeds_an_output_where_the_frames_are() {
  "$sluice" run --force --json --report "$report" --set device=/dev/video0 --set output=/dev/video1 --stop-after 6s \
    graphs/camera-to-output.yaml >/dev/null
  expect "r['bytes_copied'] == 0 and len(r['pools']) == 1"
  expect "r['pools'][0]['bytes_mapped'] == 0"
  expect "r['nodes'][1]['frames_in'] > 5"
}

pictures_are_painted_into_the_buffers_of_an_output() {
  "$sluice" run --force --json --report "$report" - >/dev/null <<GRAPH
sluice: 1
name: paint
settings: { zero_copy: require }
nodes:
  source: { type: core.testsrc, size: 640x360, rate: 30, format: YUYV, frames: 10 }
  output: { type: v4l2.output, device: /dev/video1 }
edges: [source -> output]
GRAPH
  expect "r['result'] == 'done' and r['bytes_copied'] == 0"
  expect "r['pools'][0]['allocator'] == 'output.in'"
}

a_camera_is_recorded() {
  cd "$TEST_TMPDIR"
  "$sluice" run --force --json --report "$report" --set size=320x180 --stop-after 6s "$OLDPWD/graphs/camera-record.yaml" \
    >/dev/null
  expect "r['nodes'][0]['frames_out'] > 0"
  [[ -s camera.mkv ]]
}

# vivid is unbound from its platform device and bound again.
a_camera_that_is_pulled_and_plugged_in_again_goes_on() {
  "$sluice" run --force --json --report "$report" --stop-after 15s - >/dev/null <<GRAPH &
sluice: 1
name: replug
settings: { zero_copy: require }
nodes:
  camera:
    type: v4l2.capture
    device: /dev/video0
    input: "0"
    size: 320x180
    on_error: { action: restart, attempts: 0, backoff: 100ms, max_backoff: 400ms }
  sink: { type: core.null }
edges: [camera -> sink]
GRAPH
  local run=$!
  until_it_streams $run
  sleep 1
  echo vivid.0 >/sys/bus/platform/drivers/vivid/unbind
  sleep 1
  echo vivid.0 >/sys/bus/platform/drivers/vivid/bind
  wait $run
  expect "r['epochs'] == 2 and r['restarts'] >= 1 and not r['errors']"
  expect "all(p['outstanding'] == 0 for p in r['pools']) and r['bytes_copied'] == 0"
}

a_sender_that_changes_its_size_is_followed() {
  "$sluice" run --force --json --report "$report" --stop-after 15s - >/dev/null <<GRAPH &
sluice: 1
name: timings
settings: { zero_copy: require }
nodes:
  grabber: { type: v4l2.capture, device: /dev/video0, input: HDMI 000-0, format: YUYV }
  sink: { type: core.null }
edges: [grabber -> sink]
GRAPH
  local run=$!
  until_it_streams $run
  sleep 1
  v4l2-ctl --device /dev/video0 --set-ctrl dv_timings=4,dv_timings_signal_mode=4
  wait $run
  expect "r['epochs'] == 2 and not r['errors'] and r['bytes_copied'] == 0"
  expect "' 720x576 ' in r['pools'][-1]['format']"
}

"$2"
