"""What each kind of run does once it has its device."""

import shutil

import pytest
import torch
from tiny_data import tiny_dataset
from tiny_world import finished

from delt_engine.errors import CheckpointError
from delt_engine.models.checkpoints import save_teacher
from delt_engine.models.teachers import load_teacher
from delt_engine.paths import cache_dir, teachers_dir
from delt_engine.pipeline import rank
from delt_engine.pipeline.run import run_experiment
from delt_engine.runs.events import NoteEvent, SqueezeEpochEvent, StageEvent
from delt_engine.runs.record import NO_ROUNDS
from delt_engine.runs.store import Run

pytest_plugins = ["tiny_world"]


def test_an_untrained_teacher_is_refused_unless_asked_otherwise(world, settings) -> None:
    teacher = load_teacher("colours", dataset=tiny_dataset())
    with torch.no_grad():
        for parameter in teacher.network.parameters():
            parameter.zero_()
    save_teacher(teachers_dir() / "colours.safetensors", teacher.network, teacher.card)
    run = Run.create(world / "a", settings())
    with pytest.raises(CheckpointError, match="class order\\?"):
        run_experiment(run)
    assert run.status == "failed"
    assert "class order?" in run.error
    assert not (run.path / "images").exists()
    assert finished(world / "b", settings(), teacher_check=False).status == "finished"


def test_ipc_1_says_that_there_are_no_rounds(world, settings) -> None:
    run = finished(world / "a", settings(ipc=1))
    assert run.record().notes == (NO_ROUNDS,)
    assert NO_ROUNDS in [event.text for event in run.events(NoteEvent)]


def test_the_ranking_is_kept_and_used_again(world, settings, monkeypatch) -> None:
    first = Run.create(world / "a", settings(), kind="rank")
    run_experiment(first)
    assert (first.path / "ranking.npz").is_file()
    assert len(list((cache_dir() / "rankings").iterdir())) == 1
    monkeypatch.setattr(rank, "rank", lambda *a, **k: pytest.fail("ranked again"))
    second = finished(world / "b", settings())
    assert [event.stage for event in second.events(StageEvent)] == ["select"]


def test_squeeze_is_a_run_and_a_second_one_leaves_the_first_teacher_as_it_is(world, settings) -> None:
    shutil.rmtree(teachers_dir())
    names = []
    for folder, seed in (("a", 0), ("b", 1)):
        run = Run.create(world / folder, settings().replace(seed=seed), kind="squeeze")
        run_experiment(run)
        epochs = run.events(SqueezeEpochEvent)
        assert [event.epoch for event in epochs] == list(range(1, run.experiment.squeeze.epochs + 1))
        assert run.record().result["accuracy"] == epochs[-1].test_accuracy == 100.0
        names.append(run.record().result["name"])
        kept = teachers_dir() / f"{names[-1]}.safetensors"
        assert kept.read_bytes() == (run.path / "teacher.safetensors").read_bytes()
    assert names[1] == f"{names[0]}-2"
    first = teachers_dir() / f"{names[0]}.safetensors"
    assert first.read_bytes() == (world / "a" / "teacher.safetensors").read_bytes()
    assert finished(world / "c", settings()).record().teacher.name == names[1]  # auto takes the newest


def test_a_checkpoint_from_elsewhere_serves_as_teacher(world, settings) -> None:
    teacher = load_teacher("colours", dataset=tiny_dataset())
    torch.save({"state_dict": teacher.network.state_dict()}, world / "foreign.pth")
    run = finished(world / "a", settings().replace(teacher=str(world / "foreign.pth")))
    assert (run.record().teacher.ref, run.record().teacher.accuracy) == (str(world / "foreign.pth"), None)
    other = finished(world / "b", settings())  # its images hold another teacher's name, but the same pixels
    assert (run.snapshot_images(0, 4) == other.snapshot_images(0, 4)).all()
