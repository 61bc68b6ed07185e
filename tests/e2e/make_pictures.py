"""Make the pictures of the README again from the running app: ``python tests/e2e/make_pictures.py``.

It opens the finished example in a browser, as a reader would, and writes ``assets/pictures/*.webp``.
"""

from __future__ import annotations

import io
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parents[1])]

from conftest import ROOT, Studio, browser_path  # noqa: E402
from PIL import Image  # noqa: E402
from playwright.sync_api import Locator, Page, sync_playwright  # noqa: E402

from delt_engine.bench.app import free_port  # noqa: E402

OUT = ROOT / "assets" / "pictures"
EXAMPLE, CLASS_NAME, ROUNDS = "cifar10-mini-delt", "horse", 5
WINDOW = {"width": 1280, "height": 860}
ROUND_MS, LAST_MS = 900, 2500
DRAWN_MS = 3000
"""Milliseconds that a page is given to fetch and draw its images."""


def main() -> None:
    """Start a server on an empty home, take the pictures, stop it."""
    OUT.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as home, sync_playwright() as playwright:
        studio = Studio(Path(home), free_port())
        studio.start()
        try:
            browser = playwright.chromium.launch(executable_path=browser_path(), args=["--no-sandbox"])
            page = browser.new_context(viewport=WINDOW, color_scheme="light").new_page()
            write([shown(open_gallery(page, studio, ROUNDS), page)], "gallery.webp")
            write([shown(open_gallery(page, studio, number)) for number in range(ROUNDS + 1)], "rounds.webp")
            browser.close()
        finally:
            studio.stop()


def open_gallery(page: Page, studio: Studio, number: int) -> Locator:
    """Open one class after a round; return the frame of its images once all of them are there."""
    page.goto(f"{studio.url}/gallery?run={EXAMPLE}&cls={CLASS_NAME}&round={number}")
    grid = page.locator(".delt:has(canvas)").first
    grid.wait_for()
    page.wait_for_timeout(DRAWN_MS)
    return grid


def shown(grid: Locator, page: Page | None = None) -> Image.Image:
    """Return a picture of the grid, or of the whole page where it is given."""
    data = page.screenshot() if page else grid.screenshot()
    return Image.open(io.BytesIO(data)).convert("RGB")


def write(pictures: list[Image.Image], name: str) -> None:
    """Write one picture, or several as one that moves."""
    first, *others = pictures
    times = [ROUND_MS] * len(others) + [LAST_MS]
    first.save(OUT / name, save_all=True, append_images=others, duration=times, loop=0, quality=70, method=6)


if __name__ == "__main__":
    main()
