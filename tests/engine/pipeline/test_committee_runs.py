"""Runs of several teachers: who is in the committee, what is kept of it, and whose labels students get."""

import pytest
import torch
from other_teachers import moved
from tiny_data import tiny_dataset
from tiny_world import SQUEEZE, finished, images_of, run_until_stopped, stop_at

from delt_engine.config import EvaluateConfig, Experiment
from delt_engine.data.pixels import normalise, to_pixels
from delt_engine.errors import CheckpointError, ConfigError, RunError
from delt_engine.jobs.evaluations import evaluation_experiment
from delt_engine.jobs.start import is_same
from delt_engine.models.checkpoints import save_teacher
from delt_engine.models.teachers import load_teacher
from delt_engine.paths import teachers_dir
from delt_engine.pipeline import committees
from delt_engine.pipeline.inputs import load_inputs
from delt_engine.pipeline.run import run_experiment
from delt_engine.runs.sources import find_source
from delt_engine.runs.store import Run
from delt_engine.training.relabel import MeanLogits
from delt_engine.training.squeeze import squeeze

pytest_plugins = ["tiny_world"]
pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="session")
def trained():
    """A teacher of another kind that knows the colours."""
    *_, result = squeeze(tiny_dataset(), SQUEEZE.replace(network="resnet18"), seed=0, device="cpu")
    return result


@pytest.fixture
def deeper(world, trained):
    """Save it among the user's teachers."""

    def save() -> None:
        save_teacher(teachers_dir() / "deeper.safetensors", trained.network, trained.card)

    return save


@pytest.fixture
def gvbsm(deeper, settings) -> Experiment:
    deeper()
    return settings("gvbsm", batch_size=8).replace(teacher="colours")


def test_a_run_keeps_its_committee_and_goes_on_to_the_same_images(world, gvbsm, monkeypatch) -> None:
    whole = finished(world / "home" / "runs" / "whole", gvbsm)
    record = whole.record()
    (member,) = record.committee
    assert (member.network, member.fingerprint) == ("resnet18", load_teacher("deeper").card.fingerprint)
    assert member.measured_sample == len(tiny_dataset().test)
    assert (record.speed["fold"], record.speed["pack"]) == (False, 1)
    monkeypatch.setattr(committees, "gathered", lambda *a, **k: pytest.fail("gathered again"))
    run = Run.create(world / "a", gvbsm)
    with monkeypatch.context() as patched:
        stop_at(patched, 4)
        run_until_stopped(run)
    moved("another")  # a newer teacher changes nothing in a run that was begun
    run_experiment(run)
    assert images_of(run) == images_of(whole)
    known = {"dataset": record.dataset.fingerprint, "teacher": record.teacher.fingerprint}
    assert is_same(whole, gvbsm, "recover", **known)
    assert is_same(whole, gvbsm.replace(teachers=("colours", "deeper")), "recover", **known)
    assert not is_same(whole, gvbsm.replace(teachers=("colours",)), "recover", **known)


def test_delt_plus_recovers_from_a_committee_and_keeps_the_labels_of_its_teacher(world, deeper, settings) -> None:
    deeper()
    made = finished(world / "home" / "runs" / "source", settings("delt-plus").replace(teacher="colours")).record()
    assert [member.network for member in made.committee] == ["resnet18"]
    teacher = load_teacher("colours")
    assert committees.labelling_committee(made, teacher, ("red", "green", "blue")) is teacher


def test_students_learn_from_the_mean_of_the_committee(world, gvbsm) -> None:
    source = finished(world / "home" / "runs" / "source", gvbsm)
    config = EvaluateConfig.for_recipe("gvbsm-cifar", epochs=2, batch_size=6)
    run = Run.create(world / "b", evaluation_experiment(find_source("source"), config), "evaluate", source="source")
    run_experiment(run)
    result = run.record().result
    assert result["relabeller"] == "committee of convnet-3 + resnet18"
    teacher = load_teacher("colours", dataset=tiny_dataset())
    labeller = committees.labelling_committee(source.record(), teacher, teacher.card.class_names)
    pixels = to_pixels(tiny_dataset().test.pixels(range(5)))
    images = normalise(pixels, teacher.card.mean, teacher.card.std)
    each = [network(images) for network in (teacher.network, load_teacher("deeper").network)]
    torch.testing.assert_close(labeller.network(images), (each[0] + each[1]) / 2)
    even = MeanLogits([teacher.network, load_teacher("deeper").network], evens_out=True)(images)
    mean_norm = (each[0].norm() + each[1].norm()) / 2
    torch.testing.assert_close(even, (each[0] / each[0].norm() + each[1] / each[1].norm()) / 2 * mean_norm)
    deeper_path = teachers_dir() / "deeper.safetensors"
    deeper_path.unlink()
    moved("deeper")
    with pytest.raises(RunError, match=r"deeper \(resnet18\) is not the one any more that run source was made with"):
        committees.labelling_committee(source.record(), teacher, teacher.card.class_names)


def test_what_is_no_committee_is_refused(deeper, settings) -> None:
    gvbsm = settings("gvbsm")
    with pytest.raises(CheckpointError, match=r"colours is the only network for colours .* `delt squeeze --dataset"):
        load_inputs(gvbsm, needs_committee=True)
    with pytest.raises(ConfigError, match=r"teachers: colours given, but delt recovers from one teacher"):
        load_inputs(settings().replace(teachers=("colours",)), needs_committee=True)
    deeper()
    with pytest.raises(CheckpointError, match="teachers: deeper given twice"):
        load_inputs(gvbsm.replace(teachers=("deeper", "deeper")), needs_committee=True)
    inputs = load_inputs(gvbsm.replace(teachers=("deeper", "colours")), needs_committee=True)
    assert inputs.card.network == "resnet18"  # the first one named is the teacher
    assert [card.network for _, card in inputs.committee] == ["convnet-3"]
