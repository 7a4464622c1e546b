#!/usr/bin/env python3
"""The tables and the figure of docs/book/src/experiments/growth.md: time and memory as one quantity grows.

    cargo build --release
    python3 docs/book/src/experiments/growth.py --out runs/growth            # resumes; OUT/growth.csv grows, a line per run
    python3 docs/book/src/experiments/growth.py --table docs/book/src/experiments/growth.csv
    python3 docs/book/src/experiments/growth.py --figure docs/book/src/experiments/growth.csv > docs/book/src/experiments/growth.svg

A run is one process that searches, or trains a given network, for three epochs on random images. Its time is that of the
faster of the last two epochs. Each is repeated until the two fastest runs differ by at most a tenth, at most five times; the fastest
counts, since other work only slows a run down. A run on two threads during which other processes used a twentieth of a core does not
count at all. A step is the difference between runs with few and with many images, divided by the
difference in steps, so that what an epoch costs beside its steps does not count. Memory is the peak of the process (Linux: VmHWM).
"""

import argparse
import csv
import json
import math
import os
import random
import re
import shutil
import statistics
import struct
import subprocess
import sys
import time
from pathlib import Path

from closed_loop_moments import COLOURS
from rivals import STUDENT

BASE = {"batch": 16, "side": 16, "channels": 8, "cells": 6, "nodes": 4, "candidates": 7, "threads": 1}
# Light and heavy candidates in turn, so that the mean of the first N changes little with N.
CANDIDATES = ["sep_conv_3x3", "max_pool_3x3", "dil_conv_5x5", "skip_connect", "sep_conv_5x5", "avg_pool_3x3", "dil_conv_3x3"]
VALUES = {"batch": [4, 8, 16, 32, 64], "side": [8, 16, 24, 32, 64], "channels": [4, 8, 16, 32, 64], "cells": [3, 6, 12, 24],
          "nodes": [1, 2, 4, 8, 16], "candidates": [1, 2, 4, 7], "images": [128, 256, 512, 1024]}
OF_STAGE = {"search": list(VALUES), "retraining": ["batch", "side", "channels", "cells"]}
# What else is measured with one and two threads, beside the base case.
TWO_THREADS = [{}, {"side": 8}, {"batch": 64}]
# DARTS_V2.
GENOTYPE = (
    "Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 1), "
    "('skip_connect', 0), ('skip_connect', 0), ('dil_conv_3x3', 2)], normal_concat=[2, 3, 4, 5], reduce=[('max_pool_3x3', 0), "
    "('max_pool_3x3', 1), ('skip_connect', 2), ('max_pool_3x3', 1), ('max_pool_3x3', 0), ('skip_connect', 2), ('skip_connect', 2), "
    "('max_pool_3x3', 1)], reduce_concat=[2, 3, 4, 5])")
MOST_RUNS, MOST_APART, MOST_OTHERS, EPOCHS = 5, 1.1, 0.05, 3
# About how long a step of the base case takes, and how long the steps of an epoch should take.
STEP_S, STEPS_S = {"search": 0.1, "retraining": 0.0075}, 0.6
FILE_IMAGES = 16384
FIELDS = ["run", "stage", *BASE, "images", "steps", "epoch_s", "peak_mib", "estimated_mib"]
NAMES = {"batch": "batch size", "side": "side of the images", "channels": "channels", "cells": "cells", "nodes": "nodes per cell",
         "candidates": "candidates", "images": "images, per epoch"}


def edges(nodes):
    return nodes * (nodes + 3) // 2


def write_images(folder, images):
    """Random grey images of 28×28 pixels in the files of MNIST, this many for training."""
    unfinished = folder.with_suffix(".part")
    unfinished.mkdir(parents=True, exist_ok=True)
    draw = random.Random(1)
    for part, count in (("t10k", 10), ("train", images)):
        with (unfinished / f"{part}-images-idx3-ubyte").open("wb") as file:
            file.write(struct.pack(">4B3I", 0, 0, 8, 3, count, 28, 28))
            file.writelines(draw.randbytes(784) for _ in range(count))
        (unfinished / f"{part}-labels-idx1-ubyte").write_bytes(struct.pack(">4BI", 0, 0, 8, 1, count) + bytes(at % 10 for at in range(count)))
    unfinished.replace(folder)


