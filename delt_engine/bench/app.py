"""Measure the app: how soon it is there after a cold start, and how long its pages' scripts take with a large run.

A server is started as a person would start it, in a home of its own that holds a run of 50,000 images, and a visitor
asks for its pages as a browser does. In turns with it starts the smallest Streamlit script that shows anything, so what
is Streamlit's own shows. First paint in a browser comes some tenths of a second after the first script's end.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from delt_engine.bench.large_run import make_large_run
from delt_engine.errors import RunError
from delt_engine.paths import PROJECT

COLD_GOAL_S, SWITCH_GOAL_S = 4.0, 0.5
PAGES = ("data_and_teachers", "patches", "recover", "gallery", "early_late", "diversity", "accuracy", "runs")
OF_RUNS = ("gallery", "early_late", "diversity")
"""Pages that show a run, which their address names."""

RUN = "20260101-000000-large"
_PLAIN = 'import streamlit as st\n\nst.title("Hello")\nst.write("Nothing else.")\n'
_START_S = 60.0

Report = Callable[[str, int, int], None]


@dataclass(frozen=True)
class AppResult:
    """What was measured: a cold start, or one page's script.

    Attributes:
        case: ``cold start``, or the page.
        plain_rate: of the smallest script, a second.
        fast_rate: of the app, a second.
        ratio: of both; what Streamlit alone leaves to be reached.
        max_abs_diff: None, for nothing is computed twice.
        seconds: the app's time, median of the rounds.
        first_seconds: of the first visit of a page, which fills caches; None of a cold start.
        goal_seconds: what it should stay below.
        has_torch: whether the server's process had loaded torch; None where that cannot be seen.
        has_error: whether a page showed an error.
    """

    case: str
    plain_rate: float
    fast_rate: float
    ratio: float
    max_abs_diff: float | None
    seconds: float
    first_seconds: float | None
    goal_seconds: float
    has_torch: bool | None
    has_error: bool

    def to_record(self) -> dict[str, Any]:
        """Return it as plain values, with whether the goal is met."""
        return {**asdict(self), "meets_goal": self.seconds < self.goal_seconds}


@dataclass(frozen=True)
class _Session:
    """One server's life: seconds until its first script had ended, visits, and whether torch was loaded."""

    cold_s: float
    visits: tuple[dict[str, Any], ...]
    has_torch: bool | None

    def seconds(self, page: str) -> list[float]:
        return [visit["seconds"] for visit in self.visits if visit["page"] == page]


def bench_app(*, quick: bool, rounds: int, report: Report | None = None) -> Iterator[AppResult]:
    """Measure the app.

    Args:
        quick: with a run of 100 classes and a visit less to each page.
        rounds: how often the servers are started; medians are told.
        report: told what is measured, how many servers were started, and of how many.

    Raises:
        RunError: a server does not start, or does not answer.
    """
    with tempfile.TemporaryDirectory(prefix="delt-bench-") as name:
        folder = Path(name)
        plain = folder / "plain.py"
        plain.write_text(_PLAIN, encoding="utf-8")
        make_large_run(folder / "runs" / RUN, num_classes=100 if quick else 1000)
        pages = [f"{page}?run={RUN}" if page in OF_RUNS else page for page in PAGES] * (2 if quick else 3)
        plain_ones, app_ones = [], []
        for number in range(rounds):
            if report:
                report("start servers", 2 * number, 2 * rounds)
            plain_ones.append(_session(plain, folder, (), visits=2))
            app_ones.append(_session(PROJECT / "app.py", folder, pages))
        yield from _results(plain_ones, app_ones)


def _results(plain: Sequence[_Session], app: Sequence[_Session]) -> Iterator[AppResult]:
    cold = [median(session.cold_s for session in side) for side in (plain, app)]
    has_torch = None if app[0].has_torch is None else any(session.has_torch for session in app)
    errors = {visit["page"] for session in app for visit in session.visits if visit["has_error"]}
    yield AppResult(
        "cold start",
        1 / cold[0],
        1 / cold[1],
        cold[0] / cold[1],
        None,
        cold[1],
        None,
        COLD_GOAL_S,
        has_torch,
        "" in errors,
    )
    plain_s = median(session.visits[-1]["seconds"] for session in plain)
    for page in PAGES:
        again = median(seconds for session in app for seconds in session.seconds(page)[1:])
        first = median(session.seconds(page)[0] for session in app)
        yield AppResult(
            page, 1 / plain_s, 1 / again, plain_s / again, None, again, first, SWITCH_GOAL_S, has_torch, page in errors
        )


def _session(script: Path, home: Path, pages: Sequence[str], visits: int = 1) -> _Session:
    """Start a server, visit it, and end it."""
    port = free_port()
    environment = {**os.environ, "DELT_HOME": str(home), "PYTHONPATH": str(PROJECT)}
    environment.pop("DELT_RUNS", None)
    command = [
        sys.executable,
        "-m",
        "streamlit",
        "run",
        str(script),
        f"--server.port={port}",
        "--server.headless=true",
        "--server.address=localhost",
    ]
    began = time.perf_counter()
    process = subprocess.Popen(
        command, cwd=PROJECT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        _wait_for(port, process)
        healthy_s = time.perf_counter() - began
        found = _visits(port, pages, environment)
        for _ in range(visits - 1):
            found += _visits(port, pages, environment)
        return _Session(healthy_s + found[0]["seconds"], tuple(found), _has_torch(process.pid))
    finally:
        process.kill()
        process.wait()


def _visits(port: int, pages: Sequence[str], environment: dict[str, str]) -> list[dict[str, Any]]:
    command = [sys.executable, "-m", "pages.shared.visitor", str(port), *pages]
    done = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RunError(f"app: the server does not answer as a browser needs it ({done.stderr.strip()[-300:]}).")
    return [json.loads(line) for line in done.stdout.splitlines()]


def _wait_for(port: int, process: subprocess.Popen) -> None:
    """Wait until the server answers.

    Raises:
        RunError: it ended, or does not within a minute.
    """
    limit = time.monotonic() + _START_S
    while time.monotonic() < limit and process.poll() is None:
        if _is_healthy(port):
            return
        time.sleep(0.02)
    raise RunError(f"app: the server did not start within {_START_S:.0f} s.")


def _is_healthy(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://localhost:{port}/_stcore/health", timeout=2) as answer:
            return answer.status == 200
    except (urllib.error.URLError, OSError):
        return False


def _has_torch(pid: int) -> bool | None:
    """Return whether a process has loaded torch's library; None where the system does not tell."""
    try:
        return "libtorch" in Path(f"/proc/{pid}/maps").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None


def free_port() -> int:
    """Return a port of this machine for a server that is about to start.

    Between the asking and the server's start somebody else could be given the same one. A connection that was closed
    from this end keeps that from happening: for a minute the system hands its port out to nobody, while a server, which
    asks for it by number and with SO_REUSEADDR, may have it.
    """
    with socket.socket() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # it takes both sides' leave
        listening.bind(("localhost", 0))
        listening.listen(1)
        with socket.create_connection(listening.getsockname()) as caller:
            listening.accept()[0].close()
            caller.recv(1)  # nothing, once the other end is closed
        return listening.getsockname()[1]
