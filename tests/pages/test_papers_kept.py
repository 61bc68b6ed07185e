"""The page of the papers shows numbers that come with the package where nothing was measured, and says so."""

from __future__ import annotations

from pathlib import Path

import pytest
from page_helpers import captions, components, keys, texts, traces

from delt_engine.papers.kept import Kept, kept_key, write_kept
from delt_engine.papers.paper_tables import find_table
from delt_engine.pipeline.table_view import cells_of

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
    assert "0 of 6 measured by your runs, 2 come with DELT Studio" in captions(app)
    assert "† Comes with DELT Studio, without its runs; your own take its place. Measured on some" in captions(app)
    assert "The paper's order holds here: yes (1 pair: 1 as printed" in texts(app)
    assert app.button(key="papers/start").label == "Run 6 missing cells"
    assert traces(app)[1]["z"][0] == pytest.approx([34.87, 33.71])
    titles = app.selectbox(key="papers/id").options
    assert any("DELT Table 4c" in title and "2 of 6 measured" in title for title in titles)


def test_a_chosen_one_says_where_it_is_from(brought, open_page, asked) -> None:
    app = open_page(PAGE, **SMALL, cell="1000,500")
    metrics = {entry.label: entry.value for entry in app.metric}
    assert (metrics["Comes with DELT Studio"], metrics["Its last epoch"]) == ("34.9 ± 0.5", "20.0 ± 1.0")
    assert "n = 3 · some processor, torch 2 · 2026-01-02 · its runs are not here" in captions(app)
    assert "It was not measured here yet." not in texts(app)
    assert "papers/start_one" in keys(app)
