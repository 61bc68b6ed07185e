"""ConvNet-D: the small network most distillation papers train on, with BatchNorm.

D blocks of 3x3 convolution, normalisation, ReLU and 2x2 average pooling, then one linear layer on what is left. Layers
are named ``features`` and ``classifier`` in forward order; the published code keeps convolutions and normalisations in
lists of their own, and :func:`from_published` gives the weights of its checkpoints these names.

Source: Gidaris and Komodakis, "Dynamic Few-Shot Visual Learning without Forgetting", as used by Zhao et al.,
"Dataset Condensation with Gradient Matching" (width 128, D = 3 at 32 px); DELT Table 1 lists Conv4 to Conv6;
RDED synthesize/models.py and DELT recover/models.py ``ConvNet``.
Differs: BatchNorm, since recovery matches its statistics; gradient and distribution matching have InstanceNorm.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from torch import Tensor, nn

from delt_engine.errors import ConfigError

_PUBLISHED = re.compile(r"layers\.(conv|norm)\.(\d+)\.(.+)")
_BLOCK = 4  # layers of a block: convolution, BatchNorm, ReLU, pooling


Norm = Callable[[int], nn.Module]


def instance_norm(channels: int) -> nn.Module:
    """Return the normalisation of gradient and distribution matching: each channel of each image, scaled and shifted.

    Source: networks.py of DatasetCondensation, "instancenorm".
    """
    return nn.GroupNorm(channels, channels)


class ConvNet(nn.Module):
    """ConvNet-D for square images of one fixed size, at least 2 ** D px.

    Args:
        depth: number of blocks D; each halves the image, rounding down.
        channels: width of every block.
        norm: makes the normalisation of a block of so many channels.

    Raises:
        ConfigError: the image is too small for ``depth`` halvings.
    """

    def __init__(
        self, depth: int, num_classes: int, image_size: int, channels: int = 128, norm: Norm = nn.BatchNorm2d
    ) -> None:
        super().__init__()
        left = image_size // 2**depth
        if left < 1:
            raise ConfigError(
                f"network: convnet-{depth} given, but it needs images of at least {2**depth} px, not {image_size} px."
            )
        layers: list[nn.Module] = []
        for block in range(depth):
            layers += [
                nn.Conv2d(3 if block == 0 else channels, channels, kernel_size=3, padding=1),
                norm(channels),
                nn.ReLU(inplace=True),
                nn.AvgPool2d(2),
            ]
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Linear(channels * left * left, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits ``(N, K)`` of images ``(N, 3, S, S)``."""
        return self.classifier(self.features(images).flatten(1))


def from_published(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return weights with our names where they are those of RDED's and DELT's ConvNets, else as they are.

    >>> list(from_published(dict.fromkeys(["layers.conv.1.bias", "layers.norm.1.weight", "classifier.bias"])))
    ['features.4.bias', 'features.5.weight', 'classifier.bias']
    """
    found = {key: _PUBLISHED.fullmatch(key) for key in state}
    if not any(found.values()) or not all(match or key.startswith("classifier.") for key, match in found.items()):
        return dict(state)
    return {_own_name(match) if match else key: state[key] for key, match in found.items()}


def _own_name(match: re.Match[str]) -> str:
    kind, block, rest = match.groups()
    return f"features.{_BLOCK * int(block) + (kind == 'norm')}.{rest}"
