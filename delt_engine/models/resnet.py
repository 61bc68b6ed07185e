"""torchvision's residual networks at another width.

All of resnet, resnext and wide_resnet: every channel count is multiplied, the depth, blocks, groups and the names of
the weights stay torchvision's. Quarter width makes ResNet-18 a 0.7 million parameter network that a CPU trains in a
minute.

Source: He et al., "Deep Residual Learning", Table 1; widths as Zagoruyko and Komodakis, "Wide Residual Networks".
"""

from __future__ import annotations

import torch
from torch import nn
from torchvision.models import get_model

from delt_engine.errors import ConfigError


def scaled_resnet(name: str, num_classes: int, width: float) -> nn.Module:
    """Build a residual network of torchvision with all channels (64, 128, 256, 512) multiplied by ``width``.

    Raises:
        ConfigError: the width leaves a layer without channels.
    """
    with torch.device("meta"):  # a frame without memory: its weights are replaced below
        network = get_model(name, weights=None)
    stages = [network.layer1, network.layer2, network.layer3, network.layer4]
    block = type(stages[0][0])
    base = round(64 * width)
    if int(base * network.base_width / 64) < 1:
        raise ConfigError(f"width: {width} given, but it leaves layers of {name} without channels.")
    network.conv1 = nn.Conv2d(3, base, kernel_size=7, stride=2, padding=3, bias=False)
    network.bn1 = nn.BatchNorm2d(base)
    network.inplanes = base
    for index, stage in enumerate(stages):
        layer = network._make_layer(block, base * 2**index, len(stage), stride=1 if index == 0 else 2)
        setattr(network, f"layer{index + 1}", layer)
    network.fc = nn.Linear(base * 8 * block.expansion, num_classes)
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return network
