"""Golden values: the results of the method for given parameters, images and labels.

A golden file contains parameters (`init.*`), images (`input*`), labels (`target*`) and hyper-parameters (its metadata), and the
results computed from them. The functions in `VALUES` take the former and return the latter, under the names used in the files,
which `fixtures/golden/README.md` explains. In float64 they create golden files; in float32 `check_golden.py` compares with them.
"""

import math

import torch
import torch.nn.functional as F
from safetensors import safe_open

import mobile
from networks import Tensors, nas201, nas201_cell, nas201_final_cell, network, supernet
from objective import CARDINALITY, CURVES, EPOCHS, KEPT, KINDS, LAMBDA, LAMBDA_BETA, WARMUP, ArchParams, schedule
from steps import CLIP, Search

PUBLIC = {"normal": "normal", "reduction": "reduce"}
# Settings that the units of work and the objective assume.
SEARCH_META = {"lr": "0.025", "momentum": "0.9", "weight_decay": "3e-4", "grad_clip": f"{CLIP:g}", "arch_betas": "0.5,0.999",
               "arch_weight_decay": "1e-3", "weight": f"{LAMBDA:g}"}
STEPS = 4
NAS201_OPERATIONS = ["none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3"]


def read(path):
    """Tensors and metadata of a golden file."""
    with safe_open(path, "pt") as file:
        return {key: file.get_tensor(key) for key in file.keys()}, file.metadata()


def given(tensors):
    """The part of a golden file from which the rest is computed."""
    return {name: value for name, value in tensors.items() if name.startswith(("init.", "arch.", "input", "target"))}


def under(tensors, prefix):
    return {name[len(prefix):]: value for name, value in tensors.items() if name.startswith(prefix)}


