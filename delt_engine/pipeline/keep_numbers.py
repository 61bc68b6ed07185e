"""Keeps numbers of the papers' tables that were measured here, so that they can come with the package without runs."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from delt_engine.models.processor import this_machine
from delt_engine.papers.kept import Kept, kept_key, read_kept, write_kept
from delt_engine.paths import assets_dir
from delt_engine.pipeline.reproduce import cell_title
from delt_engine.pipeline.table_records import CellView, TableView
from delt_engine.runs.record import RunRecord

DIGITS = 2
"""Decimals of what is kept; numbers below one keep four."""


def keep_numbers(path: Path, views: Iterable[TableView]) -> int:
    """Write what was measured here into a file, beside what it holds, and return how many numbers are new or changed.

    Left out are numbers that need no run, and those of the examples, which come with the package as runs.

    Raises:
        DataError: the file is there and holds something else.
        RunError: the system refused.
    """
    before = {one.key: one for one in read_kept(path)} if path.exists() else {}
    found = dict(before)
    for view in views:
        for one in view.cells:
            kept = _kept(view, one)
            if kept is not None and _numbers(kept) != _numbers(found.get(kept.key)):
                found[kept.key] = kept
    write_kept(path, found.values())
    return sum(before.get(key) != one for key, one in found.items())


def _kept(view: TableView, one: CellView) -> Kept | None:
    here, cell = one.measured, one.cell
    runs = one.runs or ((one.recovered,) if one.recovered else ())
    if here is None or cell is None or cell.measure == "parameters":
        return None
    if runs and all(run.path.is_relative_to(assets_dir()) for run in runs):
        return None
    value, std = here.shown
    last, last_std = (here.mean, here.std) if here.best is not None else (None, None)
    record = runs[0].record() if runs else None
    return Kept(
        key=kept_key(cell),
        what=f"{cell_title(view.table, one)}, {view.scale} scale",
        value=_rounded(value),
        std=None if std is None else _rounded(std),
        n=here.n,
        on=_machine_words(record),
        day=(record and record.finished or datetime.now(UTC).isoformat())[:10],
        last=None if last is None else _rounded(last),
        last_std=None if last_std is None else _rounded(last_std),
    )


def _numbers(one: Kept | None) -> tuple[float | None, ...]:
    return () if one is None else (one.value, one.std, one.n, one.last, one.last_std)


def _rounded(number: float) -> float:
    return round(number, DIGITS if abs(number) >= 1 else 4)


def _machine_words(record: RunRecord | None) -> str:
    machine = record.machine if record and record.machine else this_machine()
    precisions = () if record is None else (record.experiment.recover.precision, record.experiment.evaluate.precision)
    named = next((name for name in precisions if name not in ("auto", "float32")), "")
    device = record.device_name if record and record.device != "cpu" else ""
    words = (device or machine.get("processor"), machine.get("instructions"), f"torch {machine.get('torch')}", named)
    return ", ".join(filter(None, words))
