"""What each kind of run does once it has its device, and methods that optimise nothing."""

import shutil

import numpy as np
import pytest
import torch
from tiny_data import tiny_dataset
from tiny_world import finished, images_of, run_until_stopped

from delt_engine.errors import CheckpointError
from delt_engine.jobs import worker
from delt_engine.models.checkpoints import save_teacher
from delt_engine.models.teachers import load_teacher
from delt_engine.patches.selection import patch_pixels
from delt_engine.paths import cache_dir, teachers_dir
from delt_engine.pipeline import rank, recover
from delt_engine.pipeline.run import run_experiment
from delt_engine.runs import strips
from delt_engine.runs.events import NoteEvent, SqueezeEpochEvent, StageEvent
from delt_engine.runs.export import read_image_settings
from delt_engine.runs.image_facts import image_facts
from delt_engine.runs.images import write_images
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


@pytest.mark.parametrize("method", ["random", "rded"])
def test_the_images_are_the_selected_patches_to_the_bit(world, settings, method) -> None:
    run = finished(world / "a", settings(method))
    dataset = tiny_dataset()
    selection = run.selection()
    assert len(selection) == 12
    for image in selection:
        patch = patch_pixels(dataset, image)
        np.testing.assert_array_equal(strips.read_png(run.image_path(image.class_index, image.index)), patch)
        np.testing.assert_array_equal(run.snapshot_images(image.class_index, 0)[image.index], patch)
        assert (image.start_round, image.iterations) == (1, 0)
    assert [run.rounds_written(number) for number in range(3)] == [[0], [0], [0]]
    record = run.record()
    assert (record.image_iterations, record.image_iterations_per_second, record.status) == (0, None, "finished")
    assert record.seconds > 0
    assert not (run.path / "checkpoint").exists()


def test_random_draws_anew_with_another_seed_and_rded_takes_the_easiest_crop_of_an_image(world, settings) -> None:
    first, again, other = (
        finished(world / name, settings("random", seed=seed)) for name, seed in (("a", 0), ("b", 0), ("c", 1))
    )
    sources = [[image.patches[0].source for image in run.selection()] for run in (first, again, other)]
    assert sources[0] == sources[1] != sources[2]
    rded = finished(world / "d", settings("rded"))
    of_class = [image.patches[0] for image in rded.selection() if image.class_index == 1]
    assert [patch.true_class_prob for patch in of_class] == sorted(
        (patch.true_class_prob for patch in of_class), reverse=True
    )
    assert len({patch.source for patch in of_class}) == 4
    assert of_class[0].rank == 24 * 5 - 1  # of five crops of each of the 24 images of the class


def test_settings_stand_in_the_images_and_the_teacher_is_asked_about_them(world, settings) -> None:
    run = finished(world / "a", settings("rded"))
    told = read_image_settings(run.image_path(2, 3).read_bytes())
    assert (told.class_name, told.index, told.start_round, told.iterations) == ("blue", 3, 1, 0)
    assert told.experiment.recover == run.experiment.recover
    assert told.experiment.select == run.experiment.select
    facts = image_facts(run, 2)
    assert [fact.iterations for fact in facts] == [0] * 4
    assert all(fact.end is not None for fact in facts)


def test_a_run_that_was_stopped_between_ends_in_the_same_images(world, settings, monkeypatch) -> None:
    whole = images_of(finished(world / "whole", settings("random", batch_size=4)))
    run = Run.create(world / "a", settings("random", batch_size=4))
    with monkeypatch.context() as patched:
        stop_after_the_first_images(patched)
        run_until_stopped(run)
    assert (run.status, run.events(StageEvent)[-1].done) == ("paused", 4)
    run_experiment(run)
    assert run.status == "finished"
    assert images_of(run) == whole


def stop_after_the_first_images(monkeypatch) -> None:
    def written(*given):
        monkeypatch.setattr(worker.StopRequests, "asked", lambda self: "pause")
        write_images(*given)

    monkeypatch.setattr(recover, "write_images", written)
