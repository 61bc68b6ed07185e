"""Any folder of images as a dataset: ``train/<class>/...`` with a test folder, or ``<class>/...`` alone.

Without a test folder a fifth of every class is set aside, chosen by a hash of the file names, so that the choice is
the same everywhere and hardly moves when files are added. Odd files are used or reported, never fatal.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from delt_engine.data.cache import cached_arrays, open_arrays, store_arrays
from delt_engine.data.dataset import Dataset, DatasetSpec, SkippedFile
from delt_engine.data.decode import Trait, formats
from delt_engine.data.layout import Listing, list_files
from delt_engine.data.loader import FileImages
from delt_engine.data.scan import Scan, scan_files, scan_pixels
from delt_engine.data.statistics import Channels, statistics_of
from delt_engine.errors import DataError

Report = Callable[[str, int, int], None]

MAX_KEPT_BYTES = 2**30
"""Decoded pixels up to this size are kept; larger sets are decoded when asked for."""

TEST_SHARE = 0.2
_SPLIT_SEED = 0

STANDARD_SIZES = (32, 64, 128, 224)
"""Sides in pixels to choose from for a folder nobody has described."""


@dataclass(frozen=True)
class FolderTraits:
    """What is known of a folder beforehand; what is None is measured.

    ``class_titles`` gives readable names to class folders.
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


def load_folder(
    root: str | Path, image_size: int | None = None, known: FolderTraits | None = None, report: Report | None = None
) -> Dataset:
    """Load a folder of images.

    Args:
        root: the folder.
        image_size: S; by default what ``known`` says, or the standard size next below the usual short side.
        known: what need not be measured.
        report: told ("scan", done, total) while files are decoded.

    Raises:
        DataError: the folder cannot be a dataset; the text says why.
    """
    root = Path(root).expanduser().absolute()
    known = known or FolderTraits(root.name or "folder", root.name or "Folder")
    listing = list_files(root)
    _check_class_count(root, listing, known)
    size = image_size or known.image_size or usual_size(root, listing)
    fingerprint = listing.fingerprint(size)
    scan, kept = _scan(root, listing, size, fingerprint, report)
    is_test = _split(root, listing, scan)
    train, test = (_image_set(root, listing, scan, size, kept, rows) for rows in (~is_test, is_test))
    mean, std = (known.mean, known.std) if known.mean and known.std else _measured(train, fingerprint)
    titles = dict(known.class_titles)
    spec = DatasetSpec(
        name=known.name,
        title=known.title,
        kind=known.kind,
        num_classes=len(listing.class_names),
        class_names=tuple(titles.get(name, name) for name in listing.class_names),
        image_size=size,
        mean=mean,
        std=std,
        train_size=len(train),
        test_size=len(test),
        description=known.description or f"Images in {root}.",
    )
    skipped = tuple(SkippedFile(path, reason) for path, reason in _skipped(listing, scan))
    return Dataset(spec, train, test, fingerprint, skipped, _counts(listing, scan, len(skipped)), str(root))


