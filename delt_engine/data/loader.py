"""Reading much in order while something else goes on: a thread, or worker processes of torch's DataLoader.

A thread suffices for few pictures: decoders let go of Python's lock. What processes read goes through a pipe and not
through shared memory, which is 64 MB in a container unless somebody asked for more. A file that cannot be used comes
back as the error it is, so it costs no worker.

Torch is imported when processes begin to read.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from delt_engine.data.scan import worker_count
from delt_engine.errors import DataError, DeltError

LEAST_IMAGES = 500
"""Images from which processes are started. Ours, measured: to start and end them takes 0.1 to 0.2 s."""

_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG of Linux


def process_count(images: int) -> int:
    """Return how many processes to read so many images with: one a core of this rank, 0 where they do not pay."""
    cores = worker_count() // max(1, int(os.environ.get("LOCAL_WORLD_SIZE", "1")))  # torchrun's ranks on this machine
    return cores if cores > 1 and images >= LEAST_IMAGES else 0


def read_in_order(
    read: Callable[[slice], Any], parts: Sequence[slice], workers: int, ahead: int = 2, *, by_thread: bool = False
) -> Generator[Any, None, None]:
    """Yield ``read(part)`` of each part in order, while the next ones are read.

    Args:
        workers: processes that read; with none a thread does.
        ahead: parts that each process, or the thread, reads before they are asked for.
        by_thread: let a thread take from the pipe what processes have read, while the caller waits for a GPU.

    Raises:
        DataError: a process ended by itself; and whatever DeltError ``read`` raises, in the part's turn.
    """
    if not workers:
        yield from _read_by_thread(read, parts, ahead)
        return
    import torch
    from torch.utils.data import DataLoader

    loader: DataLoader[Any] = DataLoader(
        _Parts(read, parts),  # type: ignore[arg-type]  # no Dataset of torch, which is not imported yet where it stands
        batch_size=None,
        num_workers=workers,
        collate_fn=_as_it_is,
        prefetch_factor=ahead,
        pin_memory=by_thread,  # done by a thread; it pins tensors only, of which there are none here
        worker_init_fn=_end_with_parent,
        generator=torch.Generator(),  # else the loader draws from torch's own
    )
    try:
        for found in loader:
            if isinstance(found, DeltError):
                raise found
            yield found
    except RuntimeError as error:
        if "DataLoader worker" not in str(error):
            raise
    else:
        return
    raise DataError("dataset: a process that decodes images ended by itself; start again.")


def _read_by_thread(read: Callable[[slice], Any], parts: Sequence[slice], ahead: int) -> Generator[Any, None, None]:
    waiting: deque[Future[Any]] = deque()
    pool = ThreadPoolExecutor(1, thread_name_prefix="read-ahead")
    try:
        for part in parts:
            waiting.append(pool.submit(read, part))
            if len(waiting) > ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


class _Parts:
    """What a DataLoader takes for a dataset."""

    def __init__(self, read: Callable[[slice], Any], parts: Sequence[slice]) -> None:
        self._read, self._parts = read, parts

    def __len__(self) -> int:
        return len(self._parts)

    def __getitem__(self, number: int) -> Any:
        try:
            return self._read(self._parts[number])
        except DeltError as error:  # raised in a worker it would come with the worker's traceback in its text
            return error


def _as_it_is(found: Any) -> Any:
    return found


def _end_with_parent(_: int) -> None:
    """Leave Ctrl-C to the parent, and end when it does: a worker holds copies of its locks."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
