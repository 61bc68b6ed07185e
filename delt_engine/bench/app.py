"""Measure the app: how soon it is there after a cold start, and how long its pages' scripts take with a large run.

A server is started as a person would start it, in a home of its own that holds a run of 50,000 images, and Chromium
opens it and goes from page to page. In turns with it starts the smallest Streamlit script that shows anything, so what
is Streamlit's own shows. A page is timed from the moment it is asked for until the browser has shown what its script
gave; the cold start goes from the server's start and includes the browser's loading of Streamlit's front end.

Figures: ``seconds``, the app's, median of the rounds; ``first_seconds``, of the first visit of a page, which fills
caches (None of a cold start); ``goal_seconds``, what it should stay below, and ``meets_goal``; ``has_torch``, whether
the server's process had loaded torch (None where that cannot be seen); ``has_error``, whether a page showed an error.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from delt_engine.bench.harness import Measured, Report, start
from delt_engine.bench.large_run import make_large_run
from delt_engine.errors import RunError
from delt_engine.paths import studio_dir

if TYPE_CHECKING:
    from playwright.sync_api import Browser

COLD_GOAL_S, SWITCH_GOAL_S = 4.0, 0.5
PAGES = ("data_and_teachers", "patches", "recover", "gallery", "early_late", "diversity", "accuracy", "runs")
OF_RUNS = ("gallery", "early_late", "diversity")
"""Pages that show a run, which their address names."""

RUN = "20260101-000000-large"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
_ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
_PLAIN = 'import time\n\nimport streamlit as st\n\nst.title("Hello")\nst.write(time.time_ns())\n'
_START_S = 30.0

_GO = """(address) => new Promise((resolve) => {
  const app = document.querySelector('[data-testid="stApp"]');
  const isSame = new URL(address, location).pathname === location.pathname;
  const shown = () => document.querySelector(isSame ? '[data-testid="stMain"]' : 'h1')?.innerText;
  const began = performance.now(), before = shown();
  new MutationObserver((_, observer) => {
    const rests = app.getAttribute('data-test-script-state') === 'notRunning';
    const now = shown();
    if (rests && now && now !== before) { observer.disconnect(); resolve((performance.now() - began) / 1000); }
  }).observe(document, {attributes: true, childList: true, characterData: true, subtree: true});
  history.pushState({}, '', address);
  dispatchEvent(new PopStateEvent('popstate'));
})"""
"""Go to a page as the browser's back button does, without loading the front end again; return the seconds.

The new page is there once its heading is (of the same page, another text) and no script runs.
"""


@dataclass(frozen=True)
class Visit:
    """How long a page took, and whether it showed an error; the first page's name is empty."""

    page: str
    seconds: float
    has_error: bool


@dataclass(frozen=True)
class Session:
    """One server's life: seconds until its first page was shown, visits, and whether torch was loaded."""

    cold_s: float
    visits: tuple[Visit, ...]
    has_torch: bool | None

    def seconds(self, page: str) -> list[float]:
        """Return the seconds of each visit of a page."""
        return [visit.seconds for visit in self.visits if visit.page == page]


def bench_app(*, quick: bool, rounds: int, report: Report | None = None) -> Iterator[Measured]:
    """Measure the app; ``quick`` means a run of 100 classes and a visit less to each page.

    Raises:
        RunError: playwright or the browser is not there, or a server does not start.
    """
    with tempfile.TemporaryDirectory(prefix="delt-bench-") as name, opened_browser() as browser:
        folder = Path(name)
        script = folder / "plain.py"
        script.write_text(_PLAIN, encoding="utf-8")
        make_large_run(folder / "runs" / RUN, num_classes=100 if quick else 1000)
        pages = [f"{page}?run={RUN}" if page in OF_RUNS else page for page in PAGES] * (2 if quick else 3)
        plain, app = [], []
        for number in range(rounds):
            if report:
                report("start servers", 2 * number, 2 * rounds)
            plain.append(session(browser, script, folder, [""]))
            app.append(session(browser, studio_dir() / "app.py", folder, pages))
        yield from results(plain, app)


