"""The finished runs that ship with the project, and the order in which they are shown."""

from __future__ import annotations

from collections.abc import Iterable

from delt_engine.config.methods import METHOD_TITLES
from delt_engine.paths import assets_dir
from delt_engine.runs.store import Run, list_runs


def example_runs() -> list[Run]:
    """Return the finished runs that ship with the project, see :func:`in_order`."""
    return in_order(list_runs(assets_dir() / "examples"))


def in_order(runs: Iterable[Run]) -> list[Run]:
    """Return runs in the order of the methods, DELT first, and by name within one; unreadable ones last."""
    methods = list(METHOD_TITLES)

    def place(run: Run) -> tuple[int, str]:
        return (len(methods) if run.unreadable else methods.index(run.experiment.recover.method), run.id)

    return sorted(runs, key=place)
