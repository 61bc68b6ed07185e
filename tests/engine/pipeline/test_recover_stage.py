"""The recover stage: events, pictures and images, and the same images wherever it was stopped."""

import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from tiny_world import finished, images_of, run_until_stopped, stop_at

from delt_engine import files
from delt_engine.errors import RunCancelled, RunError
from delt_engine.jobs import worker
from delt_engine.pipeline import compute, rank, recover_batch
from delt_engine.pipeline.run import run_experiment
from delt_engine.recovery.batches import plan_batches
from delt_engine.runs import checkpoint, strips
from delt_engine.runs.events import RoundEvent, StatusEvent, StepEvent
from delt_engine.runs.record import RunOptions
from delt_engine.runs.store import Run

pytest_plugins = ["tiny_world"]


def test_steps_rounds_pictures_and_settings_of_a_run(world, settings) -> None:
    run = finished(world / "a", settings(seed=5))
    steps, rounds = run.events(StepEvent), run.events(RoundEvent)
    assert (steps[0].iteration, steps[-1].iteration) == (0, 7)
    assert steps[-1].image_iterations == steps[-1].image_iterations_total == 60
    assert [event.joined for event in steps if event.iteration % 2] == [3, 6, 9, 12]
    assert [(event.round, event.iteration, event.partial) for event in rounds] == [
        (number, 2 * number, False) for number in range(1, 5)
    ]
    for event in steps:
        assert np.isfinite([event.ce_loss, event.bn_loss, event.total_loss]).all()
        assert event.start_rounds == tuple(range(1, event.round + 1))
        # Three classes, one image of each a round: groups of one size, so the mean of their means is the loss.
        assert np.mean(event.start_ce_losses) == pytest.approx(event.ce_loss, rel=1e-4)
    start, first, last = (run.snapshot_images(1, number) for number in (0, 1, 4))
    np.testing.assert_array_equal(first[1:], start[1:])  # those that wait
    assert (first[0] != start[0]).any()
    for index in range(4):
        assert (last[index] != start[index]).any()
        np.testing.assert_array_equal(strips.read_png(run.image_path(1, index)), last[index])
    text = json.loads(Image.open(run.image_path(0, 3)).info[strips.TEXT_KEY])
    patch = next(i for i in run.selection() if (i.class_index, i.index) == (0, 3)).patches[0]
    assert (text["method"], text["class"], text["index"], text["seed"]) == ("delt", "red", 3, 5)
    assert (text["start_round"], text["iterations"], text["patches"][0]["source"]) == (4, 2, patch.source)
    assert text["settings"] == run.experiment.recover.model_dump()


@pytest.mark.parametrize("method", ["cda", "sre2l"])
def test_methods_that_start_from_noise_need_no_ranking(world, settings, method, monkeypatch) -> None:
    monkeypatch.setattr(rank, "rank", lambda *a, **k: pytest.fail("ranked"))
    run = finished(world / "a", settings(method, batch_size=5))
    assert len(list(run.path.glob("images/*/*.png"))) == 12
    assert run.record().image_iterations == 12 * 8
    assert not (run.path / "selection.csv").exists()
    for class_index in run.classes:  # images of several batches share a strip
        last = run.snapshot_images(class_index, 4)
        for index in range(4):
            np.testing.assert_array_equal(strips.read_png(run.image_path(class_index, index)), last[index])


@pytest.mark.parametrize("iteration", [0, 2, 3, 6])
@pytest.mark.parametrize(("wish", "status"), [("cancel", "cancelled"), ("pause", "paused")])
def test_a_stopped_run_is_valid_and_goes_on_to_the_same_images(
    world, settings, monkeypatch, iteration, wish, status
) -> None:
    whole = finished(world / "whole", settings(batch_size=8))
    run = Run.create(world / "a", settings(batch_size=8))
    with monkeypatch.context() as patched:
        stop_at(patched, iteration, wish)
        run_until_stopped(run)
    assert run.status == status
    assert run.record().process is None
    assert 0 < run.record().image_iterations < 60
    assert run.rounds_written(0)[-1] == iteration // 2 + 1
    last = run.latest_event(RoundEvent)
    assert (last.iteration, last.partial) == (iteration + 1, (iteration + 1) % 2 != 0)
    assert not (run.path / "live").exists()
    before = len(run.events(StepEvent))
    reported = []
    run_experiment(run, report=reported.append)
    assert reported[-1] == StatusEvent(status="finished")
    assert run.events(StepEvent)[before].iteration == iteration + 1  # it went on, and did not begin again
    assert images_of(run) == images_of(whole)
    assert not (run.path / "checkpoint").exists()


def test_finished_batches_have_their_images_when_a_run_stops(world, settings) -> None:
    run = Run.create(world / "a", settings(batch_size=4))

    def stop(event) -> None:
        if isinstance(event, RoundEvent) and event.batch == 1:
            raise RunCancelled("cancel")

    with pytest.raises(RunCancelled):
        run_experiment(run, report=stop)
    assert len(list(run.path.glob("images/0-red/*.png"))) == 4
    assert not (run.path / "images" / "1-green").exists()


