"""Memory of the device a process works on: the peak, running out of it, and giving back what is kept in reserve."""

from __future__ import annotations

import gc
import re
from pathlib import Path

import psutil
import torch

_STATUS = Path("/proc/self/status")

_SIGNS = ("out of memory", "not enough memory", "can't allocate memory", "cannot allocate memory")
"""What PyTorch's allocators say, in lower case: CUDA and MPS the first, a CPU the others."""


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error is about memory.

    >>> is_out_of_memory(RuntimeError("MPS backend out of memory")), is_out_of_memory(RuntimeError("shape"))
    (True, False)
    """
    if isinstance(error, (torch.cuda.OutOfMemoryError, MemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error).lower() for sign in _SIGNS)


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
    it. Where neither is known the bytes resident now are returned.

    Args:
        device: where the work is done. Asking does not wait for the device.
    """
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    try:
        found = re.search(r"^VmHWM:\s+(\d+) kB", _STATUS.read_text(encoding="ascii"), re.MULTILINE)
    except OSError:
        found = None
    if found:
        return int(found.group(1)) * 1024
    now = psutil.Process().memory_info()
    return int(getattr(now, "peak_wset", now.rss))


def forget_peak(device: torch.device) -> None:
    """Give back what a trial kept in reserve, and let :func:`peak_memory` of a CUDA device begin anew."""
    free_reserve(device)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
