#!/usr/bin/env python3
"""Tests report.py on the host: no guest is needed."""

import unittest
import xml.etree.ElementTree as ElementTree

import report

GTEST = """<testsuites><testsuite name="Suite">
  <testcase name="Works" classname="Suite" status="run"/>
  <testcase name="Breaks" classname="Suite" status="run">%s</testcase>
</testsuite></testsuites>"""
FAILING = GTEST % '<failure message="expected 1"/>'
SKIPPING = GTEST % '<skipped message="no device"/>'


def event(status=0, timed_out=False, splats=()):
    return {"status": status, "timed_out": timed_out, "seconds": 1.5, "splats": list(splats),
            "kernel_log": ["before", *splats]}


def cases(*outcomes):
    """(classname.name, failure message, skip message) of all cases in the report."""
    def message(case, kind):
        return case.find(kind).get("message") if case.find(kind) is not None else None
    root = ElementTree.fromstring(report.junit("job", outcomes))
    return [("%s.%s" % (case.get("classname"), case.get("name")), message(case, "failure"), message(case, "skipped"))
            for case in root.iter("testcase")]


class Report(unittest.TestCase):
    def judge(self, *arguments, output="", reports=(), **fields):
        return report.judge("one", 60, event(*arguments, **fields), output, list(reports))

    def test_a_command_is_one_case(self):
        self.assertEqual(cases(self.judge()), [("job.one", None, None)])

    def test_a_command_that_fails_says_how_it_ended(self):
        self.assertEqual(cases(self.judge(3)), [("job.one", "exit status 3", None)])
        self.assertEqual(cases(self.judge(-11)), [("job.one", "killed by SIGSEGV", None)])

    def test_a_command_past_its_limit_says_so_and_not_which_signal_ended_it(self):
        self.assertEqual(cases(self.judge(-9, timed_out=True)),
                         [("job.one", "killed after its time limit of 60 s", None)])

    def test_a_skipped_command_gives_its_last_line_as_the_reason(self):
        self.assertEqual(cases(self.judge(77, output="looking\nno camera\n")), [("job.one", None, "no camera")])

    def test_a_kernel_warning_fails_what_passed_or_was_skipped(self):
        for status in (0, 77):
            found = self.judge(status, splats=["WARNING: here"])
            self.assertEqual(found.outcome, report.FAILED)
            self.assertIn("before\nWARNING: here", found.reason)

    def test_a_gtest_program_counts_by_its_cases_only(self):
        self.assertEqual(cases(self.judge(1, reports=[FAILING])),
                         [("one.Suite.Works", None, None), ("one.Suite.Breaks", "expected 1", None)])
        self.assertEqual(cases(self.judge(0, reports=[SKIPPING])),
                         [("one.Suite.Works", None, None), ("one.Suite.Breaks", None, "no device")])

    def test_a_gtest_program_that_fails_beside_its_cases_counts_once_more(self):
        self.assertEqual(cases(self.judge(1, reports=[SKIPPING]))[0], ("job.one", "exit status 1", None))
        self.assertEqual(cases(self.judge(-6, reports=[FAILING]))[0], ("job.one", "killed by SIGABRT", None))
        self.assertEqual(cases(self.judge(1, reports=[FAILING], splats=["BUG: here"]))[0],
                         ("job.one", "the kernel complained:", None))

    def test_output_that_xml_cannot_hold_does_no_harm(self):
        found = self.judge(1, output="\x1b[31mred\x00 <&>")
        self.assertIn("?[31mred? <&>", ElementTree.fromstring(report.junit("job", [found])).find(".//failure").text)


if __name__ == "__main__":
    unittest.main()
