"""The map of several runs' images among the real ones: found again where it was drawn, else drawn.

Looking for a kept map is torch-free; :func:`embedded` computes and keeps it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from delt_engine.analysis.diversity_store import REAL, kept_path, shipped_path
from delt_engine.analysis.embedding import FORMAT, POINTS, Embedding, lay_out, shares, spread_choice
from delt_engine.errors import CheckpointError, DataError
from delt_engine.pipeline.image_sets import Report, Subject, class_images, load_data, reference
from delt_engine.pipeline.measure import vectors_in, witness

if TYPE_CHECKING:
    from delt_engine.analysis.diversity import Vectors

_READ_AT_ONCE = 512


def kept_embedding(
    subjects: Sequence[Subject], space: str = "teacher", *, points: int = POINTS, seed: int = 0, network: str = ""
) -> Embedding | None:
    """Return a map that was drawn before or ships with the project, or None.

    Args:
        subjects: whose images are on it, in any order, besides the real ones.
        space: ``teacher``, ``second`` or ``pixels``.
        points: how many at most.
        seed: of the choice and of t-SNE.
        network: name or file of a network that is taken as the second one.
    """
    try:
        key = embedding_key(subjects, space, points, seed, network)
    except CheckpointError:
        return None
    for path in (kept_path(key), shipped_path(kept_path(key))):
        if path.is_file():
            try:
                return Embedding.load(path)
            except DataError:
                continue
    return None


def embedding_key(subjects: Sequence[Subject], space: str, points: int, seed: int, network: str = "") -> str:
    """Return the name under which a map is kept.

    Raises:
        CheckpointError: there is no such network.
    """
    seen = witness(subjects[0], space, network)
    about = sorted((each.key, each.classes) for each in subjects)
    parts = ["map", FORMAT, about, subjects[0].dataset.fingerprint, seen.fingerprint, points, seed]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:24]


def embedded(
    subjects: Sequence[Subject],
    space: str = "teacher",
    *,
    points: int = POINTS,
    seed: int = 0,
    network: str = "",
    device: str = "auto",
    report: Report | None = None,
) -> Embedding:
    """Return the map of some subjects among the real images of their classes, drawn now unless it is known.

    Args:
        subjects: whose images are on it, all of one dataset; features are those of the first one's teacher.
        space: ``teacher``, ``second`` or ``pixels``.
        points: how many at most.
        seed: of the choice and of t-SNE.
        network: name or file of a network that is taken as the second one.
        device: where the network runs.
        report: told (what, done, total).

    Raises:
        DataError: the subjects belong to different data, or the real images are not there.
        CheckpointError: the network is missing or does not fit.
    """
    found = kept_embedding(subjects, space, points=points, seed=seed, network=network)
    if found is not None:
        return found
    first = subjects[0]
    other = next((each for each in subjects if each.dataset.fingerprint != first.dataset.fingerprint), None)
    if other is not None:
        raise DataError(
            f"map: {other.source} belongs to {other.dataset.name}, but {first.source} to {first.dataset.name}."
        )
    seen = witness(first, space, network)
    ordered = [_all_real(subjects), *sorted(subjects, key=lambda each: each.key)]
    vectors = vectors_in(first, space, seen, device)
    rows, chosen, totals = _gathered(ordered, vectors, points, seed, report)
    if report:
        report("draw the map", 0, 1)
    pca, tsne, explained = lay_out(rows, seed)
    made = Embedding(
        sources=tuple(each.source for each in ordered),
        titles=tuple(each.title for each in ordered),
        methods=tuple(each.method for each in ordered),
        shown=tuple(int((chosen[:, 0] == number).sum()) for number in range(len(ordered))),
        totals=tuple(totals),
        class_names=first.dataset.class_names,
        space=space,
        network_title=seen.title,
        seed=seed,
        explained=explained,
        pca=pca,
        tsne=tsne,
        set_number=chosen[:, 0],
        class_index=chosen[:, 1],
        index=chosen[:, 2],
    )
    made.save(kept_path(embedding_key(subjects, space, points, seed, network)))
    return made


def _all_real(subjects: Sequence[Subject]) -> Subject:
    """Return the training images of all classes that a subject has."""
    classes = tuple(sorted({number for each in subjects for number in each.classes}))
    return replace(reference(subjects[0], REAL, 1), classes=classes, title="Real images")


def _gathered(
    subjects: Sequence[Subject], vectors: Vectors, points: int, seed: int, report: Report | None
) -> tuple[np.ndarray, np.ndarray, list[int]]:
    """Return vectors (N, d), and (N, 3) with set, class and image of each, and the number of images of each set."""
    sets = [class_images(subject, report) for subject in subjects]
    totals = [sum(each.available for each in classes) for classes in sets]
    rows, chosen = [], []
    wanted = shares(totals, points)
    done = 0
    for number, (subject, classes) in enumerate(zip(subjects, sets, strict=True)):
        picks = spread_choice([each.available for each in classes], wanted[number], seed, number)
        names = _numbers(subject, picks)
        for each, pick, name in zip(classes, picks, names, strict=True):
            for start in range(0, len(pick), _READ_AT_ONCE):
                rows.append(vectors(each.read(pick[start : start + _READ_AT_ONCE])))
            chosen.append(np.stack([np.full(len(pick), number), np.full(len(pick), each.class_index), name], axis=1))
            done += len(pick)
            if report:
                report("look at images", done, sum(wanted))
    return np.concatenate(rows), np.concatenate(chosen), totals


def _numbers(subject: Subject, picks: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Return the number of each picked image: of real ones among all training images."""
    if not subject.is_reference:
        return list(picks)
    train = load_data(subject).train
    return [train.of_class(number)[pick] for number, pick in zip(subject.classes, picks, strict=True)]


def kept_file(
    subjects: Sequence[Subject], space: str = "teacher", *, points: int = POINTS, seed: int = 0, network: str = ""
) -> Path:
    """Return where this user's map is or will be."""
    return kept_path(embedding_key(subjects, space, points, seed, network))
