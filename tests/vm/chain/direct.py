#!/usr/bin/env python3
"""Cases of graphs/camera-to-display.yaml: vivid's own buffers on vkms."""

import time

import chain

WIDTH, HEIGHT = 1920, 1080


def copies_and_maps_nothing_at_1080p():
    frames = 60
    seen, samples, dmabufs = [], 0, 0
    # Whatever way a buffer may be mapped: as a dma-buf, by its camera, by its card.
    with chain.KernelCounts(["dma_buf_mmap_internal", "vb2_mmap", "drm_gem_mmap"]) as kernel:
        with chain.Process(chain.DIRECT, {"frames": frames}) as process:
            while process.running():
                seen += process.frame_mappings()
                fds = process.fds() or []
                dmabufs = max(dmabufs, sum(name.startswith("/dmabuf:") for name in fds))
                samples += 1
                time.sleep(0.05)
            chain.check(process.status == 0, process.err())
            report = process.report()
        counts = kernel.counts()
    print("mappings of frames seen in maps and map_files, in %d samples: %d; dma-bufs open: %d" %
          (samples, len(seen), dmabufs))
    print("calls counted by the kernel: %s" % counts)
    chain.check(samples >= 10 and dmabufs >= 4, "nothing was seen")
    chain.check(not seen, "mapped: %s" % sorted(set(seen)))
    chain.check(not any(counts.values()), "mapped in between")
    chain.check(all(pool["bytes_mapped"] == 0 for pool in report["pools"]), "the report says otherwise")
    chain.check_clean(report, frames)


def shows_the_cameras_pictures_bit_for_bit():
    frames = 8
    files = {name: chain.scratch(name) for name in ("in.txt", "in.raw", "out.txt", "out.raw")}
    graph = chain.with_arms(chain.DIRECT, [
        "sums_in: { type: core.checksum, path: %s }" % files["in.txt"],
        "raw_in: { type: ffmpeg.write, path: %s, format: rawvideo, codec: rawvideo }" % files["in.raw"],
        "back: { type: drm.writeback, size: %dx%d }" % (WIDTH, HEIGHT),
        "sums_out: { type: core.checksum, path: %s }" % files["out.txt"],
        "raw_out: { type: ffmpeg.write, path: %s, format: rawvideo, codec: rawvideo }" % files["out.raw"],
    ], ["camera -> sums_in -> raw_in", "back -> sums_out -> raw_out"])
    report = chain.run(graph, {"frames": frames})
    chain.check_clean(report, frames)
    sent, shown = chain.read_sums(files["in.txt"]), chain.read_sums(files["out.txt"])
    sent_raw = chain.RawFrames(files["in.raw"], WIDTH, HEIGHT)
    shown_raw = chain.RawFrames(files["out.raw"], WIDTH, HEIGHT)
    different = 0
    for sequence, (index, pts, _) in shown.items():
        chain.check(sequence in sent, "frame %d was shown and never sent" % sequence)
        sent_index, sent_pts, _ = sent[sequence]
        chain.check(pts == sent_pts, "frame %d has another time" % sequence)
        one, other = sent_raw[sent_index], shown_raw[index]
        # The fourth byte is no colour: vivid has 0 in it, and vkms 255.
        different += not all(one[i::4] == other[i::4] for i in range(3))
    print("%d pictures sent, %d written back and compared, %d bytes each; different: %d" %
          (len(sent), len(shown), WIDTH * HEIGHT * 4, different))
    chain.check(len(shown) >= frames // 2, "too few")
    # The camera writes its time into its pictures: one that was shown twice, or late, would be found.
    chain.check(len({crc for _, _, crc in sent.values()}) == len(sent), "the camera's pictures are all the same")
    chain.check(different == 0, "what is shown is not what was sent")


def ten_thousand_frames_leave_memory_and_fds_alone():
    frames = 10000
    with chain.Process(chain.DIRECT, {"frames": frames, "size": "320x180"}) as process:
        samples = chain.watch(process)
        chain.check(process.status == 0, process.err())
        chain.check_clean(process.report(), frames)
    # Two for each of the eight buffers, at the very most.
    chain.check_constant(samples, fences=16)


chain.main({case.__name__: case for case in (copies_and_maps_nothing_at_1080p, shows_the_cameras_pictures_bit_for_bit,
                                             ten_thousand_frames_leave_memory_and_fds_alone)})
