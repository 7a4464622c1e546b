#!/usr/bin/env python3
"""The tables of docs/book/src/experiments/rivals.md: what does pruning cost, for 16 methods, with and without the path, by each of three rules?

    cargo build --release
    python3 docs/book/src/experiments/rivals.py --out runs/rivals            # resumes; OUT/rivals.csv grows
    python3 docs/book/src/experiments/rivals.py --table runs/rivals/rivals.csv

Each method searches on the embedded digits without a drive and with the path (`da2s compare`); then every other rule
discretizes a copy of each finished search (`da2s discretize`). No network is retrained.
"""

import argparse
import csv
import json
import math
import shutil
import statistics
import subprocess
from pathlib import Path

METHODS = ["da2s", "darts", "drnas", "beta-darts", "darts-minus", "gaea", "gdas", "fairdarts", "entropy", "oles", "lambda-darts",
           "pc-darts", "p-darts", "sdarts-rs", "sdarts-adv", "random"]
RULES = ["strongest", "sequential", "perturbation"]
FIELDS = ["method", "drive", "seed", "rule", "supernet", "gap", "decided", "skips", "genotype"]
# Student's 97.5 % points for 1 to 4 degrees of freedom.
STUDENT = [12.706, 4.303, 3.182, 2.776]


def run(*command):
    subprocess.run([str(word) for word in command], check=True, stdout=subprocess.DEVNULL)


def row_of(folder, rule):
    gap, genotype = (json.loads((folder / file).read_text()) for file in ("gap.json", "genotype.json"))
    accuracies = gap["as_trained"]
    text = genotype["genotype"]
    method, rest = folder.name.split("-search.drive=")
    drive, seed = rest.rsplit("-s", 1)
    return {"method": method, "drive": drive, "seed": int(seed), "rule": rule, "supernet": accuracies["supernet"],
            "gap": accuracies["supernet"] - accuracies["both"], "decided": genotype["decided"], "skips": text.split("reduce=")[0].count("skip_connect"), "genotype": text}


def searches(program, out, seeds):
    known = {}
    if (out / "rivals.csv").exists():
        known = {(row["method"], row["drive"], int(row["seed"]), row["rule"]): row
                 for row in csv.DictReader(open(out / "rivals.csv", newline=""))}
    # Seed by seed, so that an interrupted experiment has complete seeds. A comparison may grow, never shrink: resume at the last seed.
    begun = [int(folder.name.rsplit("-s", 1)[1]) for folder in (out / "searches").glob("*-s*/") if folder.is_dir()]
    for count in range(max(begun, default=1), seeds + 1):
        run(program, "compare", "digits", "--methods", ",".join(METHODS), "--drives", "none,path", "--search-only", "--threads", 1,
            "--seeds", count, "--out", out / "searches", "--quiet")
        for folder in sorted((out / "searches").glob("*-s*/")):
            for rule in RULES if folder.is_dir() else []:
                method, rest = folder.name.split("-search.drive=")
                drive, seed = rest.rsplit("-s", 1)
                if (method, drive, int(seed), rule) in known:
                    continue
                copy = out / "copy"
                shutil.rmtree(copy, ignore_errors=True)
                shutil.copytree(folder, copy / folder.name)
                if rule != "strongest":
                    run(program, "discretize", copy / folder.name, "--rule", rule, "--threads", 1, "--quiet")
                known[method, drive, int(seed), rule] = row_of(copy / folder.name, rule)
                write(out / "rivals.csv", known)
    shutil.rmtree(out / "copy", ignore_errors=True)


def write(path, known):
    with open(path.with_suffix(".part"), "w", newline="") as file:
        writer = csv.DictWriter(file, FIELDS)
        writer.writeheader()
        writer.writerows(known[key] for key in sorted(known))
    path.with_suffix(".part").replace(path)


def mean(values, digits=2):
    """Mean and half of Student's 95 % interval; one or two values as they are."""
    if len(values) < 3:
        return ", ".join(f"{value:.{digits}f}" for value in values) or "–"
    half = STUDENT[len(values) - 2] * statistics.stdev(values) / math.sqrt(len(values))
    return f"{statistics.mean(values):.2f} ± {half:.2f}"


def print_table(path):
    rows = list(csv.DictReader(open(path, newline="")))
    methods = [name for name in METHODS if any(row["method"] == name for row in rows)]
    for drive in ("none", "path"):
        print(f"\ndrive {drive}\n\n| method | seeds | super-network % | gap: {' | '.join(RULES)} | skip connections |\n|---|---|---|---|---|---|---|")
        for method in methods:
            of = [row for row in rows if row["method"] == method and row["drive"] == drive]
            if not of:
                continue
            strongest = [row for row in of if row["rule"] == "strongest"]
            gaps = " | ".join(mean([float(row["gap"]) for row in of if row["rule"] == rule]) for rule in RULES)
            print(f"| {method} | {len(strongest)} | {mean([float(row['supernet']) for row in strongest])} | {gaps} | {mean([float(row['skips']) for row in strongest], digits=0)} |")
    for drive in ("none", "path"):
        for rule in RULES:
            gaps = [float(row["gap"]) for row in rows if row["drive"] == drive and row["rule"] == rule]
            if gaps:
                within = sum(abs(gap) <= 1 for gap in gaps)
                print(f"\ndrive {drive}, rule {rule}: {within} of {len(gaps)} gaps within a point, from {min(gaps):.2f} to {max(gaps):.2f}", end="")
    print()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default="target/release/da2s")
    parser.add_argument("--out", type=Path, default=Path("runs/rivals"))
    parser.add_argument("--seeds", type=int, default=5, choices=range(1, 6))
    parser.add_argument("--table", type=Path, help="print the tables of this file, and run nothing")
    asked = parser.parse_args()
    if asked.table:
        print_table(asked.table)
    else:
        asked.out.mkdir(parents=True, exist_ok=True)
        searches(asked.program, asked.out, asked.seeds)
        print_table(asked.out / "rivals.csv")
