"""Hold many sessions on one server, as browsers do it, and say how it bears them; no test, a command of its own:

    python tests/e2e/hold_sessions.py --sessions 20 --minutes 5
    python tests/e2e/hold_sessions.py --pages                      # one visitor, the time of every page

A session is a WebSocket that speaks Streamlit's protocol: it asks for pages with a few seconds between, lets fragments
run again when the server says so, and loads the pictures that a page names, all as the browser's front end does; the
browser itself, which would take more than the server, is left out. The server's home holds a run of 50,000 images in
1,000 classes, 500 runs in the list, and a run that is at work. A page is timed from the question until its script has
ended.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import connect

from delt_engine.bench.app import free_port
from delt_engine.bench.harness import start
from delt_engine.bench.large_run import make_large_run
from delt_engine.models.processor import this_machine
from delt_engine.paths import PROJECT

LARGE, SMALL = "20260101-000000-large", "20260102-000000-small"
VISITS = {
    "home": "",
    "gallery": f"run={LARGE}",
    "early_late": f"run={LARGE}",
    "diversity": f"run={LARGE}",
    "accuracy": "",
    "recover": "run=live",
    "runs": "",
    "papers": "",
    "patches": "",
    "data_and_teachers": "",
}
WEIGHTS = {"gallery": 4, "recover": 4, "early_late": 2, "diversity": 2, "accuracy": 2}
THINK_S = (2.0, 6.0)
PICTURES = re.compile(rb"/strips/[\w./?=&%+,;-]+")
MOST_PICTURES = 8
PATIENCE_S = 120.0


@dataclass
class Seen:
    """What all sessions saw: seconds of each page, what went wrong, how much came."""

    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    errors: list[str] = field(default_factory=list)
    fragments: int = 0
    pictures: int = 0
    picture_s: list[float] = field(default_factory=list)


class Session:
    """One visitor's WebSocket."""

    def __init__(self, port: int, seen: Seen, seed: int) -> None:
        self._port, self._seen, self._draw = port, seen, random.Random(seed)
        self._done, self._refs = asyncio.Event(), set[bytes]()
        self._where, self._timers = ("", ""), {}

    async def visit(self, pages: list[str], until: float, think: tuple[float, float]) -> None:
        """Go from page to page until a moment of the loop's clock, or once through them where it is 0."""
        async with connect(
            f"ws://localhost:{self._port}/_stcore/stream", subprotocols=["streamlit"], max_size=None, ping_interval=None
        ) as self._socket:
            listening = asyncio.create_task(self._listen())
            try:
                await asyncio.sleep(self._draw.uniform(0, think[1]))
                while pages if until == 0 else time.monotonic() < until:
                    name = pages.pop(0) if until == 0 else self._draw.choice(pages)
                    await self._open(name)
                    await asyncio.sleep(self._draw.uniform(*think))
            finally:
                for timer in self._timers.values():
                    timer.cancel()
                listening.cancel()

    async def _open(self, name: str) -> None:
        self._where, self._refs = (name, VISITS[name]), set()
        self._done.clear()
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        began = time.monotonic()
        await self._ask()
        try:
            await asyncio.wait_for(self._done.wait(), PATIENCE_S)
        except TimeoutError:
            self._seen.errors.append(f"{name}: nothing within {PATIENCE_S:.0f} s")
            return
        self._seen.seconds[name].append(time.monotonic() - began)
        chosen = self._draw.sample(sorted(self._refs), min(MOST_PICTURES, len(self._refs)))
        await asyncio.gather(*(asyncio.to_thread(self._load, one.decode()) for one in chosen))

    async def _ask(self, fragment: str = "") -> None:
        said = BackMsg()
        name, said.rerun_script.query_string = self._where
        said.rerun_script.page_name = "" if name == "home" else name
        said.rerun_script.fragment_id, said.rerun_script.is_auto_rerun = fragment, bool(fragment)
        await self._socket.send(said.SerializeToString())

    async def _listen(self) -> None:
        async for data in self._socket:
            message = ForwardMsg()
            message.ParseFromString(data)
            what = message.WhichOneof("type")
            if what == "script_finished":
                self._seen.fragments += message.script_finished == ForwardMsg.FINISHED_FRAGMENT_RUN_SUCCESSFULLY
                if message.script_finished == ForwardMsg.FINISHED_WITH_COMPILE_ERROR:
                    self._seen.errors.append(f"{self._where[0]}: the script cannot be compiled")
                if message.script_finished != ForwardMsg.FINISHED_FRAGMENT_RUN_SUCCESSFULLY:
                    self._done.set()
            elif what == "delta":
                self._look(message, data)
            elif what == "auto_rerun":
                one = message.auto_rerun
                self._stop([one.fragment_id])
                self._timers[one.fragment_id] = asyncio.create_task(self._again(one.fragment_id, one.interval))
            elif what == "stop_auto_rerun":
                self._stop(message.stop_auto_rerun.fragment_ids)
            elif what == "page_not_found":
                self._seen.errors.append(f"{self._where[0]}: no such page")

    def _look(self, message: ForwardMsg, data: bytes) -> None:
        if message.delta.new_element.WhichOneof("type") == "exception":
            error = message.delta.new_element.exception
            self._seen.errors.append(f"{self._where[0]}: {error.type}: {error.message[:200]}")
        self._refs.update(PICTURES.findall(data))

    def _stop(self, fragments: Any) -> None:
        for fragment in fragments:
            if fragment in self._timers:
                self._timers.pop(fragment).cancel()

    async def _again(self, fragment: str, interval: float) -> None:
        while True:
            await asyncio.sleep(max(0.1, interval))
            await self._ask(fragment)

    def _load(self, path: str) -> None:
        began = time.monotonic()
        try:
            with urllib.request.urlopen(f"http://localhost:{self._port}{path}", timeout=PATIENCE_S) as answer:
                answer.read()
        except OSError as error:
            self._seen.errors.append(f"picture {urllib.parse.unquote(path)[:120]}: {error}")
            return
        self._seen.pictures += 1
        self._seen.picture_s.append(time.monotonic() - began)


