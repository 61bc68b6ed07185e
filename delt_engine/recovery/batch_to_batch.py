"""The loop of batch-to-batch matching: DM and DC, whose images learn from batches of real ones and random networks.

Each iteration takes, class by class, the distance of :mod:`delt_engine.recovery.batch_objectives`, and moves the images
by one step of SGD with momentum. DM has a new network in every iteration. DC keeps one for ``network_loop`` iterations
and trains it on the synthetic images before each but the first. Networks and real batches are keyed by seed and
iteration, so neither resume nor the other batches of a run change an image.

Source: main_DM.py and main.py of DatasetCondensation (SGD with momentum 0.5 on images and on DC's network).
Differs: an iteration is one step of the images, as everywhere here, where DC's code counts networks. Images are kept
within valid pixels after each step, since they end as pictures; the published code never clips them. Siamese
augmentation is one draw an iteration for all classes, of this project's crop and flip.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from delt_engine.config import RecoverConfig
from delt_engine.data.pixels import value_bounds
from delt_engine.models.convnet import ConvNet, instance_norm
from delt_engine.models.device import same_bits
from delt_engine.recovery.augment import apply_crop, crop_bounds
from delt_engine.recovery.batch_objectives import feature_distance, gradient_distance
from delt_engine.recovery.batches import BatchPlan
from delt_engine.recovery.loop import BatchState, RecoverStep
from delt_engine.seeding import generator, seeded

NETWORK_RATE, NETWORK_MOMENTUM, NETWORK_BATCH = 0.01, 0.5, 256
"""How DC trains its network on the synthetic images. Source: main.py, lr_net and batch_train."""

_MOMENTUM = "momentum."

RealImages = Callable[[int, int], Tensor]
"""From iteration and class index to real images of the class, ``(R, C, S, S)``, normalised, on the device."""


def match_batches(
    images: Tensor,
    labels: Tensor,
    real: RealImages,
    plan: BatchPlan,
    config: RecoverConfig,
    crop_rows: Tensor,
    *,
    seed: int,
    mean: Sequence[float],
    std: Sequence[float],
    state: BatchState | None = None,
    low_memory: bool = False,
) -> Generator[RecoverStep, None, None]:
    """Optimise the images of one batch; stop asking to cancel.

    Args:
        images: ``(N, C, S, S)`` normalised start images in the order of ``plan.slots``; not changed.
        labels: int64 ``(N,)``, class indices.
        real: gives the real images.
        plan: of all classes for dc.
        crop_rows: int64 ``(MI, 7)``, looked at with ``siamese``.
        seed: of the networks.
        mean: of the pixels, for the bounds of valid ones; ``std`` likewise.
        state: where to go on; not changed.
        low_memory: let what the backward pass needs wait in the computer's memory.

    Yields:
        One record an iteration. ``total_loss`` is the mean of the distances over the classes; there is no cross-entropy
        and no BatchNorm loss (not-a-number), and no logits.
    """
    state = BatchState.start(images) if state is None else state
    moved, momentum = state.images.detach().clone(), state.exp_avg.detach().clone()
    state = BatchState(moved, momentum, state.exp_avg_sq, state.iteration, {}, dict(state.weights))
    low, high = (bound.to(state.images) for bound in value_bounds(mean, std))
    classes, rows = labels.unique(), crop_rows.view(config.iterations, -1)
    places = torch.searchsorted(classes, labels)  # among the outputs of DC's network
    first = plan.first_iterations(config.round_iterations)[0]
    missing = torch.tensor(float("nan"), device=images.device)

    for iteration in range(max(state.iteration, first), config.iterations):
        round_number = iteration // config.round_iterations + 1
        joined = plan.joined(round_number)
        known, own = state.images[:joined], places[:joined]
        network, weights = _network(config, state, own, len(classes), iteration, seed)
        gradient, total = torch.zeros_like(known), torch.zeros_like(missing)
        for place, class_index in enumerate(classes.tolist()):
            of_class = own == place
            pair = real(iteration, class_index), known[of_class]
            with _offloaded(known) if low_memory else contextlib.nullcontext():
                distance, gradient[of_class] = _of_class(config, network, *pair, place, rows[iteration])
            total += distance / len(classes)

        momentum = state.exp_avg[:joined].mul_(config.beta1).add_(gradient)
        state.images[:joined].sub_(config.sgd_rate * momentum).clamp_(low, high)
        state.weights = weights
        state.iteration = iteration + 1
        yield RecoverStep(
            iteration=iteration,
            round_number=round_number,
            joined=joined,
            ce_loss=missing,
            bn_loss=missing,
            total_loss=total,
            learning_rate=config.sgd_rate,
            crop_scale=crop_bounds(iteration, config) if config.siamese else (1.0, 1.0),
            ends_round=state.iteration % config.round_iterations == 0,
            state=state,
            logits=known.new_zeros(joined, 0),
            labels=labels[:joined],
        )


@same_bits()
def _of_class(
    config: RecoverConfig, network: ConvNet, real: Tensor, synthetic: Tensor, label: int, row: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the distance of a class's images to real ones and its gradient; ``label`` is the class's output."""
    leaf = synthetic.requires_grad_()
    real, seen = (apply_crop(images, row) if config.siamese else images for images in (real, leaf))
    if config.method == "dc":
        distance = gradient_distance(network, real, seen, label)
    else:
        distance = feature_distance(network, real, seen)
    (gradient,) = torch.autograd.grad(distance, leaf)
    return distance.detach(), gradient


