"""Processes that decode a folder's files: pixels at the speed of all cores, where one interpreter would hold them up.

The processes know nothing but the names they are given, so they take little memory whatever the size of the folder,
and what they decode is read straight into the batch it is for.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType

import numpy as np

from delt_engine.data.dataset import ImageSet
from delt_engine.data.loader import FileImages, gone
from delt_engine.data.scan import worker_count
from delt_engine.errors import DataError
from delt_engine.paths import PROJECT

CHUNK = 16
"""Files a process is given at a time."""

LEAST_CORES = 4
"""Cores from which processes are started. Ours, measured: on two they are as fast as threads (247 and 229 files/s)."""

LEAST_FILES = 2000
"""Files from which they are started: below, starting them takes longer than they save."""

_PIPE_BYTES = 2**20
_SET_PIPE_SIZE = 1031  # F_SETPIPE_SZ, which fcntl does not name in every build


def paying_workers(images: ImageSet, count: int, *, crops: bool) -> int:
    """Return how many processes to decode with: 0 where threads, or no decoding at all, are as good.

    Args:
        images: where the pixels come from.
        count: how many images will be read.
        crops: whether boxes are cut out at native size, which decodes also what is kept at S.
    """
    is_decoded = isinstance(images, FileImages) and (crops or not images.is_kept)
    cores = worker_count() // max(1, int(os.environ.get("LOCAL_WORLD_SIZE", "1")))  # torchrun's ranks on this machine
    return cores if is_decoded and cores >= LEAST_CORES and count >= LEAST_FILES else 0


class DecodedImages:
    """Reads the pixels of a folder's images by processes; a context, since it holds them.

    Args:
        images: files; what is kept of them at S is not looked at.
        workers: how many processes, at least 1. They are started when they are first needed.
    """

    def __init__(self, images: FileImages, workers: int) -> None:
        self._images = images
        self._idle: queue.SimpleQueue[_Decoder | None] = queue.SimpleQueue()
        for _ in range(workers):
            self._idle.put(None)
        self._started: list[_Decoder] = []
        self._lock = threading.Lock()
        self._threads = ThreadPoolExecutor(max_workers=workers, thread_name_prefix="decoder")

    def __enter__(self) -> DecodedImages:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self._stop()  # what is being decoded is not wanted any more
        self._threads.shutdown(wait=True, cancel_futures=True)
        self._stop()

    def pixels(self, indices: Sequence[int] | np.ndarray) -> np.ndarray:
        """Return what :meth:`ImageSet.pixels` does, decoded now.

        Raises:
            DataError: a file has gone or changed since the dataset was loaded.
        """
        return self._read([(self._images.names[index], None) for index in np.asarray(indices).tolist()])

    def crops(self, indices: Sequence[int] | np.ndarray, boxes: np.ndarray) -> np.ndarray:
        """Return what :meth:`ImageSet.crops` does; crops of one image that follow each other decode it once.

        Raises:
            DataError: a file has gone or changed since the dataset was loaded.
        """
        files: list[tuple[str, list[list[int]] | None]] = []
        last = None
        for index, box in zip(np.asarray(indices).tolist(), np.asarray(boxes).tolist(), strict=True):
            if index == last:
                files[-1][1].append(box)
            else:
                files.append((self._images.names[index], [box]))
            last = index
        return self._read(files)

    def _read(self, files: list[tuple[str, list[list[int]] | None]]) -> np.ndarray:
        counts = [1 if boxes is None else len(boxes) for _, boxes in files]
        size = self._images.image_size
        out = np.empty((sum(counts), size, size, 3), dtype=np.uint8)
        waiting: list[Future[None]] = []
        at = 0
        for first in range(0, len(files), CHUNK):
            rows = sum(counts[first : first + CHUNK])
            waiting.append(self._threads.submit(self._ask, files[first : first + CHUNK], out[at : at + rows]))
            at += rows
        try:
            for future in waiting:
                future.result()
        finally:
            for future in waiting:
                future.cancel()
        return out

    def _ask(self, files: list[tuple[str, list[list[int]] | None]], out: np.ndarray) -> None:
        """Have a process fill some rows."""
        decoder = self._idle.get()
        try:
            if decoder is None:
                decoder = _Decoder()
                with self._lock:
                    self._started.append(decoder)
            decoder.read({"root": str(self._images.root), "size": self._images.image_size, "files": files}, out)
        except _Refused as refused:
            raise gone(self._images.root / refused.name, refused.reason) from None
        finally:
            self._idle.put(decoder)

    def _stop(self) -> None:
        with self._lock:
            started, self._started = self._started, []
        for decoder in started:
            decoder.stop()


class _Refused(Exception):
    """A file that cannot be used."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(name, reason)
        self.name, self.reason = name, reason


class _Decoder:
    """One process, see :mod:`delt_engine.data.decoder`."""

    def __init__(self) -> None:
        environment = dict(os.environ)
        paths = [str(PROJECT), environment.get("PYTHONPATH", "")]
        environment["PYTHONPATH"] = os.pathsep.join(path for path in paths if path)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "delt_engine.data.decoder"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
        )
        _widen(self._process.stdout.fileno())

    def read(self, question: dict, out: np.ndarray) -> None:
        """Fill uint8 (n, S, S, 3) with what a question asks for.

        Raises:
            DataError: the process ended.
        """
        try:
            self._process.stdin.write(json.dumps(question).encode() + b"\n")
            self._process.stdin.flush()
            head = json.loads(self._process.stdout.readline() or b"null")
            if head is not None and "reason" in head:
                raise _Refused(head["name"], head["reason"])
            if head is not None and self._process.stdout.readinto(memoryview(out).cast("B")) == out.nbytes:
                return
        except (OSError, ValueError):  # closed while it was asked
            pass
        code = self._process.wait()
        raise DataError(f"dataset: a process that decodes images ended by itself (exit code {code}); start again.")

    def stop(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):
                pipe.close()


def _widen(pipe: int) -> None:
    """Let a pipe hold more where the system allows it: fewer turns for large images."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import fcntl

        fcntl.fcntl(pipe, _SET_PIPE_SIZE, _PIPE_BYTES)
