"""Diversity in a real browser: the map answers the pointer and the keys, and is saved as it is seen."""

from __future__ import annotations

import io
import re

from PIL import Image
from playwright.sync_api import Page, expect

BLANK = """() => {
    const host = [...document.querySelectorAll('*')].find(e => e.shadowRoot?.querySelector('.tip canvas'));
    const face = host.shadowRoot.querySelector('.tip canvas');
    return face.getContext('2d').getImageData(0, 0, face.width, face.height).data.every(value => value === 0);
}"""


def test_the_map_shows_the_image_under_the_pointer_and_the_keys(page: Page, studio, saved) -> None:
    page.goto(f"{studio.url}/diversity")
    plane, tip = page.locator(".plane"), page.locator(".tip")
    expect(page.locator(".map[data-ready=true]")).to_be_visible()
    plane.focus()
    plane.press("ArrowLeft")  # the last point is of a run, the first a real image
    expect(tip).to_be_visible()
    expect(tip.locator("b")).to_contain_text(", image ")
    for key in ("ArrowRight", "ArrowLeft"):
        before = tip.locator("b").text_content()
        plane.press(key)
        expect(tip.locator("b")).not_to_have_text(before or "")
        page.wait_for_function("() => !(" + BLANK + ")()")
    plane.press("Escape")
    expect(tip).to_be_hidden()
    png = saved(page.get_by_role("button", name="Save the map as PNG"))
    assert Image.open(io.BytesIO(png.path().read_bytes())).height >= 400
    save = page.get_by_role("button", name="Save the map as SVG")
    whole = saved(save).path().read_text().count("<circle")
    page.get_by_role("checkbox", name="Real images").uncheck()
    assert 0 < saved(save).path().read_text().count("<circle") < whole
    plane.focus()
    plane.press("ArrowLeft")
    plane.press("Enter")
    chosen = page.get_by_text("1 image chosen")
    expect(chosen).to_be_visible()
    plane.press("Escape")
    expect(chosen).to_have_count(0)
    box = plane.bounding_box()
    assert box is not None
    corners = [(2, 2), (box["width"] - 2, 2), (box["width"] - 2, box["height"] - 2), (2, box["height"] - 2)]
    page.mouse.move(box["x"] + 2, box["y"] + 2)
    page.mouse.down()
    for x, y in corners:
        page.mouse.move(box["x"] + x, box["y"] + y)
    page.mouse.up()
    page.get_by_role("button", name=re.compile("in the gallery")).first.click()
    expect(page).to_have_url(re.compile(r"/gallery\?.*imgs="))
