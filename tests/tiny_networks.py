"""Two-layer teachers for 8x8 images, with running statistics of some data, and what a recovery of them needs."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from delt_engine.config import RecoverConfig
from delt_engine.recovery.augment import crop_plan
from delt_engine.recovery.batches import BatchPlan, plan_batches
from delt_engine.recovery.folding import PreparedTeacher
from delt_engine.seeding import generator

MEAN, STD = (0.5, 0.4, 0.3), (0.25, 0.2, 0.2)
SIZE, CLASSES = 8, 3


class ResidualNet(nn.Module):
    """A stem and one residual block with a strided shortcut: three BatchNorm layers."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 6, 3, padding=1, bias=False), nn.BatchNorm2d(6)
        self.conv2, self.bn2 = nn.Conv2d(6, 8, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(8)
        self.shortcut = nn.Sequential(nn.Conv2d(6, 8, 1, stride=2, bias=False), nn.BatchNorm2d(8))
        self.head = nn.Linear(8, CLASSES)

    def forward(self, images: Tensor) -> Tensor:
        features = torch.relu_(self.bn1(self.conv1(images)))
        features = torch.relu_(self.bn2(self.conv2(features)) + self.shortcut(features))
        return self.head(features.mean(dim=(2, 3)))


def conv_net() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1, bias=False),
        nn.BatchNorm2d(6),
        nn.ReLU(inplace=True),
        nn.AvgPool2d(2),
        nn.Conv2d(6, 8, 3, padding=1),
        nn.BatchNorm2d(8),
        nn.ReLU(inplace=True),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, CLASSES),
    )


def teacher(network: nn.Module, seed: int = 0) -> nn.Module:
    """Give a network seeded weights, scales about 1, and the statistics of smooth random images; freeze it."""
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.normal_(float(parameter.dim() == 1), 0.4, generator=draw)
        network.train()
        for _ in range(20):
            coarse = torch.randn(32, 3, 4, 4, generator=draw)
            network(nn.functional.interpolate(coarse, size=(SIZE, SIZE), mode="bilinear"))
    return network.eval().requires_grad_(requires_grad=False)


def prepared(network: nn.Module) -> PreparedTeacher:
    return PreparedTeacher(network, MEAN, STD)


def batch(config: RecoverConfig, seed: int = 0) -> tuple[BatchPlan, Tensor, Tensor, Tensor]:
    """Return the first batch of three classes: its plan, start images, labels and crops."""
    plan = plan_batches(CLASSES, config)[0]
    pixels = torch.rand(len(plan.slots), 3, SIZE, SIZE, generator=generator(seed, "start"))
    images = (pixels - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)
    labels = torch.tensor([slot.class_index for slot in plan.slots])
    return plan, images, labels, crop_plan(config, SIZE, generator(seed, "crops", plan.batch_index))
