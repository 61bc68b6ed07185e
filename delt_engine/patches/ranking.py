"""How hard is each real patch for the teacher? Its probability of the true class, stored as a :class:`Ranking`.

A patch is a whole image, or one of several random crops of it; M is the number of patches, in the order of the
training images (the crops of one image follow each other).

Source: DELT Sec. 3 "Selection Criteria" (the teacher's true-class probability of every patch); data_selection.py
``rank`` (softmax, then gather by the label). Random square crops: RDED's synthesize/, five an image.
Differs: pixels are normalised with the teacher's own statistics, so ranking and recovery see the same images (the
published code always takes ImageNet's); an image is resized to S and cropped to S (published: to S // 7 * 8, then to
S, which at 32 px is the same); the side of a crop is drawn against the largest square in the image, so that no
draw has to be thrown away, and all crops are kept (RDED keeps the best one of each image).
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from delt_engine.config import RankConfig
from delt_engine.errors import CheckpointError, DataError, ShapeError
from delt_engine.files import try_write
from delt_engine.npz import ArrayRecord
from delt_engine.patches.scoring import PartialScores, Patches, RankProgress, Scorer, scored
from delt_engine.paths import assets_dir, cache_dir

if TYPE_CHECKING:
    import torch

    from delt_engine.data.dataset import Dataset, ImageSet
    from delt_engine.models.teachers import Teacher


IMPORTED = "imported from "
"""How the name begins that an imported ranking has in the place of a teacher's."""


@dataclass(frozen=True, eq=False)
class Ranking(ArrayRecord):
    """The teacher's probability of the true class, of every patch of the training images.

    ``FORMAT`` is that of the file and of the rule that draws crops.

    Attributes:
        image_index, label: int (M,), training image and true class.
        crop_box: int (M, 4), top, left, height, width in native pixels; of a whole image its centred square.
        true_class_prob: float32 (M,) in [0, 1].
        dataset, dataset_fingerprint: its name, and which images these were.
        teacher, teacher_fingerprint: its name, and which weights these were.
        image_size: S, side in pixels at which the patches were scored.
        class_names: name of every class of the dataset, for texts.
        seed: what the crops were drawn from; without crops it has no effect.
        classes: the classes that were scored, ascending; None for all.

    Raises:
        ShapeError: the arrays do not fit each other.
    """

    ARRAYS = {"image_index": np.int32, "crop_box": np.int32, "label": np.int32, "true_class_prob": np.float32}
    WHAT, NAME, REMEDY = "ranking", "ranking", "rank again"
    PARSE = {"config": lambda values: RankConfig(**values)}

    image_index: np.ndarray
    crop_box: np.ndarray
    label: np.ndarray
    true_class_prob: np.ndarray
    dataset: str
    dataset_fingerprint: str
    teacher: str
    teacher_fingerprint: str
    image_size: int
    config: RankConfig
    class_names: tuple[str, ...] = ()
    seed: int = 0
    classes: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        for name, dtype in self.ARRAYS.items():
            array = np.asarray(getattr(self, name))
            expected = (len(self), 4) if name == "crop_box" else (len(self),)
            if array.shape != expected:
                raise ShapeError(f"{name}: shape {array.shape} given, but {len(self)} patches need {expected}.")
            object.__setattr__(self, name, array.astype(dtype if dtype == np.float32 else np.int64, copy=False))

    def __len__(self) -> int:
        return len(self.true_class_prob)

    @property
    def key(self) -> str:
        """Name under which this ranking is cached, see :func:`ranking_key`."""
        return ranking_key(self.dataset_fingerprint, self.teacher_fingerprint, self.config, self.seed, self.classes)

    @property
    def is_imported(self) -> bool:
        """Whether it came from a file, so that no teacher here made it."""
        return self.teacher.startswith(IMPORTED)

    def class_name(self, class_index: int) -> str:
        """Return the name of a class, or its number where no names are known."""
        return self.class_names[class_index] if class_index < len(self.class_names) else str(class_index)

    def of_class(self, class_index: int) -> np.ndarray:
        """Return where the patches of a class are in the arrays, in the order of the images, int (n,)."""
        return np.flatnonzero(self.label == class_index)

    def ascending(self, class_index: int) -> np.ndarray:
        """Return where the patches of a class are in the arrays, hardest first; equals keep their order."""
        rows = self.of_class(class_index)
        return rows[np.argsort(self.true_class_prob[rows], kind="stable")]


