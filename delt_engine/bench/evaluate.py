"""Measure the training of students: plain code and the engine's, step by step in turns, with the same random draws.

A rate is images a second that a student was trained on; testing is left out on both sides, and so is the first step
of each training. The largest difference is between the mean losses, which both compute from the same draws. Where a
case has several students, both sides are the engine's: side by side, and one after the other.

The plain code is written for reading: every image of a batch is cropped, resized and mirrored by itself, the batch is
stacked, normalised and mixed, the teacher says its logits of it, and torch.optim.AdamW goes over the weights one by
one. The order in memory is PyTorch's own. What is random comes from a plan drawn before, so both see the same.

Source: DELT evaluation/validation/main.py ``train``.
Differs: images lie in memory, where published code opens a file for each; the training accuracy, for which published
code runs the student a second time, is left out on both sides.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from delt_engine.bench.cases import EvaluateCase
from delt_engine.bench.harness import Measured, Report, Side, each_case, measured, seconds_of, take_turns
from delt_engine.bench.material import seeded_teacher
from delt_engine.config import EvaluateConfig
from delt_engine.data.catalogue import load_dataset
from delt_engine.data.dataset import Dataset
from delt_engine.models.teachers import load_teacher
from delt_engine.seeding import generator
from delt_engine.training.draws import EpochDraws, batch_bounds, draw_epoch
from delt_engine.training.image_table import ImageTable, real
from delt_engine.training.replayed import WARM_UPS
from delt_engine.training.side_by_side import by_turns, shared_images
from delt_engine.training.students import evaluate, initial_student

_STEPS, _QUICK_STEPS, _GPU_STEPS = 10, 4, 40

SHIPPED_WIDTH = 0.25


def bench_evaluate(
    cases: Sequence[EvaluateCase], *, quick: bool, rounds: int, device: torch.device, report: Report | None = None
) -> Iterator[Measured]:
    """Measure cases: ten steps a round, four with ``quick``, and forty of a GPU's short ones."""
    dataset = load_dataset("photos")
    whole = real(dataset)
    steps = _QUICK_STEPS if quick else _GPU_STEPS if device.type == "cuda" else _STEPS
    for case in each_case(cases, report):
        count = case.batch_size * steps
        order = torch.randperm(len(whole), generator=generator(0, "bench", "students"))[:count].numpy()
        table = ImageTable(whole.image_u8[order], whole.labels[order], whole.class_names, whole.mean, whole.std)
        config = EvaluateConfig.for_recipe(
            "delt" if case.has_teacher else "hard",
            epochs=1,
            student="resnet18",
            student_width=case.width,
            student_stem="small",
            batch_size=case.batch_size,
            learning_rate=1e-3,
            rand_augment="none",
            precision=case.precision,
        ).at_size(table.image_size)
        teacher = _teacher(case, dataset, device) if case.has_teacher else None
        if case.students > 1:
            runs = [several(table, teacher, config, case.students, device) for _ in range(rounds)]
            left_out = _prepared(device) * case.batch_size
        else:
            runs = [side_by_side(table, teacher, config, seed, device) for seed in range(rounds)]
            left_out = case.batch_size
        plain_s, fast_s, gaps = zip(*runs, strict=True)
        work = case.students * (count - left_out)
        yield measured(case, device, plain_s, fast_s, work=work, max_abs_diff=max(gaps))


def _teacher(case: EvaluateCase, dataset: Dataset, device: torch.device) -> nn.Module:
    """Return the shipped teacher, or a seeded one of the student's width."""
    if case.width == SHIPPED_WIDTH:
        return load_teacher("photos", dataset=dataset, device=str(device)).network
    spec = dataset.spec
    return seeded_teacher("resnet18", spec.image_size, spec.mean, spec.std, device, num_classes=spec.num_classes)


