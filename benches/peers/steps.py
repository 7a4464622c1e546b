"""The units of work: a search step, a retraining step, inference, NAS-Bench-201 cells.

With bfloat16, `loss` of each runs under autocast, as PyTorch's documentation recommends: the forward pass and the loss, but not
the backward pass. For inference, the weights are converted in advance and `step` runs under autocast.
"""

import torch
import torch.nn.functional as F

from networks import Folded, Tensors, nas201_cell, network

CLIP = 5.0


class Search:
    """First-order bilevel search: a step of the architecture, then one of the weights, each on its own batch.

    The super-network is a function `supernet(tensors, images, mixture)`. Both losses contain the regulariser of an epoch in which it acts.
    """

    def __init__(self, supernet, arch, tensors=None, epoch=20, arch_lr=3e-4):
        self.supernet, self.arch, self.epoch = supernet, arch, epoch
        self.tensors = tensors or Tensors()
        self.arch_lr, self.adam, self.sgd = arch_lr, None, None

    def prepare(self, images, channels_last):
        """Creates weights and optimisers for images like these."""
        with torch.no_grad():
            if self.tensors.make:
                self.forward(images)
                self.tensors.make = False
        make_leaves(self.tensors, channels_last)
        self.adam = torch.optim.Adam(self.arch.leaves(), self.arch_lr, (0.5, 0.999), weight_decay=1e-3)
        self.sgd = sgd(self.tensors)

    def forward(self, images):
        return self.supernet(self.tensors, images, self.arch.mixture())

    def loss(self, images, labels):
        return F.cross_entropy(self.forward(images), labels) + self.arch.regulariser(self.epoch)

    def step(self, arch_batch, weight_batch):
        """Both losses, and the norm of the weights' gradient before clipping."""
        weights = list(self.tensors.weights.values())
        for weight in weights:
            weight.requires_grad_(False)
        self.arch.require_grad(True)
        self.adam.zero_grad(set_to_none=True)
        arch_loss = self.loss(*arch_batch)
        arch_loss.backward()
        self.adam.step()

        for weight in weights:
            weight.requires_grad_(True)
        self.arch.require_grad(False)
        self.sgd.zero_grad(set_to_none=True)
        weight_loss = self.loss(*weight_batch)
        weight_loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(weights, CLIP)
        self.sgd.step()
        return arch_loss.item(), weight_loss.item(), norm.item()


class Retraining:
    """Training the final network: auxiliary head of weight 0.4, no drop-path, as in the first epoch."""

    def __init__(self, channels, cells, auxiliary=True, tensors=None):
        self.channels, self.cells, self.auxiliary = channels, cells, auxiliary
        self.tensors, self.sgd = tensors or Tensors(), None

    def prepare(self, images, channels_last):
        with torch.no_grad():
            if self.tensors.make:
                self.forward(images)
                self.tensors.make = False
        make_leaves(self.tensors, channels_last)
        self.sgd = sgd(self.tensors)

    def forward(self, images):
        return network(self.tensors, images, self.channels, self.cells, self.auxiliary)

    def loss(self, images, labels):
        logits, side = self.forward(images)
        loss = F.cross_entropy(logits, labels)
        return loss if side is None else loss + 0.4 * F.cross_entropy(side, labels)

    def step(self, images, labels):
        self.sgd.zero_grad(set_to_none=True)
        loss = self.loss(images, labels)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(list(self.tensors.weights.values()), CLIP)
        self.sgd.step()
        return loss.item()


class Inference:
    """The final network with folded batch norms."""

    def __init__(self, channels, cells, tensors=None):
        self.training = Retraining(channels, cells, False, tensors)
        self.folded = None

    def prepare(self, images, channels_last):
        self.training.prepare(images, channels_last)
        for weight in self.training.tensors.weights.values():
            weight.requires_grad_(False)
        self.training.tensors.training = False
        self.folded = Folded(self.training.tensors)
        self.step(images)

    @torch.inference_mode()
    def step(self, images):
        return network(self.folded, images, self.training.channels, self.training.cells, False)[0]


class Nas201Blocks:
    """One super-network cell of each stage, forward and backward with the gradients of images, weights and mixture."""

    STAGES = ((16, 32), (32, 16), (64, 8))

    def __init__(self, batch):
        self.tensors = Tensors()
        self.images = [torch.rand(batch, channels, side, side) for channels, side in self.STAGES]
        self.mixtures = [torch.full((6, 5), 0.2) for _ in self.STAGES]

    def prepare(self, channels_last):
        layout = torch.channels_last if channels_last else torch.contiguous_format
        with torch.no_grad():
            self.forward()
        self.tensors.make = False
        make_leaves(self.tensors, channels_last)
        self.images = [image.contiguous(memory_format=layout).requires_grad_(True) for image in self.images]
        for mixture in self.mixtures:
            mixture.requires_grad_(True)

    def forward(self):
        rows = [[row.unbind() for row in mixture.unbind()] for mixture in self.mixtures]
        return [nas201_cell(self.tensors, image, mixture, f"cells.{at}")
                for at, (image, mixture) in enumerate(zip(self.images, rows))]

    def loss(self):
        return [output.mean() for output in self.forward()]

    def step(self):
        leaves = [*self.tensors.weights.values(), *self.images, *self.mixtures]
        for leaf in leaves:
            leaf.grad = None
        torch.autograd.backward(self.loss())


def make_leaves(tensors, channels_last):
    """Weights as leaves, in this memory layout."""
    for name, weight in tensors.weights.items():
        if channels_last and weight.dim() == 4:
            weight = weight.contiguous(memory_format=torch.channels_last)
        tensors.weights[name] = weight.detach().clone().requires_grad_(True)


def sgd(tensors):
    return torch.optim.SGD(list(tensors.weights.values()), 0.025, 0.9, weight_decay=3e-4)
