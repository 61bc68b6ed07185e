import pytest
import torch
from torch import nn

from delt_engine.errors import CheckpointError
from delt_engine.models.bn_layers import bn_layers
from delt_engine.models.networks import build_network


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
