"""A run in another form as one zip, for the app: `delt export` in a process of its own, which may load torch."""

from __future__ import annotations

import subprocess
import tempfile
import zipfile
from pathlib import Path

from delt_engine import files
from delt_engine.errors import RunError
from delt_engine.exports.formats import FORMATS
from delt_engine.jobs.children import child_environment, start_child
from delt_engine.runs.export import run_zip
from delt_engine.runs.store import Run

_STAMP = (2025, 1, 1, 0, 0, 0)
"""Date of every entry, so that the same files give the same zip."""


def export_name(run: Run, form: str) -> str:
    """Return what the folder of an export is called: in the zip, and in the lines that train on it."""
    return run.id if form == "zip" else f"{run.id}-{form}"


def export_zip(run: Run, form: str, *, soft_labels: bool = True) -> bytes:
    """Return a run in a form as a zip of one folder.

    ``soft_labels`` keeps the teacher's where the form has a place for them and the teacher is here.

    Raises:
        RunError: it cannot be exported; what the command said.
    """
    if form == "zip":
        return run_zip(run)
    with files.as_run_error(Path(tempfile.gettempdir())), tempfile.TemporaryDirectory(prefix="delt-export-") as around:
        place = Path(around) / export_name(run, form)
        words = ["export", str(run.path), "--format", form, "--out", str(place), "--json"]
        if FORMATS[form].has_soft_labels and not soft_labels:
            words.append("--no-soft-labels")
        process = start_child(words, subprocess.DEVNULL, subprocess.PIPE, child_environment())
        said = process.communicate()[1].decode("utf-8", "replace").strip()
        if process.returncode != 0:
            raise RunError(said.removeprefix("Error: ").splitlines()[-1] if said else f"export: {form} failed.")
        return _packed(place)


def _packed(folder: Path) -> bytes:
    target = folder.with_suffix(".zip")
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(one for one in folder.rglob("*") if one.is_file()):
            entry = zipfile.ZipInfo(f"{folder.name}/{path.relative_to(folder).as_posix()}", _STAMP)
            entry.compress_type = zipfile.ZIP_STORED if path.suffix in (".png", ".jpg") else zipfile.ZIP_DEFLATED
            with archive.open(entry, "w", force_zip64=True) as packed, path.open("rb") as file:
                while piece := file.read(2**20):
                    packed.write(piece)
    return target.read_bytes()
