"""A step in less memory has the losses and gradients of the step it stands for."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from delt_engine.config import RecoverConfig
from delt_engine.recovery.augment import crop_plan
from delt_engine.recovery.batches import pack_batches, plan_batches
from delt_engine.recovery.loop import recover
from delt_engine.recovery.low_memory import SparingObjective, objective_for
from delt_engine.recovery.objective import Objective
from delt_engine.recovery.speed import FastPath
from delt_engine.seeding import generator

CONFIG = RecoverConfig(ipc=2, batch_size=2, iterations=4, round_iterations=2)


def teacher():
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4)]
    network = nn.Sequential(*layers, nn.Flatten(), nn.Linear(4 * 36, 3)).train()
    network(torch.randn(16, 3, 8, 8))
    return network.eval()


def losses_and_gradient(objective, images, labels):
    leaf = images.clone().requires_grad_()
    with objective:
        losses = objective(leaf, labels)
        (gradient,) = torch.autograd.grad(losses.total, leaf)
    return [loss.detach() for loss in losses], gradient, objective.logits


@pytest.mark.parametrize("fold", [False, True])
@pytest.mark.parametrize("groups", [1, 3])
def test_losses_gradients_and_logits_are_those_of_the_whole_step(groups, fold):
    network, fast = teacher(), FastPath(fold=fold)
    draw = torch.Generator().manual_seed(1)
    images, labels = torch.randn(6, 3, 8, 8, generator=draw), torch.tensor([0, 1, 2, 0, 1, 2])
    whole = losses_and_gradient(Objective(network, CONFIG, fast, groups), images, labels)
    spared = losses_and_gradient(SparingObjective(network, CONFIG, fast, groups), images, labels)
    torch.testing.assert_close(spared[0], whole[0])
    torch.testing.assert_close(spared[1], whole[1])
    torch.testing.assert_close(spared[2], whole[2])
    if groups == 1:
        assert torch.equal(spared[1], whole[1]), "a single batch is the same to the bit"


def test_a_packed_step_sees_one_group_at_a_time():
    network, seen = teacher(), []
    network.register_forward_pre_hook(lambda _module, inputs: seen.append(len(inputs[0])))
    losses_and_gradient(
        SparingObjective(network, CONFIG, FastPath(), 3), torch.randn(6, 3, 8, 8), torch.zeros(6).long()
    )
    assert seen == [2, 2, 2]


@pytest.mark.parametrize("pack", [1, 3])
def test_the_loop_ends_in_the_same_images(pack):
    (plan,) = pack_batches(plan_batches(3, CONFIG), 3) if pack == 3 else plan_batches(1, CONFIG)
    labels = torch.tensor([slot.class_index for slot in plan.slots])
    images = torch.randn(len(labels), 3, 8, 8, generator=torch.Generator().manual_seed(2))
    rows = torch.stack([crop_plan(CONFIG, 8, generator(0, "crops", member)) for member in plan.members])

    def last(fast):
        *_, step = recover(images, labels, teacher(), plan, CONFIG, rows, mean=(0.5,) * 3, std=(0.25,) * 3, fast=fast)
        return step.state.images

    torch.testing.assert_close(last(FastPath(spare=True)), last(FastPath()))


def test_the_path_says_which_objective_it_takes_and_is_kept_in_a_record():
    network = teacher()
    assert isinstance(objective_for(network, CONFIG, FastPath(), 1), Objective)
    assert isinstance(objective_for(network, CONFIG, FastPath(spare=True), 1), SparingObjective)
    spared = FastPath(spare=True)
    assert FastPath.from_record(spared.to_record()) == spared
    older = {name: value for name, value in FastPath().to_record().items() if name != "spare"}
    assert FastPath.from_record(older) == FastPath()
    assert str(spared).endswith("memory spared")
