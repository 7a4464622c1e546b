#!/usr/bin/env python3
"""The table of docs/book/src/experiments/mobile_trial.md: searched, random and plain networks within a latency.

    cargo build --release && pip install onnxruntime
    python3 docs/book/src/experiments/mobile_trial.py --data IMAGES        # resumes; runs/mobile_trial/mobile_trial.csv
    python3 docs/book/src/experiments/mobile_trial.py --table docs/book/src/experiments/mobile_trial.csv

IMAGES has train/CLASS and test/CLASS. Each seed has one search; the network that it finds and a MobileNetV2 of the same latency
are trained. Random networks are drawn from the same space until one is within the same limit, and trained by the same recipe;
they may be further below the limit. The limit in mobile_trial.toml is the latency of a MobileNetV2 of 12 channels, approximately,
on the machine described on the page. On your machine, replace it by the latency that you measure there.
"""

import argparse
import csv
import json
import math
import random
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
CONFIG = HERE / "mobile_trial.toml"
LAYERS = [2, 3, 4, 3, 3, 1]
CANDIDATES = [f"mbconv_k{kernel}_e{expansion}" for kernel in (3, 5, 7) for expansion in (1, 3, 6)]
FIELDS = ["seed", "network", "accuracy", "train_accuracy", "gap", "multiply_adds", "parameters", "predicted_ms", "measured_ms",
          "search_s", "train_s", "genotype"]
# Widths of the space that are measured: the network of a search is widened if the limit allows it.
SPACE_WIDTHS = "1,1.0625,1.125,1.1875,1.25"
# A MobileNetV2 is measured for each of these numbers of stem channels.
STEMS = [6, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 22, 24]
# Student's 97.5 % points for 1 to 4 degrees of freedom.
STUDENT = [12.706, 4.303, 3.182, 2.776]
ROUNDS = 300


def run(*command):
    subprocess.run([str(word) for word in command], check=True, stdout=subprocess.DEVNULL)


def config_without(out, name, *settings):
    """The settings without those that begin with one of these words."""
    kept = [line for line in CONFIG.read_text().splitlines() if not line.startswith(settings)]
    (out / name).write_text("\n".join(kept) + "\n")
    return out / name


def measured_table(program, data, out):
    """Measures the blocks of the space, at width 1 and somewhat wider, and of MobileNetV2, at many widths."""
    config = config_without(out, "profile.toml", "latency_table", "max_latency", "baseline")
    widths = ",".join(str(stem / 32) for stem in STEMS)
    parts = {"space": ["--widths", SPACE_WIDTHS], "plain": ["--widths", widths, "--baselines", "mobilenet-v2", "--set", "network.channels=32",
                                                   "--set", 'space.operations=["mbconv_k3_e6"]', "--set", "space.skip=false"]}
    lines, known = [], set()
    for name, more in parts.items():
        folder = out / f"blocks-{name}"
        if not (out / f"{name}.csv").exists():
            shutil.rmtree(folder, ignore_errors=True)
            run(program, "profile", "--config", config, "--data-dir", data, *more, "--onnx", folder)
            run(sys.executable, folder / "measure.py", "--out", out / f"{name}.part")
            (out / f"{name}.part").replace(out / f"{name}.csv")
        head, *rows = (out / f"{name}.csv").read_text().splitlines()
        for row in rows:
            block = tuple(row.split(",")[:6])
            if block not in known:
                known.add(block)
                lines.append(row)
    (out / "latency.csv").write_text("\n".join([head, *lines]) + "\n")


def searched(program, data, out, seed):
    path, summary = out / f"s{seed}", out / f"s{seed}/summary.json"
    if summary.exists() and json.loads(summary.read_text()).get("baselines"):
        return
    new = ["--config", CONFIG, "--data-dir", data, "--latency-table", out / "latency.csv", "--seed", seed]
    run(program, "run", "--quiet", *(["--resume"] if (path / "config.toml").exists() else new), "--out", path)


def row_of(path, seed, network):
    summary, genotype = (json.loads((path / name).read_text()) for name in ("summary.json", "genotype.json"))
    return {"seed": seed, "network": network, "accuracy": summary["network_accuracy"], "train_accuracy": summary.get("network_train_accuracy"),
            "gap": summary.get("gap"), "multiply_adds": genotype["multiply_adds"], "parameters": genotype["parameters"],
            "predicted_ms": genotype.get("latency_ms"), "search_s": summary.get("search_time_s"), "train_s": summary.get("train_time_s"),
            "genotype": genotype["genotype"]}


