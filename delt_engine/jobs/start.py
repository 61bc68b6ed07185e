"""Runs as processes: start one detached from the caller, ask it to stop, start it again, find one that is there.

The process is `delt resume` on a run folder, in a session of its own, so it outlives the app and its server. All it
has in common with the caller is that folder. One run at a time works on a device; the others wait as queued.

Two runs are the same when they have the same kind, source and settings, and the same data, teacher and ranker by their
fingerprints. Where a fingerprint is not known, for a run that stopped before it looked or trained without a teacher,
the same name or file.

Source: DESIGN section 4, "Jobs are processes".
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from delt_engine import access, files
from delt_engine.config import Experiment
from delt_engine.errors import CheckpointError, RunError
from delt_engine.jobs import queue
from delt_engine.jobs.children import child_environment, keep_prefork, start_child, take_prefork
from delt_engine.jobs.worker import STOPPED, alone_at, device_lock_name, set_stopped
from delt_engine.models.card import find_teacher, read_card
from delt_engine.models.committee import find_committee
from delt_engine.runs.command import command_for
from delt_engine.runs.events import NoteEvent, StatusEvent
from delt_engine.runs.processes import end, identity, is_running, memory_bytes, remove_ranks, wake
from delt_engine.runs.record import (
    Kind,
    ProcessRecord,
    RunOptions,
    RunRecord,
    new_run_path,
    now,
    relevant_settings,
    with_absolute_paths,
)
from delt_engine.runs.store import Run, StopRequest, list_runs
from delt_engine.runs.workers import workers_at

RESUMABLE = ("paused", "cancelled", "interrupted", "failed")

REACTION_SECONDS = 2.0
"""Within this a process stops when it is asked to; after it, it may be ended."""


def start(
    experiment: Experiment,
    run_path: str | Path | None = None,
    kind: Kind = "recover",
    options: RunOptions | None = None,
    source: str = "",
) -> Run:
    """Prepare a queued run folder and start its process; return at once.

    Args:
        run_path: a new or an empty folder; one among this user's runs when not given.
        source: what an evaluation trains on, as :func:`delt_engine.runs.sources.find_source` names it.

    Raises:
        RunError: the folder is taken or cannot be written, or the process cannot be started.
    """
    access.check_change("start a run")
    path = Path(run_path).expanduser().absolute() if run_path is not None else new_run_path(experiment, kind)
    experiment = with_absolute_paths(experiment)
    command = command_for(experiment, path, kind, options, source)
    run = Run.create(path, experiment, kind, command, options, source)
    queue.enter(run, device_lock_name(experiment.device))
    _spawn(run)
    return run


def retry(run: Run) -> Run:
    """Start a new run with the same settings; the old one stays as it is.

    Raises:
        RunError: the run is unreadable, or the process cannot be started.
    """
    record = run.record()
    return start(record.experiment, kind=record.kind, options=record.options, source=record.source)


def resume(run: Run) -> None:
    """Start a process that goes on where the run stopped; return at once.

    Raises:
        RunError: the run is finished, still active, unreadable, or an example that ships with the project.
    """
    access.check_change("resume a run")
    _check_resumable(run)
    with alone_at(run):
        _check_resumable(run)  # somebody else may have gone on with it meanwhile
        run.request(None)
        (run.path / "job.json").unlink(missing_ok=True)
        remove_ranks(run.path)
        run.update(status="queued", process=None, error=None)
        run.event(StatusEvent(status="queued"))
        queue.enter(run, device_lock_name(run.record().device or run.experiment.device))
        _spawn(run)


def _check_resumable(run: Run) -> None:
    status = run.status
    if status == "unreadable":
        raise RunError(run.unreadable or "")
    if status not in RESUMABLE:
        allowed = ", ".join(RESUMABLE[:-1]) + " or " + RESUMABLE[-1]
        raise RunError(f"run {run.id}: it is {status}; only a run that is {allowed} can be resumed.")


def cancel(run: Run) -> None:
    """Ask the run to stop and to stay as it is; it does so within two seconds. Asking twice does no harm."""
    _ask(run, "cancel")


def pause(run: Run) -> None:
    """Ask the run to stop for now; it keeps what :func:`resume` needs."""
    _ask(run, "pause")


def is_alive(run: Run) -> bool:
    """Return whether a process works on the run, or waits for its device."""
    record = run.record()
    if record.status not in ("queued", "running"):
        return False
    worker = record.process or run.job_process()
    return bool(workers_at(run.path)) or (worker is not None and is_running(worker))


def is_overdue(run: Run) -> bool:
    """Return whether the run's process was asked for something and has not reacted in time."""
    if run.requested() is None or not is_alive(run):
        return False
    try:
        return time.time() - (run.path / "control").stat().st_mtime > REACTION_SECONDS
    except OSError:
        return False


