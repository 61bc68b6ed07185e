"""axe looks at every page, light and dark, and finds nothing grave but what Streamlit draws by itself."""

from __future__ import annotations

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from pages.shared.nav import PAGES

STANDARD = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]
OF_STREAMLIT = {
    "list": "stSidebarNav",  # in its menu a <div> stands between the <ul> of all pages and those of a section,
    "listitem": "stSidebarNav",  # so that no <li> of a page has a list around it
}
"""Rules that Streamlit 1.67 breaks by itself, and the test id of where: only there they are let pass."""
STILL = "* { transition: none !important; } [data-stale=true] { opacity: 1 !important; }"
"""A colour on its way to another has no contrast, and neither has what Streamlit pales while a page is drawn anew."""
LIES_IN = "([target, place]) => Boolean(document.querySelector(target).closest(`[data-testid=${place}]`))"


def grave(page: Page, rules: list[str]) -> list[str]:
    """Return what is serious or critical on the page as it is now."""
    found = Axe().run(page, options={"resultTypes": ["violations"], "runOnly": rules}).response["violations"]
    return [
        f"{one['id']}: {node['html'][:200]} {node['failureSummary']}"
        for one in found
        for node in one["nodes"]
        if one["impact"] in ("serious", "critical")
        and not (one["id"] in OF_STREAMLIT and page.evaluate(LIES_IN, [node["target"][0], OF_STREAMLIT[one["id"]]]))
    ]


def look(page: Page) -> list[str]:
    """Look at the page in both themes; in the dark one at its contrasts only, as nothing else is another."""
    expect(page.locator(".stApp[data-test-script-state=notRunning]")).to_be_visible()
    found = grave(page, STANDARD)
    page.emulate_media(color_scheme="dark")
    expect(page.locator(".stApp")).to_have_css("color-scheme", "dark")
    found += grave(page, ["color-contrast"])
    page.emulate_media(color_scheme="light")
    expect(page.locator(".stApp")).to_have_css("color-scheme", "light")
    return found


def test_no_page_has_a_grave_fault_in_light_or_dark(page: Page, studio) -> None:
    page.goto(studio.url)
    page.add_style_tag(content=STILL)
    expect(page.get_by_role("heading", level=1)).to_have_text("DELT Studio")
    expect(page.locator(".stApp[data-test-script-state=notRunning]")).to_be_visible()  # a page drawn anew has no focus
    for _ in range(3):  # past the link that skips the menu
        page.keyboard.press("Tab")
    expect(page.locator(":focus-visible")).to_have_css("outline", "rgb(18, 144, 138) solid 2px")
    found = {}
    for entry in PAGES:
        page.get_by_test_id("stSidebarNav").get_by_role("link", name=entry.title).click()
        expect(page.get_by_role("heading", level=1)).to_have_text(
            entry.title if entry.name != "start/home" else "DELT Studio"
        )
        found[entry.title] = look(page)
        if entry.name == "explore/gallery":
            wide, narrow = page.viewport_size, {"width": 1024, "height": 768}
            page.set_viewport_size(narrow)  # where a run's name is given a line of its own
            expect(page.locator(".st-key-gallery-run")).to_have_css("width", "720px")
            page.set_viewport_size(wide)
            page.locator("button.cell").nth(1).click()
            expect(page.get_by_role("dialog")).to_be_visible()
            found["An image"] = look(page)
            page.keyboard.press("Escape")
            expect(page.get_by_role("dialog")).to_have_count(0)
    assert {name: faults for name, faults in found.items() if faults} == {}
