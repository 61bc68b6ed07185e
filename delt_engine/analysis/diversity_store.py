"""How alike the images of a class are, as it is stored: one result a run, network and space, readable without torch.

C classes, R draws, n images a class at once. A cosine to a centroid depends on n, since an image is a part of its own
centroid: of n unrelated unit vectors it is about ``1 / sqrt(n)``. So two results are only compared at the same n
(:func:`comparable`); a source with more images a class is measured on several seeded draws of n, and the mean counts.

Source: DELT Fig. 2, left; ours is the file.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from delt_engine.errors import DataError, ShapeError
from delt_engine.npz import ArrayRecord
from delt_engine.paths import assets_dir, cache_dir

Record = TypeVar("Record")
SPACES = ("teacher", "second", "pixels")
SPACE_TITLES = {"teacher": "Features of the teacher", "second": "Features of a second network", "pixels": "Pixels"}
REAL, RANDOM = "real", "random"
REFERENCE_TITLES = {REAL: "Real images (mean of draws)", RANDOM: "Random real images (one draw)"}
ALONE = "One image a class has nothing to be alike to, so IPC 1 has no similarity."


@dataclass(frozen=True, eq=False)
class DiversityResult(ArrayRecord):
    """How alike the images of each class are.

    Attributes:
        source: id of a run, path of a folder, ``real`` or ``random``.
        method: of the run; ``folder`` for a foreign folder, ``real`` or ``random`` for a reference.
        dataset, dataset_fingerprint: its name, and which real images it has.
        class_names, classes: names of the C classes that were measured, and their numbers in the dataset.
        ipc: images a class that there are; of an uneven folder the smallest class's.
        space: one of :data:`SPACES`.
        network, network_title, network_fingerprint: whose features these are, the title such as "resnet18, width
            0.25"; "" for pixels.
        rounds: number of the round in which the image of each index joined; empty where all join at once.
        cosine: (C, R, n), cosine of each image to the centroid of its class's n images.
        index: (C, R, n), which image of the class that is.
        pairwise: (C, R), mean cosine of all pairs of a class.
        halves: (C, 2, 2), for the early and the late half of a class: mean cosine to the half's own centroid, and of
            all pairs in it; (0, 2, 2) where all join at once or a half has fewer than two images.

    Raises:
        ShapeError: the arrays do not fit each other.
    """

    ARRAYS = {"cosine": np.float32, "index": np.int32, "pairwise": np.float32, "halves": np.float32}
    WHAT, NAME, REMEDY = "diversity", "diversity result", "measure again"

    source: str
    title: str
    method: str
    dataset: str
    dataset_fingerprint: str
    class_names: tuple[str, ...]
    classes: tuple[int, ...]
    ipc: int
    space: str
    network: str
    network_title: str
    network_fingerprint: str
    seed: int
    rounds: tuple[int, ...]
    cosine: np.ndarray
    index: np.ndarray
    pairwise: np.ndarray
    halves: np.ndarray

    def __post_init__(self) -> None:
        for name, dtype in self.ARRAYS.items():
            object.__setattr__(self, name, np.asarray(getattr(self, name), dtype))
        shape = self.cosine.shape
        fits = len(shape) == 3 and shape[0] == len(self.class_names) == len(self.classes)
        if not fits or self.index.shape != shape or self.pairwise.shape != shape[:2]:
            raise ShapeError(
                f"cosine: shape {shape} given, but (classes, draws, images) of {len(self.class_names)} classes is "
                "needed, index alike and pairwise without the last."
            )
        if self.halves.shape not in ((0, 2, 2), (shape[0], 2, 2)):
            raise ShapeError(f"halves: shape {self.halves.shape} given, but ({shape[0]}, 2, 2) or (0, 2, 2) is needed.")

    @property
    def images(self) -> int:
        """Images a class that were measured at once, n."""
        return self.cosine.shape[2]

    @property
    def draws(self) -> int:
        """How many times n images were drawn; 1 when all of them were taken."""
        return self.cosine.shape[1]

    @property
    def per_class(self) -> np.ndarray:
        """Mean cosine to the class centroid, float64 (C,)."""
        return self.cosine.mean(axis=(1, 2), dtype=np.float64)

    @property
    def mean(self) -> float:
        """Mean cosine to the class centroid over all classes: the published measure."""
        return float(self.per_class.mean())

    @property
    def mean_pairwise(self) -> float:
        """Mean cosine of all pairs over all classes."""
        return float(self.pairwise.mean(axis=1, dtype=np.float64).mean())

    @property
    def spread(self) -> float | None:
        """Sample standard deviation of the mean over the draws; None for a single one."""
        means = self.cosine.mean(axis=(0, 2), dtype=np.float64)
        return float(means.std(ddof=1)) if self.draws > 1 else None

    def sorted_curve(self) -> tuple[tuple[str, float], ...]:
        """Return class and mean cosine, most alike first, as DELT's Fig. 2 draws them by class."""
        order = np.argsort(-self.per_class, kind="stable")
        return tuple((self.class_names[row], float(self.per_class[row])) for row in order)

    def values(self, class_name: str | None = None) -> np.ndarray:
        """Return the cosine of every single image, (k,), of all classes or of one.

        Raises:
            DataError: there is no such class.
        """
        if class_name is None:
            return self.cosine.reshape(-1)
        if class_name not in self.class_names:
            raise DataError(f"class: {class_name!r} given, but measured were {', '.join(self.class_names[:12])}.")
        return self.cosine[self.class_names.index(class_name)].reshape(-1)

    @property
    def early_late(self) -> tuple[float, float] | None:
        """Mean cosine to the own centroid within the early and within the late half of a class, or None."""
        return self._of_halves(0)

    @property
    def early_late_pairwise(self) -> tuple[float, float] | None:
        """Mean cosine of all pairs within the early and within the late half of a class, or None."""
        return self._of_halves(1)

    def _of_halves(self, measure: int) -> tuple[float, float] | None:
        if not len(self.halves):
            return None
        early, late = self.halves[:, :, measure].mean(axis=0, dtype=np.float64).tolist()
        return early, late

    def summary(self) -> dict[str, Any]:
        """Return what a table or a JSON reader needs, as plain values."""
        names = ("source", "title", "method", "dataset", "ipc", "images", "draws", "space", "network", "network_title")
        early, late = self.early_late or (None, None)
        early_pairwise, late_pairwise = self.early_late_pairwise or (None, None)
        per_class = {"per_class": self.per_class, "per_class_pairwise": self.pairwise.mean(axis=1, dtype=np.float64)}
        by_name = {
            name: dict(zip(self.class_names, values.round(6).tolist(), strict=True))
            for name, values in per_class.items()
        }
        return {
            **{name: getattr(self, name) for name in names},
            "cosine_similarity": self.mean,
            "pairwise_similarity": self.mean_pairwise,
            "spread": self.spread,
            "early": early,
            "late": late,
            "early_pairwise": early_pairwise,
            "late_pairwise": late_pairwise,
            **by_name,
        }


