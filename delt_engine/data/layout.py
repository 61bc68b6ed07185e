"""Which image files a folder holds, of which class and split; no file is opened here.

Understood are ``train/<class>/...`` with ``test``, ``val`` or ``valid`` beside it, ``<class>/...`` without a split,
and test images in one folder with a list of their classes (:mod:`delt_engine.data.annotations`). Files may lie deeper
in a class's folder. Hidden files are passed over; files without an image's ending are counted as ignored.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from delt_engine.data.annotations import read_annotations
from delt_engine.data.decode import EXTENSIONS
from delt_engine.errors import DataError

TRAIN_NAMES = ("train", "training", "imagenet21k_train")
TEST_NAMES = ("test", "testing", "val", "valid", "validation", "imagenet21k_val")
"""Folders of a split, in any case; the last ones are ImageNet-21K-P's."""

_SYSTEM_FOLDERS = frozenset({"__macosx", "@eadir", "lost+found"})


@dataclass(frozen=True, eq=False)
class Listing:
    """The image files of a folder, sorted by split, class and name; M files.

    Attributes:
        class_names: in sorted order.
        names: M paths relative to the folder, with forward slashes.
        labels: int64 (M,).
        is_test: bool (M,); all False when the folder has no split.
        has_split: whether there is a folder of test images.
        sizes, mtimes: int64 (M,), in bytes and nanoseconds.
        refused: (path, reason) of files that cannot be listed.
        ignored: number of files that are not images by their name.
        is_part: whether the folder has more classes, which were left alone.
    """

    class_names: tuple[str, ...]
    names: list[str]
    labels: np.ndarray
    is_test: np.ndarray
    has_split: bool
    sizes: np.ndarray
    mtimes: np.ndarray
    refused: tuple[tuple[str, str], ...]
    ignored: int
    is_part: bool = False

    def fingerprint(self, image_size: int) -> str:
        """Return a name that changes with the files' names, labels, sizes and times, and with S."""
        state = hashlib.sha256(f"folder 1 {image_size} {self.has_split}".encode())
        state.update("\0".join(self.names).encode("utf-8"))
        for array in (self.labels, self.is_test, self.sizes, self.mtimes):
            state.update(np.ascontiguousarray(array).tobytes())
        return state.hexdigest()[:16]


@dataclass
class _Found:
    rows: list[tuple[bool, str, str, int, int]] = field(default_factory=list)  # is test, class, name, size, mtime
    refused: list[tuple[str, str]] = field(default_factory=list)
    ignored: int = 0
    only: frozenset[str] = frozenset()  # the class folders to look into; all where it is empty

    def folders(self, parent: Path) -> list[Path]:
        """Return the class folders in ``parent``."""
        return [path for path in _folders(parent) if not self.only or path.name in self.only]


def check_layout(root: str | Path) -> int:
    """Return how many class folders a folder of images has, without listing all files, so that it takes no time.

    Raises:
        DataError: it cannot be a dataset; the text says why, and :func:`list_files` would refuse it too.
    """
    root = Path(root)
    train, _ = _halves(root)
    parent = train or root
    folders = _folders(parent)
    for path in folders:
        if not _has_image(path):
            raise _without_images(path, parent)
    if not folders:
        raise _without_classes(parent)
    if len(folders) == 1:
        raise _one_class(root, folders[0].name)
    return len(folders)


def innermost(root: str | Path) -> Path:
    """Return the dataset in a folder that holds nothing but it, as archives have it; the folder itself otherwise."""
    root = Path(root)
    folders = _folders(root)
    if len(folders) != 1 or folders[0].name.lower() in (*TRAIN_NAMES, *TEST_NAMES) or not _folders(folders[0]):
        return root
    return innermost(folders[0])


def list_files(root: str | Path, part: Collection[str] = ()) -> Listing:
    """List the image files of a folder.

    ``part`` names the class folders of a dataset that may be part of the folder's: where the folder has all of them,
    no other is looked into, so that ImageNet-100 is read out of ImageNet-1K's folder.

    Raises:
        DataError: not a folder, no class folders, fewer than two classes, or a class that only test has.
    """
    root = Path(root)
    train, tests = _halves(root)
    found, parent = _Found(), train or root
    is_part = bool(part) and set(part) < {path.name for path in _folders(parent)}
    found.only = frozenset(part if is_part else ())
    _walk_classes(found, parent, f"{train.name}/" if train else "", is_test=False)
    if not found.rows:
        raise _without_classes(parent)
    has_split = train is not None and _walk_tests(found, tests)
    class_names = tuple(sorted({row[1] for row in found.rows}))
    if len(class_names) < 2:
        raise _one_class(root, class_names[0])
    is_test, of_class, names, sizes, mtimes = zip(*sorted(found.rows), strict=True)
    return Listing(
        class_names,
        list(names),
        labels=np.searchsorted(class_names, of_class).astype(np.int64),
        is_test=np.array(is_test, dtype=bool),
        has_split=has_split,
        sizes=np.array(sizes, dtype=np.int64),
        mtimes=np.array(mtimes, dtype=np.int64),
        refused=tuple(found.refused),
        ignored=found.ignored,
        is_part=is_part,
    )


