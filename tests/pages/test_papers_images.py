"""Figures that show images stand on the page of the papers in their own form, made of the runs that are here."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import pytest
from fake_runs import dataset_record, prepare, write_fake_round
from page_helpers import captions, components, keys

from delt_engine.config import Experiment, RecoverConfig
from delt_engine.models.card import read_card
from delt_engine.papers.cells import paper_cell
from delt_engine.papers.laptop import laptop_cell
from delt_engine.papers.paper_tables import axis, find_table, rows_of
from delt_engine.paths import assets_dir
from delt_engine.pipeline.table_view import table_view
from delt_engine.runs.record import ImportRecord, RunOptions, TeacherRecord
from delt_engine.runs.store import Run
from pages.shared.gallery.grid import Film
from pages.shared.papers.images import add_over_iterations

PAGE, CLASSES = "study/papers", ("first", "second")


@pytest.fixture
def user(home, monkeypatch) -> Path:
    monkeypatch.setenv("DELT_HOME", str(home))
    return home


def put_images(home: Path, table_id: str, row: str, ri: int = 0, **options: int) -> Run:
    """Put a finished run with the images of one row of a figure, at laptop scale, among the user's."""
    table = find_table(table_id)
    value = next(one for one in rows_of(table) if axis(one, table.rows[0]) == row)
    experiment = laptop_cell(paper_cell(value), (*table.rows, *table.columns)).experiment
    recover = experiment.recover.replace(round_iterations=ri or experiment.recover.round_iterations)
    experiment = experiment.replace(recover=recover)
    card = read_card(assets_dir() / "teachers" / f"{experiment.dataset}.safetensors")
    run = prepare(home / "runs" / f"20260101-000000-{row}", experiment, card.class_names)
    record = dataset_record(experiment.dataset, card.class_names)
    run.update(dataset=record, teacher=TeacherRecord.of(card, experiment.dataset), options=RunOptions(**options))
    for class_index in run.classes:
        for number in range(1, experiment.recover.schedule.num_rounds + 1):
            write_fake_round(run, class_index, number)
    run.set_status("finished", seconds=2.0)
    return run


def put_imported(home: Path, method: str) -> Run:
    """Put a set of one image a class that was imported under a name among the user's runs."""
    recover = RecoverConfig(method="imported", early_late=False, iterations=0, round_iterations=1, ipc=1)
    experiment = Experiment(dataset="cifar10-mini", recover=recover)
    run = prepare(home / "runs" / f"20260103-000000-{method}", experiment, CLASSES)
    origin = ImportRecord(method=method, path="/a", layout="folder", digest="d")
    run.update(dataset=dataset_record("cifar10-mini", CLASSES), origin=origin)
    run.set_status("finished", seconds=2.0)
    return run


def table_of(app) -> dict:
    return next(one for one in components(app) if "across" in one)


def grid_of(app) -> dict:
    return next(one for one in components(app) if "sheets" in one)


def shown(grid: dict) -> list[list[tuple[str, int]]]:
    """The file behind each image and the number of the tile in its sheet, row by row."""
    sheets = [sheet.partition("?")[0].split("/strips/")[1] for sheet in grid["sheets"]]
    return [[(sheets[cell["sheets"][0]], cell["x"]) for cell in row["cells"]] for row in grid["rows"]]


def test_a_class_is_a_column_from_long_to_short_optimisation(open_page, user) -> None:
    assert not [one for one in components(open_page(PAGE, table="delt-fig11", scale="laptop")) if "sheets" in one]
    run = put_images(user, "delt-fig11", "cifar10")
    grid = grid_of(open_page(PAGE, table="delt-fig11", scale="laptop"))
    assert [head["title"] for head in grid["head"]] == list(run.class_names)
    # ten images in eight rounds: 2, 2, 1, 1, 1, 1, 1, 1, of which the first ones get MI and the last one RI iterations
    counts = [200, 200, 175, 175, 150, 125, 100, 75, 50, 25]
    assert [row["title"] for row in grid["rows"]] == [f"{number} iterations" for number in counts]
    first, *_, last = shown(grid)
    assert [first[0], last[0]] == [(f"{run.id}/snapshots/airplane/round-08.png", place) for place in (0, 9)]
    assert last[9][0].endswith("/truck/round-08.png")
    assert grid["rows"][9]["cells"][0]["alt"] == "airplane, image 10: joins in round 8 and gets 25 iterations"


