"""How much memory the work of this process has needed at most: of the GPU it works on, else of the process."""

from __future__ import annotations

import re
from pathlib import Path

import psutil
import torch

from delt_engine.models.out_of_memory import free_reserve

_STATUS = Path("/proc/self/status")


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
