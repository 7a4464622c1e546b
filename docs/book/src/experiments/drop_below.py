#!/usr/bin/env python3
"""The table of docs/book/src/experiments/drop_below.md: how much faster is a search that removes weak operations and edges?

    cargo build --release
    python3 docs/book/src/experiments/drop_below.py --out runs/drop_below       # resumes; OUT/drop_below.csv grows
    python3 docs/book/src/experiments/drop_below.py --table runs/drop_below/drop_below.csv

Times are processor seconds of the process (Linux: /proc), read when it writes the line of an epoch, so waiting for a
processor does not count; other work can still slow it through shared caches. A search that was interrupted starts again, because its times are lost.
"""

import argparse
import csv
import json
import os
import shutil
import statistics
import subprocess
import time
from pathlib import Path

BOUNDS = [0.0, 0.01]
TICKS = os.sysconf("SC_CLK_TCK")
FIELDS = ["bound", "seed", "first_third_s", "last_third_s", "search_s", "removed_operations", "removed_edges", "removal_gap",
          "supernet", "gap", "network", "genotype"]


def processor_seconds(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def run(program, out, bound, seed):
    """One run: the processor seconds at the end of each epoch of its search, and its summary."""
    if out.exists():
        shutil.rmtree(out)
    command = [program, "run", "--seed", str(seed), "--threads", "1", "--drive", "path", "--set", f"search.drop_below={bound}",
               "--out", str(out), "--quiet"]
    process, metrics, marks = subprocess.Popen(command), out / "search/metrics.jsonl", []
    while process.poll() is None:
        lines = metrics.read_text().count("\n") if metrics.exists() else 0
        if lines > len(marks):
            marks += [processor_seconds(process.pid)] * (lines - len(marks))
        time.sleep(0.005)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
    return marks, json.loads((out / "summary.json").read_text())


def row_of(bound, seed, marks, summary):
    epochs = [after - before for before, after in zip(marks, marks[1:])]
    # The first epoch has no mark before it.
    third = (len(epochs) + 1) // 3
    return {"bound": bound, "seed": seed,
            "first_third_s": round(statistics.mean(epochs[:third - 1]), 4),
            "last_third_s": round(statistics.mean(epochs[-third:]), 4),
            "search_s": round(sum(epochs), 2),
            "removed_operations": summary.get("removed_operations") or 0, "removed_edges": summary.get("removed_edges") or 0,
            "removal_gap": summary.get("removal_gap", 0.0), "supernet": summary["supernet_accuracy"], "gap": summary["gap"],
            "network": summary["network_accuracy"], "genotype": summary["genotype"]}


def table(path):
    rows = list(csv.DictReader(path.open()))
    print("| `drop_below` | seeds | s per epoch, first third | last third | ratio | s of the search | removed: operations, edges "
          "| their cost | super-network | gap | final network |")
    print("|" + "---|" * 11)
    for bound in dict.fromkeys(row["bound"] for row in rows):
        own = [row for row in rows if row["bound"] == bound]
        mean = lambda field: statistics.mean(float(row[field]) for row in own)
        ratio = statistics.mean(float(row["last_third_s"]) / float(row["first_third_s"]) for row in own)
        print(f"| {bound} | {len(own)} | {mean('first_third_s'):.3f} | {mean('last_third_s'):.3f} | {ratio:.2f} "
              f"| {mean('search_s'):.1f} | {mean('removed_operations'):.0f}, {mean('removed_edges'):.0f} "
              f"| {mean('removal_gap'):.2f} | {mean('supernet'):.2f} | {mean('gap'):.2f} | {mean('network'):.2f} |")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--da2s", default="target/release/da2s")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--table", type=Path)
    arguments = parser.parse_args()
    if arguments.table:
        return table(arguments.table)
    arguments.out.mkdir(parents=True, exist_ok=True)
    path = arguments.out / "drop_below.csv"
    rows = list(csv.DictReader(path.open())) if path.exists() else []
    done = {(float(row["bound"]), int(row["seed"])) for row in rows}
    for seed in arguments.seeds:
        for bound in BOUNDS:
            if (bound, seed) in done:
                continue
            marks, summary = run(arguments.da2s, arguments.out / f"{bound}-{seed}", bound, seed)
            rows.append(row_of(bound, seed, marks, summary))
            with path.open("w", newline="") as file:
                writer = csv.DictWriter(file, FIELDS)
                writer.writeheader()
                writer.writerows(rows)


if __name__ == "__main__":
    main()
