"""Datasets that torchvision downloads: fetched once, decoded once, and read without torchvision from then on.

A machine without a network gets one sentence that says which file to put where.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock

from delt_engine.data.cache import datasets_dir, open_arrays, store_arrays
from delt_engine.data.dataset import ArrayImages, Dataset, DatasetSpec
from delt_engine.errors import DataError

Report = Callable[[str, int, int], None]
Arrays = tuple[np.ndarray, np.ndarray]

_FORMAT = 1
"""Number of the decoded arrays' layout."""

_ARRAYS = ("train", "test", "train_labels", "test_labels")


@dataclass(frozen=True)
class Download:
    """Where a dataset is from.

    Attributes:
        url: the archive a person would fetch by hand.
        needs: what torchvision looks for in the dataset's folder.
        read: from torchvision's module, the folder and whether to download, to (images, labels) of train and test.
    """

    url: str
    needs: str
    read: Callable[[Any, str, bool], tuple[Arrays, Arrays]]


def _cifar(name: str) -> Callable[[Any, str, bool], tuple[Arrays, Arrays]]:
    """Return a reader of CIFAR10 or CIFAR100."""

    def read(module: Any, root: str, download: bool) -> tuple[Arrays, Arrays]:
        train, test = (getattr(module, name)(root, train=is_train, download=download) for is_train in (True, False))
        return (train.data, np.array(train.targets)), (test.data, np.array(test.targets))

    return read


def _split_set(name: str) -> Callable[[Any, str, bool], tuple[Arrays, Arrays]]:
    """Return a reader of SVHN or STL10, whose images are (N, 3, H, W)."""

    def read(module: Any, root: str, download: bool) -> tuple[Arrays, Arrays]:
        train, test = (getattr(module, name)(root, split=split, download=download) for split in ("train", "test"))
        return tuple((np.ascontiguousarray(part.data.transpose(0, 2, 3, 1)), part.labels) for part in (train, test))

    return read


def _grey(name: str) -> Callable[[Any, str, bool], tuple[Arrays, Arrays]]:
    """Return a reader of MNIST or FashionMNIST, whose images are (N, 28, 28) grey."""

    def read(module: Any, root: str, download: bool) -> tuple[Arrays, Arrays]:
        sets = [getattr(module, name)(root, train=is_train, download=download) for is_train in (True, False)]
        return tuple((np.repeat(part.data.numpy()[..., None], 3, axis=3), part.targets.numpy()) for part in sets)

    return read


DOWNLOADS: dict[str, Download] = {
    "cifar10": Download(
        "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz", "cifar-10-batches-py", _cifar("CIFAR10")
    ),
    "cifar100": Download(
        "https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz", "cifar-100-python", _cifar("CIFAR100")
    ),
    "svhn": Download(
        "http://ufldl.stanford.edu/housenumbers", "train_32x32.mat and test_32x32.mat", _split_set("SVHN")
    ),
    "stl10": Download("http://ai.stanford.edu/~acoates/stl10/stl10_binary.tar.gz", "stl10_binary", _split_set("STL10")),
    "mnist": Download("https://ossci-datasets.s3.amazonaws.com/mnist", "MNIST/raw", _grey("MNIST")),
    "fashion-mnist": Download(
        "https://github.com/zalandoresearch/fashion-mnist", "FashionMNIST/raw", _grey("FashionMNIST")
    ),
}

IMAGENETTE_URL = "https://s3.amazonaws.com/fast-ai-imageclas/imagenette2.tgz"


def load_download(
    spec: DatasetSpec, image_size: int, root: str | Path | None = None, report: Report | None = None
) -> Dataset:
    """Load one of :data:`DOWNLOADS`, downloading it the first time.

    Args:
        spec: its table row; the sizes of the splits are filled in.
        image_size: S.
        root: folder that holds torchvision's files, or is to; by default one in the cache.
        report: told ("download", done, 1).

    Raises:
        DataError: it is not there and cannot be downloaded; the text says what to put where.
    """
    name = spec.name
    arrays = open_arrays(f"{name}-{_FORMAT}", _ARRAYS)
    if arrays is None:
        folder = Path(root).expanduser().absolute() if root else datasets_dir() / name
        train, test = _fetch(name, folder, report)
        arrays = {"train": train[0], "test": test[0], "train_labels": train[1], "test_labels": test[1]}
        arrays = store_arrays(f"{name}-{_FORMAT}", arrays)
    sets = {}
    for split in ("train", "test"):
        labels = np.array(arrays[f"{split}_labels"], dtype=np.int64)
        numbers = [f"{split}/{spec.class_names[label]}/{i:05d}" for i, label in enumerate(labels.tolist())]
        sets[split] = ArrayImages(arrays[split], labels, numbers, image_size)
    fingerprint = hashlib.sha256(f"torchvision {name} {_FORMAT} {image_size}".encode()).hexdigest()[:16]
    counts = {"used": len(sets["train"]) + len(sets["test"])}
    spec = replace(spec, train_size=len(sets["train"]), test_size=len(sets["test"]))
    return Dataset(spec, sets["train"], sets["test"], fingerprint, counts=counts)


