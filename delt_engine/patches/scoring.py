"""How patches stream through the teacher: read ahead, copied, scored, and where the time goes.

A thread, or of many images worker processes, read the next patches while the teacher scores a batch
(:mod:`delt_engine.data.loader`); no more than some batches of pixels are in memory, whatever the number of images. On
CUDA they are copied from pinned memory. Scores of a ranking that is not finished are stored, so that it resumes where
it was stopped.

Nothing of torch is imported before the first batch is scored. M is the number of patches.
"""

from __future__ import annotations

import contextlib
import copy
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from delt_engine.data.loader import process_count, read_in_order
from delt_engine.errors import CheckpointError, DataError, RunError
from delt_engine.files import try_write
from delt_engine.npz import npz_bytes, read_npz

if TYPE_CHECKING:
    import torch

    from delt_engine.data.dataset import ImageSet
    from delt_engine.models.teachers import Teacher

CHUNK = 16
"""Images a process reads at a time."""

SAVE_EVERY_S = 10.0
"""Shortest time between two writes of unfinished scores; it grows to 50 times what a write takes."""


@dataclass(frozen=True)
class RankTiming:
    """Where the time of a ranking went.

    Attributes:
        seconds: from the first batch asked for to the last of so many patches scored.
        decode_s, copy_s, network_s: of waiting for pixels, bringing them to the device as floats, forward passes.
        workers: processes that decoded; 0 where threads of this one did.
    """

    seconds: float
    patches: int
    decode_s: float
    copy_s: float
    network_s: float
    workers: int

    def to_record(self) -> dict[str, float | int]:
        """Return it as plain values, with the rate and the shares in percent."""
        parts = {"decode": self.decode_s, "copy": self.copy_s, "network": self.network_s}
        shares = {
            f"{part}_percent": round(100 * s / self.seconds, 1) if self.seconds else 0.0 for part, s in parts.items()
        }
        rate = round(self.patches / self.seconds, 1) if self.seconds else 0.0
        plain = {"seconds": round(self.seconds, 3), "patches": self.patches, "patches_per_second": rate}
        return {**plain, **shares, "workers": self.workers}


def timing_words(record: dict[str, float | int]) -> str:
    """Return what :meth:`RankTiming.to_record` says, in a line.

    >>> timing_words(RankTiming(2.0, 300, 1.0, 0.1, 0.8, 4).to_record())
    '300 patches in 2.0 s (150/s): 50 % waiting for pixels (4 processes), 5 % copying, 40 % network'
    """
    decoded = f" ({record['workers']} processes)" if record["workers"] else ""
    return (
        f"{record['patches']:,} patches in {record['seconds']:.1f} s ({record['patches_per_second']:,.0f}/s): "
        f"{record['decode_percent']:.0f} % waiting for pixels{decoded}, {record['copy_percent']:.0f} % copying, "
        f"{record['network_percent']:.0f} % network"
    )


@dataclass(frozen=True)
class RankProgress:
    """How many of the patches are scored, a note for the reader, and, when all are, where the time went."""

    done: int
    total: int
    note: str = ""
    timing: RankTiming | None = field(default=None, compare=False)


