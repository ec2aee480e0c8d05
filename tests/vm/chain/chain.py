"""Runs the sluice command for tests, and watches it from outside: files, memory and mappings.

For programs of the guest, in the runfiles of a test.
"""

import collections
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import time

SLUICE = "engine/cli/sluice"
DIRECT = "graphs/camera-to-display.yaml"
FILTERED = "graphs/camera-look-display.yaml"
CAMERA = "/dev/video0"
TRACING = pathlib.Path("/sys/kernel/tracing")
# What stands before the name of a mapping, or of an fd, that may be a frame's memory.
FRAME_MEMORY = ("/dmabuf:", "/memfd:", "/dev/video", "/dev/dri/", "/dev/udmabuf")
SAMPLE_S = 0.25
RUN_LIMIT_S = 600


class Failed(Exception):
    pass


def check(condition, text):
    if not condition:
        raise Failed(text)


def main(cases):
    """Runs the case that the command line names."""
    try:
        cases[sys.argv[1]]()
    except Failed as failure:
        print("FAILED: %s" % failure)
        sys.exit(1)


def scratch(name):
    return os.path.join(os.environ["TEST_TMPDIR"], name)


def write(name, text):
    path = scratch(name)
    pathlib.Path(path).write_text(text)
    return path


def settings(values):
    return [word for name, value in values.items() for word in ("--set", "%s=%s" % (name, value))]


def environment(more):
    # lavapipe's shaders are compiled in the guest. For vectors of half the width that takes half the time.
    return dict(os.environ, LP_NATIVE_VECTOR_WIDTH="128", **more)


def use_hdmi(size="1280x720", rate=24):
    """Makes the camera one that scales to any size, and is as slow as the guest."""
    run = lambda *words: subprocess.run(["v4l2-ctl", "-d", CAMERA] + list(words), check=True,
                                        stdout=subprocess.PIPE, universal_newlines=True).stdout
    run("--set-input", "3")
    for timings in run("--list-dv-timings", "0").split("Index: ")[1:]:
        width = re.search(r"Active width: (\d+)", timings).group(1)
        height = re.search(r"Active height: (\d+)", timings).group(1)
        if "%sx%s" % (width, height) == size and "(%.2f frames" % rate in timings:
            run("--set-dv-bt-timings", "index=" + timings.split()[0])
            return
    raise Failed("the camera has no %s at %d Hz" % (size, rate))


def with_arms(graph, nodes, edges):
    """The graph with more nodes and edges, as a file of its own."""
    text = pathlib.Path(graph).read_text()
    head, found, tail = text.partition("\nedges:\n")
    check(found, "%s has no edges" % graph)
    lines = lambda items, form: "".join(form % item for item in items)
    return write("with-arms.yaml", head + "\n" + lines(nodes, "  %s\n") + "\nedges:\n" + tail.rstrip("\n") + "\n" +
                 lines(edges, "  - %s\n"))


def plan(graph, values, as_json=False, more=None):
    """(exit status, text or parsed JSON, what went to stderr), with allocation and import tried."""
    done = subprocess.run([SLUICE, "plan", "--try", graph] + settings(values) + (["--json"] if as_json else []),
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True, check=False,
                          env=environment(more or {}))
    good = done.returncode == 0
    return done.returncode, json.loads(done.stdout) if as_json and good else done.stdout, done.stderr


