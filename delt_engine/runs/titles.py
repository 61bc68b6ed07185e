"""What a person calls a run: a title, tags and a note, in a small file of their own, so run.json stays as it is."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

from delt_engine import files
from delt_engine.errors import RunError
from delt_engine.paths import assets_dir
from delt_engine.runs.store import Run

LONGEST_TITLE = 80
LONGEST_TAG = 24
_NAME = "labels.json"


@dataclass(frozen=True)
class Labels:
    """Title, tags and note of a run; all may be empty."""

    title: str = ""
    tags: tuple[str, ...] = ()
    note: str = ""


def read_labels(run: Run) -> Labels:
    """Return the labels of a run, empty ones when it has none or the file is damaged."""
    path = run.path / _NAME
    try:
        return _read_once(path, path.stat().st_mtime_ns)
    except OSError:
        return Labels()


def write_labels(run: Run, labels: Labels) -> None:
    """Keep the labels of a run; empty ones leave no file.

    Raises:
        RunError: an example, a title or a tag that is too long, or the file cannot be written.
    """
    check_own(run)
    title, note = " ".join(labels.title.split()), labels.note.strip()
    if len(title) > LONGEST_TITLE:
        raise RunError(f"title: {len(title)} letters given, but it has at most {LONGEST_TITLE}.")
    tags = tuple(dict.fromkeys(" ".join(tag.split()) for tag in labels.tags if tag.strip()))
    for tag in tags:
        if len(tag) > LONGEST_TAG or re.search(r"[,;]", tag):
            raise RunError(f"tags: {tag!r} given, but a tag has at most {LONGEST_TAG} letters and no comma.")
    kept = Labels(title, tags, note)
    if kept == Labels():
        with files.as_run_error(run.path / _NAME, "removed"):
            (run.path / _NAME).unlink(missing_ok=True)
    else:
        files.write_bytes(run.path / _NAME, json.dumps(asdict(kept), ensure_ascii=False, indent=2).encode())


def check_own(run: Run) -> None:
    """Refuse a run that ships with the project.

    Raises:
        RunError: it is an example.
    """
    if is_example(run):
        raise RunError(f"run {run.id}: it is an example that ships with the project, so it stays as it is.")


def is_example(run: Run) -> bool:
    """Return whether the run ships with the project."""
    return run.path.is_relative_to(assets_dir())


@lru_cache(maxsize=2048)
def _read_once(path: Path, _changed_ns: int) -> Labels:
    try:
        told = json.loads(path.read_bytes())
        return Labels(str(told.get("title", "")), tuple(map(str, told.get("tags", ()))), str(told.get("note", "")))
    except (OSError, ValueError, AttributeError, TypeError):
        return Labels()
