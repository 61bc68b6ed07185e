"""How long students will take to train: from the newest finished evaluation of the same student and image size."""

from __future__ import annotations

from dataclasses import dataclass

from delt_engine.config import Experiment
from delt_engine.data.catalogue import find_entry
from delt_engine.jobs.evaluations import Evaluation, evaluations
from delt_engine.runs.sources import REAL
from delt_engine.runs.store import Run
from pages.shared import cached


@dataclass(frozen=True)
class Expected:
    """Seconds of an evaluation, and where that is from."""

    seconds: float
    origin: str


def expected(source: str, experiment: Experiment) -> Expected | None:
    """Return how long an evaluation may take, None where nothing like it was measured."""
    images = _images(source, experiment)
    known = evaluations([*cached.runs(), *cached.examples()])
    found = next((one for one in known if images and _is_like(one, source, experiment)), None)
    if found is None:
        return None
    config = experiment.evaluate
    seconds = _rate(found) * images * config.epochs * config.seeds
    return Expected(seconds, f"Estimated from evaluation {found.run.id}, {found.run.record().device_name}.")


def _rate(evaluation: Evaluation) -> float:
    """Return the seconds that one image took in one epoch, tests included."""
    result = evaluation.result
    return result["seconds"] / max(1, result["images"] * result["epochs"] * len(result["seeds"]))


def _is_like(evaluation: Evaluation, source: str, experiment: Experiment) -> bool:
    result, wanted = evaluation.result, experiment.evaluate.student
    if result["dataset"] != experiment.dataset or (source == REAL) != (result["method"] == "real"):
        return False  # a real set has far more images to a test, so its rate is another
    if experiment.image_size not in (None, result["image_size"]):
        return False
    return wanted in ("auto", result["student"])


def _images(source: str, experiment: Experiment) -> int:
    if source == REAL:
        entry = find_entry(experiment.dataset)
        return getattr(entry, "train_size", 0) or 0 if entry else 0
    run = Run.open(source)
    return experiment.recover.ipc * len(run.classes)
