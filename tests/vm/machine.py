"""One boot of a guest: QEMU, an initramfs that makes the host's / the guest's root, and the folder shared with it.

The share holds job.json (what to run, see agent.py), N.out and N.xml/ of case N, out/ for files that a case leaves,
and events.jsonl, in which the agent says what happens: "ready", "failed", and for each case "began" and "ended".
"""

import ctypes
import gzip
import json
import os
import pathlib
import shutil
import signal
import stat
import struct
import subprocess
import tempfile
import time

import kernel

HERE = pathlib.Path(os.path.abspath(__file__)).parent
QEMU = "qemu-system-x86_64"
BUSYBOX = "/bin/busybox"
# Its boot takes 3 s on an idle machine without hardware virtualisation.
BOOT_LIMIT_S = 240
# How much later than the guest's own time limit the host gives up on it.
CASE_GRACE_S = 60
POLL_S = 0.02
PR_SET_PDEATHSIG = 1
PT_INTERP = 3


class GuestError(Exception):
    """The guest did not boot, or died."""


def needs_loader(elf):
    """Whether an ELF program is a dynamic one."""
    offset, = struct.unpack_from("<Q", elf, 0x20)
    size, count = struct.unpack_from("<HH", elf, 0x36)
    return any(struct.unpack_from("<I", elf, offset + i * size)[0] == PT_INTERP for i in range(count))


def missing():
    """Why no guest can run here; None if one can."""
    if os.uname().machine != "x86_64":
        return "guests are made for x86_64 only"
    if not shutil.which(QEMU):
        return "%s is not installed: run ./setup" % QEMU
    if not os.access(BUSYBOX, os.X_OK) or needs_loader(pathlib.Path(BUSYBOX).read_bytes()):
        return "busybox-static is not installed: run ./setup"
    if not shutil.which("modprobe", path="/usr/sbin:/sbin"):
        return "modprobe is not installed: run ./setup"
    return kernel.missing()


# --- The initramfs ---------------------------------------------------------------------------------------------


def cpio_entry(name, mode, content=b""):
    """One member of an archive in cpio's "newc" format, which the kernel reads."""
    path = name.encode() + b"\0"
    fields = [0, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(path), 0]
    header = b"070701" + b"".join(b"%08x" % field for field in fields) + path
    return b"".join(part + b"\0" * (-len(part) % 4) for part in (header, content))


def initramfs(kernel_folder):
    modules = kernel.module_dir(kernel_folder)
    paths = kernel.with_dependencies(["9pnet_virtio", "9p", "overlay"], modules)
    entries = [cpio_entry(name, stat.S_IFDIR | 0o755) for name in ("bin", "dev", "modules")]
    entries += [
        cpio_entry("init", stat.S_IFREG | 0o755, (HERE / "init").read_bytes()),
        cpio_entry("bin/busybox", stat.S_IFREG | 0o755, pathlib.Path(BUSYBOX).read_bytes()),
        cpio_entry("modules/order", stat.S_IFREG | 0o644, "\n".join(map(os.path.basename, paths)).encode() + b"\n"),
    ]
    entries += [cpio_entry("modules/" + os.path.basename(path), stat.S_IFREG | 0o644, (modules / path).read_bytes())
                for path in paths]
    return gzip.compress(b"".join(entries + [cpio_entry("TRAILER!!!", 0)]), 1)


# --- QEMU ------------------------------------------------------------------------------------------------------


def qemu_command(kernel_folder, folder, share, memory_mb):
    def shared(path, tag, *options):
        # multidevs: the host's root has many file systems, whose inode numbers must not meet.
        words = ["local", "path=%s" % path, "mount_tag=" + tag, "security_model=none", "multidevs=remap"]
        return ["-virtfs", ",".join(words + list(options))]

    return [
        QEMU, "-M", "q35", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", str(memory_mb),
        "-nodefaults", "-no-user-config", "-nic", "none", "-display", "none", "-no-reboot",
        "-serial", "file:%s" % (folder / "console"),
        "-kernel", str(kernel_folder / "vmlinuz"), "-initrd", str(folder / "initramfs"),
        # A busy host makes a guest look stuck to its own watchdogs: the host has limits of its own.
        "-append", "console=ttyS0 quiet panic=-1 mitigations=off nowatchdog rcupdate.rcu_cpu_stall_suppress=1",
        *shared("/", "host", "readonly=on"), *shared(share, "share"),
        "-device", "virtio-gpu-pci",
    ]


