"""Compares the networks and the objective in this folder with golden values, in both memory layouts.

    python3 benches/peers/check_golden.py [--double] [FOLDER]

FOLDER defaults to `DA2S_GOLDEN_DIR`, or `fixtures/golden` in the repository. In float32 the tolerances are those of da2s's own
tests; `--double` computes in float64, like the golden values, and requires agreement to the precision of float32 files.
"""

import argparse
import json
import os
import sys
from pathlib import Path

import torch

import golden
from networks import Folded, Tensors, network

REPOSITORY = Path(__file__).resolve().parents[2]
LOGITS, GRADIENTS = 1e-4, 1e-3
STORED = 1e-5


class Comparison:
    """Counts the comparisons, and ends the program if one fails."""

    def __init__(self, double):
        self.double, self.count, self.worst = double, 0, 0.0

    def close(self, what, ours, known, tolerance):
        ours, known = (torch.as_tensor(values).double().flatten() for values in (ours, known))
        if ours.shape != known.shape:
            sys.exit(f"{what}: {len(ours)} elements, the file has {len(known)}")
        error = float((ours - known).norm() / known.norm().clamp(min=1e-12))
        self.count += 1
        difference = float((ours - known).abs().max())
        # A gradient that is zero up to rounding, such as that of a bias before a batch norm, has
        # no direction.
        if difference <= (1e-12 if self.double else 1e-7) or (float(known.abs().max()) < 1e-8 and difference < 1e-5):
            return
        self.worst = max(self.worst, error)
        tolerance = STORED if self.double else tolerance
        if not error <= tolerance:
            sys.exit(f"{what}: relative error {error:.2e}, allowed {tolerance:.0e}; difference {difference:.1e}")


def tolerance(name):
    return GRADIENTS if name.startswith(("grad.", "trajectory.", "after.")) else LOGITS


def check_networks(folder, name, comparison, layout):
    tensors, meta = golden.read(folder / f"{name}.safetensors")
    given, dtype = golden.given(tensors), torch.float64 if comparison.double else torch.float32
    ours = golden.values(name, given, meta, dtype, layout)
    expected = {key: value for key, value in tensors.items() if key not in given and not key.endswith("num_batches_tracked")}
    for key, value in expected.items():
        comparison.close(f"{name}, {key}", ours[key], value, tolerance(key))


def check_folded(folder, comparison, layout):
    """Inference with folded batch norms."""
    tensors, meta = golden.read(folder / "network-cifar.safetensors")
    case = golden.Case(tensors, meta, torch.float32, layout)
    weights = {name: weight.detach() for name, weight in case.weights(case.leaves()).items()}
    folded = Folded(Tensors(weights, golden.under(tensors, "buffers.")))
    logits, _ = network(folded, case.images(), case.number("channels"), case.number("layers"), False)
    comparison.close("evaluation logits, folded", logits, tensors["eval.logits"], LOGITS)


def check_schedules(folder, comparison):
    known, ours = json.loads((folder / "schedules.json").read_text()), golden.schedules()
    if (known["epochs"], known["warmup"]) != (ours["epochs"], ours["warmup"]):
        sys.exit("schedules.json has another number of epochs")
    for name, values in known["values"].items():
        comparison.close(f"schedule {name}", ours["values"][name], values, LOGITS)


def check_regulariser(folder, comparison):
    """Row by row; rows with NaN are skipped (the public code underflows in softmax followed by log)."""
    file = json.loads((folder / "regulariser.json").read_text())
    for name, value in golden.REGULARISER_META.items():
        if file[name] != value:
            sys.exit(f"regulariser.json: {name} is {file[name]}, not {value}")
    for at, case in enumerate(file["cases"]):
        for key, ours in golden.regulariser(case).items():
            known = case[key]
            rows = zip(ours, known) if isinstance(known, list) else [(ours, known)]
            for our_row, row in rows:
                if not torch.as_tensor(row).isnan().any():
                    comparison.close(f"regulariser, case {at}, {key}", our_row, row, GRADIENTS)


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("folder", nargs="?", type=Path,
                           default=os.environ.get("DA2S_GOLDEN_DIR") or REPOSITORY / "fixtures" / "golden")
    arguments.add_argument("--double", action="store_true", help="in float64")
    asked = arguments.parse_args()
    folder, comparison = Path(asked.folder), Comparison(asked.double)
    check_schedules(folder, comparison)
    check_regulariser(folder, comparison)
    names = [name for name in golden.VALUES if (folder / f"{name}.safetensors").exists()]
    for name in golden.VALUES.keys() - names:
        print(f"not checked: {name}, which is not in {folder}")
    for layout in (torch.contiguous_format, torch.channels_last):
        for name in names:
            check_networks(folder, name, comparison, layout)
        if not asked.double:
            check_folded(folder, comparison, layout)
    print(f"{comparison.count} comparisons with the golden values of {folder}: all agree, largest relative error {comparison.worst:.1e}")


if __name__ == "__main__":
    main()
