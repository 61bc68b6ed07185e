"""What kill -9 does to runs: a small run killed at random moments and gone on with, again and again, to its last image.

One run is left alone and is the reference. Every other one has the same settings and lives through kills until it is
finished: of the process that works (``worker``; forked from one that has loaded torch, as the app does it), of the
launcher of two ranks (``launcher``), or of the process that started it, as the app's server does (``app``). After every
kill the run has to be resumable, and what stands under images/ has to be images of the reference, whole, and none of
them gone that was there before; at the end all its pictures have to be those of the reference, byte for byte.

Source: ours; the promise is DESIGN section 4, "A run killed at any moment is either resumable or plainly marked".
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from delt_engine.config import Experiment, SqueezeConfig
from delt_engine.errors import RunError
from delt_engine.jobs import watchdog
from delt_engine.jobs.children import child_environment
from delt_engine.runs.command import command_for
from delt_engine.runs.events import StepEvent
from delt_engine.runs.record import RunOptions
from delt_engine.runs.store import Run

KINDS = ("worker", "launcher", "app")
_WEIGHTS = {"worker": 8, "launcher": 1, "app": 1}
MOST_A_RUN = 12
"""Kills of one run, after which it is let go on to its end."""

START_SHARE = 0.25
"""Share of the kills that come while a process starts."""

PATIENCE = 300.0
"""Seconds after which a process that should end hangs."""

_POLL = 0.005
_APP = (
    "import sys, time\nfrom delt_engine.jobs import start\nfrom delt_engine.runs.store import Run\n"
    "start.resume(Run(sys.argv[1]))\ntime.sleep(3600)\n"
)
_SETTINGS: dict[str, Any] = {"ipc": 4, "iterations": 200, "round_iterations": 50, "batch_size": 4}
_TEACHER: dict[str, Any] = {"network": "convnet-3", "width": 0.0625, "epochs": 2}
_IMAGE_SIZE = 8


@dataclass
class Counts:
    """What was done and found; ``kills`` by kind, ``while_starting`` of them before the first step."""

    kills: Counter[str] = field(default_factory=Counter)
    while_starting: int = 0
    runs: int = 0
    resumes: int = 0
    images_checked: int = 0

    def to_record(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "kills": sum(self.kills.values()),
            "by_kind": {kind: self.kills[kind] for kind in KINDS},
            "while_starting": self.while_starting,
            "runs": self.runs,
            "resumes": self.resumes,
            "images_checked": self.images_checked,
        }


def chaos(
    folder: Path,
    kills: int,
    *,
    seed: int = 0,
    kinds: Sequence[str] = KINDS,
    report: Callable[[str, int, int], None] = lambda *_: None,
) -> Counts:
    """Kill processes of runs in ``folder``, which is their home as well, until there were so many.

    Raises:
        RunError: a run could not go on, hung, or has other images than the one that was left alone.
    """
    make_home(folder)
    world = _World(folder, seed)
    while sum(world.counts.kills.values()) < kills:
        report("kill", sum(world.counts.kills.values()), kills)
        world.live(kinds, kills)
    report("kill", kills, kills)
    return world.counts


def make_home(folder: Path) -> None:
    """Make a folder the home of this process and of all that it starts, with a small teacher in it.

    Raises:
        RunError: the system cannot fork, or the teacher cannot be trained.
    """
    if not hasattr(os, "fork"):
        raise RunError("chaos: this system cannot fork processes; it takes Linux or macOS.")
    os.environ.update(DELT_HOME=str(folder), DELT_WARM="0", OMP_NUM_THREADS="1")
    os.environ.pop("DELT_RUNS", None)
    _make_teacher(folder)


def _make_teacher(folder: Path) -> None:
    """Train the small teacher, in a fork: threads of torch that have worked would not survive the forks to come."""
    import delt_engine.pipeline.recover
    import delt_engine.pipeline.train  # noqa: F401 (what forks need is loaded once, here)

    words = ["squeeze", "--dataset", "digits", "--image-size", str(_IMAGE_SIZE), "--device", "cpu", "--quiet"]
    words += [part for name, value in _TEACHER.items() for part in (f"--{name}", str(value))]
    process = get_context("fork").Process(target=delt, args=(words, folder / "teacher.txt"), daemon=True)
    process.start()
    process.join()
    if process.exitcode:
        said = (folder / "teacher.txt").read_text(encoding="utf-8", errors="replace").strip().splitlines()
        raise RunError(f"chaos: the teacher cannot be trained: {said[-1] if said else process.exitcode}")


def made(folder: Path, name: str, settings: Mapping[str, Any]) -> Run:
    """Make a queued run of a moment with these settings of the recovery."""
    experiment = Experiment.for_method(
        "delt",
        size=_IMAGE_SIZE,
        recover=settings,
        dataset="digits",
        image_size=_IMAGE_SIZE,
        classes=("0", "1", "2"),
        device="cpu",
        squeeze=SqueezeConfig(**_TEACHER),
    )
    options, path = RunOptions(checkpoint_seconds=0.05, live_seconds=0.1), folder / name
    return Run.create(path, experiment, command=command_for(experiment, path, "recover", options), options=options)


class _World:
    """The runs of one call."""

    def __init__(self, folder: Path, seed: int) -> None:
        self._folder, self._draw, self.counts = folder, random.Random(seed), Counts()
        run, began = made(folder, "reference", _SETTINGS), time.monotonic()
        process = _Process("worker", run)
        _wait(lambda: _steps(run) or not process.is_alive, run)
        self._start_s = time.monotonic() - began
        _wait(lambda: not process.is_alive, run)
        self._work_s = time.monotonic() - began - self._start_s
        if run.status != "finished":
            raise RunError(f"chaos: the reference is {run.status}: {run.error}")
        self._reference = pictures(run)

    def live(self, kinds: Sequence[str], kills: int) -> None:
        """Take one run through its kills to its end."""
        self.counts.runs += 1
        run, seen = made(self._folder, f"run-{self.counts.runs:04d}", _SETTINGS), frozenset[str]()
        for _ in range(MOST_A_RUN):
            kind = self._draw.choices(kinds, [_WEIGHTS[kind] for kind in kinds])[0]
            if sum(self.counts.kills.values()) >= kills or not self._killed(run, kind):
                break
            seen = self._check(run, seen)
            self.counts.resumes += 1
        if run.status != "finished":
            process = _Process("worker", run)
            _wait(lambda: not process.is_alive, run)
        self._check(run, seen)
        if run.status != "finished" or pictures(run) != self._reference:
            raise RunError(
                f"chaos: {run.path} is {run.status} and not what {self._folder / 'reference'} is; {run.error or ''}"
            )

    def _killed(self, run: Run, kind: str) -> bool:
        """Let a process go on with the run, kill it at a random moment, and return whether it was still at work."""
        if kind == "app" and run.status == "queued":
            run.update(status="paused")  # the app goes on with what has stopped
        before, is_early = _steps(run), self._draw.random() < START_SHARE
        process, wait_s = _Process(kind, run), self._draw.uniform(0, self._start_s if is_early else self._work_s / 2)
        if not is_early:
            _wait(lambda: _steps(run) > before or not process.is_alive or run.status == "finished", run)
        time.sleep(wait_s)
        is_hit = process.is_alive and run.status != "finished"
        process.kill()
        if is_hit:
            self.counts.kills[kind] += 1
            self.counts.while_starting += _steps(run) == before
        if kind == "app":  # what it has started goes on without it
            _wait(lambda: run.job_process() is None or not run.is_active, run)
        watchdog.free(run)  # of a launcher the ranks live on
        return is_hit

    def _check(self, run: Run, seen: frozenset[str]) -> frozenset[str]:
        """Return which images there are.

        Raises:
            RunError: one is gone that was there, is not one of the reference, or differs from it.
        """
        found = {name: data for name, data in pictures(run).items() if name.startswith("images/")}
        lost, others = seen - set(found), {name for name, data in found.items() if self._reference.get(name) != data}
        if lost or others:
            what = f"lost {sorted(lost)[0]}" if lost else f"made {sorted(others)[0]} otherwise"
            raise RunError(f"chaos: {run.path} has {what} after a kill.")
        self.counts.images_checked += len(found)
        return frozenset(found)


class _Process:
    """A process at a run: a fork of this one, or a command of its own."""

    def __init__(self, kind: str, run: Run) -> None:
        self._fork: BaseProcess | None = None
        self._command: subprocess.Popen[bytes] | None = None
        if kind == "worker":
            words, log = ["resume", str(run.path), "--quiet"], run.path / "log.txt"
            self._fork = get_context("fork").Process(target=delt, args=(words, log), daemon=True)
            self._fork.start()
            return
        words = ["-m", "delt_engine", "resume", str(run.path), "--ranks", "2", "--quiet"]
        if kind == "app":
            words = ["-c", _APP, str(run.path)]
        with (run.path / "log.txt").open("ab") as out:
            how: dict[str, Any] = {"stdout": out, "stderr": out, "env": child_environment(), "start_new_session": True}
            self._command = subprocess.Popen([sys.executable, *words], **how)

    @property
    def is_alive(self) -> bool:
        if self._fork is not None:
            return self._fork.is_alive()
        return self._command is not None and self._command.poll() is None

    def kill(self) -> None:
        """Kill it, and nothing that it has started."""
        if self._fork is not None:
            self._fork.kill()
            self._fork.join()
        if self._command is not None:
            self._command.kill()
            self._command.wait()


def delt(words: Sequence[str], out: Path) -> None:
    """Be the command, with its outputs in a file."""
    os.setsid()
    with out.open("ab") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    from delt_engine.cli import main

    main(args=list(words), prog_name="delt")


def _wait(done: Callable[[], object], run: Run) -> None:
    """Wait until something is so.

    Raises:
        RunError: it does not come: something hangs.
    """
    until = time.monotonic() + PATIENCE
    while not done():
        if time.monotonic() > until:
            raise RunError(f"chaos: {run.path} hangs: {run.status}, {run.error}.")
        time.sleep(_POLL)


def _steps(run: Run) -> int:
    return len(run.events(StepEvent))


def pictures(run: Run) -> dict[str, bytes]:
    """Return the bytes of all pictures of a run, by their place in it."""
    return {str(path.relative_to(run.path)): path.read_bytes() for path in sorted(run.path.rglob("*.png"))}
