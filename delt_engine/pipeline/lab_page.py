"""The lab as one file: the first lessons as a page that opens from disk, with its images inside and no network.

The page is written by hand in ``pages/shared/components``: the films are drawn by the script that draws them in the
app. Images above 96 px are shrunk and stored as JPEG, and classes are left out where the page would grow beyond 8 MB.
"""

from __future__ import annotations

import base64
import html
import io
import json
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from delt_engine.errors import DataError
from delt_engine.files import write_bytes
from delt_engine.lab import claim as claims
from delt_engine.lab.claim import Claim
from delt_engine.lab.lessons import IN_THE_FILE
from delt_engine.lab.material import Lab
from delt_engine.lab.scenes import lab_scene
from delt_engine.paths import expanded, studio_dir
from delt_engine.pipeline.claim import claim, claim_runs
from delt_engine.plots import film
from delt_engine.plots.style import method_colour
from delt_engine.runs.store import Run
from delt_engine.runs.strips import join_strip, png_bytes

MOST_BYTES = 8_000_000
LARGEST, MOST_IMAGES = 96, 10
"""Side of an image in the page, pixels, and images of a method's class, half of them the first ones to join."""

_PARTS = studio_dir() / "pages" / "shared" / "components"
_SCRIPTS, _STYLES = ("shared", "lab_film", "lab_page"), ("shared", "lab", "lab_page")


@dataclass(frozen=True)
class LabPage:
    """A page as text, with the classes that are in it and those for which there was no room."""

    text: str
    classes: tuple[str, ...]
    left_out: tuple[str, ...]

    @property
    def lessons(self) -> tuple[str, ...]:
        """Titles of the lessons."""
        return tuple(lesson.title for lesson in IN_THE_FILE)


def lab_page(lab: Lab, runs: Iterable[Run]) -> LabPage:
    """Return the page of a lab; ``runs`` are where the fourth lesson finds DELT, CDA and SRe2L.

    Raises:
        DataError: the page's parts are missing, or not even one class fits.
    """
    shown = claim_runs(runs, lab.record.dataset_fingerprint)
    found = claim(shown) if shown else None
    names = sorted(lab.class_names, key=lambda name: name != lab.record.opens_with)
    shell = _shell(lab, found)
    room, entries = MOST_BYTES - len(_page(lab, shell).encode()), []
    for name in names:
        entry = _class_entry(lab, name, found, shown)
        room -= len(_json(entry).encode()) + 1
        if room < 0:
            break
        entries.append(entry)
    if not entries:
        raise DataError(
            f"lab: one class of {lab.folder} needs more than {MOST_BYTES / 1e6:g} MB; record fewer moments "
            "(--every) or start rounds."
        )
    entries.sort(key=lambda entry: lab.class_names.index(entry["name"]))
    kept = tuple(entry["name"] for entry in entries)
    text = _page(lab, shell | {"classes": entries, "opensWith": names[0]})
    return LabPage(text, kept, tuple(name for name in lab.class_names if name not in kept))


def check_place(path: str | Path) -> Path:
    """Return where a page will stand, in full.

    Raises:
        DataError: a folder stands there, or nothing can be written there.
    """
    path = expanded(path).absolute()
    if path.is_dir():
        raise DataError(f"html: {path} is a folder; name a file in it, such as {path / 'early-late.html'}.")
    nearest = next(parent for parent in path.parents if parent.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK):
        raise DataError(f"html: {path} cannot be written: {nearest} is no folder that can be written to.")
    return path


def write_lab_page(path: str | Path, page: LabPage) -> Path:
    """Write a page, whole or not at all, over a file of that name if there is one.

    Raises:
        DataError: as :func:`check_place`, or the system refuses.
    """
    path = check_place(path)
    write_bytes(path, page.text.encode(), what="html", kind=DataError)
    return path


def _page(lab: Lab, data: dict[str, Any]) -> str:
    try:
        parts = {
            "title": html.escape(f"Early and late: {lab.record.title}"),
            "style": "\n".join((_PARTS / f"{name}.css").read_text(encoding="utf-8") for name in _STYLES),
            "script": "\n".join((_PARTS / f"{name}.js").read_text(encoding="utf-8") for name in _SCRIPTS),
            "data": _json(data),
        }
        template = (_PARTS / "lab_page.html").read_text(encoding="utf-8")
    except OSError as error:
        raise DataError(
            f"html: {error.filename} is not there; write the page from a copy of the project's repository."
        ) from None
    return re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], template)


