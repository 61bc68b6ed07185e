"""Finished runs as the papers' tables see them, made from the settings of a cell with changes; no folder is written."""

from __future__ import annotations

from typing import Any

from delt_engine.data.catalogue import find_entry
from delt_engine.papers.cells import Cell, paper_cell, with_changes
from delt_engine.papers.fits import Found, Network
from delt_engine.papers.published import PublishedValue, all_published


def printed(where: str, **about: Any) -> PublishedValue:
    """Return the one number of a table, such as "DELT Table 1", with these columns and words."""
    (value,) = (
        one
        for one in all_published()
        if one.where == where
        and all(str(getattr(one, name, one.words.get(name))) == str(wanted) for name, wanted in about.items())
    )
    return value


def run_of(value: PublishedValue | Cell, *, width: float = 1.0, **changes: Any) -> Found:
    """Return a run with the very settings of a number, but for ``changes``: "recover__iterations" to 1000."""
    cell = value if isinstance(value, Cell) else paper_cell(value)
    experiment = with_changes(cell.experiment, {name.replace("__", "."): new for name, new in changes.items()})
    entry = find_entry(experiment.dataset)
    classes = entry.num_classes if entry else 10450
    evaluate, recover = experiment.evaluate, experiment.recover
    result = {
        "method": recover.method,
        "student": evaluate.student,
        "student_width": evaluate.student_width or width,
        "images": recover.ipc * classes,
        "batch_size": evaluate.batch_size,
        "seeds": [0, 1, 2],
    }
    size = experiment.image_size or entry.image_size
    teacher = Network("teacher", experiment.squeeze.network, 1.0, "t")
    return Found(experiment, experiment.dataset, size, classes, teacher, result=result)
