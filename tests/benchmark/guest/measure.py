#!/usr/bin/env python3
"""The part of tests/benchmark/dmabuf that runs in the guest: runs commands by turns and writes down what each took.

    measure.py JOB RESULT

JOB is JSON, tests/benchmark/dmabuf knows what is in it; RESULT is the file for what comes out, JSON as well. The exit
status is 1 when a command failed.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import time


SAMPLE_S = 0.1


class Threads:
    """What the threads of a process take, by their names. What a thread does after the last sample is not in it.

    The process's first thread is called `main`: others inherit its name.
    """

    def __init__(self, pid):
        self._main = str(pid)
        self._folder = pathlib.Path("/proc/%d/task" % pid)
        self._seconds = {}
        self._ended = threading.Event()
        self._sampler = threading.Thread(target=self._follow)
        self._sampler.start()

    def _follow(self):
        while not self._ended.wait(SAMPLE_S):
            self._sample()

    def _sample(self):
        try:
            for task in self._folder.iterdir():
                name = "main" if task.name == self._main else (task / "comm").read_text().strip()
                self._seconds[task.name, name] = int((task / "schedstat").read_text().split()[0]) / 1e9
        except (FileNotFoundError, ProcessLookupError):
            pass  # A thread, or all of it, is gone.

    def end(self):
        """Seconds of each name, numbers at its end left out."""
        self._ended.set()
        self._sampler.join()
        sums = {}
        for (_, name), seconds in self._seconds.items():
            name = name.rstrip("0123456789")
            sums[name] = sums.get(name, 0) + seconds
        return sums


def run(command, environment, limit_s):
    """One whole process: its wall time and its processor time (user and system, of all threads)."""
    with tempfile.TemporaryFile() as output:
        begin = time.monotonic()
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                                   env=dict(os.environ, **environment))
        killer = threading.Timer(limit_s, process.kill)
        killer.start()
        threads = Threads(process.pid)
        try:
            # wait4, not wait: it has the processor time of this child alone.
            _, status, usage = os.wait4(process.pid, 0)
        finally:
            killer.cancel()
            by_thread = threads.end()
        wall = time.monotonic() - begin
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        text = output.read().decode(errors="replace")
    result = {"status": process.returncode, "wall_s": wall, "user_s": usage.ru_utime, "system_s": usage.ru_stime,
              "threads_s": by_thread}
    if process.returncode != 0:
        result["output"] = text[-4000:]
    return result


def measure(case, frames, limit_s):
    """Words in capitals in the command stand for what is known only here."""
    folder = pathlib.Path(tempfile.gettempdir())
    graph, report = folder / "graph.yaml", folder / "report.json"
    graph.write_text(case["graph"])
    report.unlink(missing_ok=True)
    values = {"GRAPH": str(graph), "REPORT": str(report)}
    command = [values.get(word, word.replace("FRAMES", str(frames))) for word in case["command"]]
    result = dict(run(command, case["env"], limit_s), case=case["name"], frames=frames)
    if report.exists():
        result["report"] = json.loads(report.read_text())
    print("%-22s %5d frames, %6.1f s, processor %6.2f s%s" %
          (case["name"], frames, result["wall_s"], result["user_s"] + result["system_s"],
           "" if result["status"] == 0 else ", FAILED with %d" % result["status"]), flush=True)
    return result


def main():
    job = json.loads(sys.argv[1])
    results = []
    failed = set()
    for number in range(job["rounds"] + 1):
        for case in job["cases"]:
            # First once for what is made at a first start: a registry of plugins, a cache of shaders.
            for frames in case["frames"] if number else case["frames"][:1]:
                if case["name"] in failed:
                    continue
                result = dict(measure(case, frames, job["limit_s"]), round=number)
                results.append(result)
                if result["status"] != 0:
                    failed.add(case["name"])
                    print(result["output"], flush=True)
            pathlib.Path(sys.argv[2]).write_text(json.dumps(results))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
