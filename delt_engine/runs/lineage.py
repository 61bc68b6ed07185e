"""Which run another one was made from, and what was changed between them.

The link is a small file beside the new run, ``parent.json``, written once when it is started; the run it came from is
not touched, and neither is run.json.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from delt_engine import files
from delt_engine.config.settings import Settings
from delt_engine.errors import RunError
from delt_engine.runs.store import Run

_FILE = "parent.json"


@dataclass(frozen=True)
class Change:
    """One setting that differs: its name as people see it, and both values in words."""

    title: str
    before: str
    after: str


def keep_parent(run: Run, parent_id: str) -> None:
    """Write down which run this one repeats with changes.

    Raises:
        RunError: the file cannot be written.
    """
    files.write_bytes(run.path / _FILE, (json.dumps({"parent": parent_id}) + "\n").encode())


def parent_of(run: Run) -> Run | None:
    """Return the run this one was made from, None when there is none or it is gone."""
    try:
        told = json.loads((run.path / _FILE).read_text(encoding="utf-8"))
        return Run.open(str(told["parent"]))
    except (OSError, ValueError, TypeError, KeyError, RunError):
        return None


def changes(before: Settings, after: Settings) -> tuple[Change, ...]:
    """Return the settings that differ between two records of one kind, in their order; stages are gone through."""
    found: list[Change] = []
    for name, info in type(after).model_fields.items():
        old, new = getattr(before, name), getattr(after, name)
        if isinstance(new, Settings):
            found += changes(old, new)
        elif old != new:
            found.append(Change(info.title or name, words(old), words(new)))
    return tuple(found)


def words(value: Any) -> str:
    """Return a setting's value as people write it.

    >>> words(True), words(None), words(0.25), words(4000), words(("cat", "coffee"))
    ('on', '–', '0.25', '4,000', 'cat, coffee')
    """
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, tuple):
        return ", ".join(map(str, value)) or "–"
    if value is None or value == "":
        return "–"
    if isinstance(value, float):
        return f"{value:g}"
    return f"{value:,}" if isinstance(value, int) else str(value)
