#!/usr/bin/env python3
"""Graphs on a machine that lacks dma-bufs, or the devices that make them."""

import os
import pathlib
import re
import subprocess

import chain

FOLDER = "tests/vm/chain/"
LOOK_GRAPH = FOLDER + "camera-look-checksum.yaml"
PICTURE_GRAPH = FOLDER + "test-picture-to-display.yaml"
REFERENCE = FOLDER + "look_reference"
# Cameras and cards whose drivers neither export nor import.
WITHOUT = {"LD_PRELOAD": os.path.abspath(FOLDER + "libwithout_dmabuf.so")}


def prepares_the_guest():
    chain.use_hdmi()
    subprocess.run([REFERENCE, "warm", "160", "90", "noir"], check=True, env=chain.environment({}))


def plan_text(graph, values=None, more=None):
    status, text, err = chain.plan(graph, values or {}, more=more)
    chain.check(status == 0, "no plan for %s: %s" % (graph, err))
    return text


def memory_of(text, net):
    found = re.search(r"^%s: .*\n  memory: (.*), \d+ buffers" % re.escape(net), text, re.MULTILINE)
    chain.check(found, text)
    return found.group(1)


def edge_to(text, port):
    found = re.search(r"^  -> %s +(\S+) +(\S+) " % re.escape(port), text, re.MULTILINE)
    chain.check(found, text)
    return found.groups()


def sums(more):
    path = chain.scratch("sums.txt")
    report = chain.run(LOOK_GRAPH, {"sums": path}, more=more)
    chain.check(report["bytes_copied"] == 0, "copied: %s" % report["copies"])
    return [line.split()[2] for line in pathlib.Path(path).read_text().splitlines()]


def a_camera_without_dmabufs_fills_shared_memory():
    with_dmabuf, without = plan_text(LOOK_GRAPH), plan_text(LOOK_GRAPH, more=WITHOUT)
    for text, memory, view in ((with_dmabuf, "camera.out (dma-buf|cpu)", "dma-buf"), (without, "memfd (shm|cpu)", "shm")):
        print("camera.out: memory %s; camera -> look %s; look -> sums %s" %
              (memory_of(text, "camera.out"), edge_to(text, "look.in"), edge_to(text, "sums.in")))
        chain.check(memory_of(text, "camera.out") == memory, text)
        chain.check(edge_to(text, "look.in") == (view, "complete"), text)
        chain.check("copies: none" in text, text)
    excluded = re.findall(r"^excluded: (.*)$", without, re.MULTILINE)
    print("excluded: " + "; ".join(excluded))
    chain.check(any("cannot be exported" in line for line in excluded), without)
    chain.check("excluded:" not in with_dmabuf, with_dmabuf)
    one, other = sums({}), sums(WITHOUT)
    print("sums of %d pictures by dma-buf and %d by shm: %s" % (len(one), len(other), sorted(set(one + other))))
    chain.check(len(one) == len(other) == 8 and len(set(one + other)) == 1, "%s, %s" % (one, other))


def a_display_without_import_is_an_error_that_says_so():
    for graph, values in ((chain.DIRECT, {}), (chain.FILTERED, {"size": "160x90"})):
        status, text, err = chain.plan(graph, values, more=WITHOUT)
        print("%s: exit status %d: %s" % (graph, status, err.strip()))
        chain.check(status in (2, 3), text)
        chain.check(re.search(r"node 'camera': /dev/video0 .*export|node 'display': .*import", err), err)


def take_the_makers_away():
    """/dev/udmabuf and the dma-heaps cannot be opened any more."""
    subprocess.run(["mount", "--bind", "/dev/null", "/dev/udmabuf"], check=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4k", "none", "/dev/dma_heap"], check=True)


def bring_the_makers_back():
    subprocess.run(["umount", "/dev/udmabuf", "/dev/dma_heap"], check=True)


def without_udmabuf_somebody_else_makes_the_buffers():
    values = {"size": "160x90", "frames": 8}
    before = plan_text(chain.FILTERED, values)
    take_the_makers_away()
    try:
        after = plan_text(chain.FILTERED, values)
        report = chain.run(chain.FILTERED, values)
        status, text, err = chain.plan(PICTURE_GRAPH, {})
    finally:
        bring_the_makers_back()
    print("with udmabuf: look.out in %s; without: %s" % (memory_of(before, "look.out"), memory_of(after, "look.out")))
    print("excluded: " + "; ".join(re.findall(r"^excluded: (.*)$", after, re.MULTILINE)))
    chain.check(memory_of(before, "look.out") == "look.out (dma-buf|cpu)", before)
    chain.check(memory_of(after, "look.out") == "display.in (dma-buf|cpu)", after)
    chain.check(re.search(r"^excluded: look\.out .*makes no dma-buf here", after, re.MULTILINE), after)
    chain.check_clean(report, 8)
    # What the CPU draws: into the display's own buffers, which it maps; nothing is copied, with a udmabuf or without.
    print("a picture of the CPU, without udmabuf: exit status %d%s" % (status, err and ": " + err.strip()))
    print("\n".join(line for line in text.splitlines() if re.search("memory: .*buffers|inserted: |^excluded: ", line)))
    with_udmabuf = plan_text(PICTURE_GRAPH)
    print("and with it: %s" % memory_of(with_udmabuf, "picture.out"))
    chain.check(status == 0, err)
    for plan in (with_udmabuf, text):
        chain.check(memory_of(plan, "picture.out") == "display.in (dma-buf|cpu)", plan)
        chain.check("copies: none" in plan and "inserted: " not in plan, plan)


chain.main({case.__name__: case for case in (prepares_the_guest, a_camera_without_dmabufs_fills_shared_memory,
                                             a_display_without_import_is_an_error_that_says_so,
                                             without_udmabuf_somebody_else_makes_the_buffers)})
