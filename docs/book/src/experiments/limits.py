#!/usr/bin/env python3
"""The table of docs/book/src/experiments/limits.md: does every search under limits end below them?

    cargo build --release
    python3 docs/book/src/experiments/limits.py --out runs/limits              # resumes; OUT/limits.csv grows
    python3 docs/book/src/experiments/limits.py --table runs/limits/limits.csv

Each search has one to three limits, drawn at random from its seed. Each limit is between 10 and 90 % of the way from the cost of
the cheapest network of the space to that of the most expensive one. The cheapest has the smallest operation everywhere, so it meets all
limits together.
"""

import argparse
import csv
import json
import random
import statistics
import subprocess
from pathlib import Path

HERE = Path(__file__).resolve().parent
# Costs in the summary of a run, and the setting that limits each.
LIMITS = {"multiply_adds": "max_multiply_adds", "parameters": "max_parameters", "size_bytes": "max_size_bytes",
          "ram_bytes": "max_ram_bytes", "latency_ms": "max_latency_ms"}
LAYERS = [3, 3, 2]
FIELDS = ["seed", "limits", *LIMITS, "measured_latency_ms", "gap", "decided", "network_accuracy", "genotype"]


def genotype(operation, depth):
    stages = [[operation if layer < depth else None for layer in range(layers)] for layers in LAYERS]
    return f"Genotype(stages={stages})"


# The exit code of a search that ends above a limit.
OVER_LIMIT = 4


def run(program, out, *more):
    """The summary of a run, or the genotype with its costs if they are above a limit; an interrupted run is resumed."""
    if not (out / "summary.json").exists():
        given = [*more[more.index("--genotype"):][:2]] if "--genotype" in more else []
        command = [program, "run", "--quiet", "--threads", "1", "--out", out]
        command += ["--resume", *given] if (out / "config.toml").exists() else ["--config", HERE / "limits.toml", *more]
        ended = subprocess.run(command, stdout=subprocess.DEVNULL).returncode
        if ended == OVER_LIMIT and (out / "genotype.json").exists():
            return json.loads((out / "genotype.json").read_text())
        if ended:
            raise SystemExit(f"{out}: da2s ended with {ended}")
    return json.loads((out / "summary.json").read_text())


def limits_of(seed, least, most):
    draw = random.Random(seed)
    chosen = draw.sample(sorted(LIMITS), draw.randint(1, 3))
    limits = {name: least[name] + draw.uniform(0.1, 0.9) * (most[name] - least[name]) for name in chosen}
    return {name: limit if name == "latency_ms" else int(limit) for name, limit in limits.items()}


def searches(program, out, count):
    out.mkdir(parents=True, exist_ok=True)
    table = out / "latency.csv"
    if not table.exists():
        subprocess.run([program, "profile", "--config", HERE / "limits.toml", "--threads", "1", "--out", table], check=True)
    with_table = ["--latency-table", table]
    least = run(program, out / "cheapest", *with_table, "--genotype", genotype("mbconv_k3_e1", 2), "--set", "network.epochs=1")
    most = run(program, out / "most_expensive", *with_table, "--genotype", genotype("mbconv_k7_e6", 2), "--set", "network.epochs=1")
    with open(out / "limits.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, FIELDS)
        writer.writeheader()
        for seed in range(1, count + 1):
            limits = limits_of(seed, least, most)
            sets = [f"target.{LIMITS[name]}={limit}" for name, limit in limits.items()]
            summary = run(program, out / f"s{seed}", *with_table, "--seed", str(seed), *(word for one in sets for word in ("--set", one)))
            row = {name: summary[name] for name in FIELDS if name in summary}
            writer.writerow(row | {"seed": seed, "limits": json.dumps(limits)})
            file.flush()


def print_table(path):
    rows = list(csv.DictReader(open(path, newline="")))
    print("| seed | cost of the network, as a share of each limit | gap | test |\n|---|---|---|---|")
    broken, shares, gaps = 0, [], [float(row["gap"]) for row in rows if row["gap"]]
    for row in rows:
        texts = []
        for name, limit in json.loads(row["limits"]).items():
            share = float(row[name]) / limit
            broken += share > 1
            shares.append(share)
            texts.append(f"{name} {100 * share:.0f} % of {limit:,.3f}" if name == "latency_ms" else f"{name} {100 * share:.0f} % of {limit:,}")
        gap, accuracy = (f"{float(row[key]):.2f}" if row[key] else "–" for key in ("gap", "network_accuracy"))
        print(f"| {row['seed']} | {'; '.join(texts)} | {gap} | {accuracy} % |")
    print(f"\n{len(rows)} searches, {len(shares)} limits, {broken} broken; costs are {100 * min(shares):.0f} to {100 * max(shares):.0f} % of the limit, "
          f"median {100 * statistics.median(shares):.0f} %; gaps {min(gaps):.2f} to {max(gaps):.2f} points, {sum(gap > 1 for gap in gaps)} above 1")
    timed = [row for row in rows if "latency_ms" in json.loads(row["limits"]) and row["measured_latency_ms"]]
    over = [float(row["measured_latency_ms"]) / json.loads(row["limits"])["latency_ms"] for row in timed]
    print(f"measured latency: {', '.join(f'{100 * one:.0f}' for one in sorted(over))} % of the limit")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default="target/release/da2s")
    parser.add_argument("--out", type=Path, default=Path("runs/limits"))
    parser.add_argument("--count", type=int, default=30)
    parser.add_argument("--table", type=Path, help="print the table of this file, and run nothing")
    asked = parser.parse_args()
    if asked.table:
        print_table(asked.table)
    else:
        searches(asked.program, asked.out, asked.count)
        print_table(asked.out / "limits.csv")
