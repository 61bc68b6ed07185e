"""What continual learning measured: a folder a question, with the accuracy after each step of each class order.

An order that is at work has the steps that are finished so far, so that curves can be drawn while they grow; means and
spreads are over the orders that got as far as a step. Readable without torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from delt_engine.runs.application_files import ApplicationFiles
from delt_engine.runs.tables import Column

COLUMNS = (
    Column("method_title", "Images"),
    Column("ipc", "IPC", 0),
    Column("steps", "Steps", 0),
    Column("average", "Mean over steps (%)", 1, "average_std"),
    Column("last", "All classes (%)", 1, "last_std"),
    Column("orders", "Orders", 0),
    Column("seconds", "Training (s)", 1),
)
"""The table of continual learning, of the command and of the app."""


def summary(record: Mapping[str, Any], path: Path, orders: int | None = None) -> dict[str, Any]:
    """Return what was measured as one row of plain values; accuracies are top-1 in percent.

    ``accuracies`` has one number a step, the mean over the orders, and ``classes_seen`` how many classes that was on.
    ``average`` is the mean over the steps and ``last`` that after the last one, of the orders that are finished; None
    where none is.

    Args:
        record: as ``CONTINUALS.read`` returns it.
        path: its folder.
        orders: how many orders count, the first ones; all when not given.
    """
    results = record["results"][:orders]
    columns = [[one["steps"][number] for one in results if number < len(one["steps"])] for number in _numbers(results)]
    tops = [[float(step["top1"]) for step in column] for column in columns]
    whole = [one for one in results if len(one["steps"]) == record["steps"]]
    averages = [fmean(float(step["top1"]) for step in one["steps"]) for one in whole]
    lasts = [float(one["steps"][-1]["top1"]) for one in whole]
    return {
        **{name: value for name, value in record.items() if name != "results"},
        "accuracies": [fmean(own) for own in tops],
        "accuracies_std": [_std(own) for own in tops],
        "classes_seen": [column[0]["seen"] for column in columns],
        "average": fmean(averages) if whole else None,
        "average_std": _std(averages),
        "last": fmean(lasts) if whole else None,
        "last_std": _std(lasts),
        "orders": len(whole),
        "seeds": [one["seed"] for one in results],
        "seconds": round(sum(step["seconds"] for one in results for step in one["steps"]), 3),
        "results": results,
        "continual": str(path),
    }


CONTINUALS = ApplicationFiles("continual", summary)
"""All of them, by what was asked: images, teacher and all settings but the number of orders."""


def table_row(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return a summary as a row of :data:`COLUMNS`; one order has no spread."""
    alone = {"average_std": None, "last_std": None} if found["orders"] < 2 else {}
    return {**found, **alone}


def _numbers(results: list[dict[str, Any]]) -> range:
    return range(max(len(one["steps"]) for one in results))


def _std(values: list[float]) -> float:
    return stdev(values) if len(values) > 1 else 0.0
