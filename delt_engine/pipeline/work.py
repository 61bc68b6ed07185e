"""One of many workers at a recovery: prepare it, or wait until another has; take batches; finish it, or wait again.

Whoever holds the lease of the lead is the only writer of run.json: it prepares the run at its start and finishes it at
its end. Batches are taken one by one. All workers stay until the run is finished, so that the batch of one that dies
late is taken as well. One that fails at a batch says why, and nobody tries that batch again; the others are done, and
then the run has failed.
"""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

from delt_engine import files
from delt_engine.errors import ConfigError, DeltError, LeaseLost, RunCancelled, RunError, RunPaused
from delt_engine.jobs import start
from delt_engine.jobs.leases import Leases, batch_name
from delt_engine.jobs.ranks import Rank, this_rank
from delt_engine.jobs.worker import DeviceLock, StopRequests, alone_at, device_lock_name, listening, set_stopped
from delt_engine.pipeline.context import Report, StageContext, in_words, note_failure
from delt_engine.pipeline.inputs import Inputs
from delt_engine.pipeline.run import looked_up, note_versions, prepared, set_up_torch, stop_error
from delt_engine.runs.events import StatusEvent, StepEvent
from delt_engine.runs.log import written
from delt_engine.runs.record import now
from delt_engine.runs.store import Run
from delt_engine.runs.workers import FOLDER, workers_at

POLL_SECONDS = 0.25
"""How often a worker that has nothing to do looks again."""

LEAD, READY = "lead", "ready"
_T = TypeVar("_T")
_logger = logging.getLogger(__name__)


def open_to_workers(run: Run) -> None:
    """Let a run that nobody works on wait for workers, or be shared by them.

    Raises:
        ConfigError: it recovers no images, so there are no batches.
        RunError: a process that does not share it is at work on it.
    """
    kind = run.record().kind
    if kind != "recover":
        raise ConfigError(f"run: {run.id} is a {kind} run given, but workers share the batches of a recover run.")
    if workers_at(run.path) is not None:
        return
    with alone_at(run):
        if workers_at(run.path) is None and start.is_alive(run):
            raise RunError(f"run {run.id}: a process that does not share it is at work on it; pause it first.")
        with files.as_run_error(run.path / FOLDER):
            (run.path / FOLDER).mkdir(parents=True, exist_ok=True)


def work_on(run: Run, report: Report | None = None) -> None:
    """Be one of the workers of a run until it is finished; return at once where it is.

    Args:
        run: of kind recover, in whatever state.
        report: takes every event of this worker once it is written.

    Raises:
        RunCancelled: this worker was asked to leave, or all of them; of the last one the run says that it stopped.
        DeltError: this worker cannot go on; of the last one the run has failed with that sentence.
    """
    if this_rank().size > 1:
        raise ConfigError("work: it takes no launcher; start `delt work` once a device.")
    if run.record().status == "finished":
        return
    open_to_workers(run)
    leases = Leases(run.path)
    with contextlib.ExitStack() as held:
        stop = held.enter_context(listening(run, leases))
        _join(run, leases)
        about = f"run {run.id}, {_name(leases)}, process {os.getpid()}"
        held.enter_context(written(run.path, leases.own.number, about))
        try:
            _Worker(run, leases, stop, report or (lambda _event: None), held).work()
        except RunCancelled as stopped:
            raise _left(run, leases, stopped) from None
        except Exception as error:
            leases.end()
            if not workers_at(run.path) and not start.is_alive(run):
                note_failure(run, error)
            raise


def _name(leases: Leases) -> str:
    return f"worker {leases.own.number}"


def _join(run: Run, leases: Leases) -> None:
    """Join; the first worker answers what was asked before, and has everything looked at again."""
    leases.join()
    if [worker.token for worker in workers_at(run.path) or ()] == [leases.own.token]:
        if run.record().status != "queued":
            run.request(None)
        leases.set_done(READY, done=False)


def _left(run: Run, leases: Leases, stopped: RunCancelled) -> RunCancelled:
    """Leave after a stop request, the last one with the run's status; return what is to be raised."""
    name = _name(leases)
    leases.end()
    others = workers_at(run.path)
    if run.record().status == "finished" or others:
        kind = RunCancelled if str(stopped) == "cancel" else RunPaused
        return kind(f"run {run.id}: {name} has left; {len(others or ())} others are there.")
    return stop_error(run, set_stopped(run, "cancel" if str(stopped) == "cancel" else "pause"))


@dataclass(frozen=True, eq=False)
class WorkerContext(StageContext):
    """What a stage works with in one of many workers; run.json is not changed by it."""

    leases: Leases

    def divide(self, batches: Mapping[int, _T], work: Callable[[_T], None]) -> None:
        """Take batches until all are done, or cannot be done.

        Raises:
            RunError: some cannot be done.
        """
        names = {batch_name(number): number for number in batches}
        while self.run.record().status != "finished":
            failures = self.leases.failures()
            left = names.keys() - self.leases.done() - failures.keys()
            if not left and failures:
                raise RunError(next(iter(failures.values())))
            if not left:
                return
            name = self.leases.take(*sorted(left))
            if name is None:
                wait(self.stop)
                continue
            self.leases.say(names[name])
            self._do(name, batches[names[name]], work)

    def _do(self, name: str, batch: _T, work: Callable[[_T], None]) -> None:
        _logger.info("%s takes %s", _name(self.leases), name)
        try:
            work(batch)
            self.leases.set_done(name)
        except Exception as error:
            if not isinstance(error, DeltError) or isinstance(error, (RunCancelled, LeaseLost)):
                self.leases.release(name)
                raise
            self.leases.set_failed(name, str(error))
            _logger.error("%s failed at %s: %s", _name(self.leases), name, error)
        self.leases.say(None)

    def of_others(self) -> dict[int, int | None]:
        """Return how many iterations batches of others have behind them, None for all."""
        return self.leases.progress()

    def at_work(self, batch: int, completed: int) -> None:
        """Take note of where this worker is."""
        self.leases.batch, self.leases.iteration = batch, completed

    @contextlib.contextmanager
    def sharing(self) -> Iterator[None]:
        """Work without waiting for others: batches say themselves when they are done."""
        yield


