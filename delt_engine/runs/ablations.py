"""Finished ablations of DELT+: what each switch is worth, at which cost; readable without torch.

An ablation is one record: what was asked, where it was measured, and a row a switch. Those of this user are in their
home, under what was asked, so the same question is written over; those that ship with the project are read as well.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from delt_engine.files import KeyedStore, read_json
from delt_engine.paths import assets_dir
from delt_engine.runs.tables import Column

COLUMNS = (
    Column("title", "Switch"),
    Column("top1_last", "Top-1, last epoch (%)", 1, "top1_last_std"),
    Column("gap", "Against DELT", 1),
    Column("top1_best", "Top-1, best epoch (%)", 1, "top1_best_std"),
    Column("image_iterations", "Image-iterations", 0),
    Column("synthesis_seconds", "Synthesis (s)", 0),
    Column("settings", "Typed"),
    Column("origin", "Idea from"),
)
"""The table of an ablation, of the command and of the app."""

_OWN = KeyedStore("ablations", most=100)
_KEY = ("dataset_fingerprint", "teacher_fingerprint", "ipc", "iterations", "round_iterations", "training", "seed")


def with_gaps(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows with ``gap``, how far their last epoch is above the first row's, in points; None in that one.

    >>> [row["gap"] for row in with_gaps([{"top1_last": 40.0}, {"top1_last": 42.5}])]
    [None, 2.5]
    """
    base = rows[0]["top1_last"] if rows else 0.0
    return [{**row, "gap": None if place == 0 else row["top1_last"] - base} for place, row in enumerate(rows)]


def keep(record: Mapping[str, Any]) -> None:
    """Write an ablation where :func:`ablations` finds it; RunError where the disk refuses."""
    _OWN.write(tuple(record[name] for name in _KEY), dict(record))


def ablations(dataset: str) -> list[dict[str, Any]]:
    """Return the ablations on a dataset, this user's first; damaged ones are left out."""
    shipped = (read_json(path) for path in sorted((assets_dir() / "ablations").glob("*.json")))
    found = [*_OWN.records(), *(record for record in shipped if record is not None)]
    return [record for record in found if isinstance(record, dict) and record.get("dataset") == dataset]


def described(record: Mapping[str, Any]) -> str:
    """Return in sentences where the numbers of an ablation are from."""
    seeds = record["seeds"]
    trained = f"{record['training']}; mean ± sample standard deviation over the seeds" if seeds > 1 else "one student"
    return (
        f"{record['dataset_title']}, IPC {record['ipc']}, MI {record['iterations']:,}, RI "
        f"{record['round_iterations']:,}, images of seed {record['seed']}. Students: {trained}, all labelled by "
        f"{record['teacher']} alone, tested on {record['test_images']:,} real test images. Measured on "
        f"{record['machine']}."
    )
