"""Places: what is at hand, what to put where, and the list of folders a user added."""

import numpy as np
import pytest
from PIL import Image
from small_pictures import flat

from delt_engine.data.available import add_folder, forget_folder, known_folders, place_of, places
from delt_engine.data.catalogue import load_dataset
from delt_engine.data.folder import sizes_read
from delt_engine.errors import DataError


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("DELT_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def pictures(tmp_path):
    for name in ("a", "b"):
        (tmp_path / "pictures" / name).mkdir(parents=True)
        for number in range(3):
            pixels = np.full((8, 8, 3), 40 * number, np.uint8)
            Image.fromarray(pixels).save(tmp_path / "pictures" / name / f"{number}.png")
    return tmp_path / "pictures"


def test_built_in_sets_are_ready_and_others_say_what_to_put_where(home) -> None:
    found = {place.name: place for place in places()}
    assert found["photos"].state == found["digits"].state == "ready"
    assert found["cifar10"].state == "download"
    assert "cifar-10-python.tar.gz" in found["cifar10"].note
    assert str(home / "cache" / "datasets" / "cifar10") in found["cifar10"].note
    assert found["tiny-imagenet"].state == "missing"
    assert found["tiny-imagenet"].note.startswith("Put its train and val folders")
    train = home / "cache" / "datasets" / "tiny-imagenet-200" / "train"
    train.mkdir(parents=True)
    assert place_of("tiny-imagenet").state == "unusable"
    for name in ("n01", "n02"):
        flat(train / name / "1.png", (0, 0, 0))
    assert place_of("tiny-imagenet").state == "unread"


def test_a_folder_is_unread_until_it_was_read(pictures) -> None:
    assert place_of(str(pictures)).state == "unread"
    load_dataset(str(pictures))
    assert place_of(str(pictures)).state == "ready"
    assert place_of(str(pictures / "gone")).state == "missing"
    assert "does not exist" in place_of(str(pictures / "gone")).note
    assert "is a file" in place_of(str(pictures / "a" / "0.png")).note


def test_folders_are_added_once_kept_and_forgotten(pictures, home) -> None:
    assert known_folders() == ()
    assert add_folder(f" {pictures} ") == str(pictures)
    add_folder(pictures)
    assert known_folders() == (str(pictures),)
    assert places()[-1].name == str(pictures)
    forget_folder(str(pictures))
    assert known_folders() == ()
    assert pictures.is_dir()


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("", "no folder given"),
        ("nowhere", "does not exist"),
        ("pictures/a/0.png", "is a file"),
        ("pictures/a", "has images but no class folders"),
    ],
)
def test_what_is_no_dataset_is_refused_and_not_listed(name, why, pictures) -> None:
    with pytest.raises(DataError, match=f"dataset: .*{why}"):
        add_folder(pictures.parent / name if name else "")
    assert known_folders() == ()


def test_a_listed_folder_that_was_emptied_says_what_is_wrong(pictures) -> None:
    add_folder(pictures)
    for file in (pictures / "b").iterdir():
        file.unlink()
    assert (place_of(str(pictures)).state, "'b' has no image" in place_of(str(pictures)).note) == ("unusable", True)


def test_a_folder_that_was_read_is_remembered_by_its_sizes(pictures) -> None:
    assert sizes_read(pictures) == {}
    load_dataset(str(pictures))
    assert sizes_read(pictures) == {"num_classes": 2, "image_size": 32, "train_size": 4, "test_size": 2}


@pytest.mark.parametrize("content", ["{", "{}", '[1, "x"]'])
def test_a_damaged_list_counts_as_what_can_be_read_of_it(content, home) -> None:
    home.mkdir()
    (home / "folders.json").write_text(content)
    assert known_folders() == (("x",) if "x" in content else ())
