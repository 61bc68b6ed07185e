import math
import random
from collections import Counter

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps
from timm.data import auto_augment as timm_ops

from delt_engine.errors import ConfigError
from delt_engine.training.pixel_ops import auto_contrasted, looked_up
from delt_engine.training.rand_augment import OPERATIONS, Policy, argument, draw_operations, rand_augmented, read_policy

LEVELS = [0.0, 1.234, 2.5, 4.999, 5.0, 7.5, 9.1, 10.0]
GEOMETRY = ("Rotate", "ShearX", "ShearY", "TranslateXRel", "TranslateYRel")
COLOURS = tuple(name for name in OPERATIONS[1:] if name not in GEOMETRY)
FILL = (124, 116, 104)


def pictures(count: int = 6, size: int = 24, seed: int = 0) -> np.ndarray:
    """Noise, smooth pictures, one flat one and one of few values: uint8 (count, size, size, 3)."""
    numbers = np.random.default_rng(seed)
    out = numbers.integers(0, 256, (count, size, size, 3), dtype=np.uint8)
    y, x = np.mgrid[:size, :size] / size
    smooth = np.stack([np.sin(3 * x + c) * np.cos(4 * y - c) for c in range(3)], axis=2)
    out[1::2] = np.clip(128 + 90 * smooth + numbers.normal(0, 3, smooth.shape), 0, 255)
    out[2] = 77
    out[4] = out[4] // 64 * 40 + 31
    return out


def ours(images: np.ndarray, names: list[str], levels: list[float], policy: Policy) -> np.ndarray:
    batch = torch.from_numpy(images).permute(0, 3, 1, 2)
    ops = torch.tensor([[OPERATIONS.index(name) for name in names]]).expand(len(images), -1)
    given = torch.tensor([levels], dtype=torch.float32).expand(len(images), -1)
    return rand_augmented(batch, ops, given, policy, FILL).permute(0, 2, 3, 1).numpy()


def timms(image: np.ndarray, name: str, level: float, increasing: bool) -> np.ndarray:
    """Apply timm's own function for a signed level."""
    grows = {"Posterize", "Solarize", "Color", "Contrast", "Brightness", "Sharpness"}
    full = name + "Increasing" if increasing and name in grows else name
    hparams = {"img_mean": FILL, "interpolation": Image.Resampling.BILINEAR}
    op = timm_ops.AugmentOp(full, prob=1.0, magnitude=abs(level), hparams=hparams)
    flipped = timm_ops._randomly_negate
    timm_ops._randomly_negate = lambda value: math.copysign(value, level)
    try:
        return np.asarray(op(Image.fromarray(image)))
    finally:
        timm_ops._randomly_negate = flipped


def test_auto_contrast_is_pillows_for_every_span_of_values():
    values = np.arange(256, dtype=np.uint8).reshape(16, 16)
    pairs = [(low, high) for low in range(0, 256, 5) for high in range(low, 256)]
    pairs += pairs[: -len(pairs) % 3]
    channels = np.stack([values.clip(low, high) for low, high in pairs]).reshape(-1, 3, 16, 16)
    images = torch.from_numpy(channels)
    found = looked_up(images, auto_contrasted(images)).permute(0, 2, 3, 1).numpy()
    for image, expected in zip(channels.transpose(0, 2, 3, 1), found, strict=True):
        assert (np.asarray(ImageOps.autocontrast(Image.fromarray(image))) == expected).all()


@pytest.mark.parametrize("increasing", [False, True])
@pytest.mark.parametrize("name", COLOURS)
def test_colours_are_timms(name, increasing):
    images = pictures()
    is_signed = increasing and name in {"Color", "Contrast", "Brightness", "Sharpness"}
    for level in [*LEVELS, *([-value for value in LEVELS] if is_signed else [])]:
        if name == "Posterize" and int(argument(name, torch.tensor([level]).double(), increasing)) == 0:
            assert (ours(images, [name], [level], Policy(is_increasing=increasing)) == 0).all()
            continue  # Pillow refuses what timm asks for
        found = ours(images, [name], [level], Policy(is_increasing=increasing))
        wanted = np.stack([timms(image, name, level, increasing) for image in images])
        off = np.abs(found.astype(int) - wanted)
        assert off.max() <= (1 if name in {"Color", "Contrast", "Brightness", "Sharpness"} else 0), level
        assert (off > 0).mean() < 0.002


@pytest.mark.parametrize("name", GEOMETRY)
def test_geometry_is_timms_with_bilinear_resampling(name):
    images = pictures()
    odd = [0.0, 0.777, 1.234, 3.217, 4.999, -0.777, -6.143, -9.919]
    for level in [*odd, *LEVELS, *(-value for value in LEVELS)]:
        found = ours(images, [name], [level], Policy())
        wanted = np.stack([timms(image, name, level, False) for image in images])
        off = np.abs(found.astype(int) - wanted).max(axis=3)
        assert (off > 1).mean() < 0.002, level  # a pixel on the very border of the image may be in or out
        if level in odd:  # at the others a value may be a whole number, which is cut off to either side
            assert (off > 0).mean() < 0.01, level


