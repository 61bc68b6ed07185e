from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from small_pictures import flat, noisy

from delt_engine.data import folder as module
from delt_engine.data.folder import load_folder, set_aside
from delt_engine.errors import DataError


@pytest.fixture(autouse=True)
def _cache(own_cache: Path) -> None:
    """Let every test start without a cache."""


def test_a_folder_with_a_split(pets: Path) -> None:
    loaded = load_folder(pets, 8)
    spec = loaded.spec
    assert (spec.name, spec.kind, spec.num_classes, spec.class_names) == ("pets", "folder", 2, ("cat", "dog"))
    assert (spec.image_size, spec.train_size, spec.test_size) == (8, 5, 2)
    assert loaded.train.labels.tolist() == [0, 0, 0, 1, 1]
    assert list(loaded.test.names) == ["test/cat/c0.png", "test/dog/d0.png"]
    assert loaded.train.size(0) == (10, 12)
    assert (loaded.train.pixels([0])[0] == [200, 100, 50]).all()
    assert (loaded.test.pixels([1])[0] == [20, 40, 60]).all()
    assert loaded.counts["used"] == 7
    assert loaded.skipped == ()
    assert loaded.root == str(pets)


@pytest.mark.parametrize(("side", "size"), [(5, 32), (32, 32), (100, 64), (300, 224)])
def test_image_size_follows_the_usual_short_side(tmp_path: Path, side: int, size: int) -> None:
    for name in ("a", "b"):
        for number in range(2):
            flat(tmp_path / "x" / name / f"{number}.png", (1, 2, 3), size=(side + 40, side))
    (tmp_path / "x" / "a" / "bad.png").write_text("x")
    assert load_folder(tmp_path / "x").spec.image_size == size


def test_without_a_split_a_fifth_of_each_class_is_test(tmp_path: Path) -> None:
    for name, count in (("a", 10), ("b", 5), ("c", 1)):
        for number in range(count):
            flat(tmp_path / "x" / name / f"{number}.png", (number, 0, 0))
    loaded = load_folder(tmp_path / "x", 8)
    assert np.bincount(loaded.test.labels).tolist() == [2, 1]
    assert np.bincount(loaded.train.labels).tolist() == [8, 4, 1]
    assert not set(loaded.train.names) & set(loaded.test.names)
    assert list(load_folder(tmp_path / "x", 8).test.names) == list(loaded.test.names)


def test_the_choice_for_test_does_not_depend_on_order_and_hardly_on_new_files() -> None:
    names = [f"a/{i}.png" for i in range(100)]
    chosen = set_aside(names)
    assert len(chosen) == 20
    assert set_aside(names[::-1]) == chosen
    assert set_aside(names, seed=1) != chosen
    assert len(set(set_aside([*names, "a/new.png"])) & set(chosen)) >= 19


def odd_files(root: Path) -> None:
    """Write one of every odd kind into class a, and two plain images into class b."""
    a = root / "a"
    for number in range(2):
        flat(root / "b" / f"{number}.png", (1, 2, 3))
    flat(a / "plain.png", (10, 20, 30))
    Image.new("L", (9, 9), 7).save(a / "grey.png")
    Image.fromarray(np.full((9, 9), 30000, dtype=np.uint16)).save(a / "grey16.png")
    Image.new("CMYK", (9, 9)).save(a / "cmyk.jpg")
    Image.new("P", (9, 9)).save(a / "palette.png")
    Image.new("RGBA", (9, 9)).save(a / "alpha.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (8, 4)).save(a / "turned.jpg", exif=exif)
    Image.new("RGB", (1, 1), (5, 5, 5)).save(a / "dot.png")
    Image.new("RGB", (5000, 4000)).save(a / "huge.jpg")
    noisy(a / "cut.png", height=40, width=40)
    (a / "cut.png").write_bytes((a / "cut.png").read_bytes()[:1500])
    (a / "empty.jpg").write_bytes(b"")
    (a / "words.png").write_text("not a picture")
    (a / "notes.txt").write_text("x")


def test_odd_files_are_used_or_reported(tmp_path: Path) -> None:
    odd_files(tmp_path / "x")
    loaded = load_folder(tmp_path / "x", 8)
    assert {item.path: item.reason for item in loaded.skipped} == {
        "a/cut.png": "truncated",
        "a/empty.jpg": "the file is empty",
        "a/words.png": "not an image that can be read",
    }
    expected = {"used": 11, "skipped": 3, "ignored": 1, "grey": 2, "grey16": 1, "palette": 1, "cmyk": 1, "alpha": 1}
    assert loaded.counts == {**expected, "exif_rotated": 1, "animated": 0}
    sizes = {}
    for images in (loaded.train, loaded.test):
        images.pixels(range(len(images)))
        for index, name in enumerate(images.names):
            sizes[Path(name).name] = images.size(index)
            assert images.original(index).shape == (*images.size(index), 3)
    assert sizes["turned.jpg"] == (8, 4)
    assert sizes["huge.jpg"] == (4000, 5000)
    assert sizes["dot.png"] == (1, 1)


def test_kept_pixels_and_decoded_ones_are_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    odd_files(tmp_path / "x")
    kept = load_folder(tmp_path / "x", 8)
    monkeypatch.setattr(module, "MAX_STORED_BYTES", 0)
    decoded = load_folder(tmp_path / "x", 8)
    assert kept.fingerprint == decoded.fingerprint
    assert kept.counts == decoded.counts
    assert kept.spec == decoded.spec
    rows = np.arange(len(kept.train))
    np.testing.assert_array_equal(kept.train.pixels(rows), decoded.train.pixels(rows))


def test_a_class_without_a_usable_image(pets: Path) -> None:
    for number in range(2):
        (pets / "train" / "dog" / f"d{number}.png").write_bytes(b"")
    text = r"'dog' has no usable image among its 2 files for training in .* \(train/dog/d0.png: the file is empty\)"
    with pytest.raises(DataError, match=text):
        load_folder(pets, 8)


def test_nothing_left_to_test_on(tmp_path: Path) -> None:
    for name in ("a", "b"):
        flat(tmp_path / "x" / name / "0.png", (1, 1, 1))
    with pytest.raises(DataError, match=r"dataset: .*x leaves no image to test on; add a test folder, or at least two"):
        load_folder(tmp_path / "x", 8)
