"""The device that the work runs on: its name, the order of tensors in its memory, and how much of it is in use."""

from __future__ import annotations

import contextlib
import gc
import re
from collections.abc import Iterator
from pathlib import Path

import psutil
import torch
from torch import nn

from delt_engine.errors import ConfigError

_STATUS = Path("/proc/self/status")
_CLEAR_REFS = Path("/proc/self/clear_refs")

_OUT_OF_MEMORY = ("out of memory", "not enough memory", "can't allocate memory", "cannot allocate memory")
"""What PyTorch's allocators say, in lower case: CUDA and MPS the first, a CPU the others."""

_SAFE_CHANNELS = 8
"""Input channels from which a strided 1x1 convolution is safe channels-last on a CPU."""


def pick_device(device: str = "auto") -> torch.device:
    """Return the device of a name: ``auto`` (CUDA, else MPS, else CPU), ``cpu``, ``cuda``, ``cuda:1``, ... or ``mps``.

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
    """Wait until a GPU has done what it was given; a CPU has."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def memory_format(network: nn.Module, device: torch.device) -> torch.memory_format:
    """Return the memory order in which a network computes fastest and right, for its weights and its images.

    Channels-last: 1.4 times as fast in training on a CPU (quarter-width ResNet-18, 32 px), and what tensor cores take.
    Contiguous on MPS, and for narrow networks on a CPU: the backward pass of a channels-last 1x1 convolution with a
    stride and fewer than eight input channels writes out of bounds on processors without AVX-512 (PyTorch 2.14:
    gradients wrong by up to 24, then an abort). So that all processors compute alike it is left out on all of them.

    >>> memory_format(nn.Conv2d(4, 8, 1, stride=2), torch.device("cpu"))
    torch.contiguous_format
    """
    pointwise = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d) and layer.kernel_size == (1, 1)]
    strided = [layer for layer in pointwise if max(layer.stride) > 1 and layer.groups == 1]
    is_unsafe = device.type == "cpu" and any(layer.in_channels < _SAFE_CHANNELS for layer in strided)
    return torch.contiguous_format if is_unsafe or device.type == "mps" else torch.channels_last


@contextlib.contextmanager
def eval_mode(network: nn.Module) -> Iterator[None]:
    """Put a network into eval mode, and back into the mode it was in, also after an error."""
    was_training = network.training
    network.eval()
    try:
        yield
    finally:
        network.train(was_training)


@contextlib.contextmanager
def same_bits() -> Iterator[None]:
    """Hold cuDNN to convolutions that give the same bits each time, while the context is open.

    It is for a step and not for a loop, which others may interrupt: the flags are the process's. Nor may cuDNN try
    which is quickest, and take another one each time: at 32 px that took an H200 two seconds a round, for nothing.
    """
    cudnn = torch.backends.cudnn
    before = cudnn.benchmark, cudnn.deterministic
    cudnn.benchmark, cudnn.deterministic = False, True
    try:
        yield
    finally:
        cudnn.benchmark, cudnn.deterministic = before


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error is about memory.

    >>> is_out_of_memory(RuntimeError("MPS backend out of memory")), is_out_of_memory(RuntimeError("shape"))
    (True, False)
    """
    if isinstance(error, (torch.cuda.OutOfMemoryError, MemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error).lower() for sign in _OUT_OF_MEMORY)


def free_reserve(device: torch.device) -> None:
    """Give back what the allocator keeps for later; a step that failed leaves much of it in the wrong pieces."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()


def peak_memory(device: torch.device) -> int:
    """Return the most bytes in use so far: allocated on a CUDA device, else resident in this process.

    Linux keeps the peak in ``VmHWM``, which begins with the program; getrusage's also counts the process that started
    it. Where neither is known the bytes resident now are returned. Asking does not wait for the device.
    """
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    with contextlib.suppress(OSError):
        if found := re.search(r"^VmHWM:\s+(\d+) kB", _STATUS.read_text(encoding="ascii"), re.MULTILINE):
            return int(found.group(1)) * 1024
    now = psutil.Process().memory_info()
    return int(getattr(now, "peak_wset", now.rss))


def forget_peak(device: torch.device) -> None:
    """Give back what was kept in reserve, and let :func:`peak_memory` begin anew: of CUDA devices, and on Linux."""
    free_reserve(device)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    else:
        with contextlib.suppress(OSError):
            _CLEAR_REFS.write_text("5", encoding="ascii")  # 5 sets VmHWM to what is resident now, see proc(5)


def free_memory(device: torch.device) -> int:
    """Return the bytes that can still be had: of RAM, or of a CUDA device with what its allocator keeps for later."""
    if device.type != "cuda":
        return int(psutil.virtual_memory().available)
    kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return torch.cuda.mem_get_info(device)[0] + kept


def memory_in_use(device: torch.device) -> int:
    """Return the bytes in use now: allocated on a CUDA device, else resident in this process."""
    return torch.cuda.memory_allocated(device) if device.type == "cuda" else int(psutil.Process().memory_info().rss)
