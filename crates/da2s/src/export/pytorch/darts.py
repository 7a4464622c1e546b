

def convolution(inputs, outputs, kernel, stride=1, dilation=1, groups=1):
    padding = dilation * (kernel - 1) // 2
    return nn.Conv2d(inputs, outputs, kernel, stride, padding, dilation, groups, bias=False)


class ReLUConvBN(nn.Module):
    """ReLU, 1×1 convolution, batch norm: what makes a cell's inputs ready."""

    def __init__(self, inputs, outputs):
        super().__init__()
        self.op = nn.Sequential(nn.ReLU(), convolution(inputs, outputs, 1), nn.BatchNorm2d(outputs))

    def forward(self, x):
        return self.op(x)


class SeparableConv(nn.Module):
    """ReLU, depthwise convolution, 1×1 convolution, batch norm: `times` in a row, the first with the stride."""

    def __init__(self, channels, kernel, stride, dilation, times):
        super().__init__()
        layers = []
        for time in range(times):
            layers += [
                nn.ReLU(),
                convolution(channels, channels, kernel, stride if time == 0 else 1, dilation, groups=channels),
                convolution(channels, channels, 1),
                nn.BatchNorm2d(channels),
            ]
        self.op = nn.Sequential(*layers)

    def forward(self, x):
        return self.op(x)


class FactorizedReduce(nn.Module):
    """Halves the image: two 1×1 convolutions of stride 2 side by side, the second one pixel further down and right."""

    def __init__(self, inputs, outputs):
        super().__init__()
        self.conv_1 = convolution(inputs, outputs // 2, 1, stride=2)
        self.conv_2 = convolution(inputs, outputs - outputs // 2, 1, stride=2)
        self.bn = nn.BatchNorm2d(outputs)

    def forward(self, x):
        x = F.relu(x)
        # On an odd side the last pixel that is read lies outside of the image and is zero.
        shifted = F.pad(x, (0, 1, 0, 1))[:, :, 1:, 1:]
        return self.bn(torch.cat([self.conv_1(x), self.conv_2(shifted)], dim=1))


def operation(name, channels, stride):
    """A candidate operation of the DARTS space."""
    if name == "skip_connect":
        return nn.Identity() if stride == 1 else FactorizedReduce(channels, channels)
    if name == "max_pool_3x3":
        return nn.MaxPool2d(3, stride, padding=1)
    if name == "avg_pool_3x3":
        return nn.AvgPool2d(3, stride, padding=1, count_include_pad=False)
    kind, size = name.rsplit("_", 1)
    dilation, times = {"sep_conv": (1, 2), "dil_conv": (2, 1)}[kind]
    return SeparableConv(channels, int(size[0]), stride, dilation, times)


class Cell(nn.Module):
    """Each node is the sum of its operations on earlier nodes; the output is the concatenation of some of the nodes."""

    def __init__(self, nodes, concat, older, newer, channels, reduces, older_is_larger):
        super().__init__()
        self.nodes, self.concat = nodes, concat
        ready = FactorizedReduce if older_is_larger else ReLUConvBN
        self.preprocess0 = ready(older, channels)
        self.preprocess1 = ReLUConvBN(newer, channels)
        # A reduction cell halves what comes from its inputs.
        self._ops = nn.ModuleList(
            operation(name, channels, 2 if reduces and source < 2 else 1) for node in nodes for name, source in node
        )

    def forward(self, older, newer):
        states = [self.preprocess0(older), self.preprocess1(newer)]
        operations = iter(self._ops)
        for node in self.nodes:
            states.append(sum(next(operations)(states[source]) for _, source in node))
        return torch.cat([states[node] for node in self.concat], dim=1)


class Network(nn.Module):
    """A stem, cells of which some halve the image and double the channels, the mean over the image, a classifier."""

    def __init__(self):
        super().__init__()
        if STEM == "cifar":
            older = newer = 3 * CHANNELS
            self.stem = nn.Sequential(convolution(IMAGE_CHANNELS, newer, 3), nn.BatchNorm2d(newer))
        else:
            older, newer, half = CHANNELS, CHANNELS, CHANNELS // 2
            self.stem0 = nn.Sequential(
                convolution(IMAGE_CHANNELS, half, 3, stride=2),
                nn.BatchNorm2d(half),
                nn.ReLU(),
                convolution(half, older, 3, stride=2),
                nn.BatchNorm2d(older),
            )
            self.stem1 = nn.Sequential(nn.ReLU(), convolution(older, newer, 3, stride=2), nn.BatchNorm2d(newer))
        channels, older_is_larger = CHANNELS, STEM != "cifar"
        self.cells = nn.ModuleList()
        for index in range(CELLS):
            reduces = index in REDUCTION_CELLS
            channels *= 2 if reduces else 1
            nodes, concat = (REDUCTION, REDUCTION_CONCAT) if reduces else (NORMAL, NORMAL_CONCAT)
            self.cells.append(Cell(nodes, concat, older, newer, channels, reduces, older_is_larger))
            older, newer, older_is_larger = newer, channels * len(concat), reduces
        self.classifier = nn.Linear(newer, CLASSES)

    def forward(self, images):
        if STEM == "cifar":
            older = newer = self.stem(images)
        else:
            older = self.stem0(images)
            newer = self.stem1(older)
        for cell in self.cells:
            older, newer = newer, cell(older, newer)
        return self.classifier(newer.mean(dim=(2, 3)))
