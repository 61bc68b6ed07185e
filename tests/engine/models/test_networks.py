"""Networks by name: sizes, stems, widths, BatchNorm layers in order, and what cannot be built."""

import contextlib
import subprocess
import sys

import pytest
import torch
from torch import nn
from torchvision.models import get_model

from delt_engine.errors import CheckpointError, ConfigError
from delt_engine.models.bn_layers import bn_layers
from delt_engine.models.convnet import ConvNet
from delt_engine.models.networks import NETWORKS, build_network, network_names, resolve_stem, stem_of
from delt_engine.models.resnet import scaled_resnet
from delt_engine.papers.names import our_network
from delt_engine.papers.published import all_published


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


FAMILIES = [
    *("alexnet", "convnet4", "convnet6", "convnext_tiny", "deit_tiny", "densenet121", "efficientnet_b0", "mnasnet1_3"),
    *("mobilenet_v2", "regnet_y_8gf", "resmlp", "resnet18", "shufflenet_v2_x2_0", "squeezenet", "vgg11", "vgg11_bn"),
]
DEEPER = {"deit_base", "resnet50", "resnet101", "vgg13", "vgg16", "vgg19"}


@pytest.mark.parametrize(("names", "size"), [(FAMILIES, 64), (("convnet6", "deit_tiny", "resmlp"), 224)])
def test_every_family_of_the_papers_tables_takes_small_and_large_images(names, size):
    assert {*FAMILIES, *DEEPER} == {name for one in all_published() for name in (one.teacher, one.student)} - {""}
    for name in names:  # a RegNet works its widths out with tensors, which have no values without memory
        with contextlib.nullcontext() if name == "regnet_y_8gf" else torch.device("meta"):
            network = build_network(our_network(name), 4, image_size=size)  # this tries it with two images
        assert list(network.state_dict().values())[-1].shape[0] == 4


def test_the_modified_resnet_of_cda_is_the_small_stem():
    theirs = get_model("resnet18", weights=None, num_classes=200)  # SRe2L squeeze_cifar.py and recover_tiny.py
    theirs.conv1 = nn.Conv2d(3, 64, kernel_size=3, stride=1, padding=1, bias=False)
    theirs.maxpool = nn.Identity()
    ours = build_network("resnet18", 200, image_size=64)
    ours.load_state_dict(theirs.state_dict())
    images = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(ours.eval()(images), theirs.eval()(images))


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


def test_first_block_by_hand():
    network = ConvNet(3, 2, image_size=8, channels=1).eval()
    with torch.no_grad():
        network.features[0].weight.zero_()
        network.features[0].weight[0, :, 1, 1] = torch.tensor([1.0, 2.0, 3.0])  # only the pixel itself
        network.features[0].bias.fill_(-10.0)
        network.features[1].running_mean.fill_(4.0)
        network.features[1].running_var.fill_(4.0 - network.features[1].eps)
    images = torch.zeros(1, 3, 8, 8)
    images[0, :, 0, 0] = torch.tensor([2.0, 4.0, 6.0])  # 2 + 8 + 18 - 10 = 18; (18 - 4) / 2 = 7; mean of 7, 0, 0, 0
    found = network.features[:4](images)
    assert found.shape == (1, 1, 4, 4)
    assert found[0, 0, 0, 0].item() == pytest.approx(7.0 / 4, rel=1e-6)
    assert found.sum().item() == pytest.approx(7.0 / 4, rel=1e-6)


@pytest.mark.parametrize(("depth", "size", "left"), [(3, 32, 4), (4, 32, 2), (5, 32, 1), (6, 64, 1), (3, 30, 3)])
def test_depth_sets_blocks_and_what_is_left(depth, size, left):
    network = ConvNet(depth, 7, image_size=size, channels=4)
    assert [type(layer) for layer in network.features] == [nn.Conv2d, nn.BatchNorm2d, nn.ReLU, nn.AvgPool2d] * depth
    assert network.classifier.in_features == 4 * left * left
    assert network(torch.randn(2, 3, size, size)).shape == (2, 7)


@pytest.mark.parametrize("name", ["resnet18", "resnet50", "resnext50_32x4d"])
def test_width_one_is_torchvisions_network(name):
    with torch.device("meta"):
        published = get_model(name, weights=None, num_classes=10)
    ours = scaled_resnet(name, 10, 1.0)
    assert {key: value.shape for key, value in ours.state_dict().items()} == {
        key: value.shape for key, value in published.state_dict().items()
    }
    assert not any(value.is_meta for value in ours.state_dict().values())


def test_quarter_width_channels_and_spread_of_weights():
    network = scaled_resnet("resnet18", 10, 0.25)
    assert [network.layer1[0].conv1.out_channels, network.layer4[1].conv2.out_channels] == [16, 128]
    assert network.fc.in_features == 128
    weight = network.layer4[1].conv2.weight  # 3x3 with 128 outputs: fan-out 1152, He's std sqrt(2 / 1152)
    assert weight.std().item() == pytest.approx((2 / 1152) ** 0.5, rel=0.02)


def test_width_that_leaves_nothing_is_refused():
    with pytest.raises(ConfigError, match="width: 0.1 given, but it leaves layers of resnext50_32x4d without channels"):
        scaled_resnet("resnext50_32x4d", 10, 0.1)


@pytest.mark.parametrize(
    "name",
    ["convnet-3", "mobilenet_v2", "shufflenet_v2_x0_5", "densenet121", "googlenet", "resnet10t"],
)
def test_layers_come_as_the_forward_pass_meets_them(name):
    network = build_network(name, 4, image_size=32).eval()
    layers, met = bn_layers(network), []
    for layer in layers:
        layer.register_forward_hook(lambda module, inputs, output: met.append(module))
    with torch.no_grad():
        network(torch.zeros(1, 3, 32, 32))
    assert met == list(layers)


def test_layers_without_running_statistics_are_left_out():
    network = nn.Sequential(nn.BatchNorm2d(2, track_running_stats=False), nn.BatchNorm2d(3), nn.BatchNorm1d(4))
    assert [layer.num_features for layer in bn_layers(network)] == [3]


def test_network_without_batchnorm_is_one_sentence():
    with pytest.raises(
        CheckpointError, match="Sequential has no BatchNorm layers, so there are no statistics to match"
    ):
        bn_layers(nn.Sequential(nn.Conv2d(3, 4, 3)))
