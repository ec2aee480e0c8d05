#!/bin/bash
# What a guest is and has; each function is a case of machine_test.
set -euo pipefail

has_memory_as_dma_bufs() { [[ -c /dev/udmabuf && -c /dev/dma_heap/system ]]; }

has_a_camera() { v4l2-ctl --device /dev/video0 --info | grep 'Driver name *: vivid'; }

# By the order in which the modules were loaded.
has_displays() {
  local card=0 driver
  for driver in vkms virtio_gpu vgem; do
    grep "^$driver " "/sys/kernel/debug/dri/$card/name"
    [[ -c /dev/dri/card$card ]]
    card=$((card + 1))
  done
}

has_an_overlay_plane_as_asked_of_the_module() { [[ $(cat /sys/module/vkms/parameters/enable_overlay) == Y ]]; }

has_fences_that_tests_signal() { [[ -w /sys/kernel/debug/sync/sw_sync ]]; }

gives_a_camera_back_that_was_taken_away() {
  modprobe --remove vivid
  [[ ! -e /dev/video0 ]]
  modprobe vivid
  udevadm settle --timeout=30
  has_a_camera
}

knows_devices_by_udev() { udevadm info /dev/video0 | grep 'ID_V4L_CAPABILITIES=.*:capture:'; }

has_no_network() {
  [[ $(ls /sys/class/net) == lo ]]
  ip route | { ! grep .; }
  # Its own loopback works.
  ip address show dev lo | grep 'inet 127.0.0.1/8'
}

sees_the_hosts_files_and_keeps_what_it_writes() {
  local file=$PWD/written-in-the-guest
  cmp "$0" "$PWD/tests/vm/machine_checks.sh"
  echo kept >"$file"
  grep kept "$file"
  echo kept >"$TEST_TMPDIR/file"
  # Links of the test lead into the checkout; where that is in /tmp, the host's stays.
  [[ $(realpath "$0") == /tmp/* || $(stat --file-system --format %T /tmp) == tmpfs ]]
  echo kept >/tmp/file
}

can_use_vulkan_with_dma_bufs() {
  local found
  found=$(vulkaninfo 2>&1)
  grep 'deviceName *= llvmpipe' <<<"$found"
  grep VK_EXT_external_memory_dma_buf <<<"$found"
  grep VK_EXT_image_drm_format_modifier <<<"$found"
}

"$1"
