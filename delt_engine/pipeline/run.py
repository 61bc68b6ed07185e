"""From a queued run to a finished one: take it, look everything up, wait for the device, do the work, say how it went.

Every rank of a run goes through here; the first one takes the run, writes its record and finishes it. Torch is
imported only once the device is free, so a run that waits costs next to nothing.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable

from delt_engine import files
from delt_engine.errors import RanksLost, RunCancelled, RunError, RunPaused
from delt_engine.jobs import queue, ranks
from delt_engine.jobs.ranks import Rank, this_rank
from delt_engine.jobs.worker import STOPPED, DeviceLock, StopRequests, claimed, device_lock_name, listening, set_stopped
from delt_engine.models.committee import member_file
from delt_engine.models.processor import bfloat16_warning, this_machine
from delt_engine.pipeline.context import Report, StageContext, in_words, leave_failure, left_failure, note_failure
from delt_engine.pipeline.inputs import Inputs, begin, load_inputs
from delt_engine.runs import processes
from delt_engine.runs.events import NoteEvent, StageEvent, StatusEvent
from delt_engine.runs.log import written
from delt_engine.runs.record import RunRecord, now, unknown_entries, versions
from delt_engine.runs.sources import asks_for_teacher, find_source
from delt_engine.runs.store import Run, StopRequest
from delt_engine.threads import set_thread_waiting

_OF_OTHERS = ("control", "queue", "job.json", "labels.json", "parent.json")
"""Files of a run's folder that others than its process write."""

EVENT_SECONDS = 0.25
"""Shortest time between two events about reading."""


def run_experiment(run: Run, inputs: Inputs | None = None, report: Report | None = None) -> None:
    """Work on a run until it is finished; go on where it stopped if it was begun before.

    Args:
        run: queued, or begun and stopped in whatever way.
        inputs: what was already looked up; looked up here when not given.
        report: takes every event of this process once it is written.

    Raises:
        RunCancelled: it was asked to stop; its status says whether it is cancelled or paused.
        DeltError: it cannot be done; its status is failed and the sentence is in its record.
    """
    rank = this_rank()
    with contextlib.ExitStack() as held:
        stop, about = held.enter_context(listening(run)), _about(run, rank)
        ranks.first(lambda: _take(run, rank, held))
        held.enter_context(written(run.path, rank.number, about))
        try:
            if rank.is_first:
                queue.enter(run, device_lock_name(run.record().device or run.record().experiment.device))
            _work(run, inputs, rank, stop, report or (lambda _event: None))
        except RunCancelled as stopped:
            raise _stopped(run, rank, "cancel" if str(stopped) == "cancel" else "pause") from None
        except Exception as error:
            asked = stop.asked() if isinstance(error, RanksLost) else None
            if asked:  # the others have stopped before this one
                raise _stopped(run, rank, asked) from None
            if not rank.is_first:
                leave_failure(run, error)
                raise
            note_failure(run, error)
            sentence = left_failure(run) if isinstance(error, RanksLost) else None
            if sentence:
                raise RunError(sentence) from error
            raise
        finally:
            if rank.is_first:
                queue.leave(run)


def _take(run: Run, rank: Rank, held: contextlib.ExitStack) -> None:
    """Claim the run for this process, in a folder without leftovers of ranks from before."""
    record, status = run.record(), run.status
    held.enter_context(claimed(run))
    if status != "queued" or record.process is not None:
        run.request(None)  # it was asked of a process before, which has answered it or is gone
    with files.as_run_error(run.path):
        files.remove_unfinished(run.path, _OF_OTHERS)
        processes.remove_ranks(run.path)
        if rank.size > 1:
            (run.path / processes.RANKS_FOLDER).mkdir()


def _about(run: Run, rank: Rank) -> str:
    """Return what the log begins with: who works on which run, and what of its record nobody here knows."""
    record, who = run.record(), f", rank {rank.number} of {rank.size}" if rank.size > 1 else ""
    made_by = ", ".join(f"{name} {version}" for name, version in versions().items())
    command = " ".join(record.command)
    unknown = unknown_entries((run.path / "run.json").read_bytes())
    left = f"; entries of run.json that are left aside: {', '.join(unknown)}" if unknown else ""
    return f"run {run.id} ({record.kind}), process {os.getpid()}{who}, {made_by}: {command}{left}"


