from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from delt_engine.data.resize import resize_box, square_box


@pytest.mark.parametrize(("shape", "box"), [((4, 4), (0, 0, 4, 4)), ((10, 4), (3, 0, 4, 4)), ((5, 8), (0, 1.5, 5, 5))])
def test_square_box_is_centred(shape: tuple[int, int], box: tuple[float, ...]) -> None:
    assert square_box(*shape) == box


def test_shrinking_averages_and_arrays_and_pictures_agree() -> None:
    stripes = np.zeros((64, 64, 3), dtype=np.uint8)
    stripes[:, ::2] = 255
    small = resize_box(stripes, (0, 0, 64, 64), 8)
    assert small.shape == (8, 8, 3)
    assert np.abs(small.astype(int) - 127).max() <= 5  # without antialiasing it would be all 0 or 255
    np.testing.assert_array_equal(small, resize_box(Image.fromarray(stripes), (0, 0, 64, 64), 8))


def test_one_pixel_becomes_a_flat_square() -> None:
    dot = np.array([[[1, 2, 3]]], dtype=np.uint8)
    assert resize_box(dot, square_box(1, 1), 4).tolist() == np.broadcast_to(dot, (4, 4, 3)).tolist()