def ranking_key(dataset: str, teacher: str, config: RankConfig, seed: int, classes: Sequence[int] | None = None) -> str:
    """Return the name under which a ranking is cached: the same for all settings that score the same patches.

    Dataset and teacher are given by their fingerprints. The batch size has no part in it, nor have, when whole images
    are scored, the seed and the limits of the crops.
    """
    crops = [config.crops, config.min_crop, config.max_crop, int(seed)] if config.crops else [0]
    chosen = None if classes is None else sorted({int(c) for c in classes})
    parts = json.dumps([Ranking.FORMAT, dataset, teacher, crops, chosen])
    return hashlib.sha256(parts.encode()).hexdigest()[:24]


def cached_ranking(
    dataset: str, teacher: str, config: RankConfig, seed: int, classes: Sequence[int] | None = None
) -> Ranking | None:
    """Return a ranking made earlier or shipped with the project, or None.

    One of all classes also serves ``classes``; a damaged file counts as none.
    """
    scopes = (None,) if classes is None else (None, classes)
    keys = [ranking_key(dataset, teacher, config, seed, scope) for scope in scopes]
    for key, folder in itertools.product(keys, (cache_dir(), assets_dir())):
        with contextlib.suppress(DataError):
            ranking = Ranking.load(folder / "rankings" / f"{key}.npz")
            if ranking.key == key:
                return ranking
    return None


def partial_path(key: str) -> Path:
    """Return where the scores of an unfinished ranking are stored, by its key."""
    return cache_dir() / "rankings" / "partial" / f"{key}.npz"


def keep_ranking(ranking: Ranking) -> bool:
    """Put a ranking where :func:`cached_ranking` finds it; False when the disk refuses."""
    return try_write(cache_dir() / "rankings" / f"{ranking.key}.npz", ranking.to_bytes())


def keyed_rng(seed: int, stage: str, *keys: int) -> np.random.Generator:
    """Return a random generator that depends on nothing but its arguments.

    >>> keyed_rng(0, "rank", 7).integers(10, size=3).tolist()
    [0, 3, 3]
    """
    digest = hashlib.sha256(json.dumps([int(seed), stage, *map(int, keys)]).encode()).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(digest[:16], "big")))


def crop_boxes(height: int, width: int, config: RankConfig, seed: int, image_index: int) -> np.ndarray:
    """Return the crops that are scored in one image, int (crops, 4): top, left, height, width in native pixels.

    The crops of an image depend on its index only, not on what else is scored, or in what batches.
    """
    rng = keyed_rng(seed, "rank", image_index)
    share = rng.uniform(config.min_crop, config.max_crop, config.crops)
    side = np.maximum(1, np.rint(np.sqrt(share) * min(height, width))).astype(np.int64)
    top = rng.integers(0, height - side, endpoint=True)
    left = rng.integers(0, width - side, endpoint=True)
    return np.stack([top, left, side, side], axis=1)


