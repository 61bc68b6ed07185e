"""Numbers that were measured before and come with the package, without the runs that measured them.

A number belongs to an experiment, not to a place in a table: it is found by a digest of the settings that make the
result, networks by their weights, so that a change of what a cell is takes the number away and does not leave it beside
another question. Settings that are as they are by default are not part of it, so that a new setting leaves all numbers
where they are; whoever changes a default measures again.

Source: assets/measured/numbers.json, written by ``delt papers --keep``.
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
from delt_engine.models.card import read_card
from delt_engine.papers.cells import Cell
from delt_engine.papers.continual_values import step_number
from delt_engine.papers.fits import NOT_COUNTED, TRAIN_THE_SAME
from delt_engine.paths import assets_dir

SCHEMA_VERSION = 1

MARK = "†"
"""Mark of these numbers, wherever they stand."""

_LEFT_OUT = {**NOT_COUNTED, "evaluate": {"relabeller", *TRAIN_THE_SAME}}
"""Settings that change no result; a recipe fills in what an experiment leaves open, so that its name counts."""


@dataclass(frozen=True)
class Kept:
    """A number that was measured elsewhere: mean and spread over ``n`` students or runs.

    Attributes:
        key: digest of the experiment, see :func:`kept_key`.
        what: which printed number it was measured for, for people.
        value, std: of students' accuracies, in percent, the best tested epoch.
        n: students, or runs.
        on: device, or processor with its instruction set and threads; torch; number format where it is not float32.
        day: when the last of its runs was finished.
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


def kept_key(cell: Cell, judge: str = "") -> str:
    """Return what tells the experiment of a cell from others.

    Args:
        cell: at either scale.
        judge: fingerprint of the outside network that says the number, where one does.
    """
    experiment, value = cell.experiment, cell.value
    networks = (experiment.teacher, *experiment.teachers, experiment.ranker, cell.relabeller)
    asked = {
        "number": (cell.measure, value.metric, value.method, step_number(value), judge),
        "networks": [_network(name) for name in networks],
        "data": (experiment.dataset, experiment.image_size, experiment.resize, experiment.classes),
        **{
            stage: getattr(experiment, stage).model_dump(mode="json", exclude=names, exclude_defaults=True)
            for stage, names in _LEFT_OUT.items()
        },
    }
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:16]


@lru_cache(maxsize=64)
def _network(name: str) -> str:
    """Return the fingerprint of a network that is named by its file; else the name."""
    return read_card(name).fingerprint if Path(name).is_file() else name


def kept_file() -> Path:
    """Return the file of the numbers that come with the package."""
    return assets_dir() / "measured" / "numbers.json"


def kept_number(cell: Cell, judge: str = "") -> Kept | None:
    """Return the number of a cell that comes with the package; None where there is none, or none can be read.

    A damaged file stops nothing; ``delt doctor`` names it.
    """
    path = kept_file()
    own = _shipped(path, path.stat().st_mtime_ns) if path.is_file() else {}
    return own.get(kept_key(cell, judge)) if own else None


@lru_cache(maxsize=2)
def _shipped(path: Path, _written: int) -> dict[str, Kept]:
    try:
        return {one.key: one for one in read_kept(path)}
    except DataError:
        return {}


def read_kept(path: Path) -> list[Kept]:
    """Return the numbers of a file.

    Raises:
        DataError: it is damaged, or of a later version.
    """
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if found["schema_version"] != SCHEMA_VERSION:
            raise DataError(f"{path}: schema_version {found['schema_version']}, but it must be {SCHEMA_VERSION}.")
        return [_checked(Kept(**one)) for one in found["numbers"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} holds no kept numbers ({error}); remove it or name another file.") from None


def _checked(one: Kept) -> Kept:
    optional = (one.std, one.last, one.last_std)
    numbers = (one.value, one.n, *(number for number in optional if number is not None))
    if not all(isinstance(number, (int, float)) for number in numbers):
        raise TypeError(f"{one.what}: {numbers} are not all numbers")
    return one


def write_kept(path: Path, numbers: Iterable[Kept]) -> None:
    """Write numbers in the order of what they are, one a line."""
    lines = sorted((one.what, json.dumps(asdict(one), ensure_ascii=False)) for one in numbers)
    body = ",\n".join(f"  {line}" for _, line in lines)
    write_bytes(path, f'{{\n "schema_version": {SCHEMA_VERSION},\n "numbers": [\n{body}\n ]\n}}\n'.encode())
