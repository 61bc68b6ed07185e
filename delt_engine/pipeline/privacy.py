"""The nearest-neighbour test of a run's images: found where it was made before, else made.

Looking for a stored test is torch-free; :func:`look_up` makes and stores it, in both spaces at once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from delt_engine.analysis.diversity_store import short_hash, stored, stored_path
from delt_engine.analysis.embedding import spread_choice
from delt_engine.analysis.privacy import Neighbours, PrivacyResult, neighbours
from delt_engine.analysis.similarity import pixel_vectors
from delt_engine.errors import CheckpointError
from delt_engine.pipeline.image_sets import Report, Subject, class_images, load_data, of_run
from delt_engine.pipeline.measure import SEED, SpaceNetwork, space_network, vectors_in
from delt_engine.runs.store import Run

if TYPE_CHECKING:
    from delt_engine.data.dataset import Dataset, ImageSet
    from delt_engine.patches.selection import SelectedImage

SPACES = ("pixels", "second")
MOST_IMAGES, TEST_IMAGES = 2000, 500
"""Synthetic images that are looked at, as many of each class, and test images beside them."""

LARGEST = 64
"""Side in pixels to which larger images are averaged before pixels are compared, as copy detection does."""

Vectors = Callable[[np.ndarray], np.ndarray]
_BLOCK = 256

_COMPARE_S, _READ_S = 1.5e-9, 1e-7
"""Seconds for a pixel of a real image and each image asked about, and to read and look at a pixel in both spaces; ours,
on two cores."""


def stored_tests(run: Run, network: str = "") -> dict[str, PrivacyResult]:
    """Return what was measured before, by space; torch-free.

    Raises:
        RunError: it is no finished recovery.
    """
    subject = of_run(run)
    found = {}
    for space in SPACES:
        path = stored_file(subject, space, network)
        result = stored(path.stem, PrivacyResult.load) if path else None
        if result is not None:
            found[space] = result
    return found


def misses_a_space(run: Run, found: Mapping[str, PrivacyResult]) -> bool:
    """Return whether a space that can be measured here is not among the tests that were found."""
    subject = of_run(run)
    return any(space not in found and stored_file(subject, space) for space in SPACES)


def stored_file(subject: Subject, space: str, network: str = "") -> Path | None:
    """Return where a test of this user is or will be; None where its network is missing."""
    try:
        used = space_network(subject, space, network)
    except CheckpointError:
        return None
    return stored_path(short_hash(["privacy", PrivacyResult.FORMAT, subject.key, used.fingerprint, MOST_IMAGES]))


def look_up(
    run: Run, *, network: str = "", device: str = "auto", report: Report | None = None
) -> tuple[dict[str, PrivacyResult], str]:
    """Return the test in each space, made now unless it is known, and why a space is missing, "" where none is.

    Raises:
        RunError: it is no finished recovery, or an image cannot be read.
        DataError: the dataset is not here, or is another one.
    """
    found, subject = stored_tests(run, network), of_run(run)
    reason = _why_no_network(subject, network)
    wanted = [space for space in SPACES if space not in found and not (space == "second" and reason)]
    if wanted:
        data, began, asked = load_data(subject, report), time.monotonic(), _Asked.of(run, subject)
        made = {space: asked.compare(data, space, network, device, report) for space in wanted}
        seconds = round(time.monotonic() - began, 1)
        for space, result in made.items():
            found[space] = asked.record(data, space, network, result, seconds)
            path = stored_file(subject, space, network)
            assert path is not None  # a network that is missing was left out above
            found[space].save(path)
    return {space: found[space] for space in SPACES if space in found}, reason


def seconds_needed(run: Run, real_images: int) -> float:
    """Return about how long the test takes, without reading the data."""
    record = run.record()
    total = len(run.classes) * record.experiment.recover.ipc
    asked = 2 * min(total, MOST_IMAGES) + TEST_IMAGES
    side = run.image_size or LARGEST
    read = 2 * _READ_S * side**2 * real_images
    return 2.0 + read + _COMPARE_S * min(side, LARGEST) ** 2 * real_images * asked


def _why_no_network(subject: Subject, network: str) -> str:
    try:
        space_network(subject, "second", network)
    except CheckpointError as error:
        return str(error)
    return ""


class _Asked:
    """The images of a run that are asked about, with what each started from."""

    def __init__(self, run: Run, subject: Subject) -> None:
        self.run, self.subject = run, subject
        counts = [each.available for each in class_images(subject)]
        each_of = spread_choice(counts, min(MOST_IMAGES, sum(counts)), SEED)
        self.total = sum(counts)
        self.chosen = [(c, int(i)) for c, own in zip(subject.classes, each_of, strict=True) for i in own]
        self.selected: list[SelectedImage | None] = [None] * len(self.chosen)

    @classmethod
    def of(cls, run: Run, subject: Subject) -> _Asked:
        """Return the images of a run; those that started from noise have no source."""
        asked = cls(run, subject)
        if (run.path / "selection.csv").is_file() and run.experiment.recover.initialization == "patches":
            known = {(one.class_index, one.index): one for one in run.selection()}
            asked.selected = [known.get(which) for which in asked.chosen]
        return asked

    @property
    def sources(self) -> list[tuple[int, ...]]:
        """Training images that each started from, none twice."""
        return [
            tuple(dict.fromkeys(patch.image_index for patch in one.patches)) if one else () for one in self.selected
        ]

    def compare(
        self, data: Dataset, space: str, network: str, device: str, report: Report | None
    ) -> tuple[Neighbours, int]:
        """Return the neighbours of the images, then of their starts, then of test images; and how many are starts."""
        from delt_engine.patches.selection import patch_pixels

        used = space_network(self.subject, space, network)
        vectors = _in_pixels(data) if space == "pixels" else vectors_in(self.subject, space, used, device)
        read = {each.class_index: each.read for each in class_images(self.subject)}
        rows, started = _test_rows(data.test), [one for one in self.selected if one]
        asked = np.concatenate(
            [
                *_by_block(self.chosen, lambda own: vectors(np.concatenate([read[c](np.array([i])) for c, i in own]))),
                *_by_block(started, lambda own: vectors(np.stack([patch_pixels(data, one) for one in own]))),
                *_by_block(rows.tolist(), lambda own: vectors(data.test.pixels(own))),
            ]
        )
        sources = [*self.sources, *(own for own in self.sources if own), *[()] * len(rows)]
        told = {"report": partial(report, f"compare {space}")} if report else {}
        found = neighbours(asked, sources, lambda block: vectors(data.train.pixels(block)), len(data.train), **told)
        return found, len(started)

    def record(
        self, data: Dataset, space: str, network: str, made: tuple[Neighbours, int], seconds: float
    ) -> PrivacyResult:
        """Return the test as it is stored."""
        found, starts = made
        n, used, schedule = len(self.chosen), self._used(space, network), self.run.experiment.recover.schedule
        start_rank = np.zeros(n, np.int64)
        start_rank[[at for at, one in enumerate(self.selected) if one]] = found.source_rank[n : n + starts]
        index = [i for _, i in self.chosen]
        return PrivacyResult(
            source=self.run.id,
            title=self.subject.title,
            dataset=self.subject.dataset.name,
            dataset_fingerprint=self.subject.dataset.fingerprint,
            class_names=tuple(self.subject.dataset.class_names),
            real_images=len(data.train),
            total=self.total,
            space=space,
            network_title=used.title,
            network_fingerprint=used.fingerprint,
            seconds=seconds,
            class_index=np.array([c for c, _ in self.chosen]),
            index=np.array(index),
            start_round=np.array([schedule.start_rounds[i] for i in index]),
            iterations=np.array([schedule.image_iterations_each[i] for i in index]),
            nearest=found.nearest[:n],
            distance=found.distance[:n],
            source_image=np.array([own[0] if own else -1 for own in self.sources]),
            source_count=np.array([len(own) for own in self.sources]),
            source_distance=found.source_distance[:n],
            source_rank=found.source_rank[:n],
            start_rank=start_rank,
            test_distance=found.distance[n + starts :, 0],
        )

    def _used(self, space: str, network: str) -> SpaceNetwork:
        return space_network(self.subject, space, network)


def _by_block(items: Sequence[Any], vectors: Callable[[Sequence[Any]], np.ndarray]) -> list[np.ndarray]:
    """Return the vectors of items, some hundred of them at a time."""
    return [vectors(items[at : at + _BLOCK]) for at in range(0, len(items), _BLOCK)]


def _test_rows(test: ImageSet) -> np.ndarray:
    """Return which test images are asked about, as many of each class."""
    own = [np.flatnonzero(test.labels == label) for label in np.unique(test.labels)]
    picks = spread_choice([len(rows) for rows in own], TEST_IMAGES, SEED)
    return np.concatenate([rows[pick] for rows, pick in zip(own, picks, strict=True)] or [np.zeros(0, np.int64)])


def _in_pixels(data: Dataset) -> Vectors:
    """Return what turns images into normalised pixels, those of large images averaged first."""
    mean, std, size = data.spec.mean, data.spec.std, data.spec.image_size
    return lambda image_u8: pixel_vectors(_smaller(image_u8) if size > LARGEST else image_u8, mean, std)


def _smaller(image_u8: Sequence[np.ndarray] | np.ndarray) -> np.ndarray:
    from PIL import Image

    side = (LARGEST, LARGEST)
    return np.stack([np.asarray(Image.fromarray(one).resize(side, Image.Resampling.BOX)) for one in image_u8])
