"""One rank at a time: what several ranks of a run change together, such as a strip that their batches share."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from filelock import FileLock

from delt_engine.runs.store import Run

FOLDER = "ranks"
"""Where in a run's folder the others say what they do; there only while several ranks are at work."""


@contextlib.contextmanager
def alone(run: Run, name: str) -> Iterator[None]:
    """Let one rank at a time change what batches of several ranks share; free where there is one rank."""
    folder = run.path / FOLDER
    if not folder.is_dir():
        yield
        return
    with FileLock(folder / f"{name}.lock"):
        yield
