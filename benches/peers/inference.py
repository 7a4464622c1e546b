#!/usr/bin/env python3
"""Runs da2s-infer, onnxruntime and OpenVINO in turn on the same networks, and prints their latencies as a Markdown table.

    python3 benches/peers/inference.py                  # sets everything up, then all networks
    python3 benches/peers/inference.py --networks resnet8 --batches 1 --threads 1 --rounds 7

Needs only Python and cargo: the first run creates a virtual environment in `target/`, and builds and trains what it measures:
networks by name, for an epoch on the embedded digits, enlarged to 32×32 pixels; latency does not depend on the weights. Every
engine reads the same network: da2s-infer its own file, the others ONNX; in int8 that of `da2s quantise`. A round measures every
engine once, each in a process of its own, in an order that rotates. Ratios are taken within a round: the time of the fastest
peer with the same numbers (float32, or int8 and OpenVINO's bf16) over that of da2s-infer. Runs are timed by the clock; on a
busy machine the script says so.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
from pathlib import Path

from compare import REPOSITORY, python, run

HERE = Path(__file__).resolve().parent
SIDE = 32
# For each network the settings of its training.
NETWORKS = {
    "darts-v2": ["network.channels=16", "network.cells=8"],
    "darts-v2-36": ["network.channels=36", "network.cells=20"],
    "mobilenet-v2": [],
    "resnet8": [],
}
# Peers in float32, then those with fewer bits; bf16 is a hint that OpenVINO follows where the processor has it.
FLOAT = ["onnxruntime float32", "OpenVINO float32"]
SHORT = ["onnxruntime int8", "OpenVINO int8", "OpenVINO bf16"]


def prepare(program, out, name):
    """Trains the network `name` in the folder `out` and writes it for every engine."""
    run_folder = out / name
    files = {"float32": out / f"{name}.safetensors", "onnx": out / f"{name}.onnx", "run": run_folder}
    if not (run_folder / "summary.json").exists():
        sets = [word for setting in ["network.epochs=1", "network.auxiliary=false", *NETWORKS[name]] for word in ("--set", setting)]
        run([program, "run", "digits", "--network", name.removesuffix("-36"), "--image-size", str(SIDE), "--quiet", "--out",
             run_folder, *sets], stdout=subprocess.DEVNULL)
        run([program, "export", run_folder, "--format", "safetensors", "--out", files["float32"]], stdout=subprocess.DEVNULL)
        run([program, "export", run_folder, "--format", "onnx", "--fold-batch-norms", "--out", files["onnx"]],
            stdout=subprocess.DEVNULL)
        run([program, "quantise", run_folder, "--quiet"], stdout=subprocess.DEVNULL)
    return files


def image(out):
    """A grey image, as a PGM is not read: the smallest PNG that Python writes without a library."""
    import struct
    import zlib

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + bytes((x * y) % 256 for x in range(SIDE)) for y in range(SIDE))
    path = out / "image.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", SIDE, SIDE, 8, 0, 0, 0, 0))
                     + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))
    return path


class Engines:
    """Functions that return the median milliseconds of one process."""

    def __init__(self, program, interpreter, files, picture, batch, threads):
        export = files["run"] / "export"
        self.program, self.interpreter, self.picture, self.batch, self.threads = program, interpreter, picture, batch, threads
        self.repeat = str(300 if batch == 1 else 20)
        self.all = {
            "da2s-infer float32": lambda: self.ours(files["float32"]),
            "da2s-infer int8": lambda: self.ours(export / "network-int8.safetensors"),
            **{peer: lambda peer=peer: self.peer(peer, export / "network-int8.onnx" if "int8" in peer else files["onnx"])
               for peer in FLOAT + SHORT},
        }

    def ours(self, file):
        command = [self.program, file, self.picture, "--json", "--repeat", self.repeat, "--batch", self.batch, "--threads", self.threads]
        return json.loads(output(command))[0]["median_ms"]

    def peer(self, peer, file):
        engine, numbers = peer.split()
        return json.loads(output([self.interpreter, HERE / "engines.py", engine.lower(), file, "--numbers", numbers, "--repeat",
                                  self.repeat, "--batch", self.batch, "--threads", self.threads]))["median_ms"]


def output(command):
    return run(command, stdout=subprocess.PIPE, text=True).stdout


def rounds_of(engines, rounds):
    """The milliseconds of every round, for every engine."""
    seen = {name: [] for name in engines}
    names = list(engines)
    for turn in range(rounds):
        for name in names[turn % len(names):] + names[:turn % len(names)]:
            seen[name].append(engines[name]())
            print(f"  round {turn + 1}, {name}: {seen[name][-1]:.3f} ms", file=sys.stderr)
    return seen


def row(head, seen):
    def ratio(ours, peers):
        ratios = [min(seen[peer][turn] for peer in peers) / time for turn, time in enumerate(seen[ours])]
        return f"{statistics.median(ratios):.2f} ({min(ratios):.2f}–{max(ratios):.2f})"

    times = [f"{statistics.median(seen[name]):.3f}" for name in seen]
    return [*head, *times, ratio("da2s-infer float32", FLOAT), ratio("da2s-infer int8", SHORT)]


def machine():
    cpu = next((line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")),
               platform.processor()) if Path("/proc/cpuinfo").exists() else platform.processor()
    return f"{cpu}, {os.cpu_count()} cores"


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    arguments.add_argument("--batches", nargs="+", type=int, default=[1, 8, 64])
    arguments.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--out", type=Path, default=REPOSITORY / "target" / "peers-inference", help="networks are kept here")
    arguments.add_argument("--venv", type=Path, default=REPOSITORY / "target" / "peers-inference-venv")
    arguments.add_argument("--programs", type=Path, help="a folder with da2s and da2s-infer; default: they are built")
    asked = arguments.parse_args()

    programs = asked.programs
    if programs is None:
        run(["cargo", "build", "--release", "--locked", "--manifest-path", REPOSITORY / "Cargo.toml"])
        programs = REPOSITORY / "target" / "release"
    interpreter = python(asked.venv, "requirements-inference.txt")
    asked.out.mkdir(parents=True, exist_ok=True)
    picture = image(asked.out)
    versions = output([interpreter, HERE / "engines.py", "versions"]).strip()
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    print(f"{machine()}; {output([programs / 'da2s-infer', '--version']).strip()}, {versions}; load {load:.1f} at the start. "
          "Milliseconds per batch, medians over rounds; ratios above 1: da2s-infer is faster.\n")
    names = ["da2s-infer float32", "da2s-infer int8", *FLOAT, *SHORT]
    head = ["network", "batch", "threads", *names, "times faster, float32", "times faster, int8"]
    print("| " + " | ".join(head) + " |\n|" + " --- |" * len(head), flush=True)
    for name in asked.networks:
        files = prepare(programs / "da2s", asked.out, name)
        for batch in asked.batches:
            for threads in asked.threads:
                print(f"{name}, batch {batch}, {threads} threads", file=sys.stderr)
                engines = Engines(programs / "da2s-infer", interpreter, files, picture, batch, threads)
                seen = rounds_of(engines.all, asked.rounds)
                print("| " + " | ".join(row([name, str(batch), str(threads)], seen)) + " |", flush=True)


if __name__ == "__main__":
    main()
