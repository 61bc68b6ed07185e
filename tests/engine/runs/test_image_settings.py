"""Settings in a PNG: what was written comes back as an experiment, and anything else is refused with a sentence."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
from fake_runs import fake_experiment, prepare
from PIL import Image

from delt_engine.config import Experiment, SelectConfig
from delt_engine.errors import RunError
from delt_engine.pipeline.run import run_experiment
from delt_engine.runs.image_settings import image_text, read_image_settings
from delt_engine.runs.store import Run
from delt_engine.runs.strips import png_bytes

pytest_plugins = ["tiny_world"]
PICTURE = np.zeros((4, 4, 3), np.uint8)


def test_an_image_of_a_run_gives_its_settings_back(world, settings) -> None:
    experiment = settings(seed=7, select=SelectConfig(criterion="top"))
    run = Run.create(world / "a", experiment)
    list(run_experiment(run))
    found = read_image_settings(run.image_path(1, 2).read_bytes())
    assert (found.class_name, found.index, found.start_round, found.iterations) == ("green", 2, 3, 4)
    assert found.experiment.recover == experiment.recover
    assert found.experiment.select == experiment.select
    assert (found.experiment.dataset, found.experiment.seed, found.experiment.teacher) == ("colours", 7, "colours")
    assert found.sources == (run.selection()[6].patches[0].source,)


def test_a_snapshot_says_what_a_finished_image_says(world, settings) -> None:
    run = Run.create(world / "a", settings())
    list(run_experiment(run))
    finished = json.loads(Image.open(run.image_path(1, 2)).info["delt"])
    origin = next(image for image in run.selection() if (image.class_index, image.index) == (1, 2))
    text = image_text(run, 1, 2, 4, origin)
    assert text.pop("round") == 4
    assert json.loads(json.dumps(text)) == finished
    assert image_text(run, 1, 2, 3, origin)["iterations"] == 2
    assert image_text(run, 1, 2, 1, None)["iterations"] == 0


def test_a_teacher_that_is_not_here_is_looked_for_anew(tmp_path) -> None:
    run = prepare(tmp_path / "run", fake_experiment())
    text = image_text(run, 0, 0, 4, None) | {"teacher": "somebody-elses"}
    assert read_image_settings(png_bytes(PICTURE, text)).experiment.teacher == Experiment().teacher == "auto"


def jpeg() -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(PICTURE).save(buffer, "JPEG")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "not a PNG"),
        (b"hello", "not a PNG"),
        (jpeg(), "not a PNG"),
        (png_bytes(PICTURE, {"x": 1})[:60], "not a PNG"),
        (png_bytes(PICTURE), "no settings of DELT Studio"),
        (png_bytes(PICTURE, {"class": "cat"}), "incomplete"),
        (png_bytes(PICTURE, [1, 2]), "damaged"),
    ],
)
def test_anything_else_is_refused_with_a_sentence(data, words) -> None:
    with pytest.raises(RunError, match=words):
        read_image_settings(data)


def test_settings_that_are_not_allowed_are_named(tmp_path) -> None:
    run = prepare(tmp_path / "run", fake_experiment())
    text = image_text(run, 0, 0, 4, None)
    text["settings"] = {**text["settings"], "iterations": -4}
    with pytest.raises(RunError, match="iterations: -4 given"):
        read_image_settings(png_bytes(PICTURE, text))
