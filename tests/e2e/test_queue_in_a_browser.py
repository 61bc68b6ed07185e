"""Two runs on one device, seen in a real browser: one works, one waits; a reload and a second tab change nothing."""

from __future__ import annotations

import re
import time
from pathlib import Path

import psutil
from playwright.sync_api import Page, expect
from waiting import said_after, wait_for

from delt_engine.config.presets import GLANCE
from delt_engine.jobs import start

STOP_S = 2.0
"""Seconds within which a run stops."""

VIEW_CPU_S = 2.0
"""Seconds of work that a view may cost the server; time on the clock says more about what else the machine does."""


def server_work(studio) -> float:
    spent = psutil.Process(studio.process.pid).cpu_times()
    return spent.user + spent.system


def test_one_works_and_one_waits_in_every_tab(page: Page, studio, monkeypatch) -> None:
    monkeypatch.setenv("DELT_HOME", str(studio.home))
    monkeypatch.delenv("DELT_RUNS", raising=False)
    experiment = GLANCE.experiment()
    long = experiment.replace(recover=experiment.recover.replace(iterations=5000, round_iterations=1000))
    first, second = (start.start(long.replace(seed=seed)) for seed in (0, 1))

    page.goto(f"{studio.url}/recover?run={first.id}")
    strip = page.get_by_test_id("stSidebar")
    expect(strip.get_by_text("1st in the queue")).to_be_visible()
    expect(strip.get_by_text(re.compile(r"Round \d of 5, iteration"))).to_be_visible()
    expect(strip.get_by_text("of memory").first).to_be_visible()
    expect(page.locator(".delt canvas").first).to_be_visible()
    assert second.record().started is None

    # A reload brings the view and the strip back; so does a second tab.
    for opened in (page, page.context.new_page()):
        before = server_work(studio)
        opened.goto(f"{studio.url}/recover?run={first.id}")
        expect(opened.locator(".delt canvas").first).to_be_visible()
        expect(opened.get_by_test_id("stSidebar").get_by_text("1st in the queue")).to_be_visible()
        assert server_work(studio) - before < VIEW_CPU_S

    # Pending and running are stopped from the strip, each within two seconds, and leave what they made.
    for run in (second, first):
        page.locator(f".st-key-strip-stop-{run.id} button").click()
        wait_for(lambda run=run: run.requested() or not run.is_active)  # the press has come through
        asked = time.time()
        wait_for(lambda run=run: run.status == "cancelled")
        assert said_after(run, asked) < STOP_S
    expect(strip.get_by_text("Running and queued")).to_have_count(0)
    assert max(first.rounds_written(0)) >= 1
    assert second.rounds_written(0) == [0]
    assert Path(first.path / "checkpoint").is_dir()
