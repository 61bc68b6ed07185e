"""Reading one image file, however odd, and resizing it: what comes out is uint8 RGB, or one reason why not.

Grey, 16-bit, palette, CMYK, alpha and EXIF-rotated pictures are all turned into what a person would see; alpha lies
on white. What cannot be read raises :class:`UnreadableImage` with a short reason and nothing else.

A picture becomes a square of S pixels in one of two ways (``Experiment.resize``): ``whole`` is its largest centred
square, resized bicubically; ``published`` resizes the short side to S // 7 * 8 bilinearly and takes the centre, which
from 56 px on leaves out a border.

Source: torchvision's Resize and CenterCrop as DELT data_selection.py, recover/recover.py and evaluation/validation,
RDED validation and CDA use them (256 for 224 px, 72 for 64, 32 for 32).
Differs: ``whole`` is ours and older, and shows all of the square.
"""

from __future__ import annotations

import contextlib
import enum
import errno
import functools
import io
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from delt_engine.config import Resize

EXTENSIONS = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff"}
    | {".ppm", ".pgm", ".pbm", ".pnm", ".jp2", ".avif"}
)
"""Endings, lower case, of the files that are taken for images."""

_FORMATS = ("JPEG", "PNG", "BMP", "GIF", "WEBP", "TIFF", "PPM", "JPEG2000", "AVIF", "MPO")
"""What a file's content may be; PIL's other readers (PostScript, ...) are more than a folder of images needs."""

MAX_MEGAPIXELS = 170
"""Larger pictures are left out; just under the size that PIL itself refuses as a decompression bomb."""

_DRAFT_FACTOR = 3
"""JPEG may be decoded at a lower scale as long as the short side stays this many times S; ours."""


class UnreadableImage(Exception):
    """A file that cannot be used; the text is the reason."""


class Trait(enum.IntFlag):
    """What was odd about a picture that was used all the same."""

    GREY = 1
    GREY16 = 2
    PALETTE = 4
    CMYK = 8
    ALPHA = 16
    EXIF_ROTATED = 32
    ANIMATED = 64


_TRAIT_OF_MODE = {
    **dict.fromkeys(("1", "L", "LA", "La"), Trait.GREY),
    **dict.fromkeys(("P", "PA"), Trait.PALETTE),
    "CMYK": Trait.CMYK,
}


@dataclass(frozen=True, eq=False)
class Decoded:
    """One picture as RGB, its native height and width in pixels as a person sees it, and what was odd about it.

    ``picture`` may be smaller than native when a lower scale was asked for.
    """

    picture: Image.Image
    height: int
    width: int
    traits: Trait


def decode(path: str | Path | bytes, enough: int | None = None) -> Decoded:
    """Read one image file, or what one holds, wholly.

    ``enough`` is S when the picture will be resized to S anyway: large JPEGs are then decoded at a lower scale, at
    least three times S, which is several times faster.

    Raises:
        UnreadableImage: the file cannot be used; the text says why.
    """
    try:
        if not isinstance(path, bytes) and not Path(path).is_file():
            Path(path).stat()  # says why, where there is nothing
            raise UnreadableImage("it is no plain file")  # a pipe would be waited for
        if (len(path) if isinstance(path, bytes) else Path(path).stat().st_size) == 0:
            raise UnreadableImage("the file is empty")
        with Image.open(io.BytesIO(path) if isinstance(path, bytes) else path, formats=formats()) as opened:
            return _converted(opened, enough)
    except UnreadableImage:
        raise
    except Exception as error:  # PIL's decoders raise nearly anything on damaged bytes
        raise UnreadableImage(_reason(error)) from None


# What PIL remarks on damaged headers says nothing to who gave the file, and would stand among the results.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")


@functools.cache
def formats() -> tuple[str, ...]:
    """Return the formats that are read, as far as this PIL has them."""
    Image.init()
    return tuple(name for name in _FORMATS if name in Image.OPEN)


def read_rgb(path: str | Path) -> np.ndarray:
    """Return one image file at native size, uint8 (H, W, 3); see :func:`decode`."""
    return np.asarray(decode(path).picture)


def decode_square(path: str | Path, image_size: int, resize: Resize = "whole") -> tuple[np.ndarray, int, int, Trait]:
    """Return one file's pixels at S, uint8 (S, S, 3), its native height and width, and its traits."""
    decoded = decode(path, enough=image_size if resize == "whole" else None)
    return squared(decoded.picture, image_size, resize), decoded.height, decoded.width, decoded.traits