class Process:
    """A `sluice run` under way."""

    def __init__(self, graph, values, arguments=(), more=None):
        self.report_path = scratch("report-%d.json" % time.monotonic_ns())
        self._err_path = self.report_path + ".err"
        with open(self._err_path, "wb") as err, open(os.devnull, "wb") as out:
            self._process = subprocess.Popen(
                [SLUICE, "run", graph, "--report", self.report_path, "--progress", "always"] + settings(values) +
                list(arguments), stdout=out, stderr=err, env=environment(more or {}))
        self.pid = self._process.pid
        self.status = None
        self._deadline = time.monotonic() + RUN_LIMIT_S

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def running(self):
        self.status = self._process.poll()
        if time.monotonic() > self._deadline:
            raise Failed("it runs without end: " + self.err())
        return self.status is None

    def err(self):
        return pathlib.Path(self._err_path).read_text(errors="replace")

    def frames(self):
        """How many frames its last line of progress has."""
        found = re.findall(r"^frame (\d+) ", self.err(), re.MULTILINE)
        return int(found[-1]) if found else 0

    def wait(self, limit_s=RUN_LIMIT_S):
        """The exit status. Fails when it is not over within the limit."""
        try:
            self.status = self._process.wait(limit_s)
        except subprocess.TimeoutExpired:
            raise Failed("it has not ended within %d s: %s" % (limit_s, self.err())) from None
        return self.status

    def interrupt(self):
        self._process.send_signal(signal.SIGINT)

    def report(self):
        return json.loads(pathlib.Path(self.report_path).read_text())

    # --- Seen from outside. Whatever ends meanwhile reads as None.

    def _proc(self, *names):
        return os.path.join("/proc", str(self.pid), *names)

    def fds(self):
        """What its fds are: a list of names."""
        names = []
        try:
            for fd in os.listdir(self._proc("fd")):
                try:
                    names.append(os.readlink(self._proc("fd", fd)))
                except FileNotFoundError:  # closed since
                    pass
        except (FileNotFoundError, ProcessLookupError):
            return None
        return names

    def rss_kb(self):
        try:
            text = pathlib.Path(self._proc("smaps_rollup")).read_text()
        except (FileNotFoundError, ProcessLookupError):
            return None
        found = re.search(r"^Rss: +(\d+) kB", text, re.MULTILINE)
        return int(found.group(1)) if found else None

    def frame_mappings(self):
        """Names of the mappings that may be frames, by maps and by map_files."""
        try:
            found = [line.split(maxsplit=5)[5] for line in pathlib.Path(self._proc("maps")).read_text().splitlines()
                     if len(line.split(maxsplit=5)) == 6]
            for entry in os.listdir(self._proc("map_files")):
                try:
                    found.append(os.readlink(self._proc("map_files", entry)))
                except FileNotFoundError:
                    pass
        except (FileNotFoundError, ProcessLookupError):
            return []
        return [name for name in found if name.startswith(FRAME_MEMORY)]


def run(graph, values, arguments=(), more=None, limit_s=RUN_LIMIT_S):
    """Runs to the end, which must be good. Its report."""
    with Process(graph, values, arguments, more) as process:
        check(process.wait(limit_s) == 0, "exit status %d: %s" % (process.status, process.err()))
        return process.report()


def node(report, name):
    return [node for node in report["nodes"] if node["name"] == name][0]


def check_clean(report, frames):
    """Nothing copied, nothing left, all frames arrived at the display, none dropped there."""
    check(report["result"] == "done", "result %s: %s" % (report["result"], report["errors"]))
    check(report["bytes_copied"] == 0, "copied: %s" % report["copies"])
    left = {pool["name"]: pool["outstanding"] for pool in report["pools"]}
    check(not any(left.values()), "leases outstanding: %s" % left)
    check(not report["warnings"], "warnings: %s" % report["warnings"])
    check(node(report, "display")["frames_in"] == frames, "the display got %d of %d frames" %
          (node(report, "display")["frames_in"], frames))
    check(not node(report, "display")["drops"], "dropped: %s" % node(report, "display")["drops"])
    print("%d frames in %.1f s (%.1f a second), 0 bytes copied, 0 leases outstanding; camera: %s" %
          (frames, report["seconds"], frames / report["seconds"], node(report, "camera")["drops"] or "none lost"))


