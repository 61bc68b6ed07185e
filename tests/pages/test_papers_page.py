"""The page of the papers' tables: the paper's form, what was measured beside it, what is missing, and how it is run."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from fake_runs import dataset_record, fake_experiment, make_evaluation, prepare
from page_helpers import captions, components, keys, press, put_task, texts, traces

from delt_engine.analysis.diversity_store import stored_path
from delt_engine.config import Experiment
from delt_engine.config.students import filled_in
from delt_engine.data.available import Place
from delt_engine.jobs import tasks
from delt_engine.jobs.prices import Price
from delt_engine.models.card import read_card
from delt_engine.models.held_out import second_dir
from delt_engine.papers.cells import paper_cell
from delt_engine.papers.laptop import laptop_cell
from delt_engine.papers.paper_tables import find_table
from delt_engine.papers.published import all_published
from delt_engine.paths import assets_dir, teachers_dir
from delt_engine.pipeline import image_measures, table_needs
from delt_engine.pipeline import table_view as table_view_module
from delt_engine.pipeline.paper_teachers import outside_network, teacher_of
from delt_engine.pipeline.table_records import CellView
from delt_engine.pipeline.table_view import read_besides_runs, table_view
from delt_engine.runs.continuals import CONTINUALS
from delt_engine.runs.record import TeacherRecord
from delt_engine.runs.store import Run
from pages.shared.papers import cell, data, figures, work
from pages.shared.runs.strips import stamp

PAGE = "study/papers"
CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
SMALL = {"table": "delt-4c", "scale": "laptop"}


def measure(home: Path, mi: int, ri: int, top1: tuple[float, ...]) -> None:
    """Put a run with its students, as the laptop scale of DELT Table 4c has them, among the user's."""
    value = next(one for one in all_published() if one.where == "DELT Table 4c" and one.variant == f"MI={mi} RI={ri}")
    experiment = laptop_cell(paper_cell(value), ("MI", "RI")).experiment
    name = experiment.dataset
    card = read_card(assets_dir() / "teachers" / f"{name}.safetensors")
    put_students(home, f"{mi}-{ri}", experiment, card.class_names, TeacherRecord.of(card, name), top1)


def measure_real_row(home: Path) -> Run:
    """Put DELT on CIFAR-10 at one image a class, with all settings of DELT Table 1, among the user's runs."""
    value = next(one for one in all_published() if one.where == "DELT Table 1" and one.printed == "24.0")
    teacher = TeacherRecord(name="wide", network="resnet18", width=1.0, fingerprint="beef", accuracy=95.0, epochs=100)
    return put_students(home, "real", paper_cell(value).experiment, CIFAR10, teacher, (22.0, 23.0, 24.0))


def put_students(
    home: Path,
    name: str,
    experiment: Experiment,
    class_names: tuple[str, ...],
    teacher: TeacherRecord,
    top1: tuple[float, ...],
) -> Run:
    """Put a finished run and one of its students among the user's runs, and return the latter."""
    run = prepare(home / "runs" / f"20260101-000000-{name}", experiment, class_names)
    run.update(dataset=dataset_record(experiment.dataset, class_names), teacher=teacher)
    run.set_status("finished", seconds=2.0)
    recover, evaluate = experiment.recover, experiment.evaluate
    about = {"ipc": recover.ipc, "images": 10 * recover.ipc, "num_classes": 10, "image_size": 32}
    filled = filled_in(evaluate, **about, dataset=experiment.dataset)
    names = ("student", "student_width", "student_stem", "epochs", "batch_size", "learning_rate", "rand_augment")
    settings = {name: getattr(filled, name) for name in names}
    return make_evaluation(home / "runs" / f"20260102-000000-{name}", run, top1, teacher=teacher, **settings)


def table_of(app) -> dict:
    return next(one for one in components(app) if "across" in one)


def cells_of(app) -> dict[str, dict]:
    return {one["id"]: one for row in table_of(app)["rows"] for one in row["cells"] if one}


