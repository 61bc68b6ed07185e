"""Real processes of the command: called, found by their rank, looked at through the run they work on."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from pathlib import Path

import psutil
from waiting import PATIENCE_S, wait_for

from delt_engine.runs.store import Run

DELT = ["-m", "delt_engine"]
LAUNCHER = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "--monitor-interval", "0.1"]
"""Words of Python that start two ranks of what follows."""


def called(environment, *words) -> subprocess.CompletedProcess:
    """Run the command to its end."""
    command = [sys.executable, *DELT, *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=PATIENCE_S, check=False)


def ranks_of(launcher: subprocess.Popen) -> dict[str, psutil.Process]:
    """The ranks of a launcher by their number."""
    found = {}
    for child in psutil.Process(launcher.pid).children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):  # it has just ended by itself
            environment = child.environ()
            if "RANK" in environment:
                found[environment["RANK"]] = child
    return found


def opened(path: Path) -> Run:
    """The run that a process is about to make."""
    wait_for(lambda: (path / "run.json").is_file())
    return Run(path)


def pictures(run: Run) -> dict[str, bytes]:
    return {str(path.relative_to(run.path)): path.read_bytes() for path in sorted(run.path.rglob("*.png"))}
