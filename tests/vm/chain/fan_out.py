#!/usr/bin/env python3
"""One camera for a display, for a look on the GPU and for an encoder at once."""

import re
import subprocess

import chain

GRAPH = "tests/vm/chain/fan-out.yaml"
FRAMES = 24
REFERENCE = "tests/vm/chain/look_reference"


def prepares_the_guest():
    chain.use_hdmi()
    subprocess.run([REFERENCE, "warm", "160", "90", "noir", "to-yuv"], check=True, env=chain.environment({}))


def plans_the_depth_by_its_terms():
    status, text, err = chain.plan(GRAPH, {})
    chain.check(status == 0, err)
    depth = re.search(r"^camera\.out: .*\n(?:  .*\n)*?  depth: +(\d+) = (.*)$", text, re.MULTILINE)
    chain.check(depth, text)
    print("depth of the camera's pool: %s = %s" % depth.groups())
    terms = [term.rsplit(" ", 1) for term in depth.group(2).split(" + ")]
    chain.check(int(depth.group(1)) == sum(int(value) for _, value in terms), "the terms are another sum")
    names = [name for name, _ in terms]
    for name in ("reserve camera.out", "queue display.in", "running display.in", "hold display.in", "queue look.in",
                 "running look.in", "in flight look"):
        chain.check(name in names, "no term '%s'" % name)
    # The encoder takes no RGB: a converter stands before it, with its reason.
    converter = re.search(r"^  (\S+@movie\.in) .* inserted: (no common pixel format: camera\.out offers XR24, .*)$",
                          text, re.MULTILINE)
    chain.check(converter, text)
    print("inserted: %s: %s" % converter.groups())
    chain.check("queue %s.in" % converter.group(1) in names, "no term for what is inserted")
    chain.check(re.search(r"-> display\.in +dma-buf +complete .*zero-copy", text), text)
    chain.check(re.search(r"-> look\.in +dma-buf +complete", text), text)


def feeds_all_three_at_the_pace_of_the_slowest():
    status, plan, err = chain.plan(GRAPH, {}, as_json=True)
    chain.check(status == 0, err)
    report = chain.run(GRAPH, {"sums": chain.scratch("sums.txt"), "movie": chain.scratch("movie.mkv")})
    # Nobody drops anything: the camera has no buffer to fill as long as the slowest has not given one back.
    for name in ("display", "look", "sums", "movie"):
        got = chain.node(report, name)
        print("%s: %d frames, %.1f a second, work %s ms" % (name, got["frames_in"], got["fps"], milliseconds(got)))
        chain.check(got["frames_in"] == FRAMES and not got["drops"], "%s: %s" % (name, got))
    pool = [pool for pool in report["pools"] if pool["name"] == "camera.out"][0]
    print("camera.out: %d buffers, at most %d in use; lost by the camera: %s" %
          (pool["buffers"], pool["peak_leased"], chain.node(report, "camera")["drops"]))
    chain.check(pool["buffers"] == [net for net in plan["nets"] if net["producer"] == "camera.out"][0]["depth"],
                "the pool is not as deep as planned")
    chain.check(not any(pool["outstanding"] for pool in report["pools"]), "leases outstanding")
    # Copies are those of the plan, and none is on the way to the display.
    print("bytes copied: %d, planned for a frame: %d" % (report["bytes_copied"], plan["copied_bytes_per_frame"]))
    chain.check(report["bytes_copied"] == FRAMES * plan["copied_bytes_per_frame"], "copies: %s" % report["copies"])
    chain.check(not any("display" in copy["place"] for copy in report["copies"]), "copies: %s" % report["copies"])
    inserted = [node["name"] for node in report["nodes"] if node.get("inserted")]
    chain.check(inserted == [node["name"] for node in plan["nodes"] if node.get("inserted")],
                "another converter than planned: %s" % inserted)


def milliseconds(node):
    work = node["process"]
    return "none measured" if work is None else "%.1f" % (work["p50_ns"] / 1e6)


chain.main({case.__name__: case for case in (prepares_the_guest, plans_the_depth_by_its_terms,
                                             feeds_all_three_at_the_pace_of_the_slowest)})
