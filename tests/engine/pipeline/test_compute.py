"""How a run is computed: measured once on devices that are, within memory, and how fast."""

from types import SimpleNamespace

import pytest
import torch
from tiny_world import finished, images_of

from delt_engine.cli.recover import memory_words
from delt_engine.errors import RunCancelled, RunError
from delt_engine.jobs.measured_rates import kept_rates
from delt_engine.jobs.worker import DeviceLock
from delt_engine.pipeline import compute, recover_batch
from delt_engine.pipeline.compute import within_memory
from delt_engine.pipeline.measure_rate import measure
from delt_engine.pipeline.run import run_experiment
from delt_engine.recovery.loop import BatchState
from delt_engine.recovery.speed import FastPath
from delt_engine.runs.events import MemoryEvent
from delt_engine.runs.store import Run

pytest_plugins = ["tiny_world"]


@pytest.fixture
def measured(monkeypatch) -> list[int]:
    """Measure on the CPU as on a GPU, with rates that are known; return the limits asked for."""
    asked = []

    def rates(*_args, most: int, **_values) -> dict[int, float]:
        asked.append(most)
        return {1: 100.0, 2: 1234.5}

    monkeypatch.setattr(compute, "MEASURED", ("cpu",))
    monkeypatch.setattr(compute, "pack_rates", rates)
    return asked


def test_a_run_takes_the_measured_number_of_batches_and_says_so(world, settings, measured) -> None:
    run = finished(world / "a", settings(batch_size=4))
    assert measured == [3]  # three classes, a batch each
    assert run.record().speed["pack"] == 2
    said = "2 batches a step. Image-iterations/s measured with so many batches a step: 1: 100, 2: 1,234."
    assert any(note.endswith(said) for note in run.record().notes)
    given = finished(world / "b", settings(batch_size=4, pack=2))
    pixels = [{name: data for name, data in images_of(each).items() if "snapshots" in name} for each in (run, given)]
    assert pixels[0] == pixels[1]


def test_what_was_measured_once_is_used_again_by_runs_of_the_kind(world, settings, measured, monkeypatch) -> None:
    forgotten = []
    monkeypatch.setattr(compute, "forget_peak", forgotten.append)
    runs = [finished(world / name, settings(batch_size=4, seed=seed)) for seed, name in enumerate("ab")]
    assert [run.record().speed["pack"] for run in runs] == [2, 2]
    assert runs[0].record().notes == runs[1].record().notes
    assert [device.type for device in forgotten] == ["cpu"] * 3  # the trial's memory, and that before each loop
    assert measured == [3]
    finished(world / "c", settings(batch_size=2, ipc=2))  # of another kind
    assert len(measured) == 2
    for kept in (world / "home" / "packs").iterdir():
        kept.write_text("[1, 2", encoding="utf-8")
    assert finished(world / "e", settings(batch_size=4)).record().speed["pack"] == 2
    assert len(measured) == 3


def test_what_the_settings_say_and_a_single_batch_are_not_measured(world, settings, measured) -> None:
    assert finished(world / "a", settings(batch_size=4, pack=1)).record().speed["pack"] == 1
    run = finished(world / "b", settings())
    assert run.record().speed["pack"] == 1
    assert not any("measured" in note for note in run.record().notes)
    assert measured == []


def test_batches_of_one_image_a_class_share_their_steps_and_end_in_the_images_of_each_alone(world, settings) -> None:
    together = finished(world / "a", settings("cda"))
    alone = finished(world / "b", settings("cda", pack=1))
    assert [run.record().speed["pack"] for run in (together, alone)] == [4, 1]  # IPC 4 of three classes: four batches
    sheets = ([run.snapshot_images(at, 4).astype(int) for at in range(3)] for run in (together, alone))
    assert all(abs(one - other).max() <= 1 for one, other in zip(*sheets, strict=True))
    filled = finished(world / "c", settings("cda", batching="images"))
    assert filled.record().speed["pack"] == 1


OUT = torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")


