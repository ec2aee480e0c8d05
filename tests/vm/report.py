"""What became of the cases of a guest: for people, and as JUnit XML."""

import dataclasses
import re
import signal
import typing
import xml.etree.ElementTree as ElementTree

PASSED, FAILED, SKIPPED = "passed", "failed", "skipped"
# By convention of Automake and Meson.
EXIT_SKIP = 77

# What XML 1.0 cannot hold.
NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclasses.dataclass
class Outcome:
    """One command that ran in the guest, or one that should have."""
    name: str
    outcome: str = PASSED
    reason: str = ""
    seconds: float = 0
    status: typing.Optional[int] = None
    output: str = ""
    # gtest's own reports, as XML text.
    reports: typing.List[str] = dataclasses.field(default_factory=list)


def ending(status):
    if status >= 0:
        return "exit status %d" % status
    try:
        return "killed by %s" % signal.Signals(-status).name
    except ValueError:
        return "killed by signal %d" % -status


def judge(name, limit_s, event, output, reports):
    """The outcome of a case from the agent's "ended" event."""
    result = Outcome(name, seconds=event["seconds"], status=event["status"], output=output, reports=reports)
    reasons = []
    if event["timed_out"]:
        reasons.append("killed after its time limit of %g s" % limit_s)
    elif event["status"] == EXIT_SKIP and not reports:
        result.outcome = SKIPPED
        result.reason = (output.strip().splitlines() or ["no reason given"])[-1]
    elif event["status"] != 0:
        reasons.append(ending(event["status"]))
    if event["splats"]:
        reasons.append("the kernel complained:\n" + "\n".join(event["kernel_log"]))
    if reasons:
        result.outcome = FAILED
        result.reason = "; ".join(reasons)
    return result


def clean(text):
    return NOT_XML.sub("?", text)


def add_case(suite, outcome):
    case = ElementTree.SubElement(suite, "testcase", classname=suite.get("name"), name=outcome.name,
                                  time="%.3f" % outcome.seconds)
    reason = clean(outcome.reason)
    if outcome.outcome == FAILED:
        failure = ElementTree.SubElement(case, "failure", message=reason.splitlines()[0])
        failure.text = reason + "\n" + clean(outcome.output)[-20000:]
    elif outcome.outcome == SKIPPED:
        ElementTree.SubElement(case, "skipped", message=reason)


def add_reports(root, outcome):
    """Adds gtest's cases under the command's name; whether one of them failed."""
    failed = False
    for text in outcome.reports:
        for suite in ElementTree.fromstring(text).iter("testsuite"):
            suite.set("name", "%s.%s" % (outcome.name, suite.get("name")))
            for case in suite.iter("testcase"):
                case.set("classname", "%s.%s" % (outcome.name, case.get("classname")))
                failed = failed or case.find("failure") is not None
            root.append(suite)
    return failed


def junit(suite_name, outcomes):
    """One report of all cases. A gtest binary is counted by its own cases, and once more if it failed beside them."""
    root = ElementTree.Element("testsuites")
    commands = ElementTree.SubElement(root, "testsuite", name=suite_name)
    for outcome in outcomes:
        explained = add_reports(root, outcome)
        beside = outcome.outcome == FAILED and (not explained or outcome.status != 1 or "\n" in outcome.reason)
        if not outcome.reports or beside:
            add_case(commands, outcome)
    return ElementTree.tostring(root, encoding="unicode")


def summary(outcomes):
    lines = ["%-7s %s (%.1f s)%s" % (o.outcome.upper(), o.name, o.seconds, ": " + o.reason if o.reason else "")
             for o in outcomes]
    counts = [sum(o.outcome == kind for o in outcomes) for kind in (PASSED, FAILED, SKIPPED)]
    return "\n".join(lines + ["%d passed, %d failed, %d skipped" % tuple(counts)])
