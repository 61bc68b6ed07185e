"""How long one waits for a run of 50,000 images (1,000 classes of 50 at 32 px): start, resume, list, gallery, export.

Each is measured as a user meets it, in a home of its own. Start and resume go from the app's button to the first
event of an iteration; as the app does, this keeps a process that has loaded torch (:mod:`delt_engine.jobs.children`).
List and export are commands from the moment they are typed; the gallery is seen in a browser, as `delt bench app` does.
A new folder is read and ranked by a run before the one that is measured; how long that took stands beside it.

Figures: ``seconds`` until what is waited for is there; ``goal_seconds`` and ``meets_goal``; ``load``, that of the
machine over the minute before. Of the start also ``new_seconds``, with reading and ranking a folder that is new; of
the export ``whole_seconds``, until the whole zip is written; of the gallery ``first_seconds``, of the first visit.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch
from PIL import Image

from delt_engine.bench.app import opened_browser, session
from delt_engine.bench.harness import Measured, Report, seconds_of, start
from delt_engine.bench.large_run import SIZE, make_large_run
from delt_engine.config import Experiment, RecoverConfig
from delt_engine.errors import RunError
from delt_engine.jobs import start as jobs
from delt_engine.paths import studio_dir
from delt_engine.runs.events import StepEvent
from delt_engine.runs.export import Chosen, zip_chunks
from delt_engine.runs.record import RunOptions, now
from delt_engine.runs.store import Run

GOAL_S = 2.0
CLASSES, QUICK_CLASSES = 1000, 100
IPC, SPARE = 50, 13  # a fifth is kept for tests
RUNS, QUICK_RUNS = 500, 50
_NETWORK, _WIDTH = "convnet-3", 0.125
_PATIENCE_S = 1200.0
_LOADED_S, _IDLE_S = 0.5, 1.0
"""Processor time that loading torch takes at least, and for how long an idle process uses none."""
LARGE = "20260101-000000-large"


def bench_large(folder: Path, *, quick: bool, report: Report | None = None) -> Iterator[Measured]:
    """Measure a run of 50,000 images in a folder of its own, with ``quick`` of 5,000.

    Raises:
        RunError: a command failed.
    """
    classes, home = QUICK_CLASSES if quick else CLASSES, folder / "home"

    def say(what: str, done: int) -> None:
        if report:
            report(what, done, 5)

    say("make images", 0)
    data, teacher = make_folder(folder / "set", classes), make_teacher(folder / "teacher.safetensors", classes)
    recover = RecoverConfig(ipc=IPC, iterations=8000, round_iterations=1000)
    experiment = Experiment(dataset=str(data), teacher=str(teacher), image_size=SIZE, device="cpu", recover=recover)
    with _at_home(home):
        say("read and rank", 1)
        _, new_s = _started(experiment, home / "runs" / "first")
        say("start and resume", 2)
        run, start_s = _started(experiment, home / "runs" / "second")
        yield _result("start", start_s, new_seconds=new_s)
        yield _result("resume", _until_step(run, jobs.resume))
    say("list", 3)
    large = make_large_run(home / "runs" / LARGE, num_classes=classes, ipc=IPC, has_images=True)
    make_runs(home / "runs", QUICK_RUNS if quick else RUNS)
    yield _result("list", _command(["runs"], home), runs=QUICK_RUNS if quick else RUNS)
    say("gallery", 4)
    with contextlib.suppress(RunError), opened_browser() as browser:  # without a browser it is left out
        pages = [f"gallery?run={LARGE}", "runs", f"gallery?run={LARGE}"]
        seen = session(browser, studio_dir() / "app.py", home, pages).seconds("gallery")
        yield _result("gallery", seen[-1], first_seconds=seen[0])
    say("export", 5)
    chosen = [Chosen(large, class_index) for class_index in large.classes]
    first_s = seconds_of(lambda: next(zip_chunks(chosen)))
    words = ["export", str(large.path), "--format", "zip", "--out", str(folder / "large.zip"), "--quiet"]
    yield _result("export", first_s, whole_seconds=_command(words, home))


def make_folder(root: Path, num_classes: int) -> Path:
    """Write a folder of random PNGs, a few more a class than are selected; each class has a colour of its own."""
    draw = np.random.default_rng(0)
    for number in range(num_classes):
        folder = root / f"class-{number:04d}"
        folder.mkdir(parents=True)
        base = draw.integers(0, 200, 3)
        pixels = (base + draw.integers(0, 56, (IPC + SPARE, SIZE, SIZE, 3))).astype(np.uint8)
        for index, image_u8 in enumerate(pixels):
            Image.fromarray(image_u8).save(folder / f"{index:03d}.png", compress_level=0)
    return root


def make_teacher(path: Path, num_classes: int) -> Path:
    """Write a small network with seeded weights as the teacher of that folder; how good it is takes no part."""
    from delt_engine.models.card import TeacherCard
    from delt_engine.models.checkpoints import save_teacher
    from delt_engine.models.networks import build_network

    mean, std = (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = build_network(_NETWORK, num_classes, image_size=SIZE, width=_WIDTH)
    names = tuple(f"class-{number:04d}" for number in range(num_classes))
    places: dict[str, Any] = {
        "dataset": "set",
        "dataset_fingerprint": "",
        "source": "seeded weights",
        "name": path.stem,
    }
    known: dict[str, Any] = {"accuracy": None, "epochs": None, "fingerprint": "", "mean": mean, "std": std}
    card = TeacherCard(
        network=_NETWORK,
        width=_WIDTH,
        stem="small",
        num_classes=num_classes,
        class_names=names,
        image_size=SIZE,
        **places,
        **known,
    )
    return save_teacher(path, network, card)


def make_runs(folder: Path, number: int) -> None:
    """Make finished runs without images, for the list."""
    for place in range(number):
        run = Run.create(folder / f"20250101-{place:06d}-small", Experiment(dataset="photos", seed=place))
        run.set_status("finished", started=now(), finished=now(), seconds=1.0)


def _result(case: str, seconds: float, **more: Any) -> Measured:
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    figures = {"seconds": seconds, "goal_seconds": GOAL_S, "meets_goal": seconds <= GOAL_S, "load": round(load, 2)}
    return Measured(case, case, "cpu", 1, None, 1 / seconds, None, None, {**figures, **more})


def _begun(words: Sequence[str], home: Path) -> subprocess.Popen[bytes]:
    return start(["delt_engine", *words], errors=subprocess.PIPE, DELT_HOME=str(home), DELT_RUNS="")


def _command(words: Sequence[str], home: Path) -> float:
    """Return the seconds of a whole command."""
    process = _begun(words, home)

    def wait() -> None:
        _, errors = process.communicate()
        if process.returncode:
            raise RunError(f"bench: `delt {words[0]}` failed: {_last_words(errors)}")

    return seconds_of(wait)


@contextlib.contextmanager
def _at_home(home: Path) -> Iterator[None]:
    """Let this process, and those that it starts, have another home."""
    own = {name: os.environ.get(name) for name in ("DELT_HOME", "DELT_RUNS")}
    os.environ["DELT_HOME"] = str(home)
    os.environ.pop("DELT_RUNS", None)
    try:
        yield
    finally:
        for name, value in own.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def _started(experiment: Experiment, path: Path) -> tuple[Run, float]:
    options = RunOptions(teacher_check=False)
    seconds = _until_step(Run(path), lambda run: jobs.start(experiment, run.path, options=options))
    return Run(path), seconds


def _until_step(run: Run, begin: Callable[[Run], object]) -> float:
    """Return the seconds from a press of the app's button until the first event of an iteration; then it is paused.

    Raises:
        RunError: the run failed, or gave none.
    """
    before = run.latest_event(StepEvent) if run.path.is_dir() else None
    _ready()
    began = time.perf_counter()
    begin(run)
    _wait(lambda: run.latest_event(StepEvent) not in (None, before) or not run.is_active, f"run {run.id}")
    seconds = time.perf_counter() - began
    if run.latest_event(StepEvent) in (None, before):
        raise RunError(f"bench: run {run.id} gave no iteration: {run.error}")
    jobs.pause(run)
    _wait(lambda: not run.is_active, f"run {run.id}")
    return seconds


def _ready() -> None:
    """Have a process ready as the app does, and wait until it has loaded all it can: it is idle then."""
    jobs.prepare()
    for child in psutil.Process().children():
        with contextlib.suppress(psutil.Error):
            if "delt_engine.cli.prefork" in child.cmdline():
                used = [-1.0, sum(child.cpu_times()[:2])]
                while used[-1] < _LOADED_S or used[-1] != used[-2]:
                    time.sleep(_IDLE_S)
                    used.append(sum(child.cpu_times()[:2]))


def _wait(is_there: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + _PATIENCE_S
    while not is_there():
        if time.monotonic() > end:
            raise RunError(f"bench: {what} took longer than {_PATIENCE_S:.0f} s.")
        time.sleep(0.01)


def _last_words(errors: bytes) -> str:
    return (errors.decode(errors="replace").strip().splitlines() or ["it ended without a word"])[-1]
