"""Data and patches in a real browser: a folder is read in a process, a zip is uploaded, a dragged band chooses."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

COLOURS = {"blue": (40, 40, 220), "green": (40, 220, 40)}


@pytest.fixture
def folder(tmp_path) -> Path:
    """A dataset of two colours with a file that is no image."""
    generator = np.random.default_rng(0)
    for name, colour in COLOURS.items():
        (tmp_path / "colours" / name).mkdir(parents=True)
        for number in range(20):
            pixels = np.clip(np.array(colour) + generator.integers(-30, 30, (32, 32, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / "colours" / name / f"{number:02d}.png")
    (tmp_path / "colours" / "blue" / "torn.png").write_bytes(b"no image")
    return tmp_path / "colours"


def test_a_folder_is_added_and_read_and_a_wrong_one_is_a_sentence(studio, page: Page, folder: Path) -> None:
    page.goto(f"{studio.url}/data_and_teachers")
    page.get_by_role("button", name="Use your own images").click()
    page.get_by_text("Type a path").click()
    field, add = page.get_by_role("textbox", name="Folder on this"), page.get_by_role("button", name="Add", exact=True)
    field.fill(str(folder / "gone"))
    field.press("Enter")
    add.first.click()
    expect(page.get_by_text("does not exist")).to_be_visible()
    field.fill(str(folder))
    field.press("Enter")
    add.first.click()
    expect(page.get_by_text("1 file left out")).to_be_visible()
    expect(page.get_by_text("There is no teacher for colours at 32 px yet")).to_be_visible()
    expect(page.get_by_role("button", name="Train a small teacher")).to_be_visible()


def test_a_zip_is_uploaded_and_unpacked(studio, page: Page, folder: Path) -> None:
    packed = shutil.make_archive(str(folder.parent / "uploaded"), "zip", folder.parent, "colours")
    page.goto(f"{studio.url}/data_and_teachers")
    page.get_by_role("button", name="Use your own images").click()
    page.locator("input[type=file][accept*='.zip']").set_input_files(packed)
    expect(page.get_by_role("heading", name="uploaded")).to_be_visible()
    assert list((studio.home / "uploads").iterdir()) == []


def test_a_dragged_band_chooses_for_the_next_run(studio, page: Page) -> None:
    page.goto(f"{studio.url}/patches")
    plot = page.locator(".js-plotly-plot .nsewdrag").first
    plot.wait_for()
    page.wait_for_function("document.querySelectorAll('.js-plotly-plot .bars path').length > 5")
    expect(page.get_by_test_id("stApp")).to_have_attribute("data-test-script-state", "notRunning")
    plot.hover()  # waits until it stands still
    box = plot.bounding_box()
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + 0.3 * box["width"], middle)
    page.mouse.down()
    for share in (0.5, 0.7, 0.9):
        page.mouse.move(box["x"] + share * box["width"], middle)
    page.mouse.up()
    expect(page.get_by_role("button", name="Whole range")).to_be_visible()
    page.get_by_role("button", name="Recover from these").click()
    expect(page.get_by_role("heading", name="Recover")).to_be_visible()
    expect(page.get_by_text("--min-probability").first).to_be_visible()
