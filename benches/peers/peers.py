"""Times one case in PyTorch and prints JSON: wall-clock and processor seconds of every repetition, and peak memory.

    python peers.py CASE [--device cpu|cuda|mps] [--layout channels_last|default] [--threads N] [--repeat N]

The cases are those of `da2s bench`, on random images with one channel, like the digits that `da2s bench` uses. By default, two
uncounted repetitions come first.
"""

import argparse
import json
import sys
import time

import torch

from steps import Inference, Nas201Blocks, Retraining, Search

WARM_UP = 2


def batch(size, side, channels_last):
    layout = torch.channels_last if channels_last else torch.contiguous_format
    return torch.randn(size, 1, side, side).contiguous(memory_format=layout), torch.randint(10, (size,))


def search(channels, cells, side, size, channels_last):
    case = Search(channels, cells)
    arch_batch, weight_batch = batch(size, side, channels_last), batch(size, side, channels_last)
    case.prepare(arch_batch[0], channels_last)
    return lambda: case.step(arch_batch, weight_batch)


def retrain(size, channels_last):
    case, images = Retraining(36, 20), batch(size, 32, channels_last)
    case.prepare(images[0], channels_last)
    return lambda: case.step(*images)


def inference(size, runs, channels_last):
    case, (images, _) = Inference(36, 20), batch(size, 32, channels_last)
    case.prepare(images, channels_last)

    def run():
        for _ in range(runs):
            case.step(images)

    return run


def nas201_blocks(size, channels_last):
    case = Nas201Blocks(size)
    case.prepare(channels_last)
    return case.step


# How to create a case, and the number of runs per repetition.
CASES = {
    "search": (lambda last: search(16, 8, 32, 64, last), 1),
    "search-small": (lambda last: search(8, 5, 16, 32, last), 1),
    "retrain": (lambda last: retrain(32, last), 1),
    "inference-1": (lambda last: inference(1, 10, last), 10),
    "inference-64": (lambda last: inference(64, 1, last), 1),
    "nas201-blocks": (lambda last: nas201_blocks(64, last), 1),
}


def peak_resident_bytes():
    try:
        with open("/proc/self/status", encoding="ascii") as status:
            return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM:"))
    except OSError:
        return None


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("case", choices=CASES)
    arguments.add_argument("--layout", choices=("channels_last", "default"), default="channels_last")
    arguments.add_argument("--device", default="cpu")
    arguments.add_argument("--threads", type=int, default=2)
    arguments.add_argument("--repeat", type=int, default=5)
    arguments.add_argument("--warm-up", type=int, default=WARM_UP)
    asked = arguments.parse_args()

    torch.set_num_threads(asked.threads)
    torch.set_default_device(asked.device)
    torch.backends.cudnn.benchmark = True
    waits = {"cuda": torch.cuda.synchronize, "mps": torch.mps.synchronize}
    finish = waits.get(asked.device.split(":")[0], lambda: None)
    torch.manual_seed(1)
    make, runs = CASES[asked.case]
    run = make(asked.layout == "channels_last")
    seconds, cpu_seconds = [], []
    for repetition in range(asked.warm_up + asked.repeat):
        finish()
        start, cpu_start = time.perf_counter(), time.process_time()
        run()
        finish()
        if repetition >= asked.warm_up:
            seconds.append((time.perf_counter() - start) / runs)
            cpu_seconds.append((time.process_time() - cpu_start) / runs)
    json.dump({"case": asked.case, "device": asked.device, "layout": asked.layout, "threads": asked.threads, "torch": torch.__version__,
               "seconds": seconds, "cpu_seconds": cpu_seconds, "peak_resident_bytes": peak_resident_bytes()}, sys.stdout)
    print()


if __name__ == "__main__":
    main()
