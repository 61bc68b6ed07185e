"""The built-in dataset ``digits``: 1,797 handwritten digits of 8 x 8 pixels that ship with scikit-learn."""

from __future__ import annotations

import hashlib

import numpy as np
from PIL import Image

from delt_engine.data.cache import cached_arrays
from delt_engine.data.dataset import Dataset, DatasetSpec, dataset_of_arrays
from delt_engine.data.decode import resize_box

VERSION = 1
"""Number of the recipe below; a change of the samples is a new number."""

TEST_SHARE = 0.2
SEED = 0


def digits(spec: DatasetSpec) -> Dataset:
    """Return the digits at the size of ``spec``, a fifth of every class set aside for test by a seeded draw."""
    fingerprint = hashlib.sha256(f"digits {VERSION} {SEED} {TEST_SHARE} {spec.image_size}".encode()).hexdigest()[:16]
    names = ("train", "test", "train_labels", "test_labels")
    arrays = cached_arrays(f"digits-{fingerprint}", names, lambda: _render(spec.image_size))
    return dataset_of_arrays(spec, arrays, fingerprint)


def split_rows(labels: np.ndarray, share: float = TEST_SHARE, seed: int = SEED) -> tuple[np.ndarray, np.ndarray]:
    """Return (train rows, test rows), ``share`` of every class in test.

    >>> [rows.tolist() for rows in split_rows(np.array([0, 0, 0, 0, 0, 1, 1, 1, 1, 1]))]
    [[0, 1, 2, 4, 5, 6, 7, 9], [3, 8]]
    """
    rng = np.random.Generator(np.random.PCG64(seed))
    chosen = []
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        order = np.argsort(rng.random(len(rows)), kind="stable")
        chosen.append(rows[order[: round(share * len(rows))]])
    test = np.sort(np.concatenate(chosen))
    return np.setdiff1d(np.arange(len(labels)), test), test


def _render(image_size: int) -> dict[str, np.ndarray]:
    """Resize all digits to S: grey levels 0 to 16 become 0 to 255."""
    from sklearn.datasets import load_digits

    source = load_digits()
    levels = np.rint(source.images * (255 / 16)).astype(np.uint8)  # (1797, 8, 8)
    pictures = [Image.fromarray(grey).convert("RGB") for grey in levels]
    images = np.stack([resize_box(picture, (0, 0, 8, 8), image_size) for picture in pictures])
    labels = source.target.astype(np.int64)
    train, test = split_rows(labels)
    return {"train": images[train], "test": images[test], "train_labels": labels[train], "test_labels": labels[test]}
