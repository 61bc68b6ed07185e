"""The lab as one file, opened from disk without a network: every lesson works, and nothing is asked of anybody."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from delt_engine.lab.material import open_lab
from delt_engine.paths import assets_dir
from delt_engine.pipeline.lab_page import MOST_BYTES, lab_page, write_lab_page
from delt_engine.runs.titles import example_runs


@pytest.fixture(scope="module")
def file(tmp_path_factory) -> Path:
    lab = open_lab(assets_dir() / "lab" / "cifar10-mini")
    return write_lab_page(tmp_path_factory.mktemp("lesson") / "lab.html", lab_page(lab, example_runs()))


@pytest.mark.parametrize(("width", "theme"), [(1280, "light"), (390, "dark")])
def test_every_lesson_works_from_disk(browser: Browser, file: Path, width: int, theme: str) -> None:
    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=theme)
    context.set_offline(True)
    page = context.new_page()
    asked: list[str] = []
    wrong: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    page.goto(file.as_uri())
    assert file.stat().st_size <= MOST_BYTES

    # One patch: the keys move the iteration, and the image with it.
    film = page.locator(".film[data-ready=true]")
    expect(film.locator("canvas")).to_have_count(3)
    page.get_by_role("slider", name="Iteration").focus()
    moved = film.locator("canvas").nth(1)
    before = moved.evaluate("canvas => canvas.toDataURL()")
    page.keyboard.press("PageDown")
    expect(film).to_have_attribute("data-now", "350")
    assert moved.evaluate("canvas => canvas.toDataURL()") != before

    # Twins and what a late image gets; lessons are walked by the keys too, and the iteration stays.
    page.get_by_role("tab", name="1 One patch").focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("heading", name="Early and late twins")).to_be_visible()
    expect(film.locator("canvas")).to_have_count(4)
    expect(film).to_have_attribute("data-now", "350")
    page.get_by_role("button", name="Next: What a late image gets").click()
    expect(page.locator(".chart")).to_have_count(3)
    expect(page.get_by_role("row")).to_have_count(5)
    page.get_by_label("Class").select_option("cat")
    expect(page.get_by_text("cat patch train/")).to_be_visible()

    # Predict, then reveal: nothing before the guess, then one class and all of them.
    page.get_by_role("button", name="Next: Predict, then reveal").click()
    expect(page.locator(".set[data-ready=true]")).to_have_count(3)
    expect(page.locator(".dots")).to_have_count(0)
    page.get_by_role("button", name="CDA's").press("Enter")
    expect(page.locator(".verdict")).to_contain_text("images of cat are more alike")
    expect(page.locator(".dots > div[role=img]")).to_have_count(10)
    expect(page.get_by_text("And inside one DELT run?")).to_be_visible()
    page.reload()
    expect(page.get_by_role("tab", name="4 Predict")).to_have_attribute("aria-selected", "true")
    expect(page.get_by_label("Class")).to_have_value("cat")

    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert {url.split("#")[0] for url in asked if not url.startswith("data:")} == {file.as_uri()}
    assert wrong == []
    context.close()
