

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
            OPERATIONS[name](channels, 2 if reduces and source < 2 else 1) for node in nodes for name, source in node
        )

    def forward(self, older, newer):
        states = [self.preprocess0(older), self.preprocess1(newer)]
        operations = iter(self._ops)
        for node in self.nodes:
            states.append(sum(next(operations)(states[source]) for _, source in node))
        return torch.cat([states[node] for node in self.concat], dim=1)


class Network(nn.Module):
    """A stem, cells (some of them halve the image and double the channels), the mean over the image, a classifier."""

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
