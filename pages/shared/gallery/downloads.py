"""Chosen images as a zip: an address that the browser asks by itself, answered piece by piece.

Each part of the choice is ``of=<run>/<class number>/<image numbers>/<round>``; no round means as last written.
"""

from __future__ import annotations

from pathlib import Path

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from delt_engine.errors import DeltError
from delt_engine.runs.export import Chosen, zip_chunks
from delt_engine.runs.store import Run
from pages.shared.runs.strips import base

_NAME = "delt-images.zip"


def address() -> str:
    """Return where the browser asks for a zip."""
    return f"{base()}/exports/{_NAME}"


def route() -> Route:
    """Return the route that answers :func:`address`."""
    return Route(address(), answer)


def answer(request: Request) -> Response:
    """Return the zip, or a sentence that says what is not there."""
    try:
        chunks = zip_chunks([_chosen(part) for part in request.query_params.getlist("of")])
    except (DeltError, OSError) as error:
        return PlainTextResponse(str(error), status_code=404)
    except ValueError:
        return PlainTextResponse("The address of the download is damaged.", status_code=404)
    headers = {"Content-Disposition": f'attachment; filename="{_NAME}"', "Cache-Control": "no-store"}
    return StreamingResponse(chunks, media_type="application/zip", headers=headers)


def _chosen(part: str) -> Chosen:
    run, class_index, indices, round_number = part.split("/")
    numbers = tuple(int(index) for index in indices.split(",") if index)
    return Chosen(Run.open(Path(run).name), int(class_index), numbers, int(round_number) if round_number else None)