def _halves(root: Path) -> tuple[Path | None, list[Path]]:
    """Return the train folder of a dataset, None where its classes are not split, and the folders of tests.

    Raises:
        DataError: not a folder, tests without a train folder, or a folder around another dataset.
    """
    if os.path.isfile(root):  # noqa: PTH113 (pathlib's raises at a name that is too long)
        raise DataError(f"dataset: {root} is a file, but a folder of images is needed; unpack it first.")
    if not os.path.isdir(root):  # noqa: PTH112 (as above)
        raise DataError(f"dataset: the folder {root} does not exist.")
    folders = {path.name.lower(): path for path in _folders(root)}
    train = next((folders[name] for name in TRAIN_NAMES if name in folders), None)
    tests = [folders[name] for name in TEST_NAMES if name in folders]
    if train is None and tests and len(folders) == len(tests):
        raise DataError(f"dataset: {root} has {tests[0].name!r} but no 'train' folder.")
    for path in () if train else folders.values():  # else the classes would be datasets
        if any(inner.name.lower() in TRAIN_NAMES and _folders(inner) for inner in _folders(path)):
            raise DataError(f"dataset: {root} holds another dataset, not class folders; did you mean {path}?")
    return train, tests


def _has_image(folder: Path, depth: int = 4) -> bool:
    """Return whether an image file lies in a folder or so deep below it; the first one is enough."""
    inner = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if _is_hidden(entry.name):
                    continue
                if entry.name[entry.name.rfind(".") :].lower() in EXTENSIONS:
                    return True
                if entry.is_dir():
                    inner.append(Path(entry.path))
    except OSError:
        return False
    return depth > 0 and any(_has_image(path, depth - 1) for path in inner)


def _without_classes(parent: Path) -> DataError:
    if any(path.suffix.lower() in EXTENSIONS for path in parent.iterdir()):
        return DataError(
            f"dataset: {parent} has images but no class folders; put each class's images in a folder of its own."
        )
    return DataError(f"dataset: {parent} is empty; it should hold one folder of images a class.")


def _without_images(folder: Path, parent: Path) -> DataError:
    return DataError(f"classes: {folder.name!r} has no image file in {parent}; remove the folder or fill it.")


def _one_class(root: Path, name: str) -> DataError:
    return DataError(f"dataset: {root} has one class folder, {name!r}, but at least two are needed.")


def _folders(parent: Path) -> list[Path]:
    try:
        with os.scandir(parent) as entries:  # it knows what is a folder without asking for each file
            names = [entry.name for entry in entries if not _is_hidden(entry.name) and entry.is_dir()]
    except OSError as error:
        raise DataError(f"dataset: {parent} cannot be read ({error.strerror}).") from None
    return [parent / name for name in sorted(names)]


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name.lower() in _SYSTEM_FOLDERS


def _walk_classes(found: _Found, parent: Path, prefix: str, is_test: bool) -> None:
    """Gather the files of every class folder in ``parent``, whose path relative to the root is ``prefix``."""
    for path in found.folders(parent):
        before = len(found.rows)
        for name, size, mtime in _walk(found, path, f"{prefix}{path.name}", set()):
            found.rows.append((is_test, path.name, name, size, mtime))
        if len(found.rows) == before and not is_test:
            raise _without_images(path, parent)
    with os.scandir(parent) as entries:
        found.ignored += sum(1 for entry in entries if not _is_hidden(entry.name) and entry.is_file())


def _walk(found: _Found, folder: str | Path, prefix: str, seen: set[tuple[int, int]]) -> Iterator[tuple[str, int, int]]:
    """Yield (path relative to the root, bytes, mtime in ns) of the image files below a folder."""
    try:
        status = Path(folder).stat()
        with os.scandir(folder) as scan:
            entries = [entry for entry in scan if not _is_hidden(entry.name)]
    except OSError as error:
        found.refused.append((prefix, error.strerror or "cannot be read"))
        return
    if (status.st_dev, status.st_ino) in seen:  # a link that leads back up
        return
    seen.add((status.st_dev, status.st_ino))
    for entry in entries:
        name = f"{prefix}/{entry.name}"
        try:
            if entry.is_dir():
                yield from _walk(found, entry.path, name, seen)
            elif entry.name[entry.name.rfind(".") :].lower() not in EXTENSIONS:
                found.ignored += 1
            else:
                name.encode("utf-8")  # run folders and caches keep names as UTF-8
                status = entry.stat()
                yield name, status.st_size, status.st_mtime_ns
        except UnicodeEncodeError:
            found.refused.append((ascii(name)[1:-1], "its name is not UTF-8"))
        except OSError as error:
            found.refused.append((name, error.strerror or "cannot be read"))


def _walk_tests(found: _Found, tests: list[Path]) -> bool:
    """Gather test images from the first candidate with a class of train; True when there is one."""
    known = {row[1] for row in found.rows}
    unknown = None
    for path in tests:
        if _walk_annotated(found, path, known):
            return True
        classes = found.folders(path)
        extra = [folder.name for folder in classes if folder.name not in known and _has_image(folder)]
        is_candidate = any(folder.name in known for folder in classes)
        if is_candidate and not extra:
            _walk_classes(found, path, f"{path.name}/", is_test=True)
            return any(row[0] for row in found.rows)
        if extra and [folder.name.lower() for folder in classes] != ["images"]:  # as Tiny-ImageNet's test/images
            unknown = (extra[0], path) if is_candidate else unknown or (extra[0], path)
        if is_candidate:
            break
    if unknown:
        raise DataError(f"classes: {unknown[0]!r} is in {unknown[1]} but not in train; every class needs train images.")
    return False


def _walk_annotated(found: _Found, path: Path, known: set[str]) -> bool:
    """Gather the test images that a list gives a class of train; True when there were any."""
    label_of = read_annotations(path)
    if not label_of:
        return False
    seen = _Found()
    for name, size, mtime in _walk(seen, path, path.name, set()):
        label = label_of.get(name.rsplit("/", 1)[-1])
        if label in known:
            seen.rows.append((True, label, name, size, mtime))
    if seen.rows:
        found.rows += seen.rows
        found.refused += seen.refused
        found.ignored += seen.ignored
    return bool(seen.rows)
