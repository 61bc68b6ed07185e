"""Which device the work runs on: one name for CPU, CUDA and MPS."""

from __future__ import annotations

import torch

from delt_engine.errors import ConfigError


def pick_device(device: str = "auto") -> torch.device:
    """Return the device of a name.

    Args:
        device: ``auto`` (CUDA, else MPS, else CPU), ``cpu``, ``cuda``, ``cuda:1``, ... or ``mps``.

    Raises:
        ConfigError: not a device's name, or this machine has no such device.

    >>> pick_device("cpu")
    device(type='cpu')
    """
    names = device_names()
    if device == "auto":
        return torch.device(names[0])
    if device in names or (device == "cuda" and "cuda:0" in names):
        return torch.device(device)
    raise ConfigError(f"device: {device!r} given, but on this machine it must be one of auto, {', '.join(names)}.")


def device_names() -> tuple[str, ...]:
    """Return the devices of this machine, fastest first; ``cpu`` is always the last."""
    cuda = tuple(f"cuda:{index}" for index in range(torch.cuda.device_count())) if torch.cuda.is_available() else ()
    mps = ("mps",) if torch.backends.mps.is_available() else ()
    return (*cuda, *mps, "cpu")


def wait_for(device: torch.device) -> None:
    """Wait until a GPU has done what it was told; a CPU has."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