def _stopped(run: Run, rank: Rank, request: StopRequest) -> RunCancelled:
    status = set_stopped(run, request) if rank.is_first else STOPPED[request]
    return stop_error(run, status)


def stop_error(run: Run, status: str) -> RunCancelled:
    """Return what is raised of a run that stopped with a status."""
    kind = RunPaused if status == STOPPED["pause"] else RunCancelled
    return kind(f"run {run.id}: it was {status}; `delt resume {run.path}` goes on.")


def _work(run: Run, inputs: Inputs | None, rank: Rank, stop: StopRequests, report: Report) -> None:
    begun = run.record()
    rank.check_device(begun.experiment.device)
    device = begun.device or begun.experiment.device
    own: list[Inputs] = []  # the first rank makes what is cached, the others find it
    ranks.first(lambda: own.append(prepared(run, begun, inputs, stop)), stop.check)
    with contextlib.ExitStack() as held:
        if rank.is_first:
            _hold(run, device_lock_name(device), stop, report, held)
            run.set_status("running", started=begun.started or now())
            report(StatusEvent(status="running"))
        ranks.barrier(stop.check)  # the others wait as long as the first one waits for its device
        chosen = ranks.first(lambda: set_up_torch(run, device, stop, held), stop.check)
        inputs = own[0] if own else looked_up(run, run.record(), stop)
        context = StageContext(run, inputs, chosen, stop, report, rank)
        if rank.is_first:
            note_versions(context, begun)
            if device_lock_name(chosen) != device_lock_name(device):
                _hold(run, device_lock_name(chosen), stop, report, held)
        else:
            context = _joined(context, chosen, held)
        with stop.loading():
            stage = _stage(begun.kind)
        try:
            stage(context)
        except Exception as error:
            said = in_words(run, error)
            if said is error:
                raise
            raise said from error
        if rank.is_first:
            processes.remove_ranks(run.path)
            files.sync(run.path)
            run.set_status("finished", finished=now(), process=None)
            report(StatusEvent(status="finished"))


def note_versions(context: StageContext, begun: RunRecord) -> None:
    """Write into a run what computes it, and say what may change or slow it."""
    context.update(versions=versions())
    before, current = begun.versions.get("torch"), versions()["torch"]
    if begun.started and before != current:
        context.note(f"Begun with torch {before}, going on with {current}: the last digits of the images may differ.")
    warning = bfloat16_warning(precision_of(begun), context.device)
    if warning:
        context.note(warning)


def prepared(run: Run, begun: RunRecord, inputs: Inputs | None, stop: StopRequests) -> Inputs:
    """Look up what a run needs and write it into its record, for the process that may change that.

    Raises:
        RunError: it is not what the run began with.
        DeltError: something cannot be found.
    """
    with stop.loading():
        if inputs is None or not _is_enough(inputs, begun):
            inputs = looked_up(run, begun, stop)
    data, teacher = begun.dataset, begun.teacher
    if data is not None and data.fingerprint != inputs.dataset.fingerprint:
        raise RunError(f"run {run.id}: {data.name} has changed since the run began, so it cannot go on.")
    if teacher is not None and inputs.card and teacher.fingerprint != inputs.card.fingerprint:
        raise RunError(f"run {run.id}: teacher {teacher.name} has changed since the run began.")
    others = {
        "ranker": inputs.ranker_record if _ranks_itself(begun) else None,
        "relabeller": inputs.relabeller_record if begun.kind == "evaluate" else None,
    }
    for role, found in others.items():
        known = getattr(begun, role)
        if known is not None and found is not None and known.fingerprint != found.fingerprint:
            raise RunError(f"run {run.id}: {role} {known.name} has changed since the run began.")
        others[role] = known or found
    committee = begun.committee or inputs.committee_records
    if [one.fingerprint for one in committee] != [card.fingerprint for _, card in inputs.committee]:
        raise RunError(f"run {run.id}: a teacher of its committee has changed since the run began.")
    run.update(dataset=inputs.dataset_record, classes=inputs.classes, committee=committee, **others)
    if begun.kind == "recover":
        begin(run, inputs)
    return inputs


def _ranks_itself(record: RunRecord) -> bool:
    """Return whether the run has a ranker of its own."""
    return record.kind in ("recover", "rank") and bool(record.experiment.ranker)