def stop_hard(run: Run) -> None:
    """End the process of a run that does not react; the run can go on from its last checkpoint.

    It blocks for about two seconds at most, while the process is asked a last time.

    Raises:
        RunError: the process runs on another machine.
    """
    access.check_change("stop a run")
    if run.status in ("unreadable", "finished"):
        return
    request, launcher = run.requested() or "cancel", run.job_process()
    worker = run.record().process or launcher
    if launcher is not None and launcher != worker:  # of several ranks: it would start them again
        end(launcher)
    for process in [*([worker] if worker else []), *(one.process for one in workers_at(run.path) or ())]:
        end(process)
        if is_running(process):
            raise RunError(f"run {run.id}: its process {process.pid} on {process.hostname} cannot be ended from here.")
    mark_stopped(run, request)


def mark_stopped(run: Run, request: StopRequest) -> None:
    """Write the status of a run whose process is no more; where another one has just begun, that is asked instead."""
    try:
        with alone_at(run):
            if run.record().process is None and is_alive(run):  # it has not come as far as to take the run
                run.request(request)
                return
            queue.leave(run)
            if run.record().status in ("finished", STOPPED[request]):
                run.request(None)
            else:
                set_stopped(run, request)
    except RunError:
        if not is_alive(run):
            raise
        run.request(request)


def memory(run: Run) -> int | None:
    """Return the main memory that the run's process holds, in bytes; None when there is no such process."""
    worker = run.record().process or run.job_process()
    return memory_bytes(worker) if worker is not None else None


def _ask(run: Run, request: StopRequest) -> None:
    access.check_change("stop a run")
    if run.unreadable or run.record().status in ("finished", "cancelled", STOPPED[request]):
        return
    own, worker = run.job_process(), run.record().process
    if worker is not None and _is_idle(run, worker):
        run.request(request)
        if own is not None and own.pid == worker.pid:  # it has nothing to lose, and may be deaf for seconds
            end(worker, patience=0)
            mark_stopped(run, request)
        else:  # it was typed by hand, so that it is left to say that it stopped
            wake(worker)
    elif is_alive(run) or (run.status == "queued" and workers_at(run.path) is None):
        # a process that is about to start will find the request; a worker may never come
        run.request(request)
    elif request == "cancel" or run.status != "failed":
        mark_stopped(run, request)


def _is_idle(run: Run, worker: ProcessRecord) -> bool:
    """Return whether a process is at the run but waits or loads, and so has nothing to lose.

    Loading torch can hold a process for seconds in which it hears nothing. Between the event that it is finished and
    its record, a run has everything to lose.
    """
    last = run.latest_event()
    is_waiting = isinstance(last, NoteEvent) or (isinstance(last, StatusEvent) and last.status != "finished")
    return is_waiting and is_running(worker)


def prepare() -> bool:
    """Keep a process ready that has loaded torch, for the next run; see :mod:`delt_engine.jobs.children`."""
    return keep_prefork(child_environment())