def _json(value: Any) -> str:
    """Return JSON that can stand in a page: no letter in it ends a script."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")


def _shell(lab: Lab, found: Claim | None) -> dict[str, Any]:
    """Return what the page says besides its classes."""
    record = lab.record
    return {
        "title": record.title,
        "lessons": [vars(lesson) for lesson in IN_THE_FILE],
        "claim": _claim_entry(found) if found else None,
        "command": record.command,
        "versions": record.versions,
    }


def _claim_entry(found: Claim) -> dict[str, Any]:
    pairs = found.pairs
    return {
        "methods": [
            {"title": one.title, "colour": method_colour(one.method), "alike": one.alike, "mean": one.mean}
            for one in found.sets
        ],
        "overall": claims.overall_text(found),
        "inside": claims.inside_text(pairs) if pairs else "",
        "why": claims.WHY,
        "origin": f"{claims.origin_text(found)} {claims.elsewhere_text(found)}".strip(),
    }


def _class_entry(lab: Lab, name: str, found: Claim | None, runs: list[Run]) -> dict[str, Any]:
    """Return one class: its film for the first three lessons, and the methods' images for the fourth."""
    scene = lab_scene(lab, name, 1, "")
    tile, sheet = _film_sheet(lab, lab.subjects(name)[0].film)
    films = [make(scene) | {"tile": tile, "sheets": []} for make in (film.patch_film, film.twins_film, film.late_film)]
    entry: dict[str, Any] = {
        "name": name,
        "sheet": sheet,
        "films": films,
        "rows": film.late_rows(scene),
        "origin": scene.origin,
    }
    if found and name in found.delt.alike:
        entry["sets"] = [_strip(run, name) for run in runs]
        entry["answer"] = claims.answer_text(found, name)
        entry["more"] = found.more_alike(name) == found.baseline.method
    else:
        halves = lab.halves(name)
        images = lab.tiles(halves.sheet)[-1]
        images = _shrunk(images) if images.shape[1] > LARGEST else images
        strip = {"sheet": _url(png_bytes(join_strip(images))), "tile": images.shape[1], "n": len(images)}
        entry["halves"] = strip | {"early": halves.early[-1], "late": halves.late[-1]}
    return entry


def _film_sheet(lab: Lab, name: str) -> tuple[int, str]:
    """Return the side of a tile and the sheet as a data URL, as it is stored or shrunk."""
    if lab.record.image_size <= LARGEST:
        return lab.record.image_size, _url(lab.png(name))
    return LARGEST, _jpeg_url(np.vstack([join_strip(_shrunk(row)) for row in lab.tiles(name)]))


def _strip(run: Run, name: str) -> dict[str, Any]:
    """Return the images of a class at the end of a run, the first and the last ones to join where there are many."""
    class_index = run.class_names.index(name)
    images = run.snapshot_images(class_index, run.rounds_written(class_index)[-1])
    if len(images) > MOST_IMAGES:
        images = np.concatenate([images[: MOST_IMAGES // 2], images[-MOST_IMAGES // 2 :]])
    if images.shape[1] > LARGEST:
        return {"sheet": _jpeg_url(join_strip(_shrunk(images))), "tile": LARGEST, "n": len(images)}
    return {"sheet": _url(png_bytes(join_strip(images))), "tile": images.shape[1], "n": len(images)}


def _shrunk(images: np.ndarray) -> np.ndarray:
    """Return images, uint8 (n, S, S, 3), with a side of :data:`LARGEST`."""
    size = (LARGEST, LARGEST)
    return np.stack([np.asarray(Image.fromarray(one).resize(size, Image.Resampling.LANCZOS)) for one in images])


def _jpeg_url(image_u8: np.ndarray) -> str:
    """Return large images as JPEG; its blocks of 8 pixels end where a tile of 96 does, so none bleeds."""
    buffer = io.BytesIO()
    Image.fromarray(image_u8).save(buffer, "JPEG", quality=88, subsampling=0)
    return _url(buffer.getvalue(), "jpeg")


def _url(image: bytes, kind: str = "png") -> str:
    return f"data:image/{kind};base64," + base64.b64encode(image).decode("ascii")