def comparable(results: Sequence[DiversityResult]) -> bool:
    """Return whether results may stand side by side: the same data, space, network and n."""
    about = {(r.dataset_fingerprint, r.classes, r.space, r.network_fingerprint, r.images) for r in results}
    return len(about) <= 1


def result_key(
    source_key: str, network_fingerprint: str, images: int, *, classes: Sequence[int], draws: int, seed: int
) -> str:
    """Return the name under which a result is stored.

    ``source_key`` says what the images are: id and finishing time of a run, names and sizes of a folder's files. For
    pixels the network's fingerprint is what they are normalised with.
    """
    return short_hash([DiversityResult.FORMAT, source_key, network_fingerprint, images, list(classes), draws, seed])


def short_hash(parts: Sequence[Any]) -> str:
    """Return a name that follows from plain values."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:24]


def stored_path(key: str) -> Path:
    """Return where this user's result of a key is or will be."""
    return cache_dir() / "diversity" / f"{key}.npz"


def shipped_path(path: Path) -> Path:
    """Return where a result of this name ships with the project, if it does."""
    return assets_dir() / "diversity" / path.name


def stored(key: str, load: Callable[[Path], Record]) -> Record | None:
    """Return what was measured or drawn earlier or ships with the project, or None; a damaged file counts as none."""
    for path in (stored_path(key), shipped_path(stored_path(key))):
        with contextlib.suppress(DataError):
            if path.is_file():
                return load(path)
    return None
