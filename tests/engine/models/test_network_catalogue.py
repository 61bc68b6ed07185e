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


@pytest.mark.parametrize(
    "name",
    [
        "mobilenet_v3_small",
        "shufflenet_v2_x0_5",
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


def test_torchvision_comes_first():
    assert type(build_network("resnet18", 5)).__module__.startswith("torchvision")
    assert type(build_network("resnet10t", 5)).__module__.startswith("timm")
    names = network_names()
    assert set(NETWORKS) <= set(names)
    assert len(names) == len(set(names))
    assert "fasterrcnn_resnet50_fpn" not in names


@pytest.mark.parametrize(
    ("arguments", "settings", "message"),
    [
        (("resnet19", 10), {}, r"network: 'resnet19' given, .*; near it are resnet18"),
        (("qqqq", 10), {}, r"network: 'qqqq' given, but it must be convnet-3 to convnet-6 or a name of torchvision or"),
        (("hf-hub:someone/net", 10), {}, r"network: 'hf-hub:someone/net' given"),
        (("squeezenet1_1", 10), {"width": 0.5}, r"width: 0.5 given, but squeezenet1_1 comes in width 1 only"),
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


def test_auto_stem_is_small_up_to_64_px_where_there_is_one():
    assert [resolve_stem("auto", size) for size in (64, 65)] == ["small", "stock"]
    assert resolve_stem("small", 224) == "small"
    assert stem_of(build_network("convnet-3", 4), "auto", 32) == "stock"
    assert stem_of(build_network("resnet18", 4, width=0.1), "auto", 32) == "small"


def test_listing_needs_no_torch():
    code = "import delt_engine.models.networks, sys; assert 'torch' not in sys.modules and 'timm' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
