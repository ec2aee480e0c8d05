#!/usr/bin/env python3
"""Tests of tests/benchmark/dmabuf that need no guest: its graphs, its node and its arithmetic."""

import importlib.machinery
import importlib.util
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

BENCHMARK = pathlib.Path("tests/benchmark/dmabuf")
MEASURE = "tests/benchmark/guest/measure.py"
SLUICE = os.path.abspath("engine/cli/sluice")
PLUGIN = os.path.abspath("tests/benchmark/guest/bench.so")

COPIES = """sluice: 1
params: { frames: 0 }
nodes:
  source: { type: core.testsrc, size: 64x36, format: XR24, frames: "${frames}" }
  copy: { type: bench.copy }
  sink: { type: core.null }
edges:
  - source -> copy -> sink
"""


def load():
    loader = importlib.machinery.SourceFileLoader("dmabuf", str(BENCHMARK))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("dmabuf", loader))
    loader.exec_module(module)
    return module


dmabuf = load()


def all_cases():
    sys.argv = ["dmabuf"]
    return dmabuf.cases(dmabuf.arguments(), SLUICE, PLUGIN)


def result(case, frames, cpu, number):
    return {"case": case.name, "frames": frames, "round": number, "status": 0, "wall_s": 1 + frames / 50,
            "user_s": cpu / 2, "system_s": cpu / 2,
            "threads_s": {"main": 9 * number, "sluice-w": cpu / 4, "llvmpipe-": 3 * cpu / 4}}


class DmabufTest(unittest.TestCase):
    def test_its_graphs_are_in_order(self):
        graphs = [case.graph for case in all_cases() if case.graph]
        self.assertEqual(len(graphs), 4)
        for graph in graphs:
            done = subprocess.run([SLUICE, "--plugin-path", PLUGIN, "check", "-"], input=graph, text=True, check=False,
                                  capture_output=True)
            self.assertEqual(done.returncode, 0, done.stderr)

    def test_the_time_of_a_frame_has_no_start_up_in_it(self):
        case = dmabuf.Case("part", "a", "64x36", [10, 110], [])
        runs = [result(case, frames, 7 + 0.002 * frames, number) for number in (1, 2, 3) for frames in case.frames]
        # The warm-up does not count.
        runs.append(result(case, 10, 1000, 0))
        row = dmabuf.row(runs, case, case)
        self.assertAlmostEqual(row["cpu_ms"], 2)
        self.assertAlmostEqual(row["rest_ms"], 0.5)
        self.assertAlmostEqual(row["fps"], 50)
        self.assertAlmostEqual(row["ratio"], 1)
        self.assertIsNone(row["bytes_copied"])

    def test_a_round_that_did_not_end_is_left_out(self):
        case = dmabuf.Case("part", "a", "64x36", [10, 110], [])
        runs = [result(case, 10, 1, 1), result(case, 110, 2, 1), result(case, 10, 5, 2)]
        self.assertAlmostEqual(dmabuf.row(runs, case, case)["cpu_ms"], 10)

    def test_ratios_are_those_of_the_same_round(self):
        first = dmabuf.Case("part", "first", "64x36", [10, 110], [])
        other = dmabuf.Case("part", "other", "64x36", [10, 110], [])
        runs = []
        for number, slow in ((1, 1), (2, 10), (3, 1)):
            for frames in first.frames:
                runs.append(result(first, frames, slow * 0.001 * frames, number))
                runs.append(result(other, frames, slow * 0.003 * frames, number))
        self.assertAlmostEqual(dmabuf.row(runs, other, first)["ratio"], 3)

    def test_runs_are_measured_and_each_copied_byte_counted(self):
        case = dmabuf.Case("part", "copies", "64x36", [2, 4], all_cases()[0].command, COPIES)
        job = {"rounds": 1, "limit_s": 60, "cases": [case.job()]}
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, "results.json")
            done = subprocess.run([sys.executable, MEASURE, json.dumps(job), str(path)], check=False,
                                  env=dict(os.environ, TMPDIR=folder), capture_output=True, text=True)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            runs = json.loads(path.read_text())
        self.assertEqual([(run["round"], run["frames"]) for run in runs], [(0, 2), (1, 2), (1, 4)])
        self.assertEqual(dmabuf.row(runs, case, case)["bytes_copied"], 64 * 36 * 4)

    def test_a_command_that_fails_is_shown_and_not_run_again(self):
        case = dmabuf.Case("part", "fails", "64x36", [2, 4], ["sh", "-c", "echo no camera; exit 3"])
        job = {"rounds": 2, "limit_s": 60, "cases": [case.job()]}
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, "results.json")
            done = subprocess.run([sys.executable, MEASURE, json.dumps(job), str(path)], check=False,
                                  env=dict(os.environ, TMPDIR=folder), capture_output=True, text=True)
            self.assertEqual(done.returncode, 1)
            self.assertIn("no camera", done.stdout)
            self.assertEqual(len(json.loads(path.read_text())), 1)


if __name__ == "__main__":
    unittest.main()
