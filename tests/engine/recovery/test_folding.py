"""A folded teacher says what the teacher says, and its statistics are those of the layers that are gone."""

import copy

import pytest
import torch
from tiny_networks import SIZE, ResidualNet, conv_net, prepared, teacher
from torch import nn

from delt_engine.config import RecoverConfig
from delt_engine.models.networks import build_network
from delt_engine.recovery.folding import FoldedNorm, MeasuredNorm, fold
from delt_engine.recovery.objective import objective
from delt_engine.recovery.operators import (
    FoldedStatistics,
    StatisticsDistance,
    channel_statistics,
    grouped_statistics,
    plain_statistics,
)
from delt_engine.recovery.speed import FastPath
from delt_engine.seeding import generator

CONFIG = RecoverConfig(r_bn=0.5, first_bn_multiplier=10)


class DenseNet(nn.Module):
    """Pre-activation: the first layer of each step normalises a concatenation, so only the second can be folded."""

    def __init__(self) -> None:
        super().__init__()
        self.conv0 = nn.Conv2d(3, 4, 3, padding=1, bias=False)
        self.norms = nn.ModuleList(nn.BatchNorm2d(4 + 4 * step) for step in range(2))
        self.bottlenecks = nn.ModuleList(nn.Conv2d(4 + 4 * step, 6, 1, bias=False) for step in range(2))
        self.inner = nn.ModuleList(nn.BatchNorm2d(6) for _ in range(2))
        self.convs = nn.ModuleList(nn.Conv2d(6, 4, 3, padding=1, bias=False) for _ in range(2))
        self.last, self.head = nn.BatchNorm2d(12), nn.Linear(12, 3)

    def forward(self, images):
        features = self.conv0(images)
        for norm, bottleneck, inner, conv in zip(self.norms, self.bottlenecks, self.inner, self.convs, strict=True):
            new = conv(torch.relu(inner(bottleneck(torch.relu(norm(features))))))
            features = torch.cat((features, new), 1)
        return self.head(torch.relu(self.last(features)).mean((2, 3)))


class DepthwiseNet(nn.Module):
    """An inverted residual: expansion, depthwise convolution, linear projection that is added to the input."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4), nn.ReLU6(inplace=True))
        self.block = nn.Sequential(
            nn.Conv2d(4, 8, 1, bias=False),
            nn.BatchNorm2d(8),
            nn.ReLU6(inplace=True),
            nn.Conv2d(8, 8, 3, padding=1, groups=8, bias=False),
            nn.BatchNorm2d(8),
            nn.ReLU6(inplace=True),
            nn.Conv2d(8, 4, 1, bias=False),
            nn.BatchNorm2d(4),
        )
        self.head = nn.Linear(4, 3)

    def forward(self, images):
        features = self.stem(images)
        return self.head((features + self.block(features)).mean((2, 3)))


class BottleneckNet(ResidualNet):
    """The sum changes the second layer's output in place, as torchvision's ResNets do, and timm's behind a layer."""

    def __init__(self) -> None:
        super().__init__()
        self.drop_path = nn.Identity()

    def forward(self, images):
        features = torch.relu_(self.bn1(self.conv1(images)))
        out = self.drop_path(self.bn2(self.conv2(features)))
        out += self.shortcut(features)
        return self.head(torch.relu_(out).mean((2, 3)))


FAMILIES = {  # name: network, how many of its layers go into convolutions, how many there are
    "plain": (conv_net, 2, 2),
    "residual": (ResidualNet, 3, 3),
    "residual, sum in place": (BottleneckNet, 3, 3),
    "depthwise": (DepthwiseNet, 4, 4),
    "dense": (DenseNet, 2, 5),
}


def features_of(*shape: int, dtype: torch.dtype = torch.float64):
    return torch.randn(shape, generator=generator(0, "features"), dtype=dtype)


def outcome(network, images, labels, **fast):
    images = images.clone().requires_grad_()
    with objective(prepared(network), CONFIG, FastPath(**fast)) as losses_of:
        losses = losses_of(images, labels)
    return losses, torch.autograd.grad(losses.total, images)[0]


