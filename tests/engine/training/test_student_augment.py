import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw
from torchvision.transforms import functional as transforms

from delt_engine.config.students import EvaluateConfig
from delt_engine.errors import ShapeError
from delt_engine.training.augmentation import augmented, cropped, mixed, tiles_shuffled
from delt_engine.training.draws import draw_epoch
from delt_engine.training.rand_augment import rand_augmented, read_policy

MEAN, STD = (0.49, 0.48, 0.44), (0.2, 0.21, 0.22)
CONFIG = EvaluateConfig(batch_size=6, rand_augment="m5-n4-mstd1")


def images(count: int = 6, size: int = 16, seed: int = 0) -> torch.Tensor:
    return torch.randint(
        0, 256, (count, 3, size, size), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed)
    )


def batch_of(config: EvaluateConfig, count: int = 6, size: int = 16, **values):
    return draw_epoch(config, count, size, **{"seed": 3, "epoch": 1, **values}).batch(0, config.batch_size)


@pytest.mark.parametrize("size", [16, 33])
def test_crops_and_flips_are_torchvisions(size):
    config = CONFIG.replace(batch_size=40)
    draws = batch_of(config, 40, size)
    pixels = images(40, size).float()
    found = cropped(pixels, draws.crop, draws.flip)
    for index, (top, left, height, width) in enumerate(draws.crop.tolist()):
        wanted = transforms.resized_crop(pixels[index], top, left, height, width, [size, size], antialias=True)
        wanted = transforms.hflip(wanted) if draws.flip[index] else wanted
        assert (found[index] - wanted).abs().max() < 2e-3  # of 255


def test_whole_images_stay_to_the_bit():
    pixels = images().float()
    whole = torch.tensor([[0, 0, 16, 16]]).expand(6, -1)
    flip = torch.tensor([True, False] * 3)
    found = cropped(pixels, whole, flip)
    assert torch.equal(found[1::2], pixels[1::2])
    assert torch.equal(found[::2], pixels[::2].flip(-1))


def test_the_order_is_the_published_one():
    """Cutout, RandAugment, tiles, crop, flip, normalise, mix: against the same steps taken image by image."""
    config = CONFIG.replace(shuffle_patches=True, cutout=0.5)
    draws = batch_of(config, mosaic=2)
    source = images()
    found = augmented(source, draws, config, MEAN, STD)
    fill = [round(255 * value) for value in MEAN]
    seen = []
    for index in range(6):
        painted = Image.fromarray(source[index].permute(1, 2, 0).numpy())
        top, left, bottom, right, *colour = draws.cutout[index].tolist()
        ImageDraw.Draw(painted).rectangle((left, top, right, bottom), fill=tuple(colour))
        image = rand_augmented(
            torch.from_numpy(np.array(painted)).permute(2, 0, 1)[None],
            draws.ops[index : index + 1],
            draws.magnitudes[index : index + 1],
            read_policy(config.rand_augment),
            fill,
        )[0]
        tiles = [image[:, 8 * (tile // 2) :, 8 * (tile % 2) :][:, :8, :8] for tile in draws.tiles[index].tolist()]
        image = torch.cat((torch.cat(tiles[:2], dim=2), torch.cat(tiles[2:], dim=2)), dim=1)
        image = transforms.resized_crop(image / 255, *draws.crop[index].tolist(), [16, 16], antialias=True)
        image = transforms.hflip(image) if draws.flip[index] else image
        seen.append(transforms.normalize(image, MEAN, STD))
    top, left, height, width = draws.box
    assert height * width > 0
    for index, partner in enumerate(draws.partner.tolist()):
        wanted = seen[index].clone()
        rows, columns = slice(top, top + height), slice(left, left + width)
        wanted[:, rows, columns] = seen[partner][:, rows, columns]
        assert torch.allclose(found[index], wanted, atol=1e-4)


def test_both_layouts_of_memory_give_the_same_bits():
    draws = batch_of(CONFIG)
    last = images().permute(0, 2, 3, 1).contiguous()
    found = augmented(images(), draws, CONFIG, MEAN, STD)
    assert torch.equal(augmented(last, draws, CONFIG, MEAN, STD), found)
    assert torch.equal(augmented(last.permute(0, 3, 1, 2), draws, CONFIG, MEAN, STD), found)
    assert found.dtype == torch.float32


def test_tiles_go_where_they_are_drawn():
    image = torch.arange(16).view(1, 1, 4, 4)
    found = tiles_shuffled(image, torch.tensor([[3, 0, 1, 2]]))
    assert found[0, 0].tolist() == [[10, 11, 0, 1], [14, 15, 4, 5], [2, 3, 8, 9], [6, 7, 12, 13]]


def test_cutmix_takes_partners_as_they_were():
    batch = torch.tensor([1.0, 2.0, 3.0]).view(3, 1, 1, 1).expand(3, 1, 4, 4).contiguous()
    found = mixed(batch, "cutmix", 0.75, (1, 0, 2, 2), torch.tensor([1, 2, 0]))
    assert found[0, 0].tolist() == [[1, 1, 1, 1], [2, 2, 1, 1], [2, 2, 1, 1], [1, 1, 1, 1]]
    assert found[1, 0, 1, 0] == 3
    assert found[2, 0, 1, 0] == 1  # what image 0 was, not what it has become
    assert batch[:, 0, 1, 0].tolist() == [1, 2, 3]


def test_mixup_weighs_by_the_share():
    batch = torch.tensor([0.0, 1.0]).view(2, 1, 1, 1)
    assert mixed(batch, "mixup", 0.25, (0, 0, 0, 0), torch.tensor([1, 0])).flatten().tolist() == [0.75, 0.25]
    assert mixed(batch, "none", 0.25, (0, 0, 0, 0), torch.tensor([1, 0])) is batch


@pytest.mark.parametrize("wrong", [np.float32, np.uint8])
def test_other_shapes_are_refused(wrong):
    given = torch.from_numpy(np.zeros((6, 3, 16, 15), dtype=wrong))
    with pytest.raises(ShapeError, match="image_u8: .* of shape \\(6, 3, 16, 15\\) given, but uint8 \\(6, 3, S, S\\)"):
        augmented(given, batch_of(CONFIG), CONFIG, MEAN, STD)
