"""How alike the images of a run are within their classes, in pixels: needs no network, so that any list can show it.

Source: DELT Table 8's cosine similarity within a class, here in normalised pixels and over the run's last images; the
features of networks are in :mod:`delt_engine.analysis.diversity_store`.
"""

from __future__ import annotations

import contextlib
from functools import lru_cache

import numpy as np

from delt_engine.analysis.similarity import pair_cosine, pixel_vectors
from delt_engine.errors import RunError
from delt_engine.files import KeyedStore
from delt_engine.runs.store import Run

_STORE = KeyedStore("likeness", most=5000)
_FORMAT = 1


def is_known(run: Run) -> bool:
    """Return whether :func:`pixel_cosine` answers without reading images."""
    return _key(run) is None or _stored(_key(run)) is not None


def pixel_cosine(run: Run) -> float | None:
    """Return the mean cosine similarity in pixels within the classes of a finished recovery, in [-1, 1].

    None of anything else, of one image a class, and where images are missing; it is measured once and stored.
    """
    key = _key(run)
    if key is None:
        return None
    found = _stored(key)
    if found is None:
        found = {"cosine": _measured(run)}
        with contextlib.suppress(RunError):  # a disk that refuses: measured again next time
            _STORE.write(key, found)
        _stored.cache_clear()
    return found["cosine"]


def _key(run: Run) -> tuple[object, ...] | None:
    if run.unreadable:
        return None
    record = run.record()
    is_made = record.kind == "recover" and record.status == "finished" and record.dataset is not None
    return (_FORMAT, run.id, record.finished) if is_made and record.experiment.recover.ipc > 1 else None


@lru_cache(maxsize=4096)
def _stored(key: tuple[object, ...]) -> dict[str, float | None] | None:
    found = _STORE.read(key)
    return found if isinstance(found, dict) and "cosine" in found else None


def _measured(run: Run) -> float | None:
    data, each = run.record().dataset, []
    assert data is not None  # see _key
    for class_index in run.classes:
        rounds = run.rounds_written(class_index)
        if rounds:
            images = run.snapshot_images(class_index, rounds[-1])
            each.append(pair_cosine(pixel_vectors(images, data.mean, data.std)))
    return float(np.mean(each)) if each else None