@dataclass(frozen=True, eq=False)
class Patches:
    """What is scored: patches of images, in order, those of one image after another.

    Attributes:
        images: int (n,), which of ``train``.
        crops: crops an image; 0 for the image as a whole.
        boxes_of: gives the boxes of some images, int (n * crops, 4), or (n, 4) of whole ones.
    """

    train: ImageSet
    images: np.ndarray
    crops: int
    boxes_of: Callable[[np.ndarray], np.ndarray]

    def indices(self, part: slice) -> np.ndarray:
        """Return the image of each patch of a range, int (m,)."""
        return self.images[np.arange(part.start, part.stop) // max(1, self.crops)]

    def read(self, part: slice) -> tuple[np.ndarray, np.ndarray]:
        """Return the boxes of a range, int (m, 4), and its pixels, uint8 (m, S, S, 3)."""
        each = max(1, self.crops)
        first, last = part.start // each, -(-part.stop // each)  # images that straddle two ranges are drawn in both
        boxes = self.boxes_of(self.images[first:last])[part.start - first * each : part.stop - first * each]
        indices = self.indices(part)
        return boxes, self.train.crops(indices, boxes) if self.crops else self.train.pixels(indices)


class PartialScores:
    """Boxes int32 (M, 4) and probabilities float32 (M,), the first ``done`` of which are known.

    They take 20 bytes a patch: 26 MB for the 1.28 million images of ImageNet-1K.

    Args:
        path: where they are stored; nowhere when None. A file that is damaged, or of other patches, counts as none.
        key: what they are scores of.
        total: M.
        step: what is scored together; only whole steps are taken from the file, so that batches stay the same.
    """

    def __init__(self, path: Path | None, key: str, total: int, step: int) -> None:
        self.boxes, self.probs = np.empty((total, 4), np.int32), np.empty(total, np.float32)
        self.done = 0
        self._path, self._key = path, key
        self._gap = SAVE_EVERY_S
        with contextlib.suppress(DataError, KeyError):
            if path is not None:
                self._take(*read_npz(path, "ranking", "part of a ranking"), step)
        self._written, self._last = self.done, time.monotonic()

    def _take(self, arrays: dict[str, np.ndarray], facts: dict[str, str], step: int) -> None:
        boxes, probs = arrays["boxes"], arrays["probs"]
        key = facts.get("key") or str(arrays["key"])  # version 0.1.0 stored it as an array
        fits = probs.ndim == 1 and len(probs) <= len(self.probs) and boxes.shape == (len(probs), 4)
        if key == self._key and fits:
            done = len(probs) if len(probs) == len(self.probs) else len(probs) // step * step
            self.boxes[:done], self.probs[:done], self.done = boxes[:done], probs[:done], done

    def write(self, *, if_due: bool = False) -> None:
        """Store what is known, unless it is all, which is stored as a ranking; a disk that refuses costs only time."""
        now = time.monotonic()
        is_needed = self._written < self.done < len(self.probs)
        if self._path is None or not is_needed or (if_due and now - self._last < self._gap):
            return
        arrays = {"boxes": self.boxes[: self.done], "probs": self.probs[: self.done]}
        try_write(self._path, npz_bytes(arrays, {"key": self._key}, compress=False))
        self._written, self._last = self.done, time.monotonic()
        self._gap = max(SAVE_EVERY_S, 50 * (self._last - now))

    def remove(self) -> None:
        """Remove the file: the ranking is whole."""
        if self._path is not None:
            with contextlib.suppress(OSError):
                self._path.unlink(missing_ok=True)


def scored(
    patches: Patches,
    scores: PartialScores,
    scorer: Scorer,
    batch_size: int,
    workers: int | None = None,
    *,
    reads_ahead: bool = True,
) -> Iterator[RankProgress]:
    """Fill in the scores that are missing, ``batch_size`` patches at a time; as many ``workers`` as pay when None.

    Without ``reads_ahead`` and workers a batch is read when the one before is scored.

    Yields:
        RankProgress after every batch; the last one has the timing.
    """
    total, reused = len(scores.probs), scores.done
    if reused:
        text = f"Going on with a ranking that was stopped: {reused:,} of {total:,} patches are scored."
        yield RankProgress(reused, total, text)
    each = max(1, patches.crops)
    is_work = bool(patches.crops) or not patches.train.is_ready
    if workers is None:
        workers = process_count((total - reused) // each) if is_work and reads_ahead else 0
    step = CHUNK * each if workers else batch_size
    edges = [reused, *range((reused // step + 1) * step, total, step), total]
    parts = [slice(first, last) for first, last in pairwise(edges) if first < last]
    # While one batch is scored the next two are read, but no process waits.
    ahead = max(2, -(-2 * batch_size // (step * max(1, workers)))) if is_work and reads_ahead else 0
    waited_s, note = 0.0, ""
    pieces: list[Any] = []
    began = asked = time.perf_counter()
    by_thread = scorer.device.type == "cuda"
    with contextlib.closing(read_in_order(patches.read, parts, workers, ahead, by_thread=by_thread)) as read:
        for first in range(reused, total, batch_size):
            part = slice(first, min(first + batch_size, total))
            count = part.stop - first
            while sum(len(pixels) for _, pixels in pieces) < count:
                pieces.append(next(read))
            scores.boxes[part] = np.concatenate([boxes for boxes, _ in pieces])[:count]
            image_u8 = scorer.gathered([pixels for _, pixels in pieces])[:count]
            left = sum(len(pixels) for _, pixels in pieces) - count
            pieces = [tuple(array[-left:] for array in pieces[-1])] if left else []
            waited_s += time.perf_counter() - asked
            scores.probs[part] = scorer(image_u8, patches.train.labels[patches.indices(part)])
            if not np.isfinite(scores.probs[part]).all():
                wrong = patches.indices(part)[np.flatnonzero(~np.isfinite(scores.probs[part]))[0]]
                raise CheckpointError(
                    f"teacher: {scorer.name} gives a probability that is not a finite number for "
                    f"{patches.train.names[wrong]}; its weights are damaged, or its mean and std do not fit."
                )
            scores.done = part.stop
            scores.write(if_due=True)
            note, scorer.note = scorer.note, ""
            if part.stop < total:
                yield RankProgress(part.stop, total, note)
            asked = time.perf_counter()
    timing = RankTiming(asked - began, total - reused, waited_s, scorer.copy_s, scorer.network_s, workers)
    yield RankProgress(total, total, note, timing)


class Scorer:
    """Gives the softmax probability of the labels, and counts the seconds it takes.

    Out of memory it goes on with half as many images at a time, once; a network in eval mode says the same of an
    image whatever stands beside it.

    The teacher's network is put in eval mode and moved to the device; K is ``num_classes``. ``columns`` are the logits
    of the labels, for a teacher that knows more classes; label n is logit n when None.
    """

    def __init__(
        self, teacher: Teacher, num_classes: int, device: str | torch.device, columns: Sequence[int] | None = None
    ) -> None:
        from delt_engine.models.device import memory_format, pick_device

        self.name = teacher.card.name
        self._teacher, self._num_classes = teacher, num_classes
        self._columns = None if columns is None else np.asarray(columns, np.int64)
        self.device = pick_device(str(device))
        self._network = teacher.network.to(self.device).eval()
        self._layout = memory_format(self._network, self.device)
        if self.device.type == "cpu" and any(weight.dim() == 4 for weight in self._network.parameters()):
            # 1.2 to 1.8 times the images a second, measured with a quarter-width ResNet-18 at 32 and 224 px. The
            # teacher's own weights stay as they lie, so what comes after computes the same whether this came before.
            self._network = copy.deepcopy(self._network).to(memory_format=self._layout)
        self._most: int | None = None
        self._pinned: np.ndarray | None = None
        self.note = ""
        """Set when the work was split."""
        self.copy_s = self.network_s = 0.0

    def gathered(self, pieces: list[np.ndarray]) -> np.ndarray:
        """Return the pieces as one array, on CUDA in pinned memory that the next call uses again."""
        if self.device.type != "cuda":
            return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)
        import torch

        count = sum(map(len, pieces))
        if self._pinned is None or len(self._pinned) < count:
            self._pinned = torch.empty((count, *pieces[0].shape[1:]), dtype=torch.uint8, pin_memory=True).numpy()
        return np.concatenate(pieces, out=self._pinned[:count])

    def __call__(self, image_u8: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Return the probability of the labels (n,) of images, uint8 (n, S, S, 3), as float32 (n,).

        Raises:
            CheckpointError: the network's logits are not (n, K).
            RunError: out of memory also with half the images at a time.
        """
        from delt_engine.models.device import free_reserve, is_out_of_memory

        found: list[np.ndarray] = []
        first = 0
        while first < len(labels):
            part = slice(first, first + (self._most or len(labels)))
            try:
                found.append(self._scored(image_u8[part], labels[part]))
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error) or (self._most is None and len(labels) == 1):
                    raise
            else:
                first = part.stop
                continue
            free_reserve(self.device)  # not in the handler, which holds what was computed
            if self._most is not None:
                raise RunError(
                    f"rank: {self.device} is out of memory also with {self._most:,} images at a time; give a smaller "
                    f"--rank-batch-size."
                )
            self._most = -(-len(labels) // 2)
            self.note = (
                f"Out of memory with {len(labels):,} images at a time: going on with {self._most:,}, which changes no "
                f"probability but by rounding."
            )
        return found[0] if len(found) == 1 else np.concatenate(found)

    def _scored(self, image_u8: np.ndarray, labels: np.ndarray) -> np.ndarray:
        import torch

        from delt_engine.data.pixels import normalise, to_pixels
        from delt_engine.models.device import wait_for

        card, began = self._teacher.card, time.perf_counter()
        with torch.inference_mode():
            pixels = to_pixels(image_u8, self.device)
            wait_for(self.device)  # so that the time of the copy is not counted as the network's
            copied = time.perf_counter()
            images = normalise(pixels, card.mean, card.std)
            if self.device.type == "cpu":
                images = images.contiguous(memory_format=self._layout)
            logits = self._network(images).float()
            if logits.shape != (len(labels), self._num_classes):
                raise CheckpointError(
                    f"teacher: {card.name} gives logits of shape {tuple(logits.shape)} for {len(labels)} images, "
                    f"but ({len(labels)}, {self._num_classes}) is needed."
                )
            own = labels if self._columns is None else self._columns[labels]
            chosen = torch.from_numpy(np.asarray(own, np.int64)).to(self.device)
            probs = torch.softmax(logits, dim=1).gather(1, chosen[:, None])[:, 0].cpu().numpy()
        self.copy_s += copied - began
        self.network_s += time.perf_counter() - copied
        return probs