def test_nothing_was_measured_yet_and_the_missing_cells_are_started(open_page, address, asked) -> None:
    app = open_page(PAGE)
    assert address(app) == SMALL
    table = table_of(app)
    assert (table["down"], table["across"]) == (["MI"], ["RI"])
    assert [column[0]["text"] for column in table["columns"]] == ["500", "1,000"]
    assert [row["labels"][0]["text"] for row in table["rows"]] == ["1,000", "2,000", "4,000"]
    first = cells_of(app)["1000,500"]
    assert (first["printed"], first["here"]) == ("44.87", "")
    assert "Printed: 44.87 (DELT Table 4c)" in first["hint"]
    assert app.code[0].value == "delt reproduce delt-4c --scale laptop"
    assert app.button(key="papers/start").label == "Run 6 missing cells"
    assert "0 of 6 measured" in captions(app)
    assert [trace["type"] for trace in traces(app)] == ["heatmap"]
    press(app, "papers/start")
    assert asked == [["reproduce", "delt-4c", "--scale", "laptop"]]


def test_measured_numbers_stand_below_the_printed_ones(open_page, home, address, asked) -> None:
    measure(home, 1000, 500, (49.0, 50.0, 51.0))
    measure(home, 4000, 500, (55.0, 56.0, 57.0))
    app = open_page(PAGE, **SMALL, cell="1000,500")
    found = cells_of(app)["1000,500"]
    assert (found["here"], found["hereSpread"], found["gap"]) == ("51.0", "1.0", "")  # the best tested epoch
    assert "n = 3" in found["hint"]
    assert "The paper's order holds here: yes (1 pair" in texts(app)
    metrics = {entry.label: entry.value for entry in app.metric}
    assert metrics["Printed, DELT Table 4c"] == "44.87"
    assert (metrics["Here, best tested epoch"], metrics["Here, last epoch"]) == ("51.0 ± 1.0", "50.0 ± 1.0")
    assert any(key.startswith("papers/finished/open/20260102") for key in keys(app))
    assert [trace["type"] for trace in traces(app)] == ["heatmap", "heatmap"]
    assert traces(app)[1]["z"] == [[51.0, None], [None, None], [57.0, None]]
    assert [trace["text"][0][0] for trace in traces(app)] == ["44.87", "51.0"]  # with the digits that mean something
    app = open_page(PAGE, **SMALL, cell="2000,500")
    press(app, "papers/start_one")
    assert asked == [["reproduce", "delt-4c", "--scale", "laptop", "--only", "MI=2000,RI=500"]]


def test_what_it_takes_is_said_before_it_is_started(open_page, asked, monkeypatch) -> None:
    shared, own = Price(5400.0, 2048.0, 12_000_000), Price(600.0, None, 1_000_000, is_measured=False)

    def parts(view: CellView, *_: object) -> dict[str, Price]:
        return {"recover images": shared, f"evaluate {view.row} {view.column}": own}

    monkeypatch.setattr(table_view_module, "_parts", parts)
    app = open_page(PAGE, **SMALL, cell="2000,500")
    guess = "a guess: nothing alike was measured here"
    # once 1 h 30 min for the images of all, and 10 min for the students of each
    assert f"about 2 h 30 min, 2.1 GB of memory, 18 MB of disk, {guess} · 0 of 6 measured" in captions(app)
    assert f"about 1 h 40 min, 2.1 GB of memory, 13 MB of disk, {guess}" in captions(app)
    assert "In turn: recover images, 1 h 30 min; train students, 10 min" in captions(app)


def test_networks_that_are_fetched_or_trained_first_are_said(open_page, asked, monkeypatch) -> None:
    hour, ref = Price(3600.0, None, 0), "torchvision:resnet18"

    def with_work(view: CellView, _looked: object) -> CellView:
        parts = {"squeeze one": hour, "squeeze other": hour}
        return replace(view, parts=parts, published={"squeeze one": ref})

    monkeypatch.setattr(table_view_module, "_with_work", with_work)
    said = captions(open_page(PAGE, **SMALL))
    shown = ref.replace(":", r"\:")  # or it would be the name of a picture
    assert f"weights of {shown} are fetched; where they cannot be, training takes 1 h 0 min of it; 1 network to" in said
    said = captions(open_page(PAGE, **SMALL, cell="2000,500"))
    turn = f"In turn: fetch {shown} (where that fails, training it takes 1 h 0 min); train a network, 1 h 0 min."
    assert turn in said


