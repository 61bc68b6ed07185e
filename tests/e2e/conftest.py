"""A real server with a home of its own, and a real browser that looks at it."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from playwright.sync_api import Browser, Download, Locator, Page, expect, sync_playwright
from waiting import PATIENCE_S, wait_for

from delt_engine.bench.app import free_port

ROOT = Path(__file__).resolve().parents[2]
BROWSER_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
PATIENCE_MS = 1000 * PATIENCE_S
expect.set_options(timeout=PATIENCE_MS)


def browser_path() -> str:
    """Return the browser to drive: DELT_CHROMIUM, or one on the path."""
    named = os.environ.get("DELT_CHROMIUM")
    found = named or next(filter(None, map(shutil.which, BROWSER_NAMES)), None)
    if not found or not Path(found).exists():
        pytest.fail(
            f"No browser: {named or 'none of ' + ', '.join(BROWSER_NAMES)} is there. Install chromium, or name one in "
            "the environment variable DELT_CHROMIUM."
        )
    return found


@dataclass
class Studio:
    """A running server: its address, its user's home, and how to stop and start it again."""

    home: Path
    port: int
    process: subprocess.Popen | None = None
    options: tuple[str, ...] = ()

    @property
    def url(self) -> str:
        return f"http://localhost:{self.port}"

    @property
    def runs(self) -> list[Path]:
        return sorted((self.home / "runs").glob("*/run.json"))

    def start(self) -> None:
        log = (self.home / "server.log").open("ab")
        options = ["--server.headless=true", f"--server.port={self.port}", "--server.address=localhost", *self.options]
        command = [sys.executable, "-m", "streamlit", "run", "app.py", *options]
        environment = {**os.environ, "DELT_HOME": str(self.home)}
        environment.pop("DELT_RUNS", None)
        self.process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
        wait_for(self._answers)

    def stop(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def _answers(self) -> bool:
        assert self.process.poll() is None, (self.home / "server.log").read_text()[-2000:]
        try:
            with urllib.request.urlopen(f"{self.url}/_stcore/health", timeout=2) as answer:
                return answer.status == 200
        except (urllib.error.URLError, OSError):
            return False


@pytest.fixture(scope="module")
def studio(tmp_path_factory) -> Iterator[Studio]:
    made = Studio(tmp_path_factory.mktemp("home"), free_port())
    made.start()
    yield made
    made.stop()
    for process in psutil.process_iter(["cmdline"]):  # runs outlive the server; those of this home end here
        if any(str(made.home) in word for word in process.info["cmdline"] or ()):
            with contextlib.suppress(psutil.NoSuchProcess):  # it has just ended by itself
                process.kill()


@pytest.fixture(scope="session")
def studio_class() -> type[Studio]:
    """For servers with other options."""
    return Studio


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=browser_path(), args=arguments)
        yield launched
        launched.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A window whose page must raise no error of its own."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(PATIENCE_MS)
    opened = context.new_page()
    errors: list[str] = []
    opened.on("pageerror", lambda error: errors.append(str(error)))
    yield opened
    context.close()
    assert not errors


@pytest.fixture
def saved(page: Page) -> Callable[[Locator], Download]:
    """Press what saves a file, and return the file."""

    def save(pressed: Locator) -> Download:
        with page.expect_download() as started:
            pressed.click()
        return started.value

    return save
