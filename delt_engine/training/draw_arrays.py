"""What happens to the images of an epoch, as arrays of the smallest whole numbers that hold it to the bit.

Shapes: N images, n operations an image, m tiles along each side, S side in pixels.

Source: ours; FKD and SRe2L record crops and flips as float32 beside their labels.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

from delt_engine.config.students import EvaluateConfig
from delt_engine.training.draws import EpochDraws, batch_bounds
from delt_engine.training.label_codec import Spec, smallest_uint
from delt_engine.training.rand_augment import LEVELS_PER_UNIT, OPERATIONS, read_policy


def draws_spec(config: EvaluateConfig, count: int, image_size: int, mosaic: int = 1) -> Spec:
    """Return the arrays that an epoch of ``count`` images takes.

    A crop takes one byte a side up to 255 px and two above; a flip takes a bit; a level takes two bytes.
    """
    bounds = batch_bounds(count, config.batch_size)
    pixel, num_ops = smallest_uint(image_size), read_policy(config.rand_augment).num_ops
    spec: Spec = {
        "order": (smallest_uint(count - 1), (count,)),
        "crop": (pixel, (count, 4)),
        "flip": (np.dtype(np.uint8), (-(-count // 8),)),
        "share": (np.dtype(np.float32), (len(bounds),)),
        "box": (pixel, (len(bounds), 4)),
        "partner": (smallest_uint(max(end - begin for begin, end in bounds) - 1), (count,)),
    }
    if num_ops:
        spec["ops"] = (smallest_uint(len(OPERATIONS) - 1), (count, num_ops))
        spec["magnitudes"] = (np.dtype(np.int16), (count, num_ops))
    if config.shuffle_patches and mosaic > 1:
        spec["tiles"] = (smallest_uint(mosaic**2 - 1), (count, mosaic**2))
    return spec


def packed(draws: EpochDraws, spec: Spec) -> dict[str, np.ndarray]:
    """Return the arrays of an epoch."""
    values = {name: getattr(draws, name).numpy() for name in spec}
    values["flip"] = np.packbits(values["flip"])
    if "magnitudes" in spec:
        values["magnitudes"] = np.rint(values["magnitudes"] * LEVELS_PER_UNIT)
    return {name: np.ascontiguousarray(values[name].astype(dtype)) for name, (dtype, _) in spec.items()}


def unpacked(arrays: Mapping[str, np.ndarray]) -> EpochDraws:
    """Return the epoch that :func:`packed` wrote."""

    def whole(name: str) -> torch.Tensor:
        return torch.from_numpy(arrays[name].astype(np.int64))

    count = len(arrays["order"])
    has_ops = "ops" in arrays
    thousandths = torch.from_numpy(arrays["magnitudes"].astype(np.float32)) if has_ops else torch.zeros(count, 0)
    return EpochDraws(
        order=whole("order"),
        crop=whole("crop"),
        flip=torch.from_numpy(np.unpackbits(arrays["flip"], count=count).astype(bool)),
        tiles=whole("tiles") if "tiles" in arrays else None,
        ops=whole("ops") if has_ops else torch.zeros(count, 0, dtype=torch.int64),
        magnitudes=thousandths / LEVELS_PER_UNIT,
        share=torch.from_numpy(arrays["share"].astype(np.float32)),
        box=whole("box"),
        partner=whole("partner"),
    )