def results(plain: Sequence[Session], app: Sequence[Session]) -> Iterator[Measured]:
    """Yield the result of the cold start, then those of the pages."""
    has_torch = None if app[0].has_torch is None else any(each.has_torch for each in app)
    errors = {visit.page for each in app for visit in each.visits if visit.has_error}

    def result(case: str, plain_s: float, seconds: float, first_s: float | None, goal_s: float, page: str) -> Measured:
        figures = {
            "seconds": seconds,
            "first_seconds": first_s,
            "goal_seconds": goal_s,
            "has_torch": has_torch,
            "has_error": page in errors,
            "meets_goal": seconds < goal_s,
        }
        return Measured(case, case, "cpu", 1, 1 / plain_s, 1 / seconds, plain_s / seconds, None, figures)

    cold_s = [median(each.cold_s for each in side) for side in (plain, app)]
    yield result("cold start", cold_s[0], cold_s[1], None, COLD_GOAL_S, "")
    plain_s = median(each.visits[-1].seconds for each in plain)
    for page in PAGES:
        again = median(seconds for each in app for seconds in each.seconds(page)[1:])
        first = median(each.seconds(page)[0] for each in app)
        yield result(page, plain_s, again, first, SWITCH_GOAL_S, page)


@contextlib.contextmanager
def opened_browser() -> Iterator[Browser]:
    """Open Chromium: the one that the environment variable DELT_CHROMIUM names, or one on the path.

    Raises:
        RunError: playwright or the browser is not there.
    """
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        raise RunError("app: playwright is needed to measure it; install it with pip install playwright.") from None
    path = os.environ.get("DELT_CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)), None)
    if not path or not Path(path).exists():
        raise RunError(
            f"app: a browser is needed to measure it, but there is {path or 'none of ' + ', '.join(BROWSERS)}; install "
            "chromium, or name one in the environment variable DELT_CHROMIUM."
        )
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=_ARGUMENTS)
        yield browser
        browser.close()


def session(browser: Browser, script: Path, home: Path, pages: Sequence[str]) -> Session:
    """Start a server with a home of its own, open its first page and then others in turn, and end it.

    Args:
        pages: addresses, as ``gallery`` or ``gallery?run=...``.

    Raises:
        RunError: the server does not start.
    """
    port = free_port()
    url, began = f"http://localhost:{port}", time.perf_counter()
    flags = [f"--server.port={port}", "--server.headless=true", "--server.address=localhost"]
    process = start(["streamlit", "run", script, *flags], DELT_HOME=str(home), DELT_RUNS="")
    window = browser.new_context(viewport={"width": 1280, "height": 900})
    try:
        while not _answers(url):
            if time.perf_counter() - began > _START_S or process.poll() is not None:
                raise RunError(f"app: the server did not start within {_START_S:.0f} s.")
            time.sleep(0.02)
        page = window.new_page()
        page.set_default_timeout(1000 * _START_S)
        healthy = time.perf_counter()
        page.goto(url)
        page.locator('[data-testid="stApp"][data-test-script-state="notRunning"]').wait_for()
        page.get_by_test_id("stMain").locator("h1, h2, h3, p").first.wait_for()
        cold_s = time.perf_counter() - began

        def shows_error() -> bool:
            return page.get_by_test_id("stException").count() > 0

        visits = [Visit("", cold_s - (healthy - began), shows_error())]
        for address in pages:
            seconds = page.evaluate(_GO, f"/{address}")
            visits.append(Visit(address.partition("?")[0], seconds, shows_error()))
        has_torch = None
        with contextlib.suppress(OSError):
            has_torch = "libtorch" in Path(f"/proc/{process.pid}/maps").read_text(encoding="utf-8", errors="replace")
        return Session(cold_s, tuple(visits), has_torch)
    finally:
        window.close()
        process.kill()
        process.wait()


def _answers(url: str) -> bool:
    try:
        urllib.request.urlopen(f"{url}/_stcore/health", timeout=2).close()
    except OSError:  # as every error of urllib is
        return False
    return True


def free_port() -> int:
    """Return a port of this machine for a server that is about to start.

    Between the asking and the server's start somebody else could be given the same one. A connection that was closed
    from this end keeps that from happening: for a minute the system hands its port out to nobody, while a server, which
    asks for it by number and with SO_REUSEADDR, may have it.
    """
    with socket.socket() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # both sides have to allow it
        listening.bind(("localhost", 0))
        listening.listen(1)
        with socket.create_connection(listening.getsockname()) as caller:
            listening.accept()[0].close()
            caller.recv(1)  # nothing, once the other end is closed
        return listening.getsockname()[1]
