import numpy as np
import pytest
import torch

from delt_engine.data.pixels import denormalise, normalise, to_pixels, to_u8, value_bounds
from delt_engine.errors import ShapeError

MEAN, STD = (0.5, 0.25, 0.0), (0.5, 0.25, 2.0)


def test_pixels_by_hand() -> None:
    image_u8 = np.zeros((2, 3, 4, 3), dtype=np.uint8)
    image_u8[1, 2, 3] = (255, 51, 0)
    pixels = to_pixels(image_u8)
    assert pixels.shape == (2, 3, 3, 4)
    assert pixels.dtype == torch.float32
    torch.testing.assert_close(pixels[1, :, 2, 3], torch.tensor([1.0, 0.2, 0.0]))
    assert pixels[0].sum() == 0


def test_all_levels_survive_the_way_there_and_back() -> None:
    levels = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1).repeat(3, axis=3)
    np.testing.assert_array_equal(to_u8(denormalise(normalise(to_pixels(levels), MEAN, STD), MEAN, STD)), levels)


def test_levels_are_rounded_and_clipped() -> None:
    pixels = torch.tensor([-0.5, 0.4 / 255, 0.6 / 255, 1.0, 1.7, 254.4 / 255]).view(1, 1, 1, 6).expand(1, 3, 1, 6)
    assert to_u8(pixels)[0, 0, :, 0].tolist() == [0, 0, 1, 255, 255, 254]


def test_normalise_by_hand_and_its_gradient() -> None:
    pixels = torch.full((1, 3, 2, 2), 0.5, dtype=torch.float64, requires_grad=True)
    images = normalise(pixels, MEAN, STD)
    assert images.dtype == torch.float64
    assert images[0, :, 0, 0].tolist() == [0.0, 1.0, 0.25]
    images.sum().backward()
    assert pixels.grad[0, :, 0, 0].tolist() == [2.0, 4.0, 0.5]


def test_bounds_are_black_and_white() -> None:
    low, high = value_bounds(MEAN, STD)
    assert low.shape == high.shape == (1, 3, 1, 1)
    ends = torch.stack([torch.zeros(3, 1, 1), torch.ones(3, 1, 1)])
    torch.testing.assert_close(torch.cat([low, high]), normalise(ends, MEAN, STD))


def test_shapes_that_do_not_fit() -> None:
    with pytest.raises(ShapeError, match=r"image_u8: float64 of shape \(2, 2, 3\) given, but uint8 \(n, S, S, 3\)"):
        to_pixels(np.zeros((2, 2, 3)))
    with pytest.raises(ShapeError, match=r"pixels: shape \(3, 2, 2\) given, but \(n, 3, S, S\) is needed"):
        to_u8(torch.zeros(3, 2, 2))
    with pytest.raises(ShapeError, match=r"images: shape \(1, 4, 2, 2\) given"):
        denormalise(torch.zeros(1, 4, 2, 2), MEAN, STD)
    with pytest.raises(ShapeError, match=r"std: 1 values given, but one for each of 3 channels is needed"):
        normalise(torch.zeros(1, 3, 2, 2), MEAN, (1.0,))
