"""What happened in a run, one JSON object a line: appended by one writer, read by anybody at any time.

A writer may be killed in the middle of a line; readers leave such a line out, and the next writer begins a new one.

Every event has ``kind`` and ``time`` (ISO 8601, UTC). The kinds:

- ``status``: ``status``, one of the run's statuses.
- ``stage``: ``stage`` (rank, select, or what is read), ``done``, ``total``.
- ``step``: of a recovery ``t`` (seconds of work since the loop began), ``batch`` (from 0), ``batches``, ``iteration``
  (index), ``iterations``, ``round`` (from 1), ``rounds``, ``joined``, ``ce_loss``, ``bn_loss``, ``total_loss``,
  ``learning_rate``, ``crop_min``, ``image_iterations`` so far and ``image_iterations_total``, ``start_rounds`` with
  the mean cross-entropy of the images that joined in each as ``start_ce_losses``, and ``memory_mb``, the most memory
  of the process (of the device, on a GPU) so far; of a squeeze ``t``,
  ``epoch``, ``epochs``, ``step``, ``steps``, ``loss``, ``train_accuracy``, ``learning_rate``. Thinned out in time.
- ``round``: a snapshot is written: ``t``, ``batch``, ``batches``, ``round``, ``rounds``, ``iteration`` (completed),
  ``classes``, ``partial`` (stopped before the round's end).
- ``epoch``: of a squeeze ``epoch``, ``epochs``, ``loss``, ``train_accuracy``, ``test_accuracy``, ``seconds``.
- of an evaluation ``step`` has ``t``, ``student`` (from 0), ``students``, ``epoch`` (from 1), ``epochs``, ``step``,
  ``steps``, ``loss``, ``learning_rate``; ``epoch`` the same without the steps, with ``top1``, ``top5`` and ``top1_ema``
  in percent, none where the epoch was not tested; ``student`` what one student reached once it is trained.
- ``note``: ``text``, a sentence.

Of several ranks at one run, the events of all but the first also have ``rank``; ``image_iterations`` and ``t`` are
those of the whole run, and steps of different batches may follow each other.

A run that goes on after it was killed repeats the steps since its last checkpoint; the later ones count.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from array import array
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO

from delt_engine.files import as_run_error
from delt_engine.runs.record import now


def append(path: Path, event: dict[str, Any]) -> None:
    """Append one event; the time is added as ``time``.

    Raises:
        RunError: the system refused.
    """
    line = json.dumps({**event, "time": now()}, separators=(",", ":")).encode() + b"\n"
    with as_run_error(path), path.open("ab+") as file:
        if file.seek(0, os.SEEK_END):
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":
                line = b"\n" + line
        file.write(line)


def read(
    path: Path, kind: str | None = None, *, batch: int | None = None, last: int | None = None, most: int | None = None
) -> list[dict[str, Any]]:
    """Return all events of a kind, or all, in order; none when there is no file.

    Of a file that is looked at again and again only what was added is searched, and only what is asked for is parsed
    and returned, so a run that is followed for hours takes no more memory than one that has just begun.

    Args:
        path: the file.
        kind: only events of this kind.
        batch: only events of this batch; those that name none count as the first one's.
        last: only so many, the newest.
        most: only so many, evenly chosen, the first and the newest among them.
    """
    return _index_of(path).events(kind, batch, last, most)


_HEAD_BYTES = 128
"""What a file begins with, its first event's time among it, tells it from another of the same number."""


class _Index:
    """Where the events of a file begin, as far as it was read, their kinds and batches."""

    def __init__(self, path: Path) -> None:
        self._path, self._lock = path, threading.Lock()
        self._forget(inode=0)

    def events(self, kind: str | None, batch: int | None, last: int | None, most: int | None) -> list[dict[str, Any]]:
        with self._lock:
            try:
                with self._path.open("rb") as file:
                    self._read_on(file)
                    chosen = self._chosen(kind, batch, last, most)
                    return [event for start in chosen for event in _events_at(file, start)]
            except OSError:
                self._forget(inode=0)
                return []

    def _read_on(self, file: BinaryIO) -> None:
        now = os.fstat(file.fileno())
        is_known = now.st_ino == self._inode and now.st_size >= self._end
        if not is_known or file.read(len(self._head)) != self._head:  # a new file may get the number of an old one
            self._forget(now.st_ino)
        file.seek(0)
        self._head = file.read(min(_HEAD_BYTES, now.st_size))
        file.seek(self._end)
        added = file.read()
        for line in added.split(b"\n")[:-1]:
            for event in _events_in([line]):
                self._starts.append(self._end)
                self._kinds.append(sys.intern(str(event.get("kind"))))
                self._batches.append(int(event.get("batch") or 0))
            self._end += len(line) + 1

    def _chosen(self, kind: str | None, batch: int | None, last: int | None, most: int | None) -> Sequence[int]:
        starts = array(
            "q",
            (
                start
                for start, its_kind, its_batch in zip(self._starts, self._kinds, self._batches, strict=True)
                if kind in (None, its_kind) and batch in (None, its_batch)
            ),
        )
        if last is not None:
            starts = starts[max(0, len(starts) - last) :]
        if most is not None and len(starts) > most > 1:
            starts = [starts[place * (len(starts) - 1) // (most - 1)] for place in range(most)]
        return starts

    def _forget(self, inode: int) -> None:
        self._inode, self._end, self._head = inode, 0, b""
        self._starts, self._kinds, self._batches = array("q"), list[str](), array("q")


def _events_at(file: BinaryIO, start: int) -> Iterator[dict[str, Any]]:
    file.seek(start)
    return _events_in([file.readline()])


@lru_cache(maxsize=8)
def _index_of(path: Path) -> _Index:
    return _Index(path)


def latest(path: Path, kind: str | None = None) -> dict[str, Any] | None:
    """Return the last event of a kind, or of all; only the end of a long file is read."""
    try:
        size = path.stat().st_size
    except OSError:
        return None
    block = 65536
    while True:
        start = max(0, size - block)
        found = [event for event in _parsed(path, start) if kind is None or event.get("kind") == kind]
        if found or start == 0:
            return found[-1] if found else None
        block *= 8


def _parsed(path: Path, start: int) -> Iterator[dict[str, Any]]:
    try:
        with path.open("rb") as file:
            file.seek(start)
            lines = file.read().split(b"\n")
    except OSError:
        return
    yield from _events_in(lines[1 if start else 0 : -1])


def _events_in(lines: Iterable[bytes]) -> Iterator[dict[str, Any]]:
    for line in lines:
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if isinstance(event, dict):
            yield event
