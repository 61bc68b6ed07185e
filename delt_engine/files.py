"""Files that are whole or absent: temporary name, then rename; and the PNG strips of a run.

A snapshot is one strip a class and round: image i of the class at x = i * S. S is the side of an image in pixels.
"""

from __future__ import annotations

import contextlib
import errno
import io
import json
import os
import tempfile
import time
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, PngImagePlugin, UnidentifiedImageError

from delt_engine.errors import RunError

TEXT_KEY = "delt"

_SYNCS = 16
"""Files that are synced at once."""

_REASONS = {
    errno.ENOSPC: "there is no space left on the disk",
    errno.EDQUOT: "the disk quota is used up",
    errno.EACCES: "there is no permission to write there",
    errno.EPERM: "there is no permission to write there",
    errno.EROFS: "the disk is read-only",
    errno.ENOTDIR: "a file stands where a folder is needed",
    errno.EEXIST: "a file stands where a folder is needed",
}


def reason(error: OSError) -> str:
    """Return in words why the system refused."""
    return _REASONS.get(error.errno or 0, (error.strerror or str(error)).lower())


@contextlib.contextmanager
def as_run_error(path: Path, deed: str = "written") -> Iterator[None]:
    """Turn the system's refusal into one sentence that names ``path``.

    Raises:
        RunError: no space, no permission, a file in place of a folder, and the like.
    """
    try:
        yield
    except OSError as error:
        raise RunError(f"{path} cannot be {deed}: {reason(error)}.") from error


def write_bytes(path: Path, data: bytes, *, durable: bool = False) -> None:
    """Write a whole file or none: to a temporary name beside it, then renamed.

    Args:
        path: the file; its folder is made when missing.
        data: what it shall hold.
        durable: also ask the disk to keep it before the rename, for files that a resume depends on.

    Raises:
        RunError: the system refused; no temporary file is left.
    """
    with as_run_error(path), _written_beside(path, data, durable=durable) as name:
        os.replace(name, path)  # noqa: PTH105 (the tests stand in for a full disk here)


def sync(*paths: Path) -> None:
    """Make sure that the disk has files, folders with all that is in them, and the entries of both.

    Raises:
        RunError: the system refused.
    """
    found = [inside for path in paths for inside in ([path, *path.rglob("*")] if path.is_dir() else [path])]
    folders = {path.parent for path in paths} if os.name == "posix" else set()
    wanted = [*(path for path in found if not path.is_dir() or os.name == "posix"), *folders]
    with ThreadPoolExecutor(_SYNCS) as pool:  # the disk takes many at once in little more time than one
        list(pool.map(_sync_one, wanted))


def _sync_one(path: Path) -> None:
    try:
        handle = os.open(path, os.O_RDONLY)
    except FileNotFoundError:  # a temporary file that has got its name meanwhile
        return
    with as_run_error(path):
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def create_bytes(path: Path, data: bytes) -> bool:
    """Write a whole file where none is yet; of several callers at once, one does.

    Args:
        path: the file; its folder is made when missing.
        data: what it shall hold.

    Returns:
        Whether this call made the file; if not, what is there was not touched.

    Raises:
        RunError: the system refused; no temporary file is left.
    """
    with as_run_error(path), _written_beside(path, data) as name:
        return _take_place(name, path)


def _take_place(name: str, path: Path) -> bool:
    """Give the file ``name`` the name ``path`` if that is free, and return whether it was."""
    try:
        os.link(name, path)  # noqa: PTH200 (the tests stand in for a disk without hard links here)
    except FileExistsError:
        return False
    except OSError:  # no hard links on this disk: an empty file takes the place, and is replaced at once
        try:
            path.touch(exist_ok=False)
        except FileExistsError:
            return False
        try:
            os.replace(name, path)  # noqa: PTH105
        except OSError:
            path.unlink(missing_ok=True)  # the empty file was ours
            raise
    return True


@contextlib.contextmanager
def _written_beside(path: Path, data: bytes, *, durable: bool = False) -> Iterator[str]:
    """Write to a temporary name beside ``path``, which is gone afterwards unless it was renamed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        Path(name).chmod(0o644)
        # The kernel's own stamps move every few milliseconds only, but readers tell versions by them.
        os.utime(name, ns=(time.time_ns(), time.time_ns()))
        yield name
    finally:
        with contextlib.suppress(OSError):
            os.unlink(name)  # noqa: PTH108


def is_unfinished(name: str, of: Collection[str]) -> bool:
    """Return whether :func:`write_bytes` is at work on one of the files, under its temporary name.

    >>> is_unfinished(".run.json.x1y2.tmp", {"run.json"}), is_unfinished("run.json", {"run.json"})
    (True, False)
    """
    return name.endswith(".tmp") and any(name.startswith(f".{file}.") for file in of)


def check_writable(path: Path) -> None:
    """Find out now whether a file can be written later; nothing is left and an existing file is not touched.

    Raises:
        RunError: the system refuses.
    """
    with as_run_error(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent):
            pass


def png_bytes(image_u8: np.ndarray, text: dict[str, Any] | None = None, level: int = 6) -> bytes:
    """Encode one image.

    Args:
        image_u8: uint8 (H, W, 3).
        text: settings embedded as JSON in a text chunk named ``delt``.
        level: zlib level, 0 to 9; 1 is fast and good enough for what is soon replaced.
    """
    info = PngImagePlugin.PngInfo()
    if text is not None:
        # ASCII JSON in iTXt: older readers show it, and no viewer has to guess an encoding.
        info.add_itxt(TEXT_KEY, json.dumps(text, sort_keys=True))
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(image_u8)).save(buffer, "PNG", compress_level=level, pnginfo=info)
    return buffer.getvalue()


def png_text(path: Path) -> dict[str, Any]:
    """Return the settings embedded in an image of a run.

    Raises:
        RunError: not an image, or one without settings.
    """
    try:
        with Image.open(path) as image:
            image.load()
            return json.loads(image.info[TEXT_KEY])
    except OSError as error:
        raise RunError(f"{path} cannot be read as an image: {reason(error)}.") from None
    except (KeyError, ValueError):
        raise RunError(f"{path} has no settings of DELT Studio in it.") from None


def join_strip(images_u8: np.ndarray) -> np.ndarray:
    """Lay images side by side.

    Args:
        images_u8: uint8 (n, S, S, 3).

    Returns:
        uint8 (S, n * S, 3).

    >>> join_strip(np.zeros((3, 2, 2, 3), np.uint8)).shape
    (2, 6, 3)
    """
    n, height, width, channels = images_u8.shape
    return images_u8.transpose(1, 0, 2, 3).reshape(height, n * width, channels)  # (n, S, S, 3) -> (S, n*S, 3)


def split_strip(strip_u8: np.ndarray) -> np.ndarray:
    """Cut a strip into its images: uint8 (S, n * S, 3) to (n, S, S, 3)."""
    side = strip_u8.shape[0]
    return strip_u8.reshape(side, -1, side, 3).transpose(1, 0, 2, 3)


def read_png(path: Path) -> np.ndarray:
    """Read a PNG of a run as uint8 (H, W, 3).

    Raises:
        RunError: there is no such file, or it is not an image.
    """
    try:
        with Image.open(path) as image:
            return np.asarray(image.convert("RGB"))
    except UnidentifiedImageError:
        raise RunError(f"{path} is not an image.") from None
    except OSError as error:
        raise RunError(f"{path} cannot be read: {reason(error)}.") from None
