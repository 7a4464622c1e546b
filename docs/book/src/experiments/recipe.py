#!/usr/bin/env python3
"""The table of docs/book/src/experiments/recipe.md: which parts of a training recipe help on few images?

    cargo build --release
    python3 docs/book/src/experiments/recipe.py --data-dir DIR --out runs/recipe      # resumes; OUT/recipe.csv grows
    python3 docs/book/src/experiments/recipe.py --table runs/recipe/recipe.csv

Each run trains one given network of the space `mobile`, without a search, and evaluates it on all test images. All recipes
run with the first seed before any recipe runs with the second.
"""

import argparse
import csv
import json
import statistics
import subprocess
from pathlib import Path

HERE = Path(__file__).parent
LAYER = ["mbconv_k3_e3"] * 2
GENOTYPE = f"Genotype(stages={[LAYER] * 3})"
PARTS = {
    "label smoothing 0.1": ["label_smoothing=0.1"],
    "warm-up, 2 epochs": ["warmup_epochs=2"],
    "weight average 0.999": ["weight_average=0.999"],
    "no decay of norms": ["decay_norms=false"],
    "random erasing": ["augmentation.random_erasing.probability=0.5"],
    "TrivialAugment": ["augmentation.trivial_augment=true"],
    "mixup 0.2": ["mixing.mixup=0.2"],
    "CutMix 1.0, half of the batches": ["mixing.cutmix=1.0", "mixing.probability=0.5"],
    "drop-path 0.2 over the depth": ["drop_path=0.2", "drop_path_ramp=depth"],
}
# What the recipe `images` adds to the base.
OLDER = {
    "cutout 16": ["augmentation.cutout=16"],
    "drop-path 0.2 over the epochs": ["drop_path=0.2"],
}
WHOLE = {
    "all of the nine": [setting for part in PARTS.values() for setting in part],
    "both of the two, as in `images`": [setting for part in OLDER.values() for setting in part],
    # The parts that were better than the base with the first seed. Only the other seeds are evidence for them.
    "warm-up, average, no decay": ["warmup_epochs=2", "weight_average=0.999", "decay_norms=false"],
}
VARIANTS = {"base": [], **PARTS, **OLDER, **WHOLE}
# Student's 97.5 % points for n values, which have n − 1 degrees of freedom.
T = {2: 12.71, 3: 4.30, 4: 3.18, 5: 2.78, 6: 2.57, 8: 2.36, 10: 2.26}


def folder(out, variant, seed):
    return out / f"{list(VARIANTS).index(variant):02}-s{seed}"


def run(program, data, out, variant, seed, epochs):
    """Completes the run in the folder `out`."""
    if (out / "summary.json").exists():
        return
    resume = ["--resume"] if out.exists() else []
    sets = [word for setting in [f"epochs={epochs}", *VARIANTS[variant]] for word in ("--set", f"network.{setting}")]
    subprocess.run([program, "run", "cifar10", "--data-dir", data, "--space", "mobile", "--config", HERE / "recipe.toml",
                    "--genotype", GENOTYPE, "--seed", str(seed), "--threads", "1", "--quiet", "--out", out, *resume, *sets],
                   check=True, stdout=subprocess.DEVNULL)


def collect(out):
    """Writes the test accuracies, in percent, of all complete runs."""
    with (out / "recipe.csv").open("w") as file:
        writer = csv.writer(file)
        writer.writerow(["variant", "seed", "accuracy"])
        for index, variant in enumerate(VARIANTS):
            for summary in sorted(out.glob(f"{index:02}-s*/summary.json")):
                seed = summary.parent.name.split("-s")[1]
                writer.writerow([variant, seed, f"{json.loads(summary.read_text())['network_accuracy']:.2f}"])


def table(path):
    with path.open() as file:
        accuracy = {(row["variant"], int(row["seed"])): float(row["accuracy"]) for row in csv.DictReader(file)}
    print("| recipe | seeds | test accuracy, percent | minus base, points | 95 % interval | better of |\n|---|---|---|---|---|---|")
    for variant in VARIANTS:
        own = {seed: value for (name, seed), value in accuracy.items() if name == variant}
        if not own:
            continue
        spread = f" ± {statistics.stdev(own.values()):.2f}" if len(own) > 1 else ""
        cells = [variant, str(len(own)), f"{statistics.mean(own.values()):.2f}{spread}"]
        differences = [value - accuracy["base", seed] for seed, value in own.items() if ("base", seed) in accuracy]
        if variant == "base" or not differences:
            cells += ["", "", ""]
        else:
            mean, count = statistics.mean(differences), len(differences)
            cells.append(f"{mean:+.2f}")
            half = T[count] * statistics.stdev(differences) / count**0.5 if count in T else None
            cells.append(f"{mean - half:+.2f} to {mean + half:+.2f}" if half is not None else "")
            cells.append(f"{sum(difference > 0 for difference in differences)} of {count}")
        print("| " + " | ".join([cells[0], *(cell.replace("-", "−") for cell in cells[1:])]) + " |")


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = arguments.add_mutually_exclusive_group(required=True)
    what.add_argument("--out", type=Path, help="runs everything that this folder does not contain yet")
    what.add_argument("--table", type=Path, metavar="RECIPE.CSV", help="prints the table of recipe.md")
    arguments.add_argument("--data-dir", type=Path, help="folder of CIFAR-10")
    arguments.add_argument("--program", default="target/release/da2s")
    arguments.add_argument("--seeds", type=int, default=3)
    arguments.add_argument("--recipes", nargs="+", choices=VARIANTS, default=list(VARIANTS), metavar="RECIPE", help="all by default")
    arguments.add_argument("--epochs", type=int, default=20, help="of each run; another number needs another folder")
    asked = arguments.parse_args()
    if asked.table:
        table(asked.table)
        return
    if asked.data_dir is None:
        arguments.error("--out needs --data-dir")
    asked.out.mkdir(parents=True, exist_ok=True)
    for seed in range(1, asked.seeds + 1):
        for variant in filter(asked.recipes.__contains__, VARIANTS):
            run(asked.program, asked.data_dir, folder(asked.out, variant, seed), variant, seed, asked.epochs)
            collect(asked.out)


if __name__ == "__main__":
    main()
