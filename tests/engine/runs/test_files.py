"""Files that are whole or absent, and the strips of a run."""

from __future__ import annotations

import errno
import os

import numpy as np
import pytest
from PIL import Image

from delt_engine import files
from delt_engine.errors import RunError


def refuse(monkeypatch, number: int) -> None:
    def replace(source, target):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(files.os, "replace", replace)


@pytest.mark.parametrize(
    ("number", "words"),
    [(errno.ENOSPC, "no space left"), (errno.EACCES, "no permission"), (errno.EROFS, "read-only")],
)
def test_a_refused_write_is_one_sentence_and_leaves_nothing(tmp_path, monkeypatch, number, words) -> None:
    refuse(monkeypatch, number)
    with pytest.raises(RunError, match=words) as caught:
        files.write_bytes(tmp_path / "a.txt", b"new")
    assert str(caught.value).count(".") == str(tmp_path / "a.txt").count(".") + 1
    assert list(tmp_path.iterdir()) == []


def test_a_refused_write_keeps_what_was_there(tmp_path, monkeypatch) -> None:
    files.write_bytes(tmp_path / "a.txt", b"old")
    refuse(monkeypatch, errno.ENOSPC)
    with pytest.raises(RunError):
        files.write_bytes(tmp_path / "a.txt", b"new", durable=True)
    assert (tmp_path / "a.txt").read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_file_in_place_of_a_folder_is_named(tmp_path) -> None:
    (tmp_path / "folder").write_text("a file")
    with pytest.raises(RunError, match="a file stands where a folder is needed"):
        files.write_bytes(tmp_path / "folder" / "a.txt", b"new")


def test_what_can_be_written_later_is_found_out_now(tmp_path) -> None:
    (tmp_path / "kept.txt").write_text("old")
    files.check_writable(tmp_path / "kept.txt")
    files.check_writable(tmp_path / "new" / "file.txt")
    assert (tmp_path / "kept.txt").read_text() == "old"
    assert list((tmp_path / "new").iterdir()) == []
    with pytest.raises(RunError, match=r"kept.txt/file.txt cannot be written: a file stands"):
        files.check_writable(tmp_path / "kept.txt" / "file.txt")


def test_strips_hold_image_i_at_i_times_side() -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, 4, 4, 3), dtype=np.uint8)
    strip = files.join_strip(images)
    assert strip.shape == (4, 12, 3)
    np.testing.assert_array_equal(strip[:, 4:8], images[1])
    np.testing.assert_array_equal(files.split_strip(strip), images)


def test_png_keeps_pixels_and_settings(tmp_path) -> None:
    image = np.random.default_rng(0).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    text = {"method": "delt", "class": "café", "patches": [{"true_class_prob": 0.25}]}
    files.write_bytes(tmp_path / "a.png", files.png_bytes(image, text))
    np.testing.assert_array_equal(files.read_png(tmp_path / "a.png"), image)
    assert files.png_text(tmp_path / "a.png") == text


def test_png_errors_are_sentences(tmp_path) -> None:
    (tmp_path / "broken.png").write_bytes(b"no image")
    Image.new("RGB", (2, 2)).save(tmp_path / "plain.png")
    with pytest.raises(RunError, match="is not an image"):
        files.read_png(tmp_path / "broken.png")
    with pytest.raises(RunError, match="cannot be read"):
        files.read_png(tmp_path / "absent.png")
    with pytest.raises(RunError, match="has no settings"):
        files.png_text(tmp_path / "plain.png")
