import copy

import pytest
import torch
from tiny_networks import ResidualNet, conv_net, prepared, teacher
from torch import nn

from delt_engine.config import RecoverConfig
from delt_engine.errors import CheckpointError
from delt_engine.recovery.objective import objective
from delt_engine.recovery.operators import StatisticsDistance, channel_statistics
from delt_engine.recovery.speed import FastPath
from delt_engine.seeding import generator

CONFIG = RecoverConfig(r_bn=0.5, first_bn_multiplier=10)


def random(*shape: int, dtype: torch.dtype = torch.float32):
    return torch.randn(shape, generator=generator(0, "features"), dtype=dtype)


def distance(features, running_mean, running_var):
    return StatisticsDistance.apply(features, running_mean, running_var, 1).squeeze(0)


def plain_distance(features, running_mean, running_var):
    channels = features.transpose(0, 1).flatten(1)
    mean, var = channels.mean(1), channels.var(1, correction=0)
    return (mean - running_mean).norm() + (var - running_var).norm()


def test_value_by_hand():
    features = torch.tensor([[1.0, 0.0], [3.0, 4.0]])[:, :, None, None]  # channel 0: mean 2, var 1; 1: mean 2, var 4
    loss = distance(features, torch.tensor([-1.0, -2.0]), torch.tensor([1.0, 2.0]))
    assert loss.item() == pytest.approx(5 + 2)  # ||(3, 4)|| + ||(0, 2)||: norms, not their squares
    assert loss.shape == ()


@pytest.mark.parametrize("shape", [(4, 3), (4, 3, 5), (4, 3, 5, 2), (1, 3, 5, 2)])
@pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last])
def test_value_and_gradient_are_the_plain_formulas(shape, order):
    features = random(*shape, dtype=torch.float64)
    features = features.contiguous(memory_format=order) if len(shape) == 4 else features
    mean, var = torch.tensor([0.3, -1.0, 0.1]).double(), torch.tensor([0.5, 1.5, 2.0]).double()
    fast, plain = features.clone().requires_grad_(), features.clone().requires_grad_()
    fast_loss, plain_loss = distance(fast, mean, var), plain_distance(plain, mean, var)
    torch.testing.assert_close(fast_loss, plain_loss)
    (3 * fast_loss).backward()
    (3 * plain_loss).backward()
    torch.testing.assert_close(fast.grad, plain.grad)


@pytest.mark.parametrize("shape", [(3, 2), (2, 2, 3, 3)])
def test_gradcheck(shape):
    features = random(*shape, dtype=torch.float64).requires_grad_()
    mean, var = torch.tensor([0.3, -1.0]).double(), torch.tensor([0.5, 1.5]).double()
    assert torch.autograd.gradcheck(distance, (features, mean, var))


def test_gradient_of_a_matched_statistic_is_zero_and_not_nan():
    features = random(4, 3, 5, 5, dtype=torch.float64).requires_grad_()
    mean, var = channel_statistics(features.detach())
    distance(features, mean, var).backward()
    assert torch.equal(features.grad, torch.zeros_like(features))
    distance(features, mean, var + 1).backward()
    assert features.grad.isfinite().all()
    assert (features.grad != 0).any()


@pytest.mark.parametrize("network", [conv_net, ResidualNet])
def test_objective_is_eq_7_and_8_with_the_first_layer_weighted(network):
    network = teacher(network()).double()
    images, labels = random(5, 3, 8, 8, dtype=torch.float64), torch.tensor([0, 1, 2, 0, 1])
    seen = []
    layers = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    hooks = [layer.register_forward_hook(lambda layer, x, _: seen.append((layer, x[0]))) for layer in layers]
    with objective(prepared(network), CONFIG) as losses_of:
        losses = losses_of(images, labels)
    for hook in hooks:
        hook.remove()
    distances = [plain_distance(x, layer.running_mean, layer.running_var) for layer, x in seen]
    expected_ce = -network(images).log_softmax(1)[torch.arange(5), labels].mean()
    torch.testing.assert_close(losses.ce, expected_ce)
    torch.testing.assert_close(losses.bn, 10 * distances[0] + sum(distances[1:]))
    torch.testing.assert_close(losses.total, expected_ce + 0.5 * losses.bn)


