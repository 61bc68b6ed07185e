"""What resume needs of a recovery, in one safetensors file a batch that is worked on: its tensors, and where it stands.

A checkpoint that cannot be read, or whose content is not what was written, counts as none: the batch then begins again
and ends in the same images, only later. What was written is known by a SHA-256 in the file; files of version 0.1.0 have
none and are taken as they are.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
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
    write_checked(checkpoint_path(run, position.batch), tensors, json.dumps(asdict(position)))


def checkpoint_path(run: Run, batch: int) -> Path:
    """Return where the checkpoint of a batch is or will be."""
    return run.path / FOLDER / f"batch-{batch:05d}.safetensors"


def read_checkpoint(run: Run, batch: int) -> tuple[dict[str, Tensor], Position] | None:
    """Return the tensors and the position of a batch's last checkpoint, or None."""
    found = read_checked(checkpoint_path(run, batch))
    with contextlib.suppress(TypeError, ValueError):
        return None if found is None else (found[0], Position(**json.loads(found[1])))
    return None


def write_checked(path: Path, tensors: Mapping[str, Tensor], position: str) -> None:
    """Write tensors and where they stand, whole or not at all, with their SHA-256, and make sure that the disk has it.

    Raises:
        RunError: the system refused; the file before stays.
    """
    whole = {name: tensor.detach().to("cpu").contiguous() for name, tensor in tensors.items()}
    data = save(whole, metadata={"position": position, "sha256": _digest(whole, position)})
    files.write_bytes(path, data, durable=True)


def read_checked(path: Path) -> tuple[dict[str, Tensor], str] | None:
    """Return what :func:`write_checked` wrote; None where there is nothing, or something else than was written."""
    with contextlib.suppress(*_DAMAGE), _opened(path) as stored:
        about = stored.metadata() or {}
        tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
        if about.get("sha256") in (None, _digest(tensors, about["position"])):
            return tensors, about["position"]
    return None


def _opened(path: Path) -> Any:
    """Open a file of tensors; OSError where it is no regular file, which would be waited for."""
    files.check_file(path, most=2**40)
    return safe_open(path, framework="pt")


def _digest(tensors: Mapping[str, Tensor], position: str) -> str:
    found = hashlib.sha256(position.encode())
    for name, tensor in sorted(tensors.items()):
        found.update(f"\0{name}\0{tensor.dtype}\0{tuple(tensor.shape)}\0".encode())
        found.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return found.hexdigest()


def positions(run: Run) -> dict[int, Position]:
    """Return where the batches stand that have a checkpoint, without reading their tensors."""
    found = {}
    for path in sorted((run.path / FOLDER).glob("batch-*.safetensors")):
        with contextlib.suppress(*_DAMAGE), _opened(path) as stored:
            position = Position(**json.loads(stored.metadata()["position"]))
            found[position.batch] = position
    return found


def remove_checkpoint(run: Run, batch: int | None = None) -> None:
    """Remove the checkpoint of a batch that is done, or all of a run that is."""
    if batch is None:
        shutil.rmtree(run.path / FOLDER, ignore_errors=True)
    else:
        checkpoint_path(run, batch).unlink(missing_ok=True)
