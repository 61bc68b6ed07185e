"""What stored soft labels are of, how large they are, and whether they fit a training; no torch.

The app lists stores and says what a new one will take; :mod:`delt_engine.training.soft_labels` reads and writes them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from delt_engine import access
from delt_engine.config.students import EvaluateConfig
from delt_engine.errors import DataError
from delt_engine.files import check_file

if TYPE_CHECKING:
    from delt_engine.training.draws import EpochDraws

FORMAT = 2
"""Version of the folder. In version 1 each file holds what happens to the images in place of the checksum."""

AUGMENTATION = (
    *("batch_size", "rand_augment", "cutout", "shuffle_patches", "min_crop", "flip", "alternate_flips"),
    *("mix", "mix_alpha"),
)
"""Settings of the training that stored labels are bound to."""

MANIFEST = "manifest.json"
_MOST_EPOCHS = 10**6
DRAWS, LOGITS = "draws", "logits"
"""Names in an epoch's file."""


@dataclass(frozen=True)
class StoreFacts:
    """What stored labels are of.

    Attributes:
        images: N.
        num_classes: K.
        image_size: side in pixels.
        mosaic: tiles along each side of an image.
        epochs: of the training.
        label_epochs: how many the store shall have; they are replayed in turn.
        seed: what the epochs are drawn from.
        form: ``float32`` or ``float16``.
        augmentation: the settings of :data:`AUGMENTATION`.
        image_fingerprint: of the images, their labels and their order.
        teacher_fingerprint: of the teacher's weights.
        title: what a reader calls the images.
        teacher: name of the network that labelled; "" in stores from before it was kept.
        format: version.
    """

    images: int
    num_classes: int
    image_size: int
    mosaic: int
    epochs: int
    label_epochs: int
    seed: int
    form: str
    augmentation: Mapping[str, Any]
    image_fingerprint: str
    teacher_fingerprint: str
    title: str = ""
    format: int = FORMAT
    teacher: str = ""

    @property
    def config(self) -> EvaluateConfig:
        """The settings that the epochs are drawn with; others stand at their defaults."""
        return EvaluateConfig(**self.augmentation)

    @property
    def batch_size(self) -> int:
        """B, images a batch."""
        return int(self.augmentation["batch_size"])

    def draw(self, epoch: int) -> EpochDraws:
        """Draw a label epoch, from 1."""
        from delt_engine.training.draws import draw_epoch  # torch, which nothing else here needs

        return draw_epoch(self.config, self.images, self.image_size, mosaic=self.mosaic, seed=self.seed, epoch=epoch)

    @property
    def size(self) -> StoreSize:
        """What the whole store takes."""
        return store_size(self.images, self.num_classes, self.label_epochs, self.form)


@dataclass(frozen=True)
class StoreSize:
    """What the label epochs of a store take, in bytes; the manifest, some hundred bytes, aside."""

    labels: int
    headers: int

    @property
    def total(self) -> int:
        """All of it."""
        return self.labels + self.headers


def store_size(images: int, num_classes: int, label_epochs: int, form: str) -> StoreSize:
    """Return what a store will take, to the byte; ``form`` is ``float32`` or ``float16``.

    >>> store_size(100, 10, 60, "float16").labels
    120000
    """
    shape, dtype = [images, num_classes], np.dtype(form)
    labels = images * num_classes * dtype.itemsize
    # a safetensors file begins with the length of its header, then JSON padded to a multiple of eight
    entry = {"dtype": f"F{8 * dtype.itemsize}", "shape": shape, "data_offsets": [0, labels]}
    header = {"__metadata__": {DRAWS: "0" * 16}, LOGITS: entry}
    length = len(json.dumps(header, separators=(",", ":")))
    return StoreSize(label_epochs * labels, label_epochs * (8 + -(-length // 8) * 8))


def read_facts(path: Path) -> StoreFacts:
    """Read what a store, finished or not, is of.

    Raises:
        DataError: it is none, or of a form that is not read any more.
    """
    access.check_path(path, "label_store", DataError)
    try:
        check_file(path / MANIFEST)
        values = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
        version = values["format"]
        if version == 1:
            values["label_epochs"] = values["epochs"]
        newer = {"cutout": 0.0, "alternate_flips": False}  # stores from before there was any
        values["augmentation"] = {**newer, **values["augmentation"]}
        is_reduced = version == 1 and (values["form"] == "uint8" or values["top_k"] or values["directions"])
        values = {"teacher": "", **values}
        facts = StoreFacts(**{field.name: values[field.name] for field in fields(StoreFacts)})
    except (OSError, ValueError, KeyError, TypeError):
        raise DataError(f"label_store: {path} holds no labels that `delt relabel` wrote.") from None
    if version not in (1, FORMAT):
        raise DataError(
            f"label_store: {path} has format {version}, but this version reads formats 1 and {FORMAT}; relabel again."
        )
    if is_reduced:
        raise DataError(
            f"label_store: {path} has labels in 8 bits, or of some classes or directions only, which this version "
            "does not read any more; relabel again, with --label-epochs for a small store."
        )
    if not _is_sound(facts):
        raise DataError(f"label_store: {path} has a damaged manifest; relabel again.")
    return facts


def _is_sound(facts: StoreFacts) -> bool:
    """Return whether all numbers of a store are ones that there can be."""
    limits = {"images": 10**9, "num_classes": 10**6, "image_size": 10**4, "mosaic": 64}
    limits |= {"epochs": _MOST_EPOCHS, "label_epochs": _MOST_EPOCHS}
    counts = {name: getattr(facts, name) for name in limits}
    try:
        is_drawn = isinstance(facts.seed, int) and facts.batch_size > 0 and facts.config is not None
    except (ValueError, TypeError, KeyError):  # ConfigError among them
        return False
    are_counts = all(type(value) is int and 0 < value <= limits[name] for name, value in counts.items())
    return is_drawn and are_counts and facts.form in ("float32", "float16")


def epoch_file(path: Path, epoch: int) -> Path:
    """Return the file of a label epoch, from 1."""
    return path / f"epoch-{epoch:04d}.safetensors"


def missing_epochs(path: Path, facts: StoreFacts) -> list[int]:
    """Return which label epochs are not written, ascending; files are whole or absent."""
    return [n for n in range(1, facts.label_epochs + 1) if not epoch_file(path, n).is_file()]


def check_fits(stored: StoreFacts, given: StoreFacts, path: Path) -> None:
    """Refuse to train on stored labels of something else.

    Args:
        stored: what the labels are of.
        given: what the training has; its form, label epochs and teacher do not matter.
        path: of the store.

    Raises:
        DataError: other images, another seed or augmentation, or more epochs.
    """
    if stored.image_fingerprint != given.image_fingerprint:
        what = f"{stored.title!r}" if stored.title else "other images"
        raise DataError(f"label_store: {path} has labels of {what}, not of these images; run `delt relabel` for them.")
    free = {name: getattr(stored, name) for name in ("form", "label_epochs", "teacher_fingerprint")}
    asked = {**asdict(given), **free, "epochs": max(stored.epochs, given.epochs)}
    check_same(asdict(stored), asked, f"label_store: {path} has labels of")


def check_same(stored: Mapping[str, Any], given: Mapping[str, Any], what: str) -> None:
    """Refuse facts that differ, in one sentence that names the first that does."""
    for name, value in stored.items():
        other = given[name]
        if isinstance(value, Mapping):
            check_same(value, other, what)
        elif value != other and name not in ("title", "format", "teacher"):
            raise DataError(f"{what} {name.replace('_', ' ')} {value!r}, but {other!r} is asked for.")
