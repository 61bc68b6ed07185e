"""Datasets that torchvision downloads: fetched once, decoded once, and read without torchvision from then on.

A machine without a network gets one sentence that says which file to put where.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock

from delt_engine.data.cache import datasets_dir, open_arrays, store_arrays
from delt_engine.data.dataset import Dataset, DatasetSpec, Report, dataset_of_arrays
from delt_engine.errors import DataError
from delt_engine.paths import expanded

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
        kind, splits: its class in torchvision, and what that takes for train and for test.
    """

    url: str
    needs: str
    kind: str
    splits: tuple[dict[str, Any], dict[str, Any]] = ({"train": True}, {"train": False})

    def read(self, root: Path, download: bool) -> tuple[Arrays, Arrays]:
        """Return images, uint8 (N, H, W, 3), and labels (N,) of train and of test."""
        found = []
        for split in self.splits:
            part = getattr(_torchvision(), self.kind)(str(root), download=download, **split)
            images = np.asarray(part.data)
            if images.ndim == 3:  # grey, (N, H, W)
                images = np.repeat(images[..., None], 3, axis=3)
            elif images.shape[1] == 3:  # (N, 3, H, W)
                images = np.ascontiguousarray(images.transpose(0, 2, 3, 1))
            found.append((images, np.asarray(part.targets if hasattr(part, "targets") else part.labels)))
        return found[0], found[1]


_NAMED_SPLITS = ({"split": "train"}, {"split": "test"})
_TORONTO, _STANFORD = "https://www.cs.toronto.edu/~kriz", "http://ai.stanford.edu/~acoates/stl10"

DOWNLOADS: dict[str, Download] = {
    "cifar10": Download(f"{_TORONTO}/cifar-10-python.tar.gz", "cifar-10-batches-py", "CIFAR10"),
    "cifar100": Download(f"{_TORONTO}/cifar-100-python.tar.gz", "cifar-100-python", "CIFAR100"),
    "svhn": Download(
        "http://ufldl.stanford.edu/housenumbers", "train_32x32.mat and test_32x32.mat", "SVHN", _NAMED_SPLITS
    ),
    "stl10": Download(f"{_STANFORD}/stl10_binary.tar.gz", "stl10_binary", "STL10", _NAMED_SPLITS),
    "mnist": Download("https://ossci-datasets.s3.amazonaws.com/mnist", "MNIST/raw", "MNIST"),
    "fashion-mnist": Download("https://github.com/zalandoresearch/fashion-mnist", "FashionMNIST/raw", "FashionMNIST"),
}
"""Datasets of torchvision that are read from its arrays."""

IMAGENETTE_URL = "https://s3.amazonaws.com/fast-ai-imageclas/imagenette2.tgz"


def load_download(spec: DatasetSpec, root: str | Path | None = None, report: Report | None = None) -> Dataset:
    """Load one of :data:`DOWNLOADS`, downloading it the first time.

    ``root`` is the folder of torchvision's files, by default one in the cache; ``report`` gets ("download", done, 1).

    Raises:
        DataError: it is not there and cannot be downloaded; the text says what to put where.
    """
    name = spec.name
    arrays = open_arrays(f"{name}-{_FORMAT}", _ARRAYS)
    if arrays is None:
        source, folder = DOWNLOADS[name], expanded(root).absolute() if root else datasets_dir() / name
        with _fetching(name, download_by_hand(name, folder), report):
            try:
                train, test = source.read(folder, download=False)
            except RuntimeError:  # the files are not there or not whole
                train, test = source.read(folder, download=True)
        arrays = {"train": train[0], "test": test[0], "train_labels": train[1], "test_labels": test[1]}
        arrays = store_arrays(f"{name}-{_FORMAT}", arrays)
    fingerprint = hashlib.sha256(f"torchvision {name} {_FORMAT} {spec.image_size}".encode()).hexdigest()[:16]
    return dataset_of_arrays(spec, arrays, fingerprint)


def is_fetched(name: str) -> bool:
    """Return whether one of :data:`DOWNLOADS` is decoded already, so that it is read without torchvision."""
    return open_arrays(f"{name}-{_FORMAT}", _ARRAYS) is not None


def download_by_hand(name: str, folder: Path | None = None) -> str:
    """Return what a person puts where, in torchvision's ``folder``, for a machine that cannot download."""
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
    with _fetching("imagenette", download_by_hand("imagenette"), report):
        if not (folder / "train").is_dir():  # another process may have been faster
            folder.parent.mkdir(parents=True, exist_ok=True)
            made = Path(tempfile.mkdtemp(prefix=".imagenette-", dir=folder.parent))
            try:  # torchvision takes any folder of that name for whole, so it is unpacked elsewhere and renamed
                _torchvision().Imagenette(str(made), download=True)
                (made / "imagenette2").rename(folder)
            finally:
                shutil.rmtree(made, ignore_errors=True)
    return folder


def _torchvision() -> Any:
    """Import torchvision's datasets; only here, since that takes seconds and brings torch."""
    from torchvision import datasets

    return datasets


@contextlib.contextmanager
def _fetching(name: str, where: str, report: Report | None) -> Iterator[None]:
    """Let no other process write the same files meanwhile, and turn what can go wrong into one sentence."""
    with contextlib.ExitStack() as held:
        with contextlib.suppress(OSError):  # where no lock can be written nothing can be downloaded either
            datasets_dir().mkdir(parents=True, exist_ok=True)
            held.enter_context(FileLock(str(datasets_dir() / f".{name}.lock")))
        if report:
            report("download", 0, 1)
        try:
            with contextlib.redirect_stdout(io.StringIO()):  # torchvision's chatter
                yield
        except (OSError, RuntimeError, ValueError, EOFError, ImportError) as error:
            reason = str(getattr(error, "reason", None) or error).splitlines() or [type(error).__name__]
            raise DataError(f"dataset: {name} could not be downloaded ({reason[0].rstrip('.: ')}); {where}.") from None
        if report:
            report("download", 1, 1)
