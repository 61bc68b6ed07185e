"""Scores of a ranking that is not finished, kept on the disk so that it goes on where it was stopped.

M patches are scored in order, so what is known are the first ones. They are written now and then under a temporary
name and renamed; a file that is damaged, or of other patches, counts as none. M boxes and probabilities take 20 bytes
a patch: 26 MB for the 1.28 million images of ImageNet-1K.
"""

from __future__ import annotations

import contextlib
import io
import time
import zipfile
import zlib
from pathlib import Path

import numpy as np

from delt_engine.data.cache import write_file

EVERY_S = 10.0
"""Shortest time between two writes; it grows to 50 times what a write takes."""


class PartialScores:
    """Boxes int32 (M, 4) and probabilities float32 (M,), the first ``done`` of which are known.

    Args:
        path: where they are kept; nowhere when None.
        key: what they are scores of.
        total: M.
        step: what is scored together; only whole steps are taken from the file, so that batches stay the same.
    """

    def __init__(self, path: Path | None, key: str, total: int, step: int) -> None:
        self.boxes, self.probs = np.empty((total, 4), np.int32), np.empty(total, np.float32)
        self.done = 0
        self._path, self._key, self._step = path, key, step
        self._gap = EVERY_S
        self._read()
        self._written, self._last = self.done, time.monotonic()

    def write(self, *, if_due: bool = False) -> None:
        """Keep what is known, unless it is all, which is kept as a ranking; a disk that refuses costs only time."""
        now = time.monotonic()
        is_needed = self._path is not None and self._written < self.done < len(self.probs)
        if not is_needed or (if_due and now - self._last < self._gap):
            return
        buffer = io.BytesIO()
        np.savez(buffer, key=np.array(self._key), boxes=self.boxes[: self.done], probs=self.probs[: self.done])
        write_file(self._path, buffer.getvalue())
        self._written, self._last = self.done, time.monotonic()
        self._gap = max(EVERY_S, 50 * (self._last - now))

    def remove(self) -> None:
        """Forget what was kept: the ranking is whole."""
        if self._path is not None:
            with contextlib.suppress(OSError):
                self._path.unlink(missing_ok=True)

    def _read(self) -> None:
        if self._path is None:
            return
        try:
            with np.load(self._path, allow_pickle=False) as kept:
                key, boxes, probs = str(kept["key"]), kept["boxes"], kept["probs"]
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error):
            return
        done = len(probs) if len(probs) == len(self.probs) else len(probs) // self._step * self._step
        fits = probs.ndim == 1 and len(probs) <= len(self.probs) and boxes.shape == (len(probs), 4)
        if key == self._key and fits:
            self.boxes[:done], self.probs[:done], self.done = boxes[:done], probs[:done], done