def test_equalize_of_an_image_with_more_pixels_than_values():
    images = pictures(size=40, seed=3)
    wanted = np.stack([timms(image, "Equalize", 5, False) for image in images])
    assert (ours(images, ["Equalize"], [0], Policy()) == wanted).all()


def test_operations_follow_each_other_with_8_bits_between_and_each_image_gets_its_own():
    images = pictures()
    names = ["Invert", "Brightness", "TranslateXRel", "", "Equalize", "Color"]
    other = ["Contrast", "", "Solarize", "AutoContrast", "Rotate", "ShearY"]
    ops = torch.tensor([[OPERATIONS.index(a), OPERATIONS.index(b)] for a, b in zip(names, other, strict=True)])
    levels = torch.full(ops.shape, 6.0)
    batch = torch.from_numpy(images).permute(0, 3, 1, 2)
    before = batch.clone()
    together = rand_augmented(batch, ops, levels, Policy(), FILL)
    for index in range(len(images)):
        pair = [names[index], other[index]]
        alone = ours(images[index : index + 1], pair, [6.0, 6.0], Policy())
        assert (together[index].permute(1, 2, 0).numpy() == alone[0]).all()
        step = ours(ours(images[index : index + 1], pair[:1], [6.0], Policy()), pair[1:], [6.0], Policy())
        assert (alone == step).all()
    assert (batch == before).all()


@pytest.mark.parametrize("text", ["m5-n4-mstd1", "m9-n2-mstd0.5-inc1", "m7-n3-p0.8", "m8-n2-mstd101", "m20-mmax30"])
def test_settings_are_read_as_timm_reads_them(text):
    policy, theirs = read_policy(text), timm_ops.rand_augment_transform("rand-" + text, {"img_mean": FILL})
    op = theirs.ops[0]
    assert policy.num_ops == theirs.num_layers
    assert policy.magnitude == op.magnitude
    assert policy.noise == op.magnitude_std
    assert policy.chance == op.prob
    assert policy.highest == (op.magnitude_max or 10)
    assert [each.name.removesuffix("Increasing") for each in theirs.ops] == list(OPERATIONS[1:])
    assert policy.is_increasing == any(each.name.endswith("Increasing") for each in theirs.ops)
    assert read_policy("rand-" + text) == policy


@pytest.mark.parametrize("text", ["", "m5 n4", "m5-x3", "auto", "m5.5", "m5-tweights", "m5-mmax99", "m5-p2"])
def test_other_settings_are_refused(text):
    with pytest.raises(ConfigError, match="rand_augment: "):
        read_policy(text)


def drawn_by_timm(text: str, images: int) -> list[tuple[str, float]]:
    """Name and level of every operation that timm does, from a run of its transform with recording functions."""
    transform = timm_ops.rand_augment_transform("rand-" + text, {"img_mean": FILL})
    done: list[tuple[str, float]] = []
    for op in transform.ops:
        base = op.name.removesuffix("Increasing")
        op.level_fn = lambda level, hparams, base=base: (done.append((base, level)), (0,))[1]
        op.aug_fn = lambda image, *_, **__: image
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002 (timm draws from the global generators)
    for _ in range(images):
        transform(None)
    return done


@pytest.mark.parametrize("increasing", [False, True])
def test_signs_go_with_the_operations_that_have_them(increasing):
    policy = read_policy("m5-n8-mstd1" + "-inc1" * increasing)
    ops, levels = draw_operations(policy, 2000, torch.Generator().manual_seed(1))
    signed = {*GEOMETRY, *({"Color", "Contrast", "Brightness", "Sharpness"} if increasing else ())}
    for number, name in enumerate(OPERATIONS):
        drawn = levels[ops == number]
        if name in {"", "AutoContrast", "Equalize", "Invert"}:
            assert (drawn == 0).all()
        else:
            assert (drawn < 0).float().mean().item() == pytest.approx(0.5 if name in signed else 0, abs=0.07)


@pytest.mark.parametrize("text", ["m5-n4-mstd1", "m9-n2-mstd101-p0.7"])
def test_operations_and_levels_are_drawn_as_timm_draws_them(text):
    policy, images = read_policy(text), 4000
    theirs = drawn_by_timm(text, images)
    ops, levels = draw_operations(policy, images, torch.Generator().manual_seed(0))
    assert ops.shape == levels.shape == (images, policy.num_ops)
    share = len(theirs) / (images * policy.num_ops)
    assert (ops > 0).float().mean().item() == pytest.approx(share, abs=0.02)
    assert share == pytest.approx(policy.chance, abs=0.02)
    counts, expected = Counter(ops[ops > 0].tolist()), images * policy.num_ops * policy.chance / 15
    assert len(counts) == 15
    assert max(abs(count - expected) for count in counts.values()) < 5 * math.sqrt(expected)
    their_counts = Counter(name for name, _ in theirs)
    assert max(abs(count - expected) for count in their_counts.values()) < 5 * math.sqrt(expected)
    their_levels = np.array([level for _, level in theirs])
    own_levels = levels[ops > 3].abs().numpy()
    for quantile in (0.05, 0.25, 0.5, 0.75, 0.95):
        assert np.quantile(own_levels, quantile) == pytest.approx(np.quantile(their_levels, quantile), abs=0.2)
