"""Stored soft labels: a folder with what happened to the images of every epoch, and what the teacher said of them.

``manifest.json`` says what the labels are of; ``epoch-0001.safetensors`` and so on hold an epoch each: the recorded
draws (:mod:`delt_engine.training.draw_arrays`) and the labels (:mod:`delt_engine.training.label_codec`), both in the
order in which the images are shown. Nothing is compressed, so the size is known to the byte before anything is
written. Files are whole or absent, so a store that was interrupted goes on with the first epoch that is missing. Labels
reduced to directions have these once, in ``basis.safetensors``.

Source: ours; SRe2L and FKD keep one pickled file a batch, and replay it with a patched PyTorch.
"""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.numpy import load, save

from delt_engine.config.students import EvaluateConfig, RelabelConfig
from delt_engine.errors import DataError
from delt_engine.files import write_bytes
from delt_engine.training.draw_arrays import draws_spec, packed, unpacked
from delt_engine.training.draws import EpochDraws
from delt_engine.training.label_codec import Basis, LabelCodec, Spec, basis_spec

FORMAT = 1
"""Version of the folder and of what the draws mean; raise it when either changes."""

AUGMENTATION = (
    "batch_size",
    "rand_augment",
    "shuffle_patches",
    "min_crop",
    "flip",
    "mix",
    "mix_alpha",
)
"""Settings of the training that stored labels are bound to."""

MANIFEST = "manifest.json"
_UNFINISHED = (".manifest.json", ".basis.safetensors", ".epoch-")
"""How names of files begin that are being written."""

_DTYPES = {"float32": "F32", "float16": "F16", "uint8": "U8", "uint16": "U16", "uint32": "U32", "int16": "I16"}
_LABELS = "label."


@dataclass(frozen=True)
class StoreFacts:
    """What stored labels are of.

    Attributes:
        images: N.
        num_classes: K.
        image_size: side in pixels.
        mosaic: tiles along each side of an image.
        epochs: how many the store shall have.
        seed: what the epochs were drawn from.
        form: see :mod:`delt_engine.training.label_codec`.
        top_k: classes kept of a label; 0 for all.
        directions: that a label is reduced to; 0 for none.
        temperature: at which the classes that are not kept keep their probability.
        augmentation: the settings of :data:`AUGMENTATION`.
        image_fingerprint: of the images, their labels and their order.
        teacher_fingerprint: of the teacher's weights.
        title: what a reader calls the images.
        format: version.
    """

    images: int
    num_classes: int
    image_size: int
    mosaic: int
    epochs: int
    seed: int
    form: str
    top_k: int
    directions: int
    temperature: float
    augmentation: Mapping[str, object]
    image_fingerprint: str
    teacher_fingerprint: str
    title: str = ""
    format: int = FORMAT

    @property
    def codec(self) -> LabelCodec:
        """What reads and writes the labels; with directions it lacks the store's basis."""
        return LabelCodec.of(self.relabel, self.num_classes, self.temperature)

    @property
    def relabel(self) -> RelabelConfig:
        """The form of a label."""
        return RelabelConfig(form=self.form, top_k=self.top_k, directions=self.directions)

    @property
    def config(self) -> EvaluateConfig:
        """The settings that the epochs were drawn with; others stand at their defaults."""
        return EvaluateConfig(**self.augmentation)

    @property
    def size(self) -> StoreSize:
        """What the whole store takes."""
        config = self.config.replace(temperature=self.temperature)
        count, classes, side = self.images, self.num_classes, self.image_size
        return predicted_bytes(count, classes, self.epochs, self.relabel, config, image_size=side, mosaic=self.mosaic)


@dataclass(frozen=True)
class StoreSize:
    """What a store takes, in bytes; the manifest, some hundred bytes, aside.

    Attributes:
        labels: of all epochs.
        draws: what happened to the images, of all epochs.
        headers: names and shapes of the arrays, of all files.
        basis: directions that labels are reduced to, once.
    """

    labels: int
    draws: int
    headers: int
    basis: int = 0

    @property
    def total(self) -> int:
        """All of it."""
        return self.labels + self.draws + self.headers + self.basis


def predicted_bytes(
    count: int,
    num_classes: int,
    epochs: int,
    relabel: RelabelConfig,
    config: EvaluateConfig,
    *,
    image_size: int,
    mosaic: int = 1,
) -> StoreSize:
    """Return what a store will take, to the byte.

    Args:
        count: N, number of images.
        num_classes: K.
        epochs: of the training.
        relabel: form of a label.
        config: resolved.
        image_size: side of the images in pixels.
        mosaic: tiles along each side of an image.
    """
    draws = draws_spec(config, count, image_size, mosaic)
    codec = LabelCodec.of(relabel, num_classes, config.temperature)
    labels, basis = codec.spec(count), basis_spec(num_classes, codec.directions) if codec.directions else {}
    return StoreSize(
        labels=epochs * _nbytes(labels),
        draws=epochs * _nbytes(draws),
        headers=epochs * _header(_joined(draws, labels)) + (_header(basis) if basis else 0),
        basis=_nbytes(basis),
    )


