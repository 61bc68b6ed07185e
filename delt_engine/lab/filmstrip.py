"""Pictures to take home: a film strip as PNG, and an animation as GIF or WebP, of images over the iterations.

A *lane* is one image over P moments: uint8 ``(P, S, S, 3)``. Small images are enlarged by whole numbers without blur.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from delt_engine.errors import ConfigError, ShapeError

SHOWN = 128
"""Side of an image in the picture, at least, in pixels."""

FORMATS = {"gif": "image/gif", "webp": "image/webp"}
LAST_MS = 1600
"""How long an animation rests on its last moment."""

_PAPER, _INK, _FAINT = (255, 255, 255), (27, 38, 39), (110, 122, 123)
_FONT, _GAP = 14, 8


@dataclass(frozen=True, eq=False)
class FilmLane:
    """One image over all moments, with a title and one caption a moment."""

    title: str
    frames: np.ndarray
    captions: tuple[str, ...]


def film_strip(lanes: Sequence[FilmLane], moments: Sequence[int], columns: int = 9, heading: str = "") -> bytes:
    """Return lanes below each other, so many of the moments side by side, as PNG; see :func:`spread`.

    Raises:
        ShapeError: no lanes, or of different shapes.
    """
    side, scale = _checked(lanes, len(moments))
    chosen = spread(moments, columns)
    label, line = max(_width(lane.title) for lane in lanes) + 2 * _GAP, _FONT + _GAP
    top = line * (2 if heading else 1) + _GAP
    cell = side + _GAP
    width = max(label + len(chosen) * cell, _width(heading) + 2 * _GAP)
    picture = Image.new("RGB", (width, top + len(lanes) * (side + line) + _GAP), _PAPER)
    draw = ImageDraw.Draw(picture)
    _write(draw, (_GAP, _GAP), heading, _INK)
    for column, at in enumerate(chosen):
        words = f"{moments[at]:,}" if column else f"iteration {moments[at]:,}"
        _write(draw, (label + column * cell, top - line), words, _FAINT)
    for row, lane in enumerate(lanes):
        y = top + row * (side + line)
        _write(draw, (_GAP, y + side // 2 - _FONT // 2), lane.title, _INK)
        for column, at in enumerate(chosen):
            picture.paste(_enlarged(lane.frames[at], scale), (label + column * cell, y))
            _write(draw, (label + column * cell, y + side + 2), lane.captions[at], _FAINT)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", compress_level=6)
    return buffer.getvalue()


def animation(
    lanes: Sequence[FilmLane], moments: Sequence[int], kind: str = "gif", heading: str = "", frame_ms: int = 120
) -> bytes:
    """Return lanes side by side, moving through the moments (completed iterations), as a looping animation.

    ``kind`` is one of :data:`FORMATS`; the last moment is shown longer than ``frame_ms``.

    Raises:
        ConfigError: another kind.
        ShapeError: no lanes, or of different shapes.
    """
    if kind not in FORMATS:
        raise ConfigError(f"kind: {kind!r} given, but an animation is one of {', '.join(FORMATS)}.")
    side, scale = _checked(lanes, len(moments))
    pictures = [_moment(lanes, moments, at, side, scale, heading) for at in range(len(moments))]
    durations = [frame_ms] * (len(pictures) - 1) + [max(frame_ms, LAST_MS)]
    buffer = io.BytesIO()
    if kind == "gif":
        # One palette a frame, found without dithering, so that flat colours stay flat.
        frames = [picture.quantize(256, dither=Image.Dither.NONE) for picture in pictures]
        frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:], duration=durations, loop=0, disposal=1)
    else:
        # ``quality`` of a lossless file is how hard to look for a smaller one.
        options = {"save_all": True, "append_images": pictures[1:], "duration": durations, "loop": 0}
        pictures[0].save(buffer, "WEBP", lossless=True, method=1, quality=20, **options)
    return buffer.getvalue()


def spread(moments: Sequence[int], count: int) -> list[int]:
    """Return the numbers of at most ``count`` moments, evenly spread in iterations.

    >>> spread([0, 2, 5, 10, 20, 30, 40], 5)
    [0, 3, 4, 5, 6]
    """
    wanted = np.linspace(moments[0], moments[-1], max(2, count))
    return sorted({int(np.abs(np.asarray(moments) - goal).argmin()) for goal in wanted})


def _moment(
    lanes: Sequence[FilmLane], moments: Sequence[int], at: int, side: int, scale: int, heading: str
) -> Image.Image:
    line, bar = _FONT + _GAP, 6
    top = line * (2 if heading else 1) + _GAP
    cell = max(side, *(_width(lane.title) for lane in lanes)) + 2 * _GAP
    size = (max(len(lanes) * cell + 2 * _GAP, _width(heading) + 2 * _GAP), top + side + 2 * line + bar + 2 * _GAP)
    picture = Image.new("RGB", size, _PAPER)
    draw = ImageDraw.Draw(picture)
    _write(draw, (_GAP, _GAP), heading, _INK)
    _write(draw, (_GAP, top - line), f"{moments[at]:,} of {moments[-1]:,} iterations", _INK)
    for column, lane in enumerate(lanes):
        x = 2 * _GAP + column * cell
        picture.paste(_enlarged(lane.frames[at], scale), (x, top))
        _write(draw, (x, top + side + 2), lane.title, _INK)
        _write(draw, (x, top + side + 2 + _FONT), lane.captions[at], _FAINT)
    y = size[1] - bar - _GAP
    reach = (size[0] - 4 * _GAP) * (moments[at] - moments[0]) / max(1, moments[-1] - moments[0])
    draw.rectangle((2 * _GAP, y, size[0] - 2 * _GAP, y + bar), fill=(220, 226, 226))
    draw.rectangle((2 * _GAP, y, 2 * _GAP + reach, y + bar), fill=(11, 112, 119))
    return picture


def _checked(lanes: Sequence[FilmLane], moments: int) -> tuple[int, int]:
    """Return side and factor of the enlarged images."""
    shapes = {lane.frames.shape for lane in lanes}
    fits = len(shapes) == 1 and {len(lane.captions) for lane in lanes} | {len(lanes[0].frames)} == {moments}
    if not fits:
        raise ShapeError(f"lanes: shapes {sorted(shapes)} given, but all must hold {moments} images of one size.")
    size = lanes[0].frames.shape[1]
    scale = -(-SHOWN // size)
    return size * scale, scale


def _enlarged(image_u8: np.ndarray, scale: int) -> Image.Image:
    picture = Image.fromarray(np.ascontiguousarray(image_u8))
    return picture.resize((picture.width * scale, picture.height * scale), Image.Resampling.NEAREST)


def _width(text: str) -> int:
    return round(ImageFont.load_default(_FONT).getlength(text))


def _write(draw: ImageDraw.ImageDraw, place: tuple[int, int], text: str, colour: tuple[int, int, int]) -> None:
    draw.text(place, text, fill=colour, font=ImageFont.load_default(_FONT))
