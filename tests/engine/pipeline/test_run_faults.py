"""Faults that a run meets: each is caused here; the run says so, keeps what is good, and ends in the same images."""

import errno
import json
import os
import shutil
import time
from pathlib import Path

import pytest
import torch
from tiny_world import finished, images_of, run_until_stopped, stop_at

from delt_engine import files
from delt_engine.errors import DataError, RunError
from delt_engine.jobs import queue, watchdog, worker
from delt_engine.jobs.ranks import Rank
from delt_engine.pipeline import inputs, recover, recover_batch, train
from delt_engine.pipeline.run import run_experiment
from delt_engine.recovery.batches import plan_batches
from delt_engine.runs import checkpoint, events
from delt_engine.runs.log import last_lines
from delt_engine.runs.record import RunOptions
from delt_engine.runs.store import Run

pytest_plugins = ["tiny_world"]

SMALL = {"ipc": 2, "iterations": 4, "round_iterations": 2, "batch_size": 2, "classes": ("red", "green")}
OPTIONS = {"teacher_check": False, "live_seconds": 0.0}


@pytest.fixture
def small(settings):
    return settings(**SMALL)


@pytest.fixture
def whole(world, small):
    return images_of(finished(world / "whole", small, **OPTIONS))


def new(world, experiment) -> Run:
    return Run.create(world / "run", experiment, options=RunOptions(**OPTIONS))


def refusing(monkeypatch, number: int, part: str) -> None:
    """The system refuses whatever is renamed to a path that has this part."""
    replace = os.replace

    def refuse(source, target) -> None:
        if part in str(target):
            raise OSError(number, os.strerror(number))
        replace(source, target)

    monkeypatch.setattr(files.os, "replace", refuse)


@pytest.mark.parametrize(
    ("number", "part"),
    [
        (errno.ENOSPC, "images/"),
        (errno.ENOSPC, "snapshots/"),
        (errno.ENOSPC, "checkpoint/"),
        (errno.ENOSPC, "run.json"),
        (errno.EROFS, "images/"),
    ],
)
def test_a_disk_that_refuses_is_a_sentence_and_the_run_goes_on_later(
    world, small, whole, monkeypatch, part, number
) -> None:
    monkeypatch.setattr(recover_batch, "CHECKPOINT_GAP", 0.0)
    run = new(world, small)
    words = "there is no space left on the disk" if number == errno.ENOSPC else "the disk is read-only"
    with monkeypatch.context() as patched:
        refusing(patched, number, part)
        with pytest.raises(RunError, match=rf"{part}.*cannot be written: {words}\.$"):
            run_experiment(run)
    assert not list(run.path.rglob("*.tmp"))
    run_experiment(run)
    assert images_of(run) == whole


def test_events_that_find_no_room_stop_the_run_with_a_sentence(world, small, whole, monkeypatch) -> None:
    run = new(world, small)
    with monkeypatch.context() as patched:
        seek_end = [os.SEEK_END] * 8  # so many events find room

        class Full:
            def __getattr__(self, name):
                if name == "SEEK_END" and seek_end:
                    return seek_end.pop()
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        patched.setattr(events, "os", Full())
        with pytest.raises(RunError, match=r"events.jsonl cannot be written: there is no space left"):
            run_experiment(run)
    assert (run.status, "no space left" in run.error) == ("failed", True)  # run.json had room
    run_experiment(run)
    assert images_of(run) == whole


def test_a_folder_deleted_under_its_run_is_a_sentence_and_does_not_come_back(world, small, monkeypatch) -> None:
    run, loop = new(world, small), recover_batch.recover

    def watched(*args, **kwargs):
        for step in loop(*args, **kwargs):
            shutil.rmtree(run.path, ignore_errors=True)
            yield step

    monkeypatch.setattr(recover_batch, "recover", watched)
    with pytest.raises(RunError, match=r"run\.json cannot be read \(no such file"):
        run_experiment(run)
    assert not run.path.exists()


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="what is synced is read from /proc")
def test_images_are_on_the_disk_before_their_checkpoint_goes(world, small, monkeypatch) -> None:
    monkeypatch.setattr(recover_batch, "CHECKPOINT_GAP", 0.0)
    run, done = new(world, small), []
    replace, fsync, remove = os.replace, os.fsync, recover.remove_checkpoint

    def renamed(source, target) -> None:
        replace(source, target)
        done.append(("rename", str(target)))

    def synced(handle) -> None:
        fsync(handle)
        done.append(("fsync", str(Path(f"/proc/self/fd/{handle}").readlink())))

    def removed(of, batch=None) -> None:
        done.append(("unlink", batch))
        remove(of, batch)

    monkeypatch.setattr(files.os, "replace", renamed)
    monkeypatch.setattr(files.os, "fsync", synced)
    monkeypatch.setattr(recover, "remove_checkpoint", removed)
    run_experiment(run)
    for plan in plan_batches((0, 1), small.recover):
        gone = done.index(("unlink", plan.batch_index))
        for slot in plan.slots:
            path = run.image_path(slot.class_index, slot.index)
            order = [("rename", str(path)), ("fsync", str(path))]
            assert [done.index(deed) for deed in order] == sorted(done.index(deed) for deed in order)
            assert done.index(order[1]) < gone
            named = max(at for at, deed in enumerate(done[:gone]) if deed == ("fsync", str(path.parent)))
            assert done.index(order[0]) < named  # the folder, after the name was in it
        kept = str(checkpoint.checkpoint_path(run, plan.batch_index))
        at = done.index(("rename", kept))
        assert done[at - 1][0] == "fsync"  # content, name, folder
        assert done[at + 1] == ("fsync", str(Path(kept).parent))


