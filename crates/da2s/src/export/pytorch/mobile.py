

def block(inputs, outputs, stride, operation):
    """A residual block, or an inverted bottleneck of this kernel and expansion."""
    if operation == "resblock_k3":
        return BasicBlock(inputs, outputs, 3, stride)
    kernel, expansion, squeeze = operation
    return InvertedBottleneck(inputs, outputs, kernel, stride, expansion, ACTIVATION, squeeze)


class Layer(nn.ModuleList):
    """The sum of the layer's operations, and of its input if it keeps size and channels."""

    def __init__(self, inputs, outputs, stride, operations):
        super().__init__(block(inputs, outputs, stride, operation) for operation in operations)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x):
        y = sum(operation(x) for operation in self)
        return x + y if self.residual else y


class Network(nn.Module):
    """A stem, a chain of layers, a 1×1 convolution, the mean over the image, a classifier."""

    def __init__(self):
        super().__init__()
        channels, stride, outputs = STEM
        self.stem = nn.Sequential(
            nn.Conv2d(IMAGE_CHANNELS, channels, 3, stride, padding=1, bias=False),
            nn.BatchNorm2d(channels),
            ACTIVATION(),
            *InvertedBottleneck(channels, outputs, 3, 1, 1, ACTIVATION),
        )
        self.layers = nn.Sequential()
        for channels, stride, operations in LAYERS:
            self.layers.append(Layer(outputs, channels, stride, operations))
            outputs = channels
        self.head = nn.Sequential(nn.Conv2d(outputs, HEAD, 1, bias=False), nn.BatchNorm2d(HEAD), ACTIVATION())
        self.classifier = nn.Linear(HEAD, CLASSES)

    def forward(self, images):
        return self.classifier(self.head(self.layers(self.stem(images))).mean(dim=(2, 3)))