def make_home(home: Path, runs: int, classes: int) -> None:
    """Fill a user's home with a large run and many small ones."""
    make_large_run(home / "runs" / LARGE, num_classes=classes)
    for number in range(runs):
        make_large_run(home / "runs" / f"202512{1 + number % 28:02d}-{number:06d}-small", num_classes=2, ipc=2)


def start_live(home: Path) -> subprocess.Popen:
    """Start a run that is at work as long as anybody looks."""
    words = ["--dataset", "digits", "--ipc", "2", "--mi", "1000000", "--ri", "500000", "--device", "cpu", "--quiet"]
    made = start(
        ["delt_engine", "recover", *words, "--out", home / "runs" / "live"],
        DELT_HOME=str(home),
        OMP_NUM_THREADS="1",
        DELT_RUNS="",
    )
    psutil.Process(made.pid).nice(19)
    return made


def start_server(home: Path, port: int, script: Path = PROJECT / "app.py") -> subprocess.Popen:
    """Start the app and wait until it answers."""
    flags = [f"--server.port={port}", "--server.headless=true", "--server.address=localhost"]
    log = (home / "server.log").open("ab")
    server = start(["streamlit", "run", script, *flags], errors=log, DELT_HOME=str(home), DELT_RUNS="")
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until and server.poll() is None:
        try:
            urllib.request.urlopen(f"http://localhost:{port}/_stcore/health", timeout=2).close()
        except OSError:
            time.sleep(0.1)
        else:
            return server
    raise SystemExit(f"the server did not start: {(home / 'server.log').read_text()[-500:]}")


