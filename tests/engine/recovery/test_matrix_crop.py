"""Crops as matrix products are the published ones, and so is their gradient."""

import pytest
import torch

from delt_engine.config import RecoverConfig
from delt_engine.recovery.augment import apply_crop, crop_plan
from delt_engine.recovery.matrix_crop import apply_matrices, crop_matrices


def corner_cases(size: int) -> list[tuple[int, ...]]:
    """Return rows: the whole image, crops at each border and of one pixel, flips, rolls, and shifts beyond a border."""
    half, odd = size // 2, size // 3
    boxes = [
        (0, 0, size, size),
        (0, 0, half, odd),
        (size - half, size - odd, half, odd),
        (0, size - odd, half, odd),
        (3, 5, 1, 1),
        (size - 1, 0, 1, size),
        (0, 1, size, size - 1),
        (-4, 3, size, size),
        (4, -2, size, size),
    ]
    plain = [(*box, flip, 0, 0) for box in boxes for flip in (0, 1)]
    return plain + [(*boxes[1], 1, 4, 31), (*boxes[0], 0, -3, 7), (*boxes[2], 0, size - 1, -1)]


@pytest.mark.parametrize("size", [32, 64, 224])
def test_matrices_show_what_slices_show(size):
    draw = torch.Generator().manual_seed(size)
    config = RecoverConfig(iterations=8, round_iterations=8, jitter=4)
    rows = torch.cat([torch.tensor(corner_cases(size)), crop_plan(config, size, draw)])
    images = torch.randn(len(rows), 1, 3, size, size, generator=draw).clamp(-2.5, 2.5)
    # In float64, since torch's interpolation in float32 itself is 3e-5 off at 224 px.
    expected = torch.cat([apply_crop(pair, row) for pair, row in zip(images.double(), rows, strict=True)])
    found = apply_matrices(images.flatten(0, 1), rows)
    torch.testing.assert_close(found.double(), expected, rtol=0, atol=1e-5)


def test_gradients_are_those_of_slices():
    draw = torch.Generator().manual_seed(0)
    rows = torch.tensor(corner_cases(16))
    leaf = torch.randn(len(rows), 3, 16, 16, generator=draw, dtype=torch.float64).requires_grad_()
    weights = torch.randn(leaf.shape, generator=draw, dtype=torch.float64)
    sliced = torch.cat([apply_crop(leaf[[number]], row) for number, row in enumerate(rows)])
    expected, found = (
        torch.autograd.grad((shown * weights).sum(), leaf)[0] for shown in (sliced, apply_matrices(leaf, rows))
    )
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


def test_weights_by_hand():
    down, across = crop_matrices(torch.tensor([[1, 0, 2, 4, 1, 0, 1]]), 4)
    # two rows become four: places -0.25 (the first row alone), 0.25, 0.75 and 1.25 (the last alone), from row 1 on
    expected = [[0, 1, 0, 0], [0, 0.75, 0.25, 0], [0, 0.25, 0.75, 0], [0, 0, 1, 0]]
    assert down[0].tolist() == expected
    assert across[0].argmax(1).tolist() == [0, 3, 2, 1]  # mirrored, then rolled by one
