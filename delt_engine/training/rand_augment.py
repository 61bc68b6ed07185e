"""RandAugment as timm has it, drawn for an epoch at once and applied to batches of 8-bit images on their device.

Ours in place of timm's, which takes one PIL image at a time on a CPU, draws from global generators, so that an epoch
could not be drawn again from its seed, and ends in an error where it posterises to 0 bits (timm 1.0.31 with Pillow 13;
one operation in 15 at levels below 2.5). It is no matter of speed on a CPU: microseconds an image in one thread of an
AMD EPYC with AVX-512, torch 2.14.1, beside other work, ours / timm's (mended): 32 px m5-n4 130 / 213, 64 px m4-n3
338 / 170, 224 px m6-n2 2,236 / 1,596.

An image gets n operations, drawn with replacement from fifteen; each is left out with probability 1 - p. The level of
an operation is normal around m, cut to 0 to 10, and becomes the operation's argument by timm's own rule. Values are
rounded to 8 bits after each operation, as with PIL images.

Shapes: N images of an epoch, B in a batch, n operations an image, S side in pixels.

Source: Cubuk et al., "RandAugment"; timm data/auto_augment.py (operations, arguments, noise of the level, writing of
the settings).
Differs: geometry is always resampled bilinearly, where timm, unless told, draws bilinear or bicubic for each operation.
Bicubic reads four times as many pixels for little: where it is drawn, a value moves by 2 of 255 levels at 32 px and by
1 at 64 px (means over images of CIFAR-10 at level 5). Levels are rounded to a thousandth, so that a recorded epoch is
exact. Published evaluation code passes a translation constant of 117 px, but timm's RandAugment moves by a share of the
image (0.45 at level 10) and never reads it.
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from delt_engine.errors import ConfigError
from delt_engine.training import pixel_ops

OPERATIONS = (
    "",
    "AutoContrast",
    "Equalize",
    "Invert",
    "Rotate",
    "Posterize",
    "Solarize",
    "SolarizeAdd",
    "Color",
    "Contrast",
    "Brightness",
    "Sharpness",
    "ShearX",
    "ShearY",
    "TranslateXRel",
    "TranslateYRel",
)
"""Name of each number in ``ops``; 0 leaves the image as it is."""

LEVELS_PER_UNIT = 1000
"""A level is a whole number of thousandths."""
_FULL = 10.0  # timm's denominator: the level of a full effect
_HIGHEST = 32
_SIGNED = ("Rotate", "ShearX", "ShearY", "TranslateXRel", "TranslateYRel")
_SIGNED_WHEN_INCREASING = ("Color", "Contrast", "Brightness", "Sharpness")
_PARTS = re.compile(r"(mstd|mmax|inc|m|n|p)(\d+(?:\.\d+)?|inf)")
_WHOLE = ("m", "n", "mmax", "inc")


@dataclass(frozen=True)
class Policy:
    """What RandAugment does.

    Attributes:
        magnitude: m, the level.
        num_ops: n, operations an image.
        noise: standard deviation of the level; infinite for a level uniform from 0 to m.
        highest: level above which it is cut.
        chance: p, with which an operation is done.
        is_increasing: whether every operation does more at higher levels.
    """

    magnitude: float = _FULL
    num_ops: int = 2
    noise: float = 0.0
    highest: float = _FULL
    chance: float = 0.5
    is_increasing: bool = False


@functools.lru_cache(maxsize=64)
def read_policy(text: str) -> Policy:
    """Read timm's writing, such as ``m5-n4-mstd1``; a leading ``rand-`` may stand before it.

    m is the level, n the operations an image, mstd the noise of the level (above 100: uniform), mmax where it is cut,
    p the chance of each operation, inc1 makes every operation do more at higher levels. ``none`` has no operations.

    Raises:
        ConfigError: a part that is none of these.

    >>> read_policy("m5-n4-mstd1")
    Policy(magnitude=5, num_ops=4, noise=1.0, highest=10.0, chance=0.5, is_increasing=False)
    """
    if text == "none":
        return Policy(num_ops=0)
    values: dict[str, float] = {}
    for part in text.removeprefix("rand-").split("-"):
        found = _PARTS.fullmatch(part)
        if found is None or (found[1] in _WHOLE and not found[2].isdigit()):
            raise ConfigError(
                f"rand_augment: {text!r} given, but {part!r} is none of m, n, mstd, mmax, p or inc with its number, as "
                "in m5-n4-mstd1."
            )
        values[found[1]] = int(found[2]) if found[1] in _WHOLE else float(found[2])
    highest = float(values.get("mmax", 0) or _FULL)
    if highest > _HIGHEST or values.get("p", 0) > 1 or values.get("n", 0) > _HIGHEST:
        raise ConfigError(f"rand_augment: {text!r} given, but mmax and n go up to {_HIGHEST} and p up to 1.")
    noise = float(values.get("mstd", 0))
    return Policy(
        magnitude=values.get("m", _FULL),
        num_ops=int(values.get("n", 2)),
        noise=math.inf if noise > 100 else noise,
        highest=highest,
        chance=values.get("p", 0.5),
        is_increasing=bool(values.get("inc", 0)),
    )


def draw_operations(policy: Policy, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Draw the operations of an epoch of ``count`` images.

    Returns:
        Operations int64 (N, n), 0 where none is done, and their levels float32 (N, n), negative where the operation
        goes the other way, 0 where it has no level.
    """
    shape = (count, policy.num_ops)
    ops = torch.randint(1, len(OPERATIONS), shape, generator=generator)
    is_done = torch.rand(shape, generator=generator) < policy.chance
    if math.isinf(policy.noise):
        levels = policy.magnitude * torch.rand(shape, generator=generator)
    else:
        levels = policy.magnitude + policy.noise * torch.randn(shape, generator=generator)
    levels = (levels.clamp(0, policy.highest) * LEVELS_PER_UNIT).round() / LEVELS_PER_UNIT
    is_negative = torch.rand(shape, generator=generator) < 0.5
    signed = _SIGNED + (_SIGNED_WHEN_INCREASING if policy.is_increasing else ())
    has_sign = torch.isin(ops, torch.tensor([OPERATIONS.index(name) for name in signed]))
    levels = torch.where(has_sign & is_negative, -levels, levels)
    ops = torch.where(is_done, ops, 0)
    return ops, torch.where(ops > OPERATIONS.index("Invert"), levels, 0.0)


