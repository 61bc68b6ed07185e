"""The settings that stand in an image: what is written into a PNG, and what comes back when it is dropped again."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from typing import Any

from PIL import Image

from delt_engine.config import Experiment, RankConfig, RecoverConfig, SelectConfig
from delt_engine.errors import ConfigError, RunError
from delt_engine.models.card import teacher_files
from delt_engine.patches.selection import SelectedImage
from delt_engine.runs.store import Run
from delt_engine.runs.strips import TEXT_KEY

_LARGEST_TEXT = 2**20


@dataclass(frozen=True)
class ImageSettings:
    """What an image says about itself.

    Args:
        class_name: its class.
        index: its number in the class, from 0.
        start_round: round in which it joined.
        iterations: how many it had, or was to have.
        experiment: settings that make such images again, for all classes of its dataset.
        sources: names of the training images that it started from.
    """

    class_name: str
    index: int
    start_round: int
    iterations: int
    experiment: Experiment
    sources: tuple[str, ...]


def read_image_settings(png: bytes) -> ImageSettings:
    """Return the settings in a PNG that this program made.

    Args:
        png: the file's content.

    Raises:
        RunError: not a PNG, none of ours, or damaged.
    """
    text = _text(png)
    try:
        return ImageSettings(
            class_name=str(text["class"]),
            index=int(text["index"]),
            start_round=int(text["start_round"]),
            iterations=int(text["iterations"]),
            experiment=_experiment(text),
            sources=tuple(str(patch["source"]) for patch in text.get("patches", ())),
        )
    except ConfigError as error:
        raise RunError(f"The image's settings are not allowed here: {error}") from None
    except (KeyError, TypeError, ValueError, AttributeError):
        raise RunError("The image's settings are incomplete, so they cannot be used.") from None


def image_text(run: Run, class_index: int, index: int, round_number: int, origin: SelectedImage | None) -> dict:
    """Return the settings to embed in an image of a run as it was after a round."""
    experiment, schedule = run.experiment, run.experiment.recover.schedule
    record, start = run.record(), run.experiment.recover.schedule.start_rounds[index]
    return {
        "method": experiment.recover.method,
        "class": run.class_names[class_index],
        "class_index": class_index,
        "index": index,
        "seed": experiment.seed,
        "start_round": start,
        "iterations": max(0, round_number - start + 1) * schedule.round_iterations,
        "round": round_number,
        "patches": [
            {
                "source": patch.source,
                "crop_box": list(patch.crop_box),
                "true_class_prob": patch.true_class_prob,
                "rank": patch.rank,
            }
            for patch in (origin.patches if origin else ())
        ],
        "dataset": experiment.dataset,
        "teacher": record.teacher.name if record.teacher else experiment.teacher,
        "rank": experiment.rank.model_dump(),
        "select": experiment.select.model_dump(),
        "settings": experiment.recover.model_dump(),
    }


def _text(png: bytes) -> dict[str, Any]:
    try:
        with Image.open(io.BytesIO(png), formats=["PNG"]) as image:
            image.load()
            text = image.info[TEXT_KEY]
    except KeyError:
        raise RunError("The image has no settings of DELT Studio in it.") from None
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        raise RunError("The file is not a PNG image.") from None
    try:
        found = json.loads(text) if len(text) <= _LARGEST_TEXT else None
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise RunError("The image's settings are damaged.")
    return found


def _experiment(text: dict[str, Any]) -> Experiment:
    """Return the settings of an image as an experiment; a teacher that is not here is looked for anew."""
    name = str(text["teacher"])
    return Experiment(
        dataset=str(text["dataset"]),
        teacher=name if name in dict(teacher_files()) else "auto",
        seed=int(text["seed"]),
        rank=RankConfig(**text.get("rank", {})),
        select=SelectConfig(**text.get("select", {})),
        recover=RecoverConfig(**text["settings"]),
    )
