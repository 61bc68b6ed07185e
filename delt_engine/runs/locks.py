"""One rank at a time: what several ranks of a run change together, such as a strip that their batches share."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock

FOLDER = "ranks"
"""Where in a run's folder ranks leave what the others need to know; there only while several are at work."""


@contextlib.contextmanager
def alone(run_path: Path, name: str) -> Iterator[None]:
    """Let one rank at a time change what several ranks share; free where there is one rank."""
    folder = run_path / FOLDER
    if not folder.is_dir():
        yield
        return
    with FileLock(folder / f"{name}.lock"):
        yield
