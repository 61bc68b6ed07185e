"""Find a run that already is what is asked for, so that nothing is computed twice; torch-free.

The same means: the same kind, source and settings, the same data and the same teacher by their fingerprints. Where a
fingerprint is not known, for a run that stopped before it looked or trained without a teacher, the same name or file.
"""

from __future__ import annotations

from collections.abc import Iterable

from delt_engine.config import Experiment
from delt_engine.jobs.start import RESUMABLE
from delt_engine.runs.naming import relevant_settings, with_absolute_paths
from delt_engine.runs.record import Kind, RunRecord
from delt_engine.runs.store import Run, list_runs


def same_run(
    experiment: Experiment,
    kind: Kind,
    *,
    dataset: str,
    teacher: str | None,
    source: str = "",
    begun: bool = True,
    done: bool = True,
    runs: Iterable[Run] | None = None,
) -> Run | None:
    """Return the newest finished run that is the same, else the newest one that can go on, else None.

    Args:
        experiment: all settings.
        kind: what the run makes.
        dataset: fingerprint of the data.
        teacher: fingerprint of the teacher; None where it is not known, and then its name or file counts.
        source: what an evaluation trains on.
        begun: also take a run that stopped before its end.
        done: also take a finished one.
        runs: where to look; this user's runs when not given.
    """
    stopped: Run | None = None
    for run in list_runs() if runs is None else runs:
        if not is_same(run, experiment, kind, dataset=dataset, teacher=teacher, source=source):
            continue
        if done and run.record().status == "finished":
            return run
        if stopped is None and begun and run.status in RESUMABLE:
            stopped = run
    return stopped


def is_same(
    run: Run, experiment: Experiment, kind: Kind, *, dataset: str, teacher: str | None, source: str = ""
) -> bool:
    """Return whether a run, however far it is, makes what is asked for; see :func:`same_run`."""
    if run.unreadable:
        return False
    record = run.record()
    if (record.kind, record.source) != (kind, source):
        return False
    own, wanted = (relevant_settings(with_absolute_paths(each), kind) for each in (record.experiment, experiment))
    if own.replace(teacher="auto") != wanted.replace(teacher="auto"):
        return False
    if record.teacher is None or teacher is None:
        return _is_of_data(record, dataset) and own.teacher == wanted.teacher
    return _is_of_data(record, dataset) and record.teacher.fingerprint == teacher


def _is_of_data(record: RunRecord, dataset: str) -> bool:
    """Return whether a run used this data; one that stopped before it looked may go on with it."""
    return record.dataset.fingerprint == dataset if record.dataset else record.status != "finished"
