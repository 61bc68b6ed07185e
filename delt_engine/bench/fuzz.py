"""What bad input does: cases of damaged, odd and hostile settings, files and folders, one after another.

A case is taken where it ends well, and refused where it ends with one of our errors: one line that can be shown as it
stands. Anything else is a finding: another exception, a text that cannot be shown, a case that takes for ever or takes
the memory, a write outside the folder of the case, a process or a connection that somebody else's content began.

What is written and started is watched with an audit hook of Python, which sees every way in which Python itself opens,
renames, links and removes; libraries that write behind its back are not seen, but none of them writes where it reads.

Source: ours; the audit events are Python's, PEP 578.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from delt_engine.bench.fuzz_cases import TARGETS, Case
from delt_engine.bench.odd_values import CODE
from delt_engine.errors import MOST_LETTERS, DeltError, RunError

KINDS = tuple(TARGETS)

PATIENCE_S = 20.0
"""Seconds after which a case hangs; the slowest honest ones take under one on a busy core."""

MOST_BYTES = 2**30
"""Memory that one case may take."""

_WRITES = {"os.rename": (0, 1), "os.link": (1,), "os.symlink": (1,)}
_WRITES |= dict.fromkeys(("os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.chmod", "os.chown"), (0,))
_STARTS: tuple[str, ...] = (
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "os.spawn",
    "subprocess.Popen",
    "os.fork",
    "os.forkpty",
)
_STARTS += ("socket.connect", "socket.getaddrinfo", "pty.spawn")


@dataclass
class Finding:
    """Something that went wrong: what, in which case first, and how often."""

    what: str
    kind: str
    case: int
    times: int = 1


@dataclass
class Found:
    """What came of the cases: their number, by kind how many were taken and refused, and findings by what they are."""

    cases: int = 0
    taken: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    findings: dict[str, Finding] = field(default_factory=dict)

    def add(self, what: str, case: Case) -> None:
        """Count a finding."""
        if what in self.findings:
            self.findings[what].times += 1
        else:
            self.findings[what] = Finding(what, case.kind, case.number)

    def to_record(self) -> dict[str, Any]:
        """Return plain values."""
        bad = Counter[str]()
        for one in self.findings.values():
            bad[one.kind] += one.times
        by_kind = {
            kind: {"taken": self.taken[kind], "refused": self.refused[kind], "findings": bad[kind]} for kind in KINDS
        }
        return {
            "cases": self.cases,
            "by_kind": by_kind,
            "findings": [vars(one) for one in self.findings.values()],
        }


def fuzz(
    folder: Path,
    cases: int,
    *,
    seed: int = 0,
    kinds: Sequence[str] = KINDS,
    only: int | None = None,
    report: Callable[[str, int, int], None] = lambda *_: None,
) -> Found:
    """Try so many cases in ``folder``, which is their home; Ctrl-C ends it early.

    Args:
        only: the number of a case to try again, alone.

    Raises:
        RunError: this system cannot watch them.
    """
    if threading_is_other():
        raise RunError("fuzz: it watches with signals, which takes the main thread of a process on Linux or macOS.")
    found, watch = Found(), Watch(folder)
    chosen = [number for number in range(cases) if KINDS[number % len(KINDS)] in kinds] if only is None else [only]
    with _at_home(folder), contextlib.suppress(KeyboardInterrupt):  # what was found until then counts
        for done, number in enumerate(chosen):
            report("try", done, len(chosen))
            _try(Case.of(number, KINDS[number % len(KINDS)], seed, folder), found, watch)
        report("try", len(chosen), len(chosen))
    return found


def threading_is_other() -> bool:
    """Return whether this is not the main thread, or a system without alarms."""
    import threading

    return threading.current_thread() is not threading.main_thread() or not hasattr(signal, "setitimer")


@contextlib.contextmanager
def _at_home(folder: Path) -> Iterator[None]:
    """Let everything of a user lie in a folder, temporary files too."""
    kept = {name: os.environ.get(name) for name in ("DELT_HOME", "DELT_RUNS", "DELT_DATA", "DELT_WARM")}
    before, temporary = tempfile.tempdir, folder / "tmp"
    temporary.mkdir(parents=True, exist_ok=True)
    os.environ.update(DELT_HOME=str(folder / "home"), DELT_WARM="0")
    os.environ.pop("DELT_RUNS", None)
    os.environ.pop("DELT_DATA", None)
    tempfile.tempdir = str(temporary)
    try:
        yield
    finally:
        tempfile.tempdir = before
        for name, value in kept.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def _try(case: Case, found: Found, watch: Watch) -> None:
    """Try one case and count what came of it."""
    target, made = TARGETS[case.kind]
    case.folder.mkdir(parents=True)
    found.cases += 1
    subject, wrong = made(case), ""
    before = _peak_bytes()
    try:
        with watch.on(), _alarm():
            target(case, subject)
        found.taken[case.kind] += 1
    except DeltError as error:
        wrong = bad_sentence(str(error))
        found.refused[case.kind] += not wrong
    except _Hangs as error:
        wrong = f"hangs {error}"
    except Exception as error:
        place = _where(traceback.extract_tb(error.__traceback__))
        wrong = f"{type(error).__name__} {place}: {' '.join(str(error).split())[:160]}"
    for one in filter(None, (wrong, *watch.seen, _left_behind(case, _peak_bytes() - before))):
        found.add(one, case)
    watch.seen.clear()
    shutil.rmtree(case.folder, ignore_errors=True)


def bad_sentence(text: str) -> str:
    """Return what is wrong with the text of an error, "" where it can be shown as it stands.

    >>> bad_sentence("ipc: 0 given, but it must be at least 1."), bad_sentence("")
    ('', 'an error without a text')
    """
    if not text.strip():
        return "an error without a text"
    if "\n" in text or len(text) > MOST_LETTERS:
        return f"an error of several lines or more than {MOST_LETTERS} letters: {text[:60]!r}"
    if " object at 0x" in text or "Traceback" in text or "pydantic" in text:
        return f"an error that shows our insides: {text[:120]!r}"
    return ""


def _left_behind(case: Case, more_bytes: int) -> str:
    """Return what a case has done that it should not have, or ""."""
    if (case.folder / CODE).exists():
        return "code ran"
    return f"takes {more_bytes >> 20:,} MiB of memory" if more_bytes > MOST_BYTES else ""


def _peak_bytes() -> int:
    import resource  # not there on Windows

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


class _Hangs(BaseException):
    """A case takes for ever; no ``except Exception`` on the way keeps it."""


@contextlib.contextmanager
def _alarm() -> Iterator[None]:
    """Raise where the code is when a case takes too long, and again if that was held up."""

    def ring(_signal: int, frame: FrameType | None) -> None:
        raise _Hangs(_where(traceback.extract_stack(frame)))

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, PATIENCE_S, 1.0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _where(stack: Sequence[traceback.FrameSummary]) -> str:
    """Return the last line of ours on a stack, other than the fuzzer's own."""
    ours = [frame for frame in stack if "delt_engine" in frame.filename and "bench/fuzz" not in frame.filename]
    frame = ours[-1] if ours else stack[-1]
    return f"in {Path(frame.filename).name}:{frame.lineno} {frame.name}"