def rand_augmented(images: Tensor, ops: Tensor, levels: Tensor, policy: Policy, fill: Sequence[int]) -> Tensor:
    """Return images with their operations done, one after the other.

    Args:
        images: uint8 (B, 3, S, S); they are left as they are.
        ops: int64 (B, n) on the CPU.
        levels: float32 (B, n) on the CPU.
        policy: whose ``is_increasing`` decides the arguments.
        fill: value of each channel for what comes from outside the image.
    """
    if not ops.any():
        return images
    images = images.clone(memory_format=torch.contiguous_format)
    thousandths = (levels.double() * LEVELS_PER_UNIT).round()
    for ops_now, levels_now in zip(ops.unbind(1), (thousandths / LEVELS_PER_UNIT).unbind(1), strict=True):
        _apply(images, ops_now, levels_now, policy, fill)
    return images


_TABLES: dict[str, Callable[..., Tensor]] = {
    "AutoContrast": pixel_ops.auto_contrasted,
    "Equalize": pixel_ops.equalized,
    "Invert": pixel_ops.inverted,
    "Posterize": pixel_ops.posterized,
    "Solarize": pixel_ops.solarized,
    "SolarizeAdd": pixel_ops.solarize_added,
    "Contrast": pixel_ops.contrasted,
    "Brightness": pixel_ops.brightened,
}
_BLENDS: dict[str, Callable[..., Tensor]] = {"Color": pixel_ops.coloured, "Sharpness": pixel_ops.sharpened}
_WITHOUT_ARGUMENT = ("AutoContrast", "Equalize", "Invert")


def _apply(images: Tensor, ops: Tensor, levels: Tensor, policy: Policy, fill: Sequence[int]) -> None:
    """Do one operation on each image in place: all tables in one step, all maps in another."""
    rows_of = {OPERATIONS[op]: (ops == op).nonzero()[:, 0] for op in set(ops.tolist()) - {0}}
    tables, table_rows, maps, map_rows = [], [], [], []
    for name, rows in sorted(rows_of.items()):
        level = levels[rows]
        if name in _SIGNED:
            maps.append(_maps(name, level, images.shape[-1]))
            map_rows.append(rows)
            continue
        on_device = rows.to(images.device, non_blocking=True)
        arguments = []
        if name not in _WITHOUT_ARGUMENT:
            values = argument(name, level, policy.is_increasing)
            arguments.append(values.to(images.device, non_blocking=True))
        if name in _TABLES:
            tables.append(_TABLES[name](images[on_device], *arguments))
            table_rows.append(on_device)
        else:
            images[on_device] = _BLENDS[name](images[on_device], *arguments)
    if tables:
        rows = torch.cat(table_rows)
        images[rows] = pixel_ops.looked_up(images[rows], torch.cat(tables))
    if maps:
        rows = torch.cat(map_rows).to(images.device, non_blocking=True)
        images[rows] = pixel_ops.moved(images[rows], torch.cat(maps), fill)


def argument(name: str, level: Tensor, is_increasing: bool = False) -> Tensor:
    """Return an operation's argument for float64 levels (B,), as timm's ``LEVEL_TO_ARG``."""
    share = level / _FULL
    if name in _SIGNED_WHEN_INCREASING:  # blends: 1 leaves the image as it is
        factor = (1 + 0.9 * share).clamp(min=0.1) if is_increasing else 1.8 * share + 0.1
        return factor.float()
    if name == "Posterize":  # bits that are kept
        bits = (share * 4).long()
        return (4 - bits if is_increasing else bits).clamp(0, 8)
    if name == "Solarize":  # threshold
        threshold = (share * 256).long().clamp(max=256)
        return 256 - threshold if is_increasing else threshold
    if name == "SolarizeAdd":
        return (share * 110).long().clamp(max=128)
    return share * {"Rotate": 30.0, "ShearX": 0.3, "ShearY": 0.3}.get(name, 0.45)  # degrees, px a px, share of the side


def _maps(name: str, level: Tensor, size: int) -> Tensor:
    amount = argument(name, level)
    if name == "Rotate":
        return pixel_ops.rotation_maps(amount, size)
    axis = 0 if "X" in name else 1
    if name.startswith("Shear"):
        return pixel_ops.shear_maps(amount, axis)
    return pixel_ops.shift_maps(amount * size, axis)