def per_step(stage, sizes):
    """Training images that a step uses: a search step takes a batch for the architecture and one for the weights."""
    return sizes["batch"] * (2 if stage == "search" else 1)


def many_steps(stage, sizes):
    growth = sizes["batch"] / BASE["batch"] * (sizes["side"] / BASE["side"]) ** 2 * sizes["channels"] / BASE["channels"] * sizes["cells"] / BASE["cells"]
    if stage == "search":
        growth *= edges(sizes["nodes"]) / edges(BASE["nodes"]) * sizes["candidates"] / BASE["candidates"]
    return min(max(round(STEPS_S / (STEP_S[stage] * growth)), 3), FILE_IMAGES // per_step(stage, sizes))


def cases():
    """All runs of a round: stage, sizes, training images."""
    found = []
    for stage, quantities in OF_STAGE.items():
        varied = [{quantity: value} for quantity in quantities if quantity != "images" for value in VALUES[quantity]]
        varied += [{**other, "threads": threads} for other in TWO_THREADS for threads in (1, 2)]
        for sizes in ({**BASE, **one} for one in varied):
            found += [(stage, sizes, steps * per_step(stage, sizes)) for steps in (1, many_steps(stage, sizes))]
        if "images" in quantities:
            found += [(stage, BASE, images) for images in VALUES["images"]]
    return list({key(*case): case for case in found}.values())


def key(stage, sizes, images):
    return (stage, *(int(sizes[name]) for name in BASE), int(images))


def command(program, stage, sizes, images, data):
    table = "search" if stage == "search" else "network"
    settings = {f"{table}.batch_size": sizes["batch"], f"{table}.channels": sizes["channels"], f"{table}.cells": sizes["cells"]}
    if stage == "search":
        # α and β train from the first step, but so slowly that the mixture stays open.
        settings |= {"search.warmup_epochs": 0, "search.alpha_rate": 1e-3, "search.beta_rate": 1e-3, "search.monitor_images": 1,
                     "space.nodes": sizes["nodes"], "space.operations": json.dumps(CANDIDATES[:sizes["candidates"]])}
        more = ["--drive", "none", "--search-epochs", EPOCHS]
    else:
        settings |= {"run.measure_latency": "false", "data.test_limit": 1}
        more = ["--train-epochs", EPOCHS]
    words = [program, "mnist", "--data-dir", data, "--image-size", sizes["side"], "--limit", images, "--threads", sizes["threads"], *more]
    return [str(word) for word in words] + [word for name, value in settings.items() for word in ("--set", f"{name}={value}")]


def busy_s():
    """Processor seconds of all processes, the time of interrupts included."""
    user, nice, system, _, _, *interrupts = map(int, Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:8])
    return (user + nice + system + sum(interrupts)) / os.sysconf("SC_CLK_TCK")


