"""Accuracy in a real browser: students are trained and stopped from the page, and figures and tables come down."""

from __future__ import annotations

import io
import re

import pytest
from fake_runs import fake_experiment, make_evaluation, make_finished_run
from PIL import Image
from playwright.sync_api import Page, expect

from delt_engine.jobs.evaluations import Evaluation
from pages.shared.accuracy.data import setup_of


@pytest.fixture(scope="module", autouse=True)
def data(studio) -> str:
    """Two methods with students of three seeds each, on data of their own; return what the address calls that."""
    for name, method, top1 in (("a", "delt", (60.0, 62.0, 64.0)), ("b", "cda", (50.0, 51.0, 55.0))):
        run = make_finished_run(studio.home / "runs" / f"20260101-000000-{name}", fake_experiment(method, 10))
        made = make_evaluation(studio.home / "runs" / f"20260102-000000-{name}", run, top1)
    return setup_of(Evaluation(made, made.record().result)).data


def test_figures_and_tables_come_down(page: Page, studio, data, saved) -> None:
    page.goto(f"{studio.url}/accuracy?dataset={data}")
    expect(page.locator(".js-plotly-plot .bars path").first).to_be_visible()

    def of(name: str) -> tuple[str, bytes]:
        found = saved(page.get_by_role("button", name=name, exact=True).first)
        return found.suggested_filename, found.path().read_bytes()

    name, content = of("PNG")
    assert name == "accuracy-bars.png"
    assert Image.open(io.BytesIO(content)).width > 1500  # three times its size on the screen
    for kind, words in (
        ("SVG", "62.0"),
        ("CSV", "method_title,ipc,top1_last,top1_last_std"),
        ("LaTeX", r"62.0 $\pm$ 2.0"),
        ("Markdown", "| 62.0 ± 2.0 |"),
    ):
        assert words in of(kind)[1].decode()


def test_students_are_trained_and_stopped_from_the_page(page: Page, studio) -> None:
    page.goto(f"{studio.url}/accuracy?run=photos-delt")  # as the run's own page leads here
    epochs = page.get_by_role("spinbutton", name="Epochs")
    epochs.fill("200")
    epochs.press("Enter")
    expect(page.get_by_text("delt evaluate photos-delt --epochs 200").first).to_be_visible()
    page.get_by_role("button", name="Train students").click()
    expect(page.get_by_role("button", name="Pause").last).to_be_visible()
    main = page.get_by_test_id("stMain")
    expect(main.get_by_text(re.compile(r"epoch \d+ of 200", re.IGNORECASE))).to_be_visible()
    main.get_by_role("button", name="Stop").click()
    expect(main.get_by_role("button", name="Stop")).to_have_count(0)
    expect(main.locator(".js-plotly-plot .bars path").first).to_be_visible()