def is_fetched(name: str) -> bool:
    """Return whether one of :data:`DOWNLOADS` is decoded already, so that it is read without torchvision."""
    return open_arrays(f"{name}-{_FORMAT}", _ARRAYS) is not None


def what_to_put_where(name: str, folder: Path | None = None) -> str:
    """Return what a person puts where, for a machine that cannot download.

    Args:
        name: one of :data:`DOWNLOADS`, or imagenette.
        folder: where torchvision's files are looked for; the dataset's own folder in the cache when not given.
    """
    if name == "imagenette":
        parent = datasets_dir() / "imagenette"
        return f"unpack {IMAGENETTE_URL} in {parent}, or give the folder that holds its train and val folders"
    source, folder = DOWNLOADS[name], folder or datasets_dir() / name
    return f"get {source.url} and put {source.needs} in {folder}, or give a folder of images in its place"


def fetch_imagenette(report: Report | None = None) -> Path:
    """Return the folder of Imagenette, downloading it the first time: 1.5 GB, full size.

    Raises:
        DataError: it cannot be downloaded; the text says what to put where.
    """
    folder = datasets_dir() / "imagenette" / "imagenette2"
    if (folder / "train").is_dir():
        return folder
    with _one_at_a_time("imagenette"):
        if not (folder / "train").is_dir():
            with _told("imagenette", what_to_put_where("imagenette"), report):
                folder.parent.mkdir(parents=True, exist_ok=True)
                made = Path(tempfile.mkdtemp(prefix=".imagenette-", dir=folder.parent))
                try:  # torchvision takes any folder of that name for whole, so it is unpacked elsewhere and renamed
                    _torchvision().Imagenette(str(made), download=True)
                    (made / "imagenette2").rename(folder)
                finally:
                    shutil.rmtree(made, ignore_errors=True)
    return folder


def _fetch(name: str, folder: Path, report: Report | None) -> tuple[Arrays, Arrays]:
    """Read a dataset from its folder, downloading it when it is not there."""
    source = DOWNLOADS[name]
    with _one_at_a_time(name), _told(name, what_to_put_where(name, folder), report):
        module = _torchvision()
        with contextlib.suppress(RuntimeError):  # raised when the files are not there or not whole
            return source.read(module, str(folder), False)
        return source.read(module, str(folder), True)


def _torchvision() -> Any:
    """Import torchvision's datasets; only here, since that takes seconds and brings torch."""
    from torchvision import datasets

    return datasets


@contextlib.contextmanager
def _one_at_a_time(name: str) -> Iterator[None]:
    """Hold a lock while a dataset is read or downloaded, so that two processes do not write the same files."""
    with contextlib.ExitStack() as held:
        with contextlib.suppress(OSError):  # where no lock can be written nothing can be downloaded either
            datasets_dir().mkdir(parents=True, exist_ok=True)
            held.enter_context(FileLock(str(datasets_dir() / f".{name}.lock")))
        yield


@contextlib.contextmanager
def _told(name: str, where: str, report: Report | None) -> Iterator[None]:
    """Report a download, keep its chatter off stdout, and turn what can go wrong into one sentence."""
    if report:
        report("download", 0, 1)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    except (OSError, RuntimeError, ValueError, EOFError, ImportError) as error:
        reason = str(getattr(error, "reason", None) or error).splitlines() or [type(error).__name__]
        raise DataError(f"dataset: {name} could not be downloaded ({reason[0].rstrip('.: ')}); {where}.") from None
    if report:
        report("download", 1, 1)
