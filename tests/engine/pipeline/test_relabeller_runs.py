"""Students whose images another network labels than the one they were made with; in every step, and from a store."""

from dataclasses import asdict

import pytest
from other_teachers import moved, of_more_classes
from tiny_data import tiny_dataset
from tiny_world import finished

from delt_engine.config import EvaluateConfig, RelabelConfig
from delt_engine.errors import CheckpointError, ConfigError, DataError, RunError
from delt_engine.jobs.evaluations import evaluation_experiment
from delt_engine.jobs.start import is_same
from delt_engine.models.teachers import load_teacher
from delt_engine.pipeline.inputs import evaluation_inputs
from delt_engine.pipeline.relabel import relabel_job, write_labels
from delt_engine.pipeline.run import run_experiment
from delt_engine.runs.sources import find_source
from delt_engine.runs.store import Run
from delt_engine.training import image_table
from delt_engine.training.recipe import resolve
from delt_engine.training.relabel import teacher_for
from delt_engine.training.students import evaluate

pytest_plugins = ["tiny_world"]
pytestmark = pytest.mark.usefixtures("one_thread")

OTHER = EvaluateConfig(epochs=3, rand_augment="none", relabeller="other")


@pytest.fixture
def source(world, settings) -> Run:
    return finished(world / "home" / "runs" / "source", settings("random", seed=5))


def evaluated(path, source: Run, config: EvaluateConfig) -> Run:
    run = Run.create(path, evaluation_experiment(find_source("source"), config), "evaluate", source="source")
    run_experiment(run)
    return run


def alone(source: Run, config: EvaluateConfig) -> dict:
    """Train the student with the labels of the network itself."""
    labeller, own, train = load_teacher("other"), load_teacher("colours"), image_table.from_run(source)
    config = resolve(config, card=own.card, train=train, dataset_name="colours")
    network = teacher_for(labeller.network, labeller.card.class_names, train.class_names)
    *_, result = evaluate(train, image_table.test_table(tiny_dataset(), train), network, config, seed=5, device="cpu")
    return {**asdict(result), "seconds": 0}


def student_of(run: Run) -> dict:
    return {**run.record().result["students"][0], "seconds": 0}


def plain(values: dict) -> dict:
    return {name: list(map(list, value)) if "curve" in name else value for name, value in values.items()} | {
        "per_class": list(values["per_class"])
    }


@pytest.mark.parametrize("make", [moved, of_more_classes])
def test_the_relabeller_labels_and_the_result_says_so(world, source, make) -> None:
    card = make("other")
    run = evaluated(world / "a", source, OTHER)
    assert plain(student_of(run)) == plain(alone(source, OTHER))
    record, result = run.record(), run.record().result
    assert (record.relabeller.name, record.relabeller.fingerprint) == ("other", card.fingerprint)
    assert record.relabeller.measured_sample == len(tiny_dataset().test)
    assert (result["teacher"], result["relabeller"], result["relabeller_fingerprint"]) == (
        "colours",
        "other",
        card.fingerprint,
    )
    assert result["changes"]["relabeller"] == ["", "other"]
    assert result["student"] == "convnet-3"  # auto stays the network that the images were made with


def test_a_named_student_needs_the_relabeller_alone(world, source) -> None:
    moved("other")
    (world / "home" / "teachers" / "colours.safetensors").unlink()
    run = evaluated(world / "a", source, OTHER.replace(student="convnet-3", student_width=0.0625))
    assert (run.record().teacher, run.record().result["teacher"]) == (None, "colours")


def test_labels_it_stored_are_those_it_gives_and_fit_no_other_network(world, source) -> None:
    card = moved("other")
    fly = evaluated(world / "a", source, OTHER)
    settings = fly.experiment.replace(relabel=RelabelConfig(form="float32"))
    job = relabel_job(settings, find_source("source"))
    write_labels(job, world / "labels", lambda _: None)
    assert (job.facts.teacher, job.facts.teacher_fingerprint) == ("other", card.fingerprint)
    stored = OTHER.replace(labels="stored", label_store=str(world / "labels"))
    assert student_of(evaluated(world / "b", source, stored)) == student_of(fly)
    with pytest.raises(DataError, match=r"has labels of teacher .* name that one with --relabel-teacher"):
        evaluated(world / "c", source, stored.replace(relabeller=""))


def test_what_cannot_label_is_refused_and_other_weights_are_another_evaluation(world, source) -> None:
    moved("other")
    run = evaluated(world / "a", source, OTHER)
    known = {"dataset": "tiny", "teacher": source.record().teacher.fingerprint, "source": "source"}
    assert is_same(run, run.experiment, "evaluate", **known)
    begun = Run.create(world / "b", run.experiment, "evaluate", source="source")
    begun.update(relabeller=run.record().relabeller)
    moved("other", by=0.2)
    assert not is_same(run, run.experiment, "evaluate", **known)
    with pytest.raises(RunError, match="relabeller other has changed since the run began"):
        run_experiment(begun)
    for name, words in (("photos", "relabeller: photos does not know the class 'red'"), ("none", "relabeller: 'none'")):
        asked = evaluation_experiment(find_source("source"), OTHER.replace(relabeller=name))
        with pytest.raises(CheckpointError, match=words):
            evaluation_inputs(asked, find_source("source"))
    with pytest.raises(ConfigError, match="relabeller: 'other' given, but hard labels ask no network"):
        EvaluateConfig.for_recipe("hard", relabeller="other")
