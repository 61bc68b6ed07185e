"""Teachers: loading one for a dataset, and measuring whether it knows that dataset.

A teacher of ours carries a card, so its network, classes and statistics are known. A checkpoint from elsewhere is
weights alone: the network is named by the caller, and classes, image size and statistics are taken from the dataset.

Source: RDED's and DELT's published teachers are such checkpoints (recover/models.py ``load_model``); measuring before
use is ours, since published code takes any file and a wrong class order shows only in the final accuracy.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from delt_engine.data.catalogue import dataset_ref
from delt_engine.data.pixels import normalise, to_pixels
from delt_engine.errors import CheckpointError, DataError
from delt_engine.models.card import TeacherCard, find_teacher, has_card, read_card
from delt_engine.models.checkpoints import State, differences, fit_state, load_state, weights_fingerprint
from delt_engine.models.device import eval_mode
from delt_engine.models.health import CheckRecord, examine, misfit
from delt_engine.models.networks import build_network, resolve_stem, stem_of
from delt_engine.models.stems import has_small_stem

if TYPE_CHECKING:
    from delt_engine.data.dataset import Dataset, ImageSet

_PREDICT_BATCH = 256


@dataclass(frozen=True, eq=False)
class Teacher:
    """A frozen network in eval mode, and what is known of it."""

    network: nn.Module
    card: TeacherCard


def load_teacher(
    ref: str,
    *,
    dataset: Dataset | None = None,
    network: str | None = None,
    width: float | None = None,
    stem: str | None = None,
    device: str | torch.device = "cpu",
) -> Teacher:
    """Load a teacher, frozen and in eval mode.

    Args:
        ref: name, file or ``auto``; see :func:`delt_engine.models.card.find_teacher`.
        dataset: what the teacher must fit; needed for ``auto`` and for a checkpoint without a card.
        network: of a checkpoint without a card. A card knows its own network, width and stem.
        width: of such a checkpoint; 1 when not given.
        stem: of such a checkpoint; whichever fits when not given.

    Raises:
        CheckpointError: no such teacher, an unreadable file, weights that do not fit, or other classes.
    """
    spec = dataset.spec if dataset is not None else None
    name = dataset_ref(dataset) if dataset is not None else ""
    path = find_teacher(ref, *((name, spec.image_size, spec.class_names) if spec is not None else ()))
    state = load_state(path)
    if has_card(path):
        card = read_card(path)
        reason = misfit(card, spec, name) if spec is not None else ""
        if reason:
            raise CheckpointError(f"teacher: {reason}")
        if card.fingerprint != weights_fingerprint(state):
            raise CheckpointError(f"teacher: {path} is damaged: its weights are not those its card was written for.")
        return teacher_of(card, state, device)
    model, card = _fit_foreign(path, state, dataset, network, width, stem)
    return _frozen(model, replace(card, fingerprint=weights_fingerprint(state)), device)


def teacher_of(card: TeacherCard, state: State, device: str | torch.device = "cpu") -> Teacher:
    """Return the teacher of a card and its weights, frozen and in eval mode.

    Raises:
        CheckpointError: weights that do not fit the card's network.
    """
    model = _build(card, card.stem)
    fit_state(model, state, card.network)
    return _frozen(model, card, device)


def _frozen(model: nn.Module, card: TeacherCard, device: str | torch.device) -> Teacher:
    return Teacher(model.to(device).eval().requires_grad_(requires_grad=False), card)


def check_teacher(
    teacher: Teacher,
    dataset: Dataset,
    sample: int = 512,
    seed: int = 0,
    report: Callable[[int, int], None] | None = None,
) -> CheckRecord:
    """Measure a teacher on test images before it is used; :mod:`delt_engine.models.health` judges what came out.

    Args:
        sample: test images, at most; ``seed`` says which ones.
        report: called with (done, total) after every batch.

    Raises:
        DataError: the dataset has no test images.
    """
    total = len(dataset.test)
    if total == 0:
        raise DataError(f"dataset: {dataset.spec.name} has no test images, so the teacher cannot be checked.")
    chosen = np.sort(np.random.default_rng(seed).permutation(total)[:sample])
    labels = dataset.test.labels[chosen]
    predicted = predict(teacher.network, dataset.test, chosen, teacher.card.mean, teacher.card.std, report).numpy()
    return examine(teacher.card, dataset, labels, predicted)


def predict(
    network: nn.Module,
    images: ImageSet,
    indices: Sequence[int] | np.ndarray,
    mean: Sequence[float],
    std: Sequence[float],
    report: Callable[[int, int], None] | None = None,
) -> Tensor:
    """Return the classes a network predicts for the n images of some indices, int64 ``(n,)`` on the CPU.

    Args:
        network: run in eval mode on the device it is on; it goes back to the mode it was in.
        mean: per channel of pixels in [0, 1], what the network was trained with; ``std`` likewise.
        report: called with (done, total) after every batch.
    """
    device = next(network.parameters()).device
    predicted = []
    with eval_mode(network), torch.inference_mode():
        for start in range(0, len(indices), _PREDICT_BATCH):
            pixels = to_pixels(images.pixels(indices[start : start + _PREDICT_BATCH]), device)
            predicted.append(network(normalise(pixels, mean, std)).argmax(1).cpu())
            if report:
                report(min(start + _PREDICT_BATCH, len(indices)), len(indices))
    return torch.cat(predicted)


def _build(card: TeacherCard, stem: str) -> nn.Module:
    with torch.random.fork_rng(devices=[]):  # the random weights are overwritten; the caller's generator stays
        return build_network(card.network, card.num_classes, width=card.width, stem=stem, image_size=card.image_size)


def _fit_foreign(
    path: Path, state: State, dataset: Dataset | None, network: str | None, width: float | None, stem: str | None
) -> tuple[nn.Module, TeacherCard]:
    """Build the caller's network for the dataset's classes, with the stem that fits, and fill it."""
    if network is None:
        raise CheckpointError(
            f"teacher: {path} does not say what network it is; give its name, such as resnet18, with --network."
        )
    if dataset is None:
        raise CheckpointError(f"teacher: {path} does not say what its classes are; give the dataset it was trained on.")
    spec = dataset.spec
    card = TeacherCard(
        name=path.stem,
        network=network,
        width=1.0 if width is None else width,
        stem=resolve_stem(stem or "auto", spec.image_size),
        num_classes=spec.num_classes,
        class_names=spec.class_names,
        image_size=spec.image_size,
        mean=spec.mean,
        std=spec.std,
        dataset=spec.name,
        dataset_fingerprint=dataset.fingerprint,
        accuracy=None,
        epochs=None,
        source=f"checkpoint {path.name}",
        fingerprint="",
    )
    model = _build(card, stem or "auto")
    card = replace(card, stem=stem_of(model, card.stem, card.image_size))
    if stem is None and differences(model, state) and has_small_stem(model):
        other_stem = "stock" if card.stem == "small" else "small"
        other = _build(card, other_stem)
        if len(differences(other, state)) < len(differences(model, state)):
            model, card = other, replace(card, stem=other_stem)
    own, classes = model.state_dict(), card.num_classes
    differing = [key for key in own if key in state and own[key].shape != state[key].shape]
    heads = {state[key].shape[0] for key in differing if own[key].dim() and own[key].shape[0] == classes}
    is_all = len(differences(model, state)) == len(differing)
    if is_all and len(heads) == 1 and all(own[key].shape[1:] == state[key].shape[1:] for key in differing):
        raise CheckpointError(f"teacher: {card.name} has {heads.pop()} classes, but {card.dataset} has {classes}.")
    fit_state(model, state, card.network)
    return model, card