def view_side(image_size: int, resize: Resize) -> int:
    """Return to how many pixels the short side of a picture is resized, of which the centre S are taken; never below S.

    >>> [view_side(size, "published") for size in (32, 64, 128, 224)], view_side(224, "whole")
    ([32, 72, 144, 256], 224)
    """
    return image_size if resize == "whole" else max(image_size, image_size // 7 * 8)


def squared(image: np.ndarray | Image.Image, image_size: int, resize: Resize = "whole") -> np.ndarray:
    """Return a picture as a square, uint8 (S, S, 3)."""
    picture = image if isinstance(image, Image.Image) else Image.fromarray(image)
    width, height = picture.size
    if resize == "whole":
        return resize_box(picture, square_box(height, width), image_size)
    side, short = view_side(image_size, resize), min(height, width)
    width, height = int(side * width / short), int(side * height / short)
    left, top = round((width - image_size) / 2), round((height - image_size) / 2)
    resized = picture.resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(resized.crop((left, top, left + image_size, top + image_size)))


def seen_box(height: int, width: int, image_size: int, resize: Resize = "whole") -> tuple[int, int, int, int]:
    """Return what :func:`squared` shows of an image: top, left, height, width in whole native pixels.

    >>> seen_box(5, 10, 4), seen_box(500, 375, 224, "published")
    ((0, 2, 5, 5), (86, 23, 328, 328))
    """
    side = round(min(height, width) * image_size / view_side(image_size, resize))
    return (height - side) // 2, (width - side) // 2, side, side


def square_box(height: int, width: int) -> tuple[float, float, float, float]:
    """Return the largest centred square of an image as (top, left, height, width).

    >>> square_box(4, 10)
    (0.0, 3.0, 4, 4)
    """
    side = min(height, width)
    return (height - side) / 2, (width - side) / 2, side, side


def resize_box(
    image: np.ndarray | Image.Image, box: tuple[float, ...], image_size: int, resize: Resize = "whole"
) -> np.ndarray:
    """Cut a box (top, left, height, width) out of an image and resize it to uint8 (S, S, 3), antialiased.

    Bicubic, as published bilinear.
    """
    top, left, height, width = map(float, box)
    picture = image if isinstance(image, Image.Image) else Image.fromarray(image)
    edges = (left, top, left + width, top + height)
    resample = Image.Resampling.BICUBIC if resize == "whole" else Image.Resampling.BILINEAR
    return np.asarray(picture.resize((image_size, image_size), resample, box=edges))


def _converted(picture: Image.Image, enough: int | None) -> Decoded:
    width, height = picture.size
    if width * height > MAX_MEGAPIXELS * 1_000_000:
        raise UnreadableImage(f"{width} x {height} pixels is more than {MAX_MEGAPIXELS} megapixels")
    traits = Trait.ANIMATED if getattr(picture, "is_animated", False) else Trait(0)
    if enough is not None and picture.format == "JPEG":
        picture.draft(None, (_DRAFT_FACTOR * enough, _DRAFT_FACTOR * enough))
    picture.load()
    with contextlib.suppress(Exception):  # damaged EXIF: the pixels are good, so take them as they lie
        orientation = picture.getexif().get(0x0112, 1)
        if orientation in range(2, 9):
            picture = ImageOps.exif_transpose(picture)
            traits |= Trait.EXIF_ROTATED
            if orientation >= 5:  # 5 to 8 exchange the sides
                width, height = height, width
    picture, more = _to_rgb(picture)
    return Decoded(picture, height, width, traits | more)


def _to_rgb(picture: Image.Image) -> tuple[Image.Image, Trait]:
    mode = picture.mode
    if mode == "RGB" and "transparency" not in picture.info:
        return picture, Trait(0)
    if mode.startswith(("I", "F")):
        # files marked as 16-bit run to 65535; of others (32-bit, float) the largest value says: to 1, 255 or 65535
        values = np.nan_to_num(np.asarray(picture).astype(np.float64))
        largest = values.max(initial=0.0)
        top = 65535.0 if mode.startswith("I;16") or largest > 255 else 255.0 if largest > 1 else 1.0
        grey = np.clip(np.rint(values * (255.0 / top)), 0, 255).astype(np.uint8)
        return Image.fromarray(grey).convert("RGB"), Trait.GREY | Trait.GREY16
    traits = _TRAIT_OF_MODE.get(mode, Trait(0))
    if mode in ("RGBA", "RGBa", "LA", "La", "PA") or "transparency" in picture.info:
        layer = picture.convert("RGBA")
        white = Image.new("RGBA", layer.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, layer).convert("RGB"), traits | Trait.ALPHA
    return picture.convert("RGB"), traits


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return "not an image that can be read"
    if isinstance(error, Image.DecompressionBombError):
        return f"more than {MAX_MEGAPIXELS} megapixels"
    if isinstance(error, MemoryError):
        return "too large for the memory"
    if isinstance(error, OSError) and error.errno:
        return "no permission to read it" if error.errno == errno.EACCES else (error.strerror or str(error))
    text = str(error)
    if "truncated" in text.lower():
        return "truncated"
    return f"damaged ({text.splitlines()[0]})" if text else "damaged"
