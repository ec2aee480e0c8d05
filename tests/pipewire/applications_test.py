#!/usr/bin/env python3
"""Other applications read a camera that Sluice filters on the GPU: GStreamer, and a second Sluice.

What arrives is held against the same pictures made without PipeWire. Runs beside a daemon of its own.
"""

import contextlib
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest
import zlib

SLUICE = os.path.abspath("engine/cli/sluice")
WITH_DAEMON = os.path.abspath("tests/pipewire/with_daemon")
NAME = "filtered"
WIDTH, HEIGHT, RATE = 320, 180, 30
FRAMES = 40
# Of the reference; a reader that begins later than after half a minute has failed anyway.
MOST_FRAMES = 1000
PATIENCE_S = 60
INTERRUPTED = (0, 128 + signal.SIGINT)
EXIT_SKIP = 77


def pictures(more=""):
    return ("sluice: 1\nname: pictures\n"
            "nodes:\n"
            f"  pictures: {{ type: core.testsrc, size: {WIDTH}x{HEIGHT}, rate: {RATE}, format: AB24{more} }}\n"
            "  look: { type: vulkan.look, look: noir }\n")


CAMERA = (pictures() + f"  camera: {{ type: pipewire.camera, name: {NAME} }}\n"
          "settings: { clock: realtime }\nedges: [ pictures -> look -> camera ]\n")
REFERENCE = (pictures(f", frames: {MOST_FRAMES}") + "  sums: { type: core.checksum, path: sums }\n"
             "edges: [ pictures -> look -> sums ]\n")
READER = ("sluice: 1\nname: reader\nnodes:\n"
          f"  camera: {{ type: pipewire.capture, target: {NAME}, frames: {FRAMES}, fd: %d }}\n"
          "  sums: { type: core.checksum, path: sums }\n"
          "edges: [ camera -> sums ]\n")


class Run:
    """`sluice run` of a graph, in a folder of its own."""

    def __init__(self, graph, pass_fds=()):
        self.folder = pathlib.Path(tempfile.mkdtemp(dir=os.environ.get("TEST_TMPDIR")))
        (self.folder / "graph.yaml").write_text(graph)
        with open(self.folder / "output", "w") as output:
            self.process = subprocess.Popen([SLUICE, "run", "--report", "report.json", "graph.yaml"], cwd=self.folder,
                                            stdin=subprocess.DEVNULL, stdout=output, stderr=output, pass_fds=pass_fds)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.folder)

    def ended(self):
        """The status and what was written."""
        status = self.process.wait(PATIENCE_S)
        return status, (self.folder / "output").read_text()

    def interrupted(self):
        self.process.send_signal(signal.SIGINT)
        return self.ended()

    def report(self):
        return json.loads((self.folder / "report.json").read_text())

    def sums(self):
        """CRC-32 of each picture, in their order."""
        return [line.split()[2] for line in (self.folder / "sums").read_text().splitlines()]

    def shared_memory(self):
        """Inodes of the memfds that the process has open."""
        found = set()
        for fd in pathlib.Path("/proc", str(self.process.pid), "fd").iterdir():
            with contextlib.suppress(OSError):
                if os.readlink(fd).startswith("/memfd:"):
                    found.add(os.stat(fd).st_ino)
        return found


def wait_until(condition, what):
    until = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > until:
            raise AssertionError(f"{what}: not within {PATIENCE_S} s")
        time.sleep(0.02)


def node_is_there():
    nodes = subprocess.run(["pw-cli", "ls", "Node"], capture_output=True, text=True, check=False, timeout=PATIENCE_S)
    return f'node.name = "{NAME}"' in nodes.stdout


class ApplicationsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        with Run(REFERENCE) as reference:
            status, text = reference.ended()
            assert status == 0, text
            cls.number = {value: number for number, value in enumerate(reference.sums())}
        assert len(cls.number) == MOST_FRAMES

    @contextlib.contextmanager
    def camera(self):
        with Run(CAMERA) as camera:
            wait_until(lambda: camera.process.poll() is not None or node_is_there(), "the camera's node")
            self.assertIsNone(camera.process.poll(), (camera.folder / "output").read_text())
            yield camera
            status, text = camera.interrupted()
            self.assertIn(status, INTERRUPTED, text)
            report = camera.report()
            self.assertEqual(report["bytes_copied"], 0, report)

    def expect_pictures(self, sums):
        self.assertEqual(len(sums), FRAMES)
        numbers = [self.number.get(value) for value in sums]
        self.assertNotIn(None, numbers, "a picture that is none of the reference's")
        self.assertEqual(numbers, sorted(set(numbers)), "their order")

    def test_gstreamer_shows_the_filtered_pictures(self):
        if not shutil.which("gst-launch-1.0"):
            self.skipTest("no gst-launch-1.0: run ./setup")
        with self.camera() as camera:
            done = subprocess.run(
                ["gst-launch-1.0", "--quiet", "pipewiresrc", f"target-object={NAME}", f"num-buffers={FRAMES}", "!",
                 f"video/x-raw,format=RGBA,width={WIDTH},height={HEIGHT}", "!", "filesink", "location=raw"],
                cwd=camera.folder, capture_output=True, text=True, check=False, timeout=PATIENCE_S)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            raw = (camera.folder / "raw").read_bytes()
        size = WIDTH * HEIGHT * 4
        self.assertEqual(len(raw) % size, 0)
        self.expect_pictures([f"{zlib.crc32(raw[at:at + size]):08x}" for at in range(0, len(raw), size)])

    def read(self, fd=-1):
        with self.camera() as camera, Run(READER % fd, pass_fds=() if fd < 0 else (fd,)) as reader:
            shared = set()

            def at_both_ends():
                shared.update(camera.shared_memory() & reader.shared_memory())
                return shared or reader.process.poll() is not None

            wait_until(at_both_ends, "memory that both have")
            status, text = reader.ended()
            self.assertEqual(status, 0, text)
            self.assertTrue(shared, "no memory was seen at both ends")
            self.assertEqual(reader.report()["bytes_copied"], 0, reader.report())
            self.expect_pictures(reader.sums())

    def test_another_sluice_reads_the_same_memory(self):
        self.read()

    def test_a_socket_that_a_portal_has_opened_is_enough(self):
        with socket.socket(socket.AF_UNIX) as opened:
            opened.connect(os.path.join(os.environ["XDG_RUNTIME_DIR"], "pipewire-0"))
            self.read(opened.fileno())


def main():
    inside = "--inside"
    if inside in sys.argv:
        sys.argv.remove(inside)
        unittest.main()
    status = subprocess.run([WITH_DAEMON, "--session-manager", "--", sys.executable, os.path.abspath(__file__), inside,
                             *sys.argv[1:]], check=False).returncode
    if status == EXIT_SKIP:
        print("SKIP: PipeWire or its session manager is not installed: run ./setup")
        return 0
    return status


if __name__ == "__main__":
    sys.exit(main())
