"""Which datasets there are: tables of sizes, statistics and sources, and the way from a name to a Dataset.

Source: mean and std of ``photos`` and ``digits`` are computed from their train images (a test repeats it), those of
CIFAR-10, its sample and the other small sets are of their published train images, ImageNet's are torchvision's and
serve its subsets. Teacher accuracies are those of RDED's teachers (README of RDED), ResNet-18 with the small stem up
to 64 px; ImageNet-1K's is torchvision's ResNet-18. Class names are those of each dataset's label file, in the order of
the labels; for ImageNet and what is made of it torchvision's names of the class folders. ImageNet-21K-P is that of
winter 2021 (CDA Appendix A: 10,450 classes); its training code does not normalise, so its mean is 0 and its std 1.
ImageNet-100 has CMC's classes, and so CMC's 126,689 train images.
Differs: published distillation code writes 0.2023, 0.1994, 0.2010 as CIFAR-10's std, a mean over per-image values;
here it is the std over all pixels.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path

from delt_engine import access
from delt_engine.config import Resize
from delt_engine.data.built_in import PHOTOGRAPHS, digits, photos
from delt_engine.data.cache import datasets_dir
from delt_engine.data.cifar10_mini import cifar10_mini
from delt_engine.data.class_lists import class_titles
from delt_engine.data.dataset import Dataset, DatasetSpec, Report, as_shown
from delt_engine.data.downloads import fetch_imagenette, load_download
from delt_engine.data.folder import FolderTraits, load_folder
from delt_engine.data.layout import TRAIN_NAMES
from delt_engine.errors import DataError
from delt_engine.paths import data_dirs, data_folder, expanded

MIN_SIZE, MAX_SIZE = 8, 1024
"""Limits of the image size in pixels, as in Experiment."""


@dataclass(frozen=True)
class CatalogueEntry(FolderTraits):
    """One dataset of the table.

    Attributes:
        class_names: empty when they are the folder's own.
        teacher_accuracy: published top-1 test accuracy of a ResNet-18 teacher in percent, if there is one.
        recipe: a way to train a teacher that does well.
        folders: names of the folder it is unpacked to.
        part_of: a dataset whose folder holds this one's classes among others; it is read from there where it has no
            folder of its own.
        striking: the class that pages open with where none is asked for; the first where it is empty.
        train_size, test_size: images in each split, where known beforehand.
    """

    class_names: tuple[str, ...] = ()
    teacher_accuracy: float | None = None
    recipe: str = ""
    folders: tuple[str, ...] = ()
    part_of: str = ""
    striking: str = ""
    train_size: int = 0
    test_size: int = 0

    @property
    def download(self) -> bool:
        """Whether it can be fetched from here."""
        return self.kind == "torchvision"


# name: title, kind, classes, side in pixels, train and test images, accuracy of the published teacher
_ROWS = {
    "cifar10-mini": ("CIFAR-10 mini", "built-in", 10, 32, 2000, 1000, None),
    "photos": ("Photos", "built-in", 10, 32, 5000, 1000, None),
    "digits": ("Digits", "built-in", 10, 32, 1438, 359, None),
    "cifar10": ("CIFAR-10", "torchvision", 10, 32, 50000, 10000, 93.86),
    "cifar100": ("CIFAR-100", "torchvision", 100, 32, 50000, 10000, 72.27),
    "tiny-imagenet": ("Tiny-ImageNet", "folder", 200, 64, 100000, 10000, 61.98),
    "imagenette": ("ImageNette", "torchvision", 10, 224, 9469, 3925, 90.0),
    "imagewoof": ("ImageWoof", "folder", 10, 224, 9025, 3929, 75.0),
    "imagenet-100": ("ImageNet-100", "folder", 100, 224, 126689, 5000, 83.4),
    "imagenet-1k": ("ImageNet-1K", "folder", 1000, 224, 1281167, 50000, 69.76),
    "imagenet-21k": ("ImageNet-21K-P", "folder", 10450, 224, 11060223, 522500, None),
    "svhn": ("SVHN", "torchvision", 10, 32, 73257, 26032, None),
    "stl10": ("STL-10", "torchvision", 10, 96, 5000, 8000, None),
    "mnist": ("MNIST", "torchvision", 10, 32, 60000, 10000, None),
    "fashion-mnist": ("Fashion-MNIST", "torchvision", 10, 32, 60000, 10000, None),
}

# name: mean and std of each channel, of pixels in [0, 1]
_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_CIFAR10 = ((0.4914, 0.4822, 0.4465), (0.247, 0.2435, 0.2616))
_STATISTICS = {
    "cifar10-mini": _CIFAR10,
    "photos": ((0.4592, 0.3571, 0.3132), (0.3245, 0.2604, 0.2615)),
    "digits": ((0.3099, 0.3099, 0.3099), (0.3493, 0.3493, 0.3493)),
    "cifar10": _CIFAR10,
    "cifar100": ((0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762)),
    "tiny-imagenet": ((0.4802, 0.4481, 0.3975), (0.277, 0.2691, 0.2821)),
    "imagenet-21k": ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
    "svhn": ((0.4377, 0.4438, 0.4728), (0.198, 0.201, 0.197)),
    "stl10": ((0.4467, 0.4398, 0.4066), (0.2603, 0.2566, 0.2713)),
    "mnist": ((0.1307, 0.1307, 0.1307), (0.3081, 0.3081, 0.3081)),
    "fashion-mnist": ((0.286, 0.286, 0.286), (0.353, 0.353, 0.353)),
}

# name: what it is, and a recipe for a teacher
_TEXTS = {
    "cifar10-mini": (
        "A sample of CIFAR-10: 200 train and 100 test images of ten animals and vehicles. No download.",
        "the shipped one, trained on all 50,000 images of CIFAR-10",
    ),
    "photos": (
        "Crops of ten real photographs, one class each; train and test are from disjoint parts. No download.",
        "resnet18, width 0.25, small stem, 12 to 18 epochs",
    ),
    "digits": (
        "Handwritten digits of 8 x 8 pixels, enlarged. No download.",
        "resnet18, width 0.25, small stem, 10 epochs",
    ),
    "cifar10": ("Ten kinds of animals and vehicles, 32 x 32 pixels.", "resnet18, small stem, 60 epochs"),
    "cifar100": ("A hundred kinds of things, 32 x 32 pixels.", "resnet18, small stem, 100 epochs"),
    "tiny-imagenet": ("200 classes of ImageNet at 64 x 64 pixels.", "resnet18, small stem, 100 epochs"),
    "imagenette": ("Ten easy classes of ImageNet.", "resnet18, stock stem, 60 epochs"),
    "imagewoof": ("Ten breeds of dogs.", "resnet18, stock stem, 60 epochs"),
    "imagenet-100": (
        "A hundred classes of ImageNet, those that the field draws since CMC (2019).",
        "resnet18, stock stem, 100 epochs",
    ),
    "imagenet-1k": ("ImageNet's thousand classes.", "torchvision's weights: delt teachers add torchvision:resnet18"),
    "imagenet-21k": ("ImageNet's classes with many images, 224 x 224 pixels.", "resnet18, stock stem, 80 epochs"),
    "svhn": ("House numbers, 32 x 32 pixels.", "resnet18, width 0.5, small stem, 20 epochs"),
    "stl10": ("Ten kinds of animals and vehicles, 96 x 96 pixels.", "resnet18, small stem, 60 epochs"),
    "mnist": ("Handwritten digits, 28 x 28 pixels, enlarged.", "convnet-3, 10 epochs"),
    "fashion-mnist": ("Articles of clothing, 28 x 28 pixels, enlarged.", "convnet-3, 20 epochs"),
}

_FOLDERS = {
    "cifar10": ("cifar10", "cifar-10"),
    "cifar100": ("cifar100", "cifar-100"),
    "tiny-imagenet": ("tiny-imagenet-200", "tiny-imagenet"),
    "imagenette": ("imagenette2", "imagenette2-320", "imagenette2-160", "imagenette"),
    "imagewoof": ("imagewoof2", "imagewoof2-320", "imagewoof2-160", "imagewoof"),
    "imagenet-100": ("imagenet-100", "imagenet100"),
    "imagenet-1k": ("imagenet", "imagenet-1k", "ILSVRC2012", "ILSVRC/Data/CLS-LOC"),
    "imagenet-21k": ("imagenet21k_resized", "imagenet21k", "imagenet-21k", "imagenet-21k-p"),
}

_PART_OF = {name: "imagenet-1k" for name in ("imagenette", "imagewoof", "imagenet-100")}
"""What is read from ImageNet-1K's folder where it has none of its own, as RDED and DELT have it, with 50 test images a
class; the downloads of ImageNette and ImageWoof split the same classes' images otherwise."""