@pytest.mark.parametrize("family", FAMILIES)
def test_losses_and_gradient_of_every_family_are_the_teachers(family):
    build, folded, layers = FAMILIES[family]
    network = teacher(build()).double()
    found = fold(network)
    assert (found.folded, found.layers) == (folded, layers)
    images, labels = features_of(6, 3, SIZE, SIZE), torch.tensor([0, 1, 2, 0, 1, 2])
    losses, gradient = outcome(network, images, labels, fold=True)
    expected, expected_gradient = outcome(network, images, labels)
    torch.testing.assert_close(losses, expected, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(gradient, expected_gradient, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize(
    ("name", "width"),
    [("convnet-3", 0.1), ("resnet18", 0.125), ("resnet50", 0.125), ("mobilenet_v2", 0.25), ("vgg11_bn", 1.0)],
)
def test_networks_of_the_catalogue_fold_wholly(name, width):
    network = teacher_of(name, width)
    found = fold(network)
    assert found.folded == found.layers
    images, labels = features_of(4, 3, 32, 32), torch.arange(4) % 3
    losses, gradient = outcome(network, images, labels, fold=True)
    expected, expected_gradient = outcome(network, images, labels)
    torch.testing.assert_close(losses, expected, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(gradient, expected_gradient, rtol=1e-7, atol=1e-9)


def teacher_of(name: str, width: float):
    network = build_network(name, 3, width=width, image_size=32).double()
    draw = generator(0, "statistics")
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.running_mean.normal_(0, 0.1, generator=draw)
            layer.running_var.uniform_(0.5, 2, generator=draw)
            nn.init.uniform_(layer.bias, -0.2, 0.2, generator=draw)
    return network.eval()


def test_timm_s_norm_with_an_activation_folds_and_keeps_it():
    timm_norm = pytest.importorskip("timm.layers").BatchNormAct2d
    network = teacher(
        nn.Sequential(
            nn.Conv2d(3, 4, 3, bias=False),
            timm_norm(4, act_layer=nn.SiLU),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(4, 3),
        )
    ).double()
    assert fold(network).folded == 1
    images, labels = features_of(4, 3, SIZE, SIZE), torch.tensor([0, 1, 2, 0])
    for mine, theirs in zip(outcome(network, images, labels, fold=True), outcome(network, images, labels), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-9, atol=1e-9)


def test_the_teacher_itself_is_not_changed():
    network = teacher(ResidualNet())
    before = copy.deepcopy(network.state_dict())
    outcome(network, features_of(2, 3, SIZE, SIZE, dtype=torch.float32), torch.tensor([0, 1]), fold=True)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert isinstance(network.bn1, nn.BatchNorm2d)


def test_a_tiny_scale_stays_unfolded():
    network = teacher(conv_net())
    with torch.no_grad():
        network[1].weight[2] = 1e-9
    found = fold(network)
    assert found.folded == 1
    kinds = [type(module) for module in found.network.modules() if isinstance(module, (FoldedNorm, MeasuredNorm))]
    assert sorted(kind.__name__ for kind in kinds) == ["FoldedNorm", "MeasuredNorm"]
    images, labels = features_of(4, 3, SIZE, SIZE), torch.tensor([0, 1, 2, 0])
    mine, theirs = outcome(network.double(), images, labels, fold=True), outcome(network, images, labels)
    torch.testing.assert_close(mine[1], theirs[1], rtol=1e-8, atol=1e-10)


class Branching(nn.Module):
    """Cannot be traced: which way it goes depends on the images."""

    def __init__(self) -> None:
        super().__init__()
        self.net = conv_net()

    def forward(self, images):
        return self.net(images if images.mean() < 5 else -images)


def test_what_cannot_be_traced_is_computed_as_it_is():
    network = teacher(Branching()).double()
    assert fold(network) is None
    images, labels = features_of(4, 3, SIZE, SIZE), torch.tensor([0, 1, 2, 0])
    torch.testing.assert_close(outcome(network, images, labels, fold=True)[1], outcome(network, images, labels)[1])


def test_a_convolution_that_feeds_something_else_stays():
    class Tapped(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.norm = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)

        def forward(self, images):
            features = self.conv(images)
            return (features + self.norm(features)).mean((2, 3))

    assert fold(teacher(Tapped())) is None


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("rectifies", [False, True])
def test_gradcheck_of_the_folded_operator(groups, rectifies):
    features = features_of(4, 3, 2, 3).requires_grad_()
    shift, inverse = torch.tensor([0.3, -1.0, 0.2]).double(), torch.tensor([2.0, -0.5, 1.5]).double()
    target = torch.tensor([0.5, 1.5, 1.0]).double()
    assert torch.autograd.gradcheck(
        lambda x: FoldedStatistics.apply(x, shift, inverse, target, groups, rectifies), (features,)
    )


def test_gradcheck_of_the_grouped_distance():
    features = features_of(6, 2, 2, 2).requires_grad_()
    mean, var = torch.tensor([0.3, -1.0]).double(), torch.tensor([0.5, 1.5]).double()
    assert torch.autograd.gradcheck(lambda x: StatisticsDistance.apply(x, mean, var, 3), (features,))


@pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last])
def test_statistics_of_groups_are_those_of_each_alone(order):
    features = features_of(6, 3, 4, 4, dtype=torch.float32).contiguous(memory_format=order)
    means, variances = grouped_statistics(features, 3)
    for group, part in enumerate(features.chunk(3)):
        torch.testing.assert_close((means[group], variances[group]), channel_statistics(part))
    torch.testing.assert_close(plain_statistics(features, 3), (means, variances))


@pytest.mark.parametrize("groups", [1, 2])
def test_statistics_of_bfloat16_features_are_kept_in_float32(groups):
    features = (features_of(8, 4, 16, 16) + 3).bfloat16().contiguous(memory_format=torch.channels_last)
    for means, variances in (grouped_statistics(features, groups), plain_statistics(features, groups)):
        assert means.dtype == variances.dtype == torch.float32
        parts = features.double().unflatten(0, (groups, -1))
        torch.testing.assert_close(means, parts.mean((1, 3, 4)).float(), rtol=1e-5, atol=0)
        torch.testing.assert_close(variances, parts.var((1, 3, 4), correction=0).float(), rtol=5e-4, atol=0)


def test_bfloat16_is_near_float32_and_gives_losses_in_float32():
    network = teacher(ResidualNet())
    images, labels = features_of(12, 3, SIZE, SIZE, dtype=torch.float32), torch.arange(12) % 3
    losses, gradient = outcome(network, images, labels, fold=True, precision="bfloat16")
    expected, _ = outcome(network, images, labels)
    assert gradient.dtype == losses.logits.dtype == losses.total.dtype == torch.float32
    for mine, theirs in zip(losses[:3], expected[:3], strict=True):
        assert mine.item() == pytest.approx(theirs.item(), rel=0.02)
        assert mine.item() != theirs.item()
