#!/usr/bin/env python3
"""A page in a browser plays a virtual camera, and sees the pictures that the graph made.

On its way there the browser asks the camera portal of the desktop. This is Debian's xdg-desktop-portal, without a
desktop: the permission that its dialog would ask for is in its store beforehand, in a session of the test's own.
docs/pipewire.md says what was found.
"""

import ctypes
import http.server
import json
import os
import pathlib
import queue
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import unittest
import urllib.parse

SLUICE = os.path.abspath("engine/cli/sluice")
WITH_DAEMON = os.path.abspath("tests/pipewire/with_daemon")
PAGE = pathlib.Path("tests/pipewire/camera_page.html").resolve()
EXIT_SKIP = 77
EXIT_INTERRUPTED = 130
DEADLINE_S = 120  # of a test; it takes 3 s for each browser that is started.
STEP_S = 60
STOP_S = 20
PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
LIBC = ctypes.CDLL(None, use_errno=True)

# WebRTC, in both browsers, takes itself for broken where PipeWire's thread tells it the format before the thread that
# asked for it has left its function: the process ends, which pages do not always hear of. It depends on who runs first
# on a busy processor.
RACE = re.compile(r"Check failed: !race_checker\d+\.RaceDetected")

# The portal has a Camera where somebody says that it would ask the user. Nobody needs to be there, as the answer is
# known already.
BACKEND = """[portal]
DBusName=org.freedesktop.impl.portal.desktop.sluice
Interfaces=org.freedesktop.impl.portal.Access;
UseIn=sluice
"""
NO_DOCUMENTS = """[D-BUS Service]
Name=org.freedesktop.portal.Documents
Exec=/bin/false
"""
GRANT = ["dbus-send", "--session", "--print-reply", "--dest=org.freedesktop.impl.portal.PermissionStore",
         "/org/freedesktop/impl/portal/PermissionStore", "org.freedesktop.impl.portal.PermissionStore.SetPermission",
         "string:devices", "boolean:true", "string:camera", "string:", "array:string:yes"]

FIREFOX_PREFERENCES = """
user_pref("media.webrtc.camera.allow-pipewire", true);
user_pref("media.navigator.permission.disabled", true);
user_pref("datareporting.policy.dataSubmissionEnabled", false);
user_pref("app.normandy.enabled", false);
user_pref("app.update.enabled", false);
user_pref("extensions.update.enabled", false);
user_pref("network.captive-portal-service.enabled", false);
user_pref("network.connectivity-service.enabled", false);
user_pref("browser.aboutwelcome.enabled", false);
user_pref("browser.shell.checkDefaultBrowser", false);
"""