_STRIKING = {"cifar10-mini": "horse", "photos": "temple"}

_NUMERALS = tuple("0123456789")
_CIFAR100 = """
apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can
castle caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin
elephant flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard
lobster man maple_tree motorcycle mountain mouse mushroom oak_tree orange orchid otter palm_tree pear
pickup_truck pine_tree plain plate poppy porcupine possum rabbit raccoon ray road rocket rose sea seal
shark shrew skunk skyscraper snail snake spider squirrel streetcar sunflower sweet_pepper table tank
telephone television tiger tractor train trout tulip turtle wardrobe whale willow_tree wolf woman worm
"""
_FASHION = ("t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")
_CIFAR10_NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
_CLASS_NAMES = {
    "cifar10-mini": _CIFAR10_NAMES,
    "photos": tuple(PHOTOGRAPHS),
    "digits": _NUMERALS,
    "cifar10": _CIFAR10_NAMES,
    "cifar100": tuple(_CIFAR100.split()),
    "svhn": _NUMERALS,
    "stl10": ("airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck"),
    "mnist": _NUMERALS,
    "fashion-mnist": _FASHION,
}

CATALOGUE: dict[str, CatalogueEntry] = {
    name: CatalogueEntry(
        *(name, title, kind, _TEXTS[name][0], size, *_STATISTICS.get(name, _IMAGENET), classes),
        class_titles=class_titles(name),
        class_names=_CLASS_NAMES.get(name, ()),
        teacher_accuracy=accuracy,
        recipe=_TEXTS[name][1],
        folders=_FOLDERS.get(name, ()),
        part_of=_PART_OF.get(name, ""),
        striking=_STRIKING.get(name, ""),
        train_size=train_size,
        test_size=test_size,
    )
    for name, (title, kind, classes, size, train_size, test_size, accuracy) in _ROWS.items()
}
"""The datasets known by name, in the order they are shown."""


