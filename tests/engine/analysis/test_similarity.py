import numpy as np
import pytest

from delt_engine.analysis.similarity import halves, halves_cosine, pair_cosine, pixel_change, pixel_vectors
from delt_engine.errors import ShapeError


def test_pairs_are_averaged_whatever_their_length() -> None:
    vectors = np.array([[3.0, 0.0], [0.0, 5.0], [1.0, 1.0]])
    assert pair_cosine(vectors) == pytest.approx((0 + 2 * 2**-0.5) / 3)
    assert pair_cosine(np.array([[1.0, 2.0], [-2.0, -4.0]])) == pytest.approx(-1)


def test_halves_have_as_many_images() -> None:
    assert halves(8) == (range(4), range(4, 8))
    assert halves(7) == (range(3), range(4, 7))


def test_each_half_is_compared_with_itself_only() -> None:
    same, crossed = [[1.0, 0.0]] * 2, [[1.0, 0.0], [0.0, 1.0]]
    assert halves_cosine(np.array(same + crossed)) == pytest.approx((1, 0))
    with pytest.raises(ShapeError, match="need 4"):
        halves_cosine(np.ones((3, 2)))


def test_grey_images_at_the_mean_are_alike_in_nothing() -> None:
    image_u8 = np.full((2, 2, 2, 3), 51, np.uint8)  # 0.2
    assert np.abs(pixel_vectors(image_u8, (0.2, 0.2, 0.2), (0.5, 0.5, 0.5))).max() < 1e-6
    assert np.allclose(pixel_vectors(image_u8, (0, 0, 0), (0.5, 0.25, 1.0))[0, :3], [0.4, 0.8, 0.2])


def test_change_is_the_same_up_and_down() -> None:
    start = np.full((1, 2, 2, 3), 100, np.uint8)
    moved = start.copy()
    moved[0, 0], moved[0, 1] = 151, 49
    mean, distance = pixel_change(moved, start)
    assert mean.tolist() == [51]
    assert distance == pytest.approx([0.2 * 12**0.5])