def several(
    table: ImageTable, teacher: nn.Module | None, config: EvaluateConfig, students: int, device: torch.device
) -> tuple[float, float, float]:
    """Return the seconds of students in turn and side by side, and how far their mean losses are apart at most."""
    prepared, steps = _prepared(device), len(batch_bounds(len(table), config.batch_size or len(table)))
    losses: list[dict[int, float]] = [{}, {}]

    def trained(records: Iterator[tuple[int, Any]], count: int, into: dict[int, float]) -> None:
        for number, record in islice(records, count):
            into[number] = record.loss

    def student(number: int, **how: Any) -> Any:
        return evaluate(table, table, teacher, config, seed=number, number=number, device=str(device), **how)

    alone_s = 0.0
    for number in range(students):
        records = by_turns({number: student(number)}, device)
        trained(records, prepared, losses[0])
        alone_s += seconds_of(partial(trained, records, steps - prepared, losses[0]), device)
    shared = shared_images(table, table, device)
    records = by_turns({number: student(number, shared=shared) for number in range(students)}, device)
    trained(records, students * prepared, losses[1])
    beside_s = seconds_of(partial(trained, records, students * (steps - prepared), losses[1]), device)
    return alone_s, beside_s, max(abs(losses[0][number] - losses[1][number]) for number in range(students))


def _prepared(device: torch.device) -> int:
    """Return how many first steps are left out: the libraries prepare themselves, and a CUDA graph is captured."""
    return WARM_UPS + 2 if device.type == "cuda" else 1


def side_by_side(
    table: ImageTable, teacher: nn.Module | None, config: EvaluateConfig, seed: int, device: torch.device
) -> tuple[float, float, float]:
    """Return the seconds of both trainings, and how far their mean losses are apart."""
    draws = draw_epoch(config, len(table), table.image_size, seed=seed, epoch=1)
    network = initial_student(config, table, seed).to(device).train()
    plain = train_as_published(network, teacher, table, config, draws, device)
    fast: Any = evaluate(table, table, teacher, config, seed=seed, device=str(device))
    losses: list[Any] = [next(plain)]
    steps = [next(fast)]  # the libraries prepare themselves
    sides = [Side(lambda _: losses.append(next(plain))), Side(lambda _: steps.append(next(fast)))]
    take_turns(sides, range(1, len(draws.share)), device)
    fast.close()
    gap = abs(sum(map(float, losses)) / len(losses) - steps[-1].loss)
    return sum(sides[0].seconds), sum(sides[1].seconds), gap


def train_as_published(
    network: nn.Module,
    teacher: nn.Module | None,
    table: ImageTable,
    config: EvaluateConfig,
    draws: EpochDraws,
    device: torch.device,
) -> Iterator[Tensor]:
    """Train a student, which is in train mode, for an epoch, and yield the loss of every step.

    Args:
        teacher: gives soft labels; None for hard ones.
        config: resolved, without RandAugment.
        draws: what happens to each image.
    """
    assert config.learning_rate is not None, "the settings are resolved"
    assert config.batch_size is not None, "the settings are resolved"
    weights = list(network.parameters())
    groups = [
        {"params": [weight for weight in weights if weight.ndim > 1], "weight_decay": config.weight_decay},
        {"params": [weight for weight in weights if weight.ndim <= 1], "weight_decay": 0.0},  # biases and BatchNorm
    ]
    optimizer = torch.optim.AdamW(groups, lr=config.learning_rate, betas=(0.9, 0.999), foreach=False)
    mean, std = (torch.tensor(values, device=device)[:, None, None] for values in (table.mean, table.std))
    for batch in draws.batches(config.batch_size):
        shown = []
        for row, index in enumerate(batch.order.tolist()):
            pixels = torch.from_numpy(table.image_u8[index]).permute(2, 0, 1).float() / 255
            top, left, height, width = batch.crop[row].tolist()
            pixels = pixels[:, top : top + height, left : left + width]
            pixels = F.interpolate(pixels[None], (table.image_size, table.image_size), mode="bilinear")[0]
            shown.append(pixels.flip(-1) if batch.flip[row] else pixels)
        images = (torch.stack(shown).to(device) - mean) / std
        labels = torch.from_numpy(table.labels)[batch.order].to(device)
        partner = batch.partner.to(device)
        top, left, height, width = batch.box
        mixed = images.clone()
        box = (..., slice(top, top + height), slice(left, left + width))
        mixed[box] = images[partner][box]
        logits = network(mixed)
        if teacher is None:
            own, other = F.cross_entropy(logits, labels), F.cross_entropy(logits, labels[partner])
            loss = batch.share * own + (1 - batch.share) * other
        else:
            with torch.no_grad():
                soft = F.log_softmax(teacher(mixed) / config.temperature, dim=1)
            student = F.log_softmax(logits / config.temperature, dim=1)
            loss = F.kl_div(student, soft, reduction="batchmean", log_target=True)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        yield loss.detach()
