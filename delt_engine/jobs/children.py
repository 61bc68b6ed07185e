"""Processes of `delt` that outlive who starts them: in a session of their own, with the engine on their path."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from typing import IO

from delt_engine.paths import PROJECT
from delt_engine.threads import settle_waiting


def child_environment() -> dict[str, str]:
    """Return the environment of a process that finds the engine from any folder, also where it was never installed."""
    environment = dict(os.environ)
    environment["PYTHONPATH"] = os.pathsep.join([str(PROJECT), *filter(None, [environment.get("PYTHONPATH")])])
    environment["PYTHONUNBUFFERED"] = "1"
    settle_waiting(environment)
    return environment


def start_child(
    words: Sequence[str],
    out: int | IO[bytes],
    err: int | IO[bytes],
    environment: Mapping[str, str],
    *,
    module: str = "delt_engine",
    stdin: int = subprocess.DEVNULL,
) -> subprocess.Popen:
    """Start ``python -m <module> <words>`` and return at once.

    Raises:
        OSError: the system refuses.
    """
    command = [sys.executable, "-m", module, *words]
    process = subprocess.Popen(
        command, stdin=stdin, stdout=out, stderr=err, env=dict(environment), start_new_session=True
    )
    # Without somebody who waits for it, an ended process stays in the table as a zombie.
    threading.Thread(target=process.wait, daemon=True, name=f"reap-{process.pid}").start()
    return process