class LabelStore:
    """A folder of stored labels."""

    def __init__(self, path: Path, facts: StoreFacts) -> None:
        self.path, self.facts = path, facts

    @classmethod
    def create(cls, path: str | Path, facts: StoreFacts) -> LabelStore:
        """Begin a store, or go on with one of the very same labels.

        Raises:
            DataError: the folder holds something else, or the disk has no room for the store.
        """
        path = Path(path)
        if is_begun(path):
            store = cls.open(path)
            store.check(facts)
            return store
        needed, free = facts.size.total, shutil.disk_usage(_existing(path)).free
        if needed > free:
            raise DataError(
                f"out: the labels take {needed / 2**30:,.1f} GiB, but {free / 2**30:,.1f} GiB are free at {path}; keep "
                "fewer classes with --top-k, or take --form uint8."
            )
        write_bytes(path / MANIFEST, (json.dumps(asdict(facts), indent=1) + "\n").encode(), what="out", kind=DataError)
        return cls(path, facts)

    @classmethod
    def open(cls, path: str | Path) -> LabelStore:
        """Open a store, finished or not.

        Raises:
            DataError: it is none.
        """
        path = Path(path).expanduser()
        try:
            values = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
            facts = StoreFacts(**{field.name: values[field.name] for field in fields(StoreFacts)})
        except (OSError, ValueError, KeyError, TypeError):
            raise DataError(f"label_store: {path} holds no labels that `delt relabel` wrote.") from None
        if facts.format != FORMAT:
            raise DataError(
                f"label_store: {path} has format {facts.format}, but this version reads format {FORMAT}; relabel again."
            )
        return cls(path, facts)

    def check(self, facts: StoreFacts) -> None:
        """Refuse to go on with labels that are not the very same: of other images, another teacher, form and so on.

        Raises:
            DataError: they differ.
        """
        _check_same(asdict(self.facts), asdict(facts), f"out: {self.path} holds labels of")

    def epoch_path(self, epoch: int) -> Path:
        """Return the file of an epoch, from 1."""
        return self.path / f"epoch-{epoch:04d}.safetensors"

    @property
    def basis_path(self) -> Path:
        """Return the file of the directions that labels are reduced to."""
        return self.path / "basis.safetensors"

    def codec(self) -> LabelCodec:
        """Return what reads and writes the labels.

        Raises:
            DataError: labels are reduced to directions, and these are not written or damaged.
        """
        codec = self.facts.codec
        if not codec.directions:
            return codec
        try:
            arrays = load(self.basis_path.read_bytes())
            if {name: (array.dtype, array.shape) for name, array in arrays.items()} != basis_spec(
                codec.num_classes, codec.directions
            ):
                raise ValueError
        except (OSError, SafetensorError, ValueError):
            raise DataError(
                f"label_store: {self.basis_path} is missing or damaged; relabel into a new folder."
            ) from None
        return replace(codec, basis=Basis(*(torch.from_numpy(arrays[name]) for name in ("centre", "directions"))))

    def write_basis(self, basis: Basis) -> LabelCodec:
        """Write the directions, before any epoch, and return what reads and writes labels with them.

        Raises:
            DataError: the disk refuses.
        """
        write_bytes(self.basis_path, save(basis.arrays()), what="out", kind=DataError)
        return replace(self.facts.codec, basis=basis)

    def has_epoch(self, epoch: int) -> bool:
        """Return whether an epoch is written; a file is whole or absent."""
        return self.epoch_path(epoch).is_file()

    @property
    def missing(self) -> list[int]:
        """Which epochs are not written, ascending."""
        return [epoch for epoch in range(1, self.facts.epochs + 1) if not self.has_epoch(epoch)]

    @property
    def is_complete(self) -> bool:
        """Whether all epochs are written."""
        return not self.missing

    def remove_unfinished(self) -> None:
        """Remove what is left of files whose writer was killed; for when nobody writes into the store.

        Raises:
            DataError: the disk refuses.
        """
        for entry in filter(_is_unfinished, self.path.iterdir()):
            try:
                entry.unlink(missing_ok=True)
            except OSError as error:
                raise DataError(f"out: {entry} cannot be removed ({error.strerror}).") from None

    def write_epoch(self, epoch: int, draws: EpochDraws, labels: Mapping[str, np.ndarray]) -> None:
        """Write an epoch.

        Args:
            epoch: from 1.
            draws: what happens to the images.
            labels: of the codec, in the order in which the images are shown.

        Raises:
            DataError: the disk refuses.
        """
        facts = self.facts
        arrays = packed(draws, draws_spec(facts.config, facts.images, facts.image_size, facts.mosaic))
        arrays |= {_LABELS + name: array for name, array in labels.items()}
        write_bytes(self.epoch_path(epoch), save(arrays), what="out", kind=DataError)

    def read_epoch(self, epoch: int) -> tuple[EpochDraws, dict[str, np.ndarray]]:
        """Return what :meth:`write_epoch` was given.

        Raises:
            DataError: the epoch is not written, or its file is damaged.
        """
        try:
            arrays = load(self.epoch_path(epoch).read_bytes())
            labels = {name.removeprefix(_LABELS): array for name, array in arrays.items() if name.startswith(_LABELS)}
            spec = self.facts.codec.spec(self.facts.images)
            if {name: (array.dtype, array.shape) for name, array in labels.items()} != spec:
                raise ValueError
            return unpacked(arrays), labels
        except FileNotFoundError:
            raise DataError(
                f"label_store: epoch {epoch} is not in {self.path}; run the same `delt relabel` again to go on with it."
            ) from None
        except (OSError, SafetensorError, KeyError, ValueError):
            raise DataError(f"label_store: {self.epoch_path(epoch)} is damaged; remove it and relabel again.") from None


