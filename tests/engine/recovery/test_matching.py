"""G-VBSM's objective, its statistics and its turns, against plain implementations written from the paper."""

import pytest
import torch
from tiny_networks import MEAN, SIZE, STD, ResidualNet, batch, conv_net, teacher
from torch import nn
from torch.nn import functional as F

from delt_engine.config import RecoverConfig
from delt_engine.errors import CheckpointError, ConfigError
from delt_engine.recovery.augment import apply_crop, crop_plan
from delt_engine.recovery.conv_statistics import ConvStatistics, conv_statistics, gathered
from delt_engine.recovery.folding import PreparedTeacher
from delt_engine.recovery.loop import BatchState, recover
from delt_engine.recovery.matching import drop_plan, in_turn
from delt_engine.recovery.memory import predict
from delt_engine.recovery.speed import FastPath, choose
from delt_engine.seeding import generator

SIDE = 3  # divides neither 8 nor 4


def config(**changes) -> RecoverConfig:
    plain = {"ipc": 4, "iterations": 8, "round_iterations": 8, "patch_side": SIDE, "pad": 2, "jitter": 1}
    return RecoverConfig.for_method("gvbsm", **{**plain, **changes})


def training_images() -> torch.Tensor:
    return torch.randn(20, 3, SIZE, SIZE, generator=generator(3, "data"))


def committee() -> PreparedTeacher:
    members = []
    for seed, network in enumerate((ResidualNet(), conv_net())):
        network = teacher(network, seed)
        members.append(PreparedTeacher(network, MEAN, STD, gathered(network, training_images().split(7), SIDE)))
    return PreparedTeacher(members[0].network, MEAN, STD, members[0].statistics, (members[1],))