def test_all_networks_of_a_committee_are_counted(open_page, asked, monkeypatch) -> None:
    hour, refs = Price(3600.0, None, 0), ("torchvision:resnet18", "torchvision:mobilenet_v2")

    def with_work(view: CellView, _looked: object) -> CellView:
        parts = {f"squeeze {number}": hour for number in range(5)} | {"recover images": hour}
        return replace(view, parts=parts, published=dict(zip(("squeeze 0", "squeeze 1"), refs, strict=True)))

    monkeypatch.setattr(table_view_module, "_with_work", with_work)
    said = captions(open_page(PAGE, **SMALL, cell="2000,500")).replace("\\", "")
    fetched = f"In turn: fetch {', '.join(refs)} (where that fails, training them takes 2 h 0 min)"
    assert f"{fetched}; train 3 networks, 3 h 0 min; recover images, 1 h 0 min." in said


def test_the_outside_network_is_among_what_is_fetched_first(open_page, asked, monkeypatch) -> None:
    place = Place("imagenet-1k", "ImageNet-1K", "ready")
    monkeypatch.setattr(table_needs, "place_of", lambda _name: place)
    said = captions(open_page(PAGE, table="cda-9", scale="paper", cell="cda,whole")).replace("\\", "")
    assert "the outside network torchvision:mobilenet_v2 is fetched" in said
    assert "In turn: fetch torchvision:resnet18 (where that fails, training it takes" in said
    assert "; fetch the outside network torchvision:mobilenet_v2; recover images" in said


def test_cells_whose_ranker_needs_data_that_is_not_here_are_not_started(open_page, asked, monkeypatch) -> None:
    """ImageNet-100 is here, but DELT's patches are ranked by a network of ImageNet-1K at 128 px."""
    states = {"imagenet-100": "ready"}
    monkeypatch.setattr(table_needs, "place_of", lambda name: Place(name, name, states.get(name, "missing")))
    app = open_page(PAGE, table="delt-2", scale="paper")
    assert app.button(key="papers/start").label == "Run 3 missing cells"
    press(app, "papers/start")
    assert asked == [["reproduce", "delt-2", "--only", "dataset=imagenet-100,method=rded"]]
    assert app.expander[0].label.startswith("15 cells need data")


def test_where_the_last_cells_are_at_work_not_all_count_as_measured(open_page, home, asked, monkeypatch) -> None:
    measure(home, 1000, 500, (49.0, 50.0, 51.0))
    monkeypatch.setattr(table_view_module, "_state", lambda *_: "running")
    app = open_page(PAGE, **SMALL)
    assert "1 of 6 measured, the others are at work." in texts(app)
    assert "Measured:" not in texts(app)


def test_work_can_be_seen_and_stopped_and_its_error_is_said(open_page, home, asked, monkeypatch) -> None:
    task = data.task_of("delt-4c", "laptop")
    put_task(task, "1 of 6, DELT Table 4c, MI 1,000, RI 500: recover")
    stopped: list[str] = []
    monkeypatch.setattr(tasks.Task, "forget", lambda work: stopped.append(work.name))
    app = open_page(PAGE, **SMALL)
    assert "MI 1,000, RI 500: recover" in captions(app)
    assert "papers/start" not in keys(app)
    press(app, "papers/stop")
    assert stopped == [task.name]
    put_task(task, "Error: teacher: there is none.", is_running=False)
    app = open_page(PAGE, **SMALL)
    assert "There is none." in app.error[0].value
    (task.path / "log.txt").write_text("Stopped: run a: it was paused.\n")
    app = open_page(PAGE, **SMALL)
    assert not app.error
    assert "it was paused" in captions(app)


def test_cells_fill_while_the_work_goes_on(open_page, home, asked) -> None:
    put_task(data.task_of("delt-4c", "laptop"), "1 of 6, DELT Table 4c, MI 1,000, RI 500: evaluate")
    app = open_page(PAGE, **SMALL)
    assert (cells_of(app)["1000,500"]["here"], cells_of(app)["4000,500"]["here"]) == ("", "")
    assert "**At work** · 0 of 6 measured" in texts(app)
    measure(home, 1000, 500, (49.0, 50.0, 51.0))
    app.run()  # as the fragment does by itself while the task is at work
    assert (cells_of(app)["1000,500"]["here"], cells_of(app)["4000,500"]["here"]) == ("51.0", "")
    assert "**At work** · 1 of 6 measured" in texts(app)


