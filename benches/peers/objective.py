"""α and β as a mixture, and the regulariser of Tian et al., "Discretization-Aware Architecture Search", 2021, equations 2 to 6."""

import math

import torch
import torch.nn.functional as F

from networks import EDGES, NODES

LAMBDA, LAMBDA_BETA, CARDINALITY, KEPT = 0.1, 4.0, 0.2, 2
EPOCHS, WARMUP = 50, 8
KINDS = ("normal", "reduction")


class ArchParams:
    """α `[14, 7]` and β (one vector each for nodes 3, 4, 5) of both kinds of cell."""

    def __init__(self, alpha, beta):
        self.alpha, self.beta = alpha, beta

    @classmethod
    def start(cls):
        alpha = {kind: 1e-4 * torch.randn(len(EDGES), 7) for kind in KINDS}
        beta = {kind: [KEPT / degree + 1e-4 * torch.randn(degree) for degree in range(3, 2 + NODES)] for kind in KINDS}
        return cls(alpha, beta)

    def leaves(self):
        return [leaf for kind in KINDS for leaf in (self.alpha[kind], *self.beta[kind])]

    def require_grad(self, wanted):
        for leaf in self.leaves():
            leaf.requires_grad_(wanted)

    def mixture(self):
        """`d_j · q_ij · p_ij^o` as scalars, [14][7] for each kind."""
        result = {}
        for kind in KINDS:
            p = strong_alpha(self.alpha[kind]).softmax(1)
            ones = p.new_ones(2)
            q = torch.cat([ones, *(len(b) * strong_beta(b).softmax(0) for b in self.beta[kind])])
            result[kind] = [row.unbind() for row in (p * q[:, None]).unbind()]
        return result

    def regulariser(self, epoch):
        return sum(self.terms(epoch))

    def terms(self, epoch):
        """The two terms of the regulariser, for operations and for edges, with their factors."""
        lambda_c, lambda_alpha = schedule("linear", epoch), schedule("log_", epoch)
        operations = sum(entropy(strong_alpha(self.alpha[kind]), 1).sum() for kind in KINDS)
        edges = 0.0
        for kind in KINDS:
            for b in self.beta[kind]:
                strong = strong_beta(b)
                count = torch.where(b > 0, strong, 0.0).sum() - KEPT
                edges = edges + entropy(strong, 0) + CARDINALITY * count**2
        return LAMBDA * lambda_c * lambda_alpha * operations, LAMBDA * lambda_c * LAMBDA_BETA * edges


CURVES = {
    "const": lambda t, total: 1.0,
    "linear": lambda t, total: (t - 1) / (total - 1),
    "log": lambda t, total: math.log(t) / math.log(total),
    "exp": lambda t, total: 2 ** ((t - total) / 5),
    "sig": lambda t, total: 1 / (1 + math.exp(total / 10 - t / 5)),
    "step": lambda t, total: min(4 * t // total, 3) / 3,
}
# After the warm-up: `t` is the number of epochs since then, `total` the number from then to the end.
DELAYED = {
    "const": lambda t, total: 1.0,
    "linear": lambda t, total: t / total,
    "log": lambda t, total: math.log(t + 1) / math.log(total),
    "exp": lambda t, total: 2 ** ((t - total) / 5),
    "sig": lambda t, total: 1 / (1 + math.exp(total / 8 - t / 4)),
    "step": lambda t, total: min(4 * t // total, 3) / 3,
}


def schedule(name, epoch):
    """The value of a schedule at an epoch from 1 to EPOCHS. A name that ends in `_` means the delayed form."""
    if not name.endswith("_"):
        return CURVES[name](epoch, EPOCHS)
    return DELAYED[name[:-1]](epoch - WARMUP, EPOCHS - WARMUP) if epoch > WARMUP else 0.0


def strong_alpha(alpha):
    y = 2.0 * alpha
    return torch.where(y < -1.0, y**3, y)


def strong_beta(beta):
    return beta.clamp(max=1.0)


def entropy(logits, dim):
    log = F.log_softmax(logits, dim)
    return -(log.exp() * log).sum(dim)
