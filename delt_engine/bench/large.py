"""How long one waits for a run of 50,000 images (1,000 classes of 50 at 32 px): start, resume, list, gallery, export.

Each is measured as a user meets it, in a home of its own: commands from the moment they are typed, with Python's start
and torch's loading in it; the gallery in a browser, as `delt bench app` measures it. What is new is read, decoded and
ranked once, before the start is measured: that takes as long as the images and the network need, and stands beside it.

Figures: ``seconds`` until what is waited for is there; ``goal_seconds`` and ``meets_goal``; ``load``, that of the
machine over the minute before. Of the start also ``new_seconds``, with reading and ranking a folder that is new; of
the export ``whole_seconds``, until the whole zip is written; of the gallery ``first_seconds``, of the first visit.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from delt_engine.bench.app import opened_browser, session
from delt_engine.bench.harness import Measured, Report, seconds_of, start
from delt_engine.bench.large_run import SIZE, make_large_run
from delt_engine.config import Experiment
from delt_engine.config.command_line import option_words
from delt_engine.errors import RunError
from delt_engine.paths import studio_dir
from delt_engine.runs.events import StepEvent
from delt_engine.runs.export import Chosen, zip_chunks
from delt_engine.runs.record import now
from delt_engine.runs.store import Run

GOAL_S = 2.0
CLASSES, QUICK_CLASSES = 1000, 100
IPC, SPARE = 50, 13  # a fifth is kept for tests
RUNS, QUICK_RUNS = 500, 50
_NETWORK, _WIDTH = "convnet-3", 0.125
_PATIENCE_S = 1200.0
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
    asked = option_words(dataset=data, teacher=teacher, image_size=SIZE, ipc=IPC, mi=8000, ri=1000)
    asked += option_words(teacher_check=False, device="cpu", quiet=True)

    def started(run: Run) -> float:
        return _until_step(["recover", *asked, "--out", str(run.path)], run, home)

    say("read and rank", 1)
    new_s = started(Run(home / "runs" / "first"))
    say("start and resume", 2)
    run = Run(home / "runs" / "second")
    yield _result("start", started(run), new_seconds=new_s)
    yield _result("resume", _until_step(["resume", str(run.path), "--quiet"], run, home))
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
    from delt_engine.bench.material import seeded_teacher
    from delt_engine.models.card import TeacherCard
    from delt_engine.models.checkpoints import save_teacher

    mean, std = (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)
    network = seeded_teacher(_NETWORK, SIZE, mean, std, device="cpu", num_classes=num_classes, width=_WIDTH)
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


def _until_step(words: Sequence[str], run: Run, home: Path) -> float:
    """Return the seconds from the command until the first event of an iteration; then it is paused.

    Raises:
        RunError: the command ended, or gave none.
    """
    before = run.latest_event(StepEvent) if run.path.is_dir() else None
    began = time.perf_counter()
    process = _begun(words, home)
    try:
        _wait(lambda: run.path.is_dir() and run.latest_event(StepEvent) not in (None, before), process, words[0])
        return time.perf_counter() - began
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate()


def _wait(is_there: Callable[[], bool], process: subprocess.Popen[bytes], what: str) -> None:
    end = time.monotonic() + _PATIENCE_S
    while not is_there():
        if process.poll() is not None or time.monotonic() > end:
            said = _last_words(process.stderr.read()) if process.stderr and process.poll() is not None else ""
            raise RunError(f"bench: `delt {what}` gave no iteration: {said}")
        time.sleep(0.01)


def _last_words(errors: bytes) -> str:
    return (errors.decode(errors="replace").strip().splitlines() or ["it ended without a word"])[-1]
