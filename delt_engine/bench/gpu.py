"""Everything that a card is asked for: is it right, how fast is each stage, what does a row cost.

First the same recovery on the CPU, plainly, and on the card as ``auto`` computes it there, in float32 without TF32 and
in bfloat16: a card whose results are wrong fails there, and its rates mean nothing. Then recovery at 224 px and, in
packed batches, at 32 px, students (one beside published code, and three side by side beside the same three in turn),
and a squeeze, each in its own measure; and from these the time of the CIFAR-10 row
of DELT Table 1 at IPC 50: teacher, images and three students.

A dry run takes small cases on the CPU in their place, steps with static shapes included, to show that the command
works.

Figures beside those of :mod:`delt_engine.bench.recovery`:
    float32_error, bfloat16_error: relative error of the start images' gradient on the device, against float64.
    loss_gap_percent: of the total loss after ten iterations in float32.
    no_graph: why steps were not replayed by a CUDA graph; empty where they were.
    squeeze_s, recover_s, students_s: what the row's stages take at the measured rates; its rate is rows an hour.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from typing import Any

import torch

from delt_engine.bench.cases import (
    CASES,
    DRY_CASES,
    DRY_STUDENT,
    DRY_STUDENTS,
    GPU_CASES,
    GPU_STUDENT,
    GPU_STUDENTS,
    Case,
    Named,
    named,
)
from delt_engine.bench.evaluate import bench_evaluate
from delt_engine.bench.harness import Measured, Report, seconds_of
from delt_engine.bench.material import Material, material
from delt_engine.bench.recovery import bench_recovery, gradient_errors
from delt_engine.config import Experiment, RecoverConfig, SqueezeConfig
from delt_engine.data.catalogue import load_dataset
from delt_engine.papers.recipes import published_experiment
from delt_engine.recovery.speed import FastPath, choose
from delt_engine.training.squeeze import squeeze

ITERATIONS = 10
LARGEST_ERRORS = {"float32": 1e-3, "bfloat16": 0.3}
"""Relative error of a gradient from which a device counts as wrong; ours: a CPU has 1e-6 and 5e-2."""
LARGEST_LOSS_GAP = 2.0
"""Per cent of the loss after ten iterations."""

_PREPARED, _TIMED, _DRY_TIMED = 5, 30, 3
_CIFAR_TRAIN, _CIFAR_CLASSES = 50_000, 10
"""Training images and classes of CIFAR-10."""


def bench_gpu(*, device: torch.device, dry: bool, report: Report | None = None) -> Iterator[Measured]:
    """Yield what is measured, in order; of a dry run small cases.

    Args:
        device: a CUDA device, or with ``dry`` any.
    """
    parts = ("correctness", "recovery", "students", "squeeze", "row")

    def tell(number: int) -> None:
        if report:
            report(parts[number], number, len(parts))

    tell(0)
    yield correctness(device)
    tell(1)
    cases = DRY_CASES if dry else named(CASES, GPU_CASES)
    found = list(bench_recovery(cases, quick=dry, rounds=1, device=device))
    yield from found
    tell(2)
    kinds = (DRY_STUDENT, DRY_STUDENTS) if dry else (GPU_STUDENT, GPU_STUDENTS)
    _, students = measured = list(bench_evaluate(kinds, quick=dry, rounds=1, device=device))
    yield from measured
    tell(3)
    teachers = squeeze_rate(device, dry=dry)
    yield teachers
    tell(4)
    yield projected_row(teachers, found[-1], students)


def correctness(device: torch.device) -> Measured:
    """Recover the same images on the CPU, plainly, and on the device as ``auto`` computes on a card."""
    config = RecoverConfig(ipc=10, batch_size=20, iterations=ITERATIONS, round_iterations=ITERATIONS // 2)
    case, cpu = Case("correctness", "the same recovery on the CPU and on the device", network=""), torch.device("cpu")
    before, torch.backends.cudnn.allow_tf32 = torch.backends.cudnn.allow_tf32, False
    try:
        given, moved = (material(case, config, place) for place in (cpu, device))
        path = replace(choose(config.replace(static_shapes="on"), device.type, 32), precision="float32", pack=1)
        errors = gradient_errors(moved, [path, replace(path, precision="bfloat16")])[1:]
        (plain, plain_s), (fast, fast_s) = _taken(given, FastPath(), cpu), _taken(moved, path, device)
    finally:
        torch.backends.cudnn.allow_tf32 = before
    loss_gap = 100 * abs(float(fast.total_loss) - float(plain.total_loss)) / abs(float(plain.total_loss))
    gaps = (fast.state.images.cpu() - plain.state.images).abs()
    work = config.schedule.image_iterations(2)
    return Measured(
        case.name,
        case.title,
        str(device),
        torch.get_num_threads(),
        plain_rate=work / plain_s,
        fast_rate=work / fast_s,
        ratio=plain_s / fast_s,
        max_abs_diff=gaps.max().item(),
        figures={
            "float32_error": errors[0],
            "bfloat16_error": errors[1],
            "loss_gap_percent": loss_gap,
            "no_graph": fast.no_graph if path.graph else "not asked for",
        },
        failed=_wrong(errors[0], errors[1], loss_gap),
    )


def _wrong(float32_error: float, bfloat16_error: float, loss_gap: float) -> tuple[str, ...]:
    """Return why the device counts as wrong; a NaN does."""
    found = zip(LARGEST_ERRORS.items(), (float32_error, bfloat16_error), strict=True)
    failed = [
        f"the gradient in {precision} is {error:.1e} off, where {most:g} is the most."
        for (precision, most), error in found
        if not error <= most
    ]
    if not loss_gap <= LARGEST_LOSS_GAP:
        failed.append(f"the loss is {loss_gap:.2g} % off, where {LARGEST_LOSS_GAP:g} % is the most.")
    return tuple(failed)


def _taken(given: Material, path: FastPath, device: torch.device) -> tuple[Any, float]:
    """Return the last step of a recovery, and its seconds."""
    steps: list[Any] = []
    seconds = seconds_of(lambda: steps.extend(given.fast(path)), device)
    return steps[-1], seconds


def squeeze_rate(device: torch.device, *, dry: bool) -> Measured:
    """Measure the training of a teacher: images a second of its steps, the first ones left out."""
    dataset = load_dataset("cifar10-mini")
    config = SqueezeConfig(batch_size=256, width=0.25 if dry else 1.0, epochs=100)
    prepared, timed = (1, _DRY_TIMED) if dry else (_PREPARED, _TIMED)
    steps: Any = squeeze(dataset, config, device=device, after_epoch=lambda _network, _epoch: None)
    list(islice(steps, prepared))
    seconds = seconds_of(lambda: list(islice(steps, timed)), device)
    steps.close()
    title = f"a squeeze: ResNet-18 of width {config.width:g}, 32 px"
    return _alone(Named("squeeze", title), device, timed * config.batch_size / seconds)


def projected_row(teachers: Measured, images: Measured, students: Measured) -> Measured:
    """Return what the CIFAR-10 row of DELT Table 1 at IPC 50 takes at measured rates."""
    row: Experiment = published_experiment("delt", "cifar10", "delt", ipc=50).experiment
    work = row.recover.schedule.image_iterations(_CIFAR_CLASSES)
    shown = row.evaluate.epochs * row.evaluate.seeds * row.recover.ipc * _CIFAR_CLASSES
    seconds = {
        "squeeze_s": row.squeeze.epochs * _CIFAR_TRAIN / teachers.fast_rate,
        "recover_s": work / images.fast_rate,
        "students_s": shown / students.fast_rate,
    }
    case = Named("cifar10-row", "the CIFAR-10 row at IPC 50, projected: teacher, images, three students")
    return _alone(case, teachers.device, 3600 / sum(seconds.values()), **seconds)


def _alone(case: Named, device: torch.device | str, rate: float, **figures: Any) -> Measured:
    threads = torch.get_num_threads()
    return Measured(case.name, case.title, str(device), threads, None, rate, None, None, figures)
