"""One iteration of recovery taken apart: crop, forward, the two loss terms, gradient, Adam's step, clip.

The loop itself stores none of this. Its state before an iteration is enough to repeat the iteration step by step; a
test holds the outcome to what the loop does. :func:`stages_of` makes pictures and numbers of it for one image.
n images of a batch have joined, K classes.

Source: DELT Eq. 7-8; :mod:`delt_engine.recovery.loop`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from delt_engine.config import RecoverConfig
from delt_engine.data.pixels import denormalise, to_u8, value_bounds
from delt_engine.lab.material import STAGES, StagesRecord
from delt_engine.models.bn_layers import bn_layers
from delt_engine.models.teachers import Teacher
from delt_engine.recovery.augment import apply_crop, crop_bounds
from delt_engine.recovery.batches import BatchPlan, clock
from delt_engine.recovery.curriculum import learning_rate_at
from delt_engine.recovery.folding import PreparedTeacher
from delt_engine.recovery.loop import ADAM_EPS, BatchState
from delt_engine.recovery.objective import objective

TOP = 3
"""Classes named of the forward pass."""


@dataclass(frozen=True, eq=False)
class TakenApart:
    """All stages of one iteration, over the n joined images of a batch.

    Attributes:
        iteration, round_number: from 0 and from 1.
        learning_rate: of this iteration.
        crop_scale: bounds of the crop's area share.
        crop_row: top, left, height, width, flip, roll_y, roll_x in pixels.
        before: normalised images (n, 3, S, S) before the step.
        crops: what the teacher is given.
        probabilities: (n, K) for the crops.
        ce_each: (n,) each image's cross-entropy; the loss is their mean.
        ce_loss, bn_loss: 0-dim, over the batch, without the weight.
        ce_gradient, bn_gradient: (n, 3, S, S), the second of the weighted term; the gradient is the sum of both.
        update: what Adam adds to the images.
        after: images after the step, clipped to valid pixels.
    """

    iteration: int
    round_number: int
    learning_rate: float
    crop_scale: tuple[float, float]
    crop_row: tuple[int, ...]
    before: Tensor
    crops: Tensor
    probabilities: Tensor
    ce_each: Tensor
    ce_loss: Tensor
    bn_loss: Tensor
    ce_gradient: Tensor
    bn_gradient: Tensor
    update: Tensor
    after: Tensor

    @property
    def gradient(self) -> Tensor:
        """Gradient of the whole loss, (n, 3, S, S)."""
        return self.ce_gradient + self.bn_gradient

    @property
    def clipped(self) -> Tensor:
        """Whether the clip changed a value, bool (n, 3, S, S)."""
        return self.before + self.update != self.after


def take_apart(
    state: BatchState,
    labels: Tensor,
    network: nn.Module,
    plan: BatchPlan,
    config: RecoverConfig,
    crop_rows: Tensor,
    *,
    mean: Sequence[float],
    std: Sequence[float],
) -> TakenApart:
    """Repeat the iteration that follows ``state`` and return every stage; ``state`` is not changed.

    Some image must have joined. Labels, plan, config, crops int64 (MI, 7) and the teacher are those of the loop.
    """
    iteration = state.iteration
    round_number = iteration // config.round_iterations + 1
    joined = plan.joined(round_number)
    learning_rate = learning_rate_at(*clock(iteration, config), config.learning_rate)
    before = state.images[:joined].detach().clone()
    leaf = before.clone().requires_grad_()
    crops = apply_crop(leaf, crop_rows[iteration])
    logits: list[Tensor] = []
    hook = network.register_forward_hook(lambda _network, _inputs, output: logits.append(output))
    try:
        with objective(PreparedTeacher(network, mean, std), config) as losses_of:
            losses = losses_of(crops, labels[:joined])
            (ce_gradient,) = torch.autograd.grad(losses.ce, leaf, retain_graph=True)
            (bn_gradient,) = torch.autograd.grad(config.r_bn * losses.bn, leaf)
    finally:
        hook.remove()
    update = -learning_rate * _direction(state, ce_gradient + bn_gradient, plan, config)
    low, high = (bound.to(before) for bound in value_bounds(mean, std))
    scores = logits[0].detach()
    return TakenApart(
        iteration=iteration,
        round_number=round_number,
        learning_rate=learning_rate,
        crop_scale=crop_bounds(iteration, config),
        crop_row=tuple(crop_rows[iteration].tolist()),
        before=before,
        crops=crops.detach(),
        probabilities=scores.softmax(dim=1),
        ce_each=nn.functional.cross_entropy(scores, labels[:joined], reduction="none"),
        ce_loss=losses.ce.detach(),
        bn_loss=losses.bn.detach(),
        ce_gradient=ce_gradient,
        bn_gradient=bn_gradient,
        update=update,
        after=(before + update).clamp(low, high),
    )


def _direction(state: BatchState, gradient: Tensor, plan: BatchPlan, config: RecoverConfig) -> Tensor:
    """Return Adam's step for a learning rate of one, with its sign turned."""
    joined = len(gradient)
    first = torch.tensor(plan.first_iterations(config.round_iterations), device=gradient.device)
    start = first[0] if config.adam_counters == "shared" else first[:joined].view(-1, 1, 1, 1)
    steps = (state.iteration + 1 - start).to(gradient)
    exp_avg = state.exp_avg[:joined].lerp(gradient, 1 - config.beta1)
    exp_avg_sq = config.beta2 * state.exp_avg_sq[:joined] + (1 - config.beta2) * gradient**2
    root = (exp_avg_sq / (1 - config.beta2**steps)).sqrt()
    return exp_avg / (1 - config.beta1**steps) / (root + ADAM_EPS)


