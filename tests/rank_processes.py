"""Real processes of ranks: started with the home of the colours, found by their number, and never left behind."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator

import psutil
import pytest

LAUNCHER = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "--monitor-interval", "0.1"]
"""Words of Python that start two ranks of what follows."""


@pytest.fixture
def started(home) -> Iterator[Callable[..., subprocess.Popen]]:
    """Start Python with these words and variables on top; whatever is left of it at the end is killed."""
    processes = []

    def start(*words, **variables) -> subprocess.Popen:
        environment = {**os.environ, "DELT_HOME": str(home), "OMP_NUM_THREADS": "1", **variables}
        command = [sys.executable, *map(str, words)]
        processes.append(subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE))
        return processes[-1]

    yield start
    for process in processes:
        if process.poll() is None:
            for member in psutil.Process(process.pid).children(recursive=True):
                with contextlib.suppress(psutil.NoSuchProcess):  # it has just ended by itself
                    member.kill()
            process.kill()
        process.communicate()


def ranks_of(launcher: subprocess.Popen) -> dict[str, psutil.Process]:
    """The ranks of a launcher by their number."""
    found = {}
    for child in psutil.Process(launcher.pid).children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):  # it has just ended by itself
            environment = child.environ()
            if "RANK" in environment:
                found[environment["RANK"]] = child
    return found
