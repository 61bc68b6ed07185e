"""Images that students learn from or are tested on, as one table, and the checks that both mean the same classes.

A table comes from a run, from any folder of images, or from the real training images. Classes are matched by name: a
test set whose names are other ones is refused, and one with the same names in another order is read in the order of the
training images.

Shapes: N images, S side in pixels; everything is uint8 numpy.

Source: ours. Published evaluation takes folders in sorted order for classes, so that a folder of another dataset, or in
another order, shows only in the accuracy.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import psutil

from delt_engine.data.catalogue import find_entry
from delt_engine.data.dataset import Dataset, ImageSet
from delt_engine.data.decode import UnreadableImage, decode_square
from delt_engine.data.layout import list_files
from delt_engine.data.scan import in_threads
from delt_engine.errors import DataError
from delt_engine.paths import expanded

if TYPE_CHECKING:
    from delt_engine.runs.store import Run

_MEMORY_SHARE = 0.7  # of the free memory that one table may take
_SAMPLES_SHOWN = 3


@dataclass(frozen=True, eq=False)
class ImageTable:
    """Labelled images of one size.

    Attributes:
        image_u8: uint8 (N, S, S, 3).
        labels: int64 (N,), positions in ``class_names``.
        mean, std: per channel of pixels in [0, 1].
        mosaic: tiles along each side of an image; 1 where images are no mosaics.
        ipc: images per class, or None where classes have different numbers.
        all_class_names: every class of the dataset it belongs to; those of the table when left out.
    """

    image_u8: np.ndarray
    labels: np.ndarray
    class_names: tuple[str, ...]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    mosaic: int = 1
    ipc: int | None = None
    title: str = ""
    all_class_names: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        count, size = len(self.labels), self.image_u8.shape[1] if self.image_u8.ndim == 4 else -1
        if self.image_u8.dtype != np.uint8 or self.image_u8.shape != (count, size, size, 3):
            raise DataError(
                f"image_u8: {self.image_u8.dtype} of shape {self.image_u8.shape} given, but uint8 ({count}, S, S, 3) "
                "is needed."
            )
        if count and not 0 <= int(self.labels.min()) <= int(self.labels.max()) < len(self.class_names):
            raise DataError(
                f"labels: {int(self.labels.min())} to {int(self.labels.max())} given, but there are "
                f"{len(self.class_names)} classes."
            )
        if not self.all_class_names:
            object.__setattr__(self, "all_class_names", tuple(self.class_names))

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def image_size(self) -> int:
        """S, the side of the images in pixels."""
        return self.image_u8.shape[1]


def from_run(run: Run) -> ImageTable:
    """Return the finished images of a run; a run of some classes gives a table of those classes.

    Raises:
        DataError: the run is not finished, or an image is missing or has another size.
    """
    record = run.record()
    if record.status != "finished" or record.dataset is None:
        raise DataError(f"source: run {run.id} is {record.status}, but students learn from a finished one.")
    data, ipc = record.dataset, record.experiment.recover.ipc
    folders = [run.path / "images" / run.class_folder(index) for index in run.classes]
    paths = [folder / f"{index:04d}.png" for folder in folders for index in range(ipc)]
    return ImageTable(
        image_u8=_decoded(paths, data.image_size, exactly=True),
        labels=np.repeat(np.arange(len(folders), dtype=np.int64), ipc),
        class_names=tuple(data.class_names[index] for index in run.classes),
        mean=data.mean,
        std=data.std,
        mosaic=record.experiment.select.mosaic,
        ipc=ipc,
        title=run.id,
        all_class_names=tuple(data.class_names),
    )


def from_folder(
    path: str | Path,
    dataset: Dataset,
    *,
    classes: Sequence[str] | None = None,
    class_folders: Mapping[str, str] | None = None,
    mosaic: int = 1,
) -> ImageTable:
    """Return the images of a folder with one folder of images a class, such as another project's result.

    A ``train`` folder in it is taken when there is one. Images are resized and cropped to the dataset's size.

    Args:
        path: the folder.
        dataset: whose classes it has, and whose image size and statistics it is read with.
        classes: the classes it is meant to have; all of the dataset's when not given.
        class_folders: folder name to class name, for folders named otherwise; the dataset's own codes, such as
            WordNet's, when not given.
        mosaic: tiles along each side of its images.

    Raises:
        DataError: no such folder, a file that cannot be read, or class folders that are not those classes.
    """
    root = expanded(path).absolute()
    listing = list_files(root)
    names = tuple(dataset.spec.class_names)
    wanted = names if classes is None else tuple(names[dataset.class_index(name)] for name in classes)
    entry = find_entry(dataset.spec.name)
    codes = dict(entry.class_titles if entry and class_folders is None else class_folders or {})
    owners = [class_of(folder, names, codes) for folder in listing.class_names]
    check_same_classes(owners, wanted, "source", str(root), dataset.spec.title)
    rows = np.flatnonzero(~listing.is_test)
    position = np.array([wanted.index(owner) for owner in owners], dtype=np.int64)
    labels = position[listing.labels[rows]]
    order = np.argsort(labels, kind="stable")
    _check_memory(len(rows), dataset.spec.image_size, str(root))
    return ImageTable(
        image_u8=_decoded([root / listing.names[row] for row in rows[order]], dataset.spec.image_size),
        labels=labels[order],
        class_names=wanted,
        mean=dataset.spec.mean,
        std=dataset.spec.std,
        mosaic=mosaic,
        ipc=_ipc(labels, len(wanted)),
        title=root.name,
        all_class_names=names,
    )


def real(dataset: Dataset, class_names: Sequence[str] | None = None) -> ImageTable:
    """Return the whole training set, or what it has of some classes; in whole squares, since training crops them anew.

    Raises:
        DataError: it does not fit into memory.
    """
    return _of_images(
        dataset, dataset.train.shown("whole"), f"All training images of {dataset.spec.title}", class_names
    )


def test_table(dataset: Dataset, train: ImageTable | None = None) -> ImageTable:  # noqa: PT028, it is no test
    """Return the test images, for the classes and in the order of the training images, else of the dataset.

    Raises:
        DataError: the names of the classes do not match, a class has no test image, or they do not fit into memory.
    """
    names = tuple(dataset.spec.class_names)
    if train is not None:
        check_same_classes(train.all_class_names, names, "source", train.title or "the source", dataset.spec.title)
    wanted = names if train is None else train.class_names
    table = _of_images(dataset, dataset.test, f"Test images of {dataset.spec.title}", wanted)
    missing = np.flatnonzero(np.bincount(table.labels, minlength=len(wanted)) == 0)
    if len(missing):
        raise DataError(
            f"classes: {wanted[missing[0]]!r} has no test image in {dataset.spec.title}, so students cannot be tested "
            "on it."
        )
    return table


def check_same_classes(given: Sequence[str], wanted: Sequence[str], field: str, owner: str, other: str) -> None:
    """Refuse class names that are not the same set.

    Raises:
        DataError: the sentence names the first classes that only one of both has.
    """
    extra = [name for name in given if name not in set(wanted)]
    missing = [name for name in wanted if name not in set(given)]
    if not extra and not missing and len(given) == len(set(given)):
        return
    if not extra and not missing:
        twice = next(name for name in given if list(given).count(name) > 1)
        raise DataError(f"{field}: {owner} has the class {twice!r} twice.")
    parts = [f"{owner} has {_listed(extra)}, which {other} has not"] if extra else []
    parts += [f"{other} has {_listed(missing)}, which {owner} has not"] if missing else []
    raise DataError(f"{field}: the class names do not match: {'; '.join(parts)}.")


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:_SAMPLES_SHOWN])
    return shown + (f" and {len(names) - _SAMPLES_SHOWN} more" if len(names) > _SAMPLES_SHOWN else "")


def class_of(folder: str, names: Sequence[str], class_folders: Mapping[str, str]) -> str:
    """Return the class of a folder, or the folder itself where it is none.

    By its name, by the table, by the name behind its class number, by the name as others write it, or by a bare class
    number, counted from 0.

    Source: SRe2L, CDA and DELT name folders ``new000``, RDED ``00000``.

    >>> names = ("cat", "sea lion")
    >>> [class_of(folder, names, {"n02": "cat"}) for folder in ("n02", "1-sea lion", "Sea_Lion", "new000")]
    ['cat', 'sea lion', 'sea lion', 'cat']
    """
    if folder in names:
        return folder
    if folder in class_folders:
        return class_folders[folder]
    numbered = re.fullmatch(r"0*(\d+)-(.*)", folder)
    if numbered and int(numbered[1]) < len(names) and names[int(numbered[1])].startswith(numbered[2]):
        return names[int(numbered[1])]
    alike = [name for name in names if _plain(folder) in (_plain(name), _plain(name.split(",")[0]))]
    if len(alike) == 1:
        return alike[0]
    bare = re.fullmatch(r"(?:new|class|label)?[_-]?0*(\d+)", folder)
    return names[int(bare[1])] if bare and int(bare[1]) < len(names) else folder


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "", name).casefold()


def _of_images(dataset: Dataset, images: ImageSet, title: str, class_names: Sequence[str] | None = None) -> ImageTable:
    """Return a split of a dataset as a table, its labels counted in ``class_names``."""
    spec = dataset.spec
    wanted = tuple(class_names or spec.class_names)
    position = np.full(len(spec.class_names), -1, dtype=np.int64)
    for number, name in enumerate(wanted):
        position[spec.class_names.index(name)] = number
    labels = position[images.labels]
    rows = np.flatnonzero(labels >= 0)
    _check_memory(len(rows), spec.image_size, title)
    return ImageTable(
        image_u8=images.pixels(rows),
        labels=labels[rows],
        class_names=wanted,
        mean=spec.mean,
        std=spec.std,
        ipc=_ipc(labels[rows], len(wanted)),
        title=title,
        all_class_names=tuple(spec.class_names),
    )


def _ipc(labels: np.ndarray, num_classes: int) -> int | None:
    counts = np.bincount(labels, minlength=num_classes)
    return int(counts[0]) if len(set(counts.tolist())) == 1 else None


def _decoded(paths: Sequence[Path], image_size: int, exactly: bool = False) -> np.ndarray:
    """Return uint8 (N, S, S, 3) of image files, read in threads.

    Raises:
        DataError: a file cannot be read, or is not of that size where it must be.
    """
    out = np.empty((len(paths), image_size, image_size, 3), dtype=np.uint8)

    def fill(rows: np.ndarray) -> None:
        for row in rows.tolist():
            try:
                out[row], height, width, _ = decode_square(paths[row], image_size)
            except UnreadableImage as error:
                raise DataError(f"source: {paths[row]} cannot be read ({error}).") from None
            if exactly and (height, width) != (image_size, image_size):
                raise DataError(f"source: {paths[row]} has {width} x {height} px, but the run's images {image_size}.")

    for _ in in_threads(fill, np.arange(len(paths))):
        pass
    return out


def _check_memory(count: int, image_size: int, title: str) -> None:
    needed, free = count * image_size**2 * 3, psutil.virtual_memory().available
    if needed > _MEMORY_SHARE * free:
        raise DataError(
            f"source: {title} takes {needed / 2**30:.1f} GiB at {image_size} px, but {free / 2**30:.1f} GiB of memory "
            "are free; give a smaller image size."
        )