def run_out(monkeypatch, after: int, *, always: bool = False) -> list[FastPath]:
    """Let the loop run out of memory after some iterations, unless memory is spared; return how it was computed."""
    loop, paths = recover_batch.recover, []

    def watched(*args, fast, state, **kwargs):
        paths.append(fast)
        steps = loop(*args, fast=fast, state=state, **kwargs)
        for number in range(1000):
            if (always or not fast.low_memory) and number == after:
                raise OUT
            step = next(steps, None)
            if step is None:
                return
            yield step

    monkeypatch.setattr(recover_batch, "recover", watched)
    return paths


@pytest.mark.parametrize("after", [0, 3])
@pytest.mark.parametrize("pack", [1, 3])
def test_out_of_memory_the_run_goes_on_from_its_last_iteration_and_ends_in_the_same_images(
    world, settings, monkeypatch, after, pack
):
    experiment = settings(batch_size=4, pack=pack)
    whole = finished(world / "whole", experiment)
    paths = run_out(monkeypatch, after)
    run = finished(world / "short", experiment)
    assert [path.low_memory for path in paths[:2]] == [False, True]
    assert run.status == "finished"
    assert run.record().notes.count("Out of memory: going on with less of it, more slowly; this changes no image.") == 1
    assert run.record().speed["low_memory"] is True
    one, other = images_of(whole), images_of(run)
    assert one.keys() == other.keys()
    if pack == 1:
        assert one == other


def test_out_of_memory_again_fails_the_run_with_a_sentence(world, settings, monkeypatch):
    run_out(monkeypatch, 1, always=True)
    run = Run.create(world / "run", settings())
    with pytest.raises(RunError, match="cpu is out of memory also where little is used; take a smaller --batch-size"):
        run_experiment(run)
    assert run.status == "failed"
    monkeypatch.undo()


def test_a_resumed_run_stays_with_it(world, settings, monkeypatch):
    paths = run_out(monkeypatch, 1)
    run = Run.create(world / "run", settings())

    def stop(_event) -> None:
        if run.record().speed.get("low_memory"):
            raise RunCancelled("cancel")

    with pytest.raises(RunCancelled, match="goes on"):
        run_experiment(run, report=stop)
    paths.clear()
    run_experiment(run)
    assert all(path.low_memory for path in paths)


def test_a_step_that_failed_while_it_moved_the_images_and_other_errors_are_not_taken_again():
    state = BatchState.start(torch.zeros(2, 3, 4, 4))

    def half_done(_state, _fast):
        yield SimpleNamespace(state=state)
        state.exp_avg.add_(1)
        raise OUT

    with pytest.raises(torch.cuda.OutOfMemoryError):
        list(within_memory(SimpleNamespace(run=None), half_done, None, FastPath()))

    def broken(_state, _fast):
        raise RuntimeError("shapes differ")
        yield

    with pytest.raises(RuntimeError, match="shapes differ"):
        list(within_memory(SimpleNamespace(run=None), broken, None, FastPath()))


def test_the_record_tells_the_peak_predicted_and_measured(world, settings):
    run = finished(world / "run", settings())
    memory = run.record().memory
    assert memory["of"] == "process"
    assert memory["predicted_mb"] > 0
    assert memory["measured_mb"] > 0
    assert run.latest_event(MemoryEvent).predicted_mb == memory["predicted_mb"]
    assert memory_words(memory).startswith(", peak memory ")
    assert memory_words({}) == ""


def test_a_rate_is_measured_and_kept(world, settings) -> None:
    told = []
    rate = measure(settings(), lambda *about: told.append(about), seconds=0.05)
    assert (rate.key.device, rate.key.image_size, rate.key.batch_size) == ("cpu", 8, 12)
    assert rate.fixed_s >= 0
    assert 1 < rate.per_second(12) < 1e6
    assert told[-1] == ("measure", 1, 2)
    assert kept_rates() == [rate]


def test_a_busy_device_is_not_measured(world, settings) -> None:
    lock = DeviceLock("cpu")
    assert lock.take()
    with pytest.raises(RunError, match="cpu is at work on a run"):
        measure(settings(), seconds=0.05)
    lock.release()
    assert measure(settings(), seconds=0.05).key.batch_size == 12
