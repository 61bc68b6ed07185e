"""A process started ahead (:mod:`delt_engine.jobs.children`): load torch and data, wait for a command, become it."""

from __future__ import annotations

import contextlib
import gc
import json
import os
import select
import sys
from pathlib import Path
from typing import Any, BinaryIO

PATIENCE_S = 600.0
"""Seconds it waits before it ends by itself."""


def _wait_for_command(pipe: BinaryIO) -> dict[str, Any] | None:
    """Return what is to be done; None when the app has ended or nobody came in time."""
    ready, _, _ = select.select([pipe], [], [], PATIENCE_S)
    line = pipe.readline() if ready else b""
    return json.loads(line) if line.endswith(b"\n") else None


def _become(command: dict[str, Any]) -> None:
    """Take over the outputs, the variables and the folder of the command, and do it."""
    with Path(command["log"]).open("ab") as log, Path(os.devnull).open("rb") as nothing:
        os.dup2(nothing.fileno(), 0)
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    os.environ.clear()
    os.environ.update(command["environment"])
    os.chdir(command["folder"])
    sys.argv = ["delt", *command["words"]]
    from delt_engine.cli import main

    main(args=command["words"], prog_name="delt")


def serve_commands() -> None:
    """Load what a run needs, wait for a command, and do it."""
    import torch  # noqa: F401

    import delt_engine.cli.recover
    import delt_engine.pipeline.recover  # noqa: F401
    from delt_engine.config import Experiment
    from delt_engine.data.catalogue import load_dataset
    from delt_engine.errors import DeltError
    from delt_engine.models.networks import build_network

    build_network("resnet18", 2, width=0.0625)  # loads torchvision's networks
    with contextlib.suppress(DeltError):
        load_dataset(Experiment().dataset)  # made once, where nobody has asked for it yet
    gc.collect()
    gc.freeze()  # a large run makes objects by the hundred thousand; sweeps of all of torch took a third of its start
    command = _wait_for_command(sys.stdin.buffer)
    if command is not None:
        _become(command)


if __name__ == "__main__":
    serve_commands()
