"""BatchNorm targets by class: the moments are numpy's, and each class's images are matched with their own."""

import numpy as np
import pytest
import torch
from tiny_networks import CLASSES, ResidualNet, batch, conv_net, prepared, teacher

from delt_engine.config import RecoverConfig
from delt_engine.errors import ConfigError, ShapeError
from delt_engine.models.bn_layers import bn_layers
from delt_engine.recovery.augment import apply_crop, crop_plan
from delt_engine.recovery.batches import pack_batches, plan_batches
from delt_engine.recovery.group_moments import GroupMoments, moments_by_group, thirds
from delt_engine.recovery.loop import recover
from delt_engine.recovery.objective import objective
from delt_engine.recovery.speed import FastPath
from delt_engine.seeding import generator

CONFIG = RecoverConfig(ipc=4, iterations=8, round_iterations=2, bn_targets="class", r_bn=0.5)


def inputs_of(network, images):
    """Return what each BatchNorm layer is given, ``(N, C, H, W)``."""
    found = []
    hooks = [layer.register_forward_hook(lambda _l, x, _y: found.append(x[0])) for layer in bn_layers(network)]
    network(images)
    for hook in hooks:
        hook.remove()
    return found


def real(network, number=CLASSES):
    """Return images, their groups and the moments of them, in batches that no group keeps to."""
    images = torch.randn(20, 3, 8, 8, generator=generator(0, "real"), dtype=next(network.parameters()).dtype)
    group = np.arange(20) % number
    return images, group, moments_by_group(network, images.split(7), np.arange(20), group, number)


@pytest.mark.parametrize("network", [conv_net, ResidualNet])
def test_moments_and_targets_are_those_of_numpy(network, tmp_path):
    network = teacher(network())
    images, group, moments = real(network)
    moments.save(tmp_path / "moments.npz")
    moments = GroupMoments.load(tmp_path / "moments.npz")
    shares = np.array([[1, 0, 0], [0, 0, 1], [0.25, 0.75, 0]])
    targets = moments.targets(shares, "cpu")
    assert len(targets) == len(bn_layers(network))
    for (mean, var), features in zip(targets, inputs_of(network, images), strict=True):
        each = [features[group == number].numpy().swapaxes(0, 1).reshape(features.shape[1], -1) for number in range(3)]
        for row, number in ((0, 0), (1, 2)):
            np.testing.assert_allclose(mean[row], each[number].mean(1), rtol=1e-4, atol=1e-5)
            np.testing.assert_allclose(var[row], each[number].var(1), rtol=1e-4, atol=1e-5)
        mixed = 0.25 * each[0].mean(1) + 0.75 * each[1].mean(1)
        power = 0.25 * (each[0] ** 2).mean(1) + 0.75 * (each[1] ** 2).mean(1)
        np.testing.assert_allclose(mean[2], mixed, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(var[2], power - mixed**2, rtol=1e-4, atol=1e-5)


def test_thirds_go_by_the_probability_within_the_class():
    labels = np.array([0, 1, 0, 1, 0, 1, 0, 0, 0])
    probability = np.array([0.6, 0.9, 0.1, 0.2, 0.5, 0.3, 0.4, 0.3, 0.2])
    assert thirds(labels, probability).tolist() == [2, 2, 0, 0, 2, 1, 1, 1, 0]


def plain_loss(network, images, labels, targets, groups):
    """The objective with the distance of each group to its own target, layer by layer."""
    total = 0.0
    for layer, (features, (mean, var)) in enumerate(zip(inputs_of(network, images), targets, strict=True)):
        for group, part in enumerate(features.chunk(groups)):
            values = part.transpose(0, 1).flatten(1)
            gap = (values.mean(1) - mean[group]).norm() + (values.var(1, correction=0) - var[group]).norm()
            total = total + (10 if layer == 0 else 1) * gap / groups
    return torch.nn.functional.cross_entropy(network(images), labels) + CONFIG.r_bn * total


@pytest.mark.parametrize("network", [conv_net, ResidualNet])
@pytest.mark.parametrize("folds", [False, True])
def test_each_group_is_matched_with_its_own_target_and_the_next_objective_with_the_running_ones(network, folds):
    network = teacher(network()).double()
    targets = [tuple(each.double() for each in pair) for pair in real(network)[2].targets(np.eye(3), "cpu")]
    images = torch.randn(6, 3, 8, 8, generator=generator(1, "images"), dtype=torch.float64).requires_grad_()
    labels, known, fast = torch.tensor([0, 0, 1, 1, 2, 2]), prepared(network), FastPath(fold=folds)
    with objective(known, CONFIG, fast) as losses_of:
        before = losses_of(images, labels).total
    with objective(known, CONFIG, fast, 3, targets) as losses_of:
        losses = losses_of(images, labels)
    plain = plain_loss(network, images, labels, targets, 3)
    torch.testing.assert_close(losses.total, plain)
    torch.testing.assert_close(*(torch.autograd.grad(loss, images)[0] for loss in (losses.total, plain)))
    with objective(known, CONFIG, fast) as losses_of:
        assert torch.equal(losses_of(images, labels).total, before)


@pytest.mark.parametrize("config", [CONFIG, CONFIG.replace(batch_size=4), CONFIG.replace(batching="one-per-class")])
def test_the_loop_groups_its_images_by_class_also_in_packed_batches(config):
    network = teacher(ResidualNet()).double()
    pairs = real(network)[2]
    plans = pack_batches(plan_batches(CLASSES, config), 2)
    plan = plans[0]
    start = torch.rand(len(plan.slots), 3, 8, 8, generator=generator(0, "start"), dtype=torch.float64)
    labels = torch.tensor([slot.class_index for slot in plan.slots])
    rows = torch.stack([crop_plan(config, 8, generator(0, "crops", member)) for member in plan.members])
    targets = pairs.targets(np.eye(3)[[number for _, number in plan.class_groups]], "cpu")
    targets = tuple(tuple(each.double() for each in pair) for pair in targets)
    step = next(recover(start, labels, prepared(network), plan, config, rows, targets=[targets]))
    expected = []  # each batch alone, its classes in turn
    for row, member in enumerate(plan.members):
        own = [place for place in range(step.joined) if plan.batches[place] == member]
        own.sort(key=lambda place: plan.slots[place].class_index)
        classes = sorted({plan.slots[place].class_index for place in own})
        of = [tuple(each[[plan.class_groups.index((member, one)) for one in classes]] for each in t) for t in targets]
        shown = apply_crop(start[own], rows[row, 0].tolist())
        expected.append(plain_loss(network, shown, labels[own], of, len(classes)).item())
    assert step.total_loss.item() == pytest.approx(np.mean(expected), rel=1e-9)


def test_what_does_not_fit_is_refused():
    plan, images, labels, rows = batch(CONFIG)
    with pytest.raises(ShapeError, match="targets: those of 0 teachers given"):
        next(recover(images, labels, prepared(teacher(conv_net())), plan, CONFIG, rows))
    for changes, message in (
        ({"densification": 1.0}, "bn_targets: class given, but with statistics of convolutions"),
        ({"batching": "images"}, "bn_targets: class given with a batch of images"),
        ({"bn_targets": "difficulty", "initialization": "noise"}, "noise has no difficulty"),
    ):
        with pytest.raises(ConfigError, match=message):
            CONFIG.replace(**changes)
