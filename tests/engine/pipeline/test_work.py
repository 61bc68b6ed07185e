"""One worker in this process: what it makes, what it does where something is lost or fails, and what it refuses."""

from __future__ import annotations

import contextlib
import shutil

import pytest
from tiny_world import finished, images_of, stop_at

from delt_engine.errors import ConfigError, RunError, RunPaused
from delt_engine.jobs.leases import Leases
from delt_engine.jobs.worker import claimed
from delt_engine.pipeline import recover_batch, work
from delt_engine.pipeline.work import WorkerContext, open_to_workers, work_on
from delt_engine.runs.events import StatusEvent
from delt_engine.runs.processes import this_process
from delt_engine.runs.record import now
from delt_engine.runs.store import Run
from delt_engine.runs.workers import FOLDER, worker_path, workers_at

pytest_plugins = ["tiny_world"]
pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    monkeypatch.setattr(work, "POLL_SECONDS", 0.001)


@pytest.fixture
def three_batches(settings):
    return settings("cda", batch_size=3, ipc=3)


def is_done_as(run: Run, other: Run) -> bool:
    assert not (run.path / "ranks").exists()
    return run.status == "finished" and images_of(run) == images_of(other)


@pytest.mark.parametrize("method", ["cda", "rded"])
def test_one_worker_makes_what_one_process_makes(world, settings, method) -> None:
    experiment = settings(method, **({"batch_size": 3} if method == "cda" else {}))
    run, events = Run.create(world / "shared", experiment), []
    work_on(run, events.append)
    assert is_done_as(run, finished(world / "one", experiment))
    assert [event.status for event in events if isinstance(event, StatusEvent)] == ["running", "finished"]
    one, shared = Run(world / "one").record(), run.record()
    assert (shared.image_iterations, shared.speed) == (one.image_iterations, one.speed)
    assert shared.selection_digest == one.selection_digest
    work_on(run)  # nothing is left to do


def test_a_worker_that_was_taken_for_dead_joins_again_and_the_batch_goes_on(world, three_batches, monkeypatch) -> None:
    one = finished(world / "one", three_batches)
    run, loop, lost = Run.create(world / "shared", three_batches), recover_batch.recover, []

    def watched(*arguments, **options):
        for step in loop(*arguments, **options):
            if step.iteration == 3 and not lost:
                lost.append(step)
                worker_path(run.path, 1).unlink()
                monkeypatch.setattr(Leases, "beat", always_beat)
            yield step

    beat = Leases.beat

    def always_beat(leases: Leases) -> None:
        leases._next_beat = 0.0
        beat(leases)

    monkeypatch.setattr(recover_batch, "recover", watched)
    monkeypatch.setattr("delt_engine.jobs.worker.POLL_SECONDS", 0.0)
    work_on(run)
    assert "it was silent for so long" in (run.path / "log.txt").read_text()
    assert len(lost) == 1
    assert is_done_as(run, one)


def test_a_worker_that_was_taken_for_dead_leaves_a_run_that_a_process_goes_on_with(
    world, three_batches, monkeypatch
) -> None:
    """The app's Resume after two minutes of silence: two writers of run.json otherwise."""
    run, loop = Run.create(world / "shared", three_batches), recover_batch.recover
    with contextlib.ExitStack() as held:

        def watched(*arguments, **options):
            for step in loop(*arguments, **options):
                if step.iteration == 3 and run.record().process is None:
                    shutil.rmtree(run.path / "ranks")
                    held.enter_context(claimed(run))
                    monkeypatch.setattr(Leases, "_next_beat", property(lambda _: 0.0, lambda *_: None))
                yield step

        monkeypatch.setattr(recover_batch, "recover", watched)
        monkeypatch.setattr("delt_engine.jobs.worker.POLL_SECONDS", 0.0)
        with pytest.raises(RunError, match="another process is at work on it"):
            work_on(run)
        assert (run.record().status, run.record().process, workers_at(run.path)) == ("queued", this_process(), None)


def test_an_image_that_is_missing_at_the_end_is_made_again(world, three_batches, monkeypatch) -> None:
    run, do, skipped = Run.create(world / "shared", three_batches), WorkerContext._do, []

    def skip_once(context: WorkerContext, name, batch, work) -> None:
        if not skipped:
            skipped.append(name)
            context.leases.set_done(name)
        else:
            do(context, name, batch, work)

    monkeypatch.setattr(WorkerContext, "_do", skip_once)
    work_on(run)
    assert skipped == ["batch-00000"]
    assert is_done_as(run, finished(world / "one", three_batches))


def test_a_batch_that_fails_is_told_after_the_others_are_done_and_tried_again_later(
    world, three_batches, monkeypatch
) -> None:
    run = Run.create(world / "shared", three_batches)
    take_in, tried = recover_batch.BatchRecovery.recover, []

    def fail(batch) -> None:
        tried.append(batch.plan.batch_index)
        if batch.plan.batch_index == 0:
            raise RunError("the loss is not finite.")
        take_in(batch)

    with monkeypatch.context() as patched:
        patched.setattr(recover_batch.BatchRecovery, "recover", fail)
        with pytest.raises(RunError, match="not finite"):
            work_on(run)
    assert tried == [0, 1, 2]
    assert (run.status, run.error) == ("failed", "the loss is not finite.")
    work_on(run)
    assert is_done_as(run, finished(world / "one", three_batches))


def test_the_last_worker_that_leaves_says_that_the_run_stopped(world, three_batches, monkeypatch) -> None:
    run = Run.create(world / "shared", three_batches)
    with monkeypatch.context() as patched:
        stop_at(patched, 3, "pause")
        with pytest.raises(RunPaused, match="it was paused; `delt resume"):
            work_on(run)
    assert (run.status, run.requested(), workers_at(run.path)) == ("paused", None, [])
    with monkeypatch.context() as patched:
        stop_at(patched, 5, "pause")
        open_to_workers(run)
        other = Leases(run.path)
        other.join()
        run.update(status="running")
        other.set_done(work.READY)
        with pytest.raises(RunPaused, match="worker 2 has left; 1 others are there"):
            work_on(run)
    assert run.status == "running"
    other.end()
    assert run.status == "interrupted"
    work_on(run)
    assert is_done_as(run, finished(world / "one", three_batches))


def test_what_workers_cannot_share_is_refused(world, three_batches, settings, monkeypatch) -> None:
    ranking = Run.create(world / "ranking", settings(), kind="rank")
    with pytest.raises(ConfigError, match="is a rank run"):
        work_on(ranking)
    held = Run.create(world / "held", three_batches)
    held.update(process=work.start.identity(1), status="running", started=now())
    with pytest.raises(RunError, match="a process that does not share it is at work on it"):
        work_on(held)
    assert not (held.path / FOLDER).exists()
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ConfigError, match="it takes no launcher"):
        work_on(held)
