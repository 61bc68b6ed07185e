"""Measure the training of students: plain code and the engine's, step by step in turns, with the same random draws.

A rate is images a second that a student was trained on; testing is left out on both sides, and so is the first step
of each training. The largest difference is between the mean losses, which both compute from the same draws.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import nn

from delt_engine.bench.cases import EvaluateCase
from delt_engine.bench.harness import Measured, Report, Side, each_case, measured, take_turns
from delt_engine.bench.plain_students import train_as_published
from delt_engine.config import EvaluateConfig
from delt_engine.data.catalogue import load_dataset
from delt_engine.models.teachers import load_teacher
from delt_engine.seeding import generator
from delt_engine.training.draws import draw_epoch
from delt_engine.training.image_table import ImageTable, real
from delt_engine.training.students import evaluate, initial_student

BATCH = 50


def bench_evaluate(
    cases: Sequence[EvaluateCase], *, quick: bool, rounds: int, device: torch.device, report: Report | None = None
) -> Iterator[Measured]:
    """Measure cases: ten steps a round, four with ``quick``."""
    dataset = load_dataset("photos")
    whole, count = real(dataset), BATCH * (4 if quick else 10)
    order = torch.randperm(len(whole), generator=generator(0, "bench", "students"))[:count].numpy()
    table = ImageTable(whole.image_u8[order], whole.labels[order], whole.class_names, whole.mean, whole.std)
    for case in each_case(cases, report):
        teacher = load_teacher("photos", dataset=dataset, device=str(device)).network if case.has_teacher else None
        config = EvaluateConfig.for_recipe(
            "delt" if case.has_teacher else "hard",
            epochs=1,
            student="resnet18",
            student_width=0.25,
            student_stem="small",
            batch_size=BATCH,
            learning_rate=1e-3,
            rand_augment="none",
            precision="float32",
        ).at_size(table.image_size)
        runs = [side_by_side(table, teacher, config, seed, device) for seed in range(rounds)]
        plain_s, fast_s, gaps = zip(*runs, strict=True)
        yield measured(case, device, plain_s, fast_s, work=count - BATCH, max_abs_diff=max(gaps))


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
