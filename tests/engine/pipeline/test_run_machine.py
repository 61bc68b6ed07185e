"""Whatever happens to a run, in any order, it ends in the same images: hypothesis looks for an order in which not.

``DELT_LONG=1`` tries two hundred orders instead of a few.
"""

from __future__ import annotations

import contextlib
import errno
import os
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase
from hypothesis import settings as how
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test
from tiny_world import finished, images_of

from delt_engine import files
from delt_engine.config import Experiment
from delt_engine.errors import DeltError, RunCancelled, RunError
from delt_engine.jobs import worker
from delt_engine.pipeline import recover_batch
from delt_engine.pipeline.context import StageContext
from delt_engine.pipeline.run import run_experiment
from delt_engine.runs.events import StatusEvent
from delt_engine.runs.record import RunOptions
from delt_engine.runs.store import Run

pytest_plugins = ["tiny_world"]

IS_LONG = os.environ.get("DELT_LONG") == "1"
OPTIONS = {"teacher_check": False, "live_seconds": 0.0}
KINDS = {"checkpoint": "checkpoint/*", "selection": "selection.csv", "events": "events.jsonl"}
KINDS |= {"snapshot": "snapshots/*/*.png", "image": "images/*/*.png"}


class Died(BaseException):
    """As by SIGKILL: nobody hears of it."""


@dataclass
class World:
    folder: Path
    experiment: Experiment
    whole: dict[str, bytes]
    runs: int = 0


class Machine(RuleBasedStateMachine):
    """A run, and what may happen to it."""

    def __init__(self, world: World) -> None:
        super().__init__()
        world.runs += 1
        self.world = world
        self.run = Run.create(world.folder / f"run-{world.runs}", world.experiment, options=RunOptions(**OPTIONS))

    @property
    def is_open(self) -> bool:
        return self.run.record().status != "finished"

    def work(self, steps: int | None = None, request: str | None = None) -> None:
        """Go on for so many steps and then die, or be asked for something."""
        loop, taken = recover_batch.recover, 0

        def watched(*args, **kwargs):
            nonlocal taken
            for step in loop(*args, **kwargs):
                yield step
                taken += 1
                if taken == steps:
                    if request is None:
                        raise Died
                    self.run.request(request)

        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(recover_batch, "recover", watched)
            patched.setattr(recover_batch, "CHECKPOINT_GAP", 0.0)
            patched.setattr(worker, "POLL_SECONDS", 0.0)
            run_experiment(self.run)

    @precondition(lambda self: self.is_open)
    @rule(steps=st.integers(1, 9))
    def kill(self, steps: int) -> None:
        with contextlib.suppress(Died):
            self.work(steps)
        if self.is_open:
            self.run.update(process=worker.this_process().model_copy(update={"created": 1.0}))
            assert self.run.status == "interrupted"

    @precondition(lambda self: self.is_open)
    @rule(steps=st.integers(1, 9), request=st.sampled_from(["pause", "cancel"]))
    def stop(self, steps: int, request: str) -> None:
        with contextlib.suppress(RunCancelled):
            self.work(steps, request)
        assert self.run.status in ("finished", worker.STOPPED[request])

    @precondition(lambda self: self.is_open)
    @rule()
    def another_worker(self) -> None:
        before = self.run.record()
        with worker.claimed(self.run), pytest.raises(RunError, match="another process is at work on it"):
            run_experiment(self.run)
        self.run.update(status=before.status, process=before.process)

    @precondition(lambda self: self.is_open)
    @rule(kind=st.sampled_from(sorted(KINDS)), place=st.floats(0, 1, exclude_max=True), is_cut=st.booleans())
    def corrupt(self, kind: str, place: float, is_cut: bool) -> None:
        found = sorted(self.run.path.glob(KINDS[kind]))
        if not found:
            return
        path = found[int(place * len(found))]
        data = bytearray(path.read_bytes())
        at = int(place * len(data))
        if is_cut:
            del data[at:]
        elif data:
            data[at] ^= 0x10
        path.write_bytes(data)

    @precondition(lambda self: self.is_open)
    @rule(writes=st.integers(0, 30), names=st.sampled_from([".png", ".safetensors", ".json", ".csv", ".jsonl"]))
    def fill_disk(self, writes: int, names: str) -> None:
        left, replace, append = writes, os.replace, StageContext.event

        def check(path: str) -> None:
            nonlocal left
            left -= path.endswith(names)
            if left < 0 and path.endswith(names):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        def full(source, target) -> None:
            check(str(target))
            replace(source, target)

        def event(context, said) -> None:
            with files.as_run_error(self.run.path / "events.jsonl"):
                check("events.jsonl")
            append(context, said)

        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(files.os, "replace", full)
            patched.setattr(StageContext, "event", event)
            with contextlib.suppress(DeltError):
                self.work()
        assert not list(self.run.path.rglob("*.tmp"))

    @precondition(lambda self: not self.is_open)
    @rule()
    def again(self) -> None:
        before = images_of(self.run)
        with pytest.raises(RunError, match="finished run is never altered"):
            self.work()
        assert images_of(self.run) == before

    def teardown(self) -> None:
        if self.is_open:
            self.work()
        found = images_of(self.run)
        made = {name for name in found if name.startswith("images")}
        assert made == {name for name in self.world.whole if name.startswith("images")}
        assert all(data == self.world.whole[name] for name, data in found.items())
        assert self.run.events(StatusEvent)[-1].status == "finished"
        assert not (self.run.path / "checkpoint").exists()


def test_a_run_ends_in_the_same_images_whatever_happens_to_it(world, settings) -> None:
    values = {"ipc": 2, "iterations": 4, "round_iterations": 2, "batch_size": 2, "classes": ("red", "green")}
    experiment = settings(**values)
    whole = images_of(finished(world / "whole", experiment, **OPTIONS))
    tried = World(world, experiment, whole)
    look = how(
        max_examples=200 if IS_LONG else 10,
        stateful_step_count=8 if IS_LONG else 5,
        deadline=None,
        database=None,
        derandomize=not IS_LONG,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate, Phase.shrink) if IS_LONG else (Phase.generate,),
    )
    run_state_machine_as_test(lambda: Machine(tried), settings=look)
    assert tried.runs >= look.max_examples
