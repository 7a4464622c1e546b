"""Super-network of the space `mobile`, a chain of layers of inverted bottlenecks, as lean as eager PyTorch allows.

Written for this comparison, following Sandler et al., "MobileNetV2", CVPR 2018, and Cai, Zhu, Han, "ProxylessNAS", ICLR 2019. A
layer computes `x + g Σ_o p_o o(x)` where it keeps size and channels, `Σ_o p_o o(x)` elsewhere. As in `networks.py`, g·p_o is
applied through the scale of a candidate's last batch norm; sums and ReLUs are in place. Joining the 1×1 convolutions that read
the same layer was tried: it is slower, since oneDNN copies the parts of the result.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F

from networks import conv_norm
from objective import LAMBDA, entropy, schedule, strong_alpha, strong_beta


@dataclass(frozen=True)
class Chain:
    """What is not searched, and the candidates: kernel and expansion of each."""

    stem: int
    stem_stride: int
    after_stem: int
    # Channels, layers, stride of the first layer.
    stages: tuple
    head: int
    candidates: tuple

    def layers(self):
        """Channels and stride of every layer."""
        return [(channels, stride if place == 0 else 1) for channels, count, stride in self.stages for place in range(count)]


# The preset for images of 32 pixels, at width 1, without squeeze-and-excitation.
PIXELS_32 = Chain(16, 1, 8, ((24, 3, 2), (40, 4, 2), (80, 4, 2), (96, 2, 1)), 256,
                  tuple((kernel, expansion) for kernel in (3, 5, 7) for expansion in (1, 3, 6)))


class ChainParams:
    """α `[layers, candidates]`; and if `depth`, the number of layers that stay in each stage, is given, β `[layers]`."""

    def __init__(self, chain, alpha, beta=None, depth=None):
        self.chain, self.alpha, self.beta, self.depth = chain, alpha, beta, depth

    @classmethod
    def start(cls, chain):
        return cls(chain, 1e-4 * torch.randn(len(chain.layers()), len(chain.candidates)))

    def leaves(self):
        return [self.alpha] if self.beta is None else [self.alpha, self.beta]

    def require_grad(self, wanted):
        for leaf in self.leaves():
            leaf.requires_grad_(wanted)

    def gates(self):
        """g of every layer. The first layer of a stage always stays, and where all stay, g is 1."""
        ones = self.alpha.new_ones(len(self.alpha))
        if self.beta is None:
            return ones
        gates, at = [], 0
        for (_, layers, _), depth in zip(self.chain.stages, self.depth):
            stay, may_vanish = depth - 1, self.beta[at + 1:at + layers]
            gates.append(ones[:1])
            gates.append(stay * strong_beta(may_vanish).softmax(0) if stay < layers - 1 else ones[1:layers])
            at += layers
        return torch.cat(gates)

    def mixture(self):
        """`g_l · p_l^o` as scalars, for each layer and candidate."""
        mixture = strong_alpha(self.alpha).softmax(1) * self.gates()[:, None]
        return [row.unbind() for row in mixture.unbind()]

    def regulariser(self, epoch):
        """Equations 2 and 3 of Tian et al. 2021 for the operations of a chain whose layers all stay."""
        assert self.beta is None, "the term for β is not needed here"
        return LAMBDA * schedule("linear", epoch) * schedule("log_", epoch) * entropy(strong_alpha(self.alpha), 1).sum()


def bottleneck(t, x, name, first, outputs, kernel, expansion, stride, affine, scale=None):
    """An inverted bottleneck whose modules are numbered from `first`."""
    hidden = expansion * x.shape[1]
    if expansion > 1:
        x = F.relu_(conv_norm(t, x, name, first, hidden, affine))
        first += 3
    x = F.relu_(conv_norm(t, x, name, first, hidden, affine, kernel=kernel, stride=stride, padding=kernel // 2, groups=hidden))
    return conv_norm(t, x, name, first + 3, outputs, affine, scale)


def supernet(t, images, mixture, chain, classes=10):
    """Logits."""
    x = F.relu_(conv_norm(t, images, "stem", 0, chain.stem, True, kernel=3, stride=chain.stem_stride, padding=1))
    x = bottleneck(t, x, "stem", 3, chain.after_stem, 3, 1, 1, True)
    for layer, (channels, stride) in enumerate(chain.layers()):
        total = None
        for at, (kernel, expansion) in enumerate(chain.candidates):
            y = bottleneck(t, x, f"layers.{layer}.{at}", 0, channels, kernel, expansion, stride, False, mixture[layer][at])
            total = y if total is None else total.add_(y)
        x = total.add_(x) if stride == 1 and channels == x.shape[1] else total
    return t.classify(F.relu_(conv_norm(t, x, "head", 0, chain.head, True)), "classifier", classes)