def measured(program, stage, sizes, images, out):
    """One run: seconds per epoch and peak memory, and the memory of a search step that da2s estimates; None if it was disturbed."""
    path = out / "run"
    shutil.rmtree(path, ignore_errors=True)
    program, *words = command(program, stage, sizes, images, out / "images")
    verb = ["search"] if stage == "search" else ["run", "--genotype", GENOTYPE]
    began, busy = time.monotonic(), busy_s()
    process = subprocess.Popen([program, *verb, *words, "--quiet", "--out", str(path)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join([program, *verb, *words])} ended with {os.waitstatus_to_exitcode(status)}")
    others = (busy_s() - busy - usage.ru_utime - usage.ru_stime) / (time.monotonic() - began)
    if sizes["threads"] > 1 and others > MOST_OTHERS:
        return None
    lines = (path / ("search" if stage == "search" else "network") / "times.jsonl").read_text().splitlines()
    estimated = ""
    if stage == "search":
        table = subprocess.run([program, "config", "--memory", *words], check=True, capture_output=True, text=True).stdout
        number, unit = re.search(r"^all +([\d.]+) ([MG])iB", table, re.M).groups()
        estimated = round(float(number) * (1024 if unit == "G" else 1))
    return {"epoch_s": round(min(json.loads(line)["time_s"] for line in lines[1:]), 6),
            "peak_mib": round(usage.ru_maxrss / 1024, 1), "estimated_mib": estimated}


def experiment(program, out, seconds):
    path, ends = out / "growth.csv", time.monotonic() + seconds
    if not (out / "images").exists():
        write_images(out / "images", FILE_IMAGES)
    rows = read(path) if path.exists() else []
    while unsettled := [case for case in cases() if not is_settled(times_s(rows, *case))]:
        # Shuffled, so that a time at which the machine is slow does not bend a single curve.
        fewest = min(len(times_s(rows, *case)) for case in unsettled)
        for stage, sizes, images in random.Random(fewest).sample(unsettled, len(unsettled)):
            if time.monotonic() > ends:
                print(f"{len(unsettled)} of {len(cases())} cases are left", file=sys.stderr)
                return
            number = len(times_s(rows, stage, sizes, images))
            if number > fewest:
                continue
            if found := measured(program, stage, sizes, images, out):
                rows.append({"run": number + 1, "stage": stage, **sizes, "images": images, "steps": images // per_step(stage, sizes), **found})
                write(path, rows, FIELDS)


def of_case(rows, stage, sizes, images):
    return [row for row in rows if key(row["stage"], row, row["images"]) == key(stage, sizes, images)]


def times_s(rows, stage, sizes, images):
    """Seconds per epoch of the runs of a case, the fastest first."""
    return sorted(float(row["epoch_s"]) for row in of_case(rows, stage, sizes, images))


def is_settled(times):
    return len(times) >= MOST_RUNS or len(times) >= 2 and times[1] <= MOST_APART * times[0]


def read(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def write(path, rows, fields):
    with path.with_suffix(".part").open("w", newline="") as file:
        writer = csv.DictWriter(file, fields, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    path.with_suffix(".part").replace(path)


def step_ms(rows, stage, sizes):
    """The milliseconds of a step, and what an epoch takes beside its steps."""
    steps = many_steps(stage, sizes)
    few, many = (1e3 * times_s(rows, stage, sizes, count * per_step(stage, sizes))[0] for count in (1, steps))
    step = (many - few) / (steps - 1)
    return step, few - step


def peak_mib(rows, stage, sizes, field="peak_mib"):
    """The median, of runs with many images."""
    return statistics.median(float(row[field]) for row in of_case(rows, stage, sizes, many_steps(stage, sizes) * per_step(stage, sizes)))


def curve(rows, stage, quantity):
    """For each value: the value, milliseconds, peak and estimated memory in MiB."""
    for value in VALUES[quantity]:
        if quantity == "images":
            peak, estimated = (statistics.median(float(row[field]) for row in of_case(rows, stage, BASE, value)) for field in ("peak_mib", "estimated_mib"))
            yield value, 1e3 * times_s(rows, stage, BASE, value)[0], peak, estimated
        else:
            sizes = {**BASE, quantity: value}
            estimated = peak_mib(rows, stage, sizes, "estimated_mib") if stage == "search" else None
            yield value, step_ms(rows, stage, sizes)[0], peak_mib(rows, stage, sizes), estimated


def power(points):
    """The exponent of a power of x, by least squares between the logarithms, and half of its 95 % interval by Student's t."""
    xs, ys = ([math.log(point[at]) for point in points] for at in (0, 1))
    mean_x, mean_y = statistics.mean(xs), statistics.mean(ys)
    spread = sum((x - mean_x) ** 2 for x in xs)
    exponent = sum((x - mean_x) * (y - mean_y) for x, y in zip(xs, ys)) / spread
    rest = sum((y - mean_y - exponent * (x - mean_x)) ** 2 for x, y in zip(xs, ys))
    free = len(points) - 2
    return exponent, STUDENT[free - 1] * math.sqrt(rest / free / spread)


def fixed_and_power(points):
    """The a and c of a + b·x^c that fit best between the logarithms; a is at least 0."""
    best = None
    for share in range(100):
        fixed = share / 100 * min(y for _, y in points)
        above = [(x, y - fixed) for x, y in points]
        exponent, _ = power(above)
        factor = math.exp(statistics.mean(math.log(y) - exponent * math.log(x) for x, y in above))
        error = sum((math.log(fixed + factor * x ** exponent) - math.log(y)) ** 2 for x, y in points)
        if best is None or error < best[0]:
            best = (error, fixed, exponent)
    return best[1:]


def steepness(points):
    """The exponents between the first two values, and between the last two."""
    return [math.log(b[1] / a[1]) / math.log(b[0] / a[0]) for a, b in (points[:2], points[-2:])]


def short(value):
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.3g}"


def print_tables(rows):
    for what, at, unit in (("a step", 1, "ms"), ("peak memory", 2, "MiB")):
        print(f"\n| stage | quantity | values | {what}, {unit} | exponent | between the first two, the last two | fixed + power |\n|" + "---|" * 7)
        for stage, quantities in OF_STAGE.items():
            lines = [(NAMES[quantity], [(point[0], point[at]) for point in curve(rows, stage, quantity)]) for quantity in quantities]
            lines += [("edges of a cell", [(edges(nodes), y) for nodes, y in points]) for name, points in lines if name == NAMES["nodes"]]
            for name, points in lines:
                exponent, half = power(points)
                fixed, above = fixed_and_power(points)
                first, last = steepness(points)
                values, measures = (", ".join(short(point[at]) for point in points) for at in (0, 1))
                print(f"| {stage} | {name} | {values} | {measures} | {exponent:.2f} ± {half:.2f} | {first:.2f}, {last:.2f} | {short(fixed)} + x^{above:.2f} |")
    errors = [(estimated / peak - 1, quantity, value) for quantity in OF_STAGE["search"] for value, _, peak, estimated in curve(rows, "search", quantity)]
    print(f"\nestimated memory of a search: {100 * min(errors)[0]:+.0f} % ({min(errors)[1]} {min(errors)[2]}) to "
          f"{100 * max(errors)[0]:+.0f} % ({max(errors)[1]} {max(errors)[2]}) of the peak")
    for stage in OF_STAGE:
        print(f"{stage}: an epoch of the base case takes {step_ms(rows, stage, BASE)[1]:.0f} ms beside its steps")
        for other in TWO_THREADS:
            one, two = ({**BASE, **other, "threads": threads} for threads in (1, 2))
            times = [step_ms(rows, stage, sizes)[0] for sizes in (one, two)]
            print(f"{stage}, {other or 'base'}: {times[0]:.3g} ms, two threads {times[1]:.3g} ms, {times[0] / times[1]:.2f} times as fast; "
                  f"{peak_mib(rows, stage, one):.0f} and {peak_mib(rows, stage, two):.0f} MiB")
    apart = [times[1] / times[0] - 1 for times in (times_s(rows, *case) for case in cases()) if len(times) > 1]
    print(f"the second fastest run of a case takes {100 * statistics.median(apart):.0f} % longer in the median, at most {100 * max(apart):.0f} %; "
          f"{len(rows)} runs of {len(cases())} cases")


class Panel:
    """A plot of multiples of the base case, both axes logarithmic."""

    WIDTH, HEIGHT = 276, 214

    def __init__(self, left, top, title, lowest, highest):
        self.left, self.top, self.lowest, self.highest = left, top, math.log2(lowest), math.log2(highest)
        self.out = [f'<text x="{left}" y="{top - 8}" fill="#222222" font-weight="bold">{title}</text>']
        for x in (0.125, 0.25, 0.5, 1, 2, 4, 8):
            self.out.append(f'<path d="M{self.x(x):.1f} {top}v{self.HEIGHT}" stroke="#e6e6e6"/><text x="{self.x(x):.1f}" y="{top + self.HEIGHT + 15}" '
                            f'text-anchor="middle" fill="#444444">{fraction(x)}</text>')
        y = 1 / 16
        while y <= highest:
            if y >= lowest:
                self.out.append(f'<path d="M{left} {self.y(y):.1f}h{self.WIDTH}" stroke="#e6e6e6"/><text x="{left - 6}" y="{self.y(y) + 4:.1f}" '
                                f'text-anchor="end" fill="#444444">{fraction(y)}</text>')
            y *= 2
        for exponent, name in ((1, "linear"), (2, "square")):
            near, far = max(0.125, lowest ** (1 / exponent)), min(8, highest ** (1 / exponent))
            x, y = self.x(far), self.y(far ** exponent)
            self.out.append(f'<path d="M{self.x(near):.1f} {self.y(near ** exponent):.1f}L{x:.1f} {y:.1f}" stroke="#999999" stroke-dasharray="3 4"/>'
                            f'<text x="{x - (0 if exponent == 1 else 12):.1f}" y="{y + (54 if exponent == 1 else 12):.1f}" text-anchor="end" font-size="11" '
                            f'fill="#666666">{name}</text>')

    def x(self, multiple):
        return self.left + self.WIDTH * (math.log2(multiple) + 3.2) / 6.4

    def y(self, multiple):
        return self.top + self.HEIGHT * (self.highest - math.log2(multiple)) / (self.highest - self.lowest)

    def line(self, points, colour):
        places = [(self.x(x), self.y(y)) for x, y in points]
        self.out.append(f'<path d="M{"L".join(f"{x:.1f} {y:.1f}" for x, y in places)}" fill="none" stroke="{colour}" stroke-width="2"/>')
        self.out += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in places]


def fraction(value):
    return f"{value:g}" if value >= 1 else f"1/{round(1 / value)}"


def figure(rows):
    width, height = 680, 620
    colours = dict(zip(VALUES, [*COLOURS[:4], "#e69f00", "#56b4e9", "#000000"]))  # Okabe and Ito, all of them
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="13" role="img" '
           'aria-label="Time and memory as one quantity grows">', f'<rect width="{width}" height="{height}" fill="#ffffff"/>']
    for column, stage in enumerate(OF_STAGE):
        for row, (what, at, lowest, highest) in enumerate((("time", 1, 1 / 16, 32), ("peak memory", 2, 1 / 4, 16))):
            panel = Panel(46 + 338 * column, 30 + 278 * row, f"{stage}: {what}", lowest, highest)
            for quantity in OF_STAGE[stage]:
                points = list(curve(rows, stage, quantity))
                base = next(point for point in points if point[0] == BASE.get(quantity, VALUES["images"][1]))
                panel.line([(point[0] / base[0], point[at] / base[at]) for point in points], colours[quantity])
            out += panel.out
    out.append(f'<text x="{width / 2}" y="556" text-anchor="middle" fill="#444444">the quantity, as a multiple of the base case</text>')
    for at, quantity in enumerate(VALUES):
        x, y = 46 + 164 * (at % 4), 582 + 22 * (at // 4)
        out.append(f'<path d="M{x} {y - 4}h18" stroke="{colours[quantity]}" stroke-width="2"/><circle cx="{x + 9}" cy="{y - 4}" r="3" fill="{colours[quantity]}"/>'
                   f'<text x="{x + 24}" y="{y}" fill="#222222">{NAMES[quantity]}</text>')
    print("\n".join([*out, "</svg>"]))


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = arguments.add_mutually_exclusive_group(required=True)
    what.add_argument("--out", type=Path, help="runs everything that this folder does not contain yet")
    what.add_argument("--table", type=Path, metavar="GROWTH.CSV", help="prints the tables of growth.md")
    what.add_argument("--figure", type=Path, metavar="GROWTH.CSV", help="prints growth.svg")
    arguments.add_argument("--program", default="target/release/da2s")
    arguments.add_argument("--seconds", type=float, default=math.inf, help="no run begins later than this; repeat the command")
    asked = arguments.parse_args()
    if asked.out:
        asked.out.mkdir(parents=True, exist_ok=True)
        experiment(asked.program, asked.out, asked.seconds)
    elif asked.table:
        print_tables(read(asked.table))
    else:
        figure(read(asked.figure))


if __name__ == "__main__":
    main()
