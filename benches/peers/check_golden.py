"""Checks the networks of this folder against the golden values, in both memory layouts.

Reads `DA2S_GOLDEN_DIR`, or `../shared/golden` beside the repository. Tolerances are those of da2s's own tests.
"""

import os
import sys
from pathlib import Path

import torch
from safetensors import safe_open

from networks import Folded, Tensors, nas201_cell, network
from objective import KINDS, ArchParams
from steps import Retraining, Search

GOLDEN = Path(os.environ.get("DA2S_GOLDEN_DIR") or Path(__file__).resolve().parents[2].parent / "shared" / "golden")
PUBLIC = {"normal": "normal", "reduction": "reduce"}
ran = 0


def read(name):
    with safe_open(GOLDEN / name, "pt") as file:
        return {key: file.get_tensor(key) for key in file.keys()}, file.metadata()


def under(tensors, prefix):
    return {name[len(prefix):]: value for name, value in tensors.items() if name.startswith(prefix)}


def close(what, ours, golden, tolerance):
    global ran
    ran += 1
    ours, golden = torch.as_tensor(ours).detach().double().flatten(), golden.double().flatten()
    error = (ours - golden).norm() / golden.norm().clamp(min=1e-12)
    # A gradient that is zero but for rounding, as that of a scale in front of another batch norm, has no direction.
    if error > tolerance and (ours - golden).abs().max() > 1e-7:
        sys.exit(f"{what}: relative error {error:.2e}, allowed {tolerance:.0e}")


def arch_params(tensors, prefix):
    alpha = {kind: tensors[f"{prefix}.alpha_{PUBLIC[kind]}"].clone() for kind in KINDS}
    beta = {kind: [tensors[f"{prefix}.beta_{PUBLIC[kind]}.{node}"].clone() for node in range(3)] for kind in KINDS}
    return ArchParams(alpha, beta)


def images(tensors, name, channels_last):
    layout = torch.channels_last if channels_last else torch.contiguous_format
    return tensors[name].contiguous(memory_format=layout)


def check_supernet(channels_last):
    golden, meta = read("supernet.safetensors")
    weights = {name: value for name, value in under(golden, "init.").items() if not name.startswith(("alpha", "beta"))}

    def search():
        arch = arch_params(golden, "init")
        made = Search(int(meta["channels"]), int(meta["layers"]), Tensors(dict(weights)), arch, int(meta["epoch"]),
                      float(meta["arch_lr"]))
        made.prepare(None, channels_last)
        return made

    batches = [(images(golden, f"input.{half}", channels_last), golden[f"target.{half}"].long())
               for half in ("arch_batch", "weight_batch")]
    case = search()
    case.arch.require_grad(True)
    close("logits", case.forward(batches[1][0]), golden["forward.logits"], 1e-4)
    loss = case.loss(*batches[1])
    close("loss", loss, golden["forward.total_loss"], 1e-4)
    loss.backward()
    for name, weight in case.tensors.weights.items():
        close(f"gradient of {name}", weight.grad, golden[f"grad.{name}"], 1e-3)
    for kind in KINDS:
        close(f"gradient of α, {kind}", case.arch.alpha[kind].grad, golden[f"grad.alpha_{PUBLIC[kind]}"], 1e-3)
        for node, beta in enumerate(case.arch.beta[kind]):
            close(f"gradient of β, {kind}", beta.grad, golden[f"grad.beta_{PUBLIC[kind]}.{node}"], 1e-3)

    case = search()
    for step, row in enumerate(golden["trajectory.arch_loss__weight_loss__grad_norm"]):
        for what, ours, value in zip(("loss", "loss of the weights", "norm"), case.step(*batches), row):
            close(f"step {step}, {what}", ours, value, 1e-3)
    after = arch_params(golden, "after")
    for ours, value in zip(case.arch.leaves(), after.leaves()):
        close("α and β after the trajectory", ours, value, 1e-3)
    case.tensors.training = False
    close("evaluation logits after it", case.forward(batches[1][0]), golden["after.eval_logits"], 1e-3)


