#!/usr/bin/env python3
"""Runs da2s and PyTorch alternately on the same work and prints the speed-up of da2s as a Markdown table.

    python3 benches/peers/compare.py                    # sets everything up, then all cases
    python3 benches/peers/compare.py --case search-small --rounds 7

Needs only Python and cargo: the first run creates a virtual environment in `target/` and installs PyTorch there, and every run
builds da2s. A round runs every side once, each in a separate process, in an order that rotates from round to round. Ratios are
computed within a round, and the table shows their median, so other load on the machine, which slows down all sides of a round,
matters little. PyTorch's sides are float32 and, in the column bf16, autocast to bfloat16, both in channels_last; and float32 in
PyTorch's default layout. Both programs count the multiply-adds of a forward pass, and the comparison ends if they differ.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import venv
from collections import namedtuple
from pathlib import Path

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]
# Case, and repetitions per round of da2s and of PyTorch on the CPU.
CASES = {
    "search": (2, 1),
    "search-small": (10, 5),
    "search-mobile": (3, 1),
    "retrain": (3, 2),
    "inference-1": (10, 10),
    "inference-64": (5, 3),
    "nas201-blocks": (10, 10),
}
# On a GPU a step takes less than a second, but a process takes many seconds to start.
GPU_REPETITIONS = 10
# Load average over a minute above which the machine is busy.
MOST_LOAD = 0.5
# Median seconds of a repetition on the wall clock and of processor time, peak memory, and the
# multiply-adds of a forward pass.
Measured = namedtuple("Measured", "wall processor memory multiply_adds")


def python(folder, requirements="requirements.txt"):
    """The interpreter of the virtual environment in `folder`, which is created with `requirements` if necessary."""
    program = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    complete = folder / "complete"
    if not complete.exists():
        venv.create(folder, with_pip=True)
        run([program, "-m", "pip", "install", "-r", HERE / requirements], stdout=sys.stderr)
        complete.touch()
    return program


def load():
    """The load of the machine; 0 where it is unknown."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0