def random_network(config: RecoverConfig, image_size: int, num_classes: int, *, seed: int, number: int) -> ConvNet:
    """Return the ``number``-th random network of a run, on the CPU."""
    with seeded(generator(seed, "matching network", number).initial_seed(), torch.device("cpu")):
        return ConvNet(config.matching_depth, num_classes, image_size, config.matching_width, instance_norm)


@same_bits()
def _network(
    config: RecoverConfig, state: BatchState, labels: Tensor, num_classes: int, iteration: int, seed: int
) -> tuple[ConvNet, dict[str, Tensor]]:
    """Return the network of an iteration, and of DC's what the next one needs of it."""
    images = state.images[: len(labels)]
    steps, epochs = config.network_loop
    number, step = divmod(iteration, steps)
    network = random_network(config, images.shape[-1], num_classes, seed=seed, number=number).to(images.device)
    if config.method != "dc":
        return network.requires_grad_(requires_grad=False), {}
    optimizer = torch.optim.SGD(network.parameters(), lr=NETWORK_RATE, momentum=NETWORK_MOMENTUM)
    if step:
        _restore(network, optimizer, state.weights)
        for epoch in range(epochs):
            order = torch.randperm(len(images), generator=generator(seed, "network batches", iteration, epoch))
            for part in order.to(images.device).split(NETWORK_BATCH):
                optimizer.zero_grad()
                F.cross_entropy(network(images[part]), labels[part]).backward()
                optimizer.step()
        optimizer.zero_grad()
    return network, _kept(network, optimizer)


def _kept(network: nn.Module, optimizer: torch.optim.SGD) -> dict[str, Tensor]:
    kept = {name: weight.detach() for name, weight in network.named_parameters()}
    for name, weight in network.named_parameters():
        if (momentum := optimizer.state[weight].get("momentum_buffer")) is not None:
            kept[_MOMENTUM + name] = momentum
    return kept


def _restore(network: nn.Module, optimizer: torch.optim.SGD, kept: dict[str, Tensor]) -> None:
    with torch.no_grad():
        for name, weight in network.named_parameters():
            weight.copy_(kept[name])
            if _MOMENTUM + name in kept:
                optimizer.state[weight]["momentum_buffer"] = kept[_MOMENTUM + name].clone()


def _offloaded(images: Tensor) -> Any:
    return torch.autograd.graph.save_on_cpu(pin_memory=images.device.type == "cuda")
