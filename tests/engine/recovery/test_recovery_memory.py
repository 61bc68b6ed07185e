"""What a step keeps, by hand for a small network, and what is left as it was."""

import pytest
import torch
from torch import nn

from delt_engine.config import RecoverConfig
from delt_engine.models.networks import build_network
from delt_engine.recovery.folding import PreparedTeacher
from delt_engine.recovery.memory import predict
from delt_engine.recovery.speed import FastPath

CPU = torch.device("cpu")
REDUCED = FastPath("bfloat16", fold=True)


def network():
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.Flatten(), nn.Linear(16 * 64, 3)]
    return nn.Sequential(*layers).eval()


def predicted(images, fast=None, net=None):
    return predict(
        PreparedTeacher(net or network(), (0.5,) * 3, (0.25,) * 3), RecoverConfig(), fast or FastPath(), 8, images, CPU
    )


def test_the_step_is_what_is_kept_and_the_gradients_beside_it():
    features = 16 * 64 * 4  # bytes of what a layer gives for one image of 8 x 8
    crop = 3 * 64 * 4
    # Kept: the crop, what BatchNorm is given, and what the ReLU gives; two gradients of that size beside them.
    by_hand = crop + 2 * features + 2 * features
    found = predicted(100)
    assert found.step == pytest.approx(100 * by_hand, rel=0.05)
    assert found.state == 100 * 6 * crop
    assert found.total == found.state + found.step


def test_it_grows_with_the_images_and_shrinks_with_the_number_format():
    sizes = [predicted(images).step for images in (50, 100, 150)]
    assert sizes[1] - sizes[0] == pytest.approx(sizes[2] - sizes[1], abs=2)
    assert predicted(100, REDUCED).step < 0.7 * predicted(100, FastPath(fold=True)).step


def test_resnet18_at_224_px_with_100_images_in_bfloat16_stays_under_3_gb():
    net = PreparedTeacher(build_network("resnet18", 10, image_size=224).eval(), (0.5,) * 3, (0.25,) * 3)
    found = [predict(net, RecoverConfig(), fast, 224, 100, CPU).total for fast in (REDUCED, FastPath(fold=True))]
    assert 1.4e9 < found[0] < 1.8e9  # measured: 1.7e9
    assert found[1] > 1.5 * found[0]
