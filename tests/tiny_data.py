"""A dataset of 8x8 images in two or three colours, which a two-layer network learns in a few steps."""

from __future__ import annotations

import numpy as np

from delt_engine.data.dataset import ArrayImages, Dataset, DatasetSpec

COLOURS = np.array([[220, 40, 40], [40, 220, 40], [40, 40, 220]])


def tiny_dataset(
    classes: int = 3, train: int = 24, test: int = 12, size: int = 8, names: tuple[str, ...] = ("red", "green", "blue")
) -> Dataset:
    """Return ``train`` and ``test`` noisy images a class; the class is the colour."""
    spec = DatasetSpec(
        name="colours",
        title="Colours",
        kind="built-in",
        num_classes=classes,
        class_names=names[:classes],
        image_size=size,
        mean=(0.4, 0.4, 0.4),
        std=(0.3, 0.3, 0.3),
        train_size=classes * train,
        test_size=classes * test,
        description="",
    )
    return Dataset(spec, _images(classes, train, size, seed=1), _images(classes, test, size, seed=2), "tiny")


def _images(classes: int, each: int, size: int, seed: int) -> ArrayImages:
    labels = np.repeat(np.arange(classes), each)
    noise = np.random.default_rng(seed).integers(-30, 30, (len(labels), size, size, 3))
    pixels = np.clip(COLOURS[labels][:, None, None] + noise, 0, 255).astype(np.uint8)
    return ArrayImages(pixels, labels, [f"{label}/{i:03d}" for i, label in enumerate(labels)], size)
