

def convolution(inputs, outputs, kernel, stride=1, dilation=1, groups=1):
    padding = dilation * (kernel - 1) // 2
    return nn.Conv2d(inputs, outputs, kernel, stride, padding, dilation, groups, bias=False)


class ReLUConvBN(nn.Module):
    """ReLU, convolution, batch norm."""

    def __init__(self, inputs, outputs, kernel=1, stride=1):
        super().__init__()
        self.op = nn.Sequential(nn.ReLU(), convolution(inputs, outputs, kernel, stride), nn.BatchNorm2d(outputs))

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


class SqueezeExcitation(nn.Module):
    """Multiplies each channel by a gate that is computed from the means of all."""

    def __init__(self, channels, squeezed):
        super().__init__()
        self.fc1 = nn.Conv2d(channels, squeezed, 1)
        self.fc2 = nn.Conv2d(squeezed, channels, 1)

    def forward(self, x):
        return x * F.hardsigmoid(self.fc2(F.relu(self.fc1(x.mean(dim=(2, 3), keepdim=True)))))


class InvertedBottleneck(nn.Sequential):
    """1×1 convolution to `expansion` times the channels (none if that is 1), depthwise convolution, 1×1 convolution; batch norm after each, `activation` between them, squeeze-and-excitation before the last if `squeeze`."""

    def __init__(self, inputs, outputs, kernel, stride, expansion, activation=nn.ReLU, squeeze=False):
        hidden = inputs * expansion
        layers = [convolution(inputs, hidden, 1), nn.BatchNorm2d(hidden), activation()] if expansion > 1 else []
        layers += [convolution(hidden, hidden, kernel, stride, groups=hidden), nn.BatchNorm2d(hidden), activation()]
        layers += [SqueezeExcitation(hidden, (hidden + 3) // 4)] if squeeze else []
        layers += [convolution(hidden, outputs, 1), nn.BatchNorm2d(outputs)]
        super().__init__(*layers)


class BasicBlock(nn.Sequential):
    """ReLU, convolution, batch norm, twice; the first convolution has the stride."""

    def __init__(self, inputs, outputs, kernel, stride):
        first = [nn.ReLU(), convolution(inputs, outputs, kernel, stride), nn.BatchNorm2d(outputs)]
        super().__init__(*first, nn.ReLU(), convolution(outputs, outputs, kernel), nn.BatchNorm2d(outputs))


class FactorizedReduce(nn.Module):
    """Halves the image: two 1×1 convolutions of stride 2 side by side, the second one pixel further down and right."""

    def __init__(self, inputs, outputs):
        super().__init__()
        self.conv_1 = convolution(inputs, outputs // 2, 1, stride=2)
        self.conv_2 = convolution(inputs, outputs - outputs // 2, 1, stride=2)
        self.bn = nn.BatchNorm2d(outputs)

    def forward(self, x):
        x = F.relu(x)
        # If the side is odd, the last pixel that is read lies outside the image and is zero.
        shifted = F.pad(x, (0, 1, 0, 1))[:, :, 1:, 1:]
        return self.bn(torch.cat([self.conv_1(x), self.conv_2(shifted)], dim=1))


class Wrapped(nn.Module):
    """Layers in a row, under the name that DARTS gives them."""

    def __init__(self, *layers):
        super().__init__()
        self.op = nn.Sequential(*layers)

    def forward(self, x):
        return self.op(x)


class Zero(nn.Module):
    """No edge."""

    def __init__(self, stride):
        super().__init__()
        self.stride = stride

    def forward(self, x):
        return torch.zeros_like(x[:, :, :: self.stride, :: self.stride])