def check_network(channels_last):
    golden, meta = read("network-cifar.safetensors")
    case = Retraining(int(meta["channels"]), int(meta["layers"]), "train.aux_logits" in golden,
                      Tensors(under(golden, "init.")))
    case.prepare(None, channels_last)
    x, labels = images(golden, "input", channels_last), golden["target"].long()
    logits, side = case.forward(x)
    close("training logits", logits, golden["train.logits"], 1e-4)
    close("auxiliary logits", side, golden["train.aux_logits"], 1e-4)
    for name, value in under(golden, "buffers.").items():
        if not name.endswith("num_batches_tracked"):
            close(name, case.tensors.statistics[name], value, 1e-4)
    statistics = {name: value.clone() for name, value in case.tensors.statistics.items()}
    loss = case.loss(x, labels)
    close("loss", loss, golden["train.loss"], 1e-4)
    loss.backward()
    for name, value in under(golden, "grad.").items():
        close(f"gradient of {name}", case.tensors.weights[name].grad, value, 1e-3)

    tensors = Tensors(dict(case.tensors.weights), statistics)
    tensors.training = False
    with torch.no_grad():
        for t in (tensors, Folded(tensors)):
            logits, _ = network(t, x, case.channels, case.cells, False)
            close(f"evaluation logits, {type(t).__name__}", logits, golden["eval.logits"], 1e-4)


def check_nas201(channels_last):
    """The first cell of the super-network between its stem and what follows, by the gradients that reach it."""
    golden, meta = read("nb201-supernet.safetensors")
    if meta["cells_per_stage"] != "1":
        sys.exit("the NAS-Bench-201 check needs one cell a stage")
    weights = under(golden, "init.")
    arch = weights.pop("arch_parameters").clone().requires_grad_(True)
    t = Tensors(weights)
    for name in list(weights):
        weights[name] = weights[name].clone().requires_grad_(True)
    rows = [row.unbind() for row in arch.softmax(1).unbind()]
    x = images(golden, "input", channels_last)
    x = t.norm(t.conv(x, "stem.0", int(meta["channels"]), kernel=3, padding=1), "stem.1", "stem.1.weight" in weights)
    relu = torch.relu
    for cell in range(5):
        name = f"cells.{cell}"
        if cell % 2 == 0:
            x = nas201_cell(t, x, rows, name)
            continue
        inner, outputs = x, 2 * x.shape[1]
        for conv, stride in (("conv_a", 2), ("conv_b", 1)):
            affine = f"{name}.{conv}.op.2.weight" in weights
            inner = t.norm(t.conv(relu(inner), f"{name}.{conv}.op.1", outputs, kernel=3, stride=stride, padding=1),
                           f"{name}.{conv}.op.2", affine)
        x = inner + t.conv(torch.nn.functional.avg_pool2d(x, 2, 2), f"{name}.downsample.1", outputs)
    x = relu(t.norm(x, "lastact.0", "lastact.0.weight" in weights))
    logits = t.classify(x, "classifier", golden["forward.logits"].shape[1])
    close("logits", logits, golden["forward.logits"], 1e-4)
    loss = torch.nn.functional.cross_entropy(logits, golden["target"].long())
    loss.backward()
    close("gradient of the mixture's logits", arch.grad, golden["grad.arch_parameters"], 1e-3)
    for name, weight in weights.items():
        # A bias in front of a batch norm has no gradient but rounding.
        if not (name.endswith("op.1.bias") and name.startswith("cells")):
            close(f"gradient of {name}", weight.grad, golden[f"grad.{name}"], 1e-3)


def main():
    for channels_last in (False, True):
        for check in (check_supernet, check_network, check_nas201):
            check(channels_last)
    print(f"{ran} comparisons with the golden values of {GOLDEN}: all agree")


if __name__ == "__main__":
    main()
