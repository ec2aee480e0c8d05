#!/usr/bin/env python3
"""Runs tests/benchmark/pipewire for a moment: no time is measured against anything, but nothing may be lost."""

import json
import os
import pathlib
import subprocess
import tempfile
import unittest

BENCHMARK = os.path.abspath("tests/benchmark/pipewire")
SLUICE = os.path.abspath("engine/cli/sluice")
PEER = os.path.abspath("tests/pipewire/peer")
SECONDS = 2
RATE = 60


class PipewireTest(unittest.TestCase):
    def run_benchmark(self, *more):
        """The rows of its JSON."""
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, "results.json")
            # Within the camera's cycle a reader is late only when it cannot run for 100 ms: then the camera goes on.
            done = subprocess.run([BENCHMARK, "--sluice", SLUICE, "--peer", PEER, "--seconds", str(SECONDS), "--rate",
                                   str(RATE), "--warm-up", "30", "--sync", "--json", str(path), *more], check=False,
                                  capture_output=True, text=True)
            if done.returncode == 77:
                print("SKIP: PipeWire or its session manager is not installed: run ./setup")
                self.skipTest(done.stderr)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            print(done.stdout)
            return json.loads(path.read_text())["rows"]

    def test_a_camera_of_1080p_keeps_up_and_copies_nothing(self):
        rows = self.run_benchmark("--only", "bare", "--only", "camera", "--only", "filtered")
        self.assertEqual([row["what"] for row in rows], ["bare", "camera", "filtered"])
        for row in rows:
            with self.subTest(row["what"]):
                self.assertEqual(row["frames"], SECONDS * RATE)
                # More latency than no time, and an order that makes sense.
                latency = row["latency_us"]
                self.assertTrue(0 < latency["p50"] <= latency["p99"] <= latency["max"], latency)
                self.assertEqual(row["memory"], {"MemFd": SECONDS * RATE})
        for row in rows[1:]:
            with self.subTest(row["what"]):
                self.assertLessEqual(row["missing"], SECONDS * RATE // 20, row)
                self.assertEqual(row["repeated"], 0, row)
                self.assertEqual(row["bytes_copied"], 0)

    def test_eight_readers_of_1080p_see_whole_pictures(self):
        row, = self.run_benchmark("--only", "checked", "--readers", "8")
        self.assertEqual(row["readers"], 8)
        self.assertEqual((row["torn"], row["rewritten"], row["without_band"]), (0, 0, 0), row)
        self.assertEqual(row["memory"], {"MemFd": 8 * SECONDS * RATE})
        self.assertEqual(row["bytes_copied"], 0)

    def test_what_cannot_be_run_is_an_error(self):
        done = subprocess.run([BENCHMARK, "--sluice", "/bin/false", "--peer", PEER, "--seconds", "1", "--only",
                               "camera"], check=False, capture_output=True, text=True)
        if done.returncode != 77:
            self.assertEqual(done.returncode, 1)
            self.assertIn("ended with 1", done.stderr)


if __name__ == "__main__":
    unittest.main()
