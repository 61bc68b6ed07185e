"""Where an application keeps what it measured: a folder a question, with one JSON file; readable without torch.

A folder is named by what was asked, so that the same question finds its answer again and more seeds are added to those
that are there. Those that ship with the project are read as well.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from delt_engine import files
from delt_engine.paths import assets_dir, home


@dataclass(frozen=True)
class ApplicationFiles:
    """The answers of one application, whose name is that of its folder and of the file in each answer's own."""

    name: str
    summary: Callable[[Mapping[str, Any], Path, int | None], dict[str, Any]]
    """Makes one row of plain values of an answer as :meth:`read` returns it, its folder, and how many seeds count."""

    @property
    def folder(self) -> Path:
        """Those of this user."""
        return home() / self.name

    @property
    def shipped(self) -> Path:
        """Those that come with the project."""
        return assets_dir() / self.name

    def find(self, key: str) -> Path:
        """Return the folder of an answer: this user's, one that ships, or where it will be."""
        places = (self.folder / key, self.shipped / key)
        return next((path for path in places if self.read(path)), places[0])

    def read(self, path: Path) -> dict[str, Any] | None:
        """Return what a folder holds, None where it is no answer: its facts and ``results``, one a seed."""
        found = files.read_json(path / f"{self.name}.json")
        return found if isinstance(found, dict) and found.get("results") else None

    def results(self, key: str) -> dict[int, dict[str, Any]]:
        """Return what was measured before, by seed."""
        found = self.read(self.find(key)) or {"results": []}
        return {int(one["seed"]): one for one in found["results"]}

    def answer(self, key: str, most: int) -> dict[str, Any]:
        """Return the summary of an answer that is there, of at most so many of its seeds."""
        path = self.find(key)
        record = self.read(path)
        assert record is not None  # written just now, or before
        return self.summary(record, path, most)

    def write(self, path: Path, facts: Mapping[str, Any], results: Sequence[Mapping[str, Any]]) -> None:
        """Write what was measured so far.

        What another process has measured in the meantime stays: other seeds, and of the same one more steps.

        Raises:
            RunError: the system refuses.
        """
        with files.as_run_error(path):
            path.mkdir(parents=True, exist_ok=True)
        with FileLock(path / ".lock"):
            there = (self.read(path) or {"results": []})["results"]
            whole: dict[int, Mapping[str, Any]] = {
                one["seed"]: one for one in there if isinstance(one, dict) and "seed" in one
            }
            for one in results:
                if len(one.get("steps", ())) >= len(whole.get(one["seed"], {}).get("steps", ())):
                    whole[one["seed"]] = one
            record = {**facts, "results": [whole[seed] for seed in sorted(whole)]}
            files.write_bytes(path / f"{self.name}.json", (json.dumps(record, indent=1) + "\n").encode())

    def summaries(self) -> Iterator[dict[str, Any]]:
        """Yield the summaries of all answers, the newest first; damaged ones are left out."""
        for path in self.all():
            found = self.read(path.parent)
            with contextlib.suppress(LookupError, TypeError, ValueError, AttributeError, ArithmeticError):
                if found is not None:
                    yield self.summary(found, path.parent, None)

    def all(self) -> list[Path]:
        """Return the files of all answers, the user's and those that ship, newest first."""
        found: dict[str, Path] = {}
        for folder in (self.folder, self.shipped):
            for path in folder.glob(f"*/{self.name}.json"):
                found.setdefault(path.parent.name, path)  # the user's may have more seeds
        return sorted(found.values(), key=lambda path: (-path.stat().st_mtime_ns, str(path)))
