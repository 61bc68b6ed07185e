import dataclasses
import math

import numpy as np
import pytest
import torch

from delt_engine.config.students import RECIPES, EvaluateConfig
from delt_engine.errors import ConfigError
from delt_engine.training.draws import EpochDraws, batch_bounds, cut_box, draw_cutouts, draw_epoch

CONFIG = EvaluateConfig(batch_size=8, rand_augment="m5-n4-mstd1", cutout=0.5)


def drawn(config: EvaluateConfig = CONFIG, count: int = 41, size: int = 32, **values) -> EpochDraws:
    return draw_epoch(config, count, size, **{"seed": 0, "epoch": 1, **values})


def same(first: EpochDraws, second: EpochDraws, name: str) -> bool:
    one, other = getattr(first, name), getattr(second, name)
    return torch.equal(one, other) if one is not None else other is None


NAMES = [field.name for field in dataclasses.fields(EpochDraws)]


def test_an_epoch_depends_on_seed_and_number_alone():
    assert all(same(drawn(), drawn(), name) for name in NAMES)
    for other in (drawn(seed=1), drawn(epoch=2)):
        assert not any(same(drawn(), other, name) for name in NAMES if name != "tiles")


@pytest.mark.parametrize(
    ("changes", "changed"),
    [
        ({"rand_augment": "m5-n2-mstd1"}, {"ops", "magnitudes"}),
        ({"mix": "none"}, {"share", "box", "partner"}),
        ({"min_crop": 0.5}, {"crop"}),
        ({"flip": False}, {"flip"}),
        ({"cutout": 0.25}, {"cutout"}),
        ({"alternate_flips": True}, {"flip"}),
    ],
)
def test_one_augmentation_changes_no_other(changes, changed):
    other = drawn(CONFIG.replace(**changes))
    assert {name for name in NAMES if not same(drawn(), other, name)} == changed


def test_every_image_is_shown_once_and_batches_are_slices():
    draws = drawn()
    assert draws.order.sort().values.tolist() == list(range(41))
    batches = list(draws.batches(8))
    assert [len(batch.order) for batch in batches] == [8, 8, 8, 8, 9]
    assert torch.cat([batch.order for batch in batches]).tolist() == draws.order.tolist()
    for number, batch in enumerate(batches):
        assert batch.partner.sort().values.tolist() == list(range(len(batch.order)))
        assert batch.share == draws.share[number].item()
        assert batch.box == tuple(draws.box[number].tolist())
        assert batch.crop.tolist() == draws.crop[8 * number : 8 * number + len(batch.order)].tolist()
        assert batch.tiles is None


@pytest.mark.parametrize(("count", "size"), [(1, 8), (2, 1), (16, 8), (17, 8), (18, 8), (5, 100), (3, 2)])
def test_batches_cover_all_images_and_none_is_alone(count, size):
    bounds = batch_bounds(count, size)
    assert bounds[0][0] == 0
    assert bounds[-1][1] == count
    assert all(end == begin for (_, end), (begin, _) in zip(bounds, bounds[1:], strict=False))
    assert count == 1 or size == 1 or min(end - begin for begin, end in bounds) > 1


def test_squares_that_are_painted_over_have_half_the_side_and_a_centre_anywhere():
    boxes = draw_cutouts(0.5, 3000, 33, torch.Generator().manual_seed(0))
    top, left, bottom, right, *colour = boxes.unbind(1)
    # half the side of 33 px is 17, of which 8 lie on either side of the centre; both ends are painted as well
    for low, high in ((top, bottom), (left, right)):
        assert (high - low).max() == 16
        assert (low.min(), low.max(), high.min(), high.max()) == (0, 24, 8, 33)
        centres = torch.where(low > 0, low + 8, high - 8)
        assert centres.unique().tolist() == list(range(33))
    assert all(len(values.unique()) == 256 for values in colour)
    assert drawn(CONFIG.replace(cutout=0.0)).cutout is None


