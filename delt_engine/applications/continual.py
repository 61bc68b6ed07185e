"""Class-incremental learning with a set of images as memory: a generator of records, without files.

The classes come in steps. After each step a new student is trained from scratch on the memory of all classes seen so
far and tested on the real test images of these classes alone, so that chance is one in the number of classes seen.

Source: DELT Sec. 4.7, Fig. 8; CDA Sec. 3.8, Fig. 7, Tables 14 and 15, which follow Zhao et al.'s code; there GDumb
(Prabhu et al. 2020): a new network a step, trained on the memory alone.
Differs: GDumb keeps its memory at one size and so drops images of old classes; here, as in the papers' sets, every
class brings a fixed number of images. The papers print neither order, nor epochs, nor labels: orders are drawn from
seeds here, students go by an evaluation recipe, and soft labels are the teacher's softmax over the classes seen. That
teacher was trained on all classes at once, as the one that the papers' images were made with; hard labels ask nobody.

Shapes: N images, C classes seen so far.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import nn

from delt_engine.config.students import EvaluateConfig
from delt_engine.errors import ConfigError
from delt_engine.seeding import generator
from delt_engine.training.image_table import ImageTable
from delt_engine.training.records import StudentResult, StudentStep
from delt_engine.training.students import evaluate


@dataclass(frozen=True)
class LearnStep:
    """How far the student of a step is: ``step`` from 1, and training steps done of all of this student."""

    step: int
    done: int
    total: int


@dataclass(frozen=True)
class StepResult:
    """What was reached after a step of the classes.

    Attributes:
        step: from 1.
        classes: that came with it, by name.
        seen: number of classes so far.
        images: in the memory.
        top1: after the last epoch, in percent, on the real test images of the classes seen.
        per_class: likewise of each class, in the order they came.
        seconds: of training and testing.
    """

    step: int
    classes: tuple[str, ...]
    seen: int
    images: int
    top1: float
    per_class: tuple[float, ...]
    seconds: float


def class_order(num_classes: int, seed: int) -> tuple[int, ...]:
    """Return the order that the classes come in, which follows from the seed alone."""
    return tuple(torch.randperm(num_classes, generator=generator(seed, "class-order")).tolist())


def class_steps(order: Sequence[int], steps: int) -> tuple[tuple[int, ...], ...]:
    """Return the classes of each step; the first steps have one more where they cannot be equal.

    Raises:
        ConfigError: more steps than classes, or none.

    >>> class_steps((3, 1, 0, 2, 4), 2)
    ((3, 1, 0), (2, 4))
    """
    if not 1 <= steps <= len(order):
        raise ConfigError(f"steps: {steps} given, but it must be from 1 to {len(order)}, the number of classes.")
    least, more = divmod(len(order), steps)
    ends = [number * least + min(number, more) for number in range(steps + 1)]
    return tuple(tuple(order[begin:end]) for begin, end in zip(ends, ends[1:], strict=False))


def of_classes(table: ImageTable, classes: Sequence[int]) -> ImageTable:
    """Return the images of some classes, labels counted in the order of ``classes``; images stay in their order."""
    position = np.full(len(table.class_names), -1, dtype=np.int64)
    position[list(classes)] = np.arange(len(classes))
    labels = position[table.labels]
    rows = np.flatnonzero(labels >= 0)
    return replace(
        table,
        image_u8=table.image_u8[rows],
        labels=labels[rows],
        class_names=tuple(table.class_names[one] for one in classes),
    )


def learn(
    train: ImageTable,
    test: ImageTable,
    labeller: Callable[[Sequence[str]], nn.Module] | None,
    training: EvaluateConfig,
    *,
    steps: int,
    seed: int,
    device: torch.device,
    done: int = 0,
) -> Iterator[LearnStep | StepResult]:
    """Learn the classes of a table step after step.

    Args:
        train: the images of all classes.
        test: the real test images of the same classes in the same order.
        labeller: returns the network that labels images of the classes named, its logits in their order; None for
            hard labels.
        training: of each student, resolved for the whole table; a batch is never larger than the memory.
        steps: groups of classes.
        seed: of the class order and of every student.
        device: of the work.
        done: steps that are finished and passed over; the ones after them give the same as if none was.

    Yields:
        LearnStep after every training step, StepResult after every step of the classes. A single class is not
        trained on: with one answer, every answer is right.

    Raises:
        ConfigError: more steps than classes, or a loss that is not finite any more.
        DataError: classes of train and test differ, or the memory has fewer than two images.
    """
    groups = class_steps(class_order(len(train.class_names), seed), steps)
    for number in range(done, steps):
        began, seen = time.monotonic(), [one for group in groups[: number + 1] for one in group]
        memory, tests = of_classes(train, seen), of_classes(test, seen)
        top1: float = 100.0
        per_class: tuple[float, ...] = (100.0,)
        if len(seen) > 1:
            for record in evaluate(
                memory,
                tests,
                labeller(memory.class_names) if labeller else None,
                training.replace(batch_size=min(training.batch_size or len(memory), len(memory)), seeds=1),
                seed=seed,
                device=device,
            ):
                if isinstance(record, StudentStep):
                    done_steps = (record.epoch - 1) * record.steps + record.step
                    yield LearnStep(number + 1, done_steps, record.epochs * record.steps)
                elif isinstance(record, StudentResult):
                    top1, per_class = record.top1_last, record.per_class
        yield StepResult(
            step=number + 1,
            classes=tuple(train.class_names[one] for one in groups[number]),
            seen=len(seen),
            images=len(memory),
            top1=top1,
            per_class=tuple(per_class),
            seconds=round(time.monotonic() - began, 3),
        )
