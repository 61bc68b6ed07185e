"""torchvision's VGGs at another width: every channel count is multiplied, depth and names of the weights stay.

Source: Simonyan and Zisserman, "Very Deep Convolutional Networks", Table 1; widths as for :mod:`~.resnet`.
"""

from __future__ import annotations

import torch
from torch import nn
from torchvision.models import get_model

from delt_engine.errors import ConfigError


def scaled_vgg(name: str, num_classes: int, width: float) -> nn.Module:
    """Build a VGG of torchvision with all channels (64 to 512) and its 4,096 units multiplied by ``width``.

    Raises:
        ConfigError: the width leaves a layer without channels.
    """
    with torch.device("meta"):  # a frame without memory: its layers are replaced below
        network = get_model(name, weights=None, num_classes=num_classes)
    network.features = nn.Sequential(*_scaled(network.features, width, 3, name))
    channels = next(layer for layer in reversed(network.features) if isinstance(layer, nn.Conv2d)).out_channels
    network.classifier = nn.Sequential(*_scaled(network.classifier, width, 49 * channels, name, num_classes))
    return network


def _scaled(layers: nn.Sequential, width: float, inputs: int, name: str, num_classes: int = 0) -> list[nn.Module]:
    """Return layers of another width, with weights drawn as torchvision draws them."""
    scaled: list[nn.Module] = []
    for layer in layers:
        if isinstance(layer, nn.Conv2d):
            outputs = round(layer.out_channels * width)
            if outputs < 1:
                raise ConfigError(f"width: {width} given, but it leaves layers of {name} without channels.")
            conv = nn.Conv2d(inputs, outputs, kernel_size=3, padding=1, bias=False)
            nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
            conv.bias = nn.Parameter(torch.zeros(outputs))
            inputs = outputs
            scaled.append(conv)
        elif isinstance(layer, nn.Linear):
            outputs = num_classes if layer is layers[-1] else max(1, round(layer.out_features * width))
            linear = nn.Linear(inputs, outputs)
            nn.init.normal_(linear.weight, 0, 0.01)
            nn.init.zeros_(linear.bias)
            inputs = outputs
            scaled.append(linear)
        else:
            scaled.append(nn.BatchNorm2d(inputs) if isinstance(layer, nn.BatchNorm2d) else layer)
    return scaled
