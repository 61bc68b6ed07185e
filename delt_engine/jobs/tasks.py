"""Short work of the app in a process of its own: read a dataset, check a teacher, add a checkpoint.

A task is a `delt` command with ``--json --progress-json``, detached from the app: its result is the object on stdout,
its progress the JSON lines on stderr, its error the last other line. Everything stands in ``<home>/tasks/<name>/``, so
a reload or a restart of the server loses nothing. Runs, which take minutes and make images, are in jobs.py.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import psutil
from filelock import FileLock

from delt_engine import access, files
from delt_engine.errors import DeltError, RunError
from delt_engine.jobs.children import child_environment, start_child
from delt_engine.paths import home
from delt_engine.runs.processes import identity, is_running
from delt_engine.runs.record import ProcessRecord

State = Literal["none", "running", "done", "failed"]
_NAMES = ("process.json", "command.json", "result.json", "log.txt")

MOST_UPLOADS = 200
MOST_BYTES = 20 * 10**9
"""Uploads that are kept, all visitors' together; ours, so that they cannot fill a disk."""

_DAY = 86400.0
_MOST_LETTERS = 100
_UNFIT = re.compile(r"[\x00-\x1f\x7f/\\]+")


@dataclass(frozen=True)
class Progress:
    """How far a task is: what it does, and how much of it is done."""

    what: str
    done: int
    total: int


@dataclass(frozen=True)
class Task:
    """A task by its name; nothing is held but the name of its folder."""

    name: str

    @property
    def path(self) -> Path:
        """The task's folder."""
        return home() / "tasks" / self.name

    @property
    def state(self) -> State:
        """Whether it was started, is at work, or has ended well or not."""
        process = self._process()
        if process is None:
            return "none"
        if is_running(process):
            return "running"
        return "done" if self.result() is not None else "failed"

    @property
    def is_running(self) -> bool:
        """Whether its process is at work."""
        return self.state == "running"

    def progress(self) -> Progress | None:
        """Return what the process said last about how far it is, or None."""
        for line in reversed(self._log()):
            with contextlib.suppress(ValueError, KeyError, TypeError):
                said = json.loads(line)
                return Progress(str(said["what"]), int(said["done"]), int(said["total"]))
        return None

    def result(self) -> dict[str, Any] | None:
        """Return the object it printed, or None while there is none."""
        found = files.read_json(self.path / "result.json")
        return found if isinstance(found, dict) else None

    @property
    def error(self) -> str:
        """Why it failed, as one sentence; "" when it did not."""
        if self.state != "failed":
            return ""
        return self.last_words().removeprefix("Error: ") or "The process ended without a word."

    def last_words(self) -> str:
        """Return the last line that the process said and that is no progress; "" when there is none."""
        lines = (line for line in reversed(self._log()) if line.strip() and not line.startswith("{"))
        return next(lines, "")

    def forget(self) -> None:
        """End the process if it is at work, and remove what it left.

        Raises:
            AccessError: the visitor may change nothing.
        """
        access.check_change("stop work")
        process = self._process()
        if process is not None and is_running(process):
            with contextlib.suppress(psutil.Error):
                psutil.Process(process.pid).terminate()
        for name in _NAMES:
            (self.path / name).unlink(missing_ok=True)

    def _process(self) -> ProcessRecord | None:
        try:
            return ProcessRecord.model_validate_json((self.path / "process.json").read_bytes())
        except (OSError, ValueError):
            return None

    def _log(self) -> list[str]:
        try:
            return (self.path / "log.txt").read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            return []


def task(kind: str, *about: object) -> Task:
    """Return the task of a kind about something, whether it was started or not.

    >>> task("read", "photos").name == task("read", "photos").name != task("read", "digits").name
    True
    """
    digest = hashlib.sha256("\0".join(map(str, about)).encode("utf-8", "surrogateescape")).hexdigest()
    return Task(f"{kind}-{digest[:12]}")


def start(work: Task, words: Sequence[str], *, with_progress: bool = True) -> Task:
    """Start ``delt <words> --json --progress-json`` for a task and return at once; one at work on it is left to go on.

    Commands of many runs say how far they are in lines, ``with_progress`` False.

    Raises:
        RunError: it is at work on other words, its folder cannot be written, or the process cannot be started.
    """
    access.check_change("start work")
    command = [*words, "--json", *(["--progress-json"] if with_progress else [])]
    with files.as_run_error(work.path):
        work.path.mkdir(parents=True, exist_ok=True)
    with FileLock(work.path / "lock"):  # two browsers may ask for it at once
        if not work.is_running:
            work.forget()
            _spawn(work, command)
        elif files.read_json(work.path / "command.json") not in (None, command):
            raise RunError(f"{words[0]}: another one is at work here just now; try again when it is done.")
    return work


def _spawn(work: Task, command: Sequence[str]) -> None:
    files.write_bytes(work.path / "command.json", json.dumps(command).encode())
    with (work.path / "result.json").open("wb") as out, (work.path / "log.txt").open("wb") as log:
        try:
            process = start_child(command, out, log, child_environment())
        except OSError as error:
            raise RunError(f"{command[0]}: its process cannot be started ({files.reason(error)}).") from None
    files.write_bytes(work.path / "process.json", identity(process.pid).model_dump_json().encode())


def uploads_dir() -> Path:
    """Return the folder of uploaded files."""
    return home() / "uploads"


def store_upload(name: str, content: bytes) -> Path:
    """Keep an uploaded file in the user's home and return where; only the last part of the name counts.

    It lies in a folder of its content, so that another file of the same name does not take its place. What is
    for one task goes when it is a day old and the next one comes; rankings (CSV) stay, for runs name them.

    Raises:
        DeltError: the name is none, there are too many uploads, or the disk refuses.
    """
    access.check_change("upload a file")
    plain = _UNFIT.sub("_", Path(name.replace("\\", "/")).name).lstrip("-")
    if not plain or plain.startswith("."):
        raise DeltError(f"file: {name!r} given, but it needs a name.")
    ending = Path(plain).suffix[:_MOST_LETTERS]
    plain = f"{Path(plain).stem[: _MOST_LETTERS - len(ending)]}{ending}"
    _tidy_uploads(len(content))
    path = uploads_dir() / hashlib.sha256(content).hexdigest()[:8] / plain
    files.write_bytes(path, content)
    return path


def drop_upload(path: str | Path) -> None:
    """Delete an upload that has served; what is none stays."""
    path = Path(path)
    if path.resolve().is_relative_to(uploads_dir().resolve()):
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
            path.parent.rmdir()


def _tidy_uploads(more: int) -> None:
    """Delete what has served its day, and refuse where there is too much all the same."""
    sizes = []
    for path in [path for path in uploads_dir().rglob("*") if path.is_file()]:
        with contextlib.suppress(OSError):  # another visitor's, who has just dropped it
            found = path.stat()
            if path.suffix.lower() != ".csv" and time.time() - found.st_mtime > _DAY:
                drop_upload(path)
            else:
                sizes.append(found.st_size)
    if len(sizes) >= MOST_UPLOADS or sum(sizes) + more > MOST_BYTES:
        raise DeltError(
            f"file: {len(sizes)} uploads of {sum(sizes) / 1e9:.1f} GB are kept, and at most {MOST_UPLOADS} of "
            f"{MOST_BYTES / 1e9:.0f} GB may be; delete some in {uploads_dir()}."
        )


def argument(text: str) -> str:
    """Return what a visitor typed as an argument that no command takes for an option.

    >>> argument("--out=/"), argument("photos")
    ('./--out=/', 'photos')
    """
    return f"./{text}" if text.startswith("-") else text