def die_with_parent():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


class BootError(GuestError):
    """The guest ended before it had done anything."""


class Machine:
    """A guest for the length of a `with`; nothing of it stays behind."""

    def __init__(self, job):
        self._job = job
        self._events_read = 0
        self._process = None
        self._scratch = None
        self.folder = None
        self.share = None

    def __enter__(self):
        self._scratch = tempfile.TemporaryDirectory(prefix="sluice-guest-", dir=os.environ.get("TEST_TMPDIR"))
        try:
            self._start()
        except BaseException:
            self._scratch.cleanup()
            raise
        return self

    def _start(self):
        self.folder = pathlib.Path(self._scratch.name)
        self.share = self.folder / "share"
        (self.share / "out").mkdir(parents=True)
        where = kernel.folder().resolve()
        try:
            (self.folder / "initramfs").write_bytes(initramfs(where))
        except (OSError, kernel.Failed) as error:
            raise GuestError("the kernel in %s is incomplete: %s" % (where, error))
        shutil.copy(HERE / "agent.py", self.share)
        (self.share / "job.json").write_text(json.dumps(
            # Runfiles are links into the checkout.
            dict(self._job, kernel=str(where), checkout=str((HERE / "init").resolve()))))
        with open(self.folder / "qemu", "wb") as log:
            command = qemu_command(where, self.folder, self.share, self._job["memory_mb"])
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                             start_new_session=True, preexec_fn=die_with_parent)

    def __exit__(self, *unused):
        self._process.kill()
        self._process.wait()
        self._scratch.cleanup()

    def _new_events(self):
        try:
            with open(self.share / "events.jsonl", "rb") as file:
                file.seek(self._events_read)
                text = file.read()
        except FileNotFoundError:
            return []
        whole = text[:text.rfind(b"\n") + 1]
        self._events_read += len(whole)
        return [json.loads(line) for line in whole.splitlines()]

    def last_words(self):
        """What QEMU and the guest's console had to say at the end."""
        text = ""
        for name in ("qemu", "console"):
            path = self.folder / name
            if path.exists():
                text += path.read_text(errors="replace")[-4000:]
        return text.strip() or "(nothing on its console)"

    def events(self, boot_limit_s, whole_limit_s, idle=lambda: None):
        """Yields the agent's events up to "done"; calls `idle` in between.

        Errors: GuestError when the guest ends before, or a limit is passed: of the boot, of one case, of all.
        """
        began = time.monotonic()
        limit, what = boot_limit_s, "did not boot"
        deadline = began + limit
        while True:
            ended = self._process.poll() is not None
            for event in self._new_events():
                yield event
                if event["event"] in ("done", "failed"):
                    return
                if event["event"] == "began":
                    limit, what = self._job["cases"][event["case"]]["timeout"] + CASE_GRACE_S, "did not answer"
                    deadline = time.monotonic() + limit
            idle()
            now = time.monotonic()
            if ended:
                # Nothing was heard of the agent: it was the kernel.
                kind = GuestError if self._events_read else BootError
                raise kind("the guest ended by itself (QEMU's exit status %d):\n%s" %
                                 (self._process.returncode, self.last_words()))
            if now > began + whole_limit_s:
                raise GuestError("the guest took longer than %g s in all:\n%s" % (whole_limit_s, self.last_words()))
            if now > deadline:
                raise GuestError("the guest %s within %g s:\n%s" % (what, limit, self.last_words()))
            time.sleep(POLL_S)
