#!/usr/bin/env python3
"""The table of docs/book/src/experiments/growth.md about 1.3 million images: how a search begins, and whether it waits for images.

    cargo build --release
    python3 docs/book/src/experiments/million_images.py --pictures DIR --out runs/million_images     # OUT/million_images.csv grows
    python3 docs/book/src/experiments/million_images.py --table docs/book/src/experiments/million_images.csv

DIR has some thousand JPEG files. Folders in the form of ImageNet, with 1,000 classes, consist of hard links to them, so DIR and OUT must
be on one file system. Their files are decoded like those of ImageNet, but take no disk space and stay in the system's cache. The folders
are removed at the end. Linux only. A search is stopped (Ctrl-C) some time after its first step; the steps that it took are in its checkpoint.
Times are processor seconds of the process, so waiting for a processor does not count, and neither does waiting for a disk.
"""

import argparse
import json
import os
import shutil
import signal
import struct
import subprocess
import time
from pathlib import Path

from drop_below import processor_seconds
from growth import read, write, write_images

CLASSES = 1000
# Images per class in train/ and in val/.
FOLDERS = {"15,000 files": (13, 2), "135,000 files": (130, 5), "1,350,000 files": (1300, 50)}
IN_MEMORY = {"1,310,720 images in memory": 1310720}
# So small that a step is mostly the loading of its images.
TINY = ["search.channels=2", "search.cells=3", 'space.operations=["skip_connect","max_pool_3x3"]']
SECONDS = 60
BATCH = 64
FIELDS = ["images", "network", "first_step_cpu_s", "opened_mib", "peak_mib", "steps", "steps_cpu_s", "stop_s"]


def linked(folder, pictures, train, val):
    """A folder of hard links: so many images per class for training and for validation."""
    if folder.exists():
        return
    part, number = folder.with_suffix(".part"), 0
    shutil.rmtree(part, ignore_errors=True)
    for name, count in (("train", train), ("val", val)):
        for label in range(CLASSES):
            own = part / name / f"n{label:08}"
            own.mkdir(parents=True)
            for _ in range(count):
                os.link(pictures[number % len(pictures)], own / f"n{label:08}_{number:08}.JPEG")
                number += 1
    part.replace(folder)


def peak_mib(pid):
    status = Path(f"/proc/{pid}/status").read_text()
    return round(int(status.split("VmHWM:")[1].split()[0]) / 1024, 1)


def steps_done(path):
    """The steps in the checkpoint of a search in its first epoch, by the metadata of the safetensors file."""
    with (path / "search/checkpoint.safetensors").open("rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
    return json.loads(json.loads(header["__metadata__"]["da2s"])["meta"])["progress"]["steps_done"]


def search(program, data, network, out):
    """A search that is stopped some time after its first step: what was needed until then, and for how many steps after it."""
    shutil.rmtree(out, ignore_errors=True)
    recipe = ["mnist"] if "memory" in data.name else ["images", "--recipe", "imagenet"]
    words = [program, "search", *recipe, "--data-dir", data, "--threads", 2, "--set", f"search.batch_size={BATCH}", "--out", out, "--quiet"]
    sets = [word for one in (TINY if network == "tiny" else []) for word in ("--set", one)]
    process = subprocess.Popen([str(word) for word in words] + sets, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    # α and β before the first step are written just before it.
    while not (out / "search/arch.jsonl").exists():
        if process.poll() is not None:
            raise SystemExit(f"{data}: da2s ended with {process.returncode} before its first step")
        time.sleep(0.01)
    cpu, opened = processor_seconds(process.pid), peak_mib(process.pid)
    time.sleep(SECONDS)
    process.send_signal(signal.SIGINT)
    asked = time.monotonic()
    _, _, usage = os.wait4(process.pid, 0)
    return {"first_step_cpu_s": cpu, "opened_mib": opened, "peak_mib": round(usage.ru_maxrss / 1024, 1), "steps": steps_done(out),
            "steps_cpu_s": round(usage.ru_utime + usage.ru_stime - cpu, 2), "stop_s": round(time.monotonic() - asked, 2)}


def experiment(program, pictures, out):
    path = out / "million_images.csv"
    rows = read(path) if path.exists() else []
    for images, network in [(images, "tiny") for images in (*FOLDERS, *IN_MEMORY)] + [(list(FOLDERS)[-1], "recipe")]:
        if any((row["images"], row["network"]) == (images, network) for row in rows):
            continue
        data = out / images.replace(" ", "-").replace(",", "")
        if images in FOLDERS:
            linked(data, pictures, *FOLDERS[images])
        elif not data.exists():
            write_images(data, IN_MEMORY[images])
        rows.append({"images": images, "network": network, **search(program, data, network, out / "run")})
        write(path, rows, FIELDS)
    for images in (*FOLDERS, *IN_MEMORY):
        shutil.rmtree(out / images.replace(" ", "-").replace(",", ""), ignore_errors=True)


def print_table(path):
    print("| images | network | until the first step | memory then | peak memory | a step | for an image |\n|" + "---|" * 7)
    for row in read(path):
        step = float(row["steps_cpu_s"]) / int(row["steps"])
        print(f"| {row['images']} | {row['network']} | {float(row['first_step_cpu_s']):.1f} s | {float(row['opened_mib']):,.0f} MiB | {float(row['peak_mib']):,.0f} MiB "
              f"| {step:.3g} s | {1e3 * step / 2 / BATCH:.3g} ms |")


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = arguments.add_mutually_exclusive_group(required=True)
    what.add_argument("--out", type=Path, help="runs everything that this folder does not contain yet")
    what.add_argument("--table", type=Path, metavar="MILLION_IMAGES.CSV", help="prints the table of growth.md")
    arguments.add_argument("--pictures", type=Path, help="folder of JPEG files")
    arguments.add_argument("--program", default="target/release/da2s")
    asked = arguments.parse_args()
    if asked.table:
        return print_table(asked.table)
    if asked.pictures is None:
        arguments.error("--out needs --pictures")
    asked.out.mkdir(parents=True, exist_ok=True)
    experiment(asked.program, sorted(asked.pictures.iterdir()), asked.out)


if __name__ == "__main__":
    main()