async def hold(port: int, sessions: int, seconds: float, server: int) -> tuple[Seen, list[tuple[float, int, int]]]:
    """Hold the sessions; return what they saw, and (second, bytes, open files) of the server every few seconds."""
    seen, began, memory = Seen(), time.monotonic(), []
    pages = [name for name in VISITS for _ in range(WEIGHTS.get(name, 1))]
    visitors = [
        asyncio.create_task(Session(port, seen, number).visit(list(pages), began + seconds, THINK_S))
        for number in range(sessions)
    ]
    process = psutil.Process(server)
    while not all(one.done() for one in visitors):
        memory.append((time.monotonic() - began, process.memory_info().rss, process.num_fds()))
        await asyncio.wait(visitors, timeout=5)
    seen.errors += [f"session: {one.exception()!r}" for one in visitors if one.exception()]
    return seen, memory


def p95(seconds: list[float]) -> float:
    """Return the 95th percentile."""
    return sorted(seconds)[min(len(seconds) - 1, int(0.95 * len(seconds)))]


def said(seen: Seen) -> dict[str, Any]:
    """Return what the sessions saw as plain values."""
    every = [second for one in seen.seconds.values() for second in one]
    pages = {
        name: {"visits": len(one), "median_s": round(statistics.median(one), 3), "p95_s": round(p95(one), 3)}
        for name, one in sorted(seen.seconds.items())
    }
    return {
        "pages": pages,
        "visits": len(every),
        "median_s": round(statistics.median(every), 3),
        "p95_s": round(p95(every), 3),
        "fragments": seen.fragments,
        "pictures": seen.pictures,
        "picture_p95_s": round(p95(seen.picture_s), 3) if seen.picture_s else None,
        "errors": len(seen.errors),
        "first_errors": sorted(set(seen.errors))[:5],
    }


def main() -> None:
    """Make a home, start the server, hold the sessions, and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sessions", type=int, default=20)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--runs", type=int, default=500, help="small runs in the list")
    parser.add_argument("--classes", type=int, default=1000, help="of the large run, 50 images each")
    parser.add_argument("--no-live", action="store_true", help="without a run at work")
    parser.add_argument("--pages", action="store_true", help="one visitor, every page three times")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="delt-load-") as name:
        home, port, processes = Path(name), free_port(), []
        make_home(home, given.runs, given.classes)
        before = os.getloadavg()[0]
        if given.no_live:
            VISITS["recover"] = ""
        else:
            processes.append(start_live(home))
        server = start_server(home, port)
        processes.append(server)
        try:
            result = _measured(given, port, server)
        finally:
            for one in processes:
                one.kill()
                one.wait()
        result |= {"load_average_before": round(before, 1), "machine": this_machine()}
    json.dump(result, sys.stdout, indent=1)
    sys.stdout.write("\n")


def _measured(given: argparse.Namespace, port: int, server: subprocess.Popen) -> dict[str, Any]:
    if given.pages:
        seen = Seen()
        asyncio.run(Session(port, seen, 0).visit(list(VISITS) * 3, 0, (0.2, 0.4)))
        every = {name: [round(second, 3) for second in one] for name, one in seen.seconds.items()}
        return {"runs": given.runs, "images": 50 * given.classes, "seconds": every, **said(seen)}
    seen, memory = asyncio.run(hold(port, given.sessions, 60 * given.minutes, server.pid))
    first = next((one for one in memory if one[0] >= 60), memory[-1])
    return {
        "sessions": given.sessions,
        "minutes": given.minutes,
        "runs": given.runs,
        "images": 50 * given.classes,
        "memory_after_first_minute_mb": round(first[1] / 1e6),
        "memory_at_end_mb": round(memory[-1][1] / 1e6),
        "memory_most_mb": round(max(one[1] for one in memory) / 1e6),
        "open_files_at_end": memory[-1][2],
        **said(seen),
    }


if __name__ == "__main__":
    main()
