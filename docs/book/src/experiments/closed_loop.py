#!/usr/bin/env python3
"""The grid of docs/book/src/experiments/closed_loop.md: does a search always end decided, for any budget, rate and target?

    cargo build --release
    python3 docs/book/src/experiments/closed_loop.py --out runs/closed_loop        # resumes; one line per run in OUT/grid.csv
    python3 docs/book/src/experiments/closed_loop.py --tables runs/closed_loop/grid.csv

Each run searches and discretizes on the embedded digits, without retraining. The runs are shuffled, so the first hundred are a
random sample.
"""

import argparse
import csv
import itertools
import json
import random
import shutil
import statistics
import subprocess
from pathlib import Path

EPOCHS = {8: 1, 15: 3, 30: 5, 60: 10}  # with their warm-up
BATCHES = [16, 64]
TARGETS = {"2 edges": "2", "1 edge": "1", "1,2,1,3": "1,2,1,3", "k = 2": "2"}
SCHEDULES = {
    "adaptive": ["search.schedule=adaptive"],
    "recipe": [],
    "auto": ["search.regulariser.lambda=0.1", "search.alpha_rate=auto", "search.beta_rate=auto"],
    "published": ["search.regulariser.lambda=0.1", "search.alpha_rate=3e-4", "search.beta_rate=3e-4"],
}
# Reduces the evaluation during the search, which only `adaptive` uses and which takes a fifth of the
# time of a run.
UNWATCHED = ["search.monitor_images=1"]
RATES = [0.01, 0.03, 0.09]
FIELDS = ["schedule", "epochs", "batch", "rate", "target", "seed", "supernet", "gap", "p_least", "q_least"]


def cases(schedules, epochs, batches, seeds):
    for schedule, epochs, batch, target, seed in itertools.product(schedules, epochs, batches, TARGETS, seeds):
        # The rates of the published schedule and of "auto" are given.
        for rate in RATES if schedule in ("adaptive", "recipe") else [0.0]:
            yield dict(schedule=schedule, epochs=epochs, batch=batch, rate=rate, target=target, seed=seed)


def run(program, folder, case):
    settings = [f"search.epochs={case['epochs']}", f"search.warmup_epochs={EPOCHS[case['epochs']]}",
                f"search.batch_size={case['batch']}", "discretize.edge_images=0", *SCHEDULES[case["schedule"]]]
    if case["schedule"] != "adaptive":
        settings += UNWATCHED
    if case["rate"]:
        settings += [f"search.alpha_rate={case['rate']}", f"search.beta_rate={case['rate']}"]
    if case["target"] == "k = 2":
        settings += ["target.operations=2"]
    flags = [word for setting in settings for word in ("--set", setting)]
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run([program, "search", "--quiet", "--threads", "1", "--seed", str(case["seed"]), "--edges", TARGETS[case["target"]],
                    "--out", folder, *flags], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    subprocess.run([program, "discretize", "--quiet", "--threads", "1", folder], check=True, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)
    gap = json.loads((folder / "gap.json").read_text())["as_trained"]
    genotype = json.loads((folder / "genotype.json").read_text())
    shutil.rmtree(folder)
    return {**case, "supernet": gap["supernet"], "gap": gap["supernet"] - gap["both"], "p_least": genotype["p_least"],
            "q_least": genotype["q_least"]}


def tables(path):
    """The first two tables of closed_loop.md."""
    with path.open() as file:
        rows = [{**row, "gap": float(row["gap"])} for row in csv.DictReader(file)]
    print("| schedule | runs | gap ≤ 1 point | gap ≤ 2 points | median gap | largest gap |\n|---|---|---|---|---|---|")
    for schedule in SCHEDULES:
        gaps = [row["gap"] for row in rows if row["schedule"] == schedule]
        if gaps:
            within = [sum(gap <= points for gap in gaps) for points in (1, 2)]
            print(f"| {schedule} | {len(gaps)} | {within[0]} | {within[1]} | {statistics.median(gaps):.2f} | {max(gaps):.2f} |")
    columns = [("epochs", str(epochs)) for epochs in EPOCHS] + [("rate", str(rate)) for rate in RATES]
    columns += [("batch", str(batch)) for batch in BATCHES] + [("target", target) for target in TARGETS]
    print("\n| schedule, gap ≤ 1 of runs | " + " | ".join(f"{field} {value}" for field, value in columns) + " |")
    print("|" + "---|" * (len(columns) + 1))
    for schedule in SCHEDULES:
        cells = []
        for field, value in columns:
            gaps = [row["gap"] for row in rows if row["schedule"] == schedule and row[field] == value]
            cells.append(f"{sum(gap <= 1 for gap in gaps)} of {len(gaps)}" if gaps else "–")
        print(f"| {schedule} | " + " | ".join(cells) + " |")


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = arguments.add_mutually_exclusive_group(required=True)
    what.add_argument("--out", type=Path, help="runs everything that this folder does not contain yet")
    what.add_argument("--tables", type=Path, metavar="GRID.CSV", help="prints the first two tables of closed_loop.md")
    arguments.add_argument("--program", default="target/release/da2s")
    arguments.add_argument("--seeds", type=int, default=5)
    arguments.add_argument("--schedules", nargs="+", choices=SCHEDULES, default=list(SCHEDULES))
    arguments.add_argument("--epochs", type=int, nargs="+", choices=EPOCHS, default=list(EPOCHS))
    arguments.add_argument("--batches", type=int, nargs="+", choices=BATCHES, default=BATCHES)
    asked = arguments.parse_args()
    if asked.tables:
        tables(asked.tables)
        return
    asked.out.mkdir(parents=True, exist_ok=True)
    table = asked.out / "grid.csv"
    done = set()
    if table.exists():
        with table.open() as file:
            done = {tuple(row[key] for key in FIELDS[:6]) for row in csv.DictReader(file)}
    else:
        table.write_text(",".join(FIELDS) + "\n")
    todo = list(cases(asked.schedules, asked.epochs, asked.batches, range(1, asked.seeds + 1)))
    random.Random(1).shuffle(todo)
    for case in todo:
        if tuple(str(case[key]) for key in FIELDS[:6]) in done:
            continue
        row = run(asked.program, asked.out / "run", case)
        with table.open("a") as file:
            csv.DictWriter(file, FIELDS).writerow(row)


if __name__ == "__main__":
    main()
