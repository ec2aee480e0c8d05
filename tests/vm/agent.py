"""Runs in the guest: loads modules, runs one case after another, and reports through the shared folder.

Reads job.json; appends one JSON object a line to events.jsonl (see machine.py). Output of a case is streamed to
N.out; a gtest binary writes its report into N.xml/.
"""

import ctypes
import errno
import json
import os
import pathlib
import re
import signal
import subprocess
import time

SHARE = pathlib.Path("/run/guest")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
PR_SET_CHILD_SUBREAPER = 36
TERM_GRACE_S = 2

# What the kernel says when something is wrong with it.
SPLAT = re.compile(r"""
    (WARNING|BUG|UBSAN|KASAN|KFENCE):
  | kernel\ BUG\ at
  | INFO:\ (task|possible|inconsistent|suspicious)
  | (Oops|Kernel\ panic|general\ protection\ fault|refcount_t|divide\ error|invalid\ opcode)\b
  | list_(add|del)\ corruption
""", re.VERBOSE)


class KernelLog:
    """What the kernel itself says from now on; lines that user space writes to /dev/kmsg are not its own."""

    def __init__(self):
        self._fd = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        os.lseek(self._fd, 0, os.SEEK_END)

    def drain(self):
        lines = []
        while True:
            try:
                record = os.read(self._fd, 8192).decode(errors="replace")
            except BlockingIOError:
                return lines
            except OSError as error:
                if error.errno == errno.EPIPE:  # The ring went on without us.
                    lines.append("(kernel messages were lost here)")
                    continue
                raise
            header, _, text = record.partition(";")
            if int(header.split(",")[0]) >> 3 == 0:
                lines.append(text.split("\n")[0])


def splats(lines, allowed):
    """The lines that tell of a fault, without those that a pattern in `allowed` covers."""
    return [line for line in lines if SPLAT.match(line) and not any(re.search(pattern, line) for pattern in allowed)]


class Events:
    def __init__(self):
        self._file = open(SHARE / "events.jsonl", "w", encoding="utf-8")

    def send(self, event, **fields):
        self._file.write(json.dumps(dict(fields, event=event)) + "\n")
        self._file.flush()


def below(path, folder):
    return path == folder or path.startswith(folder + "/")


def set_up(job):
    """Mounts and links what a job expects of a machine."""
    # An empty /tmp, unless the checkout, what was built of it or what is to run lies in there.
    used = [job["cwd"], job["kernel"], job["checkout"]] + [case["command"][0] for case in job["cases"]]
    if not any(below(path, "/tmp") for path in used):
        subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=1777", "tmpfs", "/tmp"], check=True)
    os.makedirs("/run/user/0", mode=0o700)
    os.makedirs("/run/home")
    os.makedirs("/lib/modules", exist_ok=True)
    link = "/lib/modules/" + os.uname().release
    if not os.path.lexists(link):
        os.symlink("%s%s" % (job["kernel"], link), link)


def start_udev():
    """Starts udevd, after the modules: it would load a card's driver by itself, in no order, or unasked."""
    pathlib.Path("/etc/modprobe.d/guest.conf").write_text("blacklist virtio-gpu\n")
    for program in ("/lib/systemd/systemd-udevd", "/usr/lib/systemd/systemd-udevd"):
        if os.access(program, os.X_OK):
            os.makedirs("/run/udev", exist_ok=True)
            subprocess.run([program, "--daemon"], check=True)
            subprocess.run(["udevadm", "trigger", "--action=add"], check=True)
            subprocess.run(["udevadm", "settle", "--timeout=60"], check=True)
            return
    raise RuntimeError("udev is not installed on the host")


def load_modules(modules):
    for module in modules:
        done = subprocess.run(["modprobe"] + module.split(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, universal_newlines=True, check=False)
        if done.returncode != 0:
            raise RuntimeError("modprobe %s: %s" % (module, done.stdout.strip()))


def children():
    found = []
    for task in os.listdir("/proc/self/task"):
        found += [int(pid) for pid in pathlib.Path("/proc/self/task", task, "children").read_text().split()]
    return found


def kill_left_behind(case_pid):
    """Kills what a case has started and not ended; its orphans are our children."""
    try:
        os.killpg(case_pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        pids = children()
        if not pids:
            return
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def wait(process, timeout):
    """Returns (exit status, whether the time limit was passed)."""
    try:
        return process.wait(timeout), False
    except subprocess.TimeoutExpired:
        pass
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
            return process.wait(TERM_GRACE_S), True
        except (subprocess.TimeoutExpired, ProcessLookupError):
            continue
    # Not even SIGKILL: stuck in the kernel. The host ends the guest.
    return process.wait(), True


def run_case(index, case, job, kernel_log):
    reports = SHARE / ("%d.xml" % index)
    reports.mkdir()
    scratch = "/run/case/%d" % index
    os.makedirs(scratch)
    environment = dict(job["env"], TEST_TMPDIR=scratch, GTEST_OUTPUT="xml:%s/" % reports)
    began = time.monotonic()
    with open(SHARE / ("%d.out" % index), "ab", buffering=0) as output:
        try:
            process = subprocess.Popen(case["command"], cwd=job["cwd"], env=environment, stdin=subprocess.DEVNULL,
                                       stdout=output, stderr=subprocess.STDOUT, start_new_session=True)
        except OSError as error:
            output.write(("%s: %s\n" % (case["command"][0], error.strerror)).encode())
            status, timed_out = 127, False
        else:
            status, timed_out = wait(process, case["timeout"])
            kill_left_behind(process.pid)
    lines = kernel_log.drain()
    return {"status": status, "timed_out": timed_out, "seconds": round(time.monotonic() - began, 3),
            "kernel_log": lines, "splats": splats(lines, case["allow"])}


def main():
    job = json.loads((SHARE / "job.json").read_text())
    os.environ["PATH"] = PATH
    kernel_log = KernelLog()
    events = Events()
    try:
        set_up(job)
        load_modules(job["modules"])
        if job["udev"]:
            start_udev()
        # From here on, whoever loses its parent is ours. udev is older and stays.
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    except (OSError, RuntimeError, subprocess.SubprocessError) as error:
        events.send("failed", reason=str(error), kernel_log=kernel_log.drain())
        return
    lines = kernel_log.drain()
    events.send("ready", uptime=float(pathlib.Path("/proc/uptime").read_text().split()[0]), kernel_log=lines,
                splats=splats(lines, job["allow"]))
    for index, case in enumerate(job["cases"]):
        events.send("began", case=index)
        events.send("ended", case=index, **run_case(index, case, job, kernel_log))
    events.send("done")


main()
