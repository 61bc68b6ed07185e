"""Which datasets there are: one table of sizes, statistics and sources, and the way from a name to a Dataset.

Source: mean and std of ``photos`` and ``digits`` are computed from their train images (a test repeats it), those of
CIFAR-10 and the other small sets are of their published train images, ImageNet's are torchvision's and serve its
subsets. Teacher accuracies are those of RDED's teachers (README of RDED), ResNet-18 with the small stem up to 64 px;
ImageNet-1K's is torchvision's ResNet-18.
Differs: published distillation code writes 0.2023, 0.1994, 0.2010 as CIFAR-10's std, a mean over per-image values;
here it is the std over all pixels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from delt_engine.data.cache import datasets_dir
from delt_engine.data.class_names import CIFAR10, CIFAR100, FASHION, IMAGENETTE, IMAGEWOOF, NUMERALS, STL10
from delt_engine.data.dataset import Dataset, DatasetSpec
from delt_engine.data.digits import digits
from delt_engine.data.downloads import fetch_imagenette, load_download
from delt_engine.data.folder import FolderTraits, load_folder
from delt_engine.data.layout import TRAIN_NAMES
from delt_engine.data.photos import PHOTOGRAPHS, RECIPE, photos
from delt_engine.errors import DataError

Report = Callable[[str, int, int], None]
Channels = tuple[float, float, float]

MIN_SIZE, MAX_SIZE = 8, 1024
"""Limits of the image size in pixels, as in Experiment."""

_IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}


@dataclass(frozen=True)
class CatalogueEntry:
    """One dataset of the table.

    Attributes:
        class_names: empty when they are the folder's own.
        mean, std: per channel, of pixels in [0, 1].
        teacher_accuracy: published top-1 test accuracy of a ResNet-18 teacher in percent, if there is one.
        recipe: a way to train a teacher that does well.
        download: whether it can be fetched from here.
        folders: names of the folder it is unpacked to.
        class_titles: readable name of each class folder, if those are codes.
        train_size, test_size: images in each split, where known beforehand.
    """

    name: str
    title: str
    kind: str
    num_classes: int
    image_size: int
    mean: Channels
    std: Channels
    description: str
    teacher_accuracy: float | None = None
    recipe: str = ""
    download: bool = False
    class_names: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()
    class_titles: tuple[tuple[str, str], ...] = ()
    train_size: int = 0
    test_size: int = 0


_ENTRIES = (
    CatalogueEntry(
        "photos",
        "Photos",
        "built-in",
        10,
        32,
        (0.4592, 0.3571, 0.3132),
        (0.3245, 0.2604, 0.2615),
        "Crops of ten real photographs, one class each; train and test are from disjoint parts. No download.",
        recipe="resnet18, width 0.25, small stem, 12 to 18 epochs",
        class_names=tuple(PHOTOGRAPHS),
        train_size=10 * RECIPE.train_per_class,
        test_size=10 * RECIPE.test_per_class,
    ),
    CatalogueEntry(
        "digits",
        "Digits",
        "built-in",
        10,
        32,
        (0.3099, 0.3099, 0.3099),
        (0.3493, 0.3493, 0.3493),
        "Handwritten digits of 8 x 8 pixels, enlarged. No download.",
        recipe="resnet18, width 0.25, small stem, 10 epochs",
        class_names=NUMERALS,
        train_size=1438,
        test_size=359,
    ),
    CatalogueEntry(
        "cifar10",
        "CIFAR-10",
        "torchvision",
        10,
        32,
        (0.4914, 0.4822, 0.4465),
        (0.247, 0.2435, 0.2616),
        "Ten kinds of animals and vehicles, 32 x 32 pixels.",
        93.86,
        "resnet18, small stem, 60 epochs",
        True,
        CIFAR10,
        folders=("cifar10", "cifar-10"),
        train_size=50000,
        test_size=10000,
    ),
    CatalogueEntry(
        "cifar100",
        "CIFAR-100",
        "torchvision",
        100,
        32,
        (0.5071, 0.4865, 0.4409),
        (0.2673, 0.2564, 0.2762),
        "A hundred kinds of things, 32 x 32 pixels.",
        72.27,
        "resnet18, small stem, 100 epochs",
        True,
        CIFAR100,
        folders=("cifar100", "cifar-100"),
        train_size=50000,
        test_size=10000,
    ),
    CatalogueEntry(
        "tiny-imagenet",
        "Tiny-ImageNet",
        "folder",
        200,
        64,
        (0.4802, 0.4481, 0.3975),
        (0.277, 0.2691, 0.2821),
        "200 classes of ImageNet at 64 x 64 pixels.",
        61.98,
        "resnet18, small stem, 100 epochs",
        folders=("tiny-imagenet-200", "tiny-imagenet"),
        train_size=100000,
        test_size=10000,
    ),
    CatalogueEntry(
        "imagenette",
        "ImageNette",
        "torchvision",
        10,
        224,
        **_IMAGENET,
        description="Ten easy classes of ImageNet.",
        teacher_accuracy=90.0,
        recipe="resnet18, stock stem, 60 epochs",
        download=True,
        folders=("imagenette2", "imagenette2-320", "imagenette2-160", "imagenette"),
        class_titles=IMAGENETTE,
        train_size=9469,
        test_size=3925,
    ),
    CatalogueEntry(
        "imagewoof",
        "ImageWoof",
        "folder",
        10,
        224,
        **_IMAGENET,
        description="Ten breeds of dogs.",
        teacher_accuracy=75.0,
        recipe="resnet18, stock stem, 60 epochs",
        folders=("imagewoof2", "imagewoof2-320", "imagewoof2-160", "imagewoof"),
        class_titles=IMAGEWOOF,
        train_size=9025,
        test_size=3929,
    ),
    CatalogueEntry(
        "imagenet-100",
        "ImageNet-100",
        "folder",
        100,
        224,
        **_IMAGENET,
        description="A hundred classes of ImageNet.",
        teacher_accuracy=83.4,
        recipe="resnet18, stock stem, 100 epochs",
        folders=("imagenet-100", "imagenet100"),
    ),
    CatalogueEntry(
        "imagenet-1k",
        "ImageNet-1K",
        "folder",
        1000,
        224,
        **_IMAGENET,
        description="ImageNet's thousand classes.",
        teacher_accuracy=69.76,
        recipe="torchvision's resnet18 weights",
        folders=("imagenet", "imagenet-1k", "ILSVRC2012"),
        train_size=1281167,
        test_size=50000,
    ),
    CatalogueEntry(
        "svhn",
        "SVHN",
        "torchvision",
        10,
        32,
        (0.4377, 0.4438, 0.4728),
        (0.198, 0.201, 0.197),
        "House numbers, 32 x 32 pixels.",
        None,
        "resnet18, width 0.5, small stem, 20 epochs",
        True,
        NUMERALS,
        train_size=73257,
        test_size=26032,
    ),
    CatalogueEntry(
        "stl10",
        "STL-10",
        "torchvision",
        10,
        96,
        (0.4467, 0.4398, 0.4066),
        (0.2603, 0.2566, 0.2713),
        "Ten kinds of animals and vehicles, 96 x 96 pixels.",
        None,
        "resnet18, small stem, 60 epochs",
        True,
        STL10,
        train_size=5000,
        test_size=8000,
    ),
    CatalogueEntry(
        "mnist",
        "MNIST",
        "torchvision",
        10,
        32,
        (0.1307, 0.1307, 0.1307),
        (0.3081, 0.3081, 0.3081),
        "Handwritten digits, 28 x 28 pixels, enlarged.",
        None,
        "convnet-3, 10 epochs",
        True,
        NUMERALS,
        train_size=60000,
        test_size=10000,
    ),
    CatalogueEntry(
        "fashion-mnist",
        "Fashion-MNIST",
        "torchvision",
        10,
        32,
        (0.286, 0.286, 0.286),
        (0.353, 0.353, 0.353),
        "Articles of clothing, 28 x 28 pixels, enlarged.",
        None,
        "convnet-3, 20 epochs",
        True,
        FASHION,
        train_size=60000,
        test_size=10000,
    ),
)

CATALOGUE: dict[str, CatalogueEntry] = {entry.name: entry for entry in _ENTRIES}
"""The datasets known by name, in the order they are shown."""


def dataset_names() -> list[str]:
    """Return the names of the catalogue, the built-in sets first."""
    return list(CATALOGUE)


def find_entry(name: str) -> CatalogueEntry | None:
    """Return the entry of a name, whatever its case and hyphens; None for a folder's path or an unknown name.

    >>> find_entry("CIFAR-10").title, find_entry("some/folder")
    ('CIFAR-10', None)
    """
    return next((entry for entry in _ENTRIES if _plain(entry.name) == _plain(name)), None)


def load_dataset(
    name: str,
    image_size: int | None = None,
    root: str | Path | None = None,
    report: Report | None = None,
) -> Dataset:
    """Load a dataset by its name in the catalogue, or a folder of images by its path.

    Args:
        name: a name of the catalogue, or a folder.
        image_size: S, side of the square images in pixels; as the dataset has it when not given.
        root: where a named dataset's files are: its own folder or the one around it. Built-in sets need none.
        report: called with (what is being done, done, total) while work goes on.

    Returns:
        the dataset, ready to be read.

    Raises:
        DataError: unknown name, missing folder or files, or a folder that cannot be a dataset.
    """
    if image_size is not None and not MIN_SIZE <= image_size <= MAX_SIZE:
        raise DataError(f"image_size: {image_size} given, but it must be {MIN_SIZE} to {MAX_SIZE} pixels.")
    entry = find_entry(str(name))
    if entry is None:
        return load_folder(_existing_folder(str(name)), image_size, report=report)
    size = image_size or entry.image_size
    if entry.name == "photos":
        return photos(_spec(entry, size), size, report)
    if entry.name == "digits":
        return digits(_spec(entry, size), size)
    folder = image_folder(entry, root)
    if folder is None and entry.name == "imagenette" and root is None:
        folder = fetch_imagenette(report)
    if folder is not None:
        return load_folder(folder, size, _folder_traits(entry), report)
    if entry.kind == "torchvision" and entry.class_names:
        return load_download(_spec(entry, size), size, root, report)
    raise DataError(_missing(entry, root))


def _plain(name: str) -> str:
    return name.lower().replace("-", "").replace("_", "")


def _existing_folder(name: str) -> Path:
    """Return the folder of that path.

    Raises:
        DataError: there is none.
    """
    path = Path(name).expanduser()
    if name and path.exists():
        return path
    if path.name != name:
        raise DataError(f"dataset: the folder {path.absolute()} does not exist.")
    raise DataError(f"dataset: {name!r} given, but it must be a folder or one of {', '.join(CATALOGUE)}.")


def _spec(entry: CatalogueEntry, image_size: int) -> DatasetSpec:
    """Return the table row of a dataset whose classes and sizes are known beforehand."""
    return DatasetSpec(
        name=entry.name,
        title=entry.title,
        kind=entry.kind,
        num_classes=entry.num_classes,
        class_names=entry.class_names,
        image_size=image_size,
        mean=entry.mean,
        std=entry.std,
        train_size=entry.train_size,
        test_size=entry.test_size,
        description=entry.description,
    )


def _folder_traits(entry: CatalogueEntry) -> FolderTraits:
    return FolderTraits(
        name=entry.name,
        title=entry.title,
        kind=entry.kind,
        description=entry.description,
        image_size=entry.image_size,
        mean=entry.mean,
        std=entry.std,
        num_classes=entry.num_classes,
        class_titles=entry.class_titles,
    )


def image_folder(entry: CatalogueEntry, root: str | Path | None = None) -> Path | None:
    """Return the folder with train images of a named dataset, if it is where it may be."""
    if root is not None:
        base = Path(root).expanduser()
        places = [base, *(base / folder for folder in entry.folders)]
    else:
        base = datasets_dir()
        places = [base / entry.name, *(base / entry.name / folder for folder in entry.folders)]
        places += [base / folder for folder in entry.folders]
    return next((place for place in places for train in TRAIN_NAMES if (place / train).is_dir()), None)


def where_it_goes(entry: CatalogueEntry, root: str | Path | None = None) -> str:
    """Return what a person puts where for a dataset that is not there."""
    place = Path(root).expanduser().absolute() if root else datasets_dir() / entry.name
    return (
        f"put its train and val folders, with one folder of images a class, in {place}, or give the path of the folder "
        "that holds them as the dataset"
    )


def _missing(entry: CatalogueEntry, root: str | Path | None) -> str:
    return f"dataset: {entry.name} was not found; {where_it_goes(entry, root)}."
