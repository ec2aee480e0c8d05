"""FFmpeg's Vulkan filters and libplacebo's, on frames that are on the GPU already."""

import os
import statistics
import subprocess
import time

LIMIT_S = 120

# Chains of four that FFmpeg 5.1 has. Each has its match in //tests/benchmark/gpu:island, by name.
CHAINS = {
    "flips": ["hflip_vulkan", "vflip_vulkan", "hflip_vulkan", "vflip_vulkan"],
    "flips, aberration, blur": ["hflip_vulkan", "vflip_vulkan", "chromaber_vulkan=dist_x=8:dist_y=8",
                                "gblur_vulkan=sigma=2:size=13"],
    "four adjustments": ["libplacebo=brightness=0.03", "libplacebo=contrast=1.1", "libplacebo=saturation=1.2",
                        "libplacebo=gamma=1.15"],
    # libplacebo's own fusion: all four in one filter.
    "four adjustments in one": ["libplacebo=brightness=0.03:contrast=1.1:saturation=1.2:gamma=1.15"],
}
# What it does beyond the four, left out as far as its options go.
PLACEBO = ":dithering=none:peak_detect=0:format=rgba:colorspace=gbr:range=pc"


class Ffmpeg:
    def __init__(self, program, environment, size):
        self.program = program
        self.environment = environment
        self.size = size

    def version(self):
        done = self._start(["-version"])
        return (done.stdout or done.stderr).splitlines()[0]

    def _start(self, arguments):
        return subprocess.run([self.program, "-hide_banner", "-nostdin"] + arguments, env=self.environment,
                              capture_output=True, text=True, errors="replace", timeout=LIMIT_S, check=False)

    def _seconds(self, chain, frames):
        """One frame is uploaded; then it is filtered `frames` times. Returns wall and processor time."""
        filters = [step + (PLACEBO if step.startswith("libplacebo") else "") for step in chain]
        graph = ",".join(["trim=end_frame=1", "format=rgba", "hwupload", f"loop=loop={frames - 1}:size=1:start=0"] +
                         filters)
        before = os.times()
        begin = time.perf_counter()
        done = self._start(["-v", "error", "-init_hw_device", "vulkan=gpu", "-filter_hw_device", "gpu", "-f", "lavfi",
                            "-i", f"testsrc2=size={self.size}:rate=30", "-vf", graph, "-f", "null", "-"])
        wall = time.perf_counter() - begin
        after = os.times()
        if done.returncode != 0:
            raise RuntimeError(f"exit status {done.returncode}: {done.stderr.strip()[-1500:]}")
        cpu = (after.children_user + after.children_system) - (before.children_user + before.children_system)
        return wall, cpu, done.stderr.strip()

    def initialises(self):
        """What it says when it opens the device; None when it does."""
        done = self._start(["-v", "verbose", "-init_hw_device", "vulkan=gpu", "-f", "lavfi", "-i",
                            "testsrc2=size=64x64:rate=1:duration=1", "-f", "null", "-"])
        return None if done.returncode == 0 else done.stderr.strip()[-3000:]

    def measure(self, chain, seconds, rounds):
        """The slope between a short run and a long one of about so many seconds."""
        few, many = self._counts(chain, seconds)
        walls, cpus, said = [], [], ""
        for _ in range(rounds):
            short = self._seconds(chain, few)
            long = self._seconds(chain, many)
            walls.append((long[0] - short[0]) / (many - few))
            cpus.append((long[1] - short[1]) / (many - few))
            said = long[2]
        wall = statistics.median(walls)
        row = {"ms": 1e3 * wall, "fps": 1 / wall if wall > 0 else None, "process_cpu_us": 1e6 * statistics.median(cpus),
               "frames": many}
        if said:
            row["note"] = said[-500:]
        return row

    def _counts(self, chain, seconds):
        """How many frames a short run and a long one have."""
        few, many = 4, 24
        while True:
            starts = [self._seconds(chain, few)[0] for _ in range(3)]
            noise = max(starts) - min(starts)
            slope = (self._seconds(chain, many)[0] - statistics.median(starts)) / (many - few)
            # Starts differ by tenths of a second: the frames must take several times that.
            if slope * (many - few) > max(0.5, 5 * noise) or many > 20_000:
                return few, max(many, int(seconds / max(slope, 1e-6)))
            many *= 4


def rows(ffmpeg, seconds, rounds):
    """One for each chain; those that do not run say why."""
    about = {"arm": "ffmpeg", "format": "RGBA8", "size": ffmpeg.size}
    why = ffmpeg.initialises()
    if why is not None:
        yield about | {"what": "opening the device", "error": why}
        return
    for name, chain in CHAINS.items():
        row = about | {"what": name, "filters": 4, "chain": ",".join(chain)}
        try:
            yield row | ffmpeg.measure(chain, seconds, rounds)
        except (RuntimeError, subprocess.TimeoutExpired) as failure:
            yield row | {"error": str(failure)}
