"""Early vs late in a real browser: the slider answers at once, keys and play work, links lock, files come down."""

from __future__ import annotations

import io
import re

from PIL import Image
from playwright.sync_api import Page, expect

MOVE = """async (iteration) => {
    const host = [...document.querySelectorAll('*')].find(e => e.shadowRoot?.querySelector('.film'));
    const film = host.shadowRoot.querySelector('.film'), slider = film.querySelector('input');
    const shown = () => [...film.querySelectorAll('canvas')].map(canvas => canvas.toDataURL());
    const before = shown(), began = performance.now();
    slider.value = iteration;
    slider.dispatchEvent(new Event('input', {bubbles: true}));
    const took = performance.now() - began;
    await new Promise(requestAnimationFrame);
    const shownAfter = performance.now() - began, after = shown();
    return {took, shownAfter, now: film.dataset.now, changed: after.map((picture, at) => picture !== before[at])};
}"""
"""Move the slider as a hand would; measure until all is drawn, and until the screen's next frame."""

PLACES = (0, 40, 120, 202, 355, 400, 80, 260)
TURNS = 3
"""Each move is made so often, and its quickest counts: what it needs, without what else the machine does meanwhile."""


def open_lab(page: Page, studio, query: str) -> None:
    page.goto(f"{studio.url}/early_late?src=lab-cifar10-mini&{query}")
    expect(page.locator(".lab[data-ready=true]")).to_be_visible()


def test_every_move_is_answered_at_once_and_without_the_server(page: Page, studio) -> None:
    open_lab(page, studio, "step=2&cls=cat")
    expect(page.locator(".film canvas")).to_have_count(4)
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.evaluate(MOVE, 20)  # the first one also warms the pictures up
    turns = [[page.evaluate(MOVE, iteration) for iteration in PLACES] for _ in range(TURNS)]
    for name in ("took", "shownAfter"):
        needed = [min(move[name] for move in moves) for moves in zip(*turns, strict=True)]
        assert max(needed) < 200, needed
    moves = turns[0]
    assert [move["now"] for move in moves] == [str(place) for place in PLACES]
    # From 0 to 40 only the twin of round 1 moves; from 40 to 120 that of round 3 as well.
    assert moves[1]["changed"] == [True, False, False, False]
    assert moves[2]["changed"] == [True, True, False, False]
    assert moves[4]["changed"] == [True, True, True, True]
    assert not [url for url in requests if "/static/" not in url]  # Streamlit's own code may still be on its way


def test_keys_play_and_the_address(page: Page, studio) -> None:
    open_lab(page, studio, "step=1&cls=horse&it=0")
    film = page.locator(".film")
    expect(film.locator(".now span")).to_have_text("Before the first iteration")
    slider = page.get_by_role("slider", name="Iteration")
    slider.focus()
    for _ in range(3):
        slider.press("ArrowRight")
    expect(film).to_have_attribute("data-now", "20")
    expect(page).to_have_url(re.compile("it=20"))
    page.reload()
    expect(page.locator(".film[data-ready=true]")).to_have_attribute("data-now", "20")
    open_lab(page, studio, "step=1&cls=horse&it=380")
    page.get_by_role("button", name="Play all iterations").click()
    expect(film).to_have_attribute("data-now", "400")
    expect(film.locator("canvas").nth(1)).to_have_attribute("aria-label", re.compile("400 of 400 iterations"))


def test_one_iteration_is_stepped_through_by_keys(page: Page, studio) -> None:
    open_lab(page, studio, "step=5&cls=cat")
    steps = page.locator(".steps")
    expect(steps.locator(".stage h4")).to_have_text("Crop")
    steps.get_by_role("button", name="201 of 400").click()
    steps.get_by_role("button", name="1 Crop").focus()
    for title in ("Forward", "Two loss terms", "Gradient", "Adam's update", "Clip"):
        page.keyboard.press("ArrowRight")
        expect(steps.locator(".stage h4")).to_have_text(title)
    expect(steps.get_by_role("button", name="201 of 400")).to_have_attribute("aria-pressed", "true")
    expect(steps.get_by_role("button", name="Next stage")).to_be_disabled()
    expect(steps.locator("canvas")).to_have_count(3)


def test_a_locked_link_is_locked(page: Page, studio) -> None:
    open_lab(page, studio, "step=3&lock=1&cls=frog&upto=200")
    expect(page.get_by_text("Locked by the link").first).to_be_visible()
    expect(page.get_by_role("radio", name="1 Patch")).to_be_disabled()
    expect(page.get_by_role("combobox", name=re.compile("Class"))).to_be_disabled()
    assert page.evaluate(MOVE, 400)["now"] == "200"
    expect(page.locator(".film .chart")).to_have_count(3)


def test_the_link_for_a_lesson_keeps_where_the_timeline_ends(page: Page, studio) -> None:
    open_lab(page, studio, "step=3&cls=cat&upto=300")
    link, end = page.get_by_role("button", name="Lesson link"), page.get_by_role("slider", name="The timeline ends")
    link.click()
    expect(end).to_have_attribute("aria-valuetext", "300")
    page.keyboard.press("Escape")
    page.get_by_role("radio", name="2 Twins").click()
    expect(page.get_by_role("heading", name="Early and late twins")).to_be_visible()
    link.click()
    expect(end).to_have_attribute("aria-valuetext", "300")
    expect(page.get_by_text("upto=300")).to_be_visible()


def test_the_animation_comes_down_when_asked_for(page: Page, studio, saved) -> None:
    page.goto(f"{studio.url}/early_late?src=lab-cifar10-mini&step=8&cls=horse")
    found = saved(page.get_by_role("button", name="Animation (GIF)"))
    picture = Image.open(io.BytesIO(found.path().read_bytes()))
    assert found.suggested_filename == "early-late-horse-1-twins.gif"
    assert (picture.format, picture.n_frames) == ("GIF", 30)