def drawn(program, data, out, seed):
    """Trains the first random network that da2s accepts as within the limit."""
    if (out / f"random{seed}/config.toml").exists():
        return run(program, "run", "--quiet", "--resume", "--out", out / f"random{seed}")
    config, draw = config_without(out, "random.toml", "baseline"), random.Random(seed)
    while True:
        stages = [[draw.choice([*CANDIDATES, "skip"] if layer else CANDIDATES) for layer in range(layers)] for layers in LAYERS]
        command = [program, "run", "--quiet", "--config", config, "--data-dir", data, "--latency-table", out / "latency.csv", "--seed", seed,
                   "--genotype", f"Genotype(stages={stages})", "--out", out / f"random{seed}"]
        ended = subprocess.run([str(word) for word in command], stdout=subprocess.DEVNULL).returncode
        if ended == 0:
            return
        if ended != 4:
            raise SystemExit(f"random{seed}: da2s ended with {ended}")


def latencies_ms(program, paths):
    """Medians in onnxruntime, one image, one thread, networks in turn."""
    import numpy
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    calls = {}
    for path in paths:
        run(program, "export", path, "--format", "onnx", "--fold-batch-norms")
        session = onnxruntime.InferenceSession(str(path / "export/network.onnx"), options, providers=["CPUExecutionProvider"])
        _, *shape = session.get_inputs()[0].shape
        calls[path] = (session, {"images": numpy.random.default_rng(1).standard_normal((1, *shape), dtype=numpy.float32)})
    times_ns = {path: [] for path in calls}
    for _ in range(ROUNDS):
        for path, (session, images) in calls.items():
            session.run(None, images)
            began = time.perf_counter_ns()
            session.run(None, images)
            times_ns[path].append(time.perf_counter_ns() - began)
    return {path: statistics.median(times) / 1e6 for path, times in times_ns.items()}


def experiment(program, data, out, seeds):
    out.mkdir(parents=True, exist_ok=True)
    if not (out / "latency.csv").exists():
        measured_table(program, data, out)
    paths = {}
    for seed in range(1, seeds + 1):
        searched(program, data, out, seed)
        paths[out / f"s{seed}"] = (seed, "searched")
        paths[out / f"s{seed}/baselines/mobilenet-v2"] = (seed, "mobilenet-v2")
    for seed in range(1, seeds + 1):
        if not (out / f"random{seed}/summary.json").exists():
            drawn(program, data, out, seed)
        paths[out / f"random{seed}"] = (seed, "random")
    write(program, out, paths)


def write(program, out, paths):
    times = latencies_ms(program, paths)
    with open(out / "mobile_trial.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
        writer.writeheader()
        for path, (seed, network) in paths.items():
            writer.writerow({**row_of(path, seed, network), "measured_ms": round(times[path], 4)})


def mean(values):
    """Mean and half of Student's 95 % interval."""
    if len(values) < 2:
        return f"{values[0]:.2f}"
    return f"{statistics.mean(values):.2f} ± {STUDENT[len(values) - 2] * statistics.stdev(values) / math.sqrt(len(values)):.2f}"


def print_table(path):
    rows = list(csv.DictReader(open(path, newline="")))
    of = lambda network, field: [float(row[field]) for row in rows if row["network"] == network and row[field]]
    print("| network | seeds | test % | multiply-adds | latency, predicted | measured |\n|---|---|---|---|---|---|")
    for network in ("searched", "random", "mobilenet-v2"):
        accuracies = of(network, "accuracy")
        if accuracies:
            adds, predicted, measured = (statistics.mean(of(network, field)) for field in ("multiply_adds", "predicted_ms", "measured_ms"))
            print(f"| {network} | {len(accuracies)} | {mean(accuracies)} | {adds / 1e6:.2f} M | {predicted:.3f} ms | {measured:.3f} ms |")
    found = {row["seed"]: float(row["accuracy"]) for row in rows if row["network"] == "searched"}
    for network in ("mobilenet-v2", "random"):
        pairs = [found[row["seed"]] - float(row["accuracy"]) for row in rows if row["network"] == network and row["seed"] in found]
        if pairs:
            print(f"\nsearched minus {network}: {mean(pairs)} points ({', '.join(f'{pair:+.2f}' for pair in pairs)})")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default="target/release/da2s")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--out", type=Path, default=Path("runs/mobile_trial"))
    parser.add_argument("--seeds", type=int, default=5, choices=range(1, 6))
    parser.add_argument("--table", type=Path, help="print the table of this file, and run nothing")
    asked = parser.parse_args()
    if asked.table:
        print_table(asked.table)
    elif asked.data is None:
        parser.error("--data is required")
    else:
        experiment(asked.program, asked.data, asked.out, asked.seeds)
        print_table(asked.out / "mobile_trial.csv")
