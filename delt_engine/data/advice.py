"""What to know about one's own images before anything is made of them, each with what to do about it.

Source: ours; the limits are rules of thumb and named here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from delt_engine.data.dataset import Dataset
from delt_engine.data.folder import STANDARD_SIZES

FEW_TRAIN = 50
"""Training images of a class below which a teacher learns little of it."""

FEW_TEST = 20
"""Test images of a class below which its accuracy is coarse."""

UNEVEN = 5
"""How many times as large as the smallest the largest class may be."""

QUICK_SIZE = 64
"""Side in pixels up to which a processor without a GPU is quick enough to try things."""

_SAMPLE = 200


@dataclass(frozen=True)
class Advice:
    """One thing to know: how much it matters, in words, and the image size that would mend it where one would."""

    level: Literal["error", "warning", "info"]
    text: str
    image_size: int | None = None


def advice(data: Dataset, ipc: int, *, has_gpu: bool = False) -> tuple[Advice, ...]:
    """Return what matters for a run with ``ipc`` images per class, the worst first."""
    return (*_counts(data, ipc), *_resolution(data, has_gpu))


def _counts(data: Dataset, ipc: int) -> list[Advice]:
    names, found = data.spec.class_names, []
    train, test = (np.bincount(part.labels, minlength=len(names)) for part in (data.train, data.test))
    low, high = int(train.argmin()), int(train.argmax())
    if train[low] < ipc:
        below = int((train < ipc).sum())
        who = f"{names[low]} and {below - 1} more have" if below > 1 else f"{names[low]} has"
        text = f"{who} fewer training images ({train[low]}) than the {ipc} per class of a run."
        found.append(Advice("error", text))
    elif train[low] < FEW_TRAIN:
        text = f"{names[low]} has {train[low]} training images; with fewer than {FEW_TRAIN} a teacher learns little."
        found.append(Advice("warning", text))
    if train[high] > UNEVEN * max(1, train[low]):
        times = train[high] / max(1, train[low])
        text = f"{names[high]} has {times:.0f} times as many images as {names[low]}; the teacher will favour it."
        found.append(Advice("warning", text))
    if test.min() < FEW_TEST:
        images = "image" if test.min() == 1 else "images"
        text = f"{names[int(test.argmin())]} has {test.min()} test {images}, so that its accuracy is coarse."
        found.append(Advice("info", text))
    return found


def _resolution(data: Dataset, has_gpu: bool) -> list[Advice]:
    size, train = data.spec.image_size, data.train
    step = max(1, len(train) // _SAMPLE)
    sides = sorted(min(train.size(index)) for index in range(0, len(train), step))
    usual = sides[len(sides) // 2]
    if usual < size:
        smaller = max((side for side in STANDARD_SIZES if side <= usual), default=STANDARD_SIZES[0])
        text = f"Half of the images are at most {usual} px, but networks see {size} px: they are enlarged for nothing."
        return [Advice("warning", text, smaller)] if smaller < size else []
    if size > QUICK_SIZE and not has_gpu:
        times = (size / QUICK_SIZE) ** 2
        text = f"Without a GPU begin at {QUICK_SIZE} px: all work is about {times:.0f} times as quick as at {size} px."
        return [Advice("warning", text, QUICK_SIZE)]
    return []
