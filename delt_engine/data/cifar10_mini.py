"""The built-in dataset ``cifar10-mini``: a seeded sample of CIFAR-10 that ships with the package as one zip of JPEGs.

Source: Krizhevsky, Learning Multiple Layers of Features from Tiny Images (2009). What was drawn, from which copies and
under which terms stands on the card beside the file, ``assets/datasets/README.md``.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

from delt_engine.data.cache import cached_arrays
from delt_engine.data.dataset import Dataset, DatasetSpec, dataset_of_arrays
from delt_engine.data.decode import resize_box
from delt_engine.errors import DataError
from delt_engine.paths import assets_dir

SEED = 20250611
PER_CLASS = {"train": 200, "test": 100}
"""Images of each class that are drawn from a split of CIFAR-10."""


def sample_path() -> Path:
    """Return the shipped zip."""
    return assets_dir() / "datasets" / "cifar10-mini.zip"


def cifar10_mini(spec: DatasetSpec) -> Dataset:
    """Return the sample at the size of ``spec``, decoded once and cached.

    Raises:
        DataError: the shipped file is missing or damaged.
    """
    path = sample_path()
    try:
        packed = path.read_bytes()
        fingerprint = hashlib.sha256(packed + str(spec.image_size).encode()).hexdigest()[:16]
        names = ("train", "test", "train_labels", "test_labels")
        arrays = cached_arrays(
            f"cifar10-mini-{fingerprint}", names, lambda: _decoded(packed, spec.class_names, spec.image_size)
        )
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise DataError(f"cifar10-mini: {path} is missing or damaged ({error}); install the package again.") from None
    return dataset_of_arrays(spec, arrays, fingerprint, counted_by_class=True)


def _decoded(packed: bytes, class_names: tuple[str, ...], image_size: int) -> dict[str, np.ndarray]:
    """Read all images, class by class in the order of their names, at S."""
    images: dict[str, list[np.ndarray]] = {split: [] for split in PER_CLASS}
    labels: dict[str, list[int]] = {split: [] for split in PER_CLASS}
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        for name in sorted(archive.namelist()):
            split, class_name, _ = name.split("/")
            picture = Image.open(io.BytesIO(archive.read(name))).convert("RGB")
            images[split].append(resize_box(picture, (0, 0, picture.height, picture.width), image_size))
            labels[split].append(class_names.index(class_name))
    arrays = {split: np.stack(found) for split, found in images.items()}
    return arrays | {f"{split}_labels": np.array(found) for split, found in labels.items()}


def draw_sample(source: Path, out: Path, seed: int = SEED) -> None:
    """Draw the sample anew from a folder of CIFAR-10 images and write the zip, bytes of the files as they are.

    Args:
        source: holds ``train`` and ``test``, each with a folder of image files a class.
        out: the zip to write.
        seed: of the draw. A file is taken by its place in a seeded order of its class's sorted file names.

    Raises:
        DataError: a class has fewer images than are to be drawn.
    """
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for part, (split, count) in enumerate(PER_CLASS.items()):
            for label, folder in enumerate(sorted(path for path in (source / split).iterdir() if path.is_dir())):
                files = sorted(folder.iterdir())
                if len(files) < count:
                    raise DataError(f"cifar10-mini: {folder} has {len(files)} images, but {count} are to be drawn.")
                order = np.argsort(np.random.Generator(np.random.PCG64([seed, part, label])).random(len(files)))
                for place in sorted(order[:count].tolist()):
                    entry = zipfile.ZipInfo(f"{split}/{folder.name}/{files[place].name}")
                    archive.writestr(entry, files[place].read_bytes(), zipfile.ZIP_DEFLATED)