def test_a_measure_that_another_process_stores_is_seen(asked, open_page) -> None:
    one = next(one for one in data.view_of("cda-9", "laptop").cells if one.row == ("real",))
    assert (one.state, data.counts("laptop")["cda-9"].measured) == ("missing", 0)
    judge = read_card(outside_network(teacher_of(one.cell)))
    image_measures._JUDGED.write(image_measures._key(one.cell, judge, None), {"whole": 80.0, "crops": 60.0})
    now = {one.column: one for one in data.view_of("cda-9", "laptop").cells if one.row == ("real",)}
    assert {place: (own.state, own.measured.mean) for place, own in now.items()} == {
        ("whole",): ("finished", 80.0),
        ("crops",): ("finished", 60.0),
    }
    assert data.counts("laptop")["cda-9"].measured == 2


def test_what_was_learned_in_steps_is_looked_at_for_changes(asked) -> None:
    found = []
    for seed in (0, 1):
        CONTINUALS.write(CONTINUALS.folder / "asked", {"steps": 5}, [{"seed": seed, "steps": []}])
        found.append({path: stamp(path) for path in read_besides_runs()})
    own = CONTINUALS.folder / "asked" / "continual.json"
    assert found[0][own] != found[1][own]
    assert {teachers_dir(), second_dir(), stored_path("any").parent} < set(found[0])


def test_runs_with_other_settings_stand_near(open_page, home, asked) -> None:
    experiment = fake_experiment(ipc=10).replace(dataset="cifar10")
    run = prepare(home / "runs" / "20260101-000000-other", experiment, CIFAR10)
    run.update(dataset=dataset_record("cifar10", CIFAR10))
    run.set_status("finished", seconds=2.0)
    students = make_evaluation(home / "runs" / "20260102-000000-students", run, student_width=1.0)
    app = open_page(PAGE, table="delt-1", scale="paper", cell="cifar10,10,resnet18,delt")
    assert cells_of(app)["cifar10,10,resnet18,delt"]["here"] == "1 near"
    rows = next(frame.value for frame in app.dataframe if "Published" in frame.value.columns)
    (row,) = rows[rows["Setting"] == "Recovery: Iterations (MI)"].to_dict("records")
    assert (row["Here"], row["Published"]) == ("40", "4,000")
    assert f"papers/near/open/{students.id}" in keys(app)
    press(app, "papers/start")
    only = "dataset=cifar10+imagenette"  # the others have to be put in place by hand
    assert asked == [["reproduce", "delt-1", "--only", only]]


def test_the_page_opens_on_the_real_row_once_it_was_measured(open_page, home, address, asked) -> None:
    measure_real_row(home)
    app = open_page(PAGE)
    assert address(app) == {"table": "delt-1", "scale": "paper"}
    switch = app.toggle(key="papers/only/delt-1/paper")
    assert (switch.label, switch.value) == ("Only rows with a measured number", True)
    rows = [[label["text"] for label in row["labels"]] for row in table_of(app)["rows"]]
    assert rows == [["CIFAR-10", "1"]]
    assert cells_of(app)["cifar10,1,resnet18,delt"]["here"] == "24.0"  # the best tested epoch
    switch.set_value(False).run()
    assert len(table_of(app)["rows"]) == 15  # five datasets at three numbers of images a class
    app = open_page(PAGE, table="delt-1", scale="laptop")
    assert "papers/only/delt-1/laptop" not in {one.key for one in app.toggle}  # nothing was measured there