def plain_conv_statistics(features: torch.Tensor, side: int) -> list[torch.Tensor]:
    """Loop over channels and over patches."""
    channels = [features[:, channel].flatten() for channel in range(features.shape[1])]
    size = [length if length % side == 0 else (length // side + 1) * side for length in features.shape[2:]]
    resized = F.interpolate(features, size=size, mode="bilinear")
    patches = [
        resized[:, :, top : top + side, left : left + side].flatten()
        for top in range(0, size[0], side)
        for left in range(0, size[1], side)
    ]
    return [
        torch.stack([values.mean() for values in channels]),
        torch.stack([values.var(unbiased=False) for values in channels]),
        torch.stack([values.mean() for values in patches]),
        torch.stack([values.var(unbiased=False) for values in patches]),
    ]


def conv_inputs(network: nn.Module, images: torch.Tensor) -> list[torch.Tensor]:
    found: list[torch.Tensor] = []
    hooks = [
        module.register_forward_hook(lambda _module, inputs, _output: found.append(inputs[0]))
        for module in network.modules()
        if isinstance(module, nn.Conv2d)
    ]
    network(images)
    for hook in hooks:
        hook.remove()
    return found


@pytest.mark.parametrize("side", [3, 4, 16])
def test_statistics_over_the_training_images_are_those_of_all_values_together(side) -> None:
    network, images = teacher(conv_net()), training_images()
    for found, features in zip(gathered(network, images.split(7), side), conv_inputs(network, images), strict=True):
        for ours, plain in zip(found.tensors(), plain_conv_statistics(features, side), strict=True):
            torch.testing.assert_close(ours, plain, rtol=1e-4, atol=1e-5)
    assert len(ConvStatistics.from_record(found.to_record()).patch_mean) == (-(-4 // side)) ** 2


class PlainMatching:
    """The losses of published G-VBSM as the paper has them: nothing shared with the engine but the networks."""

    def __init__(self, prepared: PreparedTeacher, settings: RecoverConfig) -> None:
        self.prepared, self.settings = prepared, settings
        self.memory: dict[object, torch.Tensor] = {}

    def losses(self, iteration, images, labels, dropped=()) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        turn = iteration % 2
        member = (self.prepared, *self.prepared.others)[turn]
        seen: dict[nn.Module, torch.Tensor] = {}
        hooks = [
            module.register_forward_hook(lambda module, inputs, _output: seen.__setitem__(module, inputs[0]))
            for module in member.network.modules()
            if isinstance(module, (nn.Conv2d, nn.BatchNorm2d))
        ]
        cross_entropy = F.cross_entropy(member.network(images), labels)
        for hook in hooks:
            hook.remove()
        matched, conv_number, is_first = torch.zeros(()), 0, True
        for module in member.network.modules():
            if isinstance(module, nn.Conv2d):
                targets = member.statistics[conv_number].tensors()
                is_dropped = conv_number in dropped
                conv_number += 1
                values = plain_conv_statistics(seen[module], self.settings.patch_side)
            elif isinstance(module, nn.BatchNorm2d):
                targets, is_dropped = (module.running_mean, module.running_var), False
                values = [seen[module].mean((0, 2, 3)), seen[module].var((0, 2, 3), unbiased=False)]
            else:
                continue
            weight, is_first = (self.settings.first_bn_multiplier if is_first else 1.0), False
            if is_dropped:
                continue
            for number, (target, value) in enumerate(zip(targets, values, strict=True)):
                share = self.settings.statistics_ema
                key = (module, number)
                before = self.memory.get(key, value.detach())
                self.memory[key] = share * before + (1 - share) * value.detach()
                matched = matched + weight * (target - (self.memory[key] + value - value.detach())).norm()
        dense = torch.zeros(())
        for label in set(labels.tolist()):
            rows = F.adaptive_avg_pool2d(images[labels == label], (32, 32)).flatten(1)
            values = torch.linalg.eigvals(rows @ rows.T).real
            wanted = (values / 4).softmax(0).detach()
            dense = dense + F.kl_div(values.log_softmax(0), wanted, reduction="sum")
        total = cross_entropy + self.settings.r_bn * matched + self.settings.densification * dense
        return cross_entropy, matched, total


def test_losses_and_gradients_equal_a_plain_implementation_over_several_iterations() -> None:
    settings, prepared = config(), committee()
    _, images, labels, _ = batch(settings)
    plain, averages = PlainMatching(prepared, settings), {}
    dropped = torch.tensor([[False, True, False], [False, False, True]] * 2)
    with in_turn(prepared, settings, dropped=dropped) as losses_of:
        for iteration in range(4):
            shown = (images * (1 - 0.2 * iteration)).requires_grad_()
            ours, changed = losses_of(iteration, averages, shown, labels)
            (gradient,) = torch.autograd.grad(ours.total, shown)
            averages |= changed
            wanted = plain.losses(iteration, shown, labels, dropped[iteration].nonzero().flatten().tolist())
            assert [value.item() for value in ours[:3]] == pytest.approx([value.item() for value in wanted], rel=1e-4)
            (plain_gradient,) = torch.autograd.grad(wanted[2], shown)
            torch.testing.assert_close(gradient, plain_gradient, rtol=1e-3, atol=1e-4)


def test_one_image_a_class_adds_no_densification_and_a_deeper_network_decides_the_drops() -> None:
    settings, prepared = config(ipc=1, statistics_ema=0.0, layer_drop=0.5), committee()
    _, images, labels, _ = batch(settings)
    with in_turn(prepared, settings) as losses_of:
        losses, averages = losses_of(0, {}, images, labels)
        assert float(losses.total) == pytest.approx(float(losses.ce + settings.r_bn * losses.bn), rel=1e-6)
        assert averages == {}
    plan = drop_plan(settings, prepared, generator(0, "drop", 0))
    assert plan.shape == (8, 3)
    assert 0.2 < plan.double().mean() < 0.8
    assert drop_plan(settings.replace(layer_drop=0.0), prepared, generator(0, "drop", 0)) is None


@pytest.mark.parametrize("stop", [1, 5])
def test_a_batch_goes_on_bit_for_bit_from_its_state(stop) -> None:
    settings, prepared = config(), committee()
    plan, images, labels, rows = batch(settings)
    dropped = drop_plan(settings, prepared, generator(0, "drop", 0))

    def run(state=None):
        return recover(images, labels, prepared, plan, settings, rows, state=state, dropped=dropped)

    whole = [step.state.images.clone() for step in run()]
    steps = run()
    for _ in range(stop):
        kept = next(steps).state.to_tensors()
    steps.close()
    on = [step.state.images.clone() for step in run(BatchState.from_tensors(kept))]
    assert len(on) == 8 - stop
    assert torch.equal(on[-1], whole[-1])
    without = {name: tensor for name, tensor in kept.items() if not name.startswith("average.")}
    *_, other = (step.state.images for step in run(BatchState.from_tensors(without)))
    assert not torch.equal(other, whole[-1])  # the averages are part of the state


def test_a_committee_takes_turns_with_what_any_method_matches() -> None:
    settings = RecoverConfig.for_method("cda", ipc=2, iterations=4, round_iterations=4, committee=True)
    prepared = committee()
    plan, images, labels, rows = batch(settings)
    before = None
    for step in recover(images, labels, prepared, plan, settings, rows, fast=FastPath(fold=True)):
        alone = recover(images, labels, prepared.members[step.iteration % 2], plan, settings, rows, state=before)
        assert next(alone).losses() == pytest.approx(step.losses(), rel=1e-4)
        before = BatchState.from_tensors(step.state.to_tensors())


def test_padding_shifts_with_zeros_and_leaves_other_methods_draws_alone() -> None:
    settings = config(iterations=200, round_iterations=200, pad=2, jitter=0, flip=False)
    rows = crop_plan(settings, SIZE, generator(0, "crops", 0))
    assert (rows[:, 0].min(), rows[:, 0].max(), rows[:, 1].min(), rows[:, 1].max()) == (-2, 2, -2, 2)
    image = torch.arange(1.0, 1 + SIZE * SIZE).view(1, 1, SIZE, SIZE)
    for row in rows[:5]:
        top, left = row[:2].tolist()
        padded = F.pad(image, (2, 2, 2, 2))
        wanted = padded[:, :, top + 2 : top + 2 + SIZE, left + 2 : left + 2 + SIZE]
        assert torch.equal(apply_crop(image, row), wanted)
    unpadded = crop_plan(settings.replace(pad=0), SIZE, generator(0, "crops", 0))
    assert torch.equal(unpadded[:, 4:], rows[:, 4:])


def test_it_is_computed_plainly_and_a_committee_needs_what_its_largest_member_needs() -> None:
    assert choose(config(), "cuda", 32) == FastPath("bfloat16")
    prepared, device = committee(), torch.device("cpu")
    both = predict(prepared, config(), FastPath(), SIZE, 12, device)
    assert both == max(
        (predict(one, config(), FastPath(), SIZE, 12, device) for one in prepared.members), key=lambda part: part.step
    )
    low = {}
    for fast in (FastPath(), FastPath(low_memory=True)):
        _, images, labels, _ = batch(config())
        with in_turn(prepared, config(), fast) as losses_of:
            low[fast.low_memory] = losses_of(0, {}, images.requires_grad_(), labels)[0].total
    assert low[True].item() == low[False].item()


def test_what_cannot_be_matched_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"pack: 2 given, .* one by one"):
        config(pack=2)
    network = teacher(conv_net())
    with (
        pytest.raises(CheckpointError, match="it has 2 convolutions, but statistics of 0"),
        in_turn(PreparedTeacher(network, MEAN, STD), config()),
    ):
        pass
    twice = nn.Sequential(convolution := nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3), convolution, nn.Flatten())
    twice.eval()
    statistics = (conv_statistics(training_images(), SIDE),)
    with (
        in_turn(PreparedTeacher(twice, MEAN, STD, statistics), config(layer_drop=0.0)) as losses_of,
        pytest.raises(CheckpointError, match="layer 0 is used twice"),
    ):
        losses_of(0, {}, training_images(), torch.zeros(20, dtype=torch.long))