def signed_u8(values: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Return signed values (n, 3, S, S) as pictures, uint8 (n, S, S, 3), in which grey is zero.

    Also the largest absolute value of each image, float (n,), which full colour stands for.
    """
    scale = values.abs().flatten(1).amax(dim=1)
    shown = 127.5 * (1 + values / scale.clamp_min(1e-12).view(-1, 1, 1, 1))
    image_u8 = shown.round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1)
    return image_u8.contiguous().cpu().numpy(), scale.cpu().numpy()


def stages_of(
    iterations: Sequence[TakenApart], place: int, class_index: int, teacher: Teacher, config: RecoverConfig
) -> tuple[tuple[StagesRecord, ...], np.ndarray]:
    """Return the iterations of one image, by its ``place`` in the batch, as records and as a sheet.

    Iterations in which the image has not joined are left out. The sheet is uint8 (rows, stages, S, S, 3), its columns
    as in :data:`delt_engine.lab.material.STAGES`.
    """
    shown = [apart for apart in iterations if place < len(apart.before)]
    size = teacher.card.image_size
    tiles = np.zeros((max(1, len(shown)), len(STAGES), size, size, 3), np.uint8)
    records = []
    for row, apart in enumerate(shown):
        tiles[row], scales = _pictures(apart, place, teacher)
        records.append(_record(apart, place, row, class_index, scales, teacher, config))
    return tuple(records), tiles


def _pictures(apart: TakenApart, place: int, teacher: Teacher) -> tuple[np.ndarray, dict[str, float]]:
    """Return the stages uint8 (stages, S, S, 3), and what full colour stands for in the signed ones."""
    card, here = teacher.card, slice(place, place + 1)
    pictures, scales = {}, {}
    for name, images in {"before": apart.before, "crop": apart.crops, "after": apart.after}.items():
        pictures[name] = to_u8(denormalise(images[here], card.mean, card.std))[0]
    for name in ("ce_gradient", "bn_gradient", "gradient", "update"):
        image_u8, scale = signed_u8(getattr(apart, name)[here])
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
    best = apart.probabilities[place].topk(min(TOP, len(names)))
    top, left, height, width, flip = apart.crop_row[:5]
    std = torch.tensor(teacher.card.std, device=apart.update.device).view(-1, 1, 1)
    step = (apart.after - apart.before)[place] * std * 255
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
