"""Methods that optimise nothing: their images are the selected patches, and their start is their only round."""

import numpy as np
import pytest
from tiny_data import tiny_dataset
from tiny_world import finished, images_of, run_until_stopped

from delt_engine.jobs import worker
from delt_engine.patches.selection import patch_pixels
from delt_engine.pipeline import recover
from delt_engine.pipeline.run import resume_run
from delt_engine.runs import strips
from delt_engine.runs.events import StageEvent
from delt_engine.runs.export import read_image_settings
from delt_engine.runs.image_facts import image_facts
from delt_engine.runs.images import write_images
from delt_engine.runs.store import Run

pytest_plugins = ["tiny_world"]


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
    resume_run(run)
    assert run.status == "finished"
    assert images_of(run) == whole


def stop_after_the_first_images(monkeypatch) -> None:
    def written(*given):
        monkeypatch.setattr(worker.StopRequests, "asked", lambda self: "pause")
        write_images(*given)

    monkeypatch.setattr(recover, "write_images", written)