def usual_size(root: Path, listing: Listing) -> int:
    """Return the largest standard size that is not above the median short side of some of the files, or 32."""
    step = max(1, len(listing.names) // 64)
    sides = []
    for name in listing.names[::step]:
        try:
            with Image.open(root / name, formats=formats()) as picture:
                sides.append(min(picture.size))
        except Exception:  # what is wrong with a file is said when it is scanned
            continue
    middle = float(np.median(sides)) if sides else 0
    return max([side for side in STANDARD_SIZES if side <= middle], default=STANDARD_SIZES[0])


def set_aside(names: list[str], share: float = TEST_SHARE, seed: int = _SPLIT_SEED) -> list[str]:
    """Choose the names that go to test: the same ones whatever their order.

    Returns:
        ``share`` of the names, rounded, at least one; none when there is only one name.

    >>> len(set_aside([f"{i}.png" for i in range(10)])), set_aside(["a.png"])
    (2, [])
    """
    if len(names) < 2:
        return []
    key = {name: hashlib.blake2b(f"{seed}/{name}".encode(), digest_size=8).digest() for name in names}
    return sorted(names, key=lambda name: (key[name], name))[: max(1, round(share * len(names)))]


def _check_class_count(root: Path, listing: Listing, known: FolderTraits) -> None:
    if known.num_classes is not None and len(listing.class_names) != known.num_classes:
        raise DataError(
            f"dataset: {known.name} has {known.num_classes} classes, but {root} holds {len(listing.class_names)} class "
            f"folders; give the folder's path instead of the name to use it as it is."
        )


def _scan(
    root: Path, listing: Listing, size: int, fingerprint: str, report: Report | None
) -> tuple[Scan, np.ndarray | None]:
    """Return what is known about the files, and their decoded pixels (M, S, S, 3) if the set is small."""
    if len(listing.names) * size * size * 3 > MAX_KEPT_BYTES:
        return scan_files(root, listing, report), None
    arrays = open_arrays(fingerprint, ("pixels",))
    if arrays is not None:
        return scan_files(root, listing, report), arrays["pixels"]
    scan, pixels = scan_pixels(root, listing, size, report)
    return scan, store_arrays(fingerprint, {"pixels": pixels})["pixels"]


def _measured(train: FileImages, fingerprint: str) -> tuple[Channels, Channels]:
    """Return mean and standard deviation of the train images, kept for the next time."""
    arrays = cached_arrays(
        f"{fingerprint}-statistics", ("statistics",), lambda: {"statistics": np.array(statistics_of(train))}
    )
    mean, std = (tuple(row) for row in arrays["statistics"].tolist())
    return mean, std


def _split(root: Path, listing: Listing, scan: Scan) -> np.ndarray:
    """Return bool (M,): which files are test; made here when the folder has no test images.

    Raises:
        DataError: a class without usable train images, or nothing left to test on.
    """
    is_usable = scan.is_usable
    is_test = listing.is_test.copy()
    for label, name in enumerate(listing.class_names):
        rows = np.flatnonzero((listing.labels == label) & is_usable & ~listing.is_test)
        if len(rows) == 0:
            raise DataError(_no_images(root, name, label, listing, scan))
        if not listing.has_split:
            chosen = set(set_aside([listing.names[row] for row in rows]))
            is_test[[row for row in rows if listing.names[row] in chosen]] = True
    if not (is_test & is_usable).any():
        raise DataError(
            f"dataset: {root} leaves no image to test on; add a test folder, or at least two images to some class."
        )
    return is_test


def _no_images(root: Path, name: str, label: int, listing: Listing, scan: Scan) -> str:
    """Say that a class has no usable image, and what was wrong with the first of its files."""
    rows = [row for row in np.flatnonzero((listing.labels == label) & ~listing.is_test) if int(row) in scan.reasons]
    why = f" ({listing.names[rows[0]]}: {scan.reasons[int(rows[0])]})" if rows else ""
    return f"classes: {name!r} has no usable image among its {len(rows)} files for training in {root}{why}."


def _image_set(
    root: Path, listing: Listing, scan: Scan, size: int, kept: np.ndarray | None, wanted: np.ndarray
) -> FileImages:
    """Return the usable images among the wanted rows."""
    rows = np.flatnonzero(wanted & scan.is_usable)
    sizes = np.stack([scan.heights[rows], scan.widths[rows]], axis=1)
    return FileImages(root, [listing.names[row] for row in rows], listing.labels[rows], sizes, size, kept, rows)


def _skipped(listing: Listing, scan: Scan) -> list[tuple[str, str]]:
    """Return (path, reason) of every file that cannot be used, in order of the listing."""
    return [(listing.names[row], scan.reasons[row]) for row in sorted(scan.reasons)] + list(listing.refused)


def _counts(listing: Listing, scan: Scan, skipped: int) -> dict[str, int]:
    """Count the files: used, skipped, ignored by their name, and used ones by what was odd about them."""
    used = scan.is_usable
    odd = {str(trait.name).lower(): int(((scan.traits & trait) != 0)[used].sum()) for trait in Trait}
    return {"used": int(used.sum()), "skipped": skipped, "ignored": listing.ignored, **odd}
