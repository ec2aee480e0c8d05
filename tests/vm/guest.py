#!/usr/bin/env python3
"""Runs commands in a QEMU guest that boots a stock Debian kernel on this machine's own root.

The guest sees this machine's / as it is (what it writes there stays in its memory), has no network, and has devices
that this machine may lack: /dev/udmabuf, /dev/dma_heap/system, and by module vivid (cameras), vkms and virtio-gpu
(displays), vgem and sw_sync. A command runs as the guest's root, in the caller's working directory and environment.
Files to keep go to /run/guest/out there (see --out).

A command fails, too, when the kernel warns while it runs.
"""

import argparse
import json
import os
import pathlib
import re
import shutil
import signal
import sys

import machine
import report

MEMORY_MB = 3072
BOOTS = 3
EXIT_TIMED_OUT = 124
EXIT_NO_GUEST = 125
EXIT_SKIP = report.EXIT_SKIP

EPILOG = """
exit status:
  that of COMMAND; %d it ran past its time limit, %d the guest did not boot or died, 1 the kernel warned,
  %d there is no guest on this machine (./setup provides it); 128 + N the command was killed by signal N

examples:
  tests/vm/guest.py -- uname -r
  tests/vm/guest.py -m vivid -m 'vkms enable_overlay=1' -- sh -c 'ls /dev/video* /dev/dri'
""" % (EXIT_TIMED_OUT, EXIT_NO_GUEST, EXIT_SKIP)

# They name things of the host that are not there in the guest, or the host's own report.
HOST_ONLY = re.compile("DISPLAY|WAYLAND_DISPLAY|DBUS_.*|SSH_.*|XML_OUTPUT_FILE|GTEST_OUTPUT|TEST_TMPDIR|TMPDIR|"
                       "TEST_(PREMATURE_EXIT|WARNINGS_OUTPUT|INFRASTRUCTURE_FAILURE|UNDECLARED_OUTPUTS).*")


def guest_environment():
    environment = {name: value for name, value in os.environ.items() if not HOST_ONLY.fullmatch(name)}
    environment.update(HOME="/run/home", XDG_RUNTIME_DIR="/run/user/0", TEST_UNDECLARED_OUTPUTS_DIR="/run/guest/out",
                       PATH=os.environ.get("PATH", "/usr/bin:/bin") + ":/usr/sbin:/sbin")
    return environment


def complete(job):
    """Fills in what a job may leave out."""
    job = dict({"modules": [], "udev": False, "allow": [], "memory_mb": MEMORY_MB}, **job)
    job["cases"] = [dict({"timeout": 60, "allow": []}, **case) for case in job["cases"]]
    return dict(job, cwd=os.getcwd(), env=guest_environment())


class Output:
    """Shows what the running case prints, as it comes."""

    def __init__(self, share):
        self._share = share
        self._file = None

    def follow(self, index):
        path = self._share / ("%d.out" % index)
        path.touch()
        self._file = path.open("rb")

    def show(self):
        if self._file:
            sys.stdout.buffer.write(self._file.read())
            sys.stdout.flush()

    def finish(self):
        self.show()
        self._file.close()
        self._file = None


def read_case(share, index):
    """The output and gtest reports that a case has left in the share."""
    output = (share / ("%d.out" % index)).read_text(errors="replace")
    return output, [path.read_text(errors="replace") for path in sorted((share / ("%d.xml" % index)).glob("*.xml"))]


class Run:
    """One boot of a guest for all cases of a job."""

    def __init__(self, job, show_names):
        self._job = job
        self._show_names = show_names
        self._running = None
        self.outcomes = []

    def boot(self, boot_limit_s, whole_limit_s, out):
        """Fills `outcomes`, as far as the guest comes. Errors: GuestError."""
        with machine.Machine(self._job) as guest:
            output = Output(guest.share)
            try:
                for event in guest.events(boot_limit_s, whole_limit_s, output.show):
                    self._handle(event, guest.share, output)
            except machine.GuestError as error:
                output.show()
                if self._running is not None:
                    self._died(error, guest.share)
                raise
            finally:
                if out:
                    shutil.copytree(guest.share / "out", out, dirs_exist_ok=True)

    def _handle(self, event, share, output):
        if event["event"] == "failed":
            raise machine.GuestError("the guest could not be set up: %s\n%s" %
                                     (event["reason"], "\n".join(event["kernel_log"])))
        if event["event"] == "ready" and event["splats"]:
            raise machine.GuestError("the kernel complained while modules were loaded:\n%s" %
                                     "\n".join(event["kernel_log"]))
        if event["event"] == "began":
            self._running = event["case"]
            if self._show_names:
                print("=== %s" % self._job["cases"][self._running]["name"], flush=True)
            output.follow(self._running)
        elif event["event"] == "ended":
            output.finish()
            case = self._job["cases"][self._running]
            self.outcomes.append(report.judge(case["name"], case["timeout"], event,
                                              *read_case(share, self._running)))
            self._running = None

    def _died(self, error, share):
        name = self._job["cases"][self._running]["name"]
        self.outcomes.append(report.Outcome(name, report.FAILED, [str(error)],
                                            output=read_case(share, self._running)[0]))


