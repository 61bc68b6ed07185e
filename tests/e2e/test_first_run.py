"""What a first-time user does, in a real browser with the real engine: start, watch, reload, finish, browse."""

from __future__ import annotations

import json
import re
from pathlib import Path

from playwright.sync_api import Page, expect


def pixels(page: Page, place: int = 0) -> str:
    """Return what one image on screen looks like, as a data URL."""
    return page.locator(".delt canvas").nth(place).evaluate("canvas => canvas.toDataURL()")


def wait_for_other_pixels(page: Page, before: str, place: int = 0) -> None:
    page.wait_for_function(
        """([before, place]) => {
            const hosts = [...document.querySelectorAll('*')].filter(e => e.shadowRoot?.querySelector('.delt'));
            const canvas = hosts.flatMap(e => [...e.shadowRoot.querySelectorAll('canvas')])[place];
            return canvas && canvas.toDataURL() !== before;
        }""",
        arg=[before, place],
    )


def expect_status(page: Page, status: str) -> None:
    expect(page.locator(".stMarkdownBadge", has_text=status)).to_be_visible()


def press(page: Page, name: str) -> None:
    """Press a button of the page itself once that is drawn; the strip in the sidebar has one of the same name."""
    expect(page.locator(".stApp[data-test-script-state=notRunning]")).to_be_visible()
    page.get_by_test_id("stMain").get_by_role("button", name=name).click()


def run_id(page: Page) -> str:
    return re.search(r"run=([\w-]+)", page.url).group(1)


def record(studio, run: str) -> dict:
    return json.loads((Path(studio.home) / "runs" / run / "run.json").read_text())


def test_from_the_first_button_to_the_gallery(page: Page, studio) -> None:
    page.goto(studio.url)
    expect(page.get_by_role("heading", name="DELT Studio")).to_be_visible()
    page.get_by_role("radio", name="Tiny").click()
    expect(page.get_by_text("4 images per class, MI 40, RI 10")).to_be_visible()
    page.get_by_role("button", name="Start a run").click()
    expect(page).to_have_url(re.compile(r"/recover\?run=\d{8}"))

    # Ten classes of four images come on screen, and change.
    expect(page.locator(".delt canvas")).to_have_count(40)
    started_as = pixels(page)
    wait_for_other_pixels(page, started_as)

    # A reload brings the same run back; it ends by itself.
    run = run_id(page)
    page.reload()
    expect(page.get_by_text(re.compile("DELT · IPC 4 · MI 40 / RI 10")).first).to_be_visible()
    assert run_id(page) == run
    expect_status(page, "finished")
    expect(page.locator(".delt .now span")).to_have_text(
        ["After 40 of 40 iterations"]
    )  # a list waits for old ones to go
    expect(page.get_by_text("Running and queued")).to_have_count(0)
    assert record(studio, run)["status"] == "finished"

    # The gallery opens on it; one slider moves every image, and the address keeps the round.
    page.get_by_role("button", name="Open in gallery").click()
    expect(page.get_by_role("heading", name="Gallery")).to_be_visible()
    expect(page.locator(".delt canvas")).to_have_count(5)  # the class's first patch, then its images
    expect(page.locator(".delt").first).to_have_attribute("data-frame", "4")
    late_at_end, early_at_end = pixels(page, 4), pixels(page, 1)
    slider = page.get_by_role("slider", name="Round")
    slider.focus()
    slider.press("ArrowLeft")
    expect(page).to_have_url(re.compile("round=3"))
    wait_for_other_pixels(page, late_at_end, 4)
    wait_for_other_pixels(page, early_at_end, 1)
    slider.press("Home")
    expect(page).to_have_url(re.compile("round=0"))
    expect(page.locator(".delt .now span").first).to_have_text("Before the first iteration")

    # A link opens the same view, with one image in detail.
    page.reload()
    expect(page.locator(".delt").first).to_have_attribute("data-frame", "0")
    page.get_by_role("button", name=re.compile("image 1: joins in round 1")).click()
    expect(page.get_by_role("heading", name=re.compile("image 1"))).to_be_visible()
    expect(page).to_have_url(re.compile("img=1"))
    expect(page.get_by_text("Where it started")).to_be_visible()


def test_a_run_outlives_its_server_and_can_be_stopped(page: Page, studio) -> None:
    page.goto(f"{studio.url}/recover")
    for label, number in {"IPC": 2, "RI": 5000, "MI": 50000}.items():  # no machine is done with that in between
        box = page.get_by_role("spinbutton", name=re.compile(label))
        box.fill(str(number))
        box.press("Enter")
        expect(page.locator("code").first).to_contain_text(str(number))
    page.get_by_role("button", name="Start this run").click()
    expect(page).to_have_url(re.compile(r"run=\d{8}"))
    run = run_id(page)
    expect(page.locator(".delt canvas")).to_have_count(20)
    wait_for_other_pixels(page, pixels(page))
    process = record(studio, run)["process"]["pid"]

    # The server is killed; the run goes on, and its link opens it on the next server at once.
    studio.stop()
    assert Path(f"/proc/{process}").exists() or record(studio, run)["status"] == "running"
    studio.start()
    page.goto(f"{studio.url}/recover?run={run}")
    expect_status(page, "running")
    expect(page.get_by_text("Page not found")).to_have_count(0)
    wait_for_other_pixels(page, pixels(page))

    # Pause, go on, stop: each happens within seconds and leaves something to look at.
    press(page, "Pause")
    expect_status(page, "paused")
    press(page, "Resume")
    expect_status(page, "running")
    press(page, "Stop")
    expect_status(page, "cancelled")
    expect(page.get_by_text("Running and queued")).to_have_count(0)  # the page has been drawn anew by then
    assert record(studio, run)["status"] == "cancelled"
    page.get_by_role("button", name="Open in gallery").click()
    expect(page.get_by_role("heading", name="Gallery")).to_be_visible()
    expect(page.locator(".delt canvas")).to_have_count(3)
