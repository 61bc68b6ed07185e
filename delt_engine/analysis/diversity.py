"""How alike are the images of a class? Cosines to the class centroid and of all pairs, in features or in pixels.

The published measure is, in DELT's words, the "average cosine similarity between each sample of 50 IPCs using the
associated cluster centroid within the same class". A centroid is here the plain mean of the features of the class's
images, as clusterings have it, and the features are not scaled to length 1 before it is taken; lower is more diverse.

n images of d numbers each; C classes, R draws.

Source: DELT Sec. 1 and Fig. 2, left (a pretrained ResNet-18, ImageNet-1K, IPC 50); no code for it is published.
Differs: the features of our ``teacher`` space are those of the run's own teacher; ``second`` takes a network that took
no part in recovery, since images are optimised against the teacher and may only seem diverse, or alike, to it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from delt_engine.analysis.features import look
from delt_engine.analysis.similarity import SMALLEST_NORM, halves, pair_cosine, pixel_vectors
from delt_engine.data.pixels import normalise, to_pixels
from delt_engine.errors import ShapeError

Vectors = Callable[[np.ndarray], np.ndarray]
"""From uint8 images (n, S, S, 3) to float (n, d)."""

_IMAGES_AT_ONCE = 512


def centroid_cosine(vectors: np.ndarray) -> np.ndarray:
    """Return the cosine of each vector to the mean of all of them.

    Args:
        vectors: (n, d), n at least 2.

    Returns:
        float64 (n,) in [-1, 1]; 0 for a vector of zeros, and for all of them when the mean is zero.

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


def draw_images(available: int, images: int, draws: int, *keys: int) -> np.ndarray:
    """Return which images of a class are taken, int64 (R, n), each draw ascending and without repetition.

    Args:
        available: images that there are.
        images: n, at most ``available``; all of them make a single draw.
        draws: R.
        keys: seed, class and the like; the same keys give the same draws.

    Raises:
        ShapeError: more images than there are, or fewer than two.
    """
    if not 2 <= images <= available:
        raise ShapeError(f"images: {images} given, but 2 to {available} a class can be compared.")
    if images == available:
        return np.arange(available)[None]
    pick = [np.sort(np.random.default_rng([*keys, draw]).permutation(available)[:images]) for draw in range(draws)]
    return np.stack(pick)


def network_vectors(network: nn.Module, mean: Sequence[float], std: Sequence[float]) -> Vectors:
    """Return what turns images into the features that the network's last linear layer is given.

    Args:
        network: in eval mode, on the device that is used.
        mean: per channel of pixels in [0, 1], what the network was trained with.
        std: likewise.
    """
    device: torch.device = next(network.parameters()).device

    def vectors(image_u8: np.ndarray) -> np.ndarray:
        return look(network, normalise(to_pixels(image_u8, device), mean, std)).features.numpy()

    return vectors


def plain_vectors(mean: Sequence[float], std: Sequence[float]) -> Vectors:
    """Return what turns images into their normalised pixels."""
    return lambda image_u8: pixel_vectors(image_u8, mean, std)


@dataclass(frozen=True, eq=False)
class ClassImages:
    """The images of one class: ``read`` gives some of them, uint8 (k, S, S, 3), by index from 0 to ``available``."""

    class_index: int
    available: int
    read: Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class DiversityProgress:
    """How many images are looked at."""

    done: int
    total: int


@dataclass(frozen=True, eq=False)
class Measures:
    """Arrays as :class:`delt_engine.analysis.diversity_store.DiversityResult` describes them."""

    cosine: np.ndarray
    index: np.ndarray
    pairwise: np.ndarray
    halves: np.ndarray


def measure(
    classes: Sequence[ClassImages],
    vectors: Vectors,
    *,
    images: int,
    draws: int = 1,
    seed: int = 0,
    is_early_late: bool = False,
) -> Iterator[DiversityProgress | Measures]:
    """Measure classes one after the other; only the vectors of a few classes are held at once.

    Args:
        classes: what there is of each class.
        vectors: features or pixels.
        images: n of each class, at least 2 and at most what the smallest class has.
        draws: R, where a class has more than n.
        seed: of the draws.
        is_early_late: also compare the halves of a class by the order of joining; needs all images, at least 4.

    Yields:
        DiversityProgress now and then, Measures at the end.

    Raises:
        ShapeError: a class has too few images.
    """
    least = min(each.available for each in classes)
    many = 1 if images == least == max(each.available for each in classes) else draws
    index = np.stack([_picks(each, images, many, seed) for each in classes])
    rows: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    done, total = 0, sum(len(np.unique(pick)) for pick in index)
    yield DiversityProgress(0, total)
    for group in _groups([len(np.unique(pick)) for pick in index]):
        read = [np.unique(index[number]) for number in group]
        image_u8 = np.concatenate([classes[n].read(chosen) for n, chosen in zip(group, read, strict=True)])
        features = np.split(vectors(image_u8), np.cumsum([len(chosen) for chosen in read])[:-1])
        for number, chosen, seen in zip(group, read, features, strict=True):
            rows.append(_of_class(seen[np.searchsorted(chosen, index[number])], is_early_late))
        done += len(image_u8)
        yield DiversityProgress(done, total)
    cosine, pairwise, compared = (np.stack([row[part] for row in rows]) for part in range(3))
    yield Measures(cosine, index, pairwise, compared if compared.size else np.zeros((0, 2, 2)))


def _picks(each: ClassImages, images: int, draws: int, seed: int) -> np.ndarray:
    """Return the draws of a class, (R, n), also when this class has no more than n while others have."""
    pick = draw_images(each.available, images, draws, seed, each.class_index)
    return np.repeat(pick, draws, axis=0) if len(pick) < draws else pick


def _groups(counts: Sequence[int]) -> Iterator[list[int]]:
    """Yield runs of class positions that have about :data:`_IMAGES_AT_ONCE` images together."""
    group, held = [], 0
    for number, count in enumerate(counts):
        if group and held + count > _IMAGES_AT_ONCE:
            yield group
            group, held = [], 0
        group.append(number)
        held += count
    if group:
        yield group


def _of_class(drawn: np.ndarray, is_early_late: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return cosines (R, n), pairwise (R,) and halves (2, 2) or (0,) of drawn vectors (R, n, d)."""
    cosine = np.stack([centroid_cosine(vectors) for vectors in drawn])
    pairwise = np.array([pair_cosine(vectors) for vectors in drawn])
    if not is_early_late or drawn.shape[1] < 4:
        return cosine, pairwise, np.zeros(0)
    parts = [drawn[0, half.start : half.stop] for half in halves(drawn.shape[1])]
    return cosine, pairwise, np.array([[centroid_cosine(part).mean(), pair_cosine(part)] for part in parts])
