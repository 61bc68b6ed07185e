"""Whether an error says that the device's memory is used up, and giving back what is kept in reserve."""

from __future__ import annotations

import gc

import torch

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
