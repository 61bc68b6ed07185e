"""A spare process that has loaded torch already, so that a run which is started by hand begins at once.

Loading torch and torchvision takes seconds of every run's start. While somebody plans a run, the app keeps one process
that has done so and waits on its standard input for a command line; it then becomes that command, with the run's log
as its output (:mod:`delt_engine.cli.prefork`). It ends by itself when nobody needs it: when the app ends, or after ten
minutes. Where there is no spare process, runs start as they always do.

Source: ours. Measured on two CPU cores: the first iteration 0.8 s after the command, 3.9 s without a spare process.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

from delt_engine.jobs.children import start_child
from delt_engine.paths import PROJECT, home

SWITCH = "DELT_WARM"
"""Environment variable that turns spare processes off when it is ``0``."""

_lock = threading.Lock()
_spare: _Spare | None = None


class _Spare:
    """A process of this server that waits for a command."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.began, self.home = time.time(), home()
        # The home stands in the command line so that one can see whose process it is.
        self.process = start_child(
            [str(self.home)],
            subprocess.DEVNULL,
            subprocess.DEVNULL,
            environment,
            module="delt_engine.cli.prefork",
            stdin=subprocess.PIPE,
        )

    @property
    def is_alive(self) -> bool:
        """Whether it waits for a command."""
        return self.process.poll() is None

    @property
    def is_fit(self) -> bool:
        """Whether it waits, for this home, and the code it loaded is the one on disk."""
        return self.is_alive and self.home == home() and _newest_code() <= self.began

    def end(self) -> None:
        """Let it go; a process that nobody writes to any more ends by itself."""
        with contextlib.suppress(OSError):
            self.process.stdin.close()


def keep(environment: Mapping[str, str]) -> bool:
    """Have one spare process ready; return whether there is one. Costs nothing when there is one already.

    Args:
        environment: variables of the process; those that torch reads when it is loaded have to stand in it.
    """
    global _spare
    if os.environ.get(SWITCH) == "0" or not hasattr(os, "fork"):
        return False
    with _lock:
        if _spare is not None and _spare.is_alive:
            return True
        try:
            _spare = _Spare(environment)
        except OSError:
            _spare = None
        return _spare is not None


def take(words: Sequence[str], log: BinaryIO, environment: Mapping[str, str]) -> subprocess.Popen | None:
    """Let the spare process become ``python -m delt_engine <words>``; None when there is none that can.

    Args:
        words: the command line after ``delt``.
        log: a file on disk that takes both outputs.
        environment: variables of the command.
    """
    global _spare
    with _lock:
        spare, _spare = _spare, None
    if spare is None:
        return None
    if not spare.is_fit:
        spare.end()
        return None
    order = {"words": list(words), "log": log.name, "environment": dict(environment), "folder": str(Path.cwd())}
    try:
        spare.process.stdin.write(json.dumps(order).encode() + b"\n")
        spare.process.stdin.close()
    except OSError:  # it has just ended
        return None
    return spare.process


def _newest_code() -> float:
    return max(path.stat().st_mtime for path in (PROJECT / "delt_engine").rglob("*.py"))
