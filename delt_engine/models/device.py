"""Which device the work runs on: one name for CPU, CUDA and MPS."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from torch import nn

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


def memory_format(network: nn.Module, device: torch.device) -> torch.memory_format:  # noqa: ARG001
    """Return the memory order in which a network is trained and asked on a device.

    Channels-last is 1.4x (float32) and 1.1x (bfloat16) as fast on a CPU, measured with a quarter-width ResNet-18 at
    32 px, and what tensor cores take.
    """
    return torch.contiguous_format if device.type == "mps" else torch.channels_last


@contextlib.contextmanager
def eval_mode(network: nn.Module) -> Iterator[nn.Module]:
    """Put a network into eval mode, and back into the mode it was in, also after an error."""
    was_training = network.training
    network.eval()
    try:
        yield network
    finally:
        network.train(was_training)


def wait_for(device: torch.device) -> None:
    """Wait until a GPU has done what it was told; a CPU has."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
