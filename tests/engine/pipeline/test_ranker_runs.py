"""Runs whose patches another network ranks than the one that recovers."""

import shutil

import numpy as np
import pytest
import torch
from other_teachers import moved, of_more_classes
from tiny_data import tiny_dataset
from tiny_world import finished, run_until_stopped, stop_at

from delt_engine.config import EvaluateConfig
from delt_engine.data.pixels import normalise, to_pixels
from delt_engine.errors import CheckpointError, RunError
from delt_engine.jobs.evaluations import evaluation_experiment
from delt_engine.models.teachers import load_teacher
from delt_engine.papers.fits import Network
from delt_engine.patches.ranker import find_ranker
from delt_engine.patches.ranking import Ranking, cached_ranking
from delt_engine.patches.selection import select
from delt_engine.pipeline import rank
from delt_engine.pipeline.inputs import load_inputs
from delt_engine.pipeline.paper_teachers import found_of
from delt_engine.pipeline.run import run_experiment
from delt_engine.runs.events import StageEvent
from delt_engine.runs.sources import find_source
from delt_engine.runs.store import Run

pytest_plugins = ["tiny_world"]


def probabilities(name: str) -> np.ndarray:
    """Ask a teacher for the probability of the true class of every image, plainly."""
    data, teacher = tiny_dataset(), load_teacher(name)
    columns = torch.tensor([teacher.card.class_names.index(one) for one in data.spec.class_names])
    images = normalise(to_pixels(data.train.pixels(range(len(data.train)))), teacher.card.mean, teacher.card.std)
    with torch.no_grad():
        whole = teacher.network(images).double().softmax(1)
    return whole[torch.arange(len(whole)), columns[torch.from_numpy(data.train.labels)]].numpy()


@pytest.mark.parametrize("make", [moved, of_more_classes])
def test_the_ranker_ranks_and_the_teacher_recovers(world, settings, make) -> None:
    card, data = make("other"), tiny_dataset()
    run = finished(world / "a", settings().replace(teacher="colours", ranker="other"))
    record = run.record()
    assert (record.teacher.name, record.ranker.name, record.ranker.ref) == ("colours", "other", "other")
    assert record.ranker.fingerprint == card.fingerprint != record.teacher.fingerprint
    assert record.ranker.measured_sample == len(data.test)
    ranking = cached_ranking(data.fingerprint, card.fingerprint, run.experiment.rank, 0)
    np.testing.assert_allclose(ranking.true_class_prob, probabilities("other"), rtol=1e-4)
    assert ranking.teacher == "other"
    wanted = select(
        ranking, data.train.names, run.experiment.recover.schedule, run.experiment.select, seed=0, classes=(0, 1, 2)
    )
    assert run.selection() == wanted
    assert cached_ranking(data.fingerprint, record.teacher.fingerprint, run.experiment.rank, 0) is None
    again = finished(world / "b", settings(seed=1).replace(teacher="colours", ranker="other"))
    assert [event.cached for event in again.events(StageEvent) if event.stage == "rank"] in ([], [True])
    assert again.record().ranker.fingerprint == card.fingerprint


def test_students_of_a_run_with_a_ranker_are_held_against_numbers_with_it(world, settings) -> None:
    card = moved("other")
    run = finished(world / "a", settings("random").replace(teacher="colours", ranker="other"))
    config = EvaluateConfig(epochs=1, rand_augment="none")
    students = Run.create(
        world / "b", evaluation_experiment(find_source(run.path), config), "evaluate", source=str(run.path)
    )
    run_experiment(students)
    assert found_of(students).ranker == Network("other", card.network, card.width, card.fingerprint, card.epochs)
    shutil.rmtree(run.path)
    assert found_of(students).ranker is None


def test_what_networks_a_run_had_is_told_where_their_files_are_not(world, settings) -> None:
    cards = {"teacher": moved("colours"), "ranker": moved("other")}
    run = finished(world / "a", settings("random").replace(teacher="colours", ranker="other"))
    for name in ("colours", "other"):
        (world / "home" / "teachers" / f"{name}.safetensors").unlink()
    found = found_of(run)
    for role, card in cards.items():
        told = Network(card.name, card.network, card.width, card.fingerprint, card.epochs)
        assert getattr(found, role) == told != Network(card.name, card.network, None, card.fingerprint)


def test_a_ranking_by_a_ranker_asks_no_teacher(world, settings, monkeypatch) -> None:
    moved("other")
    (world / "home" / "teachers" / "colours.safetensors").rename(world / "colours.safetensors")
    experiment = settings().replace(teacher="none.pth", ranker="other")
    run = Run.create(world / "a", experiment, "rank")
    monkeypatch.setattr(rank, "loaded_teacher", lambda *_: pytest.fail("the teacher was loaded"))
    run_experiment(run)
    assert Ranking.load(run.path / "ranking.npz").teacher == "other"
    assert (run.record().teacher, run.record().ranker.name) == (None, "other")


def test_a_run_does_not_go_on_with_another_ranker(world, settings, monkeypatch) -> None:
    moved("other")
    run = Run.create(world / "a", settings().replace(teacher="colours", ranker="other"))
    with monkeypatch.context() as patched:
        stop_at(patched, 1)
        run_until_stopped(run)
    moved("other", by=0.2)
    with pytest.raises(RunError, match="ranker other has changed since the run began"):
        run_experiment(run)


def test_a_ranker_that_cannot_rank_is_refused_before_anything_is_made(world, settings) -> None:
    card, data = of_more_classes("other"), tiny_dataset()
    assert find_ranker("other", data).columns(data) == [2, 3, 0]
    assert card.num_classes == 4
    with pytest.raises(CheckpointError, match="ranker: 'othr' given, but no teacher has that name; did you mean"):
        load_inputs(settings().replace(ranker="othr"))
    (world / "plain.pth").write_bytes(b"weights")
    with pytest.raises(CheckpointError, match=r"ranker: .*plain.pth does not say what network it is; take it in with"):
        load_inputs(settings().replace(ranker=str(world / "plain.pth")))
    with pytest.raises(CheckpointError, match="ranker: photos does not know the class 'red'"):
        load_inputs(settings().replace(ranker="photos"))
    assert load_inputs(settings().replace(ranker="photos"), needs_ranker=False).ranker is None
