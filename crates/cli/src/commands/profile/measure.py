#!/usr/bin/env python3
"""Measures the blocks in this folder with onnxruntime: a table of latencies for `da2s run --max-latency`.

    pip install onnxruntime
    python3 measure.py --out latency.csv

Written by `da2s profile --onnx`. It needs neither da2s nor the machine on which the files were written. In every round
all blocks and networks run in a new order, each of them twice, and the second run is timed. The result is the median
over the rounds, minus the time of a call that computes nothing.
"""

import argparse
import csv
import platform
import random
import statistics
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
SIZES = ["block", "inputs", "outputs", "height", "width", "stride"]


def processor():
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else f"{platform.system()} {platform.machine()}"


def prepared(runtime, numpy, file, threads, provider):
    """A function that runs the graph of a file once, with memory for its outputs."""
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    session = runtime.InferenceSession(str(HERE / file), options, providers=[provider])
    binding = session.io_binding()
    drawn = numpy.random.default_rng(1)
    for value in session.get_inputs():
        shape = [size if isinstance(size, int) else 1 for size in value.shape]
        binding.bind_cpu_input(value.name, drawn.standard_normal(shape, dtype=numpy.float32))
    for value in session.get_outputs():
        binding.bind_output(value.name)
    return lambda: session.run_with_iobinding(binding)


def medians_ms(runs, rounds):
    times_ns = {name: [] for name in runs}
    names = list(runs)
    for _ in range(rounds):
        random.shuffle(names)
        for name in names:
            runs[name]()
            began = time.perf_counter_ns()
            runs[name]()
            times_ns[name].append(time.perf_counter_ns() - began)
    return {name: statistics.median(times) / 1e6 for name, times in times_ns.items()}


def rows(file):
    with open(HERE / file, newline="", encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default="latency.csv")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeat", type=int, default=100, help="rounds; the median counts")
    parser.add_argument("--provider", default="CPUExecutionProvider", help="execution provider of onnxruntime")
    parser.add_argument("--machine", default=processor(), help="name of this machine in the table")
    asked = parser.parse_args()
    if asked.repeat < 1 or asked.threads < 1:
        parser.error("--repeat and --threads are at least 1")
    if not Path(asked.out).resolve().parent.is_dir():
        parser.error(f"the folder of {asked.out} does not exist")
    try:
        import numpy
        import onnxruntime
    except ImportError as error:
        sys.exit(f"{error}: pip install onnxruntime")
    known = onnxruntime.get_available_providers()
    if asked.provider not in known:
        parser.error(f"this onnxruntime has no {asked.provider}, only {', '.join(known)}")
    blocks, networks = rows("blocks.csv"), rows("networks.csv")
    files = ["call.onnx", *(row["file"] for row in blocks), *dict.fromkeys(row["network"] for row in networks)]
    runs = {file: prepared(onnxruntime, numpy, file, asked.threads, asked.provider) for file in files}
    times_ms = medians_ms(runs, asked.repeat)
    call_ms = times_ms["call.onnx"]
    of_block = {}
    engine = f"onnxruntime {onnxruntime.__version__} {asked.provider}"
    with open(asked.out, "w", newline="", encoding="utf-8") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow([*SIZES, "ms", "threads", "engine", "machine"])
        for row in blocks:
            ms = max(0.0, times_ms[row["file"]] - call_ms) / int(row["copies"])
            of_block[row["file"]] = ms
            writer.writerow([*(row[size] for size in SIZES), f"{ms:.6f}", asked.threads, engine, asked.machine])
    print(f"{len(blocks)} blocks, {engine}, {asked.machine}\n{asked.out}")
    errors = []
    for network in dict.fromkeys(row["network"] for row in networks):
        predicted = sum(of_block[row["block"]] for row in networks if row["network"] == network)
        measured = max(1e-9, times_ms[network] - call_ms)
        errors.append(100 * (predicted / measured - 1))
        print(f"{network}: predicted {predicted:.3f} ms, measured {measured:.3f} ms, error {errors[-1]:.1f} %")
    if errors:
        print(f"median error {statistics.median(map(abs, errors)):.1f} %")


if __name__ == "__main__":
    main()
