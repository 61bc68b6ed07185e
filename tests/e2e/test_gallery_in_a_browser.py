"""The gallery as a person uses it: one slider for all images, keys, a choice to download, two runs swiped, links."""

from __future__ import annotations

import io
import re
import zipfile
from pathlib import Path

import pytest
from fake_runs import fake_experiment, make_finished_run
from PIL import Image
from playwright.sync_api import Page, expect

FIRST = 1
"""Place of a class's first image on the page: its patch, beside the name of the class, comes before it."""

KEEP_LABELS = """button => {
    window.labels = [];
    const keep = new MutationObserver(() => window.labels.push(button.textContent));
    keep.observe(button, {childList: true, subtree: true});
}"""
"""Keep what a button says for a moment only, which a busy machine may be too late to see."""


@pytest.fixture(scope="module")
def runs(studio) -> dict:
    folder = Path(studio.home) / "runs"
    return {
        "delt": make_finished_run(folder / "20260101-000000-delt"),
        "cda": make_finished_run(folder / "20260102-000000-cda", fake_experiment("cda")),
    }


def opened(page: Page, studio, run, **query: str) -> None:
    words = "&".join(f"{name}={value}" for name, value in query.items())
    page.goto(f"{studio.url}/gallery?run={run.id}&{words}")
    expect(page.locator(".delt canvas").first).to_be_visible()


def expect_drawn(page: Page, run, class_index: int, round_number: int, index: int, place: int, name: str = "") -> None:
    """Wait until an image on screen is that of a round."""
    wanted = run.snapshot_images(class_index, round_number)[index][5, 3].tolist()
    page.wait_for_function(
        """([selector, place, wanted]) => {
            const roots = [...document.querySelectorAll('*')].filter((e) => e.shadowRoot).map((e) => e.shadowRoot);
            const canvas = roots.flatMap((root) => [...root.querySelectorAll(selector)])[place];
            const found = canvas && [...canvas.getContext('2d').getImageData(3, 5, 1, 1).data].slice(0, 3);
            return found && String(found) === String(wanted);
        }""",
        arg=[f".delt .frame canvas{name or ':not(.over)'}", place, wanted],
    )


def test_one_slider_moves_every_image_by_mouse_keys_and_play(page: Page, studio, runs) -> None:
    run = runs["delt"]
    opened(page, studio, run, cls="cat")
    for index in range(4):
        expect_drawn(page, run, 1, 4, index, FIRST + index)
    page.keyboard.press("ArrowLeft")  # with nothing in focus
    for index in range(4):
        expect_drawn(page, run, 1, 3, index, FIRST + index)
    expect(page).to_have_url(re.compile("round=3"))
    slider = page.get_by_role("slider", name="Round")
    slider.press("Home")
    expect_drawn(page, run, 1, 0, 0, FIRST)
    expect(slider).to_have_attribute("aria-valuetext", "Before the first iteration")
    slider.press(" ")  # plays
    expect(page).to_have_url(re.compile("round=4"))
    expect_drawn(page, run, 1, 4, 3, FIRST + 3)

    # Another class and another order keep the place; a reload brings the same view back.
    slider.press("ArrowLeft")
    expect(page).to_have_url(re.compile("round=3"))
    page.get_by_role("button", name="chevron_right").first.click()
    expect_drawn(page, run, 2, 3, 0, FIRST)
    page.get_by_text("Largest first").click()
    expect_drawn(page, run, 2, 3, 3, FIRST)
    page.reload()
    expect_drawn(page, run, 2, 3, 3, FIRST)


def test_chosen_images_are_downloaded_as_they_are_on_screen(page: Page, studio, runs, saved) -> None:
    run = runs["delt"]
    opened(page, studio, run, cls="cat", round="2")
    expect_drawn(page, run, 1, 2, 0, FIRST)
    expect(page.get_by_text("Choose all shown")).to_be_visible()
    page.get_by_role("checkbox", name=re.compile("Choose cat, image 1")).check()
    page.get_by_role("checkbox", name=re.compile("Choose cat, image 3")).click(modifiers=["Shift"])
    expect(page.get_by_text("3 chosen")).to_be_visible()
    page.get_by_role("checkbox", name=re.compile("Choose cat, image 2")).uncheck()
    archive = zipfile.ZipFile(saved(page.get_by_role("link", name="Download zip")).path())
    pictures = [name for name in archive.namelist() if name.endswith(".png")]
    assert pictures == [f"{run.id}/cat/0000.png", f"{run.id}/cat/0002.png"]
    image = Image.open(io.BytesIO(archive.read(pictures[1])))
    assert image.getpixel((3, 5)) == tuple(run.snapshot_images(1, 2)[2][5, 3])
    page.get_by_role("button", name="Clear").click()
    expect(page.get_by_text("Choose all shown")).to_be_visible()


def test_two_runs_are_swiped_with_mouse_and_key(page: Page, studio, runs) -> None:
    opened(page, studio, runs["delt"], vs=runs["cda"].id, show="swipe")
    expect_drawn(page, runs["delt"], 0, 4, 1, 1)
    expect_drawn(page, runs["cda"], 0, 4, 1, 1, ".over")
    split = page.get_by_role("slider", name="Swipe")
    expect(split).to_have_value("50")
    page.keyboard.press("s")
    expect(split).to_have_value("0")
    page.keyboard.press("s")
    expect(split).to_have_value("100")
    frame = page.locator(".delt .frame").first
    frame.hover(position={"x": frame.bounding_box()["width"] / 4, "y": 40})
    expect(split).to_have_value("25")


def test_the_link_of_an_open_image_opens_it_again_and_its_settings_lead_to_recover(page: Page, studio, runs) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    opened(page, studio, runs["delt"], cls="cat", round="2")
    copy = page.get_by_role("button", name="Copy link")
    copy.evaluate(KEEP_LABELS)
    copy.click()
    page.wait_for_function("() => window.labels.includes('Link copied')")
    assert page.evaluate("navigator.clipboard.readText()") == page.url
    page.get_by_role("button", name=re.compile("^cat, image 2")).click()
    expect(page.get_by_role("heading", name="cat, image 2")).to_be_visible()
    expect(page).to_have_url(re.compile("img=2"))
    link = page.url
    page.goto(link)
    expect(page.get_by_role("heading", name="cat, image 2")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("heading", name="cat, image 2")).to_have_count(0)
    expect(page).not_to_have_url(re.compile("img="))
    page.goto(link)
    page.get_by_role("button", name="Rerun with changes").click()
    expect(page.get_by_role("heading", name="Recover")).to_be_visible()
    expect(page.locator("code").first).to_contain_text("--mi 40 --ri 10")
