#!/usr/bin/env python3
"""Runs da2s-infer, onnxruntime and OpenVINO in turn on the same networks, and prints their latencies as a Markdown table.

    python3 benches/peers/inference.py                  # sets everything up, then all networks
    python3 benches/peers/inference.py --networks resnet8 --batches 1 --threads 1 --rounds 7

Needs only Python and cargo: the first run creates a virtual environment in `target/`, builds da2s, and trains the networks for
one epoch on the embedded digits, enlarged to 32×32 pixels; latency does not depend on the weights. All engines read the same
network: da2s-infer from its own file, the others from ONNX. The int8 files are written by `da2s quantise`. A round measures
every engine once, each in a process of its own, in an order that rotates from round to round. Ratios are computed within a
round: the time of the fastest peer divided by that of da2s-infer. The peers of float32 are those in float32; the peers of int8
are those in int8, and OpenVINO in bf16 if the processor has it. Times are wall-clock times. The load of the machine at the start
is printed, with a warning if the machine is busy.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from functools import partial
from pathlib import Path

from compare import HERE, MOST_LOAD, REPOSITORY, load, output, processor, python, run

SIDE = 32
# The network and the settings of its training.
NETWORKS = {
    "darts-v2": ("darts-v2", ["network.channels=16", "network.cells=8"]),
    "darts-v2-36": ("darts-v2", ["network.channels=36", "network.cells=20"]),
    "mobilenet-v2": ("mobilenet-v2", []),
    "resnet8": ("resnet8", []),
}
OURS = ["da2s-infer float32", "da2s-infer int8"]
# Peers in float32, then those with fewer bits.
FLOAT = ["onnxruntime float32", "OpenVINO float32"]
SHORT = ["onnxruntime int8", "OpenVINO int8", "OpenVINO bf16"]


def prepare(program, out, name):
    """Writes the network `name` to the folder `out`, in a file for every engine; existing files are kept."""

    def da2s(*words):
        run([program, *words], stdout=subprocess.DEVNULL)

    made = out / name
    if not (made / "summary.json").exists():
        network, settings = NETWORKS[name]
        sets = [word for setting in ["network.epochs=1", "network.auxiliary=false", *settings] for word in ("--set", setting)]
        new = ["digits", "--image-size", SIDE, *sets]
        da2s("run", *(["--resume"] if (made / "config.toml").exists() else new), "--network", network, "--quiet", "--out", made)
    files = {
        "da2s-infer float32": out / f"{name}.safetensors",
        "float32": out / f"{name}.onnx",
        "da2s-infer int8": made / "export" / "network-int8.safetensors",
        "int8": made / "export" / "network-int8.onnx",
    }
    if not files["da2s-infer float32"].exists():
        da2s("export", made, "--format", "safetensors", "--out", files["da2s-infer float32"])
    if not files["float32"].exists():
        da2s("export", made, "--format", "onnx", "--fold-batch-norms", "--out", files["float32"])
    # Written after the two files of the network.
    if not (made / "network" / "int8.json").exists():
        da2s("quantise", made, "--quiet")
    return files


def image(out):
    """A grey PNG, written without a library."""
    import struct
    import zlib

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + bytes((x * y) % 256 for x in range(SIDE)) for y in range(SIDE))
    path = out / "image.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", SIDE, SIDE, 8, 0, 0, 0, 0))
                     + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))
    return path


def engines(program, interpreter, files, picture, batch, threads):
    """For every engine a function that returns the median milliseconds of one process; `None` if it cannot run."""
    sizes = ["--repeat", 300 if batch == 1 else 20, "--batch", batch, "--threads", threads]

    def ours(name):
        return json.loads(output([program, files[name], picture, "--json", *sizes]))[0]["median_ms"]

    def peer(name):
        engine, numbers = name.split()
        file, bf16 = (files["float32"], ["--bf16"]) if numbers == "bf16" else (files[numbers], [])
        return json.loads(output([interpreter, HERE / "engines.py", engine.lower(), file, *bf16, *sizes]))["median_ms"]

    return {**{name: partial(ours, name) for name in OURS}, **{name: partial(peer, name) for name in FLOAT + SHORT}}


def rounds_of(engines, rounds):
    """The milliseconds of every round, for every engine."""
    seen = {name: [] for name in engines}
    names = list(engines)
    for turn in range(rounds):
        for name in names[turn % len(names):] + names[:turn % len(names)]:
            seen[name].append(engines[name]())
            print(f"  round {turn + 1}, {name}: {shown(seen[name][-1])} ms", file=sys.stderr)
    return seen


def shown(time):
    return "–" if time is None else f"{time:.3f}"


def row(head, seen):
    def ratio(ours, peers):
        able = [peer for peer in peers if None not in seen[peer]]
        ratios = [min(seen[peer][turn] for peer in able) / time for turn, time in enumerate(seen[ours])]
        return f"{statistics.median(ratios):.2f} ({min(ratios):.2f}–{max(ratios):.2f})"

    medians = [None if None in times else statistics.median(times) for times in seen.values()]
    return [*head, *map(shown, medians), ratio(OURS[0], FLOAT), ratio(OURS[1], SHORT)]


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    arguments.add_argument("--batches", nargs="+", type=int, default=[1, 8, 64])
    arguments.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--out", type=Path, default=REPOSITORY / "target" / "peers-inference",
                           help="networks are kept here; delete it if da2s or their settings have changed")
    arguments.add_argument("--venv", type=Path, default=REPOSITORY / "target" / "peers-inference-venv")
    arguments.add_argument("--programs", type=Path, help="a folder with da2s and da2s-infer; default: they are built")
    asked = arguments.parse_args()

    # Before the build, which would add to the load.
    before = load()
    programs = asked.programs
    if programs is None:
        run(["cargo", "build", "--release", "--locked", "--manifest-path", REPOSITORY / "Cargo.toml"])
        programs = REPOSITORY / "target" / "release"
    interpreter = python(asked.venv, "requirements-inference.txt")
    asked.out.mkdir(parents=True, exist_ok=True)
    picture = image(asked.out)
    versions = output([interpreter, HERE / "engines.py", "versions"])
    print(f"{processor()}, {os.cpu_count()} cores; {output([programs / 'da2s-infer', '--version'])}, {versions}; "
          f"load {before:.1f} at the start. Milliseconds per batch, medians over rounds; ratios above 1: da2s-infer is faster.\n")
    if before > MOST_LOAD:
        print("warning: the machine was busy; repeat on an idle one\n")
    head = ["network", "batch", "threads", *OURS, *FLOAT, *SHORT, "times faster, float32", "times faster, int8"]
    print("| " + " | ".join(head) + " |\n|" + " --- |" * len(head), flush=True)
    for name in asked.networks:
        files = prepare(programs / "da2s", asked.out, name)
        for batch in asked.batches:
            for threads in asked.threads:
                print(f"{name}, batch {batch}, {threads} threads", file=sys.stderr)
                seen = rounds_of(engines(programs / "da2s-infer", interpreter, files, picture, batch, threads), asked.rounds)
                print("| " + " | ".join(row([name, str(batch), str(threads)], seen)) + " |", flush=True)


if __name__ == "__main__":
    main()
