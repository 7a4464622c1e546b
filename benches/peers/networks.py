"""Super-network and final network of the DARTS space, and NAS-Bench-201 cells, as lean as eager PyTorch allows.

Written for this comparison, following Liu, Simonyan, Yang, "DARTS", ICLR 2019, Tian et al., "Discretization-Aware Architecture
Search", 2021, and Dong, Yang, "NAS-Bench-201", ICLR 2020. There are no `torch.nn.Module`s: weights are a dictionary of tensors
with the names of the DARTS family, and a network is a function of it. Values shared by edges are computed once (the ReLU of a
node), the weight of an operation is applied through the scale of its batch norm, which saves a product and its memory, and nodes
are summed in place. No gradients are computed for weights without `requires_grad`.
"""

import torch
import torch.nn.functional as F

# Candidate: kernel, dilation, depthwise-separable stages.
SEPARABLE = {
    "sep_conv_3x3": (3, 1, 2),
    "sep_conv_5x5": (5, 1, 2),
    "dil_conv_3x3": (3, 2, 1),
    "dil_conv_5x5": (5, 2, 1),
}
OPERATIONS = ["max_pool_3x3", "avg_pool_3x3", "skip_connect", *SEPARABLE]
NODES = 4
EDGES = [(source, node) for node in range(2, 2 + NODES) for source in range(node)]
DARTS_V2 = {
    "normal": [("sep_conv_3x3", 0), ("sep_conv_3x3", 1), ("sep_conv_3x3", 0), ("sep_conv_3x3", 1),
               ("sep_conv_3x3", 1), ("skip_connect", 0), ("skip_connect", 0), ("dil_conv_3x3", 2)],
    "reduction": [("max_pool_3x3", 0), ("max_pool_3x3", 1), ("skip_connect", 2), ("max_pool_3x3", 1),
                  ("max_pool_3x3", 0), ("skip_connect", 2), ("skip_connect", 2), ("max_pool_3x3", 1)],
}


