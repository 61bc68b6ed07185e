"""A whole pruning against a plain one written here, and what it says on the way."""

from __future__ import annotations

import copy

import pytest
import torch
from tiny_data import tiny_dataset
from tiny_networks import conv_net, teacher
from torch import nn
from torch.nn import functional

from delt_engine.applications.pruning import PruneResult, PruneStep, prune
from delt_engine.config.pruning import PruneConfig
from delt_engine.config.students import EvaluateConfig
from delt_engine.data.pixels import normalise
from delt_engine.training import image_table

DATA = tiny_dataset()
TRAIN, TEST = image_table.real(DATA), image_table.test_table(DATA)
RATE, SPARSITY = 0.1, 0.02

PLAIN = EvaluateConfig.for_recipe(
    "hard",
    student="convnet-3",
    student_width=1.0,
    student_stem="stock",
    batch_size=len(TRAIN),
    optimizer="sgd",
    momentum=0.0,
    learning_rate=RATE,
    weight_decay=0.0,
    mix="none",
    rand_augment="none",
    min_crop=1.0,
    flip=False,
    validate_every=1,
)
"""All images as they are in one step, so that nothing is drawn that matters."""


def trained_network() -> nn.Module:
    return teacher(conv_net())


def pictures(table) -> tuple[torch.Tensor, torch.Tensor]:
    pixels = torch.from_numpy(table.image_u8).permute(0, 3, 1, 2).float() / 255
    return normalise(pixels, table.mean, table.std), torch.from_numpy(table.labels)


def accuracy(network: nn.Module) -> float:
    images, labels = pictures(TEST)
    with torch.no_grad():
        return 100.0 * (network.eval()(images).argmax(1) == labels).double().mean().item()


def step(network: nn.Module, sparsity: float) -> None:
    """One step of gradient descent with the published subgradient of the penalty."""
    images, labels = pictures(TRAIN)
    network.train().requires_grad_(requires_grad=True)
    functional.cross_entropy(network(images), labels).backward()
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.weight.grad += sparsity * layer.weight.detach().sign()
    with torch.no_grad():
        for weight in network.parameters():
            weight -= RATE * weight.grad
            weight.grad = None


def pruned_plainly(network: nn.Module) -> tuple[nn.Module, list[list[bool]], list[float]]:
    """Slimming of 50 % of 6 + 8 channels of the small network, by masks: cut channels are held at zero."""
    reached = [accuracy(network)]
    step(network, SPARSITY)
    reached.append(accuracy(network))
    norms = [layer for layer in network.modules() if isinstance(layer, nn.BatchNorm2d)]
    threshold = sorted(abs(value) for norm in norms for value in norm.weight.tolist())[7]
    masks = [norm.weight.detach().abs() >= threshold for norm in norms]
    hold_at_zero(norms, masks)
    reached.append(accuracy(network))
    step(network, 0.0)
    hold_at_zero(norms, masks)
    reached.append(accuracy(network))
    return network, [mask.tolist() for mask in masks], reached


def hold_at_zero(norms: list[nn.BatchNorm2d], masks: list[torch.Tensor]) -> None:
    for norm, mask in zip(norms, masks, strict=True):
        norm.weight.data[~mask], norm.bias.data[~mask] = 0.0, 0.0


def test_a_pruning_is_what_a_plain_one_gives():
    network = trained_network()
    plain, masks, reached = pruned_plainly(copy.deepcopy(network))
    config = PruneConfig(epochs=1, percent=50, least_percent=0, sparsity=SPARSITY)
    records = list(prune(network, TRAIN, TEST, None, config, PLAIN, seed=0, device=torch.device("cpu")))
    assert records[:-1] == [PruneStep("sparsity", 1, 1), PruneStep("finetune", 1, 1)]
    result = records[-1]
    assert isinstance(result, PruneResult)
    assert [mask.tolist() for mask in result.kept] == masks
    assert [result.before, result.sparse, result.pruned, result.finetuned] == pytest.approx(reached)
    images, _ = pictures(TEST)
    torch.testing.assert_close(result.network(images), plain(images), rtol=1e-3, atol=1e-4)
    assert result.kept_percent == 50.0
    assert [(layer.channels, layer.kept) for layer in result.layers] == [(6, sum(masks[0])), (8, sum(masks[1]))]
    assert result.size_after.parameters == sum(each.numel() for each in result.network.parameters())


def test_no_sparsity_training_cuts_at_once():
    config = PruneConfig(epochs=1, sparsity_epochs=0)
    first, result = prune(trained_network(), TRAIN, TEST, None, config, PLAIN, seed=0, device=torch.device("cpu"))
    assert first == PruneStep("finetune", 1, 1)
    assert result.sparse == result.before