class Watch:
    """Sees what is written outside a folder, and what is started, while it is on."""

    def __init__(self, folder: Path) -> None:
        self._root, self._is_on, self.seen = os.path.realpath(folder), False, list[str]()
        self._is_asking = False
        sys.addaudithook(self._hear)  # for the life of the process: hooks cannot be taken away

    @contextlib.contextmanager
    def on(self) -> Iterator[None]:
        """Watch what is done within."""
        self._is_on = True
        try:
            yield
        finally:
            self._is_on = False

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self._is_on or self._is_asking:
            return
        if event in _STARTS:
            self._tell(f"starts something: {event}")
        elif event in _WRITES:
            for place in _WRITES[event]:
                self._check(event, arguments[place], arguments[-1] if place == 0 else -1)
        elif event == "open" and _writes(arguments):
            self._check(event, arguments[0], -1)

    def _check(self, event: str, path: Any, folder: Any) -> None:
        if not isinstance(path, (str, bytes, os.PathLike)):
            return
        self._is_asking = True
        try:
            name = os.fsdecode(path)
            if isinstance(folder, int) and folder >= 0 and sys.platform == "linux":
                with contextlib.suppress(OSError):
                    name = os.path.join(os.readlink(f"/proc/self/fd/{folder}"), name)  # noqa: PTH115, PTH118
            head, tail = os.path.split(name)
            real = os.path.realpath(name) if event == "open" else os.path.join(os.path.realpath(head), tail)  # noqa: PTH118
        finally:
            self._is_asking = False
        if real not in ("/dev/null", self._root) and not real.startswith(self._root + os.sep):
            self._tell(f"writes outside its folder: {event}", real)

    def _tell(self, what: str, detail: str = "") -> None:
        where = _where(traceback.extract_stack()[:-2])
        self.seen.append(f"{what} {where}")
        raise PermissionError(f"{what} {detail}")


def _writes(arguments: tuple[Any, ...]) -> bool:
    _, mode, flags = arguments
    if isinstance(mode, str):
        return any(letter in mode for letter in "wax+")
    return isinstance(flags, int) and bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC))
