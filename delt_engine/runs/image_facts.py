"""Numbers to sort, group and filter the images of a class by, and pictures of how far an image has come.

Only the class that is asked for is read, of its snapshots only the last, so it costs the same in a run of a thousand
classes. Shapes: n images of a class, S side in pixels; all uint8 numpy.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import numpy as np

from delt_engine.analysis.similarity import halves
from delt_engine.errors import RunError
from delt_engine.patches.selection import SelectedImage, read_selection, selection_of_classes
from delt_engine.runs.predictions import last_probabilities
from delt_engine.runs.store import Run

SORTS = {
    "start": "Start round",
    "iterations": "Iterations",
    "patch": "Teacher's probability, patch",
    "end": "Teacher's probability, image",
    "distance": "Distance to the class mean",
}
"""What images can be sorted by, in words. The distance is in pixels, see :func:`mean_distances`."""


@dataclass(frozen=True)
class ImageFacts:
    """One image in numbers, by ``index`` in its class, the order of joining; None where a run has no such number.

    ``start_round`` counts from 1. ``patch`` and ``end`` are the teacher's true-class probability of its patch (the
    mean over those of a mosaic) and as last measured; ``distance`` as in :func:`mean_distances`.
    """

    index: int
    start_round: int
    iterations: int
    patch: float | None = None
    end: float | None = None
    distance: float | None = None


def selected_of(run: Run, class_index: int) -> tuple[SelectedImage, ...]:
    """Return where the images of one class came from; empty for runs without patches.

    Raises:
        DataError: the selection is damaged.
    """
    path = run.path / "selection.csv"
    return read_selection(path, class_index) if path.is_file() else ()


def selected_by_class(run: Run) -> Callable[[int], tuple[SelectedImage, ...]]:
    """Return what gives :func:`selected_of` for one class after another, of a file that is read once."""
    path = run.path / "selection.csv"
    return selection_of_classes(path) if path.is_file() else lambda _class_index: ()


def image_facts(run: Run, class_index: int) -> tuple[ImageFacts, ...]:
    """Return the numbers of each image of a class, in the order of joining.

    Raises:
        RunError: there is no such class, or its last snapshot cannot be read.
    """
    schedule = run.experiment.recover.schedule
    patches = {image.index: mean_prob(image) for image in selected_of(run, class_index)}
    ends = last_probabilities(run, class_index)
    written = run.rounds_written(class_index)
    distances = mean_distances(run.snapshot_images(class_index, written[-1])).tolist() if written else []
    return tuple(
        ImageFacts(
            index=index,
            start_round=start,
            iterations=iterations,
            patch=patches.get(index),
            end=ends.get(index),
            distance=distances[index] if index < len(distances) else None,
        )
        for index, (start, iterations) in enumerate(
            zip(schedule.start_rounds, schedule.image_iterations_each, strict=True)
        )
    )


def mean_prob(image: SelectedImage) -> float:
    """Return the mean of the teacher's true-class probability over an image's patches."""
    return sum(patch.true_class_prob for patch in image.patches) / max(1, len(image.patches))


def mean_distances(images_u8: np.ndarray) -> np.ndarray:
    """Return how far each image, uint8 (n, S, S, 3), is from the mean image: root mean squared difference, in 0..255.

    >>> mean_distances(np.array([0, 0, 90], np.uint8).reshape(3, 1, 1, 1)).tolist()
    [30.0, 30.0, 60.0]
    """
    images = images_u8.astype(np.float32)
    return np.sqrt(((images - images.mean(0)) ** 2).mean((1, 2, 3), dtype=np.float64))


def ordered(facts: Sequence[ImageFacts], sort: str, *, descending: bool = False) -> list[ImageFacts]:
    """Return images sorted by one of :data:`SORTS`; equal ones by joining, those without the number last."""
    name = {"start": "start_round"}.get(sort, sort)
    known = [entry for entry in facts if getattr(entry, name) is not None]
    sign = -1 if descending else 1
    known.sort(key=lambda entry: (sign * getattr(entry, name), entry.index))
    return known + [entry for entry in facts if getattr(entry, name) is None]


def early_and_late(facts: Sequence[ImageFacts]) -> tuple[list[ImageFacts], list[ImageFacts]]:
    """Split all images of a class by joining, as :func:`delt_engine.analysis.similarity.halves` does for figures."""
    by_joining = sorted(facts, key=lambda entry: (entry.start_round, entry.index))
    early, late = halves(len(by_joining))
    return by_joining[: early.stop], by_joining[late.start :]


def matching(
    facts: Sequence[ImageFacts], start_rounds: Collection[int] = (), **bounds: tuple[float, float]
) -> list[ImageFacts]:
    """Return the images that start in given rounds, any when empty, and lie within all bounds.

    Bounds are the lowest and the highest value by name, as ``end=(0.2, 0.9)``; images without the number are out.
    """

    def fits(entry: ImageFacts) -> bool:
        values = ((getattr(entry, name), low, high) for name, (low, high) in bounds.items())
        return all(value is not None and low <= value <= high for value, low, high in values)

    return [entry for entry in facts if (not start_rounds or entry.start_round in start_rounds) and fits(entry)]


def difference_image(image_u8: np.ndarray, start_u8: np.ndarray) -> tuple[np.ndarray, int]:
    """Return what optimisation changed of uint8 (S, S, 3), as a picture on a symmetric scale.

    Returns:
        uint8 (S, S, 3): grey 128 where nothing changed, lighter where a channel grew, darker where it shrank; and the
        largest change of 255, which is drawn as white or black.

    Raises:
        RunError: the shapes differ.

    >>> difference_image(np.full((1, 1, 3), 60, np.uint8), np.array([[[60, 20, 100]]], np.uint8))
    (array([[[128, 255,   1]]], dtype=uint8), 40)
    """
    if image_u8.shape != start_u8.shape:
        raise RunError(f"difference: images of shapes {image_u8.shape} and {start_u8.shape} cannot be compared.")
    change = image_u8.astype(np.int16) - start_u8
    largest = int(np.abs(change).max(initial=0))
    return np.round(128 + change * (127 / max(largest, 1))).astype(np.uint8), largest
