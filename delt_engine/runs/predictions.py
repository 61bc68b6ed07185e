"""What the teacher says of the images of a run, round by round: its five likeliest classes and the true one's share.

One small JSON file a class and round, ``predictions/<class folder>/round-NN.json``, whole or absent. An image that
waits is not looked at again: until it joins, what was said of its start holds. Images are given to the teacher whole
and as normalised as the loop gives them, without crop or flip, so numbers of two rounds can be compared.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from delt_engine import files
from delt_engine.runs.processes import alone
from delt_engine.runs.store import Run

TOP = 5
"""Classes saved of each prediction."""

GAP_ITERATIONS = 30
"""Least iterations between two looks, first and last apart. A look costs about 0.4 of an iteration of the same images
(measured: photos, ResNet-18, two CPU cores), so rounds cost about one percent of a run."""

_DIGITS = 5


@dataclass(frozen=True)
class Prediction:
    """What the teacher said of one image after one round, 0 the start: its likeliest classes, best first."""

    round_number: int
    true_class_prob: float
    classes: tuple[int, ...]
    probs: tuple[float, ...]


def is_due(round_number: int, round_iterations: int, num_rounds: int) -> bool:
    """Return whether the teacher is asked after a round: always at the end, else every :data:`GAP_ITERATIONS`.

    >>> [number for number in range(1, 9) if is_due(number, 10, 8)], is_due(3, 50, 8)
    ([3, 6, 8], True)
    """
    every = -(-GAP_ITERATIONS // round_iterations)
    return round_number == num_rounds or round_number % every == 0


def predictions_path(run: Run, class_index: int, round_number: int) -> Path:
    """Return where the predictions of a class after a round are or will be."""
    return run.path / "predictions" / run.class_folder(class_index) / f"round-{round_number:02d}.json"


def write_predictions(run: Run, slots: Sequence[tuple[int, int]], probabilities: np.ndarray, round_number: int) -> None:
    """Write what the teacher says of some images; those of other batches in the same file stay.

    Args:
        slots: (class index, index within the class) of each image.
        probabilities: float (n, classes), rows sum to 1.

    Raises:
        RunError: the files cannot be written.
    """
    likeliest = np.argsort(-probabilities, axis=1, kind="stable")[:, :TOP]
    by_class: dict[int, dict[str, Any]] = {}
    for (class_index, index), row, top in zip(slots, probabilities, likeliest, strict=True):
        by_class.setdefault(class_index, {})[str(index)] = {
            "true": round(float(row[class_index]), _DIGITS),
            "classes": top.tolist(),
            "probs": [round(float(value), _DIGITS) for value in row[top]],
        }
    for class_index, images in by_class.items():
        path = predictions_path(run, class_index, round_number)
        with alone(run.path, str(class_index)):
            data = json.dumps({"images": {**_images(path), **images}}, separators=(",", ":"))
            files.write_bytes(path, data.encode())


def read_round(run: Run, class_index: int, round_number: int) -> dict[int, Prediction]:
    """Return what was said of each image of a class after a round, by index; empty when there is no such record."""
    found = {}
    for index, said in _images(predictions_path(run, class_index, round_number)).items():
        with contextlib.suppress(KeyError, TypeError, ValueError, OverflowError):  # one that is damaged is not shown
            classes, probs = tuple(map(int, said["classes"])), tuple(map(float, said["probs"]))
            if len(classes) == len(probs):
                found[int(index)] = Prediction(round_number, float(said["true"]), classes, probs)
    return found


def rounds_predicted(run: Run, class_index: int) -> list[int]:
    """Return the rounds of a class at which the teacher was asked, in order."""
    folder = predictions_path(run, class_index, 0).parent
    names = (re.fullmatch(r"round-(\d+)\.json", path.name) for path in folder.glob("round-*.json"))
    return sorted(int(name.group(1)) for name in names if name)


def predictions_of(run: Run, class_index: int, index: int) -> tuple[Prediction, ...]:
    """Return all that was said of one image, round after round; rounds in which it waited are left out."""
    rounds = (read_round(run, class_index, number) for number in rounds_predicted(run, class_index))
    return tuple(said[index] for said in rounds if index in said)


def likeliest_classes(said: Sequence[Prediction], true_class: int) -> dict[int, list[float | None]]:
    """Return how the likeliest classes of an image fared over the rounds, the true one first.

    Returns:
        By class the probability at each of ``said``, None where it was not among the likeliest; besides the true
        class the :data:`TOP` that were ever the likeliest, by their best.
    """
    best: dict[int, float] = {}
    for entry in said:
        for class_index, prob in zip(entry.classes, entry.probs, strict=True):
            best[class_index] = max(prob, best.get(class_index, 0.0))
    others = sorted((number for number in best if number != true_class), key=lambda number: -best[number])[:TOP]
    tables = [dict(zip(entry.classes, entry.probs, strict=True)) for entry in said]
    rows: dict[int, list[float | None]] = {true_class: [entry.true_class_prob for entry in said]}
    return rows | {number: [table.get(number) for table in tables] for number in others}


def last_probabilities(run: Run, class_index: int) -> dict[int, float]:
    """Return the teacher's probability of the true class as last measured, by index of the image."""
    found: dict[int, float] = {}
    for number in reversed(rounds_predicted(run, class_index)):
        for index, said in read_round(run, class_index, number).items():
            found.setdefault(index, said.true_class_prob)
        if len(found) >= run.experiment.recover.ipc:
            break
    return found


def _images(path: Path) -> dict[str, Any]:
    """Return the entries of a file; none when it is missing or damaged, since it can always be made again."""
    found = files.read_json(path)
    images = found.get("images") if isinstance(found, dict) else None
    return images if isinstance(images, dict) else {}