@pytest.mark.parametrize("moment", ["start", "checkpoint", "torn checkpoint", "images"])
def test_a_run_that_died_anywhere_goes_on_to_the_same_images(world, settings, monkeypatch, moment) -> None:
    monkeypatch.setattr(recover_batch, "CHECKPOINT_GAP", 0.0)
    whole = images_of(finished(world / "whole", settings()))
    run = Run.create(world / "a", settings())

    class Died(BaseException):
        pass

    def dying(*args, **kwargs):
        raise Died

    place = {
        "start": (recover_batch, "write_checkpoint"),
        "checkpoint": (recover_batch.BatchRecovery, "_write_round"),
        "torn checkpoint": (recover_batch.BatchRecovery, "_write_round"),
        "images": (recover_batch, "write_images"),
    }[moment]
    own = getattr(*place)
    calls = []

    def third(*args, **kwargs):
        calls.append(args)
        return dying() if len(calls) == 3 or moment in ("start", "images") else own(*args, **kwargs)

    with monkeypatch.context() as patched:
        patched.setattr(*place, third)
        with pytest.raises(Died):
            run_experiment(run)
    assert (run.path / "checkpoint").exists() == (moment != "start")
    if moment == "torn checkpoint":
        (run.path / "checkpoint" / "batch-00000.safetensors").write_bytes(b"torn")
    if moment == "images":
        files.write_bytes(run.image_path(0, 0), b"torn")
    run.update(process=worker.this_process().model_copy(update={"created": 1.0}))
    assert run.status == "interrupted"
    run_experiment(run)
    assert images_of(run) == whole


def test_live_strips_show_the_images_between_rounds_and_go_away(world, settings) -> None:
    run = Run.create(
        world / "a", settings(iterations=400, round_iterations=200), options=RunOptions(live_seconds=0.001)
    )
    seen = set()

    def look(event) -> None:
        if isinstance(event, StepEvent) and run.live_path(0).is_file():
            seen.add(run.live_path(0).read_bytes())

    run_experiment(run, report=look)
    assert seen
    with Image.open(run.snapshot_path(0, 1)) as strip:
        assert strip.size == (32, 8)
    assert not (run.path / "live").exists()


def test_image_iterations_of_a_batch_count_joined_images_only(settings) -> None:
    config = settings().recover
    (plan,) = plan_batches(3, config)
    assert [compute.image_iterations(plan, done, 2) for done in range(9)] == [0, 3, 6, 12, 18, 27, 36, 48, 60]


@pytest.mark.parametrize("after", [0, 5])
def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_the_last_good_state(
    world, settings, monkeypatch, after
) -> None:
    monkeypatch.setattr(recover_batch, "CHECKPOINT_GAP", 0.0)
    monkeypatch.setattr(recover_batch, "EVENT_SECONDS", 0.0)
    run, loop = Run.create(world / "a", settings()), recover_batch.recover

    def diverging(*args, **kwargs):
        for step in loop(*args, **kwargs):
            yield replace(step, total_loss=step.total_loss * float("nan")) if step.iteration >= after else step

    with monkeypatch.context() as patched:
        patched.setattr(recover_batch, "recover", diverging)
        place = f"at iteration {after + 1} of 8 in batch 1"
        sentence = rf"the loss is not finite {place}, with teacher colours, r_bn 0.01, learning"
        with pytest.raises(RunError, match=sentence):
            run_experiment(run)
    assert run.status == "failed"
    assert not list(run.path.glob("images/*/*.png"))
    kept = checkpoint.read_checkpoint(run, 0)
    assert (kept and kept[1].iteration) == (4 if after else None)  # of the round before
    run_experiment(run)
    assert images_of(run) == images_of(finished(world / "whole", settings()))


def test_images_that_are_not_finite_are_not_kept(world, settings, monkeypatch) -> None:
    loop = recover_batch.recover

    def broken(*args, **kwargs):
        for step in loop(*args, **kwargs):
            if step.iteration == 3:
                step.state.images[0, 0, 0, 0] = float("nan")
            yield step

    monkeypatch.setattr(recover_batch, "recover", broken)
    with pytest.raises(RunError, match="not finite at iteration 4 of 8"):
        run_experiment(Run.create(world / "a", settings()))


def test_what_a_lost_disk_write_has_damaged_is_made_anew(world, settings, monkeypatch) -> None:
    """As after a power cut in mid-run: files are there, and empty."""
    monkeypatch.setattr(recover_batch, "CHECKPOINT_GAP", 0.0)
    whole = images_of(finished(world / "whole", settings()))
    run = Run.create(world / "a", settings())
    with monkeypatch.context() as patched:
        stop_at(patched, 4)
        run_until_stopped(run)
    for damaged in (run.path / "selection.csv", run.snapshot_path(0, 0), run.snapshot_path(1, 2)):
        damaged.write_bytes(b"")
    run_experiment(run)
    assert run.status == "finished"
    found = images_of(run)
    assert whole.keys() - found.keys() == {"snapshots/1-green/round-02.png"}  # a round that is over; not shown
    assert all(found[name] == whole[name] for name in found)


def test_everything_is_on_the_disk_before_a_run_says_that_it_is_finished(world, settings, monkeypatch) -> None:
    synced = set()
    sync_one, run = files._sync_one, Run.create(world / "a", settings())

    def watched(path) -> None:
        if run.record().status != "finished":
            synced.add(path)
        sync_one(path)

    monkeypatch.setattr(files, "_sync_one", watched)
    run_experiment(run)
    made = {path for path in run.path.rglob("*") if "images" in path.parts or "snapshots" in path.parts}
    assert made | {run.path, run.path / "selection.csv", run.path / "events.jsonl"} <= synced
