"""The PNG files of a run: strips, single images with their settings, and what is none."""

import json

import numpy as np
import pytest
from PIL import Image

from delt_engine.errors import RunError
from delt_engine.runs.strips import TEXT_KEY, join_strip, png_bytes, read_png, split_strip


def test_strips_hold_image_i_at_i_times_side() -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, 4, 4, 3), dtype=np.uint8)
    strip = join_strip(images)
    assert strip.shape == (4, 12, 3)
    np.testing.assert_array_equal(strip[:, 4:8], images[1])
    np.testing.assert_array_equal(split_strip(strip), images)


def test_png_keeps_pixels_and_settings(tmp_path) -> None:
    image = np.random.default_rng(0).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    text = {"method": "delt", "class": "café", "patches": [{"true_class_prob": 0.25}]}
    (tmp_path / "a.png").write_bytes(png_bytes(image, text))
    np.testing.assert_array_equal(read_png(tmp_path / "a.png"), image)
    with Image.open(tmp_path / "a.png") as opened:
        opened.load()
        assert json.loads(opened.info[TEXT_KEY]) == text


def test_what_cannot_be_read_is_one_sentence(tmp_path) -> None:
    (tmp_path / "broken.png").write_bytes(b"no image")
    with pytest.raises(RunError, match="is not an image"):
        read_png(tmp_path / "broken.png")
    with pytest.raises(RunError, match="cannot be read"):
        read_png(tmp_path / "absent.png")
