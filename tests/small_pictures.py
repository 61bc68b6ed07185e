"""Small picture files of known content."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image


def flat(path: Path, colour: tuple[int, int, int], size: tuple[int, int] = (12, 10)) -> Path:
    """Write a picture of one colour; size is (width, height)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)
    return path


def noisy(path: Path, seed: int = 0, height: int = 10, width: int = 12) -> np.ndarray:
    """Write a picture of noise without loss and return it, uint8 (height, width, 3)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return pixels


def folder(root: Path, classes: int, each: int = 2) -> Path:
    """Write a dataset, train/ and val/ with a few pictures of noise a class, and return its folder."""
    for part in ("train", "val"):
        for number in range(classes):
            for seed in range(each):
                noisy(root / part / f"class {number}" / f"{seed}.png", seed + number)
    return root
