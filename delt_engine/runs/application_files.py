"""Where an application keeps what it measured: a folder a question, with one JSON file; readable without torch.

A folder is named by what was asked, so that the same question finds its answer again and more seeds are added to those
that are there. Those that ship with the project are read as well.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
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
            whole = {one["seed"]: one for one in there if isinstance(one, dict) and "seed" in one}
            for one in results:
                if len(one.get("steps", ())) >= len(whole.get(one["seed"], {}).get("steps", ())):
                    whole[one["seed"]] = one
            record = {**facts, "results": [whole[seed] for seed in sorted(whole)]}
            files.write_bytes(path / f"{self.name}.json", (json.dumps(record, indent=1) + "\n").encode())

    def all(self) -> list[Path]:
        """Return the files of all answers, the user's and those that ship, newest first."""
        found: dict[str, Path] = {}
        for folder in (self.folder, self.shipped):
            for path in folder.glob(f"*/{self.name}.json"):
                found.setdefault(path.parent.name, path)  # the user's may have more seeds
        return sorted(found.values(), key=lambda path: (-path.stat().st_mtime_ns, str(path)))
