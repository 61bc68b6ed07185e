import math

import numpy as np
import pytest
import torch
from tiny_data import tiny_dataset

from delt_engine.training import augmentation
from delt_engine.training.augmentation import DeviceImages
from delt_engine.training.augmentation import cropped_and_mirrored as augment


def draws(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def ramp(count: int = 64, size: int = 8) -> torch.Tensor:
    """Return images whose value is the column from 0 to 1, and whose second channel is the row."""
    line = (torch.arange(size) + 0.5) / size
    return torch.stack([line.expand(size, size), line[:, None].expand(size, size)]).expand(count, 2, size, size).clone()


@pytest.mark.parametrize("limit", [0, 2**31], ids=["from files", "at once"])
def test_batches_are_the_sets_images_and_labels(monkeypatch, limit):
    monkeypatch.setattr(augmentation, "_READ_BYTES", limit)
    source = tiny_dataset().train
    image_u8, labels = DeviceImages(source, torch.device("cpu")).batch(torch.tensor([70, 3, 3]))
    np.testing.assert_array_equal(image_u8.numpy(), source.pixels([70, 3, 3]).transpose(0, 3, 1, 2))
    assert labels.tolist() == [2, 0, 0]


def test_cropping_without_crops_only_mirrors():
    pixels = ramp()
    found = augment(pixels, 1.0, True, draws())
    mirrored = torch.tensor([torch.equal(image, pixels[0].flip(2)) for image in found])
    kept = torch.tensor([torch.equal(image, pixels[0]) for image in found])
    assert bool((mirrored | kept).all())
    assert 20 < int(mirrored.sum()) < 44
    assert torch.equal(augment(pixels, 1.0, False, draws()), pixels)


def test_crops_are_windows_of_the_image_with_the_area_asked_for():
    size = 64
    found = augment(ramp(200, size), 0.25, False, draws())
    columns, rows = found[:, 0, 32, :], found[:, 1, :, 32]
    # a window resized back is a ramp with a lower slope: its slope is the window's side
    width = (columns[:, 40] - columns[:, 24]) * size / 16
    height = (rows[:, 40] - rows[:, 24]) * size / 16
    area, ratio = (width * height).numpy(), (width / height).numpy()
    assert area.min() > 0.25 * 0.8  # a side that would leave the image is cut to it
    assert area.min() < 0.3
    assert area.max() <= 1.001
    assert np.abs(np.log(ratio)).max() <= math.log(4 / 3) + 1e-3
    assert found.min() >= 0
    assert found.max() <= 1
    assert len(np.unique(area.round(4))) > 150  # each image has its own


def test_flips_and_crops_go_together():
    found = augment(ramp(200), 0.5, True, draws())
    falling = (found[:, 0, 4, -1] < found[:, 0, 4, 0]).sum().item()
    assert 75 < falling < 125
    assert bool((found[:, 1, -1, 4] > found[:, 1, 0, 4]).all())  # never upside down


@pytest.mark.parametrize("min_crop", [0.5, 1.0])
def test_a_part_of_a_batch_is_shown_as_it_is_in_the_whole_one(min_crop):
    generator, rows = draws(), slice(5, 12)
    whole, after = augment(ramp(), min_crop, True, generator), torch.rand(1, generator=generator)
    generator = draws()
    assert torch.equal(augment(ramp()[rows], min_crop, True, generator, rows, 64), whole[rows])
    assert torch.equal(torch.rand(1, generator=generator), after)  # the next batch is drawn alike


def test_crops_repeat_the_border():
    whole = torch.ones(50, 3, 8, 8)
    torch.testing.assert_close(augment(whole, 0.3, True, draws()), whole)
