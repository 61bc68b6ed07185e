"""A run repeated with changes, in a real browser: MI and RI typed one after the other, then both runs side by side."""

from __future__ import annotations

import json
import re

from playwright.sync_api import Page, expect


def type_number(page: Page, label: str, number: int) -> None:
    box = page.get_by_role("spinbutton", name=re.compile(label))
    box.fill(str(number))
    box.press("Enter")


def test_a_run_is_repeated_on_its_own_page_and_stands_beside_the_new_one(page: Page, studio) -> None:
    page.goto(f"{studio.url}/recover?run=photos-delt")
    expect(page.get_by_role("button", name="Rerun", exact=True)).to_be_disabled()
    type_number(page, "RI", 20)
    type_number(page, "MI", 50)  # before the answer to the first
    expect(page.get_by_text("RI set to 25 so that it divides MI 50.")).to_be_visible()
    expect(page.get_by_role("spinbutton", name=re.compile("RI"))).to_have_value("25")
    slider = page.get_by_role("slider", name=re.compile("MI"))
    slider.focus()
    slider.press("ArrowLeft")
    expect(page.get_by_role("spinbutton", name=re.compile("MI"))).to_have_value("40")
    expect(page.get_by_role("spinbutton", name=re.compile("RI"))).to_have_value("20")
    expect(page.get_by_text("was 36.3 %")).to_be_visible()

    page.get_by_role("button", name="Rerun", exact=True).click()
    expect(page).to_have_url(re.compile(r"run=\d{8}"))
    expect(page.get_by_role("heading", name="MI 40 / RI 20")).to_be_visible()
    expect(page.locator(".stMarkdownBadge", has_text="finished")).to_be_visible()
    expect(page.get_by_text("the run it repeats").first).to_be_visible()
    run = re.search(r"run=([\w-]+)", page.url).group(1)
    record = json.loads((studio.home / "runs" / run / "run.json").read_text())
    settings = record["experiment"]["recover"]
    assert (settings["ipc"], settings["iterations"], settings["round_iterations"]) == (10, 40, 20)
