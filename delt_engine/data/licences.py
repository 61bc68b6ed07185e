"""Under what terms the images of a dataset stand, for what is made of them: a name, a sentence, and where to read it.

Source: the datasets' own pages, as far as they say; scikit-learn's and scikit-image's notes on their sample images;
``assets/datasets/README.md``. Where nothing is said, that is said.
"""

from __future__ import annotations

from dataclasses import dataclass

from delt_engine.data.catalogue import find_entry


@dataclass(frozen=True)
class SourceLicence:
    """Terms of a dataset; ``identifier`` is Hugging Face's for them, ``url`` where the dataset is described."""

    identifier: str
    words: str
    url: str = ""


_CIFAR = SourceLicence(
    "unknown",
    "CIFAR's authors state no licence and ask that Krizhevsky (2009), Learning Multiple Layers of Features from Tiny "
    "Images, be cited; the photographs were collected from the web.",
    "https://www.cs.toronto.edu/~kriz/cifar.html",
)
_IMAGENET = SourceLicence(
    "other",
    "ImageNet's terms of access: non-commercial research and education; the photographs belong to their authors.",
    "https://www.image-net.org/download.php",
)
_DIGITS = SourceLicence(
    "cc-by-4.0",
    "Optical Recognition of Handwritten Digits (Alpaydin and Kaynak, 1998) of the UCI repository, CC BY 4.0.",
    "https://archive.ics.uci.edu/dataset/80",
)
_PHOTOS = SourceLicence(
    "other",
    "Crops of ten photographs. Two of scikit-learn are CC BY 2.0: china.jpg by danielbuechele and flower.jpg by "
    "vultilion. The other eight are scikit-image's sample images, each under the terms that its documentation names.",
    "https://scikit-image.org/docs/stable/api/skimage.data.html",
)
_UNKNOWN = SourceLicence("unknown", "The licence of the source images is not known here; add it before you publish.")

_LICENCES = {
    "cifar10-mini": _CIFAR,
    "cifar10": _CIFAR,
    "cifar100": _CIFAR,
    "digits": _DIGITS,
    "photos": _PHOTOS,
    "svhn": SourceLicence(
        "other", "SVHN is for non-commercial use only (Netzer et al., 2011).", "http://ufldl.stanford.edu/housenumbers/"
    ),
    "stl10": SourceLicence(
        "other",
        "STL-10's images were taken from ImageNet, whose terms hold.",
        "https://cs.stanford.edu/~acoates/stl10/",
    ),
    "mnist": SourceLicence(
        "unknown",
        "MNIST's authors (LeCun, Cortes, Burges) state no licence on their page.",
        "https://yann.lecun.org/exdb/mnist/",
    ),
    "fashion-mnist": SourceLicence(
        "mit", "Fashion-MNIST (Zalando Research), MIT.", "https://github.com/zalandoresearch/fashion-mnist"
    ),
}
_OF_IMAGENET = ("tiny-imagenet", "imagenette", "imagewoof", "imagenet-100", "imagenet-1k", "imagenet-21k")


def source_licence(dataset: str) -> SourceLicence:
    """Return the terms of a dataset by its name; those of a folder are not known.

    >>> source_licence("digits").identifier, source_licence("some/folder").identifier
    ('cc-by-4.0', 'unknown')
    """
    entry = find_entry(dataset)
    if entry is None:
        return _UNKNOWN
    return _IMAGENET if entry.name in _OF_IMAGENET else _LICENCES.get(entry.name, _UNKNOWN)
