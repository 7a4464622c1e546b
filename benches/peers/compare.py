#!/usr/bin/env python3
"""Runs da2s and PyTorch alternately on the same work and prints the speed-up of da2s as a Markdown table.

    python3 benches/peers/compare.py                    # sets everything up, then all cases
    python3 benches/peers/compare.py --case search-small --rounds 7

Needs only Python and cargo: the first run creates a virtual environment in `target/` and installs PyTorch there, and every run
builds da2s. A round runs every side once, each in a separate process, in an order that rotates from round to round. Ratios are
computed within a round, and the table shows their median, so other load on the machine, which slows down all sides of a round,
matters little.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]
# Case, repetitions per round of da2s and of PyTorch on the CPU, and whether PyTorch's default
# layout is included.
CASES = {
    "search": (2, 1, True),
    "search-small": (10, 5, True),
    "retrain": (3, 2, True),
    "inference-1": (10, 10, True),
    "inference-64": (5, 3, True),
    "nas201-blocks": (10, 10, True),
}
# On a GPU a step takes less than a second, but a process takes many seconds to start.
GPU_REPETITIONS = 10
# Load average over a minute above which the machine is busy.
MOST_LOAD = 0.5


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


def run(command, **options):
    return subprocess.run([str(word) for word in command], check=True, **options)


def measured(command):
    return json.loads(run(command, stdout=subprocess.PIPE, text=True).stdout)


class Sides:
    """The sides of a comparison: functions that return the median seconds and the peak memory of one process."""

    def __init__(self, program, interpreter, threads, device, torch_device):
        self.program, self.interpreter, self.threads = program, interpreter, threads
        self.device, self.torch_device = device, torch_device

    def repetitions(self, case, side):
        return CASES[case][side] if self.device == "cpu" else GPU_REPETITIONS

    def ours(self, case, threads):
        def once():
            result = measured([self.program, "bench", "--json", "--case", case, "--device", self.device, "--threads",
                               threads, "--repeat", self.repetitions(case, 0)])["cases"][0]
            return result["median_ms"] / 1e3, result["peak_resident_bytes"]

        return once

    def torch(self, case, layout):
        def once():
            slow = layout == "default" and case == "search" and self.torch_device == "cpu"
            result = measured([self.interpreter, HERE / "peers.py", case, "--device", self.torch_device, "--layout", layout,
                               "--threads", self.threads, "--repeat", self.repetitions(case, 1), "--warm-up", 1 if slow else 2])
            return statistics.median(result["seconds"]), result["peak_resident_bytes"]

        return once

    def of(self, case, default_layout):
        sides = {"da2s": self.ours(case, self.threads), "channels_last": self.torch(case, "channels_last")}
        if default_layout and CASES[case][2]:
            sides["default"] = self.torch(case, "default")
        if self.threads > 1 and self.device == "cpu":
            sides["one thread"] = self.ours(case, 1)
        return sides


def compare(sides, rounds):
    """The seconds and the peak memory of every round, for every side."""
    seen = {name: [] for name in sides}
    for turn in range(rounds):
        names = list(sides)
        shift = turn % len(names)
        for name in names[shift:] + names[:shift]:
            seen[name].append(sides[name]())
            print(f"  round {turn + 1}, {name}: {seen[name][-1][0]:.4f} s", file=sys.stderr)
    return seen


def row(case, seen):
    def seconds(name):
        if name not in seen:
            return "–"
        value = statistics.median(time for time, _ in seen[name])
        return f"{1e3 * value:.1f} ms" if value < 1 else f"{value:.2f} s"

    def ratio(name):
        if name not in seen:
            return "–"
        ratios = [theirs / ours for (theirs, _), (ours, _) in zip(seen[name], seen["da2s"])]
        return f"{statistics.median(ratios):.2f} ({min(ratios):.2f}–{max(ratios):.2f})"

    def memory(name):
        peaks = [peak for _, peak in seen.get(name, []) if peak]
        return f"{max(peaks) / 1e9:.2f} GB" if peaks else "–"

    return [case, seconds("da2s"), seconds("channels_last"), ratio("channels_last"), seconds("default"), ratio("default"),
            ratio("one thread"), memory("da2s"), memory("channels_last")]


def load_warning(threads):
    """The reason why the figures would be worthless, if there is one.

    At the end of every operation, the threads of PyTorch spin until all have finished. If one of them has to share its core, all
    of them lose a time slice, hundreds of times per step. Such a ratio says nothing about an idle machine.
    """
    found = load()
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
    arguments.add_argument("--no-golden", action="store_true", help="skip the check of the peers against the golden values")
    asked = arguments.parse_args()

    interpreter = asked.python or python(asked.venv)
    program = asked.program
    if program is None:
        features = [] if asked.device == "cpu" else ["--features", asked.device]
        run(["cargo", "build", "--release", "--manifest-path", REPOSITORY / "Cargo.toml", *features])
        program = REPOSITORY / "target" / "release" / "da2s"
    if not asked.no_golden:
        run([interpreter, HERE / "check_golden.py"], stdout=sys.stderr)

    warning = load_warning(asked.threads)
    if warning:
        print(warning, file=sys.stderr)
    torch_device = asked.torch_device or {"cpu": "cpu", "metal": "mps"}.get(asked.device, "cuda")
    sides = Sides(program, interpreter, asked.threads, asked.device, torch_device)
    head = ["case", "da2s", "channels_last", "times faster", "default layout", "times faster",
            f"{asked.threads} threads against 1", "da2s, memory", "PyTorch, memory"]
    print("| " + " | ".join(head) + " |\n|" + " --- |" * len(head), flush=True)
    for case in asked.case or CASES:
        print(case, file=sys.stderr)
        seen = compare(sides.of(case, not asked.no_default_layout), asked.rounds)
        print("| " + " | ".join(row(case, seen)) + " |", flush=True)
    print("\nTimes are medians over rounds; ratios are computed within each round and shown as median and range.")
    if warning:
        print(f"\n{warning}")


if __name__ == "__main__":
    main()
