"""A map of real and synthetic images: their features laid out in two dimensions, by PCA and by t-SNE.

Near each other on a map means alike to the network; distances between far groups of a t-SNE map, and the sizes of its
groups, mean nothing. A map shows a limited number of images and says of how many.

N points, d features each; x and y are scaled to [0, 1] by one factor for both, so that shapes are kept.

Source: van der Maaten and Hinton, "Visualizing Data using t-SNE" (scikit-learn's, after PCA to 50 dimensions as there).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from delt_engine.errors import ShapeError
from delt_engine.npz import ArrayRecord

POINTS = 1500
"""Points on a map unless another number is asked for."""

_FIRST_DIMENSIONS = 50
_PERPLEXITY = 30.0


@dataclass(frozen=True, eq=False)
class Embedding(ArrayRecord):
    """A map.

    Attributes:
        sources, titles: of each set: id of a run, path of a folder, or ``real``; and what it is called.
        methods: method of each set; ``real`` and ``folder`` as well.
        shown, totals: images of each set that are on the map, and that there are.
        class_names: all classes of the dataset, by class number.
        space, network_title: which features these are; the title is "" for pixels.
        seed: of the choice of images and of t-SNE.
        explained: shares of the variance along the two axes of the PCA.
        pca, tsne: (N, 2) in [0, 1].
        set_number: (N,), position in ``sources``.
        index: (N,), which image: its number within the class, of real ones its number among the training images.

    Raises:
        ShapeError: the arrays do not fit each other.
    """

    ARRAYS = {"pca": np.float32, "tsne": np.float32, "set_number": np.int32, "class_index": np.int32, "index": np.int32}
    WHAT, NAME, REMEDY = "map", "map", "draw it again"

    sources: tuple[str, ...]
    titles: tuple[str, ...]
    methods: tuple[str, ...]
    shown: tuple[int, ...]
    totals: tuple[int, ...]
    class_names: tuple[str, ...]
    space: str
    network_title: str
    seed: int
    explained: tuple[float, ...]
    pca: np.ndarray
    tsne: np.ndarray
    set_number: np.ndarray
    class_index: np.ndarray
    index: np.ndarray

    def __post_init__(self) -> None:
        for name, dtype in self.ARRAYS.items():
            array: np.ndarray = np.asarray(getattr(self, name), dtype)
            expected = (sum(self.shown), 2) if name in ("pca", "tsne") else (sum(self.shown),)
            if array.shape != expected:
                raise ShapeError(f"{name}: shape {array.shape} given, but {sum(self.shown)} points need {expected}.")
            object.__setattr__(self, name, array)

    def __len__(self) -> int:
        return len(self.pca)

    @property
    def count_words(self) -> str:
        """How many of how many images are shown."""
        total = sum(self.totals)
        return f"all {total:,} images" if len(self) == total else f"{len(self):,} of {total:,} images"


def shares(totals: Sequence[int], points: int) -> list[int]:
    """Return how many of each set are shown: as many of each, and what a small set leaves over goes to the others.

    >>> shares([5000, 100, 100], 1500), shares([10, 20], 100)
    ([1300, 100, 100], [10, 20])
    """
    given = [0] * len(totals)
    left, open_sets = min(points, sum(totals)), set(range(len(totals)))
    while left and open_sets:
        each = max(1, left // len(open_sets))
        for number in sorted(open_sets, key=lambda number: totals[number]):
            more = min(each, totals[number] - given[number], left)
            given[number] += more
            left -= more
            if given[number] == totals[number]:
                open_sets.discard(number)
    return given


def spread_choice(counts: Sequence[int], wanted: int, *keys: int) -> list[np.ndarray]:
    """Return which images of each class are shown, ascending: as many of each class, chosen at random by ``keys``."""
    generator, taken = np.random.default_rng(list(keys)), shares(counts, wanted)
    return [np.sort(generator.permutation(count)[:take]) for count, take in zip(counts, taken, strict=True)]


def lay_out(vectors: np.ndarray, seed: int = 0) -> tuple[np.ndarray, np.ndarray, tuple[float, float]]:
    """Return the places of points (N, d) by PCA and by t-SNE, float32 (N, 2) in [0, 1], and what PCA's axes explain.

    The same seed gives the same map on the same machine.

    Raises:
        ShapeError: fewer than four points.
    """
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    vectors = np.asarray(vectors, np.float32)
    if vectors.ndim != 2 or len(vectors) < 4 or vectors.shape[1] < 2:
        raise ShapeError(f"vectors: shape {vectors.shape} given, but a map needs at least 4 points of 2 numbers.")
    reduction = PCA(min(_FIRST_DIMENSIONS, *vectors.shape), random_state=seed)
    reduced = reduction.fit_transform(vectors)
    perplexity = min(_PERPLEXITY, (len(vectors) - 1) / 3)
    tsne = TSNE(init="pca", perplexity=perplexity, random_state=seed, n_jobs=1).fit_transform(reduced)
    first, second = reduction.explained_variance_ratio_[:2].tolist()
    return _to_unit(reduced[:, :2]), _to_unit(tsne), (first, second)


def _to_unit(places: np.ndarray) -> np.ndarray:
    """Return places (N, 2) moved and scaled into [0, 1] by one factor, centred along the shorter side."""
    low, high = places.min(axis=0), places.max(axis=0)
    extent = float((high - low).max()) or 1.0
    return ((places - (low + high) / 2) / extent + 0.5).astype(np.float32)
