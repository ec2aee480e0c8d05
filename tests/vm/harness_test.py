#!/usr/bin/env python3
"""Tests the harness from the host's side: what becomes of commands that fail, hang, kill the kernel, and of a machine
without a guest. Each test that boots says so by `@boots`; where there is no guest it is skipped with the reason.
"""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree as ElementTree

import guest
import kernel
import machine
import report

HERE = pathlib.Path(os.path.abspath(__file__)).parent
LIMIT_S = 400

boots = unittest.skipIf(machine.missing(), machine.missing())


class Harness(unittest.TestCase):
    def setUp(self):
        self.scratch = pathlib.Path(tempfile.mkdtemp(dir=os.environ.get("TEST_TMPDIR")))
        # The guest's folder is made in there, so that a test sees what is left of it.
        self.guest_scratch = self.scratch / "guest"
        self.guest_scratch.mkdir()

    def tearDown(self):
        shutil.rmtree(self.scratch)

    def start(self, *arguments, **environment):
        environment = dict(os.environ, TEST_TMPDIR=str(self.guest_scratch), **environment)
        return subprocess.Popen([sys.executable, str(HERE / "guest.py"), *map(str, arguments)], env=environment,
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                universal_newlines=True)

    def finish(self, process):
        output, errors = process.communicate(timeout=LIMIT_S)
        self.assertEqual(list(self.guest_scratch.iterdir()), [], "the guest's folder was left behind")
        return process.returncode, output, errors

    def run_guest(self, *arguments, **environment):
        return self.finish(self.start(*arguments, **environment))

    def run_job(self, cases, **environment):
        """Returns the exit status and, of each case by its name, (kind, message, text)."""
        job, xml = self.scratch / "job.json", self.scratch / "report.xml"
        job.write_text(json.dumps({"name": "job", "cases": cases}))
        status, _, _ = self.run_guest("--job", job, XML_OUTPUT_FILE=str(xml), **environment)
        found = {}
        for case in ElementTree.parse(xml).iter("testcase"):
            result = next(iter(case), None)
            found[case.get("name")] = (None, "", "") if result is None else (
                result.tag, result.get("message"), result.text or "")
        return status, found

    # --- The command line ---

    @boots
    def test_a_command_gives_back_its_output_its_files_and_its_exit_status(self):
        kept = self.scratch / "kept"
        status, output, errors = self.run_guest(
            "--out", kept, "--", "sh", "-c",
            "echo \"$SLUICE_WORD in $PWD\"; echo more >&2; echo file >/run/guest/out/f; exit 5", SLUICE_WORD="a word")
        self.assertEqual((status, output, errors), (5, "a word in %s\nmore\n" % os.getcwd(), ""))
        self.assertEqual((kept / "f").read_text(), "file\n")

    @boots
    def test_two_guests_at_once_do_not_meet(self):
        processes = [self.start("--", "sh", "-c", "echo %d; exit %d" % (n, n)) for n in (3, 4)]
        results = [process.communicate(timeout=LIMIT_S) + (process.returncode,) for process in processes]
        self.assertEqual([(output, status) for output, _, status in results], [("3\n", 3), ("4\n", 4)])

    @boots
    def test_an_interrupt_ends_the_guest_and_leaves_nothing(self):
        process = self.start("--", "sh", "-c", "echo started; sleep 1000")
        self.assertEqual(process.stdout.readline(), "started\n")
        process.send_signal(signal.SIGINT)
        self.assertEqual(self.finish(process)[0], 128 + signal.SIGINT)
        self.assertEqual(self.qemus(), [])

    def qemus(self):
        """Processes that were told of a folder of this test."""
        found = []
        for command_line in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
            try:
                if str(self.guest_scratch).encode() in command_line.read_bytes():
                    found.append(command_line)
            except OSError:
                pass  # It has just ended.
        return found

    # --- What cases may do ---

    @boots
    def test_each_case_has_its_own_verdict_until_the_kernel_dies(self):
        def case(name, script, **options):
            return dict({"name": name, "command": ["sh", "-c", script]}, **options)

        status, found = self.run_job([
            case("fails", "echo out; echo err >&2; exit 3"),
            case("hangs", "setsid sleep 1000 & echo waiting; sleep 1000", timeout=10),
            case("finds no one", "! pgrep sleep"),
            case("skips", "echo no such device; exit 77"),
            case("crashes", "kill -SEGV $$"),
            {"name": "is missing", "command": ["/no/such/program"]},
            case("only talks", "echo 'WARNING: not from the kernel' >/dev/kmsg"),
            case("warns", "modprobe provoke_warning"),
            case("may warn", "modprobe -r provoke_warning && modprobe provoke_warning",
                 allow=["WARNING: .* provoke_warning_init"]),
            case("passes", "true"),
            case("panics", "echo last words; sleep 1; echo c >/proc/sysrq-trigger; sleep 1000"),
            case("comes after", "true"),
        ])
        self.assertEqual(status, 1)
        self.assertEqual(found["fails"], ("failure", "exit status 3", "exit status 3\nout\nerr\n"))
        self.assertEqual(found["hangs"][:2], ("failure", "killed after its time limit of 10 s"))
        self.assertIn("waiting", found["hangs"][2])
        self.assertEqual(found["finds no one"][0], None)
        self.assertEqual(found["skips"][:2], ("skipped", "no such device"))
        self.assertEqual(found["crashes"][:2], ("failure", "killed by SIGSEGV"))
        self.assertEqual(found["is missing"][:2], ("failure", "exit status 127"))
        self.assertIn("/no/such/program: No such file or directory", found["is missing"][2])
        self.assertEqual(found["only talks"][0], None)
        self.assertEqual(found["warns"][:2], ("failure", "the kernel complained:"))
        self.assertIn("provoked by a test", found["warns"][2])
        self.assertEqual(found["may warn"][0], None)
        self.assertEqual(found["passes"][0], None)
        self.assertEqual(found["panics"][0], "failure")
        self.assertIn("the guest ended by itself", found["panics"][1])
        self.assertIn("last words", found["panics"][2])
        self.assertIn("sysrq triggered crash", found["panics"][2])
        self.assertIn("not run: the guest ended by itself", found["comes after"][1])

    @boots
    def test_a_module_that_does_not_exist_is_named(self):
        status, _, errors = self.run_guest("-m", "no_such_module", "--", "true")
        self.assertEqual(status, guest.EXIT_NO_GUEST)
        self.assertIn("modprobe no_such_module: modprobe: FATAL: Module no_such_module not found", errors)

    # --- A machine without a guest, or with a bad one ---

    def test_without_a_kernel_a_test_is_skipped_and_says_why(self):
        empty = self.scratch / "empty"
        empty.mkdir()
        status, found = self.run_job([{"name": "any", "command": ["true"]}], SLUICE_KERNEL_DIR=str(empty))
        self.assertEqual(status, 0)
        self.assertEqual(list(found), ["guest"])
        self.assertEqual(found["guest"][0], "skipped")
        status, _, errors = self.run_guest("--", "true", SLUICE_KERNEL_DIR=str(empty))
        self.assertEqual(status, guest.EXIT_SKIP)
        self.assertEqual(errors, "guest.py: %s\n" % found["guest"][1])

    @boots
    def test_without_a_kernel_or_qemu_the_reason_names_it(self):
        empty = self.scratch / "empty"
        empty.mkdir()
        self.assertIn("no kernel in %s: run ./setup" % empty,
                      self.run_guest("--", "true", SLUICE_KERNEL_DIR=str(empty))[2])
        self.assertIn("qemu-system-x86_64 is not installed: run ./setup",
                      self.run_guest("--", "true", PATH=str(empty))[2])

    def broken_kernel(self, keep_bytes):
        where = self.scratch / "broken"
        shutil.copytree(kernel.folder(), where)
        os.truncate(where / "vmlinuz", keep_bytes)
        return where

    @boots
    def test_a_damaged_kernel_is_an_error(self):
        for keep_bytes in (100, 1 << 20):  # QEMU refuses the one; the other begins, and gives up.
            broken = self.broken_kernel(keep_bytes)
            status, _, errors = self.run_guest("--", "true", SLUICE_KERNEL_DIR=str(broken))
            self.assertEqual(status, guest.EXIT_NO_GUEST)
            self.assertIn("the guest ended by itself", errors)
            shutil.rmtree(broken)

    @boots
    def test_a_kernel_that_does_not_boot_in_time_is_an_error_and_no_hang(self):
        status, _, errors = self.run_guest("--boot-timeout", 0.1, "--", "true")
        self.assertEqual(status, guest.EXIT_NO_GUEST)
        self.assertIn("the guest did not boot within 0.1 s", errors)

    @boots
    def test_a_kernel_without_its_modules_is_an_error(self):
        broken = self.broken_kernel(1 << 20)
        shutil.rmtree(broken / "lib")
        status, _, errors = self.run_guest("--", "true", SLUICE_KERNEL_DIR=str(broken))
        self.assertEqual(status, guest.EXIT_NO_GUEST)
        self.assertIn("the kernel in %s is incomplete" % broken, errors)


class Result(unittest.TextTestResult):
    """Notes what became of each test, for the report that Bazel reads."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.outcomes = {}

    def startTest(self, test):
        super().startTest(test)
        self.outcomes[test] = report.Outcome(test.id().split(".")[-1])

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.outcomes[test].outcome, self.outcomes[test].reasons = report.SKIPPED, [reason]

    def _failed(self, test, error):
        self.outcomes[test].outcome = report.FAILED
        self.outcomes[test].reasons = [str(error[1]) or "failed"]

    def addFailure(self, test, error):
        super().addFailure(test, error)
        self._failed(test, error)

    def addError(self, test, error):
        super().addError(test, error)
        self._failed(test, error)


def main():
    runner = unittest.TextTestRunner(resultclass=Result, verbosity=2)
    result = unittest.main(testRunner=runner, exit=False).result
    if os.environ.get("XML_OUTPUT_FILE"):
        pathlib.Path(os.environ["XML_OUTPUT_FILE"]).write_text(
            report.junit("harness_test", list(result.outcomes.values())))
    return 0 if result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main())
