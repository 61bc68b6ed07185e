"""How patches stream through the teacher: read ahead, copied, scored, and where the time goes.

While one batch is scored the next ones are being read, by processes where files have to be decoded and there are
cores for it. No more than some batches of pixels are in memory, whatever the number of images. On CUDA pixels are
copied from pinned memory.

Nothing of torch is imported before the first batch is scored.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from delt_engine.data.decoders import CHUNK, DecodedImages, paying_workers
from delt_engine.errors import CheckpointError, RunError
from delt_engine.patches.partial import PartialScores

if TYPE_CHECKING:
    import torch

    from delt_engine.data.dataset import ImageSet
    from delt_engine.models.teachers import Teacher

_T = TypeVar("_T")


@dataclass(frozen=True)
class RankTiming:
    """Where the time of a ranking went.

    Attributes:
        seconds: from the first batch asked for to the last one scored.
        patches: how many were scored in it.
        decode_s: seconds in which the teacher waited for pixels.
        copy_s: seconds of bringing pixels to the device, as floats.
        network_s: seconds of the forward passes.
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
        return {
            "seconds": round(self.seconds, 3),
            "patches": self.patches,
            "patches_per_second": round(self.patches / self.seconds, 1) if self.seconds else 0.0,
            "decode_percent": self._percent(self.decode_s),
            "copy_percent": self._percent(self.copy_s),
            "network_percent": self._percent(self.network_s),
            "workers": self.workers,
        }

    def _percent(self, seconds: float) -> float:
        return round(100 * seconds / self.seconds, 1) if self.seconds else 0.0


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
    """How many of the patches are scored, what is to be told, and, when all are, where the time went."""

    done: int
    total: int
    note: str = ""
    timing: RankTiming | None = field(default=None, compare=False)


