"""Keeps numbers of the papers' tables that were measured here, so that they can come with the package without runs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from delt_engine.models.processor import this_machine
from delt_engine.papers.kept import Kept, kept_key, read_kept, write_kept
from delt_engine.paths import assets_dir
from delt_engine.pipeline.image_measures import judge_fingerprint
from delt_engine.pipeline.reproduce import cell_title
from delt_engine.pipeline.table_records import CellView, TableView
from delt_engine.runs.record import RunRecord
from delt_engine.runs.store import Run

DIGITS = 2
"""Decimals of what is kept; numbers below one keep four."""


def keep_numbers(path: Path, views: Iterable[TableView]) -> int:
    """Write what was measured here into a file, beside what it holds, and return how many numbers are new or changed.

    Left out are numbers that are not finished, those that need no run, those of the examples, which come with the
    package as runs, and those of fewer students than the file has.

    Raises:
        DataError: the file is there and holds something else.
        RunError: the system refused.
    """
    found = {one.key: one for one in read_kept(path)} if path.exists() else {}
    changed = set[str]()
    for view in views:
        for one in view.cells:
            kept = _kept(view, one)
            if kept is None or _is_no_more(kept, found.get(kept.key)):
                continue
            found[kept.key] = kept
            changed.add(kept.key)
    write_kept(path, found.values())
    return len(changed)


def _is_no_more(new: Kept, old: Kept | None) -> bool:
    return old is not None and (new.n < old.n or _numbers(new) == _numbers(old))


def _numbers(one: Kept) -> tuple[float | None, ...]:
    return one.value, one.std, one.n, one.last, one.last_std


def _kept(view: TableView, one: CellView) -> Kept | None:
    here, cell = one.measured, one.cell
    if here is None or cell is None or one.state != "finished" or cell.measure == "parameters":
        return None
    runs = one.runs or ((one.recovered,) if one.recovered else ())
    if runs and all(run.path.is_relative_to(assets_dir()) for run in runs):
        return None
    value, std = here.shown
    last, last_std = (here.mean, here.std) if here.best is not None else (None, None)
    return Kept(
        key=kept_key(cell, judge_fingerprint(cell)),
        what=f"{cell_title(view.table, one)}, {view.scale} scale",
        value=_rounded(value),
        std=None if std is None else _rounded(std),
        n=here.n,
        on=machine_words(runs[0].record() if runs else None),
        day=_day(one.runs),
        last=None if last is None else _rounded(last),
        last_std=None if last_std is None else _rounded(last_std),
    )


def _rounded(number: float) -> float:
    return round(number, DIGITS if abs(number) >= 1 else 4)


def _day(runs: Sequence[Run]) -> str:
    """Return the day on which the last of the runs was finished; of what no run measures, today."""
    finished = [record.finished for run in runs if (record := run.record()).finished]
    return max(finished, default=datetime.now(UTC).isoformat())[:10]


def machine_words(record: RunRecord | None) -> str:
    """Return on what a run was computed, as "AMD EPYC, AVX2, torch 2.14.1, 2 threads".

    Of what no run measures it is this machine.
    """
    machine = record.machine if record and record.machine else this_machine()
    is_cpu = record is None or record.device in (None, "cpu")
    device = machine.get("processor") if is_cpu else record and record.device_name or "GPU"
    instructions = machine.get("instructions") if is_cpu else ""
    threads = machine.get("threads") if is_cpu else None
    counted = f"{threads} thread{'s' * (threads > 1)}" if threads else ""
    words = (device, instructions, f"torch {machine.get('torch')}", _number_format(record, is_cpu=is_cpu), counted)
    return ", ".join(word for word in words if word)


def _number_format(record: RunRecord | None, *, is_cpu: bool) -> str:
    """Return the number format of a run where it is not float32; left open, it is bfloat16 on a GPU."""
    if record is None:
        return ""
    settings = record.experiment
    stages = {"squeeze": settings.squeeze.precision, "evaluate": settings.evaluate.precision}
    asked = stages.get(record.kind, settings.recover.precision)
    return "bfloat16" if asked == "bfloat16" or asked == "auto" and not is_cpu else ""