class KernelCounts:
    """Counts calls of functions of the kernel, by kprobes, in all processes: nobody else maps buffers in the guest."""

    def __init__(self, functions):
        self._functions = functions

    def __enter__(self):
        if not (TRACING / "kprobe_events").exists():
            subprocess.run(["mount", "-t", "tracefs", "tracefs", str(TRACING)], check=True)
        self._events("".join("p:chain/%s %s\n" % (name, name) for name in self._functions))
        (TRACING / "events/chain/enable").write_text("1")
        return self

    def __exit__(self, *_):
        (TRACING / "events/chain/enable").write_text("0")
        self._events("")

    @staticmethod
    def _events(text):
        with open(TRACING / "kprobe_events", "w", encoding="utf-8") as events:
            events.write(text or "\n")

    def counts(self):
        lines = (TRACING / "kprobe_profile").read_text().split("\n")
        hits = {words[0]: int(words[1]) for words in (line.split() for line in lines) if len(words) >= 3}
        check(set(self._functions) <= set(hits), "no probes: %s" % lines)
        return {name: hits[name] for name in self._functions}


Sample = collections.namedtuple("Sample", "frames kinds rss_kb")


def watch(process):
    """Samples a process until its end; those after its last line of progress, where it winds up, are left out."""
    samples = []
    while process.running():
        frames, fds, rss_kb = process.frames(), process.fds(), process.rss_kb()
        if fds is not None and rss_kb is not None:
            kinds = collections.Counter(re.sub(r"[\[:].*", "", name.replace("anon_inode:", "")) or name for name in fds)
            samples.append(Sample(frames, kinds, rss_kb))
        time.sleep(SAMPLE_S)
    return [sample for sample in samples if sample.frames < process.frames()]


def check_constant(samples, fences, settled=100, rss_limit_kb=256):
    """Since frame 100, fds are the same but for at most `fences` of the frames that are under way, which do not
    become more; since frame `settled`, memory has not grown."""
    first = [sample for sample in samples if sample.frames >= 100]
    later = [sample for sample in samples if sample.frames >= settled]
    check(len(later) >= 10, "only %d samples after frame %d" % (len(later), settled))
    kinds = {kind: sorted({sample.kinds[kind] for sample in first}) for sample in first for kind in sample.kinds}
    moving = {kind: counts for kind, counts in kinds.items() if len(counts) > 1}
    counts = [sum(sample.kinds.values()) for sample in first]
    quarter = len(counts) // 4
    drift = sum(counts[-quarter:]) / quarter - sum(counts[:quarter]) / quarter
    print("%d samples from frame %d to %d: %d to %d fds, %s of them dma-bufs; come and go: %s; more at the end: %.1f" %
          (len(first), first[0].frames, first[-1].frames, min(counts), max(counts), kinds.get("/dmabuf"), moving, drift))
    peak = max(sample.rss_kb for sample in later)
    print("memory: %d kB at frame %d, %d kB at frame %d, at most %d kB since" %
          (first[0].rss_kb, first[0].frames, later[0].rss_kb, later[0].frames, peak))
    dmabufs = kinds.get("/dmabuf", [])
    check(len(dmabufs) == 1, "the number of dma-bufs changes")
    check(max(counts) - min(counts) <= fences, "more than %d come and go" % fences)
    check(drift <= 2, "they become more")
    check(peak - later[0].rss_kb <= rss_limit_kb, "memory grows by more than %d kB" % rss_limit_kb)


def read_sums(path):
    """core.checksum's lines as {sequence: (index, pts, crc)}."""
    lines = pathlib.Path(path).read_text().splitlines()
    return {int(sequence): (index, pts, crc)
            for index, (sequence, pts, crc) in enumerate(line.split() for line in lines)}


class RawFrames:
    """A file of frames of four bytes a pixel."""

    def __init__(self, path, width, height):
        self._path, self._width, self._height = path, width, height

    def __getitem__(self, index):
        size = self._width * self._height * 4
        with open(self._path, "rb") as file:
            file.seek(index * size)
            frame = file.read(size)
        check(len(frame) == size, "%s ends within frame %d" % (self._path, index))
        return frame

    def cut(self, index, left, top, width, height):
        """(a rectangle of a frame, the bytes around it)."""
        frame, row = self[index], self._width * 4
        begin, end = left * 4, (left + width) * 4
        rows = [frame[y * row:(y + 1) * row] for y in range(self._height)]
        inside = b"".join(line[begin:end] for line in rows[top:top + height])
        outside = b"".join(rows[:top] + rows[top + height:] +
                           [line[:begin] + line[end:] for line in rows[top:top + height]])
        return inside, outside
