from pathlib import Path

import pytest
from small_pictures import flat

from delt_engine.data.catalogue import CATALOGUE, find_entry, load_dataset
from delt_engine.errors import DataError


def test_names_of_labels_are_torchvisions() -> None:
    from torchvision import datasets

    assert CATALOGUE["imagenette"].class_titles == tuple(
        (folder, names[0]) for folder, names in datasets.Imagenette._WNID_TO_CLASS.items()
    )
    assert CATALOGUE["cifar100"].class_names == tuple(sorted(CATALOGUE["cifar100"].class_names))
    plain = [name.lower().replace("t-shirt/top", "t-shirt") for name in datasets.FashionMNIST.classes]
    assert CATALOGUE["fashion-mnist"].class_names == tuple(plain)


@pytest.mark.parametrize(
    ("given", "name"), [("CIFAR-10", "cifar10"), ("tiny_imagenet", "tiny-imagenet"), ("Photos", "photos")]
)
def test_names_are_found_however_they_are_spelt(given: str, name: str) -> None:
    assert find_entry(given).name == name


def test_unknown_name_and_missing_folder() -> None:
    with pytest.raises(DataError, match=r"dataset: 'fish' given, but it must be a folder or one of cifar10-mini, "):
        load_dataset("fish")
    with pytest.raises(DataError, match=r"dataset: the folder .*no/such does not exist"):
        load_dataset("no/such")
    with pytest.raises(DataError, match=r"dataset: '' given, but it must be"):
        load_dataset("")
    with pytest.raises(DataError, match=r"image_size: 1025 given, but it must be 8 to 1024 pixels"):
        load_dataset("photos", 1025)


def test_a_path_loads_that_folder(pets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_dataset(str(pets), 8).spec.class_names == ("cat", "dog")
    monkeypatch.chdir(pets.parent)
    assert load_dataset("pets", 8).root == str(pets)


def test_a_known_folder_that_is_not_there_says_what_to_put_where(own_cache: Path, tmp_path: Path) -> None:
    text = r"dataset: tiny-imagenet was not found; put its train and val folders, .* in {}, or give the path"
    with pytest.raises(DataError, match=text.format(own_cache / "tiny-imagenet")):
        load_dataset("tiny-imagenet")
    with pytest.raises(DataError, match=text.format(tmp_path / "here")):
        load_dataset("tiny-imagenet", root=tmp_path / "here")


@pytest.mark.parametrize("below", ["", "imagewoof2-160"])
def test_a_known_folder_is_found_and_its_row_used(tmp_path: Path, own_cache: Path, below: str) -> None:
    for split in ("train", "val"):
        for folder, _ in CATALOGUE["imagewoof"].class_titles:
            flat(tmp_path / "data" / below / split / folder / "0.JPEG", (1, 2, 3))
    spec = load_dataset("imagewoof", 16, root=tmp_path / "data").spec
    assert (spec.name, spec.title, spec.image_size, spec.train_size) == ("imagewoof", "ImageWoof", 16, 10)
    assert spec.mean == (0.485, 0.456, 0.406)
    assert spec.class_names[2] == "beagle"


def test_a_folder_of_images_stands_in_for_a_download(tmp_path: Path, own_cache: Path) -> None:
    for split in ("train", "test"):
        for name in CATALOGUE["cifar10"].class_names:
            flat(tmp_path / "cifar" / split / name / "0.png", (1, 2, 3))
    spec = load_dataset("cifar10", root=tmp_path / "cifar").spec
    assert (spec.name, spec.kind, spec.train_size) == ("cifar10", "torchvision", 10)
    assert spec.class_names == CATALOGUE["cifar10"].class_names


def test_a_known_name_with_other_classes(pets: Path) -> None:
    with pytest.raises(DataError, match=r"cifar10 has 10 classes, but .*pets holds 2 class folders; give the folder's"):
        load_dataset("cifar10", root=pets)
