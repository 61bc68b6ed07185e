"""Pictures as published code sees them: torchvision's Resize and CenterCrop, and what hangs on that."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from small_pictures import noisy
from torchvision import transforms

from delt_engine.data.catalogue import load_dataset
from delt_engine.data.dataset import ArrayImages
from delt_engine.data.decode import decode_square, seen_box, squared, view_side
from delt_engine.data.folder import load_folder

SHAPES = [(500, 375), (333, 500), (64, 64), (400, 399), (30, 90)]


@pytest.mark.parametrize("size", [32, 64, 128, 224])
@pytest.mark.parametrize("shape", SHAPES)
def test_squares_are_torchvisions(shape: tuple[int, int], size: int) -> None:
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8))
    published = transforms.Compose([transforms.Resize(size // 7 * 8, antialias=True), transforms.CenterCrop(size)])
    np.testing.assert_array_equal(squared(picture, size, "published"), np.asarray(published(picture)))
    assert not np.array_equal(squared(picture, size), np.asarray(published(picture)))


def test_what_is_seen_is_79_and_77_percent_of_the_square() -> None:
    assert seen_box(640, 640, 64, "published") == (35, 35, 569, 569)
    assert [round(100 * (size / view_side(size, "published")) ** 2) for size in (64, 224)] == [79, 77]
    assert seen_box(10, 4, 8) == (3, 0, 4, 4)
    assert view_side(13, "published") == 13  # 13 // 7 * 8 is 8: never less than S, else there would be a black border


def test_a_large_jpeg_is_decoded_in_full(tmp_path: Path) -> None:
    noisy(tmp_path / "a.png", seed=0, height=300, width=400)
    Image.open(tmp_path / "a.png").save(tmp_path / "a.jpg", quality=95)
    whole = np.asarray(Image.open(tmp_path / "a.jpg"))
    found, height, width, _ = decode_square(tmp_path / "a.jpg", 8, "published")
    np.testing.assert_array_equal(found, squared(whole, 8, "published"))
    assert (height, width) == (300, 400)


def test_images_in_arrays_are_cut_anew_and_crops_are_bilinear() -> None:
    stored = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)
    whole = ArrayImages(stored, [0, 1], ["a", "b"], 64)
    published = whole.shown("published")
    assert (whole.is_ready, published.is_ready) == (True, False)
    np.testing.assert_array_equal(published.pixels([1])[0], squared(stored[1], 64, "published"))
    np.testing.assert_array_equal(published.shown("whole").pixels([0, 1]), stored)
    box = np.array([[4, 4, 40, 40]])
    cut = Image.fromarray(stored[0]).resize((64, 64), Image.Resampling.BILINEAR, box=(4, 4, 44, 44))
    np.testing.assert_array_equal(published.crops([0], box)[0], np.asarray(cut))
    assert not np.array_equal(whole.crops([0], box), published.crops([0], box))


def test_built_in_sets_of_32_px_are_the_same_and_at_64_px_others(own_cache: Path) -> None:  # noqa: ARG001
    small, again = load_dataset("digits"), load_dataset("digits", resize="published")
    assert (again.fingerprint, again.train.resize) == (small.fingerprint, "whole")
    large, cut = load_dataset("digits", 64), load_dataset("digits", 64, resize="published")
    assert (cut.fingerprint, cut.train.resize) == (f"{large.fingerprint}-published", "published")
    np.testing.assert_array_equal(cut.test.pixels([3])[0], squared(large.test.pixels([3])[0], 64, "published"))
    assert cut.spec == large.spec


@pytest.mark.parametrize("most", [2**30, 0])
def test_a_folder_keeps_both_ways_apart(own_cache: Path, tmp_path: Path, monkeypatch, most: int) -> None:  # noqa: ARG001
    monkeypatch.setattr("delt_engine.data.folder.MAX_STORED_BYTES", most)
    for name in ("a", "b"):
        for number in range(3):
            noisy(tmp_path / "x" / name / f"{number}.png", seed=number, height=40, width=50)
    for _ in range(2):  # made, and found in the cache
        whole, cut = load_folder(tmp_path / "x", 16), load_folder(tmp_path / "x", 16, resize="published")
        original = cut.train.original(1)
        np.testing.assert_array_equal(whole.train.pixels([1])[0], squared(original, 16))
        np.testing.assert_array_equal(cut.train.pixels([1])[0], squared(original, 16, "published"))
        np.testing.assert_array_equal(cut.train.shown("whole").pixels([1]), whole.train.pixels([1]))
        assert cut.fingerprint == f"{whole.fingerprint}-published"
        assert cut.spec == whole.spec  # mean and std are of the whole squares
        assert cut.train.is_ready == bool(most)


def test_pictures_of_the_very_size_are_tested_on_alike_whatever_way_they_are_made_square(
    own_cache: Path,  # noqa: ARG001
    tmp_path: Path,
) -> None:
    for name in ("a", "b"):
        for number in range(3):
            noisy(tmp_path / "x" / name / f"{number}.png", seed=number, height=16, width=16)
    whole, cut = (load_folder(tmp_path / "x", 16, resize=way) for way in ("whole", "published"))
    everything = range(len(whole.test))
    np.testing.assert_array_equal(whole.test.pixels(everything), cut.test.pixels(everything))
    assert (cut.test_fingerprint, cut.fingerprint) == (whole.fingerprint, f"{whole.fingerprint}-published")
    assert whole.test_fingerprint == whole.fingerprint
    box = np.array([[2, 3, 8, 8]])
    assert not np.array_equal(whole.train.crops([0], box), cut.train.crops([0], box))  # so rankings stay apart
    smaller, shown = (load_folder(tmp_path / "x", 8, resize=way) for way in ("whole", "published"))
    assert smaller.test_fingerprint != shown.test_fingerprint == shown.fingerprint


@pytest.mark.parametrize("first", ["whole", "published"])
def test_images_of_32_px_are_decoded_once_for_both_ways(own_cache: Path, tmp_path: Path, monkeypatch, first) -> None:  # noqa: ARG001
    for name in ("a", "b"):
        for number in range(3):
            noisy(tmp_path / "x" / name / f"{number}.png", seed=number, height=32, width=32)
    one = load_folder(tmp_path / "x", 32, resize=first)
    monkeypatch.setattr("delt_engine.data.folder.scan_pixels", None)
    second = "published" if first == "whole" else "whole"
    other = load_folder(tmp_path / "x", 32, resize=second)
    assert other.train.is_ready
    assert other.train.resize == second
    short, long = sorted([one.fingerprint, other.fingerprint], key=len)
    assert long == f"{short}-published"
    np.testing.assert_array_equal(other.train.pixels([0, 1]), one.train.pixels([0, 1]))
    np.testing.assert_array_equal(other.train.pixels([1])[0], other.train.original(1))
