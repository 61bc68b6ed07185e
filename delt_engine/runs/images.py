"""What a batch looks like, written into the run: strips at every round, live strips, and the finished images.

A class whose images are spread over several batches shares one strip: each batch puts its own images into it.
Shapes: n images of a batch, IPC images of a class, S side in pixels; all uint8 numpy.
"""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from delt_engine import files
from delt_engine.errors import RunError
from delt_engine.runs import strips
from delt_engine.runs.processes import alone
from delt_engine.runs.store import Run

STRIP_LEVEL = 1
"""zlib level of strips: measured, a quarter to a third of level 6's time for 10 to 25 % more bytes (224 and 32 px)."""

LIVE_SHARE = 0.02
"""Share of the run time that live strips may take."""


class Pictures:
    """Writes pictures of one batch.

    Args:
        slots: (class index, index within the class) of each image of the batch.
        num_rounds: K.
        shown: the classes that get strips.
        live_seconds: shortest time between live strips; 0 for none.
    """

    def __init__(
        self,
        run: Run,
        slots: Sequence[tuple[int, int]],
        ipc: int,
        num_rounds: int,
        shown: Sequence[int],
        live_seconds: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._run, self._ipc, self._num_rounds, self._clock = run, ipc, num_rounds, clock
        self._live_seconds = live_seconds
        self._next_live = clock() + min(live_seconds, 0.3)
        self._places: dict[int, list[tuple[int, int]]] = {}
        for position, (class_index, index) in enumerate(slots):
            if class_index in set(shown):
                self._places.setdefault(class_index, []).append((position, index))

    @property
    def classes(self) -> list[int]:
        """The classes of the batch that get strips."""
        return list(self._places)

    def write_round(self, image_u8: np.ndarray, round_number: int) -> None:
        """Write a strip a class: the batch's images (n, S, S, 3) after a round; 0 is the start images."""
        self._write(image_u8, round_number, lambda index: self._run.snapshot_path(index, round_number))

    @property
    def live_due(self) -> bool:
        """Whether it is time for live strips."""
        return self._live_seconds > 0 and self._clock() >= self._next_live

    def write_live(self, image_u8: np.ndarray) -> None:
        """Write a live strip a class, and keep what that cost within :data:`LIVE_SHARE`."""
        began = self._clock()
        self._write(image_u8, self._num_rounds, self._run.live_path)
        ended = self._clock()
        self._next_live = ended + max(self._live_seconds, (ended - began) / LIVE_SHARE)

    def _write(self, image_u8: np.ndarray, round_number: int, path_of: Callable[[int], Path]) -> None:
        size = image_u8.shape[1]
        for class_index, places in self._places.items():
            with alone(self._run.path, str(class_index)):
                images = np.zeros((self._ipc, size, size, 3), np.uint8)
                for earlier in (round_number, 0) if len(places) < self._ipc else ():  # shows images of other batches
                    with contextlib.suppress(RunError):
                        found = self._run.snapshot_images(class_index, earlier)
                        if found.shape == images.shape:
                            images = found.copy()
                            break
                for position, index in places:
                    images[index] = image_u8[position]
                png = strips.png_bytes(strips.join_strip(images), level=STRIP_LEVEL)
                files.write_bytes(path_of(class_index), png)


def write_images(
    run: Run, slots: Sequence[tuple[int, int]], image_u8: np.ndarray, texts: Sequence[dict[str, Any]]
) -> None:
    """Write finished images, uint8 (n, S, S, 3), with their settings in them, and make sure that the disk has them.

    ``slots`` are (class index, index within the class) of each.
    """
    for slot, image, text in zip(slots, image_u8, texts, strict=True):
        files.write_bytes(run.image_path(*slot), strips.png_bytes(image, text))
    files.sync(*(run.image_path(*slot) for slot in slots))


def remove_damaged(run: Run) -> None:
    """Remove snapshots that are torn, empty or otherwise damaged: what is missing is made again, or not shown."""
    for path in (run.path / "snapshots").glob("*/round-*.png"):
        if not strips.is_whole(path):
            path.unlink(missing_ok=True)


def are_written(run: Run, slots: Sequence[tuple[int, int]], image_size: int) -> bool:
    """Return whether every image is there and whole, in every byte."""
    paths, shape = (run.image_path(*slot) for slot in slots), (image_size, image_size, 3)
    try:
        return all(strips.is_whole(path) and strips.read_png(path).shape == shape for path in paths)
    except RunError:
        return False


def remove_live(run: Run) -> None:
    """Remove the live strips; who looks at them next finds the last round."""
    shutil.rmtree(run.path / "live", ignore_errors=True)