@dataclass(frozen=True, eq=False)
class Patches:
    """What is scored: patches of images, in order, those of one image after another.

    Attributes:
        train: where the images are.
        images: int (n,), which of them.
        crops: crops an image; 0 for the image as a whole.
        boxes_of: gives the boxes of a range of patches, int (m, 4).
    """

    train: ImageSet
    images: np.ndarray
    crops: int
    boxes_of: Callable[[slice], np.ndarray]

    def indices(self, part: slice) -> np.ndarray:
        """Return the image of each patch of a range, int (m,)."""
        return self.images[np.arange(part.start, part.stop) // max(1, self.crops)]

    def read(self, source: Any, part: slice, boxes: np.ndarray) -> np.ndarray:
        """Return the pixels of a range, uint8 (m, S, S, 3)."""
        indices = self.indices(part)
        return source.crops(indices, boxes) if self.crops else source.pixels(indices)

    def check(self, part: slice, probs: np.ndarray, teacher: str) -> None:
        """Refuse probabilities that are not numbers.

        Raises:
            CheckpointError: naming the first such image.
        """
        if not np.isfinite(probs).all():
            first = self.indices(part)[np.flatnonzero(~np.isfinite(probs))[0]]
            raise CheckpointError(
                f"teacher: {teacher} gives a probability that is not a finite number for "
                f"{self.train.names[first]}; its weights are damaged, or its mean and std do not fit."
            )


def scored(
    patches: Patches, scores: PartialScores, scorer: Scorer, batch_size: int, workers: int | None = None
) -> Iterator[RankProgress]:
    """Fill in the scores that are missing.

    Args:
        patches: what is scored.
        scores: where to go on, and where the scores go.
        scorer: the teacher.
        batch_size: patches read and scored together.
        workers: processes that decode; as many as pay when None.

    Yields:
        RankProgress after every batch; the last one has the timing.
    """
    total, reused = len(scores.probs), scores.done
    parts = [slice(at, min(at + batch_size, total)) for at in range(reused, total, batch_size)]
    if reused:
        text = f"Going on with a ranking that was stopped: {reused:,} of {total:,} patches are scored."
        yield RankProgress(reused, total, text)
    with contextlib.ExitStack() as held:
        crops, wanted = bool(patches.crops), workers if parts else 0
        source, number = held.enter_context(
            pixel_source(patches.train, len(patches.images), crops=crops, workers=wanted)
        )

        def read(part: slice) -> np.ndarray:
            scores.boxes[part] = patches.boxes_of(part)
            return scorer.prepared(patches.read(source, part, scores.boxes[part]))

        batches = held.enter_context(contextlib.closing(read_ahead(read, parts, batches_ahead(batch_size, number))))
        waited_s, note = 0.0, ""
        began = asked = time.perf_counter()
        for part, image_u8 in zip(parts, batches, strict=True):
            waited_s += time.perf_counter() - asked
            scores.probs[part] = scorer(image_u8, patches.train.labels[patches.indices(part)])
            patches.check(part, scores.probs[part], scorer.name)
            scores.done = part.stop
            scores.write(if_due=True)
            note, scorer.note = scorer.note, ""
            if part.stop < total:
                yield RankProgress(part.stop, total, note)
            asked = time.perf_counter()
    timing = RankTiming(asked - began, total - reused, waited_s, scorer.copy_s, scorer.network_s, number)
    yield RankProgress(total, total, note, timing)


@contextmanager
def pixel_source(train: ImageSet, count: int, *, crops: bool, workers: int | None) -> Iterator[tuple[Any, int]]:
    """Yield what pixels and crops are read from, and how many processes decode for it.

    Args:
        train: the images.
        count: how many will be read.
        crops: whether crops will be.
        workers: processes to decode with; where they pay when None, never for images that lie in an array.
    """
    number = paying_workers(train, count, crops=crops) if workers is None else workers
    if not number or not hasattr(train, "root"):
        yield train, 0
        return
    with DecodedImages(train, number) as decoded:
        yield decoded, number


def batches_ahead(batch_size: int, workers: int) -> int:
    """Return how many batches are read at a time: one, or with processes as many as give each of them two tasks.

    >>> batches_ahead(256, 0), batches_ahead(256, 16), batches_ahead(64, 16)
    (1, 2, 8)
    """
    return max(2, -(-2 * workers * CHUNK // batch_size)) if workers else 1


def read_ahead(read: Callable[[_T], np.ndarray], parts: Iterable[_T], ahead: int = 1) -> Iterator[np.ndarray]:
    """Yield ``read(part)`` of each part in order, while the next ones are already being read."""
    with ThreadPoolExecutor(max_workers=ahead, thread_name_prefix="rank") as pool:
        waiting: list[Future[np.ndarray]] = []
        try:
            for part in parts:
                waiting.append(pool.submit(read, part))
                if len(waiting) > ahead:
                    yield waiting.pop(0).result()
            while waiting:
                yield waiting.pop(0).result()
        finally:
            for future in waiting:
                future.cancel()


class Scorer:
    """Gives the softmax probability of the labels, and counts the seconds it takes.

    Out of memory it goes on with half as many images at a time, once; a network in eval mode says the same of an
    image whatever stands beside it.

    Args:
        teacher: its network is put in eval mode and moved to the device.
        num_classes: K.
        device: by name.
    """

    def __init__(self, teacher: Teacher, num_classes: int, device: str | torch.device) -> None:
        from delt_engine.models.device import memory_format, pick_device

        self.name = teacher.card.name
        self._teacher, self._num_classes = teacher, num_classes
        self.device = pick_device(str(device))
        self._network = _laid_out(teacher.network.to(self.device).eval())
        self._layout = memory_format(self._network, self.device)
        self._most: int | None = None
        self.note = ""
        """Set when the work was split, for whoever tells it."""
        self.copy_s = self.network_s = 0.0

    def prepared(self, image_u8: np.ndarray) -> np.ndarray:
        """Return the images in pinned memory where that makes copies faster; called by the threads that read."""
        if self.device.type != "cuda":
            return image_u8
        import torch

        return torch.from_numpy(np.ascontiguousarray(image_u8)).pin_memory().numpy()

    def __call__(self, image_u8: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Return the probability of the labels (n,) of images, uint8 (n, S, S, 3), as float32 (n,).

        Raises:
            CheckpointError: the network's logits are not (n, K).
            RunError: out of memory also with half the images at a time.
        """
        probs = None if self._most else self._tried(image_u8, labels)
        if probs is not None:
            return probs
        most = self._most or 1
        found = []
        for first in range(0, len(labels), most):
            part = self._tried(image_u8[first : first + most], labels[first : first + most])
            if part is None:
                raise RunError(
                    f"rank: {self.device} is out of memory also with {most:,} images at a time; give a smaller "
                    f"--rank-batch-size."
                )
            found.append(part)
        return np.concatenate(found)

    def _tried(self, image_u8: np.ndarray, labels: np.ndarray) -> np.ndarray | None:
        """Return the probabilities; None when the memory did not do, and then fewer are taken from now on."""
        from delt_engine.models.device import free_reserve, is_out_of_memory

        try:
            return self._scored(image_u8, labels)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error) or (self._most is None and len(labels) == 1):
                raise
        if self._most is None:
            self._most = -(-len(labels) // 2)
            self.note = (
                f"Out of memory with {len(labels):,} images at a time: going on with {self._most:,}, which changes no "
                f"probability but by rounding."
            )
        free_reserve(self.device)
        return None

    def _scored(self, image_u8: np.ndarray, labels: np.ndarray) -> np.ndarray:
        import torch

        from delt_engine.data.pixels import normalise, to_pixels

        card, began = self._teacher.card, time.perf_counter()
        with torch.inference_mode():
            pixels = to_pixels(image_u8, self.device)
            self._wait()
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
            chosen = torch.from_numpy(np.asarray(labels, np.int64)).to(self.device)
            probs = torch.softmax(logits, dim=1).gather(1, chosen[:, None])[:, 0].cpu().numpy()
        self.copy_s += copied - began
        self.network_s += time.perf_counter() - copied
        return probs

    def _wait(self) -> None:
        """Wait for the copy, so that its time is told from the network's."""
        if self.device.type == "cuda":
            import torch

            torch.cuda.synchronize(self.device)


def _laid_out(network: torch.nn.Module) -> torch.nn.Module:
    """Return the network in the memory order that is fastest: on a CPU a copy in channels-last.

    Measured there: 1.2 to 1.8 times the images a second, quarter-width ResNet-18 at 32 and 224 px. The teacher's own
    weights stay as they lie, so that what comes after computes the same whether this was needed or not.
    """
    import copy

    from delt_engine.models.device import memory_format

    weights = list(network.parameters())
    if not weights or weights[0].device.type != "cpu" or all(weight.dim() != 4 for weight in weights):
        return network
    return copy.deepcopy(network).to(memory_format=memory_format(network, weights[0].device))
