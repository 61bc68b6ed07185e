"""The papers' tables in a real browser: a cell is chosen by click, and reached by the arrow keys."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect


def test_a_cell_of_a_wide_table_is_chosen_and_kept_in_the_address(page: Page, studio) -> None:
    page.goto(f"{studio.url}/papers?table=cda-18&scale=paper")
    table = page.locator(".printed")
    expect(table.get_by_role("columnheader", name="Milestone")).to_be_visible()
    expect(table.locator("button.number")).to_have_count(30)
    table.get_by_role("button", name="48.05").click()
    expect(page.get_by_role("heading", name="CDA Table 18, Cosine, 1.0")).to_be_visible()
    expect(page).to_have_url(re.compile(r"cell=cosine(%2C|,)1\.0"))
    page.keyboard.press("ArrowUp")
    expect(table.get_by_role("button", name="47.78")).to_be_focused()
    page.reload()
    expect(table.locator("button[aria-pressed=true]")).to_contain_text("48.05")