def processor():
    """The name of the processor."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":")[1].strip()
    return platform.processor()


def run(command, **options):
    return subprocess.run([str(word) for word in command], check=True, **options)


def output(command):
    return run(command, stdout=subprocess.PIPE, text=True).stdout.strip()


class Sides:
    """The sides of a comparison: functions that measure in one process and return a `Measured`."""

    def __init__(self, program, interpreter, threads, device, torch_device):
        self.program, self.interpreter, self.threads = program, interpreter, threads
        self.device, self.torch_device = device, torch_device

    def repetitions(self, case, side):
        return CASES[case][side] if self.device == "cpu" else GPU_REPETITIONS

    def ours(self, case, threads):
        def once():
            result = json.loads(output([self.program, "bench", "--json", "--case", case, "--device", self.device, "--threads",
                                        threads, "--repeat", self.repetitions(case, 0)]))["cases"][0]
            used = result["processor_ms"]
            return Measured(result["median_ms"] / 1e3, used and used / 1e3, result["peak_resident_bytes"], result["multiply_adds"])

        return once

    def torch(self, case, layout="channels_last", precision="float32"):
        def once():
            repetitions = self.repetitions(case, 1)
            result = json.loads(output([self.interpreter, HERE / "peers.py", case, "--device", self.torch_device, "--layout", layout,
                                        "--precision", precision, "--threads", self.threads, "--repeat", repetitions,
                                        "--warm-up", min(2, repetitions)]))
            return Measured(*(statistics.median(result[key]) for key in ("seconds", "cpu_seconds")),
                            result["peak_resident_bytes"], result["multiply_adds"])

        return once

    def of(self, case, bf16, default_layout):
        sides = {"da2s": self.ours(case, self.threads), "float32": self.torch(case)}
        if bf16:
            sides["bf16"] = self.torch(case, precision="bf16")
        if default_layout:
            sides["default"] = self.torch(case, layout="default")
        if self.threads > 1 and self.device == "cpu":
            sides["one thread"] = self.ours(case, 1)
        return sides


def compare(sides, rounds):
    """What was measured in every round, for every side."""
    seen = {name: [] for name in sides}
    for turn in range(rounds):
        names = list(sides)
        shift = turn % len(names)
        for name in names[shift:] + names[:shift]:
            seen[name].append(sides[name]())
            print(f"  round {turn + 1}, {name}: {seen[name][-1].wall:.4f} s", file=sys.stderr)
    counts = {name: several[0].multiply_adds for name, several in seen.items()}
    if len(set(counts.values())) > 1:
        sys.exit(f"the sides compute different networks: multiply-adds of a forward pass are {counts}")
    return seen


def row(case, seen):
    def time(values):
        values = [value for value in values if value is not None]
        value = statistics.median(values) if values else None
        return "–" if value is None else f"{1e3 * value:.1f} ms" if value < 1 else f"{value:.2f} s"

    def times(name):
        if name not in seen:
            return "–"
        return f"{time(one.wall for one in seen[name])} ({time(one.processor for one in seen[name])})"

    def ratio(name):
        if name not in seen:
            return "–"
        ratios = [theirs.wall / ours.wall for theirs, ours in zip(seen[name], seen["da2s"])]
        return f"{statistics.median(ratios):.2f} ({min(ratios):.2f}–{max(ratios):.2f})"

    def memory(name):
        peaks = [one.memory for one in seen.get(name, []) if one.memory]
        return f"{max(peaks) / 1e9:.2f} GB" if peaks else "–"

    peers = [cell for name in ("float32", "bf16", "default") for cell in (times(name), ratio(name))]
    return [case, times("da2s"), *peers, ratio("one thread"), memory("da2s"), memory("float32"), memory("bf16")]


def load_warning(found, threads):
    """The reason why the figures would be worthless at a load of `found`, if there is one.

    At the end of every operation, the threads of PyTorch spin until all have finished. If one of them has to share its core, all
    of them lose a time slice, hundreds of times per step. Such a ratio says nothing about an idle machine.
    """
    if threads > 1 and found > MOST_LOAD:
        return (f"warning: the machine was busy (load {found:.1f}); that slows PyTorch's threads down many times more than "
                "those of da2s, so these ratios flatter da2s: repeat on an idle machine, or compare with --threads 1")
    return None


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--case", choices=CASES, action="append", help="may be given several times; default: all")
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--threads", type=int, default=2)
    arguments.add_argument("--device", default="cpu", help="of da2s: cpu, cuda, rocm, metal, vulkan (a build with that feature)")
    arguments.add_argument("--torch-device", help="of PyTorch; default: cpu for cpu, mps for metal, cuda for the others")
    arguments.add_argument("--python", type=Path, help="an interpreter that already has PyTorch")
    arguments.add_argument("--venv", type=Path, default=REPOSITORY / "target" / "peers-venv")
    arguments.add_argument("--program", type=Path, help="an existing da2s program")
    arguments.add_argument("--no-default-layout", action="store_true", help="PyTorch in channels_last only")
    arguments.add_argument("--no-bf16", action="store_true", help="PyTorch in float32 only")
    arguments.add_argument("--no-golden", action="store_true", help="skip the check of the peers against the golden values")
    asked = arguments.parse_args()

    # Before the build and the check, which would add to the load.
    before = load()
    interpreter = asked.python or python(asked.venv)
    program = asked.program
    if program is None:
        features = [] if asked.device == "cpu" else ["--features", asked.device]
        run(["cargo", "build", "--release", "--manifest-path", REPOSITORY / "Cargo.toml", *features])
        program = REPOSITORY / "target" / "release" / "da2s"
    if not asked.no_golden:
        run([interpreter, HERE / "check_golden.py"], stdout=sys.stderr)

    warning = load_warning(before, asked.threads)
    if warning:
        print(warning, file=sys.stderr)
    torch_device = asked.torch_device or {"cpu": "cpu", "metal": "mps"}.get(asked.device, "cuda")
    sides = Sides(program, interpreter, asked.threads, asked.device, torch_device)
    version = output([interpreter, "-c", "import torch; print(torch.__version__)"])
    print(f"{processor()}, {os.cpu_count()} cores, {asked.threads} threads; {output([program, '--version'])}, PyTorch {version}; "
          f"load {before:.1f} at the start\n")
    head = ["case", "da2s", "PyTorch float32", "times faster", "PyTorch bf16", "times faster", "default layout", "times faster",
            f"{asked.threads} threads against 1", "da2s, memory", "float32, memory", "bf16, memory"]
    print("| " + " | ".join(head) + " |\n|" + " --- |" * len(head), flush=True)
    for case in asked.case or CASES:
        print(case, file=sys.stderr)
        seen = compare(sides.of(case, not asked.no_bf16, not asked.no_default_layout), asked.rounds)
        print("| " + " | ".join(row(case, seen)) + " |", flush=True)
    print("\nTimes are medians over rounds, with the processor time of all threads in parentheses; ratios are of wall-clock times, "
          "are computed within each round and shown as median and range.")
    if warning:
        print(f"\n{warning}")


if __name__ == "__main__":
    main()
