"""Numbers that were measured before and come with the package, without the runs that measured them.

A number belongs to an experiment, not to a place in a table: it is found by a digest of all settings, so that a change
of what a cell is takes the number away rather than leaving it beside another question.

Source: assets/measured/numbers.json, written by ``delt papers --keep``; the page and the documents say where each one
was measured.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from delt_engine.errors import DataError
from delt_engine.files import write_bytes
from delt_engine.papers.cells import Cell
from delt_engine.papers.continual_values import step_number
from delt_engine.paths import assets_dir

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Kept:
    """A number that was measured elsewhere: mean and spread over ``n`` students or runs.

    Attributes:
        key: digest of the experiment, see :func:`kept_key`.
        what: which printed number it was measured for, for people.
        value, std: of accuracies, in percent, the best tested epoch.
        n: students, or runs.
        on: processor, instruction set, torch, and number format where it is not float32.
        day: when it was measured.
        last, last_std: of accuracies the last epoch, where it was kept.
    """

    key: str
    what: str
    value: float
    std: float | None
    n: int
    on: str
    day: str
    last: float | None = None
    last_std: float | None = None

    @property
    def shown(self) -> tuple[float, float | None]:
        """What stands beside the printed number, and its spread."""
        return self.value, self.std


def kept_key(cell: Cell) -> str:
    """Return what tells the experiment of a cell from others: a digest of its settings, and the step of its classes."""
    return hashlib.sha256(f"{cell.key} {step_number(cell.value)}".encode()).hexdigest()[:16]


def kept_number(cell: Cell) -> Kept | None:
    """Return the number of a cell that comes with the package; None where there is none."""
    own = _shipped(assets_dir())
    return own.get(kept_key(cell)) if own else None


@lru_cache(maxsize=2)
def _shipped(assets: Path) -> dict[str, Kept]:
    path = assets / "measured" / "numbers.json"
    return {one.key: one for one in read_kept(path)} if path.is_file() else {}


def read_kept(path: Path) -> list[Kept]:
    """Return the numbers of a file.

    Raises:
        DataError: it is damaged, or of a later version.
    """
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if found["schema_version"] != SCHEMA_VERSION:
            raise DataError(f"{path}: schema_version {found['schema_version']}, but it must be {SCHEMA_VERSION}.")
        return [Kept(**one) for one in found["numbers"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} holds no kept numbers ({error}); `delt papers --keep` writes such a file.") from None


def write_kept(path: Path, numbers: Iterable[Kept]) -> None:
    """Write numbers in the order of what they are, one a line."""
    lines = sorted((one.what, json.dumps(asdict(one), ensure_ascii=False)) for one in numbers)
    body = ",\n".join(f"  {line}" for _, line in lines)
    write_bytes(path, f'{{\n "schema_version": {SCHEMA_VERSION},\n "numbers": [\n{body}\n ]\n}}\n'.encode())
