"""What is a dataset here: two sets of labelled images, the table row that describes them, and what was left out.

Shapes: n images asked for, N images in a set, S side of the square images in pixels, H x W native size.
Everything is uint8 numpy; :mod:`delt_engine.data.pixels` makes torch tensors of it.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from delt_engine.config import Resize
from delt_engine.data.decode import resize_box, seen_box, squared, view_side
from delt_engine.errors import DataError

Channels = tuple[float, float, float]

Report = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and of how much."""

SAMPLE_BYTES = 64 * 2**20
"""Pixels looked at, in bytes; evenly spaced images of a larger set give the same four digits."""

MIN_STD = 0.01
"""Smallest standard deviation returned, so that a set of one flat colour can still be divided by it."""


@dataclass(frozen=True)
class DatasetSpec:
    """One row about a dataset; ranking, recovery and evaluation read the same one.

    ``mean`` and ``std`` are per channel (red, green, blue) of pixels in [0, 1].
    """

    name: str
    title: str
    kind: str
    num_classes: int
    class_names: tuple[str, ...]
    image_size: int
    mean: Channels
    std: Channels
    train_size: int
    test_size: int
    description: str


@dataclass(frozen=True)
class SkippedFile:
    """A file that could not be used: its path relative to the dataset's folder, and why."""

    path: str
    reason: str


class ImageSet(ABC):
    """Labelled images of one split, read by index.

    Attributes:
        labels: int64 (N,), the class index of each image.
        names: N names: a path relative to the dataset's folder, or "train/astronaut/00012" for built-in sets.
        image_size: S, the side that :meth:`pixels` and :meth:`crops` return.
        resize: how pictures become squares, see :mod:`delt_engine.data.decode`.
    """

    def __init__(self, labels: np.ndarray, names: Sequence[str], image_size: int, resize: Resize = "whole") -> None:
        self.labels = np.asarray(labels, dtype=np.int64)
        self._by_class: tuple[np.ndarray, np.ndarray] | None = None
        self.names = names
        self.image_size = image_size
        self.resize: Resize = resize

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def is_ready(self) -> bool:
        """Whether the pixels at S only need to be copied."""
        return False

    @property
    def is_native(self) -> bool:
        """Whether every picture has S x S pixels that are shown as they are, whatever way it would be made square."""
        return False

    @abstractmethod
    def original(self, index: int) -> np.ndarray:
        """Return one image at its native size, uint8 (H, W, 3)."""

    @abstractmethod
    def size(self, index: int) -> tuple[int, int]:
        """Return the native (height, width) of one image in pixels."""

    def of_class(self, class_index: int) -> np.ndarray:
        """Return the indices of one class's images, ascending, int64 (n,)."""
        if self._by_class is None:  # sorted once: a look at all labels for each of 10,000 classes would take minutes
            order = np.argsort(self.labels, kind="stable")
            self._by_class = order, self.labels[order]
        order, labels = self._by_class
        return order[slice(*np.searchsorted(labels, (class_index, class_index + 1)))]

    def pixels(self, indices: Sequence[int] | np.ndarray) -> np.ndarray:
        """Return images as squares, uint8 (n, S, S, 3), as ``resize`` says.

        Raises:
            DataError: an index out of range.
        """
        indices = self._checked(indices)
        out = np.empty((len(indices), self.image_size, self.image_size, 3), dtype=np.uint8)
        for row, index in enumerate(indices.tolist()):
            out[row] = squared(self.original(index), self.image_size, self.resize)
        return out

    def seen_box(self, index: int) -> tuple[int, int, int, int]:
        """Return what :meth:`pixels` shows of an image: top, left, height, width in native pixels."""
        return seen_box(*self.size(index), self.image_size, self.resize)

    def shown(self, resize: Resize) -> ImageSet:
        """Return the same images, made square in this way."""
        other = copy.copy(self)
        other.resize = resize
        return other

    def crops(self, indices: Sequence[int] | np.ndarray, boxes: np.ndarray) -> np.ndarray:
        """Cut one box out of each image and resize it to S, antialiased: uint8 (n, S, S, 3).

        Boxes are int (n, 4): top, left, height, width in native pixels; an image may come several times.

        Raises:
            DataError: an index out of range, or a box that leaves its image.
        """
        indices = self._checked(indices)
        boxes = self._checked_boxes(indices, boxes)
        out = np.empty((len(indices), self.image_size, self.image_size, 3), dtype=np.uint8)
        last, image = None, None
        for row, index in enumerate(indices.tolist()):
            if image is None or index != last:
                last, image = index, self.original(index)
            out[row] = resize_box(image, tuple(boxes[row]), self.image_size, self.resize)
        return out

    def _checked(self, indices: Sequence[int] | np.ndarray) -> np.ndarray:
        """Return the indices as int64 (n,), all within the set."""
        chosen = np.asarray(indices, dtype=np.int64).reshape(-1)
        outside = chosen[(chosen < 0) | (chosen >= len(self))]
        if len(outside):
            raise DataError(f"index: {outside[0]} given, but this set has images 0 to {len(self) - 1}.")
        return chosen

    def _checked_boxes(self, indices: np.ndarray, boxes: np.ndarray) -> np.ndarray:
        """Return the boxes as int64 (n, 4), each inside its image."""
        boxes = np.asarray(boxes, dtype=np.int64)
        if boxes.shape != (len(indices), 4):
            raise DataError(f"boxes: shape {boxes.shape} given, but {len(indices)} images need ({len(indices)}, 4).")
        for index, (top, left, height, width) in zip(indices.tolist(), boxes.tolist(), strict=True):
            tall, wide = self.size(index)
            if min(top, left) < 0 or min(height, width) < 1 or top + height > tall or left + width > wide:
                raise DataError(
                    f"boxes: top, left, height, width = {top}, {left}, {height}, {width} given, "
                    f"but {self.names[index]} is {tall} x {wide} pixels."
                )
        return boxes


