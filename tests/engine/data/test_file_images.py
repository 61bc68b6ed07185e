from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from small_pictures import noisy

from delt_engine.data.folder import FileImages
from delt_engine.errors import DataError


@pytest.fixture
def source(tmp_path: Path) -> FileImages:
    for number in range(3):
        noisy(tmp_path / f"{number}.png", seed=number, height=6, width=9)
    return FileImages(tmp_path, [f"{i}.png" for i in range(3)], np.array([0, 0, 1]), np.full((3, 2), (6, 9)), 4)


def test_original_and_size_are_native(source: FileImages, tmp_path: Path) -> None:
    np.testing.assert_array_equal(source.original(1), noisy(tmp_path / "again.png", seed=1, height=6, width=9))
    assert source.size(1) == (6, 9)


def test_pixels_are_resized_by_the_short_side_and_cut_to_the_centre(source: FileImages) -> None:
    whole = Image.fromarray(source.original(2)).resize((6, 4), Image.Resampling.BICUBIC)
    np.testing.assert_array_equal(source.pixels([0, 2])[1], np.asarray(whole)[:, 1:5])


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


def test_box_outside_its_image(source: FileImages) -> None:
    with pytest.raises(DataError, match=r"boxes: .* given, but 1\.png is 6 x 9 pixels"):
        source.crops([1], np.array([[0, 6, 4, 4]]))


def test_a_file_that_went_away_or_was_exchanged_is_named(source: FileImages, tmp_path: Path) -> None:
    (tmp_path / "1.png").unlink()
    for read in (source.original, lambda i: source.pixels([i]), lambda i: source.crops([i], np.array([[0, 0, 2, 2]]))):
        with pytest.raises(DataError, match=r"1\.png cannot be read any more \(No such file or directory\); load the"):
            read(1)
    Image.new("RGB", (2, 2)).save(tmp_path / "2.png")
    with pytest.raises(DataError, match=r"2\.png cannot be read any more \(it is another picture\); load the"):
        source.crops([2], np.array([[1, 2, 4, 4]]))
