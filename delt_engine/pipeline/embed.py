"""The map of several runs' images among the real ones: found where it was drawn before, else drawn.

Looking for a stored map is torch-free; :func:`embedded` computes and stores it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from delt_engine.analysis.diversity_store import REAL, short_hash, stored, stored_path
from delt_engine.analysis.embedding import POINTS, Embedding, lay_out, shares, spread_choice
from delt_engine.errors import CheckpointError, DataError
from delt_engine.pipeline.image_sets import Report, Subject, class_images, load_data, reference
from delt_engine.pipeline.measure import SEED, space_network, vectors_in

if TYPE_CHECKING:
    from delt_engine.analysis.diversity import Vectors

_READ_AT_ONCE = 512


def stored_embedding(
    subjects: Sequence[Subject], space: str = "teacher", *, points: int = POINTS, network: str = ""
) -> Embedding | None:
    """Return a map of subjects in any order that was drawn before or ships with the project, or None."""
    try:
        return stored(_key(subjects, space, points, network), Embedding.load)
    except CheckpointError:
        return None


def stored_file(
    subjects: Sequence[Subject], space: str = "teacher", *, points: int = POINTS, network: str = ""
) -> Path:
    """Return where this user's map is or will be.

    Raises:
        CheckpointError: there is no such network.
    """
    return stored_path(_key(subjects, space, points, network))


def _key(subjects: Sequence[Subject], space: str, points: int, network: str) -> str:
    used = space_network(subjects[0], space, network)
    about = sorted((each.key, each.classes) for each in subjects)
    return short_hash(["map", Embedding.FORMAT, about, subjects[0].dataset.fingerprint, used.fingerprint, points, SEED])


def embedded(
    subjects: Sequence[Subject],
    space: str = "teacher",
    *,
    points: int = POINTS,
    network: str = "",
    device: str = "auto",
    report: Report | None = None,
) -> Embedding:
    """Return the map of some subjects among the real images of their classes, drawn now unless it is known.

    Features are those of the first subject's teacher; ``points`` is how many at most.

    Raises:
        DataError: the subjects belong to different data, or the real images are not there.
        CheckpointError: the network is missing or does not fit.
    """
    found = stored_embedding(subjects, space, points=points, network=network)
    if found is not None:
        return found
    first = subjects[0]
    other = next((each for each in subjects if each.dataset.fingerprint != first.dataset.fingerprint), None)
    if other is not None:
        raise DataError(
            f"map: {other.source} belongs to {other.dataset.name}, but {first.source} to {first.dataset.name}."
        )
    used = space_network(first, space, network)
    classes = tuple(sorted({number for each in subjects for number in each.classes}))
    real = replace(reference(first, REAL, 1), classes=classes, title="Real images")
    ordered = [real, *sorted(subjects, key=lambda each: each.key)]
    rows, chosen, totals = _gathered(ordered, vectors_in(first, space, used, device), points, report)
    if report:
        report("draw the map", 0, 1)
    pca, tsne, explained = lay_out(rows, SEED)
    set_number, class_index, index = chosen.T
    made = Embedding(
        sources=tuple(each.source for each in ordered),
        titles=tuple(each.title for each in ordered),
        methods=tuple(each.method for each in ordered),
        shown=tuple(np.bincount(set_number, minlength=len(ordered)).tolist()),
        totals=tuple(totals),
        class_names=first.dataset.class_names,
        space=space,
        network_title=used.title,
        seed=SEED,
        explained=explained,
        pca=pca,
        tsne=tsne,
        set_number=set_number,
        class_index=class_index,
        index=index,
    )
    made.save(stored_file(subjects, space, points=points, network=network))
    return made


def _gathered(
    subjects: Sequence[Subject], vectors: Vectors, points: int, report: Report | None
) -> tuple[np.ndarray, np.ndarray, list[int]]:
    """Return vectors (N, d), and (N, 3) with set, class and image of each, and the number of images of each set.

    The number of an image counts within its class, that of a real one among all training images.
    """
    sets = [class_images(subject, report) for subject in subjects]
    totals = [sum(each.available for each in classes) for classes in sets]
    rows, chosen, done = [], [], 0
    wanted = shares(totals, points)
    for number, (subject, classes) in enumerate(zip(subjects, sets, strict=True)):
        train = load_data(subject).train if subject.is_reference else None
        picks = spread_choice([each.available for each in classes], wanted[number], SEED, number)
        for each, pick in zip(classes, picks, strict=True):
            for start in range(0, len(pick), _READ_AT_ONCE):
                rows.append(vectors(each.read(pick[start : start + _READ_AT_ONCE])))
            index = pick if train is None else train.of_class(each.class_index)[pick]
            chosen.append(np.stack([np.full(len(pick), number), np.full(len(pick), each.class_index), index], axis=1))
            done += len(pick)
            if report:
                report("look at images", done, sum(wanted))
    return np.concatenate(rows), np.concatenate(chosen), totals
