"""An iteration taken apart, as pictures and numbers of one image.

Source: ours; the stages are those of DELT Eq. 7-8 and Adam's step.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from delt_engine.config import RecoverConfig
from delt_engine.data.pixels import denormalise, to_u8
from delt_engine.lab.iteration import TakenApart, signed_u8
from delt_engine.lab.material import STAGES, StagesRecord
from delt_engine.models.bn_layers import bn_layers
from delt_engine.models.teachers import Teacher

TOP = 3
"""Classes told of the forward pass."""


def stages_of(
    iterations: Sequence[TakenApart], place: int, class_index: int, teacher: Teacher, config: RecoverConfig
) -> tuple[tuple[StagesRecord, ...], np.ndarray]:
    """Return the iterations of one image as records and as a sheet.

    Args:
        iterations: taken apart; those in which the image has not joined are left out.
        place: of the image in its batch.
        class_index: its class.
        teacher: names of the classes and statistics.
        config: the weight of the BatchNorm term.

    Returns:
        Records, and tiles uint8 (rows, stages, S, S, 3), columns as in :data:`delt_engine.lab.material.STAGES`.
    """
    shown = [apart for apart in iterations if place < len(apart.before)]
    tiles, records = [], []
    for row, apart in enumerate(shown):
        pictures, scales = _pictures(apart, place, teacher)
        tiles.append(pictures)
        records.append(_record(apart, place, row, class_index, scales, teacher, config))
    size = teacher.card.image_size
    return tuple(records), np.stack(tiles) if tiles else np.zeros((1, len(STAGES), size, size, 3), np.uint8)


def _pictures(apart: TakenApart, place: int, teacher: Teacher) -> tuple[np.ndarray, dict[str, float]]:
    card = teacher.card
    pictures, scales = {}, {}
    for name, images in {"before": apart.before, "crop": apart.crops, "after": apart.after}.items():
        pictures[name] = to_u8(denormalise(images[place : place + 1], card.mean, card.std))[0]
    signed = {
        "ce_gradient": apart.ce_gradient,
        "bn_gradient": apart.bn_gradient,
        "gradient": apart.gradient,
        "update": apart.update,
    }
    for name, values in signed.items():
        image_u8, scale = signed_u8(values[place : place + 1])
        pictures[name], scales[name] = image_u8[0], float(f"{scale[0]:.4g}")
    mask = apart.clipped[place].any(dim=0).cpu().numpy()
    pictures["clipped"] = np.repeat((255 * mask).astype(np.uint8)[..., None], 3, axis=2)
    return np.stack([pictures[name] for name in STAGES]), scales


def _record(
    apart: TakenApart,
    place: int,
    row: int,
    class_index: int,
    scales: dict[str, float],
    teacher: Teacher,
    config: RecoverConfig,
) -> StagesRecord:
    names = teacher.card.class_names
    std = torch.tensor(teacher.card.std, device=apart.update.device)
    best = apart.probabilities[place].topk(min(TOP, len(names)))
    top, left, height, width, flip = apart.crop_row[:5]
    step = (apart.after - apart.before)[place] * std.view(-1, 1, 1) * 255
    return StagesRecord(
        row=row,
        iteration=apart.iteration,
        round_number=apart.round_number,
        joined=len(apart.before),
        learning_rate=apart.learning_rate,
        crop_min=apart.crop_scale[0],
        crop=(top, left, height, width),
        is_flipped=bool(flip),
        top=tuple((names[int(c)], round(float(p), 4)) for p, c in zip(best.values, best.indices, strict=True)),
        true_class_prob=round(float(apart.probabilities[place, class_index]), 4),
        ce_image=round(float(apart.ce_each[place]), 4),
        ce_loss=round(float(apart.ce_loss), 4),
        bn_loss=round(float(apart.bn_loss), 4),
        bn_weight=config.r_bn,
        bn_layers=len(bn_layers(teacher.network)),
        scales=scales,
        mean_update=round(float(step.abs().mean()), 3),
        clipped_percent=round(100 * float(apart.clipped[place].float().mean()), 2),
    )
