#!/usr/bin/env python3
"""The grid behind docs/experiments/closed_loop.md: does a search end decided, whatever the budget, rate and target?

    cargo build --release
    python3 docs/experiments/closed_loop.py --out runs/closed_loop        # resumes; a line a run in OUT/grid.csv

Each run searches and discretizes on the embedded digits and retrains nothing. The runs come in a shuffled order, so that the first
hundred are a sample of the whole.
"""

import argparse
import csv
import itertools
import json
import random
import shutil
import subprocess
from pathlib import Path

EPOCHS = {8: 1, 15: 3, 30: 5, 60: 10}  # with their warm-up
BATCHES = [16, 64]
TARGETS = {"2 edges": "2", "1 edge": "1", "1,2,1,3": "1,2,1,3", "k = 2": "2"}
SCHEDULES = {
    "adaptive": ["search.schedule=adaptive"],
    "recipe": [],
    "published": ["search.regulariser.lambda=0.1", "search.alpha_rate=3e-4", "search.beta_rate=3e-4"],
    "auto": ["search.regulariser.lambda=0.1", "search.alpha_rate=auto", "search.beta_rate=auto"],
}
RATES = [0.01, 0.03, 0.09]
FIELDS = ["schedule", "epochs", "batch", "rate", "target", "seed", "supernet", "gap", "p_least", "q_least"]


def cases(schedules, epochs, batches, seeds):
    for schedule, epochs, batch, target, seed in itertools.product(schedules, epochs, batches, TARGETS, seeds):
        # The rates of the published schedule and of "auto" are given.
        for rate in RATES if schedule in ("adaptive", "recipe") else [0.0]:
            yield dict(schedule=schedule, epochs=epochs, batch=batch, rate=rate, target=target, seed=seed)


def run(program, folder, case):
    settings = [f"search.epochs={case['epochs']}", f"search.warmup_epochs={EPOCHS[case['epochs']]}",
                f"search.batch_size={case['batch']}", *SCHEDULES[case["schedule"]]]
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


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--out", type=Path, required=True)
    arguments.add_argument("--program", default="target/release/da2s")
    arguments.add_argument("--seeds", type=int, default=5)
    arguments.add_argument("--schedules", nargs="+", choices=SCHEDULES, default=list(SCHEDULES))
    arguments.add_argument("--epochs", type=int, nargs="+", choices=EPOCHS, default=list(EPOCHS))
    arguments.add_argument("--batches", type=int, nargs="+", choices=BATCHES, default=BATCHES)
    asked = arguments.parse_args()
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
