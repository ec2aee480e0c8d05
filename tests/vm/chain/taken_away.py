#!/usr/bin/env python3
"""Cameras and displays that are taken away in mid-run: by their drivers, unbound through sysfs."""

import os
import pathlib
import time

import chain

CAMERA_DRIVER = pathlib.Path("/sys/bus/platform/drivers/vivid")
CAMERA_DEVICE = "vivid.0"
DISPLAY_DRIVER = pathlib.Path("/sys/bus/virtio/drivers/virtio_gpu")
LIMIT_S = 20
STEP_LIMIT_S = 60


def wait_until(process, condition, what):
    deadline = time.monotonic() + STEP_LIMIT_S
    while not condition():
        chain.check(process.running(), "it ended before %s: %s" % (what, process.err()))
        chain.check(time.monotonic() < deadline, "not within %d s: %s: %s" % (STEP_LIMIT_S, what, process.err()))
        time.sleep(0.1)


def graph(on_error="stop", card="/dev/dri/card0", size="320x180"):
    return chain.write("graph.yaml", """
sluice: 1
name: taken-away
nodes:
  camera: { type: v4l2.capture, device: /dev/video0, size: %s, on_error: %s }
  display: { type: drm.display, device: %s }
edges: [camera -> display]
""" % (size, on_error, card))


def a_camera_that_comes_back_goes_on_where_it_was():
    path = graph("{ action: restart, attempts: 0, backoff: 200ms, max_backoff: 1s }")
    with chain.Process(path, {}) as process:
        wait_until(process, lambda: process.frames() > 0, "the first frames")
        (CAMERA_DRIVER / "unbind").write_text(CAMERA_DEVICE)
        chain.check(not os.path.exists(chain.CAMERA), "the camera is still there")
        wait_until(process, lambda: "No such file or directory; restart" in process.err(), "a restart without a camera")
        before = process.frames()
        (CAMERA_DRIVER / "bind").write_text(CAMERA_DEVICE)
        wait_until(process, lambda: process.frames() > before + 10, "frames of the camera that is back")
        process.interrupt()
        chain.check(process.wait(LIMIT_S) == 130, process.err())
        report = process.report()
    print("%d frames, %d epochs, %d restarts, result %s" % (chain.node(report, "display")["frames_in"],
                                                            report["epochs"], report["restarts"], report["result"]))
    for warning in report["warnings"]:
        print("  warning: " + warning)
    chain.check(report["epochs"] >= 2 and report["restarts"] >= 2, "no new epoch")
    chain.check(any("is gone" in warning for warning in report["warnings"]), "nobody says that the camera is gone")
    chain.check(not any(pool["outstanding"] for pool in report["pools"]), "leases outstanding")
    chain.check(report["bytes_copied"] == 0, "copied: %s" % report["copies"])


def a_camera_that_goes_is_an_error_where_the_graph_says_stop():
    with chain.Process(graph(), {}) as process:
        wait_until(process, lambda: process.frames() > 0, "the first frames")
        began = time.monotonic()
        (CAMERA_DRIVER / "unbind").write_text(CAMERA_DEVICE)
        status = process.wait(LIMIT_S)
        took = time.monotonic() - began
        report = process.report()
    (CAMERA_DRIVER / "bind").write_text(CAMERA_DEVICE)
    print("exit status %d after %.1f s: %s" % (status, took, report["errors"]))
    chain.check(status == 1 and report["result"] == "failed", "no failure")
    chain.check(any("node 'camera'" in error and "is gone" in error for error in report["errors"]), "not the reason")
    chain.check(not any(pool["outstanding"] for pool in report["pools"]), "leases outstanding")


def a_display_that_goes_is_an_error_and_no_hang():
    # vkms has no driver to unbind; virtio-gpu has. It takes the camera's pictures in buffers of its own.
    virtio = [entry.name for entry in DISPLAY_DRIVER.iterdir() if entry.name.startswith("virtio")]
    path = graph(card="/dev/dri/card1", size="1920x1080")
    status, text, err = chain.plan(path, {})
    chain.check(status == 0, err)
    print("\n".join(line for line in text.splitlines() if "memory: " in line or "excluded: " in line))
    with chain.Process(path, {}) as process:
        wait_until(process, lambda: process.frames() > 0, "the first frames")
        began = time.monotonic()
        for device in virtio:
            (DISPLAY_DRIVER / "unbind").write_text(device)
        status = process.wait(LIMIT_S)
        took = time.monotonic() - began
        report = process.report()
    print("exit status %d after %.1f s: %s" % (status, took, report["errors"]))
    chain.check(status == 1 and report["result"] == "failed", "no failure")
    chain.check(any("node 'display'" in error for error in report["errors"]), "not the display's error")
    chain.check(not any(pool["outstanding"] for pool in report["pools"]), "leases outstanding")


chain.main({case.__name__: case for case in (a_camera_that_comes_back_goes_on_where_it_was,
                                             a_camera_that_goes_is_an_error_where_the_graph_says_stop,
                                             a_display_that_goes_is_an_error_and_no_hang)})
