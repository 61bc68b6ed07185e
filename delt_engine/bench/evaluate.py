"""Measure the training of students: plain code and the engine's, step by step in turns, with the same random draws.

A rate is images a second that a student was trained on; testing is left out on both sides.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

import torch
from torch import nn

from delt_engine.bench.cases import named
from delt_engine.bench.plain_students import train_as_published
from delt_engine.config import EvaluateConfig
from delt_engine.data.catalogue import load_dataset
from delt_engine.models.teachers import load_teacher
from delt_engine.seeding import generator
from delt_engine.training.draws import draw_epoch
from delt_engine.training.image_table import ImageTable, real
from delt_engine.training.students import evaluate, initial_student

BATCH = 50

Report = Callable[[str, int, int], None]


@dataclass(frozen=True)
class EvaluateCase:
    """One line of the benchmark: a student of a quarter-width ResNet-18 on the built-in photographs."""

    name: str
    title: str
    has_teacher: bool


CASES = (
    EvaluateCase("photos-soft", "quarter-width ResNet-18, 32 px, the teacher's labels on the fly", has_teacher=True),
    EvaluateCase("photos-hard", "quarter-width ResNet-18, 32 px, hard labels", has_teacher=False),
)


@dataclass(frozen=True)
class EvaluateResult:
    """What was measured of one case; rates are images a second.

    ``max_abs_diff`` is between the mean losses of the steps, which both trainings compute from the same draws.
    """

    case: str
    title: str
    device: str
    threads: int
    plain_rate: float
    fast_rate: float
    ratio: float
    max_abs_diff: float

    def to_record(self) -> dict[str, Any]:
        """Return it as plain values."""
        return asdict(self)


def find_cases(names: Sequence[str]) -> tuple[EvaluateCase, ...]:
    """Return the cases of some names, all when none is given.

    Raises:
        ConfigError: there is no such case.
    """
    return named(CASES, names) or CASES


def bench_evaluate(
    cases: Sequence[EvaluateCase], *, quick: bool, rounds: int, device: torch.device, report: Report | None = None
) -> Iterator[EvaluateResult]:
    """Measure cases.

    Args:
        cases: what to measure.
        quick: four steps a round in place of ten.
        rounds: how often each is measured; medians are told.
        device: where.
        report: told what is measured, how many cases are done, and of how many.
    """
    for done, case in enumerate(cases):
        if report:
            report(case.title, done, len(cases))
        yield _measured(case, BATCH * (4 if quick else 10), rounds, device)


def _measured(case: EvaluateCase, count: int, rounds: int, device: torch.device) -> EvaluateResult:
    dataset = load_dataset("photos")
    whole = real(dataset)
    order = torch.randperm(len(whole), generator=generator(0, "bench", "students"))[:count].numpy()
    table = ImageTable(whole.image_u8[order], whole.labels[order], whole.class_names, whole.mean, whole.std)
    teacher = load_teacher("photos", dataset=dataset, device=str(device)).network if case.has_teacher else None
    kind = {} if case.has_teacher else {"labels": "hard", "loss": "ce"}
    config = EvaluateConfig.for_recipe(
        "delt",
        epochs=1,
        student="resnet18",
        student_width=0.25,
        student_stem="small",
        batch_size=BATCH,
        learning_rate=1e-3,
        rand_augment="none",
        ema_decay=0.0,
        precision="float32",
        **kind,
    ).at_size(table.image_size)
    runs = [_side_by_side(table, teacher, config, seed, device) for seed in range(rounds)]
    plain, fast, gaps = zip(*runs, strict=True)
    trained = count - BATCH  # the first step of each is its warm-up
    return EvaluateResult(
        case.name,
        case.title,
        str(device),
        torch.get_num_threads(),
        trained / median(plain),
        trained / median(fast),
        median(p / f for p, f in zip(plain, fast, strict=True)),
        max(gaps),
    )


def _side_by_side(
    table: ImageTable, teacher: nn.Module | None, config: EvaluateConfig, seed: int, device: torch.device
) -> tuple[float, float, float]:
    """Return the seconds of both trainings, and how far their mean losses are apart."""
    draws = draw_epoch(config, len(table), table.image_size, seed=seed, epoch=1)
    network = initial_student(config, table, seed).to(device).train()
    plain = train_as_published(network, teacher, table, config, draws, device)
    fast = evaluate(table, table, teacher, config, seed=seed, device=str(device))
    steps, seconds, losses = len(draws.share), [0.0, 0.0], []
    for step in range(steps):
        for side, loop in enumerate((plain, fast)):
            began = time.perf_counter()
            found = next(loop)
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            if step:
                seconds[side] += time.perf_counter() - began
            if side == 0:
                losses.append(float(found))
    fast.close()
    return seconds[0], seconds[1], abs(sum(losses) / steps - found.loss)