def test_a_clock_that_is_set_back_changes_nothing(world, small, whole, monkeypatch) -> None:
    run, loop, real = new(world, small), recover_batch.recover, time.time
    queue.enter(run, "cpu")

    def watched(*args, **kwargs):
        for step in loop(*args, **kwargs):
            monkeypatch.setattr(time, "time", lambda: real() - 86_400)
            yield step

    monkeypatch.setattr(recover_batch, "recover", watched)
    run_experiment(run)
    assert images_of(run) == whole
    assert run.record().seconds > 0
    # a place in the queue of a run that never came, from before the clock was set
    ahead = Run.create(world / "ahead", small)
    queue.enter(ahead, "cpu")
    late = Run.create(world / "late", small)
    queue.enter(late, "cpu", is_ready=True)
    assert queue.is_next(late, now=real() - 86_400)


@pytest.mark.parametrize("damage", ["cut", "bit"])
@pytest.mark.parametrize("what", ["checkpoint/*", "selection.csv", "events.jsonl", "snapshots/*/round-01.png"])
def test_what_was_damaged_meanwhile_is_made_anew_or_dropped(world, small, whole, monkeypatch, what, damage) -> None:
    monkeypatch.setattr(recover_batch, "CHECKPOINT_GAP", 0.0)
    run = new(world, small)
    with monkeypatch.context() as patched:
        stop_at(patched, 2)
        run_until_stopped(run)
    (path, *_) = sorted(run.path.glob(what))
    data = bytearray(path.read_bytes())
    if damage == "cut":
        del data[len(data) // 2 :]
    else:
        data[len(data) * 2 // 3] ^= 1
    path.write_bytes(data)
    run_experiment(run)
    found = images_of(run)
    assert set(whole) - set(found) <= {str(path.relative_to(run.path))}
    assert all(found[name] == whole[name] for name in found)


def test_a_checkpoint_of_an_earlier_version_has_no_checksum_and_is_taken(world, small, whole, monkeypatch) -> None:
    from safetensors import safe_open
    from safetensors.torch import save_file

    monkeypatch.setattr(recover_batch, "CHECKPOINT_GAP", 0.0)
    run = new(world, small)
    with monkeypatch.context() as patched:
        stop_at(patched, 2)
        run_until_stopped(run)
    path = checkpoint.checkpoint_path(run, 0)
    with safe_open(path, framework="pt") as stored:
        tensors, about = {name: stored.get_tensor(name) for name in stored.keys()}, stored.metadata()  # noqa: SIM118
    assert len(about.pop("sha256")) == 64
    save_file(tensors, path, metadata=about)
    before = len(run.events(events.StepEvent))
    run_experiment(run)
    assert run.events(events.StepEvent)[before].iteration == 3  # it went on
    assert images_of(run) == whole


@pytest.mark.parametrize(
    "error",
    [MemoryError(), RuntimeError("[enforce fail at alloc_cpu.cpp:75] DefaultCPUAllocator: can't allocate memory")],
)
def test_no_memory_is_a_sentence_with_what_to_lower(world, settings, monkeypatch, error) -> None:
    def exhausted(*args, **kwargs):
        raise error

    monkeypatch.setattr(train, "squeeze", exhausted)
    run = Run.create(world / "a", settings(), "squeeze")
    with pytest.raises(RunError, match=r"^run a: cpu is out of memory; lower --batch-size or --width, or free memory"):
        run_experiment(run)
    assert (run.status, run.error.startswith("run a: cpu is out of memory")) == ("failed", True)
    assert "out of memory" in last_lines(run.path)[-1]


def test_data_or_a_teacher_that_vanished_is_a_sentence_and_back_it_goes_on(world, small, whole, monkeypatch) -> None:
    run = new(world, small)
    with monkeypatch.context() as patched:
        stop_at(patched, 1)
        run_until_stopped(run)
    with monkeypatch.context() as patched:
        patched.setattr(inputs, "load_dataset", lambda *a, **k: (_ for _ in ()).throw(DataError("colours is gone.")))
        with pytest.raises(DataError, match="colours is gone"):
            run_experiment(run)
    teacher = world / "home" / "teachers" / "colours.safetensors"
    teacher.rename(world / "away")
    with pytest.raises(Exception, match="colours") as caught:
        run_experiment(run)
    assert "Traceback" not in str(caught.value)
    assert run.status == "failed"
    (world / "away").rename(teacher)
    run_experiment(run)
    assert images_of(run) == whole


def test_temporary_files_of_a_killed_process_are_gone_when_the_run_goes_on(world, small, whole) -> None:
    run = new(world, small)
    for folder in ("images/0-red", "snapshots/0-red", "checkpoint", ""):
        (run.path / folder).mkdir(parents=True, exist_ok=True)
        (run.path / folder / ".0001.png.x1y2z3.tmp").write_bytes(b"half")
    (run.path / ".control.x1y2z3.tmp").write_bytes(b"pau")  # of somebody who asks for something just now
    run_experiment(run)
    assert [path.name for path in run.path.rglob("*.tmp")] == [".control.x1y2z3.tmp"]
    assert images_of(run) == whole


def test_a_run_json_that_is_cut_is_refused_and_not_touched(world, small) -> None:
    run = new(world, small)
    path = run.path / "run.json"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(RunError, match=r"^run run: run.json cannot be read \(the file: invalid JSON"):
        run_experiment(run)
    assert path.stat().st_size == 100


def test_entries_that_a_later_version_added_are_named_in_the_log(world, small, whole) -> None:
    run = new(world, small)
    values = json.loads((run.path / "run.json").read_text())
    (run.path / "run.json").write_text(json.dumps({**values, "colour": 1}))
    run_experiment(run)
    assert "entries of run.json that are left aside: colour" in last_lines(run.path, 99)[0]
    assert images_of(run) == whole


@pytest.mark.parametrize("how", [{"live_seconds": 0.001}, {"snapshot_classes": 0}, {"checkpoint_seconds": 0.001}])
def test_how_a_run_is_looked_at_changes_no_image(world, small, whole, how) -> None:
    run = finished(world / "a", small, **{**OPTIONS, **how})
    found = images_of(run)
    assert {name for name in found if "images" in name} == {name for name in whole if "images" in name}
    assert all(found[name] == whole[name] for name in found)


@pytest.mark.parametrize("order", [(1, 0, 2), (2, 1, 0)])
def test_the_order_of_batches_changes_no_image(world, settings, monkeypatch, order) -> None:
    """Two and three ranks share batches: each takes every second or third one, and who is first is not said."""
    experiment = settings(**{**SMALL, "classes": ("red", "green", "blue")})
    whole = images_of(finished(world / "whole", experiment, **OPTIONS))

    def share(_rank, items):
        return [items[at] for at in order] if len(items) == len(order) else items

    monkeypatch.setattr(Rank, "share", share)
    assert images_of(finished(world / "a", experiment, **OPTIONS)) == whole


def test_a_run_that_works_gives_signs_of_life_and_one_that_hangs_is_freed(world, small, whole, monkeypatch) -> None:
    run, loop, ages = new(world, small), recover_batch.recover, []

    def watched(*args, **kwargs):
        for step in loop(*args, **kwargs):
            now = time.monotonic()
            ages.append((watchdog.silence(run), watchdog.is_silent(run)))
            with pytest.MonkeyPatch.context() as later:  # nobody looks for two minutes
                later.setattr("delt_engine.runs.heartbeat.time.monotonic", lambda now=now: now + 121)
                ages.append((watchdog.silence(run), watchdog.is_silent(run)))
            yield step

    monkeypatch.setattr(worker, "POLL_SECONDS", 0.0)
    monkeypatch.setattr(recover_batch, "recover", watched)
    run_experiment(run)
    assert ages[0][0] < 60
    assert [silent for _, silent in ages[:2]] == [False, True]
    assert ages[1][0] > 120
    assert watchdog.silence(run) is None
    assert not (run.path / "heartbeat").exists()
    assert images_of(run) == whole
    assert torch.is_grad_enabled()