class Tensors:
    """Weights and running statistics by name. On the first forward pass (`make`), missing ones are created with PyTorch's defaults."""

    def __init__(self, weights=None, statistics=None):
        self.make = weights is None
        self.weights = weights if weights is not None else {}
        self.statistics = statistics if statistics is not None else {}
        self.training = True

    def kernel(self, name, *shape):
        if self.make and name not in self.weights:
            bound = torch.Size(shape[1:]).numel() ** -0.5
            self.weights[name] = torch.empty(shape).uniform_(-bound, bound)
        return self.weights[name]

    def conv(self, x, name, outputs, kernel=1, stride=1, padding=0, dilation=1, groups=1, bias=False):
        weight = self.kernel(name + ".weight", outputs, x.shape[1] // groups, kernel, kernel)
        shift = None
        if bias:
            if self.make and name + ".bias" not in self.weights:
                self.weights[name + ".bias"] = torch.zeros(outputs)
            shift = self.weights[name + ".bias"]
        return F.conv2d(x, weight, shift, stride, padding, dilation, groups)

    def norm(self, x, name, affine, scale=None):
        """Batch norm; one without its own scale and shift can be given a scalar scale."""
        channels = x.shape[1]
        gamma = beta = None
        if affine:
            if self.make and name + ".weight" not in self.weights:
                self.weights[name + ".weight"], self.weights[name + ".bias"] = torch.ones(channels), torch.zeros(channels)
            gamma, beta = self.weights[name + ".weight"], self.weights[name + ".bias"]
        elif scale is not None:
            # A real copy, not `expand`: channels-last batch norm reads the scale as if it were
            # contiguous.
            gamma = scale.repeat(channels)
        mean, variance = name + ".running_mean", name + ".running_var"
        if mean not in self.statistics:
            dtype = x.dtype
            self.statistics[mean] = torch.zeros(channels, dtype=dtype)
            self.statistics[variance] = torch.ones(channels, dtype=dtype)
        return F.batch_norm(x, self.statistics[mean], self.statistics[variance], gamma, beta, self.training)

    def classify(self, x, name, classes):
        features = x.mean((2, 3))
        weight = self.kernel(name + ".weight", classes, features.shape[1])
        if self.make and name + ".bias" not in self.weights:
            self.weights[name + ".bias"] = torch.zeros(classes)
        return F.linear(features, weight, self.weights[name + ".bias"])


class Folded:
    """Tensors for inference: every batch norm with its running statistics is folded into the convolution before it."""

    def __init__(self, tensors):
        self.tensors, self.folded, self.training = tensors, {}, False

    def convert(self, dtype):
        """Converts the weights; to be called after a forward pass, which folds the batch norms."""
        self.folded = {conv: tuple(values.to(dtype) for values in pair) for conv, pair in self.folded.items()}
        self.tensors.weights = {name: weight.to(dtype) for name, weight in self.tensors.weights.items()}

    def fold(self, conv, norm):
        if conv not in self.folded:
            weights, statistics = self.tensors.weights, self.tensors.statistics
            scale = weights[norm + ".weight"] / (statistics[norm + ".running_var"] + 1e-5).sqrt()
            weight = weights[conv + ".weight"] * scale[:, None, None, None]
            shift = weights[norm + ".bias"] - statistics[norm + ".running_mean"] * scale
            self.folded[conv] = (weight, shift)
        return self.folded[conv]

    def conv(self, x, name, *_, stride=1, padding=0, dilation=1, groups=1, **__):
        return F.conv2d(x, self.tensors.weights[name + ".weight"], None, stride, padding, dilation, groups)

    def conv_norm(self, x, conv, norm, stride=1, padding=0):
        weight, shift = self.fold(conv, norm)
        return F.conv2d(x, weight, shift, stride, padding)

    def classify(self, x, name, classes):
        return self.tensors.classify(x, name, classes)


def conv_norm(t, x, name, first, outputs, affine, scale=None, **options):
    """Convolution `first` of a sequence and the batch norm after it."""
    conv, norm = f"{name}.{first}", f"{name}.{first + 1}"
    if isinstance(t, Folded):
        options.pop("kernel", None)
        return t.conv_norm(x, conv, norm, **options)
    return t.norm(t.conv(x, conv, outputs, **options), norm, affine, scale)


def factorised_reduce(t, x, name, outputs, affine, scale=None):
    """`x` is the output of ReLU."""
    shifted = x[:, :, 1:, 1:]
    if isinstance(t, Folded):
        first, second = name + ".conv_1", name + ".conv_2"
        if first not in t.folded:
            weights, statistics = t.tensors.weights, t.tensors.statistics
            factor = weights[name + ".bn.weight"] / (statistics[name + ".bn.running_var"] + 1e-5).sqrt()
            shift = weights[name + ".bn.bias"] - statistics[name + ".bn.running_mean"] * factor
            half = outputs // 2
            for conv, part in ((first, slice(0, half)), (second, slice(half, outputs))):
                t.folded[conv] = (weights[conv + ".weight"] * factor[part, None, None, None], shift[part])
        halves = [F.conv2d(image, *t.folded[conv], 2) for image, conv in ((x, first), (shifted, second))]
        return torch.cat(halves, 1)
    halves = [t.conv(x, name + ".conv_1", outputs // 2, stride=2),
              t.conv(shifted, name + ".conv_2", outputs - outputs // 2, stride=2)]
    return t.norm(torch.cat(halves, 1), name + ".bn", affine, scale)


def separable(t, x, name, operation, stride, affine, scale=None):
    """`x` is the output of ReLU."""
    kernel, dilation, stages = SEPARABLE[operation]
    channels = x.shape[1]
    padding = dilation * (kernel - 1) // 2
    for stage in range(stages):
        first = 4 * stage + 1
        x = t.conv(x, f"{name}.op.{first}", channels, kernel=kernel, stride=stride, padding=padding, dilation=dilation,
                   groups=channels)
        last = stage == stages - 1
        x = conv_norm(t, x, name + ".op", first + 1, channels, affine, scale if last else None)
        if not last:
            # No backward pass reads the output of a batch norm.
            x, stride = F.relu_(x), 1
    return x


def pool(x, operation, stride):
    if operation == "max_pool_3x3":
        return F.max_pool2d(x, 3, stride, 1)
    return F.avg_pool2d(x, 3, stride, 1, count_include_pad=False)


def preprocessed(t, older, newer, name, channels, shrunk, affine):
    if shrunk:
        older = factorised_reduce(t, F.relu(older), name + ".preprocess0", channels, affine)
    else:
        older = conv_norm(t, F.relu(older), name + ".preprocess0.op", 1, channels, affine)
    return older, conv_norm(t, F.relu(newer), name + ".preprocess1.op", 1, channels, affine)


def layout(channels, cells, shrunk=False):
    """For every cell: channels, whether it is a reduction cell, and whether the previous cell (or stem) halves its image."""
    for cell in range(cells):
        reduction = cell in (cells // 3, 2 * cells // 3)
        channels *= 2 if reduction else 1
        yield cell, channels, reduction, shrunk
        shrunk = reduction


def supernet(t, images, mixture, channels, cells, classes=10):
    """Logits. `mixture` contains the weight of every operation on every edge, [14][7] scalars, for each kind of cell."""
    before = last = conv_norm(t, images, "stem", 0, 3 * channels, True, kernel=3, padding=1)
    for cell, width, reduction, shrunk in layout(channels, cells):
        name = f"cells.{cell}"
        states = list(preprocessed(t, before, last, name, width, shrunk, False))
        relus = [F.relu(state) for state in states]
        weights = mixture["reduction" if reduction else "normal"]
        edge = 0
        for node in range(2, 2 + NODES):
            total = None
            for source in range(node):
                stride = 2 if reduction and source < 2 else 1
                for at, operation in enumerate(OPERATIONS):
                    place, scale = f"{name}._ops.{edge}._ops.{at}", weights[edge][at]
                    if operation in SEPARABLE:
                        y = separable(t, relus[source], place, operation, stride, False, scale)
                    elif operation != "skip_connect":
                        y = t.norm(pool(states[source], operation, stride), place + ".1", False, scale)
                    elif stride == 2:
                        y = factorised_reduce(t, relus[source], place, width, False, scale)
                    else:
                        total = total.addcmul_(states[source], scale)
                        continue
                    total = y if total is None else total.add_(y)
                edge += 1
            states.append(total)
            if node < 1 + NODES:
                relus.append(F.relu(total))
        before, last = last, torch.cat(states[2:], 1)
    return t.classify(last, "classifier", classes)


def imagenet_stems(t, images, channels):
    """The outputs of the two stems of the mobile setting: images with a quarter and an eighth of the side."""
    halved = {"kernel": 3, "stride": 2, "padding": 1}
    x = F.relu(conv_norm(t, images, "stem0", 0, channels // 2, True, **halved))
    older = conv_norm(t, x, "stem0", 3, channels, True, **halved)
    return older, conv_norm(t, F.relu(older), "stem1", 1, channels, True, **halved)


def network(t, images, channels, cells, auxiliary, classes=10, genotype=None, imagenet=False):
    """The logits, and those of the auxiliary head if there is one."""
    genotype = genotype or DARTS_V2
    if imagenet:
        before, last = imagenet_stems(t, images, channels)
    else:
        before = last = conv_norm(t, images, "stem", 0, 3 * channels, True, kernel=3, padding=1)
    side = None
    for cell, width, reduction, shrunk in layout(channels, cells, imagenet):
        name = f"cells.{cell}"
        states = list(preprocessed(t, before, last, name, width, shrunk, True))
        relus = {}
        entries = genotype["reduction" if reduction else "normal"]
        for node in range(NODES):
            parts = []
            for at in (2 * node, 2 * node + 1):
                operation, source = entries[at]
                stride, place, state = 2 if reduction and source < 2 else 1, f"{name}._ops.{at}", states[source]
                if operation == "skip_connect" and stride == 1:
                    parts.append(state)
                elif operation in SEPARABLE or operation == "skip_connect":
                    if source not in relus:
                        relus[source] = F.relu(state)
                    if operation == "skip_connect":
                        parts.append(factorised_reduce(t, relus[source], place, width, True))
                    else:
                        parts.append(separable(t, relus[source], place, operation, stride, True))
                else:
                    parts.append(pool(state, operation, stride))
            states.append(parts[0] + parts[1])
        before, last = last, torch.cat(states[2:], 1)
        if auxiliary and cell == 2 * cells // 3:
            side = F.avg_pool2d(F.relu(last), 5, 3, 0, count_include_pad=False)
            side = F.relu(conv_norm(t, side, "auxiliary_head.features", 2, 128, True))
            side = F.relu(conv_norm(t, side, "auxiliary_head.features", 5, 768, True, kernel=2))
            side = t.classify(side, "auxiliary_head.classifier", classes)
    return t.classify(last, "classifier", classes), side


def nas201_cell(t, x, mixture, prefix):
    """A cell of the NAS-Bench-201 super-network: zero, identity, 1×1, 3×3, 3×3 mean. `mixture` is [6][5] scalars."""
    channels = x.shape[1]
    states, edge = [x], 0
    relus = [F.relu(x)]
    for node in range(1, 4):
        total = None
        for source in range(node):
            weights, place = mixture[edge], f"{prefix}.edges.{node}<-{source}"
            for at, kernel in ((2, 1), (3, 3)):
                y = conv_norm(t, relus[source], f"{place}.{at}.op", 1, channels, False, weights[at], kernel=kernel,
                              padding=kernel // 2, bias=True)
                total = y if total is None else total.add_(y)
            total = total.addcmul_(states[source], weights[1])
            total = total.addcmul_(pool(states[source], "avg_pool_3x3", 1), weights[4])
            edge += 1
        states.append(total)
        if node < 3:
            relus.append(F.relu(total))
    return states[-1]


def nas201_final_cell(t, x, operations, prefix):
    """A cell of a final network of NAS-Bench-201; `operations` names the operation of each of the 6 edges."""
    states, edge = [x], 0
    for node in range(1, 4):
        total = torch.zeros_like(x)
        for source in range(node):
            operation, place = operations[edge], f"{prefix}.layers.{edge}.op"
            if operation == "skip_connect":
                total = total + states[source]
            elif operation == "avg_pool_3x3":
                total = total + pool(states[source], operation, 1)
            elif operation != "none":
                kernel = {"nor_conv_1x1": 1, "nor_conv_3x3": 3}[operation]
                total = total + conv_norm(t, F.relu(states[source]), place, 1, x.shape[1], True, kernel=kernel,
                                          padding=kernel // 2)
            edge += 1
        states.append(total)
    return states[-1]


def nas201(t, images, channels, cells_per_stage, cell, classes=10):
    """Logits of three stages of `cell(x, name)`; residual blocks between them halve the image and double the channels."""
    x = conv_norm(t, images, "stem", 0, channels, True, kernel=3, padding=1)
    at = 0
    for stage in range(3):
        if stage > 0:
            outputs, name = 2 * x.shape[1], f"cells.{at}"
            affine = t.make or f"{name}.conv_a.op.2.weight" in t.weights
            inner = x
            for conv, stride in (("conv_a", 2), ("conv_b", 1)):
                inner = conv_norm(t, F.relu(inner), f"{name}.{conv}.op", 1, outputs, affine, kernel=3, stride=stride, padding=1)
            x = inner + t.conv(F.avg_pool2d(x, 2), name + ".downsample.1", outputs)
            at += 1
        for _ in range(cells_per_stage):
            x = cell(x, f"cells.{at}")
            at += 1
    return t.classify(F.relu(t.norm(x, "lastact.0", True)), "classifier", classes)
