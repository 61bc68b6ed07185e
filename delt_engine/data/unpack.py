"""A zip of images from a browser as a folder of this user: unpacked safely, whole or not at all.

Only image files are taken out, under the names they have, and what no honest zip holds (ways out of the folder, links,
more than the limits) refuses it as a whole. The folder that remains is the dataset itself, whatever folders the zip has
around it.
"""

from __future__ import annotations

import re
import shutil
import stat
import tempfile
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from delt_engine import access
from delt_engine.data.dataset import Report
from delt_engine.data.decode import EXTENSIONS
from delt_engine.data.layout import check_layout, innermost
from delt_engine.errors import DataError
from delt_engine.files import check_file, reason
from delt_engine.paths import home

MAX_FILES = 200_000
MAX_BYTES = 8 * 10**9
"""Unpacked files together; ours, so that a small zip cannot fill a disk."""

MAX_RATIO = 100
_SMALL = 10**8
"""What swells more than so many times is no pictures, unless there are fewer bytes of it; ours."""

MAX_DEPTH = 32
"""Parts of a name; ours, for folders inside one another without end stop whatever walks through them."""

_SPARE = 10**9
"""Bytes of the disk that are left free."""

_BESIDES = ("val_annotations.txt", "words.txt")
"""Files that are no images but say of which class images are, or what classes are called."""

_STEP = 200


def unpacked_dir() -> Path:
    """Return the folder that holds one folder of images an upload."""
    return home() / "datasets"


def unpack_zip(path: str | Path, report: Report | None = None) -> Path:
    """Unpack a zip of images and return the new folder, named after the zip; ``report`` gets ("unpack", done, total).

    Raises:
        DataError: no zip, damaged, encrypted, unsafe or too large, or not a dataset; nothing is left of it.
    """
    access.check_path(path, "dataset", DataError)
    path, folder = Path(path), unpacked_dir()
    try:
        check_file(path, most=2**40)
        folder.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(path) as archive, tempfile.TemporaryDirectory(prefix=".unpack-", dir=folder) as made:
            wanted = _wanted(archive, path.name, path.stat().st_size)
            for number, entry in enumerate(wanted):
                _write(archive, entry, Path(made))
                if report and (number % _STEP == 0 or number + 1 == len(wanted)):
                    report("unpack", number + 1, len(wanted))
            return _kept(Path(made), path)
    except (zipfile.BadZipFile, zlib.error, EOFError, UnicodeDecodeError):
        raise DataError(f"dataset: {path.name} is not a zip, or is damaged.") from None
    except NotImplementedError:
        raise DataError(
            f"dataset: {path.name} is packed in a way that cannot be read; pack it as a plain zip."
        ) from None
    except OSError as error:
        raise DataError(f"dataset: {path.name} cannot be unpacked: {reason(error)}.") from None


def remove_upload(path: str | Path) -> None:
    """Delete an uploaded folder of images.

    Raises:
        DataError: it is none, or cannot be deleted.
    """
    access.check_change("delete images")
    folder = Path(path)
    if not is_upload(folder):
        raise DataError(f"dataset: {folder} was not uploaded here, so it is not deleted.")
    try:
        shutil.rmtree(folder)
    except OSError as error:
        raise DataError(f"dataset: {folder} cannot be deleted: {reason(error)}.") from None


def is_upload(path: str | Path) -> bool:
    """Return whether a folder is one that :func:`unpack_zip` made."""
    folder = Path(path)
    return folder.parent == unpacked_dir() and folder.is_dir() and not folder.is_symlink()


def _wanted(archive: zipfile.ZipFile, name: str, size: int) -> list[zipfile.ZipInfo]:
    """Return the entries of a zip of ``size`` bytes to unpack: images and what says their classes.

    Raises:
        DataError: one of any kind is unsafe, or they are too large.
    """
    wanted = []
    for entry in archive.infolist():
        parts = PurePosixPath(entry.filename.replace("\\", "/")).parts
        if ".." in parts or entry.filename.startswith(("/", "\\")) or re.match(r"[A-Za-z]:", entry.filename):
            raise DataError(f"dataset: {name} leads out of its folder ({entry.filename!r}), so it is not unpacked.")
        if stat.S_ISLNK(entry.external_attr >> 16):
            raise DataError(f"dataset: {name} holds a link ({entry.filename!r}), so it is not unpacked.")
        if len(parts) > MAX_DEPTH:
            raise DataError(f"dataset: {name} has folders {len(parts) - 1} deep, but at most {MAX_DEPTH - 1} are read.")
        if entry.flag_bits & 1:
            raise DataError(f"dataset: {name} is encrypted; pack it without a password.")
        is_hidden = any(part.startswith(".") or part == "__MACOSX" for part in parts)
        if parts and not is_hidden and (Path(parts[-1]).suffix.lower() in EXTENSIONS or parts[-1] in _BESIDES):
            wanted.append(entry)
    if not wanted:
        raise DataError(f"dataset: {name} holds no images.")
    total, free = sum(entry.file_size for entry in wanted), shutil.disk_usage(unpacked_dir()).free
    if len(wanted) > MAX_FILES or total > MAX_BYTES:
        raise DataError(
            f"dataset: {name} holds {len(wanted):,} images of {total / 1e9:.1f} GB, but at most {MAX_FILES:,} of "
            f"{MAX_BYTES / 1e9:.0f} GB are unpacked here; unpack it yourself and give the folder."
        )
    if total > MAX_RATIO * size and total > _SMALL:  # not what entries say of themselves, which may overlap
        raise DataError(
            f"dataset: {name} unpacks to {total / 1e9:.1f} GB, more than {MAX_RATIO} times its size, as no pictures "
            "do; unpack it yourself and give the folder."
        )
    if total > free - _SPARE:
        raise DataError(f"dataset: {name} needs {total / 1e9:.1f} GB, but the disk has {free / 1e9:.1f} GB left.")
    return wanted


def _write(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, root: Path) -> None:
    place = root.joinpath(*PurePosixPath(entry.filename.replace("\\", "/")).parts)
    place.parent.mkdir(parents=True, exist_ok=True)
    with archive.open(entry) as packed, place.open("wb") as file:  # no more comes out than file_size says
        shutil.copyfileobj(packed, file, 2**20)


def _kept(made: Path, path: Path) -> Path:
    """Check what was unpacked and move it to its place."""
    root = innermost(made)
    try:
        check_layout(root)
    except DataError as error:
        inside = root.relative_to(made).as_posix().strip(".")
        raise DataError(str(error).replace(str(root), f"{path.name}{'/' if inside else ''}{inside}")) from None
    name = re.sub(r"[^\w .()-]+", "_", path.stem).strip(" .") or "images"
    place, number = unpacked_dir() / name, 1
    while True:
        if not place.exists():
            try:
                return root.rename(place)
            except OSError:
                if not place.exists():  # else another upload of this name was quicker
                    raise
        number += 1
        place = unpacked_dir() / f"{name}-{number}"
