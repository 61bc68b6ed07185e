"""The PNG files of a run: single images with their settings in them, and strips.

A snapshot is one strip a class and round: image i of the class at x = i * S. S is the side of an image in pixels.
"""

from __future__ import annotations

import io
import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, PngImagePlugin, UnidentifiedImageError

from delt_engine.errors import RunError
from delt_engine.files import check_file, reason

_SIGNATURE = b"\x89PNG\r\n\x1a\n"

TEXT_KEY = "delt"
"""Name of the text chunk that holds the settings of an image."""


def png_bytes(image_u8: np.ndarray, text: dict[str, Any] | None = None, level: int = 6) -> bytes:
    """Encode one image, uint8 (H, W, 3), with its settings as JSON in a text chunk named :data:`TEXT_KEY`.

    ``level`` is zlib's, 0 to 9; 1 is fast and good enough for what is soon replaced.
    """
    info = PngImagePlugin.PngInfo()
    if text is not None:
        # ASCII JSON in iTXt: older readers show it, and no viewer has to guess an encoding.
        info.add_itxt(TEXT_KEY, json.dumps(text, sort_keys=True))
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(image_u8)).save(buffer, "PNG", compress_level=level, pnginfo=info)
    return buffer.getvalue()


def read_png(path: Path) -> np.ndarray:
    """Read a PNG of a run as uint8 (H, W, 3).

    Raises:
        RunError: there is no such file, or it is not an image.
    """
    try:
        check_file(path)
        with Image.open(path, formats=("PNG",)) as image:  # other readers start programs, as PostScript's does
            return np.asarray(image.convert("RGB"))
    except UnidentifiedImageError:
        raise RunError(f"{path} is not an image.") from None
    except (SyntaxError, ValueError, Image.DecompressionBombError):
        raise RunError(f"{path} is damaged, or far too large for an image.") from None
    except OSError as error:
        raise RunError(f"{path} cannot be read: {reason(error)}.") from None


def read_strip(path: Path) -> np.ndarray:
    """Read a strip, uint8 (S, n * S, 3), or the images of a folder as one, in the order of their names.

    Raises:
        RunError: one cannot be read, or they are not of one size.
    """
    if not path.is_dir():
        return read_png(path)
    images = [read_png(one) for one in sorted(path.glob("*.png"))]
    if len({image.shape for image in images}) != 1:
        raise RunError(f"{path} holds {len(images)} images, but a row takes some of one size.")
    return join_strip(np.stack(images))


def is_whole(path: Path) -> bool:
    """Return whether a PNG has all its chunks, to the last, and each one the checksum that it says."""
    try:
        check_file(path)
        data = path.read_bytes()
    except OSError:
        return False
    at = len(_SIGNATURE) if data.startswith(_SIGNATURE) else len(data)
    while at + 12 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        kind, end = data[at + 4 : at + 8], at + 8 + length
        if zlib.crc32(data[at + 4 : end]) != int.from_bytes(data[end : end + 4], "big"):
            return False
        at = end + 4
        if kind == b"IEND":
            return at == len(data)
    return False


def join_strip(images_u8: np.ndarray) -> np.ndarray:
    """Lay images side by side: uint8 (n, S, S, 3) to (S, n * S, 3).

    >>> join_strip(np.zeros((3, 2, 2, 3), np.uint8)).shape
    (2, 6, 3)
    """
    n, height, width, channels = images_u8.shape
    return images_u8.transpose(1, 0, 2, 3).reshape(height, n * width, channels)  # (n, S, S, 3) -> (S, n*S, 3)


def split_strip(strip_u8: np.ndarray) -> np.ndarray:
    """Cut a strip into its images: uint8 (S, n * S, 3) to (n, S, S, 3)."""
    side = strip_u8.shape[0]
    return strip_u8.reshape(side, -1, side, 3).transpose(1, 0, 2, 3)
