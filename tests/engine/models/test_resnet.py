import pytest
import torch
from torchvision.models import get_model

from delt_engine.errors import ConfigError
from delt_engine.models.resnet import scaled_resnet


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
