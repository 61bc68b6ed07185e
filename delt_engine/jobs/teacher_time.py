"""A small teacher for a dataset: settings that fit its size, and how long training takes here.

Source: ours. The time is the rate of the newest teacher that was trained on this machine, scaled by pixels and width;
until there is one, a rate measured on two cores of a server processor with the photos at 32 px.
"""

from __future__ import annotations

from collections.abc import Iterable

from delt_engine.config import SqueezeConfig
from delt_engine.runs.events import SqueezeStepEvent
from delt_engine.runs.store import Run

SMALL_SIZE = 64
"""Side in pixels up to which networks get the small stem, as ``auto`` has it."""

_USUAL_S = 6.5e-7
"""Seconds a pixel of a training image takes once, at width 0.25."""

_LOOKS, _FEWEST, _MOST = 60_000, 10, 60
"""Training images to be seen in all, and the limits of the epochs that this makes."""

_STOCK_SHARE = 1 / 8
"""Work of the stock stem for one of the small stem, on the same pixels."""

_WIDTH_POWER = 1.7
"""How work grows with width; less than its square, for narrow layers leave a processor waiting."""


def small_teacher(train_images: int) -> SqueezeConfig:
    """Return settings of a small teacher for a dataset of so many training images.

    >>> small_teacher(5000).epochs, small_teacher(400).epochs, small_teacher(50000).epochs
    (12, 60, 10)
    """
    epochs = min(_MOST, max(_FEWEST, round(_LOOKS / max(1, train_images))))
    return SqueezeConfig(network="resnet18", width=0.25, epochs=epochs, batch_size=128 if train_images >= 2000 else 32)


def training_seconds(
    settings: SqueezeConfig, train_images: int, image_size: int, runs: Iterable[Run] = ()
) -> tuple[float, bool]:
    """Return how long training takes, and whether that follows from one of ``runs``, the newest that finished here."""
    work = network_work(settings, image_size) * train_images * settings.epochs
    for run in runs:
        if run.unreadable or run.record().kind != "squeeze" or run.record().status != "finished":
            continue
        record, step = run.record(), run.latest_event(SqueezeStepEvent)
        own = record.experiment.squeeze
        if step is not None and record.dataset is not None and own.network == settings.network:
            done = network_work(own, record.dataset.image_size) * step.steps * own.batch_size * own.epochs
            return record.seconds * work / done, True
    return _USUAL_S * work, False


def network_work(settings: SqueezeConfig, image_size: int) -> float:
    """Return the work of one image once, in pixels at width 0.25."""
    is_small = settings.stem == "small" or (settings.stem == "auto" and image_size <= SMALL_SIZE)
    share = 1.0 if is_small else _STOCK_SHARE
    return share * image_size**2 * (settings.width / 0.25) ** _WIDTH_POWER
