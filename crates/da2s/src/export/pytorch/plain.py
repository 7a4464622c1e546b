


class Layer(nn.ModuleList):
    """The sum of the layer's operation and, beside a basic block, its shortcut."""

    def __init__(self, inputs, outputs, stride, operation):
        if operation == "ds_conv_3x3":
            super().__init__([nn.Sequential(nn.ReLU(), *InvertedBottleneck(inputs, outputs, 3, stride, 1))])
        else:
            keeps_shape = stride == 1 and inputs == outputs
            shortcut = nn.ReLU() if keeps_shape else nn.Sequential(nn.ReLU(), convolution(inputs, outputs, 1, stride))
            super().__init__([BasicBlock(inputs, outputs, 3, stride), shortcut])

    def forward(self, x):
        return sum(operation(x) for operation in self)


class Network(nn.Module):
    """A stem, a chain of layers, ReLU, the mean over the image, a classifier."""

    def __init__(self):
        super().__init__()
        channels, stride = STEM
        self.stem = nn.Sequential(nn.Conv2d(IMAGE_CHANNELS, channels, 3, stride, padding=1, bias=False), nn.BatchNorm2d(channels))
        self.layers = nn.Sequential()
        for outputs, stride, operation in LAYERS:
            self.layers.append(Layer(channels, outputs, stride, operation))
            channels = outputs
        self.classifier = nn.Linear(channels, CLASSES)

    def forward(self, images):
        return self.classifier(F.relu(self.layers(self.stem(images))).mean(dim=(2, 3)))
