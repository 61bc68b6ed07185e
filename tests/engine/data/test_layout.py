import os
from pathlib import Path

import pytest
from small_pictures import flat

from delt_engine.data.layout import check_layout, innermost, list_files
from delt_engine.errors import DataError

RED, BLUE = (255, 0, 0), (0, 0, 255)


def two_classes(root: Path) -> Path:
    flat(root / "b" / "1.png", RED)
    flat(root / "a" / "2.png", BLUE)
    return root


def test_train_and_test_are_listed_in_order(pets: Path) -> None:
    listing = list_files(pets)
    assert listing.class_names == ("cat", "dog")
    assert listing.has_split
    assert listing.names[:4] == ["train/cat/c0.png", "train/cat/c1.png", "train/cat/c2.png", "train/dog/d0.png"]
    assert listing.names[5:] == ["test/cat/c0.png", "test/dog/d0.png"]
    assert listing.labels.tolist() == [0, 0, 0, 1, 1, 0, 1]
    assert listing.is_test.tolist() == [False] * 5 + [True] * 2
    assert listing.sizes[0] == (pets / "train/cat/c0.png").stat().st_size
    assert listing.mtimes[0] == (pets / "train/cat/c0.png").stat().st_mtime_ns


def test_names_of_the_halves_in_any_case(tmp_path: Path) -> None:
    two_classes(tmp_path / "x" / "Train")
    flat(tmp_path / "x" / "Validation" / "a" / "3.png", RED)
    assert list_files(tmp_path / "x").names[2:] == ["Validation/a/3.png"]


def test_tiny_imagenet_as_it_is_distributed(tmp_path: Path) -> None:
    root = tmp_path / "tiny"
    for name in ("n01", "n02"):
        flat(root / "train" / name / "images" / f"{name}_0.JPEG", RED)
    for number in range(3):
        flat(root / "val" / "images" / f"val_{number}.JPEG", RED)
    flat(root / "test" / "images" / "test_0.JPEG", RED)  # without labels: it gives way to val
    (root / "val" / "val_annotations.txt").write_text("val_0.JPEG\tn02\t0\t0\t9\t9\nval_1.JPEG\tn01\t0\t0\t9\t9\n")
    listing = list_files(root)
    assert listing.names[2:] == ["val/images/val_1.JPEG", "val/images/val_0.JPEG"]
    assert listing.labels.tolist() == [0, 1, 0, 1]


def test_deep_hidden_and_other_files(tmp_path: Path) -> None:
    root = two_classes(tmp_path / "x")
    flat(root / "a" / "deep" / "er" / "3.PNG", RED)
    flat(root / "a" / ".hidden.png", RED)
    flat(root / ".git" / "4.png", RED)
    flat(root / "__MACOSX" / "5.png", RED)
    (root / "a" / "notes.txt").write_text("x")
    (root / "README").write_text("x")
    listing = list_files(root)
    assert listing.names == ["a/2.png", "a/deep/er/3.PNG", "b/1.png"]
    assert listing.ignored == 2
    assert not listing.has_split
    assert not listing.is_test.any()


def test_links_that_lead_nowhere_or_in_a_circle(tmp_path: Path) -> None:
    root = two_classes(tmp_path / "x")
    (root / "a" / "gone.png").symlink_to(tmp_path / "nothing.png")
    (root / "a" / "up").symlink_to(root / "a", target_is_directory=True)
    listing = list_files(root)
    assert listing.names == ["a/2.png", "b/1.png"]
    assert listing.refused == (("a/gone.png", "No such file or directory"),)


def test_a_name_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    root = two_classes(tmp_path / "x")
    try:
        Path(os.fsdecode(os.fsencode(root) + b"/a/\xff.png")).write_bytes(b"x")
    except OSError:  # this file system allows no such name, so there is nothing to refuse
        return
    listing = list_files(root)
    assert listing.names == ["a/2.png", "b/1.png"]
    assert listing.refused == ((r"a/\udcff.png", "its name is not UTF-8"),)


def test_fingerprint_follows_names_bytes_times_and_size(tmp_path: Path) -> None:
    root = two_classes(tmp_path / "x")
    first = list_files(root)
    assert first.fingerprint(32) == list_files(root).fingerprint(32)
    assert first.fingerprint(32) != first.fingerprint(64)
    os.utime(root / "a" / "2.png", ns=(5, 5))
    second = list_files(root).fingerprint(32)
    (root / "a" / "2.png").rename(root / "a" / "3.png")
    third = list_files(root).fingerprint(32)
    assert len({first.fingerprint(32), second, third}) == 3


TRAIN = ["train/a/1.png", "train/b/1.png"]


@pytest.mark.parametrize(
    ("files", "text"),
    [
        (None, r"dataset: the folder .*x does not exist\."),
        ([], r"dataset: .*x is empty; it should hold one folder of images a class\."),
        ([""], r"dataset: .*x is a file, but a folder of images is needed; unpack it first\."),
        (["1.png"], r"dataset: .*x has images but no class folders; put each class's images in a folder of its own\."),
        (["train/a/1.png"], r"dataset: .*x has one class folder, 'a', but at least two are needed\."),
        ([*TRAIN, "train/c/.hidden"], r"classes: 'c' has no image file in .*train; remove the folder or fill it\."),
        (["a/1.png", "b/1.png", "docs/a.txt"], r"classes: 'docs' has no image file in .*x; remove the folder or fill"),
        (["test/a/1.png"], r"dataset: .*x has 'test' but no 'train' folder\."),
        (
            [*TRAIN, "val/a/1.png", "val/b/1.png", "val/zebra/1.png"],
            r"classes: 'zebra' is in .*val but not in train; every class needs train images\.",
        ),
        ([*TRAIN, "test/zebra/1.png"], r"classes: 'zebra' is in .*test but not in train; every class needs train"),
        (["pets/train/a/1.png"], r"dataset: .*x holds another dataset, not class folders; did you mean .*pets\?"),
    ],
)
def test_folders_that_are_no_dataset(tmp_path: Path, files: list[str] | None, text: str) -> None:
    root = tmp_path / "x"
    if files == []:
        root.mkdir()
    for name in files or ():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"only its name counts")
    with pytest.raises(DataError, match=text) as caught:
        list_files(root)
    assert "\n" not in str(caught.value)
    if "zebra" not in text:  # classes of tests are looked at when all is listed
        with pytest.raises(DataError, match=text):
            check_layout(root)


def test_a_look_at_the_layout_counts_the_classes_and_finds_what_is_inside(pets: Path) -> None:
    assert check_layout(pets) == 2
    assert check_layout(two_classes(pets.parent / "x" / "wrapped" / "inner")) == 2
    assert innermost(pets.parent / "x") == pets.parent / "x" / "wrapped" / "inner"
    assert innermost(pets) == pets