SIZE = (640, 480)
FRAMES = 8
GRAPH = """
sluice: 1
name: browser
settings: { clock: realtime }
nodes:
  pictures: { type: core.testsrc, size: %dx%d, rate: 30, format: %s }
  look: { type: vulkan.look, look: negative }
  camera: { type: pipewire.camera, name: browser-%s, description: A filtered camera }
edges: [ pictures -> look -> camera ]
"""
BARS = [(191, 191, 191), (191, 191, 0), (0, 191, 191), (0, 191, 0), (191, 0, 191), (191, 0, 0), (0, 0, 191), (0, 0, 0)]
NEGATIVE_BARS = [tuple(255 - component for component in bar) for bar in BARS]
BAR_POINTS = [(SIZE[0] * (2 * bar + 1) // 16, SIZE[1] // 2) for bar in range(len(BARS))]
# Cells of the band that counts frames: the most significant bit comes first.
CELLS = 32
CELL_POINTS = [(SIZE[0] * (2 * cell + 1) // (2 * CELLS), 2) for cell in range(CELLS)]
# Browsers make Y'CbCr of RGB and RGB of that, each in 8 bits.
TOLERANCE = 4

# Kr, Kb
BT709 = (0.2126, 0.0722)
BT601 = (0.299, 0.114)


def read_with(color, written, read):
    """What becomes of a colour that is written as Y'CbCr with one matrix and read with another."""
    red, green, blue = (component / 255 for component in color)
    kr, kb = written
    luma = kr * red + (1 - kr - kb) * green + kb * blue
    cb, cr = (blue - luma) / (2 * (1 - kb)), (red - luma) / (2 * (1 - kr))
    kr, kb = read
    red, blue = luma + 2 * (1 - kr) * cr, luma + 2 * (1 - kb) * cb
    green = (luma - kr * red - kb * blue) / (1 - kr - kb)
    return tuple(round(255 * min(1, max(0, component))) for component in (red, green, blue))


def distance(colors, expected):
    """The largest difference of a component."""
    return max(abs(a - b) for one, other in zip(colors, expected) for a, b in zip(one, other))


def number_of(cells):
    """The number of a frame by its band, in the negative of which ones are black."""
    return int("".join("1" if sum(cell) < 3 * 128 else "0" for cell in cells), 2)


def in_session_of_its_own():
    os.setsid()
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


class Chromium:
    name = "chromium"

    @staticmethod
    def command(profile, url):
        return ["chromium", "--headless=new", "--enable-features=WebRtcPipeWireCamera",
                # Nobody is there to allow the page its camera.
                "--use-fake-ui-for-media-stream",
                # Neither namespaces nor a large /dev/shm nor a GPU is a matter of this test.
                "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu",
                # What would be left behind, or go out.
                "--disable-breakpad", "--disable-background-networking", "--disable-component-update",
                "--no-first-run", "--user-data-dir=" + profile, url]


class Firefox:
    name = "firefox-esr"

    @staticmethod
    def command(profile, url):
        pathlib.Path(profile, "user.js").write_text(FIREFOX_PREFERENCES)
        return ["firefox-esr", "--headless", "--no-remote", "--profile", profile, url]


class Again(Exception):
    """The browser failed in one of the ways that are known; another one may not."""


class Lines(threading.Thread):
    """Puts each line of a process into a queue, and None at its end."""

    def __init__(self, file):
        super().__init__(daemon=True)
        self.file, self.queue, self.seen = file, queue.Queue(), []
        self.start()

    def run(self):
        for line in self.file:
            self.seen.append(line)
            self.queue.put(line)
        self.queue.put(None)

    def wait_for(self, text, seconds):
        """Whether a line with the text came before the end, or the time was up."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                line = self.queue.get(timeout=max(0, deadline - time.monotonic()))
            except queue.Empty:
                return False
            if line is None or text in line:
                return line is not None


class PageServer(http.server.ThreadingHTTPServer):
    """Gives out the page and takes what it reports."""

    def __init__(self, reports):
        super().__init__(("127.0.0.1", 0), PageHandler)
        self.reports, self.progress = reports, []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def url(self, frames, points):
        query = urllib.parse.urlencode({"frames": frames, "points": json.dumps(points)})
        return "http://127.0.0.1:%d/?%s" % (self.server_port, query)

    def close(self):
        self.shutdown()
        self.server_close()


class PageHandler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        page = urllib.parse.urlsplit(self.path).path == "/"
        self.send_response(200 if page else 404)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        if page:
            self.wfile.write(PAGE.read_bytes())

    def do_POST(self):
        message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/report":
            self.server.reports.put(message)
        else:
            self.server.progress.append(message)
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


class BrowserTest:
    browser = None

    def setUp(self):
        for program in (self.browser.name, "dbus-send"):
            if not shutil.which(program):
                self.skip("there is no %s on this machine: run ./setup" % program)
        # What a killed process leaves becomes a child of ours.
        LIBC.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        self.addCleanup(self.expect_no_process)
        self.deadline = time.monotonic() + DEADLINE_S
        self.folder = pathlib.Path(tempfile.mkdtemp(dir=os.environ.get("TEST_TMPDIR")))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.start_session()

    def skip(self, why):
        print("SKIP: " + why)
        self.skipTest(why)

    def left_s(self):
        return max(0, self.deadline - time.monotonic())

    def start(self, command, **options):
        """A process that ends with the test, and all that it started with it."""
        process = subprocess.Popen(command, text=True, preexec_fn=in_session_of_its_own, **options)
        self.addCleanup(self.end, process)
        return process

    def end(self, process):
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                pass
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.wait()
        for file in (process.stdin, process.stdout, process.stderr):
            if file:
                file.close()

    def expect_no_process(self):
        """All that was started has ended, or does so by itself, now that the session bus is gone."""
        deadline = time.monotonic() + STOP_S
        while time.monotonic() < deadline:
            try:
                # The interval is only how soon an end is seen.
                if os.waitpid(-1, os.WNOHANG)[0] == 0:
                    time.sleep(0.01)
            except ChildProcessError:
                return
        children = pathlib.Path("/proc/self/task/%d/children" % threading.get_native_id()).read_text().split()
        names = [pathlib.Path("/proc", child, "cmdline").read_text() for child in children]
        for child in children:
            os.kill(int(child), signal.SIGKILL)
        self.fail("left behind: %s" % names)

    def start_session(self):
        """PipeWire, WirePlumber, and a bus on which the portal's programs are started when they are called."""
        portals = self.folder / "portals"
        portals.mkdir()
        (portals / "sluice.portal").write_text(BACKEND)
        # The portal would also start this one, which mounts a file system.
        services = self.folder / "data" / "dbus-1" / "services"
        services.mkdir(parents=True)
        (services / "org.freedesktop.portal.Documents.service").write_text(NO_DOCUMENTS)
        environment = dict(os.environ, XDG_DATA_HOME=str(self.folder / "data"), XDG_DESKTOP_PORTAL_DIR=str(portals),
                           XDG_CURRENT_DESKTOP="sluice")
        keeper = self.start([WITH_DAEMON, "--session-manager", "--serve"], env=environment, stdin=subprocess.PIPE,
                            stdout=subprocess.PIPE)
        # It has a deadline of its own.
        line = keeper.stdout.readline()
        if not line and keeper.wait() == EXIT_SKIP:
            self.skip("PipeWire or its session manager is not installed: run ./setup")
        self.assertTrue(line, "there is no daemon")
        state = json.loads(line)
        self.session = pathlib.Path(state["folder"])
        self.environment = dict(environment, HOME=str(self.folder), TMPDIR=state["folder"],
                                MOZ_CRASHREPORTER_DISABLE="1")
        for name, value in state["environment"].items():
            self.environment.pop(name, None)
            if value is not None:
                self.environment[name] = value
        granted = subprocess.run(GRANT, env=self.environment, check=False, capture_output=True, text=True,
                                 timeout=STEP_S)
        if "ServiceUnknown" in granted.stderr:
            self.skip("there is no xdg-desktop-portal on this machine: run ./setup")
        self.assertEqual(granted.returncode, 0, granted.stderr)

    def start_camera(self, pixel_format):
        graph = self.folder / "camera.yaml"
        graph.write_text(GRAPH % (*SIZE, pixel_format, pixel_format))
        monitor = self.start(["pw-mon", "-N"], env=self.environment, stdout=subprocess.PIPE)
        self.camera = self.start([SLUICE, "run", str(graph)], env=self.environment, stdout=subprocess.PIPE,
                                 stderr=subprocess.STDOUT)
        # Read at once: a full pipe would stop it.
        self.camera_says = Lines(self.camera.stdout)
        there = Lines(monitor.stdout).wait_for('node.name = "browser-%s"' % pixel_format, min(STEP_S, self.left_s()))
        self.assertTrue(there, "the camera did not appear: " + "".join(self.camera_says.seen))

    def stop_camera(self):
        """Its report."""
        self.camera.send_signal(signal.SIGINT)
        status = self.camera.wait(STOP_S)
        self.camera_says.join(STOP_S)
        report = "".join(self.camera_says.seen)
        self.assertEqual(status, EXIT_INTERRUPTED, report)
        return report

    def look_once(self):
        """What the page of one browser reports."""
        unfilled = self.count_unfilled()
        reports = queue.Queue()
        server = PageServer(reports)
        self.addCleanup(server.close)
        profile = tempfile.mkdtemp(prefix="profile-", dir=self.folder)
        browser = self.start(self.browser.command(profile, server.url(FRAMES, BAR_POINTS + CELL_POINTS)),
                             env=self.environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                             stderr=subprocess.PIPE)
        said = Lines(browser.stderr)

        def watch():
            while True:
                line = said.queue.get()
                if line is None or RACE.search(line):
                    return reports.put({"ended": line is None, "error": line})

        threading.Thread(target=watch, daemon=True).start()
        try:
            report = reports.get(timeout=self.left_s())
            # A page may hear of the crash before its line is read: it is told apart when all of that was.
            self.end_quietly(browser)
            said.join(STOP_S)
            if "frames" not in report and any(RACE.search(line) for line in said.seen):
                raise Again("its capturing process crashed")
            if report.get("error") == "no camera":
                raise Again("it saw no camera")
            if report.get("error") == "no pictures" and self.count_unfilled() > unfilled:
                raise Again("PipeWire gave it buffers that were not filled")
            self.assertIn("frames", report, "%s\n%s\n%s" % (report, server.progress, "".join(said.seen[-40:])))
            return report
        except queue.Empty:
            self.fail("the page reported nothing but %s:\n%s\n%s" % (
                server.progress, "".join(said.seen[-40:]), "".join(self.camera_says.seen)))
        finally:
            self.end_quietly(browser)

    def end_quietly(self, process):
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def count_unfilled(self):
        """How often PipeWire 1.4.2 passed on a buffer that the camera had not filled yet: its reader sees nothing."""
        return (self.session / "pipewire.log").read_text(errors="replace").count("invalid memory type")

    def look(self):
        failures = []
        while True:
            try:
                report = self.look_once()
            except Again as failure:
                failures.append(str(failure))
                self.assertGreater(self.left_s(), 0, failures)
                continue
            print("%s: %dx%d at %d, after %s; not found %d times" % (
                self.browser.name, *(report["settings"][name] for name in ("width", "height", "frameRate")), failures,
                report["refused"]))
            return report

    def expect_frames(self, report, *expected):
        """Frames in their order with the colours of one of `expected`."""
        self.assertEqual(report["label"], "A filtered camera")
        self.assertEqual(len(report["frames"]), FRAMES)
        # Before the first frame of the camera Chromium's pages see a black one.
        frames = [frame for frame in report["frames"] if distance(frame["colors"], [(0, 0, 0)] * 40) > TOLERANCE]
        self.assertGreaterEqual(len(frames), FRAMES - 1)
        for frame in frames:
            self.assertEqual((frame["width"], frame["height"]), SIZE)
            bars = frame["colors"][:len(BARS)]
            self.assertLessEqual(min(distance(bars, colors) for colors in expected), TOLERANCE, (bars, expected))
        numbers = [number_of(frame["colors"][len(BARS):]) for frame in frames]
        self.assertEqual(numbers, sorted(set(numbers)), "not in the order in which they were made")
        self.assertLess(numbers[-1], 30 * DEADLINE_S, numbers)

    def test_a_page_sees_the_filtered_pictures(self):
        self.start_camera("AB24")
        self.expect_frames(self.look(), NEGATIVE_BARS)
        report = self.stop_camera()
        self.assertIn("bytes copied: 0", report)

    def test_a_page_sees_them_as_ycbcr(self):
        # Browsers take every camera's Y'CbCr for BT.601, also where PipeWire says that it is BT.709.
        expected = [[read_with(bar, BT709, matrix) for bar in NEGATIVE_BARS] for matrix in (BT601, BT709)]
        for pixel_format in ("NV12", "YUYV"):
            with self.subTest(pixel_format):
                self.start_camera(pixel_format)
                self.expect_frames(self.look(), *expected)
                self.stop_camera()


class ChromiumTest(BrowserTest, unittest.TestCase):
    browser = Chromium


class FirefoxTest(BrowserTest, unittest.TestCase):
    browser = Firefox


if __name__ == "__main__":
    unittest.main()
