"""What is there before torch is: the selection and the pictures of the start."""

from __future__ import annotations

from tiny_world import finished, run_until_stopped

from delt_engine.jobs import worker
from delt_engine.runs.events import NoteEvent
from delt_engine.runs.store import Run

pytest_plugins = ["tiny_world"]


def test_a_run_that_waits_already_shows_what_it_starts_from(world, settings, monkeypatch) -> None:
    whole = finished(world / "whole", settings())
    run = Run.create(world / "a", settings())
    device = worker.DeviceLock("cpu")
    assert device.take()
    with monkeypatch.context() as patched:
        patched.setattr(worker.StopRequests, "asked", lambda self: "cancel" if run.latest_event(NoteEvent) else None)
        run_until_stopped(run)
    device.release()
    assert "Waiting for the device" in run.latest_event(NoteEvent).text
    assert (run.status, run.record().started) == ("cancelled", None)
    assert run.selection() == whole.selection()
    for class_index in run.classes:
        assert (run.snapshot_images(class_index, 0) == whole.snapshot_images(class_index, 0)).all()
