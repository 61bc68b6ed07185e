"""The baseline of the benchmark ends in the images of the loop that reads like the paper."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from delt_engine.bench.plain import clip_to_valid, recover_as_published
from delt_engine.config import RecoverConfig
from delt_engine.recovery.augment import crop_plan
from delt_engine.recovery.batches import plan_batches
from delt_engine.recovery.folding import PreparedTeacher
from delt_engine.recovery.reference import recover_plainly
from delt_engine.seeding import generator

MEAN, STD = (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)
CONFIG = RecoverConfig(ipc=4, iterations=12, round_iterations=3)


def tiny_teacher() -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = nn.Sequential(
            nn.Conv2d(3, 6, 3, padding=1),
            nn.BatchNorm2d(6),
            nn.ReLU(),
            nn.Conv2d(6, 6, 3),
            nn.BatchNorm2d(6),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(6, 3),
        )
        network(torch.randn(32, 3, 8, 8))
    return network.double().eval().requires_grad_(requires_grad=False)


def given():
    plan = plan_batches(3, CONFIG)[0]
    pixels = torch.rand(12, 3, 8, 8, generator=generator(0, "start"), dtype=torch.float64)
    labels = torch.tensor([slot.class_index for slot in plan.slots])
    return (
        (pixels - 0.5) / 0.25,
        labels,
        PreparedTeacher(tiny_teacher(), MEAN, STD),
        plan,
        CONFIG,
        crop_plan(CONFIG, 8, generator(0, "crops")),
    )


def test_images_and_losses_are_those_of_the_reference():
    pairs = zip(recover_as_published(*given()), recover_plainly(*given()), strict=True)
    for number, (published, reference) in enumerate(pairs):
        assert published.joined == 3 * (number // 3 + 1)
        assert published.total_loss.item() == pytest.approx(reference.total_loss, rel=1e-9)
        torch.testing.assert_close(published.images, reference.images, rtol=0, atol=1e-8)


def test_start_images_stay_and_hooks_come_off():
    arguments = given()
    before = arguments[0].clone()
    steps = recover_as_published(*arguments)
    next(steps)
    steps.close()
    assert torch.equal(arguments[0], before)
    assert not any(module._forward_hooks for module in arguments[2].network.modules())


def test_clip_is_to_valid_pixels_channel_by_channel():
    images = torch.tensor([-9.0, 0.0, 9.0]).view(1, 3, 1, 1).repeat(2, 1, 1, 1)
    clip_to_valid(images, (0.5, 0.5, 0.2), (0.25, 0.5, 0.4))
    assert images[0].flatten().tolist() == pytest.approx([-2.0, 0.0, 2.0])
