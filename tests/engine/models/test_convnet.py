import pytest
import torch
from torch import nn

from delt_engine.models.convnet import ConvNet


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
