"""Times one case in PyTorch and prints JSON: wall-clock and processor seconds of every repetition, peak memory, multiply-adds.

    python peers.py CASE [--device cpu|cuda|mps] [--layout channels_last|default] [--precision float32|bf16] [--threads N] [--repeat N]

The cases are those of `da2s bench`, on random images with one channel, like the digits that `da2s bench` uses. By default, two
uncounted repetitions come first. `--precision bf16` means `torch.autocast`, see `steps.py`. Multiply-adds are counted by PyTorch
in a forward pass, without the auxiliary head, and are for one image.
"""

import argparse
import json
import sys
import time

import torch
from torch.utils.flop_counter import FlopCounterMode

import mobile
from networks import network, supernet
from objective import ArchParams
from steps import Inference, Nas201Blocks, Retraining, Search

WARM_UP = 2


class How:
    """Memory layout and precision."""

    def __init__(self, channels_last, bf16, device):
        self.channels_last, self.bf16 = channels_last, bf16
        self.layout = torch.channels_last if channels_last else torch.contiguous_format
        # Also a decorator.
        self.autocast = torch.autocast(device.split(":")[0], torch.bfloat16, enabled=bf16)

    def batch(self, size, side):
        return torch.randn(size, 1, side, side).contiguous(memory_format=self.layout), torch.randint(10, (size,))


# Each of the following returns a repetition, a forward pass, and the number of images of the latter.


def search(how, side, size, supernet, arch):
    case, arch_batch, weight_batch = Search(supernet, arch), how.batch(size, side), how.batch(size, side)
    case.prepare(arch_batch[0], how.channels_last)
    case.loss = how.autocast(case.loss)
    return lambda: case.step(arch_batch, weight_batch), lambda: case.forward(arch_batch[0]), size


def search_darts(how, channels, cells, side, size):
    return search(how, side, size, lambda t, images, mixture: supernet(t, images, mixture, channels, cells), ArchParams.start())


def search_mobile(how, size):
    chain = mobile.PIXELS_32
    return search(how, 32, size, lambda t, images, mixture: mobile.supernet(t, images, mixture, chain), mobile.ChainParams.start(chain))


def retrain(how, size):
    case, images = Retraining(36, 20), how.batch(size, 32)
    case.prepare(images[0], how.channels_last)
    case.loss = how.autocast(case.loss)
    return lambda: case.step(*images), lambda: network(case.tensors, images[0], case.channels, case.cells, False), size


def inference(how, size, runs):
    case, (images, _) = Inference(36, 20), how.batch(size, 32)
    case.prepare(images, how.channels_last)
    if how.bf16:
        case.folded.convert(torch.bfloat16)
        case.step = how.autocast(case.step)

    def run():
        for _ in range(runs):
            case.step(images)

    return run, lambda: case.step(images), size


def nas201_blocks(how, size):
    case = Nas201Blocks(size)
    case.prepare(how.channels_last)
    case.loss = how.autocast(case.loss)
    return case.step, case.forward, size


# How to create a case, and the number of runs per repetition.
CASES = {
    "search": (lambda how: search_darts(how, 16, 8, 32, 64), 1),
    "search-small": (lambda how: search_darts(how, 8, 5, 16, 32), 1),
    "search-mobile": (lambda how: search_mobile(how, 64), 1),
    "retrain": (lambda how: retrain(how, 32), 1),
    "inference-1": (lambda how: inference(how, 1, 10), 10),
    "inference-64": (lambda how: inference(how, 64, 1), 1),
    "nas201-blocks": (lambda how: nas201_blocks(how, 64), 1),
}


def multiply_adds(forward, images):
    """Of a forward pass of `images` images, per image."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        forward()
    return counter.get_total_flops() // 2 // images


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
    arguments.add_argument("--precision", choices=("float32", "bf16"), default="float32")
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
    run, forward, images = make(How(asked.layout == "channels_last", asked.precision == "bf16", asked.device))
    seconds, cpu_seconds = [], []
    for repetition in range(asked.warm_up + asked.repeat):
        finish()
        start, cpu_start = time.perf_counter(), time.process_time()
        run()
        finish()
        if repetition >= asked.warm_up:
            seconds.append((time.perf_counter() - start) / runs)
            cpu_seconds.append((time.process_time() - cpu_start) / runs)
    # Before the multiply-adds are counted.
    peak = peak_resident_bytes()
    json.dump({"case": asked.case, "device": asked.device, "layout": asked.layout, "precision": asked.precision,
               "threads": asked.threads, "torch": torch.__version__, "seconds": seconds, "cpu_seconds": cpu_seconds,
               "peak_resident_bytes": peak, "multiply_adds": multiply_adds(forward, images)}, sys.stdout)
    print()


if __name__ == "__main__":
    main()