def rank(
    dataset: Dataset,
    teacher: Teacher,
    config: RankConfig,
    *,
    seed: int,
    device: str | torch.device = "cpu",
    classes: Sequence[int] | None = None,
    kept: Path | None = None,
    workers: int | None = None,
    reads_ahead: bool = True,
    share: tuple[int, int] = (0, 1),
    columns: Sequence[int] | None = None,
) -> Iterator[RankProgress | Ranking]:
    """Score the patches of the training images, batch by batch.

    Args:
        dataset: whose training images are scored.
        teacher: its network, put in eval mode, scores; its card's mean and std normalise the pixels.
        config: whole images or crops; the batch size changes no box, and no probability but by rounding.
        seed: of the experiment.
        device: by name; the network is moved there.
        classes: score only these; all when None.
        kept: a file of the scores until all are there; a ranking that was stopped resumes from it, and is to the bit
            what it would have been.
        workers: processes that read the pixels, a thread where there are none; as many as pay when None.
        reads_ahead: while a batch is scored, where pixels are not merely copied; it changes no score.
        share: (number, of how many): score this share of the patches only, in the batches in which all would be; see
            :func:`shares` and :func:`joined`.
        columns: which of the teacher's classes each of the dataset's is, for one that knows more: the probability is
            over all that it knows, as in a ranking of ImageNet-1K of which ImageNet-100 takes its classes.

    Yields:
        RankProgress after every batch, the last one with the timing, then the Ranking.

    Raises:
        CheckpointError: the teacher has another number of classes, or its probabilities are not finite.
        DataError: a class that the dataset does not have, no images to score, or a file that has gone since.
        RunError: the device is out of memory also with half a batch.

    Source: DELT Sec. 3; data_selection.py ``rank``.
    """
    spec, card, train = dataset.spec, teacher.card, dataset.train
    if columns is None and card.num_classes != spec.num_classes:
        raise CheckpointError(
            f"teacher: {card.name} knows {card.num_classes} classes, but {spec.name} has {spec.num_classes}."
        )
    for class_index in () if classes is None else classes:
        if not 0 <= class_index < spec.num_classes:
            raise DataError(f"classes: {class_index} given, but {spec.name} has classes 0 to {spec.num_classes - 1}.")
    images = np.flatnonzero(np.isin(train.labels, classes)) if classes is not None else np.arange(len(train.labels))
    if not len(images):
        raise DataError(f"dataset: {spec.name} has no training images of the classes asked for.")
    images = images[_share(len(images), config, share)]
    indices = np.repeat(images, max(1, config.crops))
    chosen = None if classes is None else tuple(sorted({int(c) for c in classes}))
    key = ranking_key(dataset.fingerprint, card.fingerprint, config, seed, chosen)
    scorer = Scorer(teacher, card.num_classes, device, columns)
    name = f"{key} {share} {config.batch_size} {scorer.device} {metadata.version('torch')}"
    scores = PartialScores(kept, name, len(indices), config.batch_size)
    patches = Patches(train, images, config.crops, partial(_boxes_of, train, config, seed))
    try:
        yield from scored(patches, scores, scorer, config.batch_size, workers, reads_ahead=reads_ahead)
    finally:
        scores.write()
    yield Ranking(
        image_index=indices,
        crop_box=scores.boxes,
        label=train.labels[indices],
        true_class_prob=scores.probs,
        dataset=spec.name,
        dataset_fingerprint=dataset.fingerprint,
        teacher=card.name,
        teacher_fingerprint=card.fingerprint,
        image_size=spec.image_size,
        config=config,
        class_names=tuple(spec.class_names),
        seed=int(seed),
        classes=chosen,
    )
    scores.remove()


def shares(images: int, config: RankConfig, most: int) -> int:
    """Return into how many shares the scoring of some images can be cut, ``most`` at most: none is empty.

    >>> shares(1000, RankConfig(batch_size=256), 8)
    4
    """
    return max(1, min(most, -(-images // _unit(config))))


def joined(rankings: Sequence[Ranking]) -> Ranking:
    """Return the whole ranking of all its shares in their order: to the bit what one process would have made."""
    arrays: dict[str, Any] = {name: np.concatenate([getattr(one, name) for one in rankings]) for name in Ranking.ARRAYS}
    return replace(rankings[0], **arrays)


def _share(images: int, config: RankConfig, share: tuple[int, int]) -> slice:
    (number, count), unit = share, _unit(config)
    units = -(-images // unit)
    return slice(unit * (units * number // count), min(images, unit * (units * (number + 1) // count)))


def _unit(config: RankConfig) -> int:
    """Return the least number of images whose patches fill whole batches."""
    crops = max(1, config.crops)
    return math.lcm(config.batch_size, crops) // crops


def _boxes_of(train: ImageSet, config: RankConfig, seed: int, images: np.ndarray) -> np.ndarray:
    if not config.crops:
        return np.array([train.seen_box(int(index)) for index in images])
    return np.concatenate([crop_boxes(*train.size(int(index)), config, seed, int(index)) for index in images])