class ArrayImages(ImageSet):
    """Images that lie in one array, uint8 (N, H, W, 3), in memory or mapped from a file."""

    def __init__(self, images: np.ndarray, labels: np.ndarray, names: Sequence[str], image_size: int) -> None:
        super().__init__(labels, names, image_size)
        self._images = images

    def original(self, index: int) -> np.ndarray:
        """Return one image as it is stored, uint8 (H, W, 3)."""
        return np.array(self._images[int(self._checked([index])[0])])

    def size(self, index: int) -> tuple[int, int]:
        """Return the (height, width) that all images share."""
        self._checked([index])
        return self._images.shape[1], self._images.shape[2]

    @property
    def is_ready(self) -> bool:
        """Whether the images are stored at S, and no border of them is left out."""
        view = view_side(self.image_size, self.resize)
        return self._images.shape[1:3] == (self.image_size, self.image_size) and view == self.image_size

    @property
    def is_native(self) -> bool:
        """See :attr:`ImageSet.is_native`."""
        return self.is_ready

    def pixels(self, indices: Sequence[int] | np.ndarray) -> np.ndarray:
        """Return images at S; those stored at S are only copied. See :meth:`ImageSet.pixels`."""
        if self.is_ready:
            return np.asarray(self._images[self._checked(indices)])
        return super().pixels(indices)


@dataclass(frozen=True, eq=False)
class Dataset:
    """A dataset that is ready to be read.

    Attributes:
        train: images that teachers learn from and that are ranked; accuracy is measured on those of ``test``.
        counts: how many files were used, skipped, ignored, grey, cmyk, palette, ...
        fingerprint: changes when the images change; the same on every machine for built-in sets.
        root: the folder, or None for sets without one.
    """

    spec: DatasetSpec
    train: ImageSet
    test: ImageSet
    fingerprint: str
    skipped: tuple[SkippedFile, ...] = ()
    counts: dict[str, int] = field(default_factory=dict)
    root: str | None = None

    @property
    def test_fingerprint(self) -> str:
        """Fingerprint of what accuracy is measured on: how pictures become squares counts only where test pixels do.

        Crops of the training images, which rankings hang on, differ all the same.
        """
        other = shown_fingerprint("", self.test.resize)
        return self.fingerprint.removesuffix(other) if self.test.is_native else self.fingerprint

    def class_index(self, name: str) -> int:
        """Return the index of a class.

        Raises:
            DataError: there is no class of that name.
        """
        names = self.spec.class_names
        if name in names:
            return names.index(name)
        shown = ", ".join(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "")
        raise DataError(f"classes: {name!r} given, but {self.spec.name} has {shown}.")