def _is_enough(inputs: Inputs, record: RunRecord) -> bool:
    """Return whether inputs that were looked up for several runs have what this one names beside its teacher."""
    has_ranker = inputs.ranker is not None or not _ranks_itself(record)
    labels_itself = record.kind == "evaluate" and bool(record.experiment.evaluate.relabeller)
    has_committee = bool(inputs.committee) or not (record.kind == "recover" and record.experiment.recover.committee)
    return has_ranker and has_committee and (inputs.relabeller is not None or not labels_itself)


def _joined(context: StageContext, chosen: str, held: contextlib.ExitStack) -> StageContext:
    """Compute on this rank's own card and with as many threads as the first one."""
    import torch

    run, device = context.run, context.rank.device(chosen)
    torch.set_num_threads(run.record().threads or torch.get_num_threads())
    if device.startswith("cuda"):  # a CPU is held by the first rank for all
        lock = DeviceLock(device_lock_name(device))
        if not lock.take():
            context.note(f"Rank {context.rank.number} waits for {device}: another run works on it.")
            lock.wait(context.stop.check)
        held.callback(lock.release)
    return StageContext(run, context.inputs, device, context.stop, context.report, context.rank)


def _hold(run: Run, device: str, stop: StopRequests, report: Report, held: contextlib.ExitStack) -> None:
    """Hold a device until ``held`` is closed; say so when another run has to be waited for."""
    lock = DeviceLock(device, run)
    queue.enter(run, device, is_ready=True)
    stop.check()
    if not lock.take():
        waiting = NoteEvent(text="Waiting for the device: another run works on it.")
        run.event(waiting)
        report(waiting)
        lock.wait(stop.check)
    held.callback(lock.release)
    queue.leave(run)


def looked_up(run: Run, record: RunRecord, stop: StopRequests) -> Inputs:
    """Look up what a run needs: data, teacher and whatever else its settings name."""
    last = 0.0

    def report(what: str, done: int, total: int) -> None:
        nonlocal last
        stop.check()
        if this_rank().is_first and (done == total or time.monotonic() - last >= EVENT_SECONDS):
            last = time.monotonic()
            run.event(StageEvent(stage=what, done=done, total=total))

    needs_teacher = record.kind != "squeeze" and not (record.kind == "rank" and record.experiment.ranker)
    if record.kind == "evaluate":
        needs_teacher = asks_for_teacher(record.experiment, find_source(record.source))
    teacher, ranker, relabeller = (
        found.ref if found else None for found in (record.teacher, record.ranker, record.relabeller)
    )
    return load_inputs(
        record.experiment,
        report,
        needs_teacher=needs_teacher,
        needs_ranker=record.kind in ("recover", "rank"),
        needs_committee=record.kind == "recover",
        teacher=teacher,
        committee=[str(member_file(one.ref, one.fingerprint)) for one in record.committee],
        ranker=ranker,
        relabeller=(relabeller or record.experiment.evaluate.relabeller) if record.kind == "evaluate" else "",
    )


def set_up_torch(run: Run, device: str, stop: StopRequests, held: contextlib.ExitStack, *, writes: bool = True) -> str:
    """Import torch, choose device and threads as the run began with, and return the device's name.

    The process has its own number of threads again when ``held`` is closed, so that the next run does not begin with
    the number of one that was gone on with. ``writes`` says whether this process may write into the run's record.
    """
    set_thread_waiting()  # read when torch is loaded
    with stop.loading():
        import torch

        from delt_engine.models.device import pick_device

        chosen = pick_device(device)
    own = torch.get_num_threads()
    threads = run.record().threads or own
    held.callback(torch.set_num_threads, own)
    torch.set_num_threads(threads)
    if not writes:
        return str(chosen)
    name = torch.cuda.get_device_name(chosen) if chosen.type == "cuda" else chosen.type.upper()
    machine = this_machine(threads)
    run.update(device=str(chosen), device_name=name, threads=threads, machine=machine)
    return str(chosen)


def precision_of(record: RunRecord) -> str:
    """Return the number format that the settings of a run's stage ask for."""
    return getattr(getattr(record.experiment, record.kind), "precision", "auto")


def _stage(kind: str) -> Callable[[StageContext], None]:
    if kind == "recover":
        from delt_engine.pipeline.recover import recover_stage as stage
    elif kind == "squeeze":
        from delt_engine.pipeline.train import squeeze_stage as stage
    elif kind == "evaluate":
        from delt_engine.pipeline.evaluate import evaluate_stage as stage
    else:
        from delt_engine.pipeline.rank import rank_stage as stage
    return stage
