import math

import pytest
import torch
from torchvision.transforms import functional as transforms

from delt_engine.config import RecoverConfig
from delt_engine.recovery.augment import apply_crop, crop_bounds, crop_plan
from delt_engine.seeding import generator


def config(**values) -> RecoverConfig:
    return RecoverConfig(**{"iterations": 400, "round_iterations": 100, **values})


def rows_of(settings: RecoverConfig, size: int = 32, seed: int = 0):
    return crop_plan(settings, size, generator(seed, "crops", 0))


def test_geometry_is_torchvisions_draw_by_draw():
    settings = config(jitter=5)
    draws = torch.rand(400, 25, generator=generator(0, "crops", 0), dtype=torch.float64).tolist()
    for iteration, (row, draw) in enumerate(zip(rows_of(settings).tolist(), draws, strict=True)):
        low, high = crop_bounds(iteration, settings)
        height = width = 32  # what RandomResizedCrop falls back to on a square image
        for area_draw, ratio_draw in zip(draw[:10], draw[10:20], strict=True):
            area = 32 * 32 * (low + (high - low) * area_draw)
            ratio = math.exp(math.log(3 / 4) + (math.log(4 / 3) - math.log(3 / 4)) * ratio_draw)
            tried = round(math.sqrt(area / ratio)), round(math.sqrt(area * ratio))
            if min(tried) > 0 and max(tried) <= 32:
                height, width = tried
                break
        top, left = int(draw[20] * (32 - height + 1)), int(draw[21] * (32 - width + 1))
        assert row == [top, left, height, width, int(draw[22] < 0.5), int(draw[23] * 6), int(draw[24] * 6)]


def test_a_roll_both_ways_is_the_same_draw_over_twice_the_range():
    draws = torch.rand(400, 25, generator=generator(0, "crops", 0), dtype=torch.float64)
    settings = config(jitter=4)
    both = rows_of(settings.replace(jitter_both_ways=True))
    assert both[:, 5:].tolist() == [[int(draw * 9) - 4 for draw in row] for row in draws[:, 23:].tolist()]
    assert set(both[:, 5].tolist()) == set(range(-4, 5))
    assert torch.equal(both[:, :5], rows_of(settings)[:, :5])


def test_the_first_crops_of_the_cosine_are_the_whole_image():
    rows = rows_of(config(flip=False))
    assert rows[0, :4].tolist() == [0, 0, 32, 32]
    assert rows[:, 4:].abs().sum() == 0  # neither flips nor jitter


def test_rows_depend_on_seed_batch_and_iteration_alone():
    settings = config()
    assert torch.equal(rows_of(settings), rows_of(settings))
    assert not torch.equal(rows_of(settings), rows_of(settings, seed=1))
    assert not torch.equal(rows_of(settings), crop_plan(settings, 32, generator(0, "crops", 1)))
    fixed = config(curriculum="constant")
    longer = fixed.replace(iterations=800)
    assert torch.equal(rows_of(fixed), rows_of(longer)[:400])
    assert torch.equal(rows_of(fixed)[:, :4], rows_of(config(curriculum="constant", flip=False, jitter=3))[:, :4])


def test_restart_rounds_begins_the_curriculum_again():
    assert crop_bounds(100, config(restart_rounds=True)) == crop_bounds(0, config(restart_rounds=True)) == (1.0, 1.0)
    assert crop_bounds(150, config(restart_rounds=True)) == crop_bounds(200, config())


@pytest.mark.parametrize("row", [(2, 3, 20, 11, 0, 0, 0), (0, 0, 32, 32, 0, 0, 0), (31, 31, 1, 1, 1, 0, 0)])
def test_crop_and_flip_are_torchvisions(row):
    images = torch.rand(2, 3, 32, 32, generator=generator(0, "images"))
    top, left, height, width, is_flipped, *_ = row
    expected = transforms.resized_crop(images, top, left, height, width, [32, 32])
    expected = transforms.hflip(expected) if is_flipped else expected
    torch.testing.assert_close(apply_crop(images, row), expected)


def test_flip_comes_before_the_roll():
    images = torch.arange(16.0).view(1, 1, 4, 4)
    expected = torch.roll(images.flip(-1), (1, 2), (-2, -1))
    assert torch.equal(apply_crop(images, (0, 0, 4, 4, 1, 1, 2)), expected)


def test_gradient_reaches_the_cropped_pixels_only():
    images = torch.rand(1, 3, 8, 8, generator=generator(0, "images")).requires_grad_()
    apply_crop(images, (2, 3, 4, 4, 1, 1, 0)).sum().backward()
    inside = torch.zeros(8, 8, dtype=torch.bool)
    inside[2:6, 3:7] = True
    assert (images.grad[..., inside] > 0).all()
    assert (images.grad[..., ~inside] == 0).all()