class Backwards(nn.Module):
    """Uses its layers in the other order than it names them."""

    def __init__(self) -> None:
        super().__init__()
        self.second, self.first = nn.BatchNorm2d(3), nn.BatchNorm2d(3)

    def forward(self, images):
        return self.second(2 * self.first(images)).mean((2, 3))


def test_the_first_layer_is_the_first_of_the_forward_pass():
    network, images = Backwards().eval(), random(4, 3, 8, 8)
    zero, one = torch.zeros(3), torch.ones(3)
    with objective(prepared(network), CONFIG.replace(first_bn_multiplier=100.0)) as losses_of:
        loss = losses_of(images, torch.zeros(4).long()).bn
    second_input = 2 * network.first(images)
    expected = 100 * distance(images, zero, one) + distance(second_input, zero, one)
    torch.testing.assert_close(loss, expected)


def test_gradient_reaches_the_images_and_not_the_teacher():
    network = teacher(conv_net()).requires_grad_()
    before = copy.deepcopy(network.state_dict())
    images = random(4, 3, 8, 8).requires_grad_()
    with objective(prepared(network), CONFIG) as losses_of:
        losses_of(images, torch.tensor([0, 1, 2, 0])).total.backward()
    assert (images.grad != 0).any()
    assert all(parameter.grad is None for parameter in network.parameters())
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def found(network: nn.Module):
    hooks = [len(module._forward_pre_hooks) + len(module._forward_hooks) for module in network.modules()]
    return [module.training for module in network.modules()], [p.requires_grad for p in network.parameters()], hooks


@pytest.mark.parametrize("fails", [False, True])
def test_hooks_modes_and_requires_grad_are_put_back_also_after_an_error(fails):
    network = teacher(conv_net()).train()
    network[1].eval()
    network[0].weight.requires_grad_()
    before = found(network)
    try:
        with objective(prepared(network), CONFIG) as losses_of:
            assert not any(module.training for module in network.modules())
            assert not any(parameter.requires_grad for parameter in network.parameters())
            losses_of(random(4, 5 if fails else 3, 8, 8), torch.tensor([0, 1, 2, 0]))
    except RuntimeError:
        assert fails
    else:
        assert not fails
    assert found(network) == before


def test_a_teacher_without_batch_norm_is_refused():
    network = prepared(nn.Sequential(nn.Flatten(), nn.Linear(12, 3)))
    with pytest.raises(CheckpointError, match="has no BatchNorm layers"), objective(network, CONFIG):
        pass


def test_a_layer_used_twice_is_refused_by_name():
    shared = nn.BatchNorm2d(3)
    network = nn.Sequential(shared, nn.ReLU(), shared).eval()
    message = "BatchNorm layer 0 is used twice"
    with pytest.raises(CheckpointError, match=message), objective(prepared(network), CONFIG) as losses_of:
        losses_of(random(2, 3, 4, 4), torch.zeros(2).long())
    assert not shared._forward_pre_hooks


def step_of(network, fast: FastPath, groups: int):
    """Return losses, gradient and logits of a step, all detached."""
    draw = torch.Generator().manual_seed(1)
    images, labels = torch.randn(6, 3, 8, 8, generator=draw).requires_grad_(), torch.tensor([0, 1, 2, 0, 1, 2])
    with objective(prepared(network), CONFIG, fast, groups) as losses_of:
        losses = losses_of(images, labels)
        (gradient,) = torch.autograd.grad(losses.total, images)
    return [value.detach() for value in (*losses, gradient)]


@pytest.mark.parametrize("fold", [False, True])
@pytest.mark.parametrize("groups", [1, 3])
def test_losses_gradients_and_logits_in_less_memory_are_those_of_the_whole_step(groups, fold):
    network = teacher(conv_net())
    whole, less = (step_of(network, FastPath(fold=fold, low_memory=low), groups) for low in (False, True))
    torch.testing.assert_close(less, whole)
    if groups == 1:
        assert torch.equal(less[-1], whole[-1]), "a single batch is the same to the bit"


def test_in_less_memory_a_packed_step_sees_one_group_at_a_time():
    network, seen = teacher(conv_net()), []
    network.register_forward_pre_hook(lambda _module, inputs: seen.append(len(inputs[0])))
    step_of(network, FastPath(low_memory=True), 3)
    assert seen == [2, 2, 2]
