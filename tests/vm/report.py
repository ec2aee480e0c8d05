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
    # Why it failed, or was skipped.
    reasons: typing.List[str] = dataclasses.field(default_factory=list)
    seconds: float = 0
    status: typing.Optional[int] = None
    timed_out: bool = False
    output: str = ""
    # gtest's own reports, as XML text.
    reports: typing.List[str] = dataclasses.field(default_factory=list)

    @property
    def reason(self):
        return "; ".join(self.reasons)


def ending(status):
    if status >= 0:
        return "exit status %d" % status
    try:
        return "killed by %s" % signal.Signals(-status).name
    except ValueError:
        return "killed by signal %d" % -status


def judge(name, limit_s, event, output, reports):
    """The outcome of a case from the agent's "ended" event."""
    result = Outcome(name, seconds=event["seconds"], status=event["status"], timed_out=event["timed_out"],
                     output=output, reports=reports)
    if event["status"] == EXIT_SKIP and not reports and not event["splats"]:
        result.outcome = SKIPPED
        result.reasons = (output.strip().splitlines() or ["no reason given"])[-1:]
        return result
    if event["timed_out"]:
        result.reasons.append("killed after its time limit of %g s" % limit_s)
    elif event["status"] != 0:
        result.reasons.append(ending(event["status"]))
    if event["splats"]:
        result.reasons.append("the kernel complained:\n" + "\n".join(event["kernel_log"]))
    if result.reasons:
        result.outcome = FAILED
    return result


def clean(text):
    return NOT_XML.sub("?", text)


def add_case(suite, outcome, reasons):
    case = ElementTree.SubElement(suite, "testcase", classname=suite.get("name"), name=outcome.name,
                                  time="%.3f" % outcome.seconds)
    reason = clean("; ".join(reasons))
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
    """One report of all cases. A gtest program is counted by its own cases, and once more if it failed beside them."""
    root = ElementTree.Element("testsuites")
    commands = ElementTree.SubElement(root, "testsuite", name=suite_name)
    for outcome in outcomes:
        reasons = list(outcome.reasons)
        if add_reports(root, outcome) and ending(1) in reasons:
            reasons.remove(ending(1))
        if reasons or not outcome.reports:
            add_case(commands, outcome, reasons)
    return ElementTree.tostring(root, encoding="unicode")


def summary(outcomes):
    lines = ["%-7s %s (%.1f s)%s" % (o.outcome.upper(), o.name, o.seconds, ": " + o.reason if o.reason else "")
             for o in outcomes]
    counts = [sum(o.outcome == kind for o in outcomes) for kind in (PASSED, FAILED, SKIPPED)]
    return "\n".join(lines + ["%d passed, %d failed, %d skipped" % tuple(counts)])