def _spawn(run: Run) -> None:
    environment, words = child_environment(), ["resume", str(run.path), "--quiet"]  # its log tells
    with files.as_run_error(run.path / "log.txt"):
        log = (run.path / "log.txt").open("ab")
    with log:
        try:
            process = take_prefork(words, log, environment) or start_child(words, log, subprocess.STDOUT, environment)
        except OSError as error:
            sentence = f"run {run.id}: its process cannot be started ({files.reason(error)})."
            run.set_status("failed", error=sentence, finished=now())
            raise RunError(sentence) from None
    files.write_bytes(run.path / "job.json", identity(process.pid).model_dump_json().encode())


def same_run(
    experiment: Experiment,
    kind: Kind,
    *,
    dataset: str,
    teacher: str | None,
    ranker: str | None = None,
    source: str = "",
    begun: bool = True,
    done: bool = True,
    runs: Iterable[Run] | None = None,
) -> Run | None:
    """Return the newest finished run that is the same, else the newest one that can go on, else None.

    Args:
        dataset: fingerprint of the data.
        teacher: fingerprint of the teacher; None where it is not known, and then its name or file counts.
        ranker: likewise of the ranker.
        source: what an evaluation trains on.
        begun: also take a run that stopped before its end.
        done: also take a finished one.
        runs: where to look; this user's runs when not given.
    """
    stopped: Run | None = None
    for run in list_runs() if runs is None else runs:
        if not is_same(run, experiment, kind, dataset=dataset, teacher=teacher, ranker=ranker, source=source):
            continue
        if done and run.record().status == "finished":
            return run
        if stopped is None and begun and run.status in RESUMABLE:
            stopped = run
    return stopped


def is_same(
    run: Run,
    experiment: Experiment,
    kind: Kind,
    *,
    dataset: str,
    teacher: str | None,
    ranker: str | None = None,
    source: str = "",
) -> bool:
    """Return whether a run, however far it is, makes what is asked for; see :func:`same_run`."""
    if run.unreadable:
        return False
    record = run.record()
    if (record.kind, record.source) != (kind, source):
        return False
    own, wanted = (relevant_settings(with_absolute_paths(each), kind) for each in (record.experiment, experiment))
    of_any_network: dict[str, Any] = {"teacher": "auto", "teachers": (), "ranker": ""}
    if own.replace(**of_any_network) != wanted.replace(**of_any_network):
        return False
    # one that stopped before it looked at its data may go on with these
    if record.dataset.fingerprint != dataset if record.dataset else record.status == "finished":
        return False
    if kind == "recover" and not _same_committee(record, wanted):
        return False
    if kind == "evaluate" and not _same_relabeller(record, wanted):
        return False
    return all(
        getattr(own, role) == getattr(wanted, role) if made_with is None or asked is None else made_with == asked
        for role, made_with, asked in (
            ("teacher", record.teacher and record.teacher.fingerprint, teacher),
            ("ranker", record.ranker and record.ranker.fingerprint, ranker),
        )
    )


def _same_committee(record: RunRecord, wanted: Experiment) -> bool:
    """Return whether the settings wanted name, or find, the committee that a run began with."""
    if not wanted.recover.committee or record.teacher is None or record.dataset is None:
        return not wanted.recover.committee or record.experiment.teachers == wanted.teachers
    try:
        first = find_teacher(record.teacher.ref)
        found = find_committee(wanted.teachers, first, wanted.dataset, record.dataset.class_names)
    except CheckpointError:
        return False
    return [card.fingerprint for _, card in found] == [one.fingerprint for one in record.committee]


def _same_relabeller(record: RunRecord, wanted: Experiment) -> bool:
    """Return whether the network that labelled, named as in the settings wanted, still has the same weights."""
    ref = wanted.evaluate.relabeller
    if not ref or record.relabeller is None:
        return True
    try:
        return read_card(find_teacher(ref)).fingerprint == record.relabeller.fingerprint
    except CheckpointError:
        return False
