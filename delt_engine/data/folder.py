"""Any folder of images as a dataset: ``train/<class>/...`` with a test folder, or ``<class>/...`` alone.

Without a test folder a fifth of every class is set aside, chosen by a hash of the file names, so that the choice is
the same everywhere and hardly moves when files are added. Odd files are used or reported, never fatal. Pixels are
decoded when asked for, or stored where they are not too many.

Shapes: M listed files, N images of a split, n of them asked for, S side of the square images in pixels.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from delt_engine.config import Resize
from delt_engine.data.cache import cached_arrays, open_arrays, store_arrays
from delt_engine.data.dataset import (
    Channels,
    Dataset,
    DatasetSpec,
    ImageSet,
    Report,
    SkippedFile,
    shown_fingerprint,
    statistics_of,
)
from delt_engine.data.decode import Trait, UnreadableImage, decode_square, formats, read_rgb, resize_box, view_side
from delt_engine.data.layout import Listing, list_files
from delt_engine.data.scan import Scan, in_threads, scan_files, scan_pixels
from delt_engine.errors import DataError, RunError
from delt_engine.files import KeyedStore, check_file
from delt_engine.paths import expanded

MAX_STORED_BYTES = 2**30
"""Decoded pixels up to this size are stored; larger sets are decoded when asked for."""

TEST_SHARE = 0.2
_SPLIT_SEED = 0

_OTHER_WAY: Mapping[Resize, Resize] = {"whole": "published", "published": "whole"}

_READ = KeyedStore("folders")
"""What was found in each folder when it was read last."""

STANDARD_SIZES = (32, 64, 128, 224)
"""Sides in pixels to choose from for a folder nobody has described."""


@dataclass(frozen=True)
class FolderTraits:
    """What is known of a folder beforehand; what is None is measured.

    ``class_titles`` gives readable names to class folders; where the folder has others beside them, those are left out.
    """

    name: str
    title: str
    kind: str = "folder"
    description: str = ""
    image_size: int | None = None
    mean: Channels | None = None
    std: Channels | None = None
    num_classes: int | None = None
    class_titles: tuple[tuple[str, str], ...] = ()


class FileImages(ImageSet):
    """One split of a folder of images.

    Args:
        root: the folder.
        names: N paths relative to it.
        labels: (N,) class indices.
        sizes: int (N, 2), native height and width.
        image_size: S.
        stored: decoded pixels uint8 (M, S, S, 3) of all files of the folder, and int (N,), where each image lies there.
        resize: how pictures become squares, the stored ones too.
    """

    def __init__(
        self,
        root: Path,
        names: Sequence[str],
        labels: np.ndarray,
        sizes: np.ndarray,
        image_size: int,
        stored: tuple[np.ndarray, np.ndarray] | None = None,
        resize: Resize = "whole",
    ) -> None:
        super().__init__(labels, names, image_size, resize)
        self._root, self._sizes, self._stored = root, sizes, stored

    @property
    def is_ready(self) -> bool:
        """Whether the pixels at S are stored, so that nothing is decoded for them."""
        return self._stored is not None

    @property
    def is_native(self) -> bool:
        """See :attr:`ImageSet.is_native`."""
        is_whole = view_side(self.image_size, self.resize) == self.image_size
        return is_whole and bool((self._sizes == self.image_size).all())

    def shown(self, resize: Resize) -> ImageSet:
        """Return the same images, made square in this way; what is stored is of one way alone."""
        stored = self._stored if resize == self.resize else None
        return FileImages(self._root, self.names, self.labels, self._sizes, self.image_size, stored, resize)

    def original(self, index: int) -> np.ndarray:
        """Decode one image at native size, uint8 (H, W, 3).

        Raises:
            DataError: the file has gone or changed since the dataset was loaded.
        """
        return self._read(int(self._checked([index])[0]), read_rgb)

    def size(self, index: int) -> tuple[int, int]:
        """Return the native (height, width) of one image in pixels."""
        height, width = self._sizes[self._checked([index])[0]].tolist()
        return height, width

    def pixels(self, indices: Sequence[int] | np.ndarray) -> np.ndarray:
        """Return images at S, from the stored pixels if there are any. See :meth:`ImageSet.pixels`."""
        checked = self._checked(indices)
        if self._stored is not None:
            pixels, rows = self._stored
            return np.asarray(pixels[rows[checked]])
        out = np.empty((len(checked), self.image_size, self.image_size, 3), dtype=np.uint8)

        def fill(rows: np.ndarray) -> None:
            for row in rows.tolist():
                out[row] = self._read(
                    int(checked[row]), lambda path: decode_square(path, self.image_size, self.resize)[0]
                )

        list(in_threads(fill, np.arange(len(checked))))
        return out

    def crops(self, indices: Sequence[int] | np.ndarray, boxes: np.ndarray) -> np.ndarray:
        """Cut boxes out of images at native size; crops of one image that follow each other decode it once."""
        checked = self._checked(indices)
        boxes = self._checked_boxes(checked, boxes)
        groups = np.split(np.arange(len(checked)), np.flatnonzero(np.diff(checked)) + 1)
        out = np.empty((len(checked), self.image_size, self.image_size, 3), dtype=np.uint8)

        def cut(numbers: np.ndarray) -> None:
            for rows in (groups[number] for number in numbers.tolist()):
                index = int(checked[rows[0]])
                image = self.original(index)
                for row in rows.tolist():
                    try:
                        out[row] = resize_box(image, tuple(boxes[row]), self.image_size, self.resize)
                    except ValueError:
                        raise self._gone(index, "it is another picture") from None

        list(in_threads(cut, np.arange(len(groups) if len(checked) else 0)))
        return out

    def _read(self, index: int, read: Callable[[Path], np.ndarray]) -> np.ndarray:
        try:
            return read(self._root / self.names[index])
        except UnreadableImage as error:
            raise self._gone(index, str(error)) from None

    def _gone(self, index: int, reason: str) -> DataError:
        path = self._root / self.names[index]
        return DataError(f"dataset: {path} cannot be read any more ({reason}); load the dataset again to leave it out.")


def load_folder(
    root: str | Path,
    image_size: int | None = None,
    known: FolderTraits | None = None,
    report: Report | None = None,
    resize: Resize = "whole",
) -> Dataset:
    """Load a folder of images.

    S is by default what is known of the folder, or the standard size next below the usual short side; ``report`` gets
    ("scan", done, total). Mean and std are those of whole squares, so that they hang on the images alone.

    Raises:
        DataError: the folder cannot be a dataset; the text says why.
    """
    root = expanded(root).absolute()
    known = known or FolderTraits(root.name or "folder", root.name or "Folder", class_titles=titles_in(root))
    listing = list_files(root, [folder for folder, _ in known.class_titles])
    if known.num_classes not in (None, len(listing.class_names)):
        raise DataError(
            f"dataset: {known.name} has {known.num_classes} classes, but {root} holds {len(listing.class_names)} class "
            f"folders; give the folder's path instead of the name to use it as it is."
        )
    size = image_size or known.image_size or usual_size(root, listing)
    whole = listing.fingerprint(size)
    fingerprint = shown_fingerprint(whole, resize)
    scan, arrays = _scanned(root, listing, size, whole, resize, report)
    is_test = _split(root, listing, scan)
    sets = []
    for wanted in (~is_test, is_test):
        rows = np.flatnonzero(wanted & scan.is_usable)
        sizes = np.stack([scan.heights[rows], scan.widths[rows]], axis=1)
        names, stored = [listing.names[row] for row in rows], (arrays["pixels"], rows) if arrays else None
        sets.append(FileImages(root, names, listing.labels[rows], sizes, size, stored, resize))
    train, test = sets
    mean, std = known.mean, known.std
    if mean is None or std is None:
        key, name, images = f"{whole}-statistics", "statistics", train.shown("whole")
        mean, std = cached_arrays(key, (name,), lambda: {name: np.array(statistics_of(images))})[name].tolist()
    titles = dict(known.class_titles)
    spec = DatasetSpec(
        name=known.name,
        title=known.title,
        kind=known.kind,
        num_classes=len(listing.class_names),
        class_names=tuple(titles.get(name, name) for name in listing.class_names),
        image_size=size,
        mean=(mean[0], mean[1], mean[2]),
        std=(std[0], std[1], std[2]),
        train_size=len(train),
        test_size=len(test),
        description=known.description or f"Images in {root}.",
    )
    if not listing.is_part:
        _keep_sizes(root, spec)
    skipped = [SkippedFile(listing.names[row], scan.reasons[row]) for row in sorted(scan.reasons)]
    skipped += [SkippedFile(path, reason) for path, reason in listing.refused]
    used = scan.is_usable
    odd = {str(trait.name).lower(): int(((scan.traits & trait) != 0)[used].sum()) for trait in Trait}
    counts = {"used": int(used.sum()), "skipped": len(skipped), "ignored": listing.ignored, **odd}
    return Dataset(spec, train, test, fingerprint, tuple(skipped), counts, str(root))


def _scanned(
    root: Path, listing: Listing, size: int, whole: str, resize: Resize, report: Report | None
) -> tuple[Scan, Mapping[str, np.ndarray] | None]:
    """Return the scan of a folder, and its stored pixels at S where it is small enough for that.

    Pictures of S px are the same squares either way, so those of one way serve the other too. ``whole`` is the
    fingerprint of whole squares.
    """
    if len(listing.names) * size * size * 3 > MAX_STORED_BYTES:
        return scan_files(root, listing, report), None
    key, other = (shown_fingerprint(whole, way) for way in (resize, _OTHER_WAY[resize]))
    if (arrays := open_arrays(key, ("pixels",))) is not None:
        return scan_files(root, listing, report), arrays
    if view_side(size, "published") == size and (arrays := open_arrays(other, ("pixels",))) is not None:
        scan = scan_files(root, listing, report)
        if (np.stack([scan.heights, scan.widths])[:, scan.is_usable] == size).all():
            return scan, arrays
    scan, pixels = scan_pixels(root, listing, size, report, resize)
    return scan, store_arrays(key, {"pixels": pixels})


def titles_in(root: Path) -> tuple[tuple[str, str], ...]:
    """Return readable names of class folders from a ``words.txt`` beside them, none where it is missing or unclear.

    Source: the layout of tiny-imagenet-200.zip: a line is the folder, a tab, and names separated by commas.
    """
    try:
        check_file(root / "words.txt", most=2**26)
        with (root / "words.txt").open(encoding="utf-8") as file:
            lines = [line.rstrip("\n").split("\t") for line in file if "\t" in line]
    except (OSError, UnicodeDecodeError):
        return ()
    titles = {line[0]: line[1].split(",")[0].strip() for line in lines}
    counts = Counter(titles.values())
    return tuple((folder, title) for folder, title in titles.items() if title and counts[title] == 1)


def sizes_read(root: str | Path) -> dict[str, int]:
    """Return what a folder held when it was read last: num_classes, image_size, train_size, test_size; else nothing."""
    found = _READ.read((str(expanded(root).absolute()),))
    return found if isinstance(found, dict) else {}


def _keep_sizes(root: Path, spec: DatasetSpec) -> None:
    sizes = {name: getattr(spec, name) for name in ("num_classes", "image_size", "train_size", "test_size")}
    if sizes != sizes_read(root):
        with contextlib.suppress(RunError):  # a disk that refuses costs a line in a table
            _READ.write((str(root),), sizes)


def usual_size(root: Path, listing: Listing) -> int:
    """Return the largest standard size that is not above the median short side of some of the files, or 32."""
    step = max(1, len(listing.names) // 64)
    sides = []
    for name in listing.names[::step]:
        try:
            if not (root / name).is_file():
                continue  # a pipe would be waited for
            with Image.open(root / name, formats=formats()) as picture:
                sides.append(min(picture.size))
        except Exception:  # what is wrong with a file is said when it is scanned
            continue
    middle = float(np.median(sides)) if sides else 0
    return max([side for side in STANDARD_SIZES if side <= middle], default=STANDARD_SIZES[0])


def set_aside(names: list[str], share: float = TEST_SHARE, seed: int = _SPLIT_SEED) -> list[str]:
    """Return the ``share`` of the names that goes to test, at least one of several, the same ones whatever their order.

    >>> len(set_aside([f"{i}.png" for i in range(10)])), set_aside(["a.png"])
    (2, [])
    """
    if len(names) < 2:
        return []
    key = {name: hashlib.blake2b(f"{seed}/{name}".encode(), digest_size=8).digest() for name in names}
    return sorted(names, key=lambda name: (key[name], name))[: max(1, round(share * len(names)))]


def _split(root: Path, listing: Listing, scan: Scan) -> np.ndarray:
    """Return bool (M,): which files are test; made here when the folder has no test images.

    Raises:
        DataError: a class without usable train images, or nothing left to test on.
    """
    is_usable, is_test = scan.is_usable, listing.is_test.copy()
    order = np.argsort(listing.labels, kind="stable")
    of_class = np.split(order, np.searchsorted(listing.labels[order], np.arange(1, len(listing.class_names))))
    for name, all_rows in zip(listing.class_names, of_class, strict=True):
        files = all_rows[~listing.is_test[all_rows]]
        rows = files[is_usable[files]]
        if len(rows) == 0:
            first = next((row for row in files.tolist() if row in scan.reasons), None)
            why = "" if first is None else f" ({listing.names[first]}: {scan.reasons[first]})"
            raise DataError(
                f"classes: {name!r} has no usable image among its {len(files)} files for training in {root}{why}."
            )
        if not listing.has_split:
            chosen = set(set_aside([listing.names[row] for row in rows]))
            is_test[[row for row in rows if listing.names[row] in chosen]] = True
    if not (is_test & is_usable).any():
        raise DataError(
            f"dataset: {root} leaves no image to test on; add a test folder, or at least two images to some class."
        )
    return is_test