@pytest.mark.parametrize(("table", "row"), [("delt-fig6", "3x3"), ("cda-fig6", "cda")])
def test_runs_without_snapshots_have_no_rounds_to_show(open_page, user, table, row) -> None:
    put_images(user, table, row, snapshot_classes=0)
    app = open_page(PAGE, table=table, scale="laptop")
    assert "These runs kept no snapshots of their rounds." in captions(app)
    assert not [one for one in components(app) if "sheets" in one]


def test_each_mosaic_has_its_start_beside_its_result(open_page, user) -> None:
    for row in ("3x3", "6x6"):
        put_images(user, "delt-fig6", row)
    app = open_page(PAGE, table="delt-fig6", scale="laptop")
    grid = grid_of(app)
    assert [(head["title"], head["span"]) for head in grid["head"]] == [("3x3", 2), ("6x6", 2)]
    files = [name.partition("-000000-")[2] for name, _ in shown(grid)[0]]
    ends = ("round-00.png", "round-08.png")
    assert files == [f"{row}/snapshots/airplane/{end}" for row in ("3x3", "6x6") for end in ends]
    app.selectbox(key="papers/class").set_value("cat").run()
    assert "/cat/" in shown(grid_of(app))[0][0][0]


def test_each_method_has_a_row_of_the_same_class(open_page, user) -> None:
    for row in ("sre2l", "delt"):
        put_images(user, "delt-fig7", row)
    grid = grid_of(open_page(PAGE, table="delt-fig7", scale="laptop"))
    assert [row["title"] for row in grid["rows"]] == ["SRe²L", "DELT"]
    assert [len(row["cells"]) for row in grid["rows"]] == [10, 10]  # of 16
    assert [cell["alt"].split(":")[0] for cell in grid["rows"][1]["cells"]][-1] == "airplane, image 16"


def test_images_while_they_are_recovered_stand_over_their_iterations(open_page, user) -> None:
    run = put_images(user, "cda-fig6", "cda")
    grid = grid_of(open_page(PAGE, table="cda-fig6", scale="laptop"))
    (row,) = grid["rows"]
    assert [cell["lines"] for cell in row["cells"]] == [[f"{count} iterations"] for count in (5, 25, 50, 100)]
    places = [name.partition("round-")[2] for name, _ in shown(grid)[0]]
    assert places == ["01.png", "05.png", "10.png", "20.png"]
    assert run.experiment.recover.iterations == 100


def test_a_run_of_few_rounds_shows_each_of_them_once(user) -> None:
    film = Film()
    add_over_iterations(film, "CDA", put_images(user, "cda-fig6", "cda", ri=50), 0)
    assert [cell.lines for cell in film.rows[0].cells] == [("50 iterations",), ("100 iterations",)]


def test_an_imported_set_fills_the_row_of_its_method(open_page, user) -> None:
    run = put_imported(user, "Minimax Diffusion")
    put_imported(user, "another")
    app = open_page(PAGE, table="delt-fig7", scale="laptop", cell="minimax-diffusion,imagenet-1k")
    assert "1 of 6 measured" in captions(app)
    cells = {one["id"]: one for row in table_of(app)["rows"] for one in row["cells"]}
    assert cells["minimax-diffusion,imagenet-1k"]["here"] == "images made"
    assert cells["mtt,imagenet-1k"]["here"] == "not here"
    assert f"papers/finished/open/{run.id}" in keys(app)
    assert shown(grid_of(app)) == [[(f"{quote(run.id)}/snapshots/first/round-00.png", 0)]]
    (row,) = grid_of(app)["rows"]
    assert (row["title"], row["cells"][0]["alt"]) == ("MinimaxDiffusion", "first, image 1: imported")
    put_images(user, "delt-fig7", "delt")
    app = open_page(PAGE, table="delt-fig7", scale="laptop")
    app.selectbox(key="papers/class").set_value("airplane").run()  # a class that the imported set has not
    assert [row["title"] for row in grid_of(app)["rows"]] == ["DELT"]


def test_numbers_of_a_method_that_is_not_here_stay_away(user) -> None:
    put_imported(user, "MTT")
    (mtt,) = (one for one in table_view("cda-1", "laptop").cells if one.row + one.column == ("10", "mtt"))
    assert (mtt.state, mtt.reason) == ("not here", "MTT is not here.")
