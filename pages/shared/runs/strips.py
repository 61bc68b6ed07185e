"""Images of runs as files that the browser fetches by itself and keeps, so that a page sends addresses only.

An address names the run, the strip and when it was written; what it leads to never changes, so the browser asks once.
Large images are shrunk to thumbnails, and a part of a strip can be asked for. Only strips of runs are served, as
PNG, and zips of chosen images, piece by piece.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote, urlencode

import numpy as np
import streamlit as st
from PIL import Image
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from delt_engine.errors import DeltError, RunError
from delt_engine.runs.export import Chosen, zip_chunks
from delt_engine.runs.store import Run
from delt_engine.runs.strips import join_strip, png_bytes, read_strip, split_strip

THUMBNAIL = 96
"""Longest side of a tile in a sheet, pixels; larger images are shrunk for grids."""

MOST_TILES = 256
"""Images that can be listed in one address."""

_ZIP = "delt-images.zip"
_KEEP = {"Cache-Control": "private, max-age=31536000, immutable"}


def tile_side(image_size: int) -> int:
    """Return the side of a tile in the sheets for images of ``image_size`` pixels."""
    return min(image_size, THUMBNAIL)


def stamp(path: Path) -> int:
    """Return the file's modification time in nanoseconds, 0 when it is not there."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def address(
    run: Run,
    path: Path,
    first: int = 0,
    count: int | None = None,
    *,
    tiles: Sequence[int] | None = None,
    full: bool = False,
) -> str | None:
    """Return where the browser finds a strip of a run, None when there is no strip.

    ``count`` images from ``first`` on are wanted, or all; or those that ``tiles`` lists, in this order. They come as
    thumbnails unless ``full``.
    """
    written = stamp(path)
    if not written:
        return None
    listed = ",".join(map(str, tiles)) if tiles is not None else None
    query = {"v": written, "first": first or None, "count": count, "tiles": listed, "full": int(full) or None}
    chosen = urlencode({name: value for name, value in query.items() if value is not None})
    return f"{base()}/strips/{quote(run.id)}/{quote(path.relative_to(run.path).as_posix())}?{chosen}"


def zip_address() -> str:
    """Return where the browser asks for a zip: a part is ``of=<run>/<class number>/<image numbers>/<round>``.

    No round means as last written.
    """
    return f"{base()}/exports/{_ZIP}"


def routes() -> list[Route]:
    """Return the routes that answer the addresses of :func:`address` and :func:`zip_address`."""
    return [Route(f"{base()}/strips/{{run}}/{{path:path}}", answer), Route(zip_address(), answer_zip)]


def answer_zip(request: Request) -> Response:
    """Return the zip, or a sentence that says what is not there."""
    try:
        chunks = zip_chunks([_chosen(part) for part in request.query_params.getlist("of")])
    except (DeltError, OSError) as error:
        return PlainTextResponse(str(error), status_code=404)
    except (ValueError, RuntimeError):
        return PlainTextResponse("The address of the download is damaged.", status_code=404)
    headers = {"Content-Disposition": f'attachment; filename="{_ZIP}"', "Cache-Control": "no-store"}
    return StreamingResponse(chunks, media_type="application/zip", headers=headers)


def _chosen(part: str) -> Chosen:
    run, class_index, indices, round_number = part.split("/")
    numbers = tuple(int(index) for index in indices.split(",") if index)
    return Chosen(Run.open(Path(run).name), int(class_index), numbers, int(round_number) if round_number else None)


def answer(request: Request) -> Response:
    """Return the strip, or 404 when there is none such."""
    try:
        run = Run.open(Path(request.path_params["run"]).name)
        path = strip_file(run, request.path_params["path"])
        first, full = int(request.query_params.get("first", 0)), "full" in request.query_params
        count = int(request.query_params["count"]) if "count" in request.query_params else None
        listed = request.query_params.get("tiles")
        tiles = tuple(int(number) for number in listed.split(",")) if listed else None
        get = cut if path.parent.name == "live" else part  # a live strip is soon another one
        png = get(str(path), stamp(path), first, count, full, tiles)
    except (RunError, OSError, ValueError, RuntimeError, SyntaxError, MemoryError, Image.DecompressionBombError):
        return Response(status_code=404)
    return Response(png, media_type="image/png", headers=_KEEP)


def strip_file(run: Run, name: str) -> Path:
    """Return the file of a strip.

    Raises:
        RunError: the name leads anywhere but to a strip in the run's folder.
    """
    path, root = (run.path / name).resolve(), run.path.resolve()
    inside = path.relative_to(root).parts if path.is_relative_to(root) else ()
    is_strip = path.suffix == ".png" and inside[:1] in (("snapshots",), ("live",))
    if not is_strip and not (inside[:1] == ("images",) and path.is_dir()):
        raise RunError(f"run {run.id}: {name} is not a strip of images.")
    return path


def cut(
    path: str,
    written: int,  # noqa: ARG001 (part of the key)
    first: int,
    count: int | None,
    full: bool,
    tiles: tuple[int, ...] | None = None,
) -> bytes:
    """Return images ``first`` to ``first + count`` of a strip, or those listed; ValueError if one is not there."""
    place = Path(path)
    png = png_bytes(read_strip(place), level=1) if place.is_dir() else place.read_bytes()
    with Image.open(io.BytesIO(png), formats=("PNG",)) as image:
        side, total = image.height, image.width // image.height
        if not 0 <= first < total or (count is not None and count < 1):
            raise ValueError(first, count)  # before a range of any size is made of what an address says
        last = total if count is None else min(total, first + count)
        wanted = list(range(first, last) if tiles is None else tiles[:MOST_TILES])
        if wanted == list(range(total)) and (full or side <= THUMBNAIL):
            return png
        if any(not 0 <= number < total for number in wanted):
            raise ValueError(wanted)
        joined = join_strip(split_strip(np.asarray(image.convert("RGB")))[wanted])
        return png_bytes(joined if full else thumbnails(Image.fromarray(joined)), level=1)


part = st.cache_data(max_entries=1024, max_size="128MB", show_spinner=False)(cut)
"""The same, kept for the next reader."""


def thumbnails(strip: Image.Image) -> np.ndarray:
    """Shrink the images of a strip to at most :data:`THUMBNAIL` pixels, each by itself so that none bleeds.

    Returns:
        uint8 (T, n * T, 3), T the side of a tile.
    """
    side = strip.height
    if side <= THUMBNAIL:
        return np.asarray(strip)
    tiles = (strip.crop((x, 0, x + side, side)) for x in range(0, strip.width, side))
    return np.hstack([np.asarray(tile.resize((THUMBNAIL, THUMBNAIL), Image.Resampling.LANCZOS)) for tile in tiles])


def base() -> str:
    """Return the path that all addresses of the app begin with."""
    path = str(st.get_option("server.baseUrlPath") or "").strip("/")
    return f"/{path}" if path else ""
