"""Network slimming: which channels go, that cutting them is the same as setting them to zero, and what is left."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
from some_card import CARD
from tiny_networks import ResidualNet, conv_net, teacher
from torch import nn

from delt_engine.applications.slimmed_file import load_slimmed, save_slimmed
from delt_engine.applications.slimming import chain, check_chain, kept_channels, scale_norm, size_of_network, slim
from delt_engine.errors import CheckpointError, ConfigError
from delt_engine.models.convnet import ConvNet
from delt_engine.models.networks import build_network


def scaled(network: nn.Module, *scales: list[float]) -> nn.Module:
    with torch.no_grad():
        for link, own in zip(chain(network), scales, strict=True):
            link.norm.weight.copy_(torch.tensor(own))
    return network


FIRST, SECOND = [0.9, -0.1, 0.5, 0.05, -0.7, 0.3], [0.2, 0.01, 0.02, 0.8, -0.03, 0.4, 0.04, 0.6]


def test_the_smallest_scales_of_the_whole_network_go():
    network = scaled(conv_net(), FIRST, SECOND)
    first, second = kept_channels(network, 50.0)  # 7 of 14: 0.01 0.02 0.03 0.04 0.05 0.1 0.2
    assert first.tolist() == [True, False, True, False, True, True]
    assert second.tolist() == [False, False, False, True, False, True, False, True]


def test_a_layer_keeps_a_share_of_its_channels_whatever_its_scales():
    network = scaled(conv_net(), [1.0] * 6, [0.1] * 8)
    assert [int(mask.sum()) for mask in kept_channels(network, 50.0)] == [6, 1]
    assert [int(mask.sum()) for mask in kept_channels(network, 50.0, 25.0)] == [5, 2]
    with pytest.raises(ConfigError, match=r"percent: 90 given, but with 50 % of each layer staying at most 50\.0 %"):
        kept_channels(network, 90.0, 50.0)


def test_cutting_is_the_same_as_setting_to_zero_and_the_network_stays_as_it_is():
    for network, size in ((conv_net(), 8), (ConvNet(2, 3, 12, channels=5), 12)):  # the second has 3x3 places at its end
        teacher(network) if size == 8 else network.eval()
        before = copy.deepcopy(network.state_dict())
        kept = kept_channels(network, 60.0)
        slimmed = slim(network, kept)
        assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
        zeroed = copy.deepcopy(network)
        for norm, mask in zip((m for m in zeroed.modules() if isinstance(m, nn.BatchNorm2d)), kept, strict=True):
            norm.weight.data[~mask], norm.bias.data[~mask] = 0.0, 0.0
        images = torch.randn(3, 3, size, size)
        torch.testing.assert_close(slimmed(images), zeroed(images))
        assert [link.conv.out_channels for link in chain(slimmed)] == [int(mask.sum()) for mask in kept]


def test_parameters_and_macs_by_hand():
    network = scaled(conv_net(), FIRST, SECOND)
    whole = size_of_network(network, 8)
    assert whole.parameters == 3 * 6 * 9 + 12 + 6 * 8 * 9 + 8 + 16 + 8 * 3 + 3
    assert whole.macs == 3 * 6 * 9 * 64 + 6 * 8 * 9 * 16 + 8 * 3
    cut = size_of_network(slim(network, kept_channels(network, 50.0)), 8)  # 4 and 3 channels stay
    assert cut.parameters == 3 * 4 * 9 + 8 + 4 * 3 * 9 + 3 + 6 + 3 * 3 + 3
    assert cut.macs == 3 * 4 * 9 * 64 + 4 * 3 * 9 * 16 + 3 * 3
    assert network.training


def test_the_penalty_is_the_sum_of_absolute_scales_and_its_gradient_their_signs():
    network = scaled(conv_net(), FIRST, SECOND)
    penalty = scale_norm(network)
    assert penalty.item() == pytest.approx(sum(map(abs, FIRST + SECOND)))
    penalty.backward()
    for link, scales in zip(chain(network), (FIRST, SECOND), strict=True):
        assert link.norm.weight.grad.tolist() == [1.0 if scale > 0 else -1.0 for scale in scales]
    assert all(link.conv.weight.grad is None and link.norm.bias.grad is None for link in chain(network))


def test_what_is_no_chain_is_refused():
    sigmoid = conv_net()
    sigmoid[2] = nn.Sigmoid()  # zero does not stay zero
    for network in (
        ResidualNet(),
        sigmoid,
        nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 3)),
    ):
        with pytest.raises(ConfigError, match=r"network: \w+ given, but slimming needs a chain"):
            check_chain(network, 8)


@pytest.mark.parametrize(
    ("name", "width", "size"), [("vgg11_bn", 0.0625, 32), ("vgg16_bn", 0.03125, 64), ("convnet-4", 0.1, 16)]
)
def test_vggs_and_convnets_can_be_slimmed(name, width, size):
    network = build_network(name, 4, width=width, image_size=size)
    check_chain(network, size)
    slimmed = slim(network, kept_channels(network, 50.0))
    assert slimmed(torch.zeros(2, 3, size, size)).shape == (2, 4)
    assert size_of_network(slimmed, size).macs < 0.7 * size_of_network(network, size).macs


def test_a_stock_vgg_at_another_width_has_torchvisions_names():
    narrow, whole = build_network("vgg11_bn", 4, width=0.125, stem="stock", image_size=64), None
    with torch.device("meta"):
        whole = build_network("vgg11_bn", 4, stem="stock", image_size=64)
    assert list(narrow.state_dict()) == list(whole.state_dict())
    assert (narrow.features[0].out_channels, narrow.classifier[0].in_features, narrow.classifier[0].out_features) == (
        8,
        3136,
        512,
    )
    check_chain(narrow, 64)


def test_a_pruned_network_is_read_again(tmp_path):
    network = build_network("convnet-3", 3, width=0.0625, stem="stock", image_size=8).eval()
    kept = kept_channels(network, 50.0)
    slimmed = slim(network, kept)
    names = ("a", "b", "c")
    card = replace(CARD, network="convnet-3", width=0.0625, num_classes=3, class_names=names, image_size=8)
    save_slimmed(tmp_path / "small.safetensors", slimmed, card, kept)
    found, known = load_slimmed(tmp_path / "small.safetensors")
    images = torch.randn(2, 3, 8, 8)
    assert torch.equal(found(images), slimmed(images))
    assert (known.name, known.network) == ("small", "convnet-3")
    (tmp_path / "other.safetensors").write_bytes(b"no network")
    with pytest.raises(CheckpointError, match=r"network: .*other\.safetensors is no file of a pruned network\."):
        load_slimmed(tmp_path / "other.safetensors")