def wait(stop: StopRequests) -> None:
    """Wait a moment for other workers.

    Raises:
        RunCancelled: it was asked to stop.
    """
    time.sleep(POLL_SECONDS)
    stop.check()


class _Worker:
    """A worker on its way from joining to the end of the run."""

    def __init__(
        self, run: Run, leases: Leases, stop: StopRequests, report: Report, held: contextlib.ExitStack
    ) -> None:
        self.run, self.leases, self.stop, self.report, self.held = run, leases, stop, report, held
        self._device: str | None = None
        self._inputs: Inputs | None = None

    def work(self) -> None:
        """Work until the run is finished."""
        while not self._is_finished:
            try:
                self._wait_until_ready()
                with self.stop.loading():
                    from delt_engine.pipeline.recover import recover_stage
                recover_stage(context := self._context())
                self._finish(context)
            except LeaseLost as lost:
                _logger.warning("%s", lost)
                open_to_workers(self.run)  # a process that does not share the run may have gone on with it
                self.leases.join()
        self.leases.end()
        self.leases.remove()  # of the last look at a run that was finished meanwhile
        self.report(StatusEvent(status="finished"))

    @property
    def _is_finished(self) -> bool:
        return self.run.record().status == "finished"

    @property
    def _is_ready(self) -> bool:
        return self.run.record().status == "running" and READY in self.leases.done()

    def _wait_until_ready(self) -> None:
        while not self._is_ready and not self._is_finished:
            with self._lead() as leads:
                if leads and not self._is_ready and not self._is_finished:
                    self._prepare()

    @contextlib.contextmanager
    def _lead(self) -> Iterator[bool]:
        """Have the lead where it is free; where it is not, wait a moment."""
        if self.leases.take(LEAD) is None:
            wait(self.stop)
            yield False
            return
        try:
            yield True
        finally:
            self.leases.release(LEAD)

    def _prepare(self) -> None:
        """Do what comes before the batches, and say which of them are done."""
        begun = self.run.record()
        self._inputs = prepared(self.run, begun, self._inputs, self.stop)
        device = self._set_up(is_leading=True)
        state = {"started": begun.started or now(), "finished": None, "error": None, "process": None}
        self.run.set_status("running", **state)
        self.report(StatusEvent(status="running"))
        context = StageContext(self.run, self._inputs, device, self.stop, self.report, Rank())
        note_versions(context, begun)
        from delt_engine.pipeline.recover import prepare_stage, written_batches

        try:
            prepare_stage(context)
        except Exception as error:
            raise in_words(self.run, error) from error
        for number, is_written in written_batches(self.run, self._inputs):
            self.stop.check()
            self.leases.set_done(batch_name(number), done=is_written)
        self.leases.forget_failures()
        self.leases.set_done(READY)

    def _context(self) -> WorkerContext:
        run, device = self.run, self._set_up(is_leading=False)
        if self._inputs is None:
            self._inputs = looked_up(run, run.record(), self.stop)
        rank = Rank(self.leases.own.number)
        return WorkerContext(run, self._inputs, device, self.stop, self.report, rank, self.leases)

    def _set_up(self, *, is_leading: bool) -> str:
        """Load torch, with as many threads as the run began with, and hold a card of this machine, if it has any."""
        if self._device is None or is_leading:
            asked = self.run.experiment.device
            if asked == "auto":
                asked = (self.run.record().device or asked).partition(":")[0]
            chosen = set_up_torch(self.run, asked, self.stop, self.held, writes=is_leading)
            self._device = self._device or self._held_card(chosen, asked)
        return self._device

    def _held_card(self, chosen: str, asked: str) -> str:
        """Return a card that no other process works on; a CPU is shared by as many workers as are started."""
        if not chosen.startswith("cuda"):
            return chosen
        import torch

        names = [asked] if ":" in asked else [f"cuda:{number}" for number in range(torch.cuda.device_count())]
        locks = {name: DeviceLock(device_lock_name(name)) for name in names}
        while True:
            for name, lock in locks.items():
                if lock.take():
                    self.held.callback(lock.release)
                    return name
            wait(self.stop)

    def _finish(self, context: StageContext) -> None:
        """Finish the run, or wait for the one that does; an image that is not whole is made again first."""
        from delt_engine.pipeline.recover import remove_leftovers, written_batches

        while not self._is_finished:
            with self._lead() as leads:
                if not leads or self._is_finished:
                    continue
                for number, is_written in written_batches(self.run, context.inputs):
                    self.stop.check()
                    if not is_written and context.experiment.recover.is_optimised:
                        self.leases.set_done(batch_name(number), done=False)
                        return
                remove_leftovers(self.run)
                self.run.update(**self._totals())
                files.sync(self.run.path)
                if not self._is_finished:
                    self.run.set_status("finished", finished=now(), process=None)

    def _totals(self) -> dict[str, float]:
        """Return what the record says of the work; nothing of a run without a loop, which has said it."""
        steps = self.run.events(StepEvent, last=200)
        if not steps:
            return {}
        total, seconds = steps[-1].image_iterations_total, max(step.t for step in steps)
        rate = round(total / seconds, 3) if seconds > 0 else None
        return {"image_iterations": total, "seconds": seconds, "image_iterations_per_second": rate}  # type: ignore[dict-item]
