"""The page of the papers shows numbers that come with the package where nothing was measured, and says so."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from page_helpers import captions, components, keys, texts, traces

from delt_engine.papers.kept import Kept, kept_key, write_kept
from delt_engine.papers.paper_tables import find_table
from delt_engine.pipeline.table_view import cells_of, table_view
from pages.shared.papers import data, matrix

PAGE = "study/papers"
SMALL = {"table": "delt-4c", "scale": "laptop"}


@pytest.fixture
def brought(home: Path) -> None:
    """A package that brings the first two numbers of a table at laptop scale."""
    numbers = [
        Kept(kept_key(cell), value.where, value.value - 10, 0.5, 3, "some processor, torch 2", "2026-01-02", 20.0, 1.0)
        for value, cell, _ in cells_of(find_table("delt-4c"), "laptop")[:2]
        if cell
    ]
    write_kept(home / "assets" / "measured" / "numbers.json", numbers)


def _cells(app) -> dict[str, dict]:
    table = next(one for one in components(app) if "across" in one)
    return {one["id"]: one for row in table["rows"] for one in row["cells"] if one}


def test_they_stand_in_their_cells_and_can_still_be_run(brought, open_page, asked) -> None:
    app = open_page(PAGE, **SMALL)
    first, third = _cells(app)["1000,500"], _cells(app)["2000,500"]
    assert (first["here"], first["hereSpread"], first["mark"], first["state"]) == ("34.9", "0.5", "†", "kept")
    assert "Comes with DELT Studio: 34.9 ± 0.5 (best tested epoch, n = 3)" in first["hint"]
    assert (third["here"], third.get("mark", "")) == ("", "")
    assert "0 of 6 measured, 2 more come with DELT Studio" in captions(app)
    assert "Among them are those marked † in the table, which come with DELT Studio." in captions(app)
    assert "a click on a cell shows the last epoch" in captions(app)
    assert "† Comes with DELT Studio, without its runs; your own take its place. Measured on some" in captions(app)
    assert "The paper's order holds here: yes (1 pair: 1 as printed" in texts(app)
    assert app.button(key="papers/start").label == "Run 6 missing cells"
    assert traces(app)[1]["z"][0] == pytest.approx([34.87, 33.71])
    titles = app.selectbox(key="papers/id").options
    assert any("DELT Table 4c" in title and "2 of 6 here" in title for title in titles)


def test_a_chosen_one_says_where_it_is_from(brought, open_page, asked) -> None:
    app = open_page(PAGE, **SMALL, cell="1000,500")
    metrics = {entry.label: entry.value for entry in app.metric}
    assert (metrics["Comes with DELT Studio"], metrics["Its last epoch"]) == ("34.9 ± 0.5", "20.0 ± 1.0")
    assert "n = 3 · some processor, torch 2 · 2026-01-02 · its runs are not here" in captions(app)
    assert "It was not measured here yet." not in texts(app)
    assert "papers/start_one" in keys(app)


@pytest.mark.parametrize(
    ("state", "look", "said"), [("queued", "waiting", "queued"), ("stopped", "waiting", "stopped")]
)
def test_work_on_one_is_told_beside_it(state, look, said) -> None:
    (first, *_) = table_view("delt-4c", "laptop", runs=()).cells
    shown = matrix._cell(replace(first, state=state))
    assert (shown["here"], shown["mark"], shown["state"]) == ("27.7", "†", look)
    assert f"Here: {said}" in shown["hint"]
    assert matrix._cell(replace(first, state="running"))["here"] == "at work…"


def test_only_students_have_a_best_tested_epoch(open_page, home, asked) -> None:
    numbers = [
        Kept(kept_key(cell), value.where, 40.0, 0.5, 3, "some processor", "2026-01-02")
        for value, cell, _ in cells_of(find_table("cda-14"), "laptop")
        if cell
    ]
    write_kept(home / "assets" / "measured" / "numbers.json", numbers)
    app = open_page(PAGE, table="cda-14", scale="laptop")
    assert all("Comes with DELT Studio: 40.0 ± 0.5 (n = 3)" in one["hint"] for one in _cells(app).values())
    assert "best tested epoch" not in captions(app)


def test_a_file_that_is_written_anew_is_seen(open_page, home, asked) -> None:
    path = home / "assets" / "measured" / "numbers.json"
    _, cell, _ = cells_of(find_table("delt-4c"), "laptop")[0]
    for value in (30.0, 31.0):
        write_kept(path, [Kept(kept_key(cell), "one", value, 0.5, 3, "some processor", "2026-01-02")])
        os.utime(path, ns=(0, int(value)))
        assert data.view_of("delt-4c", "laptop").cells[0].kept.value == value
