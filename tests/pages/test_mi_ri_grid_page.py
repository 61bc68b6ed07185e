"""The page of the MI x RI grid: what is there, what it costs to fill, a cell beside the run, and an address to keep."""

from __future__ import annotations

from fake_runs import fake_experiment, make_finished_run
from page_helpers import captions, components, keys

from delt_engine.runs.titles import read_title
from pages.shared.compare import mi_ri

PAGE = "explore/mi_ri_grid"


def test_the_grid_is_one_click_from_a_run_and_runs_only_what_is_missing(open_page, finished, started, address) -> None:
    app = open_page("distill/recover", run=finished.id)
    app.button(key=f"recover/mi_ri/{finished.id}").click().run()
    assert app.title[0].value == "MI x RI grid"
    assert address(app) == {"run": finished.id, "cls": "astronaut"}
    app = open_page(PAGE, run=finished.id, cls="cat")
    app.text_input(key="grid/mi").set_value("30, 40 x 0").run()
    app.text_input(key="grid/rounds").set_value("1,2,4").run()
    assert address(app) == {"run": finished.id, "cls": "cat", "mi": "30, 40 x 0", "rounds": "1,2,4"}
    assert "x, 0: left out, not a number" in captions(app)
    assert "590 image-iterations, about 4 s on this machine." in captions(app)
    grid = components(app)[0]
    titles = ["MI 30 / RI 30", "MI 30 / RI 15", "MI 30", "MI 40 / RI 40", "MI 40 / RI 20", "MI 40 / RI 10"]
    assert (grid["layout"], grid["columns"], [row["title"] for row in grid["rows"]]) == ("matrix", 3, titles)
    assert [row["empty"] for row in grid["rows"]][:3] == ["Not run yet"] * 2 + ["4 rounds do not divide MI 30"]
    assert grid["rows"][5]["note"].endswith("not run yet; this is one with all 3 classes")
    assert len(grid["rows"][5]["cells"]) == 4
    app.button(key="grid/start").click().run()
    assert [read_title(run).title for run in started.runs] == [
        "Grid: DELT cat MI 30 / RI 15",
        "Grid: DELT cat MI 40 / RI 10",
        "Grid: DELT cat MI 30 / RI 30",
        "Grid: DELT cat MI 40 / RI 20",
        "Grid: DELT cat MI 40 / RI 40",
    ]
    assert "grid/start" not in keys(app)
    again = open_page(PAGE, **address(app))
    assert "grid/start" not in keys(again)
    assert "queued" in components(again)[0]["rows"][0]["note"]


def test_a_cell_is_compared_with_the_run_also_by_link(open_page, home, finished, address) -> None:
    other = make_finished_run(home / "runs" / "20260301-000000-cell", fake_experiment(mi=20, ri=10, classes=("cat",)))
    app = open_page(PAGE, run=finished.id, cls="cat", mi="20,40", rounds="2,4", cell="20-2")
    assert [entry.value for entry in app.subheader] == ["Compare: MI 20 / RI 10"]
    grid, pair = components(app)
    assert f"grid/open/{other.id}" in keys(app)
    assert (pair["rows"][0]["title"], pair["rows"][0]["deep"]) == ("cat", 2)
    assert address(app)["cell"] == "20-2"
    assert [len(row["cells"]) for row in grid["rows"]] == [4, 0, 0, 4]
    app.session_state["grid/show"] = "ends"
    app.run()
    assert [[cell["x"] for cell in row["cells"]] for row in components(app)[0]["rows"]] == [[0, 3], [], [], [0, 3]]


def test_a_wrong_link_and_a_run_of_one_round_are_told(open_page, home, finished) -> None:
    make_finished_run(home / "runs" / "20260301-000000-cda", fake_experiment("cda"))
    app = open_page(PAGE, run="gone", cls="unicorn")
    assert ["gone" in app.warning[0].value, "unicorn" in app.warning[1].value] == [True, True]
    assert "all images join at once" in captions(app)  # the newest run is CDA's


def test_a_click_means_a_cell(finished) -> None:
    cells = mi_ri.mi_ri_grid.cells(finished, "cat", (20, 40), (2, 4), [finished])
    assert mi_ri.picked(cells, "cell/1") == "20-4"
    assert mi_ri.picked(cells, f"{finished.id}/1/0") == "40-4"
