#!/usr/bin/env python3
"""Sums up what .ci/run left in a folder: one Bazel build event file a test stage, and each stage's exit status.

Counts test cases, not test programs. A program that failed without a failed case of its own (a crash, a time-out, a
leak found at exit), a test that was not built, and a stage that failed without a failed test count as one failure
each. The last line printed is the sum; the exit status is 1 unless tests ran and none failed.

usage: count_tests.py FOLDER
"""

import collections
import json
import pathlib
import sys
import urllib.parse
import xml.etree.ElementTree

PASSED, FAILED, SKIPPED = "passed", "failed", "skipped"
SANITIZERS = ("asan", "tsan")


def count_cases(xml_path):
    """Yields (outcome, name, reason) for each case of one test program's report."""
    for case in xml.etree.ElementTree.parse(xml_path).iter("testcase"):
        name = ".".join(part for part in (case.get("classname"), case.get("name")) if part)
        skipped = case.find("skipped")
        if case.find("failure") is not None or case.find("error") is not None:
            yield FAILED, name, ""
        elif skipped is not None or case.get("status") == "notrun" or case.get("result") == "skipped":
            # A disabled case did not run either.
            yield SKIPPED, name, " ".join((skipped.get("message") or "").split()) if skipped is not None else "disabled"
        else:
            yield PASSED, name, ""


def report_of(result):
    for output in result.get("testActionOutput", []):
        if output.get("name") == "test.xml" and output.get("uri", "").startswith("file://"):
            return urllib.parse.unquote(output["uri"][len("file://"):])
    return None


def program_cases(label, result):
    """All cases of one run of a test program, and one more failure if it failed beside them."""
    cases = []
    report = report_of(result)
    if report:
        try:
            cases = list(count_cases(report))
        except (OSError, xml.etree.ElementTree.ParseError) as error:
            cases = [(FAILED, label, "unreadable report: %s" % error)]
    passed = result.get("status") == "PASSED"
    if not passed and not any(outcome == FAILED for outcome, _, _ in cases):
        cases.append((FAILED, label, result.get("status", "no status")))
    if passed and not cases:
        cases.append((PASSED, label, ""))
    return cases


def stage_cases(event_file, stage):
    """All (outcome, program, case, reason) of one `bazel test`. Programs tagged off the stage count as skipped."""
    last_attempts = {}
    tests = set()
    tagged_off = set()
    with open(event_file, encoding="utf-8") as events:
        for line in events:
            try:
                event = json.loads(line)
            except ValueError:
                break  # Bazel was stopped in the middle of a line
            identity = event.get("id", {})
            if "testResult" in identity:
                run = identity["testResult"]
                last_attempts[(run["label"], run.get("shard"), run.get("run"))] = event["testResult"]
            elif "targetConfigured" in identity and event.get("configured", {}).get("targetKind", "").endswith("_test rule"):
                label = identity["targetConfigured"]["label"]
                tests.add(label)
                if stage in SANITIZERS and {"no_san", "no_" + stage} & set(event["configured"].get("tag", [])):
                    tagged_off.add(label)
    for (label, _, _), result in sorted(last_attempts.items(), key=lambda item: item[0][0]):
        for outcome, name, reason in program_cases(label, result):
            yield outcome, label, name, reason
    for label in sorted(tests - {label for label, _, _ in last_attempts}):
        if label in tagged_off:
            yield SKIPPED, label, "", "not for this sanitizer: see its tags"
        else:
            yield FAILED, label, "", "not built, or not run"


def main(argv):
    if len(argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    folder = pathlib.Path(argv[1])
    total = collections.Counter()
    skips = collections.OrderedDict()
    test_cases = 0
    print()
    for line in (folder / "stages").read_text().splitlines():
        status, stage = line.split(" ", 1)
        counts = collections.Counter()
        event_file = folder / (stage + ".json")
        for outcome, label, name, reason in stage_cases(event_file, stage) if event_file.exists() else []:
            counts[outcome] += 1
            test_cases += 1
            if outcome == FAILED:
                print("%s: FAILED %s %s %s" % (stage, label, name, reason))
            elif outcome == SKIPPED:
                skips.setdefault((label, name, reason), []).append(stage)
        if status != "0" and not counts[FAILED]:
            print("%s: FAILED with exit status %s" % (stage, status))
            counts[FAILED] += 1
        elif not event_file.exists() and stage == "example":
            counts[PASSED] += 1
        print("%s: %d passed, %d failed, %d skipped" % (stage, counts[PASSED], counts[FAILED], counts[SKIPPED]))
        total += counts
    for (label, name, reason), stages in skips.items():
        print("SKIPPED %s %s (%s): %s" % (label, name, ", ".join(stages), reason))
    if not test_cases:
        print("no test ran")
    print("%d passed, %d failed%s" % (
        total[PASSED], total[FAILED], ", %d skipped" % total[SKIPPED] if total[SKIPPED] else ""))
    return 0 if test_cases and not total[FAILED] else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv))
