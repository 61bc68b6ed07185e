from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from delt_engine.errors import ConfigError
from delt_engine.models.networks import NETWORKS, build_network, network_names, resolve_stem, stem_of


def parameters(network: torch.nn.Module) -> int:
    return sum(weight.numel() for weight in network.parameters())


@pytest.mark.parametrize(
    ("name", "settings", "count"),
    [
        ("resnet18", {"num_classes": 1000, "stem": "stock", "image_size": 224}, 11_689_512),  # He et al., torchvision
        ("mobilenet_v2", {"num_classes": 1000, "stem": "stock", "image_size": 224}, 3_504_872),
        ("resnet18", {"num_classes": 10}, 11_173_962),  # the field's CIFAR ResNet-18
        ("convnet-3", {"num_classes": 10}, 320_010),  # the field's ConvNet-3
    ],
)
def test_published_parameter_counts(name, settings, count):
    assert parameters(build_network(name, **settings)) == count


def test_quarter_width_resnet_by_hand():
    # stem 3*16*9 + BN 32; a basic block of c channels 2*9*c*c + 4c; the first of a wider stage
    # 9*(c/2)*c + 9*c*c + 4c and its shortcut c*c/2 + 2c
    stages = 2 * (2 * 9 * 16 * 16 + 4 * 16)
    for c in (32, 64, 128):
        stages += 9 * c * c // 2 + 9 * c * c + 4 * c + c * c // 2 + 2 * c + 2 * 9 * c * c + 4 * c
    assert parameters(build_network("resnet18", 10, width=0.25)) == 432 + 32 + stages + 1290


@pytest.mark.parametrize(
    "name",
    [
        "resnet18",
        "convnet-4",
        "mobilenet_v3_small",
        "shufflenet_v2_x0_5",
        "efficientnet_b0",
        "densenet121",
        "regnet_x_400mf",
        "mnasnet0_5",
        "googlenet",
        "resnet10t",
        "vit_tiny_patch16_224",
        "efficientnet_lite0",
    ],
)
def test_families_take_32_px(name):
    network = build_network(name, 5, image_size=32).eval()
    with torch.no_grad():
        assert network(torch.zeros(2, 3, 32, 32)).shape == (2, 5)


@pytest.mark.parametrize("name", ["mobilenet_v2", "mobilenet_v3_small", "convnet-3", "resnet18"])
def test_half_width_is_smaller(name):
    assert parameters(build_network(name, 5, width=0.5)) < 0.4 * parameters(build_network(name, 5))


def test_torchvision_comes_first():
    assert type(build_network("resnet18", 5)).__module__.startswith("torchvision")
    assert type(build_network("resnet10t", 5)).__module__.startswith("timm")


def test_names_hold_the_offered_ones_once():
    names = network_names()
    assert set(NETWORKS) <= set(names)
    assert len(names) == len(set(names))
    assert "fasterrcnn_resnet50_fpn" not in names


def test_weights_follow_from_the_default_generator_alone():
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(3)
        first = build_network("convnet-3", 4, width=0.1)
        torch.default_generator.manual_seed(3)
        second = build_network("convnet-3", 4, width=0.1)
    for a, b in zip(first.state_dict().values(), second.state_dict().values(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize(
    ("arguments", "settings", "message"),
    [
        (("resnet19", 10), {}, r"network: 'resnet19' given, .*; near it are resnet18"),
        (("qqqq", 10), {}, r"network: 'qqqq' given, but it must be convnet-3 to convnet-6 or a name of torchvision or"),
        (("hf-hub:someone/net", 10), {}, r"network: 'hf-hub:someone/net' given"),
        (("squeezenet1_1", 10), {"width": 0.5}, r"width: 0.5 given, but squeezenet1_1 comes in width 1 only"),
        (("resnet10t", 10), {"width": 0.5}, r"width: 0.5 given, but resnet10t comes in width 1 only"),
        (("convnet-3", 10), {"width": 0.001}, r"width: 0.001 given, but it leaves convnet-3 without channels"),
        (("squeezenet1_1", 10), {"stem": "small"}, r"stem: 'small' given, but squeezenet1_1 has no small stem"),
        (("resnet18", 10), {"stem": "tiny"}, r"stem: 'tiny' given, but it must be one of auto, small, stock"),
        (("squeezenet1_1", 10), {"image_size": 8}, r"squeezenet1_1 given, but it cannot take images of 8 px"),
        (("vit_b_16", 10), {"image_size": 40}, r"network: vit_b_16 given, but it cannot take images of 40 px"),
        (("resnet18", 1), {}, r"num_classes: 1 given, but a network needs at least 2"),
    ],
)
def test_what_cannot_be_built_is_one_sentence(arguments, settings, message):
    with pytest.raises(ConfigError, match=message) as caught:
        build_network(*arguments, **settings)
    assert str(caught.value).endswith(".")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("stem", "size", "found"), [("auto", 64, "small"), ("auto", 65, "stock"), ("small", 224, "small")]
)
def test_auto_stem_is_small_up_to_64_px(stem, size, found):
    assert resolve_stem(stem, size) == found


def test_stem_of_a_network_without_a_small_one_is_stock():
    assert stem_of(build_network("convnet-3", 4), "auto", 32) == "stock"
    assert stem_of(build_network("resnet18", 4, width=0.1), "auto", 32) == "small"


def test_listing_needs_no_torch():
    code = "import delt_engine.models.networks, sys; assert 'torch' not in sys.modules and 'timm' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
