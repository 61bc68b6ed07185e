"""What the page tests share: an empty home of their own, runs to look at, and a stand-in for started processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import streamlit as st
from fake_runs import make_finished_run, make_half_done_run
from streamlit.testing.v1 import AppTest

from delt_engine.config import Experiment
from delt_engine.jobs import start as jobs
from delt_engine.jobs import tasks
from delt_engine.runs.record import new_run_path
from delt_engine.runs.store import Run

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT_S = 240


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user without runs, and a project that ships no example; decoded datasets are shared by all tests."""
    monkeypatch.setenv("DELT_RUNS", str(tmp_path / "runs"))
    for module in (
        "delt_engine.analysis.mi_curves",
        "delt_engine.papers.kept",
        "delt_engine.runs.store",
        "delt_engine.runs.titles",
        "pages.shared.cached",
    ):
        monkeypatch.setattr(f"{module}.assets_dir", lambda: tmp_path / "assets")
    st.cache_data.clear()
    st.cache_resource.clear()
    return tmp_path


@pytest.fixture
def finished(home: Path) -> Run:
    return make_finished_run(home / "runs" / "20260101-000000-photos-delt-ipc4-aaaa")


@pytest.fixture
def half_done(home: Path) -> Run:
    """A run that this very process is said to work on."""
    return make_half_done_run(home / "runs" / "20260102-000000-photos-delt-ipc4-bbbb")


@pytest.fixture
def open_page(home: Path) -> Iterator[Callable[..., AppTest]]:
    """Open a page of the app as the browser would: the router first, then the page; none may raise anything."""
    apps = []

    def opened(name: str = "start/home", **query: str) -> AppTest:
        apps.append(app := AppTest.from_file(str(ROOT / "app.py"), default_timeout=TIMEOUT_S))
        app.run()
        for key, value in query.items():
            app.query_params[key] = value
        if name != "start/home":
            app.switch_page(f"pages/{name}.py")
        return app.run()

    yield opened
    assert [entry for app in apps for entry in app.exception] == []


@pytest.fixture
def address() -> Callable[[AppTest], dict[str, str]]:
    """Read the parameters of the page's address."""

    def read(app: AppTest) -> dict[str, str]:
        return {name: value[-1] if isinstance(value, list) else value for name, value in app.query_params.items()}

    return read


@dataclass
class Started:
    """What the pages asked of the jobs."""

    experiments: list[tuple[Experiment, str]] = field(default_factory=list)
    asked: list[tuple[str, str]] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Started:
    """Replace every process by a note of what was asked; a started run stays queued."""
    log = Started()

    def start(experiment: Experiment, run_path: Path | None = None, kind: str = "recover", source: str = "") -> Run:
        run = Run.create(run_path or new_run_path(experiment, kind), experiment, kind, ["delt", kind], source=source)
        if kind == "evaluate":
            log.sources.append(source)
        log.experiments.append((experiment, kind))
        log.runs.append(run)
        return run

    monkeypatch.setattr(jobs, "start", start)
    for deed in ("cancel", "pause", "resume"):
        monkeypatch.setattr(jobs, deed, lambda run, deed=deed: log.asked.append((deed, run.id)))
    monkeypatch.setattr(jobs, "retry", lambda run: log.asked.append(("retry", run.id)) or run)
    return log


@pytest.fixture
def asked(home, monkeypatch) -> list[list[str]]:
    """A home for tasks, and what they were asked for; nothing is started."""
    monkeypatch.setenv("DELT_HOME", str(home))
    words: list[list[str]] = []
    monkeypatch.setattr(tasks, "start", lambda _work, asked, **_how: words.append(asked))
    return words