class Case:
    """Parameters and images of a golden file in one type and one memory layout."""

    def __init__(self, tensors, meta, dtype, layout):
        self.tensors, self.meta, self.dtype, self.layout = tensors, meta, dtype, layout

    def images(self, name="input"):
        return self.tensors[name].to(self.dtype).contiguous(memory_format=self.layout)

    def labels(self, name="target"):
        return self.tensors[name].long()

    def number(self, name):
        return int(self.meta[name])

    def leaves(self):
        """The parameters by name. A parameter with a `shape` in the metadata is repeated to fill it, see `weights`."""
        return {name: value.to(self.dtype, copy=True).requires_grad_(True)
                for name, value in under(self.tensors, "init.").items() if not name.startswith(("alpha", "beta", "arch"))}

    def weights(self, leaves):
        """The leaves that a network uses."""
        weights = {}
        for name, leaf in leaves.items():
            shape = self.meta.get(f"shape.init.{name}")
            if shape is not None:
                shape = [int(side) for side in shape.split(",")]
                count = math.prod(shape)
                leaf = leaf.repeat(-(-count // len(leaf)))[:count].view(shape)
            weights[name] = leaf.contiguous(memory_format=self.layout) if leaf.dim() == 4 else leaf
        return weights

    def arch(self):
        alpha = {kind: self.tensors[f"init.alpha_{PUBLIC[kind]}"].to(self.dtype, copy=True) for kind in KINDS}
        beta = {kind: [self.tensors[f"init.beta_{PUBLIC[kind]}.{node}"].to(self.dtype, copy=True) for node in range(3)]
                for kind in KINDS}
        return ArchParams(alpha, beta)


def gradients(leaves):
    return {f"grad.{name}": leaf.grad for name, leaf in leaves.items()}


def arch_values(prefix, arch, value):
    """`value` of every α and β, by name."""
    named = {}
    for kind in KINDS:
        named[f"{prefix}.alpha_{PUBLIC[kind]}"] = value(arch.alpha[kind])
        named |= {f"{prefix}.beta_{PUBLIC[kind]}.{node}": value(beta) for node, beta in enumerate(arch.beta[kind])}
    return named


def darts_supernet(case):
    """Super-network of the DARTS space: forward pass, gradients, alternating steps and the resulting parameters."""
    for name, value in SEARCH_META.items():
        assert case.meta[name] == value, f"{name} is {case.meta[name]}, the units of work have {value}"

    def search():
        channels, cells = case.number("channels"), case.number("layers")
        made = Search(lambda t, images, mixture: supernet(t, images, mixture, channels, cells), case.arch(),
                      Tensors(case.weights(case.leaves())), case.number("epoch"), float(case.meta["arch_lr"]))
        made.prepare(None, case.layout == torch.channels_last)
        return made

    halves = ("arch_batch", "weight_batch")
    batches = [(case.images(f"input.{half}"), case.labels(f"target.{half}")) for half in halves]
    images, labels = batches[1]
    once = search()
    once.arch.require_grad(True)
    logits = once.forward(images)
    entropy = F.cross_entropy(logits, labels)
    loss = entropy + once.arch.regulariser(once.epoch)
    loss.backward()
    values = {"forward.logits": logits, "forward.cross_entropy": entropy, "forward.total_loss": loss,
              **gradients(once.tensors.weights), **arch_values("grad", once.arch, lambda leaf: leaf.grad)}

    stepped = search()
    trajectory = [stepped.step(*batches) for _ in range(STEPS)]
    values["trajectory.arch_loss__weight_loss__grad_norm"] = torch.tensor(trajectory, dtype=torch.float64)
    values |= {f"after.{name}": weight for name, weight in stepped.tensors.weights.items()}
    values |= arch_values("after", stepped.arch, lambda leaf: leaf)
    stepped.tensors.training = False
    return values | {"after.eval_logits": stepped.forward(images)}


def trained_and_evaluated(case, leaves, forward):
    """The results of a final network `forward(tensors)`: both modes, running statistics after one step, loss, gradients."""
    tensors = Tensors(case.weights(leaves))
    logits, side = forward(tensors)
    values = {"train.logits": logits}
    values |= {f"buffers.{name}": value.clone() for name, value in tensors.statistics.items()}
    if side is not None:
        values["train.aux_logits"] = side
    if "target" in case.tensors:
        loss = F.cross_entropy(logits, case.labels())
        if side is not None:
            loss = loss + 0.4 * F.cross_entropy(side, case.labels())
        loss.backward()
        values |= {"train.loss": loss, **gradients(leaves)}
    tensors.training = False
    with torch.no_grad():
        return values | {"eval.logits": forward(tensors)[0]}


def final_network(case):
    """Final network of the genotype DARTS_V2, with CIFAR's stem or ImageNet's."""
    leaves = case.leaves()
    imagenet, auxiliary = "stem0.0.weight" in leaves, "auxiliary_head.classifier.weight" in leaves
    images = case.images()
    return trained_and_evaluated(case, leaves, lambda tensors: network(
        tensors, images, case.number("channels"), case.number("layers"), auxiliary, imagenet=imagenet))


def nas201_supernet(case):
    """Super-network of NAS-Bench-201: forward pass and gradients. Its cells' batch norms are never used in evaluation mode."""
    leaves = case.leaves()
    alpha = case.tensors["init.arch_parameters"].to(case.dtype, copy=True).requires_grad_(True)
    mixture = [row.unbind() for row in alpha.softmax(1).unbind()]
    tensors = Tensors(case.weights(leaves))
    logits = nas201(tensors, case.images(), case.number("channels"), case.number("cells_per_stage"),
                    lambda x, name: nas201_cell(tensors, x, mixture, name))
    loss = F.cross_entropy(logits, case.labels())
    loss.backward()
    return {"forward.logits": logits, "forward.cross_entropy": loss, "grad.arch_parameters": alpha.grad, **gradients(leaves)}


def nas201_network(case):
    """Final network of NAS-Bench-201."""
    leaves, images = case.leaves(), case.images()
    operations = [entry.split("~")[0] for entry in case.meta["genotype"].replace("+", "").split("|") if entry]
    return trained_and_evaluated(case, leaves, lambda tensors: (
        nas201(tensors, images, case.number("channels"), case.number("cells_per_stage"),
               lambda x, name: nas201_final_cell(tensors, x, operations, name)), None))


def mobile_supernet(case):
    """Super-network of the space `mobile`: gates, forward pass and gradients."""
    leaves, numbers = case.leaves(), [int(number) for number in case.meta["stages"].split(",")]
    names = [name.split("_") for name in case.meta["operations"].split(",")]
    chain = mobile.Chain(case.number("stem"), case.number("stem_stride"), len(leaves["stem.6.weight"]),
                         tuple(tuple(numbers[at:at + 3]) for at in range(0, len(numbers), 3)), case.number("head"),
                         tuple((int(kernel[1:]), int(expansion[1:])) for _, kernel, expansion in names))
    alpha, beta = (case.tensors[f"arch.{name}"].to(case.dtype, copy=True) for name in ("alpha", "beta"))
    arch = mobile.ChainParams(chain, alpha, beta, [int(depth) for depth in case.meta["depth"].split(",")])
    arch.require_grad(True)
    logits = mobile.supernet(Tensors(case.weights(leaves)), case.images(), arch.mixture(), chain)
    loss = F.cross_entropy(logits, case.labels())
    loss.backward()
    return {"forward.logits": logits, "forward.cross_entropy": loss, "gates": arch.gates(), "grad.alpha": alpha.grad,
            "grad.beta": beta.grad, **gradients(leaves)}


VALUES = {
    "supernet": darts_supernet,
    "network-cifar": final_network,
    "network-imagenet": final_network,
    "nb201-supernet": nas201_supernet,
    "nb201-network": nas201_network,
    "mobile-supernet": mobile_supernet,
}


def values(name, tensors, meta, dtype=torch.float64, layout=torch.contiguous_format):
    """The results for the `given` tensors and metadata of the golden file `name`."""
    return {key: value.detach() for key, value in VALUES[name](Case(tensors, meta, dtype, layout)).items()}


def schedules():
    """`schedules.json`: every schedule at every epoch."""
    names = [name + form for name in CURVES for form in ("", "_")]
    at_all = {name: [schedule(name, epoch) for epoch in range(1, EPOCHS + 1)] for name in names}
    return {"epochs": EPOCHS, "warmup": WARMUP, "values": at_all}


REGULARISER_META = {"weight": LAMBDA, "lambda_beta": LAMBDA_BETA, "cardinality_weight": CARDINALITY, "kept_edges": KEPT}


def regulariser(case):
    """The results for epoch, α and β of a case of `regulariser.json`: factors, terms, their sum, its gradients."""
    leaf = lambda rows: torch.tensor(rows, dtype=torch.float64)
    alpha = {kind: leaf(case[f"alpha_{PUBLIC[kind]}"]) for kind in KINDS}
    beta = {kind: [leaf(row) for row in case[f"beta_{PUBLIC[kind]}"]] for kind in KINDS}
    arch, epoch = ArchParams(alpha, beta), case["epoch"]
    arch.require_grad(True)
    operations, edges = arch.terms(epoch)
    (operations + edges).backward()
    values = {"lambda_c": schedule("linear", epoch), "lambda_alpha": schedule("log_", epoch), "alpha_term": operations.item(),
              "beta_term": edges.item(), "regulariser": (operations + edges).item()}
    for kind in KINDS:
        values[f"grad_alpha_{PUBLIC[kind]}"] = alpha[kind].grad.tolist()
        values[f"grad_beta_{PUBLIC[kind]}"] = [row.grad.tolist() for row in beta[kind]]
    return values