def is_begun(path: str | Path) -> bool:
    """Return whether labels are there to go on with; False where a store can be begun.

    Raises:
        DataError: the folder holds something else.
    """
    path = Path(path)
    if (path / MANIFEST).is_file():
        return True
    if path.exists() and (not path.is_dir() or any(not _is_unfinished(entry) for entry in path.iterdir())):
        raise DataError(f"out: {path} given, but it must be a new folder, an empty one, or labels to go on with.")
    return False


def is_complete(path: str | Path) -> bool:
    """Return whether a folder holds a store with all its epochs; False also where there is no store."""
    try:
        return LabelStore.open(path).is_complete
    except DataError:
        return False


def _check_same(stored: Mapping[str, object], given: Mapping[str, object], what: str) -> None:
    """Refuse facts that differ, in one sentence that names the first that does."""
    for name, value in stored.items():
        other = given[name]
        if isinstance(value, Mapping):
            _check_same(value, other, what)
        elif value != other and name != "title":
            raise DataError(f"{what} {name.replace('_', ' ')} {value!r}, but {other!r} is asked for.")


def check_fits(stored: StoreFacts, given: StoreFacts, path: Path) -> None:
    """Refuse to train on stored labels of something else.

    Args:
        stored: what the labels are of.
        given: what the training has; its form, kept classes and teacher do not matter.
        path: of the store.

    Raises:
        DataError: other images, another seed or augmentation, more epochs, or another temperature where classes
            were left out.
    """
    free = {name: getattr(stored, name) for name in ("form", "top_k", "directions", "teacher_fingerprint")}
    asked = {**asdict(given), **free}
    asked["epochs"] = stored.epochs if given.epochs <= stored.epochs else given.epochs
    if not stored.top_k:
        asked["temperature"] = stored.temperature
    if stored.image_fingerprint != given.image_fingerprint:
        what = f"{stored.title!r}" if stored.title else "other images"
        raise DataError(f"label_store: {path} has labels of {what}, not of these images; run `delt relabel` for them.")
    _check_same(asdict(stored), asked, f"label_store: {path} has labels of")


def _joined(draws: Spec, labels: Spec) -> Spec:
    return draws | {_LABELS + name: entry for name, entry in labels.items()}


def _nbytes(spec: Spec) -> int:
    return sum(dtype.itemsize * math.prod(shape) for dtype, shape in spec.values())


def _header(spec: Spec) -> int:
    """Return the bytes of a safetensors file that are no data: its length, then JSON padded to a multiple of eight."""
    begin, entries = 0, {}
    for name, (dtype, shape) in sorted(spec.items(), key=lambda item: (-item[1][0].itemsize, item[0])):
        end = begin + dtype.itemsize * math.prod(shape)
        entries[name] = {"dtype": _DTYPES[dtype.name], "shape": list(shape), "data_offsets": [begin, end]}
        begin = end
    text = json.dumps(entries, separators=(",", ":"))
    return 8 + -(-len(text) // 8) * 8


def _is_unfinished(path: Path) -> bool:
    return path.name.startswith(_UNFINISHED)


def _existing(path: Path) -> Path:
    """Return the nearest folder above that is there."""
    return next(parent for parent in (path.absolute(), *path.absolute().parents) if parent.is_dir())
