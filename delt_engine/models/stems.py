"""First layers for small images: less down-sampling, so that a 32 px image keeps a feature map.

A stock network halves the image five times and leaves one value a channel at 32 px. The small stems take the first
halvings away: for residual networks that is the 3x3 stride-1 stem without max-pool that DELT's and RDED's CIFAR
teachers have; for most others the two first strided layers. A vision transformer gets patches of an eighth of the side,
so that it sees 64 of them and not 4; a ConvNeXt patches of 2 px in place of 4. MobileNet-V2 becomes the one that DELT
trains on CIFAR-10 and Tiny-ImageNet.

Source: DELT recover/models.py (resnet stem), which is CDA's "modified ResNet-18" on CIFAR-100 and Tiny-ImageNet as well
(SRe2L squeeze_cifar.py at 32 px and recover_tiny.py at 64 px); He et al., "Deep Residual Learning" Sec. 4.2 (3x3 stem
on CIFAR); DELT evaluation/model_utils/models.py ``MobileNetV2``, which is mdistiller's mv2_tinyimagenet.
Differs: the published MobileNet-V2 has a bias in every convolution, which the BatchNorm behind it takes off again.
Checkpoints of our former small MobileNet-V2, the stock one with its two first strides left out, do not fit this one and
are refused.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn


def _strided(module: nn.Module) -> list[nn.Conv2d]:
    return [part for part in module.modules() if isinstance(part, nn.Conv2d) and max(part.stride) > 1]


def _unstride(module: nn.Module, count: int) -> None:
    """Give the first ``count`` convolutions with a stride, in order of registration, stride 1."""
    for conv in _strided(module)[:count]:
        conv.stride = (1, 1)


def _three_by_three(conv: nn.Conv2d) -> nn.Conv2d:
    small = nn.Conv2d(conv.in_channels, conv.out_channels, 3, stride=1, padding=1, bias=conv.bias is not None)
    nn.init.kaiming_normal_(small.weight, mode="fan_out", nonlinearity="relu")
    return small


def _residual(network: Any) -> None:
    """ResNets and ShuffleNets: ``conv1`` without stride, no max-pool."""
    if isinstance(network.conv1, nn.Conv2d):
        network.conv1 = _three_by_three(network.conv1)
    else:
        _unstride(network.conv1, 1)
    network.maxpool = nn.Identity()


def _dense(network: Any) -> None:
    """DenseNets: 3x3 ``conv0`` without stride, no ``pool0``."""
    network.features.conv0 = _three_by_three(network.features.conv0)
    network.features.pool0 = nn.Identity()


def _mobilenet_v2(network: Any) -> None:
    """MobileNet-V2 as published for small images.

    A 1x1 stem with a border of one pixel, an expansion in the first block too, strides in the stages of 24, 32 and 64
    channels alone, no dropout, and weights drawn as torch draws them by default.
    """
    from torchvision.ops import Conv2dNormActivation  # torchvision takes long to load

    stem, first = network.features[0], network.features[1]
    channels = stem[0].out_channels
    stem[0] = nn.Conv2d(3, channels, kernel_size=1, padding=1, bias=False)
    expansion = Conv2dNormActivation(channels, channels, kernel_size=1, activation_layer=nn.ReLU6)
    first.conv = nn.Sequential(expansion, *first.conv)
    _strided(network)[-1].stride = (1, 1)  # of the stage of 160 channels
    network.classifier[0] = nn.Identity()
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            layer.reset_parameters()


def _vgg(network: Any) -> None:
    """VGG: pool to one value a channel and classify it by one linear layer, in place of 7x7 values and 4096 units."""
    network.avgpool = nn.AdaptiveAvgPool2d(1)
    channels = network.classifier[0].in_features // 49  # of 7 x 7 places
    network.classifier = nn.Linear(channels, network.classifier[-1].out_features)


def _convnext(network: Any) -> None:
    """ConvNeXts: patches of 2x2 px in place of 4x4."""
    stem = network.features[0] if hasattr(network, "features") else network.stem
    old = stem[0]
    stem[0] = nn.Conv2d(old.in_channels, old.out_channels, kernel_size=2, stride=2, bias=old.bias is not None)
    nn.init.trunc_normal_(stem[0].weight, std=0.02)
    if stem[0].bias is not None:
        nn.init.zeros_(stem[0].bias)


def _patch_size(image_size: int, stock: int) -> int:
    """Return the largest patch that divides the image into at least 8 x 8, and is not above the stock one.

    >>> _patch_size(32, 16), _patch_size(64, 16), _patch_size(224, 16), _patch_size(44, 16)
    (4, 8, 16, 4)
    """
    most = max(1, min(stock, image_size // 8))
    return next(size for size in range(most, 0, -1) if image_size % size == 0)


def _transformer(network: Any) -> None:
    """Torchvision's vision transformers: smaller patches, and a place for each."""
    old, size = network.conv_proj, network.image_size
    patch = _patch_size(size, network.patch_size)
    network.conv_proj = nn.Conv2d(old.in_channels, old.out_channels, kernel_size=patch, stride=patch)
    nn.init.trunc_normal_(network.conv_proj.weight, std=(old.in_channels * patch**2) ** -0.5)
    nn.init.zeros_(network.conv_proj.bias)
    network.patch_size, network.seq_length = patch, (size // patch) ** 2 + 1
    places = torch.empty(1, network.seq_length, network.hidden_dim).normal_(std=0.02)
    network.encoder.pos_embedding = nn.Parameter(places)


def _timm_transformer(network: Any) -> None:
    """Timm's vision transformers, DeiT among them: smaller patches, and a place for each, drawn anew."""
    embed = network.patch_embed
    network.set_input_size(patch_size=(_patch_size(embed.img_size[0], embed.patch_size[0]),) * 2)
    embed.proj.reset_parameters()  # what was resampled from random weights is no start
    if network.pos_embed is not None:
        nn.init.trunc_normal_(network.pos_embed, std=0.02)


_SMALL: dict[Callable[[Any], None], str] = {
    _residual: "torchvision.ResNet torchvision.ShuffleNetV2 timm.ResNet",
    _dense: "torchvision.DenseNet timm.DenseNet",
    _vgg: "torchvision.VGG",
    lambda network: _unstride(network, 1): "torchvision.RegNet timm.RegNet",
    _mobilenet_v2: "torchvision.MobileNetV2",
    lambda network: _unstride(network, 2): "torchvision.MobileNetV3 torchvision.EfficientNet "
    "torchvision.MNASNet timm.MobileNetV3 timm.EfficientNet",
    _convnext: "torchvision.ConvNeXt timm.ConvNeXt",
    _transformer: "torchvision.VisionTransformer",
    _timm_transformer: "timm.VisionTransformer timm.VisionTransformerDistilled",
}
"""What makes families small, by library and class. In a RegNet the second strided layer has a strided shortcut."""

_BY_FAMILY = {family: change for change, families in _SMALL.items() for family in families.split()}


def has_small_stem(network: nn.Module) -> bool:
    """Return whether there is a small stem for this network's family."""
    return _family(network) in _BY_FAMILY


def make_small(network: nn.Module) -> None:
    """Exchange the first layers of ``network`` for the small stem of its family, in place."""
    _BY_FAMILY[_family(network)](network)


def _family(network: nn.Module) -> str:
    return f"{type(network).__module__.partition('.')[0]}.{type(network).__name__}"
