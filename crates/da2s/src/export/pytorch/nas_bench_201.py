

class Cell(nn.Module):
    """Each node is the sum of its operations on earlier nodes; the output is the last node."""

    def __init__(self, channels):
        super().__init__()
        self.layers = nn.ModuleList(OPERATIONS[name](channels, 1) for node in CELL for name, _ in node)

    def forward(self, x):
        states, layers = [x], iter(self.layers)
        for node in CELL:
            states.append(sum(next(layers)(states[source]) for _, source in node))
        return states[-1]


class Residual(nn.Module):
    """Halves the image and doubles the channels."""

    def __init__(self, channels):
        super().__init__()
        self.conv_a = ReLUConvBN(channels, 2 * channels, 3, stride=2)
        self.conv_b = ReLUConvBN(2 * channels, 2 * channels, 3)
        self.downsample = nn.Sequential(nn.AvgPool2d(2, 2), nn.Conv2d(channels, 2 * channels, 1, bias=False))

    def forward(self, x):
        return self.conv_b(self.conv_a(x)) + self.downsample(x)


class Network(nn.Module):
    """A stem, three stages of cells with residual blocks between them, batch norm, the mean over the image, a classifier."""

    def __init__(self):
        super().__init__()
        channels = CHANNELS
        self.stem = nn.Sequential(
            nn.Conv2d(IMAGE_CHANNELS, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels)
        )
        self.cells = nn.ModuleList()
        for stage in range(STAGES):
            if stage > 0:
                self.cells.append(Residual(channels))
                channels *= 2
            self.cells.extend(Cell(channels) for _ in range(CELLS_PER_STAGE))
        self.lastact = nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU())
        self.classifier = nn.Linear(channels, CLASSES)

    def forward(self, images):
        x = self.stem(images)
        for cell in self.cells:
            x = cell(x)
        return self.classifier(self.lastact(x).mean(dim=(2, 3)))
