"""Would a synthetic image give its photograph away? Its nearest real images, and where its own source stands there.

A plain nearest-neighbour test: an image is *recognised* in the top k where a real image that its start patch was cut
from is among its k nearest ones of the whole training set. That is what anybody with the data can do; it is no proof
of privacy where it fails.

n images asked about, d numbers each, N real images, K nearest ones kept. Distances are Euclidean.

Source: DELT Appendix A holds that images with few iterations look like the originals and "may still potentially leak
the privacy" of the dataset, but that they protect it better than train-free methods; the test and its numbers are
ours. Test images stand beside them as in the distance-to-closest-record measure of synthetic data.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from delt_engine.errors import ShapeError
from delt_engine.npz import ArrayRecord

NEAREST = 5
"""Nearest real images that are kept of each image, and the larger k of the test."""

_BLOCK = 512


@dataclass(frozen=True, eq=False)
class Neighbours:
    """Of each image: ``nearest`` (n, K) rows of the real images and their ``distance`` (n, K), nearest first.

    ``source_distance`` (n,) is to the nearest of its sources, ``source_rank`` (n,) its place among all real images,
    1 for the nearest; NaN and 0 of an image without a source.
    """

    nearest: np.ndarray
    distance: np.ndarray
    source_distance: np.ndarray
    source_rank: np.ndarray


def neighbours(
    vectors: np.ndarray,
    sources: Sequence[Sequence[int]],
    real: Callable[[np.ndarray], np.ndarray],
    real_images: int,
    report: Callable[[int, int], None] = lambda _done, _total: None,
) -> Neighbours:
    """Find the nearest real images; the vectors of a few hundred of them are in memory at once.

    A source is as near as any image that is equally far, so copies of it in the data do not hide it.

    Args:
        vectors: (n, d).
        sources: rows of the real images that each of the n was made from; empty for none.
        real: gives vectors (k, d) of real images by their rows.
        real_images: N.
        report: gets how many real images were looked at, of how many.

    Raises:
        ShapeError: no real image, or not as many sources as images.
    """
    if real_images < 1 or len(vectors) != len(sources):
        raise ShapeError(f"sources: {len(sources)} given for {len(vectors)} images, with {real_images} real ones.")
    vectors = np.asarray(vectors, np.float64)
    limit, pairs = _source_distances(vectors, sources, real)
    below = limit * (1 - 1e-6) - 1e-9 * (vectors**2).sum(axis=1)  # beyond rounding
    kept = min(NEAREST, real_images)
    best = np.full((len(vectors), 0), np.inf)
    rows = np.zeros((len(vectors), 0), np.int64)
    nearer = np.zeros(len(vectors), np.int64)
    report(0, real_images)
    for block in _blocks(np.arange(real_images)):
        squared = _squared(vectors, np.asarray(real(block), np.float64))
        is_nearer = squared < below[:, None]
        own = pairs[(pairs[:, 1] >= block[0]) & (pairs[:, 1] <= block[-1])]
        is_nearer[own[:, 0], own[:, 1] - block[0]] = False
        nearer += is_nearer.sum(axis=1)
        best, both = np.hstack([best, squared]), np.hstack([rows, np.broadcast_to(block, squared.shape)])
        order = np.argsort(best, axis=1, kind="stable")[:, :kept]
        best, rows = np.take_along_axis(best, order, axis=1), np.take_along_axis(both, order, axis=1)
        report(int(block[-1]) + 1, real_images)
    has_source = np.isfinite(limit)
    source_distance = np.sqrt(np.where(has_source, limit, np.nan))
    return Neighbours(rows, np.sqrt(best), source_distance, np.where(has_source, nearer + 1, 0))


def _source_distances(
    vectors: np.ndarray, sources: Sequence[Sequence[int]], real: Callable[[np.ndarray], np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Return the squared distance of each image to its nearest source, infinite without one, (n,); and all pairs."""
    found = np.full(len(vectors), np.inf)
    pairs = np.array([(at, row) for at, own in enumerate(sources) for row in own], np.int64).reshape(-1, 2)
    for block in _blocks(pairs):
        there = np.asarray(real(block[:, 1]), np.float64)
        np.minimum.at(found, block[:, 0], ((vectors[block[:, 0]] - there) ** 2).sum(axis=1))
    return found, pairs


def _blocks(rows: np.ndarray) -> Iterator[np.ndarray]:
    for first in range(0, len(rows), _BLOCK):
        yield rows[first : first + _BLOCK]


