"""From a queued run to a finished one: take it, look everything up, wait for the device, do the work, say how it went.

Events are yielded after they are written; who stops asking cancels the run. Torch is imported only once the device is
free, so a run that waits costs next to nothing.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any

from delt_engine.errors import DeltError, RunCancelled, RunError
from delt_engine.jobs import queue
from delt_engine.jobs.ranks import this_rank
from delt_engine.jobs.worker import DeviceLock, Wishes, claimed, device_lock_name, listening, stopped_status
from delt_engine.models.processor import bfloat16_warning, this_machine
from delt_engine.pipeline.inputs import Inputs, load_inputs
from delt_engine.pipeline.start_images import begin
from delt_engine.runs.record import RunRecord, now, versions
from delt_engine.runs.sources import asks_for_teacher, find_source
from delt_engine.runs.store import Run
from delt_engine.threads import settle_waiting

Event = dict[str, Any]


def run_experiment(run: Run, inputs: Inputs | None = None) -> Iterator[Event]:
    """Work on a run until it is finished; go on where it stopped if it was begun before.

    Args:
        run: queued, or begun and stopped in whatever way.
        inputs: what was already looked up; looked up here when not given.

    Yields:
        The run's events, as they stand in events.jsonl.

    Raises:
        RunCancelled: it was asked to stop; its status says whether it is cancelled or paused.
        DeltError: it cannot be done; its status is failed and the sentence is in its record.
    """
    is_prepared = run.record().status == "queued" and run.record().process is None
    with claimed(run), listening(run) as wishes:
        if not is_prepared:
            run.request(None)  # a wish from before is met already
        try:
            record = run.record()
            queue.enter(run, device_lock_name(record.device or record.experiment.device))
            yield from _worked(run, inputs, wishes)
        except RunCancelled as wish:
            status = stopped_status(run, str(wish))
            raise RunCancelled(f"run {run.id}: it was {status}; `delt resume {run.path}` goes on.") from None
        except GeneratorExit:
            stopped_status(run, "cancel")
            raise
        except Exception as error:
            _note_failure(run, error)
            raise
        finally:
            queue.leave(run)


def resume_run(run: Run) -> Iterator[Event]:
    """Go on with a run that stopped; see :func:`run_experiment`.

    Raises:
        RunError: it is finished, or a process is at work on it.
    """
    if run.record().status == "finished":
        raise RunError(f"run {run.id}: it is finished, so there is nothing to resume.")
    yield from run_experiment(run)


def _note_failure(run: Run, error: Exception) -> None:
    sentence = str(error) if isinstance(error, DeltError) else f"{type(error).__name__}: {error}"
    with contextlib.suppress(DeltError):  # a full disk may refuse this as well
        run.set_status("failed", error=sentence, finished=now(), process=None)


def _worked(run: Run, inputs: Inputs | None, wishes: Wishes) -> Iterator[Event]:
    record = run.record()
    this_rank().check_device(record.experiment.device)
    with wishes.at_once():
        inputs = inputs or _looked_up(run, record, wishes)
    _check_same(run, record, inputs)
    run.update(dataset=inputs.dataset_record, classes=inputs.classes)
    if record.kind == "recover":
        begin(run, inputs)
    device = record.device or record.experiment.device
    with contextlib.ExitStack() as held:
        guessed = device_lock_name(device)
        yield from _hold(run, guessed, wishes, held)
        run.set_status("running", started=record.started or now())
        yield {"kind": "status", "status": "running"}
        with wishes.at_once():
            chosen, stage = _set_up_torch(run, device), _stage(record.kind)
        yield from _compare_versions(run, record)
        warning = bfloat16_warning(precision_of(record), chosen)
        if warning:
            yield from run.note(warning)
        if device_lock_name(chosen) != guessed:
            yield from _hold(run, device_lock_name(chosen), wishes, held)
        yield from stage(run, inputs, wishes)
        run.set_status("finished", finished=now(), process=None)
    yield {"kind": "status", "status": "finished"}


def _hold(run: Run, device: str, wishes: Wishes, held: contextlib.ExitStack) -> Iterator[Event]:
    """Hold a device until ``held`` is closed; say so when another run has to be waited for."""
    lock = DeviceLock(device, run)
    queue.enter(run, device, is_ready=True)
    wishes.check()
    if not lock.take():
        waiting = {"kind": "note", "text": "Waiting for the device: another run works on it."}
        run.event(waiting)
        yield waiting
        lock.wait(wishes)
    held.callback(lock.release)
    queue.leave(run)


def _looked_up(run: Run, record: RunRecord, wishes: Wishes) -> Inputs:
    last = 0.0

    def report(what: str, done: int, total: int) -> None:
        nonlocal last
        wishes.check()
        if done == total or time.monotonic() - last >= 0.25:
            last = time.monotonic()
            run.event({"kind": "stage", "stage": what, "done": done, "total": total})

    needs_teacher = record.kind != "squeeze"
    if record.kind == "evaluate":
        needs_teacher = asks_for_teacher(record.experiment, find_source(record.source))
    ref = record.teacher.ref if record.teacher else None
    return load_inputs(record.experiment, report, needs_teacher=needs_teacher, teacher=ref)


def _check_same(run: Run, record: RunRecord, inputs: Inputs) -> None:
    """Refuse to go on with other data or another teacher than the run began with."""
    if record.dataset is not None and record.dataset.fingerprint != inputs.dataset.fingerprint:
        raise RunError(f"run {run.id}: {record.dataset.name} has changed since the run began, so it cannot go on.")
    if record.teacher is not None and inputs.card and record.teacher.fingerprint != inputs.card.fingerprint:
        raise RunError(f"run {run.id}: teacher {record.teacher.name} has changed since the run began.")


def _set_up_torch(run: Run, device: str) -> str:
    """Import torch, settle device and threads as the run began with, and return the device's name."""
    settle_waiting()  # read when torch is loaded
    import torch

    from delt_engine.models.device import pick_device

    record = run.record()
    chosen = pick_device(device)
    if record.threads is not None:
        torch.set_num_threads(record.threads)
    name = torch.cuda.get_device_name(chosen) if chosen.type == "cuda" else chosen.type.upper()
    threads = record.threads or torch.get_num_threads()
    machine = this_machine(threads).to_record()
    run.update(device=str(chosen), device_name=name, threads=threads, machine=machine)
    return str(chosen)


def precision_of(record: RunRecord) -> str:
    """Return the number format that the settings of a run's stage ask for."""
    return getattr(getattr(record.experiment, record.kind), "precision", "auto")


def _compare_versions(run: Run, begun: RunRecord) -> Iterator[Event]:
    """Note when a run goes on with another torch than it began with, and keep the versions of now."""
    current = versions()
    run.update(versions=current)
    before, now_is = begun.versions.get("torch"), current["torch"]
    if begun.started and before != now_is:
        text = f"Begun with torch {before}, going on with {now_is}: the last digits of the images may differ."
        yield from run.note(text)


def _stage(kind: str) -> Callable[[Run, Inputs, Wishes], Iterator[Event]]:
    if kind == "evaluate":
        from delt_engine.pipeline.evaluate import evaluate_stage

        return evaluate_stage
    if kind == "squeeze":
        from delt_engine.pipeline.squeeze import squeeze_stage

        return squeeze_stage
    from delt_engine.pipeline import stages

    return {"recover": stages.recover_stage, "rank": stages.rank_stage}[kind]
