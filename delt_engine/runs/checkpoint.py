"""What resume needs of a recovery, in one safetensors file a batch that is worked on: its tensors, and where it stands.

A checkpoint that cannot be read counts as none: the batch then begins again and ends in the same images, only later.
"""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from delt_engine import files
from delt_engine.runs.store import Run

FOLDER = "checkpoint"
_DAMAGE = (SafetensorError, OSError, KeyError, TypeError, ValueError)


@dataclass(frozen=True)
class Position:
    """Where a batch stands: its number, its completed iterations, and the run's seconds of work so far."""

    batch: int
    iteration: int
    seconds: float


def write_checkpoint(run: Run, tensors: Mapping[str, Tensor], position: Position) -> None:
    """Write a checkpoint, whole or not at all, and make sure that the disk has it.

    Raises:
        RunError: the system refused; the checkpoint before stays.
    """
    whole = {name: tensor.detach().to("cpu").contiguous() for name, tensor in tensors.items()}
    data = save(whole, metadata={"position": json.dumps(asdict(position))})
    files.write_bytes(checkpoint_path(run, position.batch), data, durable=True)


def checkpoint_path(run: Run, batch: int) -> Path:
    """Return where the checkpoint of a batch is or will be."""
    return run.path / FOLDER / f"batch-{batch:05d}.safetensors"


def read_checkpoint(run: Run, batch: int) -> tuple[dict[str, Tensor], Position] | None:
    """Return the tensors and the position of a batch's last checkpoint, or None."""
    with contextlib.suppress(*_DAMAGE), safe_open(checkpoint_path(run, batch), framework="pt") as stored:
        position = Position(**json.loads(stored.metadata()["position"]))
        return {name: stored.get_tensor(name) for name in stored.keys()}, position  # noqa: SIM118
    return None


def positions(run: Run) -> dict[int, Position]:
    """Return where the batches stand that have a checkpoint, without reading their tensors."""
    found = {}
    for path in sorted((run.path / FOLDER).glob("batch-*.safetensors")):
        with contextlib.suppress(*_DAMAGE), safe_open(path, framework="pt") as stored:
            position = Position(**json.loads(stored.metadata()["position"]))
            found[position.batch] = position
    return found


def remove_checkpoint(run: Run, batch: int | None = None) -> None:
    """Remove the checkpoint of a batch that is done, or all of a run that is."""
    if batch is None:
        shutil.rmtree(run.path / FOLDER, ignore_errors=True)
    else:
        checkpoint_path(run, batch).unlink(missing_ok=True)
