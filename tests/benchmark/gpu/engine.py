"""The whole engine: `sluice run` of graphs with a chain of GPU filters between a test picture and nothing."""

import json
import os
import statistics
import subprocess
import time

LIMIT_S = 120

# As chain.cc has them.
CHAIN = [
    "vulkan.adjust, brightness: 0.03",
    "vulkan.adjust, contrast: 1.1",
    "vulkan.adjust, saturation: 1.2",
    "vulkan.look, look: warm, strength: 0.4",
    "vulkan.look, look: fade, lift: 0.05, saturation: 0.85",
    "vulkan.look, look: vignette, strength: 0.5, radius: 0.4",
    "vulkan.adjust, gamma: 1.15",
    "vulkan.look, look: sepia",
]
# What a report may say of the device's part.
REPORTED = ("islands", "passes", "gpu", "domains")


class Engine:
    def __init__(self, program, environment, folder, device):
        self.program = program
        self.environment = environment
        self.folder = folder
        self.device = ["--gpu", device] if device else []

    def _graph(self, size, filters, frames, streams):
        nodes, edges = [], []
        for stream in range(streams):
            names = [f"s{stream}_src"] + [f"s{stream}_f{i}" for i in range(filters)] + [f"s{stream}_sink"]
            # A still picture: drawn once into each buffer.
            nodes.append(f"{names[0]}: {{ type: core.testsrc, size: {size}, format: AB24, pattern: gradient, "
                         f"counter: false, frames: {frames} }}")
            nodes += [f"{name}: {{ type: {CHAIN[i % len(CHAIN)]} }}" for i, name in enumerate(names[1:-1])]
            nodes.append(f"{names[-1]}: {{ type: core.null }}")
            edges.append(" -> ".join(names))
        path = os.path.join(self.folder, f"chain-{size}-{filters}-{frames}-{streams}.yaml")
        with open(path, "w", encoding="utf-8") as file:
            file.write("sluice: 1\nname: chain\nnodes:\n" + "".join(f"  {node}\n" for node in nodes) + "edges:\n" +
                       "".join(f"  - {edge}\n" for edge in edges))
        return path

    def _run(self, graph, fused):
        report = os.path.join(self.folder, "report.json")
        before = os.times()
        begin = time.perf_counter()
        done = subprocess.run([self.program, "run", "--quiet", "--force", "--report", report] + self.device + [graph],
                              env=self.environment | {"SLUICE_VULKAN_FUSE": "1" if fused else "0"},
                              capture_output=True, text=True, errors="replace", timeout=LIMIT_S, check=False)
        wall = time.perf_counter() - begin
        after = os.times()
        if done.returncode != 0:
            raise RuntimeError(f"exit status {done.returncode}: {done.stderr.strip()[-1000:]}")
        with open(report, encoding="utf-8") as file:
            return wall, after.children_user + after.children_system - before.children_user - before.children_system, \
                json.load(file)

    def measure(self, size, filters, frames, rounds, fused=True, streams=1):
        """The slope between a short run and a long one, a frame."""
        few = max(frames // 6, 1)
        walls, cpus, report = [], [], None
        for _ in range(rounds):
            short = self._run(self._graph(size, filters, few, streams), fused)
            long = self._run(self._graph(size, filters, frames, streams), fused)
            walls.append((long[0] - short[0]) / (frames - few) / streams)
            cpus.append((long[1] - short[1]) / (frames - few) / streams)
            report = long[2]
        wall = statistics.median(walls)
        row = {"fps": 1 / wall if wall > 0 else None, "process_cpu_us": 1e6 * statistics.median(cpus),
               "bytes_copied": report["bytes_copied"] / frames / streams}
        sinks = [node["fps"] for node in report["nodes"] if node["type"] == "core.null"]
        if streams > 1:
            row["fairness"] = min(sinks) / max(sinks)
        return row | {key: report[key] for key in REPORTED if key in report}


def rows(engine, sizes, rounds):
    cases = [(sizes.size, filters, fused, 1) for filters in (1, 4, 8, 16) for fused in (True, False)
             if fused or filters > 1]
    cases += [(sizes.stream_size, 4, True, int(streams)) for streams in sizes.streams.split(",")]
    for size, filters, fused, streams in cases:
        row = {"arm": "engine", "what": "sluice run, testsrc to null", "how": "fused" if fused else "unfused",
               "format": "RGBA8", "size": size, "filters": filters, "streams": streams}
        try:
            frames = max(sizes.engine_frames // streams, 24)
            yield row | engine.measure(size, filters, frames, rounds, fused, streams)
        except (RuntimeError, subprocess.TimeoutExpired) as failure:
            yield row | {"error": str(failure)}
