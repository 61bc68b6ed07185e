"""How alike images are, and how far they have moved from where they started: numpy only.

n images, d numbers each; ``image_u8`` are uint8 ``(n, S, S, 3)``.

Source: DELT Fig. 2, left, compares methods by the cosine similarity of features within a class.
Differs: published is each image against its class's centroid, here all pairs are averaged, since centroids of small
halves lie close to their images; halves of one class are compared as well; the pixel variant is ours, for runs
without stored features.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from delt_engine.errors import ShapeError

SMALLEST_NORM = 1e-12


def pair_cosine(vectors: np.ndarray) -> float:
    """Return the mean cosine similarity over all pairs of different vectors of (n, d), in [-1, 1].

    A vector of zeros is like none.

    Raises:
        ShapeError: fewer than two vectors.

    >>> pair_cosine(np.array([[1.0, 0.0], [2.0, 0.0], [0.0, 1.0]]))
    0.3333333333333333
    """
    vectors = np.asarray(vectors, np.float64)
    if vectors.ndim != 2 or len(vectors) < 2:
        raise ShapeError(f"vectors: shape {vectors.shape} given, but (n, d) with n of at least 2 is needed.")
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), SMALLEST_NORM)
    cosines = unit @ unit.T
    return float(cosines[np.triu_indices(len(unit), k=1)].mean())


def centroid_cosine(vectors: np.ndarray) -> np.ndarray:
    """Return the cosine of each vector of (n, d) to the mean of all of them, float64 (n,).

    It is 0 for a vector of zeros, and for all of them when the mean is zero.

    Raises:
        ShapeError: fewer than two vectors.

    >>> centroid_cosine(np.array([[1.0, 0.0], [0.0, 1.0]])).round(4).tolist()
    [0.7071, 0.7071]
    """
    vectors = np.asarray(vectors, np.float64)
    if vectors.ndim != 2 or len(vectors) < 2:
        raise ShapeError(f"vectors: shape {vectors.shape} given, but (n, d) with n of at least 2 is needed.")
    centroid = vectors.mean(axis=0)
    lengths = np.linalg.norm(vectors, axis=1) * np.linalg.norm(centroid)
    return vectors @ centroid / np.maximum(lengths, SMALLEST_NORM**2)


def halves(ipc: int) -> tuple[range, range]:
    """Return the images of the early and of the late half of a class, in the order of joining.

    The middle image of an odd number belongs to neither, so that both halves have as many pairs.

    >>> halves(5)
    (range(0, 2), range(3, 5))
    """
    return range(ipc // 2), range(ipc - ipc // 2, ipc)


def halves_cosine(vectors: np.ndarray) -> tuple[float, float]:
    """Return :func:`pair_cosine` of the early and of the late half of a class, (n, d) in the order of joining.

    Raises:
        ShapeError: fewer than four vectors, so that a half has no pair.
    """
    if len(vectors) < 4:
        raise ShapeError(f"vectors: {len(vectors)} given, but halves of at least 2 need 4.")
    early, late = halves(len(vectors))
    return pair_cosine(vectors[early.start : early.stop]), pair_cosine(vectors[late.start : late.stop])


def pixel_vectors(image_u8: np.ndarray, mean: Sequence[float], std: Sequence[float]) -> np.ndarray:
    """Return images as vectors of their pixels, float32 (n, 3 * S * S).

    They are normalised by the data's mean and std per channel, so that grey does not make images alike.
    """
    pixels = np.asarray(image_u8, np.float32) / 255
    return ((pixels - np.asarray(mean, np.float32)) / np.asarray(std, np.float32)).reshape(len(pixels), -1)


def pixel_change(image_u8: np.ndarray, start_u8: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return how far images are from their start images, whose shape is the same or broadcasts to theirs.

    Mean absolute change in levels of 0 to 255, and the L2 distance of pixels in [0, 1]; float64 (n,) each.

    >>> mean, distance = pixel_change(np.full((1, 2, 2, 3), 51, np.uint8), np.zeros((1, 2, 2, 3), np.uint8))
    >>> mean.tolist(), distance.round(3).tolist()
    ([51.0], [0.693])
    """
    gap = np.asarray(image_u8, np.float64) - np.asarray(start_u8, np.float64)
    gap = gap.reshape(len(gap), -1)
    return np.abs(gap).mean(axis=1), np.linalg.norm(gap / 255, axis=1)
