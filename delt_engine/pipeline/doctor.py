"""What could be wrong with this machine or this installation, each as a finding with what to do about it.

Torch is looked at last, so that a broken installation still gets the other findings.
"""

from __future__ import annotations

import platform
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import psutil

from delt_engine import __version__, files
from delt_engine.errors import DeltError, RunError
from delt_engine.models.processor import has_slow_bfloat16, instruction_set, this_machine
from delt_engine.paths import home, runs_dir
from delt_engine.pipeline.shipped_files import differences
from delt_engine.runs.store import Run, list_runs

PACKAGES = ("torch", "torchvision", "timm", "numpy", "pillow", "pydantic", "safetensors", "streamlit", "pyarrow")
"""What a broken installation usually lacks."""
OPTIONAL = ("datasets", "webdataset", "mlcroissant")
"""Readers of exports, of the extra ``export``."""
LEAST_PYTHON, LEAST_TORCH = (3, 10), (2, 6)
LEAST_DISK, LEAST_MEMORY = 2 * 10**9, 2 * 10**9
"""Bytes below which a run is likely to fail. Ours."""
_SELF_TEST_S = 10


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at: ``is_ok`` is None of what is merely worth knowing; ``advice`` says what to do."""

    name: str
    is_ok: bool | None
    value: str
    advice: str = ""


def examine(*, self_test: bool = True) -> Iterator[Finding]:
    """Yield one finding after the other, quick ones first; ``self_test`` recovers some images at the end."""
    checks: list[Callable[[], Iterator[Finding]]] = [_versions, _processor, _room, _writable, _shipped, _runs, _devices]
    for check in [*checks, *([_self_test] if self_test else [])]:
        try:
            yield from check()
        except Exception as error:  # whatever is broken here is a finding, and the next check goes on
            name = check.__name__.strip("_").replace("_", " ")
            yield Finding(
                name, False, f"{type(error).__name__}: {error}", "Install DELT Studio and what it needs anew."
            )


def _versions() -> Iterator[Finding]:
    python = platform.python_version()
    yield Finding("DELT Studio", None, f"{__version__} in {Path(__file__).resolve().parent.parent}")
    is_new = sys.version_info >= LEAST_PYTHON
    yield Finding("Python", is_new, python, "" if is_new else "Python 3.10 or newer is needed.")
    for package in PACKAGES:
        found = _version(package)
        advice = "" if found else f"Install it: pip install {package}."
        if package == "torch" and found and _numbers(found) < LEAST_TORCH:
            found, advice = "", f"torch {found} is too old; install 2.6 or newer."
        yield Finding(package, bool(found), found or "missing", advice)
    optional = ", ".join(f"{name} {_version(name) or 'missing'}" for name in OPTIONAL)
    yield Finding("readers of exports", None, f"{optional}; optional: pip install 'delt-studio[export]'")


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("+")[0].split(".")[:2] if part.isdigit())


def _processor() -> Iterator[Finding]:
    level = instruction_set()
    yield Finding("processor", None, f"{this_machine()['processor']}, {level or 'instruction set not told'}")
    if not level:
        words = "This system does not say whether the processor computes bfloat16; float32 is taken on it."
    elif has_slow_bfloat16():
        words = "The processor has no instructions for bfloat16: there it is about 20 times slower than float32."
    else:
        words = "The processor computes bfloat16 in hardware: --precision bfloat16 is faster on it than float32."
    yield Finding("bfloat16 on the processor", None, words)


def _room() -> Iterator[Finding]:
    place = next(path for path in (home(), *home().parents) if path.exists())
    disk, memory = shutil.disk_usage(place).free, psutil.virtual_memory()
    advice = "" if disk >= LEAST_DISK else f"Free some disk at {place}, or point DELT_HOME to another one."
    yield Finding("free disk", disk >= LEAST_DISK, f"{disk / 1e9:.1f} GB at {place}", advice)
    is_enough = memory.available >= LEAST_MEMORY
    advice = "" if is_enough else "Close other programs, or take smaller batches."
    words = f"{memory.available / 1e9:.1f} of {memory.total / 1e9:.1f} GB"
    yield Finding("free memory", is_enough, words, advice)


def _writable() -> Iterator[Finding]:
    for name, folder in (("DELT_HOME", home()), ("runs", runs_dir())):
        try:
            files.check_writable(folder / "doctor")
        except RunError as error:
            yield Finding(f"write access, {name}", False, str(error), "Set DELT_HOME to a folder you may write to.")
        else:
            yield Finding(f"write access, {name}", True, str(folder))


def _shipped() -> Iterator[Finding]:
    wrong = list(differences())
    advice = "Install DELT Studio anew, or get these files from its repository." if wrong else ""
    yield Finding("shipped files", not wrong, "; ".join(wrong) or "teachers and datasets are as shipped", advice)


def _runs() -> Iterator[Finding]:
    runs = list_runs()
    unreadable = [run for run in runs if run.unreadable]
    for run in unreadable:
        advice = f"Delete {run.path}, or bring back its run.json from a copy."
        yield Finding(f"run {run.id}", False, str(run.unreadable), advice)
    for run in runs:
        if run not in unreadable:
            yield from _images_of(run)
    waiting = [run.id for run in runs if run not in unreadable and run.status in ("interrupted", "paused")]
    words = f"{len(runs)}, {len(unreadable)} of them damaged"
    advice = f"Go on with: delt resume {waiting[0]}" if waiting else ""
    yield Finding("runs", None, f"{words}, {len(waiting)} to go on with" if waiting else words, advice)


def _images_of(run: Run) -> Iterator[Finding]:
    """Yield a finding where a finished recovery lacks images."""
    record = run.record()
    if record.kind != "recover" or record.status != "finished":
        return
    ipc = record.experiment.recover.ipc
    paths = (run.image_path(number, index) for number in run.classes for index in range(ipc))
    lost = sum(not path.is_file() or path.stat().st_size == 0 for path in paths)
    if lost:
        advice = f"Make it again: delt recover, with the settings that {run.path / 'run.json'} keeps."
        yield Finding(f"run {run.id}", False, f"{lost} of its images are missing or empty", advice)


def _devices() -> Iterator[Finding]:
    import torch

    from delt_engine.models.device import device_names, pick_device

    for name in device_names():
        if name.startswith("cuda"):
            about, free = torch.cuda.get_device_properties(name), torch.cuda.mem_get_info(name)[0]
            bfloat16 = "bfloat16 in hardware" if about.major >= 8 else "no bfloat16 in hardware"
            words = f"{about.name}, {free / 1e9:.1f} of {about.total_memory / 1e9:.1f} GB free, {bfloat16}"
        else:
            words = f"{torch.get_num_threads()} threads" if name == "cpu" else "Apple's GPU"
        yield Finding(f"device {name}", None, words)
    has_nvidia = Path("/proc/driver/nvidia/version").exists()
    if not torch.cuda.is_available() and torch.version.cuda and has_nvidia:
        advice = "The driver is likely older than this torch needs; update it, or install a torch for your CUDA."
        yield Finding("CUDA", False, "an NVIDIA card is there, but torch cannot use it", advice)
    one = torch.ones(2, 2, device=pick_device())
    is_right = float((one @ one).sum()) == 8.0
    yield Finding("device auto", is_right, f"{pick_device()} computes", "" if is_right else "Try --device cpu.")


def _self_test() -> Iterator[Finding]:
    from delt_engine.pipeline.self_test import self_test

    began = time.monotonic()
    try:
        found = self_test()
    except DeltError as error:
        yield Finding("self-test", False, str(error), "See the findings above.")
        return
    seconds = time.monotonic() - began
    losses = ", ".join(f"{loss:.4f}" for loss in found.losses)
    words = f"four iterations on {found.device} in {seconds:.1f} s, losses {losses}"
    advice = "" if found.is_sound else "Images made here cannot be trusted: try --device cpu, or another torch."
    yield Finding("self-test", found.is_sound, words, advice)
    if seconds > _SELF_TEST_S:
        slow = "The first start reads torch from the disk; run it again, and if it stays, this machine is slow."
        yield Finding("self-test took long", None, f"{seconds:.0f} s, usual are {_SELF_TEST_S} or less", slow)
