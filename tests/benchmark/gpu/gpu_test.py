#!/usr/bin/env python3
"""Tests of tests/benchmark/gpu that measure nothing: its programs run on software Vulkan, and its parts agree."""

import importlib.machinery
import importlib.util
import os
import subprocess
import json
import pathlib
import re
import sys
import tempfile
import unittest

FOLDER = pathlib.Path("tests/benchmark/gpu")
PLUGIN = os.path.abspath("nodes/vulkan/vulkan.so")
SMALL = ["--size", "128x36", "--stream-size", "64x36", "--ring", "2", "--rounds", "1", "--seconds", "0.02", "--streams",
         "1,2", "--no-search"]

sys.path.insert(0, str(FOLDER))
sys.dont_write_bytecode = True


def load(name):
    loader = importlib.machinery.SourceFileLoader(name.replace(".", "_"), str(FOLDER / name))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    loader.exec_module(module)
    return module


run = load("run")
engine = load("engine.py")
pack = load("pack.py")


def lines(name, *arguments):
    done = subprocess.run([str(FOLDER / name)] + list(arguments), capture_output=True, text=True, check=False)
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()], done.stderr


class GpuBenchmarkTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        status, cls.about, said = lines("by_hand", "--describe")
        if status != 0:
            raise unittest.SkipTest(said)

    def test_kernels_by_hand_do_what_the_reference_does(self):
        status, rows, said = lines("by_hand", "--arms", "limits", "--filters", "8", *SMALL)
        self.assertEqual(status, 0, f"{rows[-1]} {said}")
        self.assertEqual({(row["format"], row["filters"]) for row in rows[1:]},
                         {(name, count) for name in ("RGBA8", "RGBA16F") for count in (0, 8)})
        self.assertTrue(all(row["gpu_us"] > 0 and row["submitted_us"] > 0 for row in rows[1:]), rows)

    def test_frames_are_filtered_whichever_way_they_reach_the_device(self):
        status, rows, said = lines("by_hand", "--arms", "origin,streams", *SMALL)
        self.assertEqual(status, 0, f"{rows[-1]} {said}")
        self.assertTrue(all(row["fps"] > 0 for row in rows[1:]), rows)
        self.assertEqual([row["streams"] for row in rows if row["arm"] == "streams"], [1, 2])

    def test_an_arm_that_fails_says_so_and_the_rest_runs(self):
        status, rows, _ = lines("by_hand", "--arms", "limits,nonsense,streams", "--filters", "1",
                                *[{"128x36": "127x36"}.get(word, word) for word in SMALL])
        self.assertEqual(status, 1)
        self.assertIn("multiple of 4", next(row["error"] for row in rows if row["arm"] == "limits"))
        self.assertIn("nonsense", next(row["error"] for row in rows if row["arm"] == "nonsense"))
        self.assertTrue([row for row in rows if row["arm"] == "streams" and "fps" in row])

    def test_islands_do_what_the_reference_does(self):
        status, rows, said = lines("island", "--plugin", PLUGIN, "--looks", "--filters", "4", *SMALL)
        self.assertEqual(status, 0, said)
        chains = [row for row in rows if row["what"] == "the chain" and row["format"] == "RGBA8"
                  and row["where"] == "memfd to memfd" and "streams" not in row]
        self.assertEqual([(row["filters"], row["how"]) for row in chains],
                         [(4, "fused"), (4, "unfused")])
        for row in chains:
            self.assertNotIn("error", row)
            self.assertGreater(row["fps"], 0)
            self.assertEqual(row["bytes_copied"], 0)

    def test_the_engines_graphs_have_the_chain_that_is_written_by_hand(self):
        ours = []
        for text in engine.CHAIN:
            numbers = [float(value) for value in re.findall(r": ([0-9.]+)", text)]
            name = re.search(r"look: ([a-z]+)", text) or re.search(r"adjust, ([a-z]+):", text)
            ours.append((name.group(1), numbers))
        by_hand = [(step["name"], [round(value, 6) for value in step["params"]]) for step in self.about[0]["chain"]]
        self.assertEqual(ours, by_hand)

    def test_of_several_rounds_the_median_is_told_and_the_others_beside_it(self):
        rows = [{"arm": "island", "what": "the chain", "filters": count, "thread_cpu_us": cpu, "fps": 1000 - cpu}
                for count, cpu in ((1, 7), (2, 9), (1, 30), (2, 8), (1, 6), (2, 10))]
        failed = {"arm": "island", "what": "the chain", "filters": 2, "error": "lost"}
        one, two, error = run.median_rows(rows + [failed])
        self.assertEqual((one["thread_cpu_us"], one["fps"], one["cpu_us_rounds"]), (7, 993, [6, 7, 30]))
        self.assertEqual(two["note"], "CPU 8.0 to 10.0 in 3 rounds")
        self.assertEqual(error, failed)

    def test_a_row_is_one_line_of_the_table(self):
        row = {"arm": "island", "what": "the chain", "how": "fused", "where": "memfd to memfd", "format": "RGBA8", "size": "64x36",
               "filters": 8, "gpu_us": 21.53, "fps": 1234.4, "thread_cpu_us": 7.96, "in_flight": 3}
        text = run.format_row(row)
        self.assertEqual(text.split(), ["island", "RGBA8", "64x36", "8", "the", "chain", "fused", "memfd", "to", "memfd", "21.5",
                                        "1,234", "8.0", "3", "in", "flight"])
        self.assertIn("no such device", run.format_row({"arm": "ffmpeg", "error": "no such device"}))


class PackTest(unittest.TestCase):
    def test_a_stand_in_has_the_names_of_the_library_in_whose_place_it_is(self):
        real = pack.Libraries().places["libz.so.1"]
        with tempfile.TemporaryDirectory() as folder:
            pack._stand_in(real, "libz.so.1", folder)

            def symbols(path):
                text = subprocess.run(["nm", "-D", "--defined-only", "--with-symbol-versions", path], check=True,
                                      capture_output=True, text=True).stdout
                return {line.split()[-1] for line in text.splitlines() if line.split()[-2] != "A"}
            self.assertEqual(symbols(os.path.join(folder, "libz.so.1")), symbols(real))

    def test_what_a_program_needs_is_found_to_the_last_library(self):
        found = pack.Libraries().of(["/usr/bin/ffmpeg"])
        self.assertTrue([name for name in found if name.startswith("libavfilter.so.")])
        self.assertNotIn("libc.so.6", found)
        self.assertTrue(all(os.path.exists(path) for path in found.values()))


if __name__ == "__main__":
    unittest.main()
