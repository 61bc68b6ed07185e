from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from small_pictures import noisy
from tiny_data import tiny_dataset

from delt_engine.data import dataset as module
from delt_engine.data.dataset import ArrayImages, channel_statistics, statistics_of
from delt_engine.data.folder import FileImages
from delt_engine.errors import DataError


def images(height: int = 6, width: int = 8, size: int = 4) -> ArrayImages:
    pixels = np.random.default_rng(0).integers(0, 256, (5, height, width, 3), dtype=np.uint8)
    return ArrayImages(pixels, [0, 1, 0, 1, 1], [f"train/x/{i}" for i in range(5)], size)


def test_pixels_are_resized_by_the_short_side_and_cut_to_the_centre() -> None:
    source = images(height=6, width=9, size=4)
    whole = Image.fromarray(source.original(3)).resize((6, 4), Image.Resampling.BICUBIC)
    assert source.pixels([3]).dtype == np.uint8
    np.testing.assert_array_equal(source.pixels([0, 3])[1], np.asarray(whole)[:, 1:5])


def test_crop_of_the_target_size_is_cut_exactly() -> None:
    source = images()
    got = source.crops([4, 4], np.array([[1, 2, 4, 4], [2, 4, 4, 4]]))
    np.testing.assert_array_equal(got[0], source.original(4)[1:5, 2:6])
    np.testing.assert_array_equal(got[1], source.original(4)[2:6, 4:8])


@pytest.mark.parametrize("index", [-1, 5])
def test_index_out_of_range(index: int) -> None:
    for read in (images().original, images().size, lambda i: images().pixels([i])):
        with pytest.raises(DataError, match=rf"index: {index} given, but this set has images 0 to 4"):
            read(index)


@pytest.mark.parametrize("box", [[-1, 0, 2, 2], [0, 0, 0, 2], [3, 0, 4, 2], [0, 5, 2, 4]])
def test_box_outside_its_image(box: list[int]) -> None:
    with pytest.raises(DataError, match=r"boxes: .* given, but train/x/2 is 6 x 8 pixels"):
        images().crops([2], np.array([box]))
    with pytest.raises(DataError, match=r"boxes: shape \(1, 4\) given, but 2 images need \(2, 4\)"):
        images().crops([0, 1], np.zeros((1, 4)))


def test_statistics_against_numpy() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (7, 5, 6, 3), dtype=np.uint8)
    pixels[..., 1] //= 2
    mean, std = channel_statistics(pixels)
    np.testing.assert_allclose(mean, (pixels / 255).mean(axis=(0, 1, 2)), atol=5.1e-5)
    np.testing.assert_allclose(std, (pixels / 255).std(axis=(0, 1, 2)), atol=5.1e-5)
    assert channel_statistics(np.full((2, 4, 4, 3), 255, dtype=np.uint8)) == ((1, 1, 1), (0.01, 0.01, 0.01))
    with pytest.raises(DataError, match=r"pixels: none given, but mean and standard deviation need at least one image"):
        channel_statistics(np.empty((0, 4, 4, 3), dtype=np.uint8))


def test_unknown_classes_are_named_beside_the_first_twelve() -> None:
    pets = tiny_dataset()
    assert pets.class_index("green") == 1
    with pytest.raises(DataError, match=r"classes: 'dog' given, but colours has red, green, blue\."):
        pets.class_index("dog")
    many = replace(pets, spec=replace(pets.spec, class_names=tuple(f"c{i}" for i in range(100))))
    with pytest.raises(DataError, match=r"colours has c0, .*, c11 and 88 more\."):
        many.class_index("dog")


def test_large_sets_are_sampled_evenly(monkeypatch: pytest.MonkeyPatch) -> None:
    levels = np.arange(9, dtype=np.uint8)
    images = ArrayImages(np.broadcast_to(levels[:, None, None, None], (9, 2, 2, 3)), np.zeros(9), [""] * 9, 2)
    monkeypatch.setattr(module, "SAMPLE_BYTES", 3 * 2 * 2 * 3)  # room for three images: 0, 3, 6
    assert statistics_of(images)[0][0] == round(3 / 255, 4)


@pytest.fixture
def source(tmp_path: Path) -> FileImages:
    for number in range(3):
        noisy(tmp_path / f"{number}.png", seed=number, height=6, width=9)
    return FileImages(tmp_path, [f"{i}.png" for i in range(3)], np.array([0, 0, 1]), np.full((3, 2), (6, 9)), 4)


def test_original_and_size_are_native(source: FileImages, tmp_path: Path) -> None:
    np.testing.assert_array_equal(source.original(1), noisy(tmp_path / "again.png", seed=1, height=6, width=9))
    assert source.size(1) == (6, 9)


def test_kept_pixels_are_used_by_row(source: FileImages, tmp_path: Path) -> None:
    kept = np.arange(5 * 4 * 4 * 3, dtype=np.uint8).reshape(5, 4, 4, 3)
    images = FileImages(tmp_path, ["0.png", "1.png"], np.zeros(2), np.ones((2, 2)), 4, (kept, np.array([3, 1])))
    np.testing.assert_array_equal(images.pixels([1, 0]), kept[[1, 3]])


def test_crops_are_cut_at_native_size_and_decode_each_image_once(
    source: FileImages, monkeypatch: pytest.MonkeyPatch
) -> None:
    boxes = np.array([[0, 0, 4, 4], [2, 5, 4, 4], [1, 1, 4, 4], [0, 3, 4, 4]])
    originals = [source.original(0), source.original(0), source.original(2), source.original(0)]
    read: list[int] = []
    original = FileImages.original
    monkeypatch.setattr(FileImages, "original", lambda self, index: (read.append(index), original(self, index))[1])
    got = source.crops([0, 0, 2, 0], boxes)
    for crop, image, (top, left, height, width) in zip(got, originals, boxes, strict=True):
        np.testing.assert_array_equal(crop, image[top : top + height, left : left + width])
    assert sorted(read) == [0, 0, 2]


def test_a_file_that_went_away_or_was_exchanged_is_named(source: FileImages, tmp_path: Path) -> None:
    (tmp_path / "1.png").unlink()
    for read in (source.original, lambda i: source.pixels([i]), lambda i: source.crops([i], np.array([[0, 0, 2, 2]]))):
        with pytest.raises(DataError, match=r"1\.png cannot be read any more \(No such file or directory\); load the"):
            read(1)
    Image.new("RGB", (2, 2)).save(tmp_path / "2.png")
    with pytest.raises(DataError, match=r"2\.png cannot be read any more \(it is another picture\); load the"):
        source.crops([2], np.array([[1, 2, 4, 4]]))