def test_a_measured_cell_says_in_what_it_still_differs(open_page, home, asked) -> None:
    students = measure_real_row(home)
    app = open_page(PAGE, table="delt-1", scale="paper", cell="cifar10,1,resnet18,delt")
    assert f"papers/finished/open/{students.id}" in keys(app)
    shown = next(table.value for table in app.table if "Published" in table.value.columns)
    rows = {row["Setting"]: (row["Here"], row["Published"], row["From"]) for row in shown.to_dict("records")}
    assert rows["Image files"] == ("PNG", "JPEG, quality 75", "published code")
    assert rows["Epochs of the teacher"][0] == "100"
    assert rows["Statistics of the images"][0] == "the dataset's own"
    assert "Seeds" not in rows  # three, as published
    app = open_page(PAGE, table="delt-1", scale="paper", cell="cifar10,10,resnet18,delt")
    assert not any("Published" in table.value.columns for table in app.table)


def test_what_cannot_be_run_says_why(open_page, asked, home) -> None:
    app = open_page(PAGE, table="cda-1", scale="paper", cell="10,dsa")
    assert "DSA is not here." in texts(app)
    assert cells_of(app)["10,dsa"]["here"] == "not here"
    app = open_page(PAGE, table="delt-4c", scale="paper")
    assert app.button(key="papers/start").disabled
    assert "ImageNet-1K" in texts(app)
    broken = home / "runs" / "20260104-000000-broken"
    broken.mkdir(parents=True)
    (broken / "run.json").write_text("{")
    app = open_page(PAGE, table="none-such", scale="laptop")
    assert "none-such" in app.warning[0].value
    assert "1 run cannot be read" in captions(app)


def test_where_crops_fall_is_drawn(open_page) -> None:
    app = open_page(PAGE, table="cda-fig2")
    assert not app.exception
    assert json.loads(app.get("plotly_chart")[0].proto.spec)["layout"]["shapes"]


def test_settings_are_shown_as_printed(open_page, asked) -> None:
    app = open_page(PAGE, table="delt-8", scale="paper")
    shown = app.table[0].value
    (row,) = shown[shown["Setting"] == "Recovery iteration"].to_dict("records")
    assert (row["CIFAR-10"], row["ImageNet-1K"]) == ("4000", "4000")


@pytest.mark.parametrize(
    ("name", "form", "x", "series", "panel"),
    [
        ("delt-1", "bars", ("dataset", "ipc"), ("method",), ("student",)),
        ("delt-4a", "lines", ("patches",), ("dataset",), ()),
        ("delt-4b", "bars", ("selection",), ("dataset",), ()),
        ("delt-4c", "heat", ("RI",), ("MI",), ()),
        ("delt-4d", "bars", ("dataset",), ("method",), ()),
        ("delt-12", "lines", ("crop",), ("dataset",), ()),
        ("cda-2", "lines", ("alpha",), ("type",), ()),
        ("cda-7", "bars", ("student",), ("teacher", "method"), ()),
        ("cda-18", "lines", ("milestone",), ("scheduler",), ()),
        ("cda-20", "bars", ("student",), (), ("metric",)),
        ("cda-fig7", "lines", ("classes",), ("method",), ("steps",)),
    ],
)
def test_figures_have_the_form_of_the_papers(name, form, x, series, panel) -> None:
    assert figures.layout(find_table(name)) == (form, x, series, panel)


def test_lines_of_continual_learning_stand_in_two_panels_along_rising_classes(open_page, asked) -> None:
    app = open_page(PAGE, table="cda-fig7", scale="paper")
    layout = json.loads(app.get("plotly_chart")[0].proto.spec)["layout"]
    assert [note["text"] for note in layout["annotations"]] == ["Steps 5", "Steps 10"]
    orders = [[int(place) for place in layout[axis]["categoryarray"]] for axis in ("xaxis", "xaxis2")]
    assert orders == [list(range(40, 201, 40)), list(range(20, 201, 20))]
    for trace in traces(app):
        assert trace["x"] == [str(place) for place in orders[trace["xaxis"] == "x2"]]


def test_settings_of_a_number_name_their_tables() -> None:
    view = table_view("delt-4c", runs=())
    rows = {row["Setting"]: row for row in cell.settings_rows(view.cells[0].cell)}
    assert (rows["Iterations (MI)"]["Value"], rows["Iterations (MI)"]["From"]) == ("1000", "DELT Table 4c")
    assert work.command(view, view.cells[1])[-1] == "MI=1000,RI=1000"
