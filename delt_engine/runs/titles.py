"""What runs are called and in which order they are shown: titles, tags and notes, and the examples that ship.

A title is a small file of its own in the run's folder, so run.json stays as it is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

from delt_engine import access, files
from delt_engine.config.methods import METHOD_TITLES
from delt_engine.data.catalogue import dataset_names
from delt_engine.errors import RunError
from delt_engine.paths import assets_dir
from delt_engine.runs.store import Run, list_runs

LONGEST_TITLE = 80
LONGEST_TAG = 24
_FILE = "labels.json"


@dataclass(frozen=True)
class RunTitle:
    """Title, tags and note of a run; all may be empty."""

    title: str = ""
    tags: tuple[str, ...] = ()
    note: str = ""


def read_title(run: Run) -> RunTitle:
    """Return the title of a run, an empty one when it has none or the file is damaged."""
    path = run.path / _FILE
    try:
        return _read_once(path, path.stat().st_mtime_ns)
    except (OSError, AttributeError, TypeError):
        return RunTitle()


@lru_cache(maxsize=2048)
def _read_once(path: Path, _changed_ns: int) -> RunTitle:
    found = files.read_json(path)
    return RunTitle(str(found.get("title", "")), tuple(map(str, found.get("tags", ()))), str(found.get("note", "")))


def write_title(run: Run, title: RunTitle) -> None:
    """Save the title of a run; an empty one leaves no file.

    Raises:
        RunError: an example, a run that is gone, a title or a tag that is too long, or the file cannot be written.
    """
    check_own(run)
    if not (run.path / "run.json").exists():  # deleted in another browser: its folder must not come back
        raise RunError(f"run {run.id}: it is not there any more, so it gets no title.")
    words, path = " ".join(title.title.split()), run.path / _FILE
    if len(words) > LONGEST_TITLE:
        raise RunError(f"title: {len(words)} letters given, but it has at most {LONGEST_TITLE}.")
    tags = tuple(dict.fromkeys(" ".join(tag.split()) for tag in title.tags if tag.strip()))
    for tag in tags:
        if len(tag) > LONGEST_TAG or re.search(r"[,;]", tag):
            raise RunError(f"tags: {tag!r} given, but a tag has at most {LONGEST_TAG} letters and no comma.")
    saved = RunTitle(words, tags, title.note.strip())
    if saved == RunTitle():
        with files.as_run_error(path, "removed"):
            path.unlink(missing_ok=True)
    else:
        files.write_bytes(path, json.dumps(asdict(saved), ensure_ascii=False, indent=2).encode())


def is_example(run: Run) -> bool:
    """Return whether the run ships with the project."""
    return run.path.is_relative_to(assets_dir())


def check_own(run: Run) -> None:
    """Refuse a run that ships with the project.

    Raises:
        RunError: it is an example.
        AccessError: the visitor may change nothing.
    """
    access.check_change("change a run")
    if is_example(run):
        raise RunError(f"run {run.id}: it is an example that ships with the project, so it stays as it is.")


def example_runs() -> list[Run]:
    """Return the finished runs that ship with the project, see :func:`in_order`."""
    return in_order(list_runs(assets_dir() / "examples"))


def in_order(runs: Iterable[Run]) -> list[Run]:
    """Return runs by dataset in the catalogue's order, by method, DELT first, and by name; unreadable ones last."""
    datasets, methods = dataset_names(), list(METHOD_TITLES)

    def key(run: Run) -> tuple[int, int, str]:
        if run.unreadable:
            return len(datasets) + 1, 0, run.id
        name = run.experiment.dataset
        place = datasets.index(name) if name in datasets else len(datasets)
        return place, methods.index(run.experiment.recover.method), run.id

    return sorted(runs, key=key)
