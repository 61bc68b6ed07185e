"""The images that students learn from, read before anything is trained, so that what does not fit is said at once."""

from __future__ import annotations

from dataclasses import replace

from delt_engine.config import Experiment
from delt_engine.pipeline.inputs import Inputs, Report, load_inputs
from delt_engine.runs.sources import Source, asks_for_teacher
from delt_engine.training.image_table import ImageTable, from_folder, from_run, real, test_table


def training_images(source: Source, inputs: Inputs) -> ImageTable:
    """Return the images of a source, of the classes that the run has.

    Raises:
        DataError: a run that is not finished, files that cannot be read, or classes that do not match.
    """
    source.check_ready()
    if source.run is not None:
        return from_run(source.run)
    names = tuple(inputs.dataset.spec.class_names[number] for number in inputs.classes)
    if source.folder is not None:
        return from_folder(source.folder, inputs.dataset, classes=names)
    return real(inputs.dataset, names)


def evaluation_inputs(experiment: Experiment, source: Source, report: Report | None = None) -> Inputs:
    """Look up everything an evaluation needs, and refuse what does not fit together.

    Args:
        experiment: of the evaluation.
        source: what students are trained on; a run that is still at work is looked at later.
        report: told how far reading is.

    Raises:
        DataError: no such dataset, a source that cannot be used, or classes that are not those of the test images.
        CheckpointError: no teacher where one is needed.
    """
    inputs = load_inputs(experiment, report, needs_teacher=asks_for_teacher(experiment, source))
    if source.run is not None and source.run.is_active:
        return inputs
    train = training_images(source, inputs)
    test_table(inputs.dataset, train)
    return replace(inputs, train=train)
