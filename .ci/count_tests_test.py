#!/usr/bin/env python3
"""Shows what count_tests.py makes of the results that Bazel and gtest leave."""

import contextlib
import io
import json
import pathlib
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
sys.dont_write_bytecode = True
import count_tests  # pylint: disable=wrong-import-position

PASS = '<testcase name="Holds" status="run" result="completed" classname="PoolTest" />'
FAIL = '<testcase name="Breaks" status="run" classname="PoolTest"><failure message="no" /></testcase>'
SKIP = ('<testcase name="Waits" status="run" result="skipped" classname="PoolTest">'
        '<skipped message="no&#x0A;device" /></testcase>')
DISABLED = '<testcase name="DISABLED_Off" status="notrun" result="suppressed" classname="PoolTest" />'


class CountTestsTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def stage(self, name, status, programs):
        """Writes a stage's events: `programs` is {label: (bazel's status, cases or None)}, None where it was not run."""
        events = []
        for number, (label, result) in enumerate(programs.items()):
            events.append({"id": {"targetConfigured": {"label": label}}, "configured": {"targetKind": "cc_test rule"}})
            if result is None:
                continue
            outputs = []
            if result[1] is not None:
                report = self.folder / ("%s %d.xml" % (name, number))
                report.write_text("<testsuites><testsuite>%s</testsuite></testsuites>" % "".join(result[1]))
                outputs = [{"name": "test.xml", "uri": report.as_uri()}]
            events.append({"id": {"testResult": {"label": label, "run": 1}},
                           "testResult": {"status": result[0], "testActionOutput": outputs}})
        (self.folder / (name + ".json")).write_text("\n".join(json.dumps(event) for event in events))
        self.end(name, status)

    def end(self, name, status):
        with open(self.folder / "stages", "a", encoding="utf-8") as stages:
            stages.write("%d %s\n" % (status, name))

    def sum(self):
        output = io.StringIO()
        with contextlib.redirect_stdout(output):
            status = count_tests.main(["count_tests.py", str(self.folder)])
        return status, output.getvalue().splitlines()[-1]

    def test_cases_are_added_over_programs_and_stages(self):
        self.stage("test", 0, {"//a:t": ("PASSED", [PASS, PASS]), "//b:t": ("PASSED", [PASS])})
        self.stage("asan", 0, {"//a:t": ("PASSED", [PASS])})
        self.assertEqual(self.sum(), (0, "4 passed, 0 failed"))

    def test_skipped_and_disabled_cases_are_neither_passed_nor_failed(self):
        self.stage("test", 0, {"//a:t": ("PASSED", [PASS, SKIP, DISABLED])})
        self.assertEqual(self.sum(), (0, "1 passed, 0 failed, 2 skipped"))

    def test_a_failed_case_fails_the_run(self):
        self.stage("test", 3, {"//a:t": ("FAILED", [PASS, FAIL])})
        self.assertEqual(self.sum(), (1, "1 passed, 1 failed"))

    def test_a_program_that_failed_beside_its_cases_is_a_failure(self):
        self.stage("asan", 3, {"//a:leaks_at_exit": ("FAILED", [PASS])})
        self.assertEqual(self.sum(), (1, "1 passed, 1 failed"))

    def test_a_program_without_a_report_counts_once(self):
        self.stage("test", 3, {"//a:t": ("TIMEOUT", None), "//b:t": ("PASSED", None)})
        self.assertEqual(self.sum(), (1, "1 passed, 1 failed"))

    def test_a_report_cut_short_is_a_failure(self):
        self.stage("test", 0, {"//a:t": ("PASSED", ["<testcase"])})
        self.assertEqual(self.sum(), (1, "0 passed, 1 failed"))

    def test_a_test_that_was_not_built_is_a_failure(self):
        self.stage("test", 1, {"//a:t": ("PASSED", [PASS]), "//b:t": None})
        self.assertEqual(self.sum(), (1, "1 passed, 1 failed"))

    def test_a_stage_that_broke_without_a_failed_test_is_a_failure(self):
        self.stage("test", 1, {"//a:t": ("PASSED", [PASS])})
        self.assertEqual(self.sum(), (1, "1 passed, 1 failed"))

    def test_the_example_counts_once(self):
        self.stage("test", 0, {"//a:t": ("PASSED", [PASS])})
        self.end("example", 0)
        self.assertEqual(self.sum(), (0, "2 passed, 0 failed"))

    def test_a_failed_example_fails_the_run(self):
        self.stage("test", 0, {"//a:t": ("PASSED", [PASS])})
        self.end("example", 1)
        self.assertEqual(self.sum(), (1, "1 passed, 1 failed"))

    def test_nothing_run_is_no_success(self):
        self.end("setup", 0)
        self.stage("test", 0, {})
        self.assertEqual(self.sum(), (1, "0 passed, 0 failed"))


if __name__ == "__main__":
    unittest.main()
