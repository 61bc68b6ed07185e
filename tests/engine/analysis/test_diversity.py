"""Cosines by hand, draws that repeat, and measuring class by class against a plain loop over everything."""

import numpy as np
import pytest
import torch
from torch import nn

from delt_engine.analysis import diversity
from delt_engine.analysis.diversity import (
    ClassImages,
    centroid_cosine,
    draw_images,
    measure,
    network_outputs,
    network_vectors,
)
from delt_engine.analysis.similarity import halves, halves_cosine, pair_cosine, pixel_change, pixel_vectors
from delt_engine.errors import CheckpointError, ShapeError


def test_the_centroid_is_the_plain_mean_so_long_vectors_weigh_more() -> None:
    # centroid (1.5, 2): cosines 1.5 / 2.5 and 2 / 2.5; of unit vectors both would be 0.7071
    assert centroid_cosine(np.array([[3.0, 0.0], [0.0, 4.0]])) == pytest.approx([0.6, 0.8])


def test_alike_is_one_and_nothing_is_zero() -> None:
    assert centroid_cosine(np.array([[1.0, 2.0], [2.0, 4.0]])) == pytest.approx([1, 1])
    assert centroid_cosine(np.array([[1.0, 0.0], [-1.0, 0.0]])).tolist() == [0, 0]
    assert centroid_cosine(np.array([[0.0, 0.0], [1.0, 0.0]])) == pytest.approx([0, 1])
    with pytest.raises(ShapeError, match=r"shape \(1, 3\) given, but \(n, d\) with n of at least 2"):
        centroid_cosine(np.ones((1, 3)))


def test_draws_repeat_and_differ() -> None:
    first = draw_images(20, 5, 3, 0, 7)
    assert first.shape == (3, 5)
    assert all(len(set(row)) == 5 and list(row) == sorted(row) and min(row) >= 0 and max(row) < 20 for row in first)
    assert np.array_equal(first, draw_images(20, 5, 3, 0, 7))
    assert not np.array_equal(first, draw_images(20, 5, 3, 0, 8))
    assert not np.array_equal(first[0], first[1])
    assert draw_images(4, 4, 3, 0).tolist() == [[0, 1, 2, 3]]
    for images in (1, 6):
        with pytest.raises(ShapeError, match=f"images: {images} given, but 2 to 5"):
            draw_images(5, images, 1, 0)


def _classes(pictures: np.ndarray) -> list[ClassImages]:
    return [ClassImages(number, len(each), each.__getitem__) for number, each in enumerate(pictures)]


@pytest.fixture
def pictures() -> np.ndarray:
    """Four classes of six images."""
    return np.random.default_rng(0).integers(0, 256, (4, 6, 4, 4, 3), dtype=np.uint8)


def _plain(image_u8: np.ndarray) -> np.ndarray:
    return image_u8.reshape(len(image_u8), -1) / 255 - 0.5


@pytest.mark.parametrize("at_once", [1, 14, 512])
def test_every_class_is_measured_by_itself_however_many_are_held(pictures, monkeypatch, at_once: int) -> None:
    monkeypatch.setattr(diversity, "IMAGES_AT_ONCE", at_once)
    progress: list[tuple[int, int]] = []
    found = measure(_classes(pictures), _plain, images=6, is_early_late=True, report=lambda *at: progress.append(at))
    assert (progress[0], progress[-1]) == ((0, 24), (24, 24))
    for number, each in enumerate(pictures):
        vectors = _plain(each).astype(np.float64)
        unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        mean = vectors.mean(axis=0)
        assert found.cosine[number, 0] == pytest.approx(unit @ mean / np.linalg.norm(mean), abs=1e-5)
        pairs = [unit[i] @ unit[j] for i in range(6) for j in range(i)]
        assert found.pairwise[number, 0] == pytest.approx(np.mean(pairs), abs=1e-5)
        late = vectors[3:]
        own = late @ late.mean(axis=0) / np.linalg.norm(late, axis=1) / np.linalg.norm(late.mean(axis=0))
        late_pairs = [unit[i] @ unit[j] for i, j in ((3, 4), (3, 5), (4, 5))]
        assert found.halves[number, 1] == pytest.approx([own.mean(), np.mean(late_pairs)], abs=1e-5)


def test_draws_are_averages_of_what_single_ones_give(pictures) -> None:
    found = measure(_classes(pictures), _plain, images=3, draws=4, seed=5)
    assert found.cosine.shape == found.index.shape == (4, 4, 3)
    for number, each in enumerate(pictures):
        for draw in range(4):
            chosen = each[found.index[number, draw]]
            assert found.cosine[number, draw] == pytest.approx(centroid_cosine(_plain(chosen)))
    assert found.halves.shape == (0, 2, 2)


def test_a_class_with_no_more_than_the_others_take_is_drawn_whole(pictures) -> None:
    classes = [ClassImages(0, 3, pictures[0].__getitem__), ClassImages(1, 6, pictures[1].__getitem__)]
    found = measure(classes, _plain, images=3, draws=2)
    assert found.index[0].tolist() == [[0, 1, 2]] * 2
    assert found.cosine[0, 0].tolist() == found.cosine[0, 1].tolist()


def test_features_are_what_the_last_layer_is_given(pictures) -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(48, 5), nn.ReLU(), nn.Linear(5, 2)).eval()
    vectors = network_vectors(network, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25))
    images = (torch.from_numpy(pictures[0]).permute(0, 3, 1, 2).float() / 255 - 0.5) / 0.25
    with torch.no_grad():
        assert np.allclose(vectors(pictures[0]), network[:3](images).numpy(), atol=1e-5)
    with pytest.raises(CheckpointError, match="no linear layer"):
        network_outputs(nn.Flatten(), images)


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
