"""Hours over images per class on the page of the papers: points as printed and measured, lines by the schedule."""

from __future__ import annotations

from dataclasses import replace

import pytest
from page_helpers import captions, traces

from delt_engine.papers.cells import Scale
from delt_engine.papers.kept import Kept, kept_key, write_kept
from delt_engine.papers.paper_tables import find_table
from delt_engine.pipeline.table_records import CellView, Measured
from delt_engine.pipeline.table_view import cells_of, table_view
from pages.shared.papers import cost

PAGE = "study/papers"


def test_hours_are_drawn_by_the_schedule(open_page, asked) -> None:
    app = open_page(PAGE, table="delt-6", scale="paper")
    lines = [trace for trace in traces(app, -2) if trace.get("name") == "DELT, RI 500"]
    at_50 = dict(zip(lines[0]["x"], lines[0]["y"], strict=True))[50]
    assert at_50 == pytest.approx(17.6)  # DELT Table 6
    assert {trace["name"] for trace in traces(app, -1)} == {"CDA / SRe²L", "DELT, RI 1,000", "DELT, RI 500"}
    rows = app.table[-1].value
    (row,) = rows[(rows["IPC"] == "50") & (rows["RI"] == "500")].to_dict("records")
    assert row["Formula with its numbers"] == "50 · 4,000 − 6.25 · 8 · 7 / 2 · 500 = 112,500"
    assert (row["Counted"], row["Integer division"]) == ("115,500", "2 of the 8 rounds hold one image more")


def hours_of(table: str, scale: Scale, hours: dict[tuple[str, ...], float]) -> list[CellView]:
    """The cells of a table of hours, some as if measured and no other known, by their places."""
    cells = table_view(table, scale, runs=()).cells
    measured = {(*one.row, *one.column): hours.get((*one.row, *one.column)) for one in cells}
    found = ((one, measured[*one.row, *one.column]) for one in cells)
    return [replace(one, measured=None if number is None else Measured(number), kept=None) for one, number in found]


def test_measured_hours_are_points_of_their_own_method_and_rounds() -> None:
    hours = {("sre2l", "", "imagenet-1k"): 3.0, ("delt", "1000", "imagenet-1k"): 2.0, ("cda", "", "cifar10"): 0.5}
    cells = hours_of("delt-6", "paper", hours)
    both = cost.curve(("cda", "sre2l"), None, "imagenet-1k", cells)
    assert (both.title, both.printed, both.here) == ("CDA / SRe²L", [(50, 29.0)], [(50, 3.0)])
    assert cost.curve(("delt",), 1000, "imagenet-1k", cells).here == [(50, 2.0)]
    assert cost.curve(("delt",), 500, "imagenet-1k", cells).here == []
    assert cost.curve(("cda", "sre2l"), None, "cifar10", cells).here == [(50, 0.5)]


def test_hours_at_laptop_scale_lie_on_a_line_through_their_last_point() -> None:
    cells = hours_of("delt-fig12", "laptop", {("delt", "500", "10"): 0.1, ("delt", "500", "100"): 0.3})
    own = cost.curve(("delt",), 500, "imagenet-1k", cells, "laptop")
    assert (own.title, own.printed, own.here) == ("DELT, RI 25", [], [(10, 0.1), (24, 0.3)])
    line = dict(own.line)
    assert line[24] == pytest.approx(0.3)
    # 3 images a round are 3 (200 + 175 + ... + 25); one image has no rounds
    assert line[1] == pytest.approx(0.3 * 200 / (3 * 900))
    assert cost.curve(("gvbsm",), None, "imagenet-1k", cells, "laptop").line == []


def test_hours_of_the_chosen_scale_are_drawn(open_page, asked, monkeypatch) -> None:
    app = open_page(PAGE, table="delt-fig12", scale="laptop")
    assert not app.get("plotly_chart")
    assert "when something was measured at laptop scale" in captions(app)
    cells = tuple(hours_of("delt-fig12", "laptop", {("cda", "", "1"): 0.01, ("cda", "", "50"): 0.2}))
    view = replace(table_view("delt-fig12", "laptop", runs=()), cells=cells)
    monkeypatch.setattr(cost, "view_of", lambda name, scale: view if scale == "laptop" else None)
    monkeypatch.setattr(cost, "COST_TABLES", ("delt-fig12",))
    app = open_page(PAGE, table="delt-fig12", scale="laptop")
    line, here = (trace for trace in traces(app, 0) if trace["name"] == "CDA / SRe²L")
    assert (here["x"], here["y"]) == ([1, 16], [0.01, 0.2])
    assert dict(zip(line["x"], line["y"], strict=True))[16] == pytest.approx(0.2)


def test_hours_that_come_with_the_package_are_points_as_well(home, open_page, asked) -> None:
    asked_for = [cell for _, cell, _ in cells_of(find_table("delt-fig12"), "laptop") if cell][:2]
    kept = [
        Kept(kept_key(cell), "G-VBSM", hours, None, 1, "some processor", "2026-01-02")
        for cell, hours in zip(asked_for, (0.1, 0.4), strict=True)
    ]
    write_kept(home / "assets" / "measured" / "numbers.json", kept)
    app = open_page(PAGE, table="delt-fig12", scale="laptop")
    line, points = (trace for trace in traces(app, 0) if trace["name"] == "G-VBSM")
    assert (points["x"], points["y"]) == ([1, 10], [0.1, 0.4])
    assert dict(zip(line["x"], line["y"], strict=True))[1] == pytest.approx(0.04)
    assert "those that the table marks † come with DELT Studio" in captions(app)