def _squared(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return squared distances (n, k) of (n, d) and (k, d)."""
    return np.maximum((one**2).sum(1)[:, None] + (other**2).sum(1) - 2 * one @ other.T, 0.0)


@dataclass(frozen=True, eq=False)
class PrivacyResult(ArrayRecord):
    """The test of a run's images in one space.

    Attributes:
        source: id of the run; ``title`` of its method.
        dataset, dataset_fingerprint: the real images, ``real_images`` of them.
        total: images of the run; n of them were looked at, as many of each class.
        space: ``pixels`` or ``second``; network_title says whose features the latter are.
        seconds: how long both spaces took.
        class_index, index: (n,), which image it is; start_round, iterations: (n,), when it joined and what it got.
        nearest, distance: (n, K), as of :class:`Neighbours`.
        source_image: (n,), training image of its first patch, -1 without one; source_count: (n,) different ones.
        source_distance, source_rank: (n,), as of :class:`Neighbours`.
        start_rank: (n,), the same rank of the patches before they were optimised; 0 where it started from noise.
        test_distance: (t,), of test images to their nearest training image: what is near in this space.

    Raises:
        ShapeError: the arrays do not fit each other.
    """

    ARRAYS = {
        **dict.fromkeys(("class_index", "index", "start_round", "iterations", "nearest"), np.int32),
        **dict.fromkeys(("source_image", "source_count", "source_rank", "start_rank"), np.int32),
        **dict.fromkeys(("distance", "source_distance", "test_distance"), np.float32),
    }
    WHAT, NAME, REMEDY = "privacy", "nearest-neighbour test", "measure again"

    source: str
    title: str
    dataset: str
    dataset_fingerprint: str
    class_names: tuple[str, ...]
    real_images: int
    total: int
    space: str
    network_title: str
    network_fingerprint: str
    seconds: float
    class_index: np.ndarray
    index: np.ndarray
    start_round: np.ndarray
    iterations: np.ndarray
    nearest: np.ndarray
    distance: np.ndarray
    source_image: np.ndarray
    source_count: np.ndarray
    source_distance: np.ndarray
    source_rank: np.ndarray
    start_rank: np.ndarray
    test_distance: np.ndarray

    def __post_init__(self) -> None:
        for name, kind in self.ARRAYS.items():
            object.__setattr__(self, name, np.asarray(getattr(self, name), kind))
            if name != "test_distance" and len(getattr(self, name)) != len(self.index):
                raise ShapeError(f"{name}: {len(getattr(self, name))} given, but there are {len(self.index)} images.")

    def __len__(self) -> int:
        return len(self.index)

    @property
    def has_source(self) -> np.ndarray:
        """Which images started from real patches, bool (n,)."""
        return self.source_count > 0

    @property
    def usual(self) -> float:
        """Median distance of a test image to its nearest training image; NaN without test images."""
        return float(np.median(self.test_distance)) if len(self.test_distance) else float("nan")

    @property
    def relative(self) -> np.ndarray:
        """Distance of each image to its nearest real one as a multiple of :attr:`usual`, (n,)."""
        return self.distance[:, 0] / self.usual

    def recognised(self, k: int, *, at_start: bool = False) -> int:
        """Return of how many images a source is among the k nearest real ones, or was before they were optimised."""
        rank = self.start_rank if at_start else self.source_rank
        return int(((rank > 0) & (rank <= k)).sum())

    def chance(self, k: int) -> float:
        """Return how many images would be recognised by k random real images each.

        An image of m sources: 1 - C(N - m, k) / C(N, k).
        """
        tried = np.arange(min(k, self.real_images))
        counts = self.source_count[self.has_source].astype(np.float64)[:, None]
        missed = np.maximum(self.real_images - counts - tried, 0) / (self.real_images - tried)
        return float((1 - missed.prod(axis=1)).sum())

    def by_round(self) -> list[dict[str, Any]]:
        """Return for each start round its images, their mean distances, and how many are recognised."""
        rows = []
        for number in np.unique(self.start_round).tolist():
            of = self.start_round == number
            mean = {
                "distance": float(self.distance[of, 0].mean()),
                "relative_distance": _number(float(self.relative[of].mean())),
                "source_distance": _number(float(self.source_distance[of].mean())),
            }
            found = {f"top{k}": int(((self.source_rank[of] > 0) & (self.source_rank[of] <= k)).sum()) for k in (1, 5)}
            about = {"start_round": number, "iterations": int(self.iterations[of][0]), "images": int(of.sum())}
            rows.append({**about, **mean, **found})
        return rows

    def summary(self) -> dict[str, Any]:
        """Return what a table or a JSON reader needs, as plain values; counts of images, None where nothing counts."""
        names = ("source", "title", "dataset", "space", "network_title", "real_images", "total", "seconds")
        with_source = int(self.has_source.sum())
        started = int((self.start_rank > 0).sum())
        tops = {f"top{k}": self.recognised(k) if with_source else None for k in (1, 5)}
        chances = {f"chance_top{k}": self.chance(k) if with_source else None for k in (1, 5)}
        starts = {f"start_top{k}": self.recognised(k, at_start=True) if started else None for k in (1, 5)}
        return {
            **{name: getattr(self, name) for name in names},
            "images": len(self),
            "with_source": with_source,
            **tops,
            **chances,
            **starts,
            "distance": float(self.distance[:, 0].mean()),
            "test_distance": _number(self.usual),
            "rounds": self.by_round(),
        }


def _number(value: float) -> float | None:
    return None if np.isnan(value) else value
