"""A run repeated with changes, in a real browser: MI and RI typed one after the other, then both runs side by side."""

from __future__ import annotations

import json
import re

from playwright.sync_api import Page, expect


def type_number(page: Page, label: str, number: int) -> None:
    box = page.get_by_role("spinbutton", name=re.compile(label))
    box.fill(str(number))
    box.press("Enter")


def test_a_rerun_stands_beside_the_run_it_repeats(page: Page, studio) -> None:
    page.goto(f"{studio.url}/recover?run=photos-delt")
    page.get_by_role("button", name="Rerun with changes").click()
    expect(page.get_by_text("Nothing is changed yet")).to_be_visible()
    type_number(page, "RI", 20)
    type_number(page, "MI", 40)
    type_number(page, "IPC", 2)
    expect(page.locator("code").first).to_contain_text("--ipc 2 --mi 40 --ri 20")
    expect(page.get_by_role("spinbutton", name=re.compile("MI"))).to_have_value("40")
    expect(page.locator(".stMarkdownBadge", has_text="Round iterations (RI): 125 → 20")).to_be_visible()

    page.get_by_role("button", name="Start this run").click()
    expect(page).to_have_url(re.compile(r"run=\d{8}"))
    expect(page.get_by_text("Beside the run it repeats")).to_be_visible()
    expect(page.get_by_text("Repeats photos-delt with")).to_be_visible()
    expect(page.locator(".stMarkdownBadge", has_text="finished")).to_be_visible()
    expect(page.locator(".delt .row", has_text="the run it repeats")).to_have_count(5)
    run = re.search(r"run=([\w-]+)", page.url).group(1)
    record = json.loads((studio.home / "runs" / run / "run.json").read_text())
    settings = record["experiment"]["recover"]
    assert (settings["ipc"], settings["iterations"], settings["round_iterations"]) == (2, 40, 20)