def test_crops_have_torchvisions_spread():
    draws = drawn(count=4000)
    height, width = draws.crop[:, 2].double(), draws.crop[:, 3].double()
    area = height * width / 32**2
    assert area.min() > 0.22
    assert area.max() <= 1
    generator = np.random.default_rng(0)
    shares = []
    while len(shares) < 4000:
        share, ratio = generator.uniform(0.25, 1), math.exp(generator.uniform(-math.log(4 / 3), math.log(4 / 3)))
        rows, columns = round(math.sqrt(share * 1024 / ratio)), round(math.sqrt(share * 1024 * ratio))
        shares += [rows * columns / 1024] if max(rows, columns) <= 32 else []
    for quantile in (0.1, 0.5, 0.9):
        assert np.quantile(area.numpy(), quantile) == pytest.approx(np.quantile(shares, quantile), abs=0.03)
    assert draws.flip.float().mean().item() == pytest.approx(0.5, abs=0.04)
    assert (draws.crop[:, 0] + draws.crop[:, 2]).max() <= 32


def test_alternating_flips_show_each_image_from_both_sides_equally_often():
    config = CONFIG.replace(alternate_flips=True)
    shown = torch.stack([(epoch := drawn(config, epoch=number)).flip[epoch.order.argsort()] for number in range(1, 7)])
    assert (shown.sum(0) == 3).all()
    assert (shown[1:] != shown[:-1]).all()
    assert 0 < shown[0].sum() < len(shown[0])  # they begin with different sides
    assert not drawn(config.replace(flip=False)).flip.any()
    assert not any(EvaluateConfig.for_recipe(name).alternate_flips for name in RECIPES if name != "delt-flips")


def test_without_crops_and_flips_images_stay():
    draws = drawn(CONFIG.replace(min_crop=1.0, flip=False, rand_augment="none", mix="none"))
    assert (draws.crop == torch.tensor([0, 0, 32, 32])).all()
    assert not draws.flip.any()
    assert draws.ops.shape == (41, 0)
    assert (draws.share == 1).all()
    assert draws.partner[8:16].tolist() == list(range(8))


def test_share_of_cutmix_is_what_the_box_leaves_and_uniform_for_alpha_1():
    draws = drawn(count=8 * 3000)
    share, box = draws.share, draws.box
    assert torch.allclose(share, 1 - (box[:, 2] * box[:, 3]).float() / 32**2)
    assert (box[:, :2] + box[:, 2:] <= 32).all()
    assert (box >= 0).all()
    centres = box[:, :2].double() + box[:, 2:].double() / 2
    small = box[:, 2:].max(dim=1).values <= 4
    assert centres[small].mean().item() == pytest.approx(16, abs=1.5)
    generator = np.random.default_rng(1)
    wanted = []
    for wished in generator.beta(1, 1, size=3000):
        half = int(32 * math.sqrt(1 - wished)) // 2
        row, column = generator.integers(32, size=2)
        rows, columns = (np.clip(at + half, 0, 32) - np.clip(at - half, 0, 32) for at in (row, column))
        wanted.append(1 - rows * columns / 1024)
    for quantile in (0.1, 0.25, 0.5, 0.75):
        assert np.quantile(share.numpy(), quantile) == pytest.approx(np.quantile(wanted, quantile), abs=0.05)


def test_share_of_mixup_is_beta():
    draws = drawn(CONFIG.replace(mix="mixup", mix_alpha=0.4), count=8 * 3000)
    assert (draws.box == 0).all()
    assert draws.share.mean().item() == pytest.approx(0.5, abs=0.03)
    assert draws.share.var().item() == pytest.approx(1 / (4 * (2 * 0.4 + 1)), abs=0.01)


def test_boxes_are_clipped_at_the_border():
    assert cut_box(0.0, (0, 31), 32) == (0, 15, 16, 17)
    assert cut_box(1.0, (5, 5), 32) == (5, 5, 0, 0)


def test_tiles_are_permutations_and_each_place_is_as_likely():
    draws = drawn(CONFIG.replace(shuffle_patches=True), count=2000, mosaic=2)
    assert (draws.tiles.sort(dim=1).values == torch.arange(4)).all()
    assert draws.tiles.double().mean(dim=0).numpy() == pytest.approx([1.5] * 4, abs=0.1)
    assert drawn(CONFIG.replace(shuffle_patches=True), mosaic=1).tiles is None


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(ConfigError, match="batch_size: it is left open"):
        drawn(CONFIG.replace(batch_size=None))
    with pytest.raises(ConfigError, match="shuffle_patches: 3 x 3 tiles of 32 px"):
        drawn(CONFIG.replace(shuffle_patches=True), mosaic=3)
    with pytest.raises(ConfigError, match="rand_augment: 'auto' given"):
        drawn(CONFIG.replace(rand_augment="auto"))