def dataset_of_arrays(
    spec: DatasetSpec, arrays: Mapping[str, np.ndarray], fingerprint: str, *, counted_by_class: bool = False
) -> Dataset:
    """Return a dataset whose images lie in arrays, named such as "train/cat/00012".

    The arrays are ``train`` and ``test``, uint8 (N, H, W, 3), ``train_labels`` and ``test_labels``, (N,); sizes of the
    splits are filled in. Numbers may begin anew with each class; the images then lie class by class, as many each.
    """
    sets = []
    for split in ("train", "test"):
        labels = np.array(arrays[f"{split}_labels"], dtype=np.int64)
        each = len(labels) // spec.num_classes if counted_by_class else len(labels)
        names = [f"{split}/{spec.class_names[label]}/{i % each:05d}" for i, label in enumerate(labels.tolist())]
        sets.append(ArrayImages(arrays[split], labels, names, spec.image_size))
    train, test = sets
    spec = replace(spec, train_size=len(train), test_size=len(test))
    return Dataset(spec, train, test, fingerprint, counts={"used": len(train) + len(test)})


def as_shown(dataset: Dataset, resize: Resize) -> Dataset:
    """Return a dataset whose images lie in arrays, made square in this way; the same one where no pixel changes.

    The fingerprint of other pixels is another one.
    """
    train, test = dataset.train.shown(resize), dataset.test.shown(resize)
    if resize == dataset.train.resize or (dataset.train.is_ready and train.is_ready):
        return dataset
    return replace(dataset, train=train, test=test, fingerprint=shown_fingerprint(dataset.fingerprint, resize))


def shown_fingerprint(whole: str, resize: Resize) -> str:
    """Return the fingerprint of images made square in this way, of that of their whole squares.

    >>> shown_fingerprint("f00d", "published"), shown_fingerprint("f00d", "whole")
    ('f00d-published', 'f00d')
    """
    return whole if resize == "whole" else f"{whole}-{resize}"


def channel_statistics(pixels: np.ndarray) -> tuple[Channels, Channels]:
    """Return mean and standard deviation per channel of uint8 (n, H, W, 3), over all images and places.

    Both are of pixels in [0, 1], rounded to four digits; the second is at least :data:`MIN_STD`.

    Raises:
        DataError: there are no pixels.

    >>> channel_statistics(np.array([[[[0, 51, 255], [255, 51, 255]]]], dtype=np.uint8))
    ((0.5, 0.2, 1.0), (0.5, 0.01, 0.01))
    """
    if pixels.size == 0:
        raise DataError("pixels: none given, but mean and standard deviation need at least one image.")
    levels = np.arange(256) / 255
    counts = np.stack([np.bincount(pixels[..., channel].reshape(-1), minlength=256) for channel in range(3)])
    shares = counts / counts.sum(axis=1, keepdims=True)  # (3, 256)
    mean = shares @ levels
    std = np.sqrt(np.maximum(shares @ levels**2 - mean**2, 0))
    return _rounded(mean), _rounded(np.maximum(std, MIN_STD))


def statistics_of(images: ImageSet) -> tuple[Channels, Channels]:
    """Return mean and standard deviation of a set at its own image size, from evenly spaced images if it is large."""
    most = max(1, SAMPLE_BYTES // (images.image_size**2 * 3))
    step = max(1, -(-len(images) // most))
    return channel_statistics(images.pixels(np.arange(0, len(images), step)))


def _rounded(values: np.ndarray) -> Channels:
    red, green, blue = (round(float(value), 4) for value in values)
    return red, green, blue