def dataset_names() -> list[str]:
    """Return the names of the catalogue, the built-in sets first."""
    return list(CATALOGUE)


@lru_cache(maxsize=1024)
def find_entry(name: str) -> CatalogueEntry | None:
    """Return the entry of a name, whatever its case and hyphens; None for a folder's path or an unknown name.

    >>> find_entry("CIFAR-10").title, find_entry("some/folder")
    ('CIFAR-10', None)
    """
    return next((entry for own, entry in CATALOGUE.items() if _plain(own) == _plain(name)), None)


def dataset_ref(dataset: Dataset) -> str:
    """Return what ``--dataset`` takes for it from anywhere: its name in the catalogue, else the folder's full path."""
    name = dataset.spec.name
    return name if find_entry(name) or dataset.root is None else str(Path(dataset.root).absolute())


def load_dataset(
    name: str,
    image_size: int | None = None,
    root: str | Path | None = None,
    report: Report | None = None,
    resize: Resize = "whole",
) -> Dataset:
    """Load a dataset by its name in the catalogue, or a folder of images by its path.

    The images are squares of ``image_size`` pixels, as the dataset has it when not given, made as ``resize`` says; see
    :mod:`delt_engine.data.decode`. ``root`` is where a named
    dataset's files are: its own folder or the one around it; built-in sets need none.

    Raises:
        DataError: unknown name, missing folder or files, or a folder that cannot be a dataset.
    """
    if image_size is not None and not MIN_SIZE <= image_size <= MAX_SIZE:
        raise DataError(f"image_size: {image_size} given, but it must be {MIN_SIZE} to {MAX_SIZE} pixels.")
    entry = find_entry(str(name))
    if entry is None:
        path = expanded(name)
        access.check_path(path, "dataset", DataError)
        if str(name) and os.path.exists(path):  # noqa: PTH110 (pathlib's raises at a name that is too long)
            return load_folder(path, image_size, report=report, resize=resize)
        if path.name != str(name):
            raise DataError(f"dataset: the folder {path.absolute()} does not exist.")
        raise DataError(f"dataset: {name!r} given, but it must be a folder or one of {', '.join(CATALOGUE)}.")
    size = image_size or entry.image_size
    columns = {field.name: getattr(entry, field.name) for field in fields(DatasetSpec)}
    spec = DatasetSpec(**{**columns, "image_size": size})
    if entry.name == "cifar10-mini":
        return as_shown(cifar10_mini(spec), resize)
    if entry.name == "photos":
        return as_shown(photos(spec, report), resize)
    if entry.name == "digits":
        return as_shown(digits(spec), resize)
    folder = image_folder(entry, root)
    if folder is None and entry.name == "imagenette" and root is None:
        folder = fetch_imagenette(report)
    if folder is not None:
        return load_folder(folder, size, entry, report, resize)
    if entry.download and entry.class_names:
        return as_shown(load_download(spec, root, report), resize)
    raise DataError(f"dataset: {entry.name} was not found; {where_it_goes(entry, root)}.")


def _plain(name: str) -> str:
    return name.lower().replace("-", "").replace("_", "")


def image_folder(entry: CatalogueEntry, root: str | Path | None = None) -> Path | None:
    """Return the folder with train images of a named dataset, if it is where it may be.

    Those are ``root``, or the folder that ``DELT_DATA`` names for it, the cache of datasets and the other folders of
    ``DELT_DATA``. A dataset without a folder of its own is in that of the dataset it is part of.
    """
    names = (entry.name, *entry.folders)
    if root is not None:
        base = expanded(root)
        places = [base, *(base / name for name in names)]
    else:
        own = datasets_dir() / entry.name
        places = [*filter(None, [data_folder(entry.name)]), own]
        places += [folder / name for folder in (own, datasets_dir(), *data_dirs()) for name in names]
        places += [folder for folder in data_dirs() if folder.name in names]
    found = next((place for place in places for train in TRAIN_NAMES if (place / train).is_dir()), None)
    return image_folder(CATALOGUE[entry.part_of], root) if found is None and entry.part_of else found


def where_it_goes(entry: CatalogueEntry, root: str | Path | None = None) -> str:
    """Return what a person puts where for a dataset that is not there."""
    place = expanded(root).absolute() if root else datasets_dir() / entry.name
    folders = f"put its train and val folders, with one folder of images a class, in {place}"
    whole = f", or those of ImageNet-1K in {datasets_dir() / entry.part_of}" if entry.part_of and not root else ""
    return f"{folders}{whole}, or give the path of the folder that holds them as the dataset"
