"""The measurement behind ``delt cost --measure``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from delt_engine.analysis.cost import predicted_seconds
from delt_engine.config import Experiment
from delt_engine.threads import settle_waiting


def measured(experiment: Experiment, num_classes: int, report: Callable[[str, int, int], None]) -> dict[str, Any]:
    """Measure this device with these settings, and return what ``--json`` prints of it.

    Args:
        experiment: what would be run.
        num_classes: classes that the time is predicted for.
        report: told how far it is.
    """
    settle_waiting()  # as runs have it; read when torch is loaded
    from delt_engine.pipeline.measure_rate import measure

    rate = measure(experiment, report)
    images = rate.key.batch_size
    return {
        "seconds": round(predicted_seconds(experiment.recover, num_classes, rate), 3),
        "image_iterations_per_second": round(rate.per_second(images), 3),
        "batch_images": images,
        "seconds_per_iteration": {"fixed": rate.fixed_s, "per_image": rate.per_image_s},
        "device": rate.key.device,
        "device_name": rate.device_name,
        "measured": rate.name,
    }
