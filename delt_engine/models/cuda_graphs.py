"""CUDA graphs: work that is captured once and then replayed without the host.

What is captured must have been done before, on a stream that is not the default one (:func:`beside`), so that the
libraries have prepared themselves. It may not wait for the device, and reads and writes the same memory each time.

A graph has memory of its own, which is free again with it.

Source: torch.cuda.graphs' documentation.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch

_Found = TypeVar("_Found")


def beside(work: Callable[[], _Found], device: torch.device) -> _Found:
    """Do some work on a stream of its own, in its turn."""
    side, current = torch.cuda.Stream(device), torch.cuda.current_stream(device)
    side.wait_stream(current)
    with torch.cuda.stream(side):
        found = work()
    current.wait_stream(side)
    return found


def capture(work: Callable[[], _Found], device: torch.device) -> tuple[torch.cuda.CUDAGraph, _Found]:
    """Capture some work, which is not done by that.

    Returns:
        The graph, and what the work returned: tensors in the graph's memory, which each replay writes anew.

    Raises:
        RuntimeError: it cannot be captured; the device goes on as before.
    """
    if device.type != "cuda":
        raise RuntimeError(f"there are none on {device.type}")
    with torch.cuda.device(device):
        graph, current = torch.cuda.CUDAGraph(), torch.cuda.current_stream(device)
        # other threads of a run may use the device meanwhile
        captured = torch.cuda.graph(graph, stream=torch.cuda.Stream(device), capture_error_mode="thread_local")
        try:
            with captured:
                found = work()
        except RuntimeError:
            torch.cuda.set_stream(current)  # an end that fails leaves the stream of the capture
            torch.cuda.synchronize(device)
            raise
    return graph, found
