"""Finished prunings: a folder each, with what was measured and the pruned networks; readable without torch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from delt_engine.runs.application_files import ApplicationFiles
from delt_engine.runs.tables import Column

ACCURACIES = ("before", "sparse", "pruned", "finetuned", "finetuned_best")
"""What is measured of each pruning, top-1 in percent on the real test images."""

COLUMNS = (
    Column("method_title", "Images"),
    Column("ipc", "IPC", 0),
    Column("before", "Before (%)", 1),
    Column("sparse", "Sparse (%)", 1, "sparse_std"),
    Column("pruned", "Pruned (%)", 1, "pruned_std"),
    Column("finetuned", "Fine-tuned (%)", 1, "finetuned_std"),
    Column("kept_percent", "Channels kept (%)", 1),
    Column("parameters_percent", "Weights kept (%)", 1),
    Column("macs_percent", "MACs kept (%)", 1),
)
"""The table of prunings, of the command and of the app."""


def networks_dir() -> Path:
    """Return the folder of the networks that were trained to be pruned; ``--teacher auto`` never finds them."""
    return PRUNINGS.folder / "networks"


def summary(record: Mapping[str, Any], path: Path, seeds: int | None = None) -> dict[str, Any]:
    """Return a pruning as one row of plain values, its numbers the means over the seeds, each with its spread.

    Args:
        record: as ``PRUNINGS.read`` returns it.
        path: its folder.
        seeds: how many prunings count, the first ones; all when not given.
    """
    results = record["results"][:seeds]
    means: dict[str, Any] = {}
    for name in (*ACCURACIES, "kept_percent"):
        values = [one[name] for one in results]
        means |= {name: fmean(values), f"{name}_std": stdev(values) if len(values) > 1 else 0.0}
    for name in ("parameters", "macs"):
        before, after = (fmean(one[name][when] for one in results) for when in ("before", "after"))
        means[name] = {"before": round(before), "after": round(after), "kept_percent": 100.0 * after / before}
    means["kept_weights_percent"] = means["parameters"]["kept_percent"]
    layers = [
        {"name": own[0]["name"], "channels": own[0]["channels"], "kept": fmean(one["kept"] for one in own)}
        for own in zip(*(one["layers"] for one in results), strict=True)
    ]
    facts = {name: value for name, value in record.items() if name != "results"}
    seconds = sum(one["seconds"] for one in results)
    numbers = {"seeds": [one["seed"] for one in results], "seconds": round(seconds, 3), "layers": layers}
    return {**facts, **means, **numbers, "results": results, "pruning": str(path)}


PRUNINGS = ApplicationFiles("pruning", summary)
"""All prunings, by what was asked: the images, the network, the teacher and all settings but the number of seeds."""


def table_row(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return a summary as a row of :data:`COLUMNS`; one seed has no spread."""
    row = {f"{name}_percent": found[name]["kept_percent"] for name in ("parameters", "macs")}
    alone = {f"{name}_std": None for name in (*ACCURACIES, "kept_percent")} if len(found["seeds"]) == 1 else {}
    return {**found, **row, **alone}


def network_title(found: Mapping[str, Any]) -> str:
    """Return what was pruned, in words.

    >>> network_title({"network": "vgg11_bn", "width": 0.25})
    'vgg11_bn x 0.25'
    """
    return found["network"] + ("" if found["width"] == 1 else f" x {found['width']:g}")