def boot_patiently(boot, boot_limit_s, whole_limit_s, out):
    """On a busy host QEMU's emulation now and then lets a kernel die before user space."""
    for _ in range(BOOTS - 1):
        try:
            return boot.boot(boot_limit_s, whole_limit_s, out)
        except machine.BootError as error:
            print("guest.py: %s; booting again" % str(error).splitlines()[0], file=sys.stderr, flush=True)
    return boot.boot(boot_limit_s, whole_limit_s, out)


def run(job, boot_limit_s, whole_limit_s, out=None, show_names=True):
    """Boots a guest and returns the outcome of each case; those that never ran have failed."""
    boot = Run(job, show_names)
    try:
        boot_patiently(boot, boot_limit_s, whole_limit_s, out)
    except machine.GuestError as error:
        outcomes = boot.outcomes
        for case in job["cases"][len(outcomes):]:
            # The whole story is told once: here, unless with the case during which it happened.
            told = any(str(error) in outcome.reasons for outcome in outcomes)
            reason = "not run: " + str(error).splitlines()[0] if told else str(error)
            outcomes.append(report.Outcome(case["name"], report.FAILED, [reason]))
    return boot.outcomes


def run_job(path):
    """One Bazel test: the job's cases, with a report in $XML_OUTPUT_FILE."""
    job = complete(json.loads(pathlib.Path(path).read_text()))
    why = machine.missing()
    if why:
        outcomes = [report.Outcome("guest", report.SKIPPED, [why])]
    else:
        limit = float(os.environ.get("TEST_TIMEOUT", 3600)) - 20  # Bazel's own would leave no report.
        outcomes = run(job, machine.BOOT_LIMIT_S, limit, os.environ.get("TEST_UNDECLARED_OUTPUTS_DIR"))
    print(report.summary(outcomes))
    if os.environ.get("XML_OUTPUT_FILE"):
        pathlib.Path(os.environ["XML_OUTPUT_FILE"]).write_text(report.junit(job["name"], outcomes))
    return 1 if any(outcome.outcome == report.FAILED for outcome in outcomes) else 0


def run_command(arguments):
    why = machine.missing()
    if why:
        print("guest.py: %s" % why, file=sys.stderr)
        return EXIT_SKIP
    case = {"name": arguments.command[0], "command": arguments.command, "timeout": arguments.timeout,
            "allow": arguments.allow}
    job = complete({"modules": arguments.module, "udev": arguments.udev, "allow": arguments.allow,
                    "memory_mb": arguments.memory, "cases": [case]})
    whole_limit = arguments.boot_timeout + arguments.timeout + machine.CASE_GRACE_S
    outcome = run(job, arguments.boot_timeout, whole_limit, arguments.out, show_names=False)[0]
    if outcome.status is None:
        print("guest.py: %s" % outcome.reason, file=sys.stderr)
        return EXIT_NO_GUEST
    if outcome.outcome == report.FAILED and outcome.reason != report.ending(outcome.status):
        print("guest.py: %s" % outcome.reason, file=sys.stderr)
        if outcome.timed_out:
            return EXIT_TIMED_OUT
    status = outcome.status if outcome.status >= 0 else 128 - outcome.status
    return status or int(outcome.outcome == report.FAILED)


def parse(argv):
    parser = argparse.ArgumentParser(prog="guest.py", description=__doc__, epilog=EPILOG,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-m", "--module", action="append", default=[], metavar="'NAME OPTION=VALUE...'",
                        help="load a kernel module first; may be repeated")
    parser.add_argument("--udev", action="store_true", help="run udevd in the guest")
    parser.add_argument("--timeout", type=float, default=600, metavar="S",
                        help="time limit of the command (%(default)s)")
    parser.add_argument("--boot-timeout", type=float, default=machine.BOOT_LIMIT_S, metavar="S",
                        help="time limit of the boot (%(default)s)")
    parser.add_argument("--memory", type=int, default=MEMORY_MB, metavar="MB", help="of the guest (%(default)s)")
    parser.add_argument("--allow", action="append", default=[], metavar="REGEX",
                        help="a kernel warning that is no failure; may be repeated")
    parser.add_argument("--out", metavar="DIR", help="copy what the command leaves in /run/guest/out to DIR")
    parser.add_argument("--job", metavar="FILE", help="run the cases of a test instead (what guest_test writes)")
    parser.add_argument("command", nargs=argparse.REMAINDER, metavar="-- COMMAND", help="what to run in the guest")
    arguments = parser.parse_args(argv)
    if arguments.command[:1] == ["--"]:
        del arguments.command[0]
    if bool(arguments.job) == bool(arguments.command):
        parser.error("a COMMAND is needed")
    return arguments


def stop(number, _):
    # Unwinds, so that the guest is killed and its folder removed.
    sys.exit(128 + number)


def main():
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)
    arguments = parse(sys.argv[1:])
    return run_job(arguments.job) if arguments.job else run_command(arguments)


if __name__ == "__main__":
    sys.exit(main())
