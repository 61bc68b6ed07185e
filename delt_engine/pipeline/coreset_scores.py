"""The scores that a coreset goes by, computed once for a dataset and found again.

What the scores are says :mod:`delt_engine.patches.coresets`. Shapes: N training images, K classes, D features.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Literal

import numpy as np
from torch import nn

from delt_engine.analysis.diversity import network_outputs
from delt_engine.config import SqueezeConfig
from delt_engine.data.pixels import normalise, to_pixels
from delt_engine.models.device import eval_mode
from delt_engine.models.teachers import Teacher
from delt_engine.patches.coresets import (
    error_norms,
    forgetting_counts,
    herding_scores,
    needs_scores,
    store_scores,
    stored_scores,
)
from delt_engine.pipeline.context import StageContext
from delt_engine.runs.events import StageEvent
from delt_engine.training.squeeze import SqueezeProgress, squeeze

_AT_ONCE = 512


def coreset_scores(context: StageContext, teacher: Teacher) -> np.ndarray | None:
    """Return the scores of all training images, float32 (N,), highest taken first; None where none are needed.

    Of several short trainings number n has the experiment's seed + n. A computation that is stopped begins again.

    Args:
        context: of the run; its selection says which scores.
        teacher: gives herding its features, and the trainings of EL2N and forgetting their network.

    Raises:
        RunCancelled: asked to stop.
    """
    config, seed, data = context.experiment.select, context.experiment.seed, context.inputs.dataset
    if not needs_scores(config):
        return None
    found = stored_scores(data.fingerprint, teacher.card, config, seed)
    if found is not None:
        context.event(StageEvent(stage="scores", done=len(found), total=len(found), cached=True))
        return found
    if config.criterion == "herding":
        looked = _looked(context, teacher.network, "features", teacher.card.mean, teacher.card.std)
        scores = herding_scores(looked, data.train.labels)
    else:
        trained = [_of_training(context, teacher, number) for number in range(config.score_networks)]
        scores = np.stack(trained).mean(0, dtype=np.float32)
    return store_scores(scores, data.fingerprint, teacher.card, config, seed)


def _of_training(context: StageContext, teacher: Teacher, number: int) -> np.ndarray:
    """Return the scores of one short training, float32 (N,)."""
    config, data, card = context.experiment.select, context.inputs.dataset, teacher.card
    network = {"network": card.network, "width": card.width, "stem": card.stem}
    training = SqueezeConfig.model_validate({**network, "epochs": config.score_epochs})
    labels, spec, is_el2n = data.train.labels, data.spec, config.criterion == "el2n"
    seen: list[np.ndarray] = []

    def look(trained: nn.Module, epoch: int) -> None:
        if is_el2n and epoch < config.score_epochs:
            return
        probabilities = _looked(context, trained, "probabilities", spec.mean, spec.std)
        seen.append(error_norms(probabilities, labels) if is_el2n else probabilities.argmax(1) == labels)

    seed = context.experiment.seed + number
    records = squeeze(data, training, seed=seed, device=context.device, after_epoch=look)
    with contextlib.closing(records):  # type: ignore[type-var]  # a generator, typed as what it yields
        for record in records:
            context.stop.check()
            if isinstance(record, SqueezeProgress) and record.step == record.steps:
                epochs = config.score_epochs
                done, total = number * epochs + record.epoch, config.score_networks * epochs
                context.event(StageEvent(stage="scores", done=done, total=total))
    return seen[0] if is_el2n else forgetting_counts(seen)


def _looked(
    context: StageContext,
    network: nn.Module,
    what: Literal["features", "probabilities"],
    mean: Sequence[float],
    std: Sequence[float],
) -> np.ndarray:
    """Return what a network makes of all training images, whole and without augmentation, float32 (N, D) or (N, K)."""
    train, device, parts = context.inputs.dataset.train, next(network.parameters()).device, []
    with eval_mode(network):
        for start in range(0, len(train), _AT_ONCE):
            context.stop.check()
            rows = np.arange(start, min(start + _AT_ONCE, len(train)))
            images = normalise(to_pixels(train.pixels(rows), device), mean, std)
            parts.append(getattr(network_outputs(network, images), what).numpy())
    return np.concatenate(parts)
