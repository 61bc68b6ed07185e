"""Diversity: what is measured is drawn beside real images at equal numbers, what is not has a button."""

from __future__ import annotations

import base64
import io
import shlex
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from fake_runs import fake_experiment, make_finished_run
from page_helpers import captions, press, table_with, texts, traces
from PIL import Image

from delt_engine.analysis.diversity_store import DiversityResult
from delt_engine.analysis.embedding import Embedding
from delt_engine.jobs import tasks
from delt_engine.pipeline.image_sets import Subject
from delt_engine.pipeline.measure import space_network
from delt_engine.runs.store import Run
from delt_engine.runs.titles import example_runs
from pages.shared.diversity import data
from pages.shared.real_pictures import COLUMNS, real_sheet

PAGE = "explore/diversity"


def result(subject: Subject, value: float, space: str = "teacher") -> DiversityResult:
    """What a measurement might find: ``value`` for the first class, less for the others."""
    seen, count, data = space_network(subject, space), len(subject.classes), subject.dataset
    cosine = np.stack([np.full((1, subject.ipc), value - 0.1 * place) for place in range(count)])
    halves = np.tile([[0.9, 0.8], [0.5, 0.4]], (count, 1, 1)) if subject.rounds else np.zeros((0, 2, 2))
    about = {name: getattr(subject, name) for name in ("source", "title", "method", "classes", "ipc", "rounds")}
    of_data = {"dataset": data.name, "dataset_fingerprint": data.fingerprint, "class_names": data.class_names}
    network = {"network": seen.name, "network_title": seen.title, "network_fingerprint": seen.fingerprint}
    index = np.broadcast_to(np.arange(subject.ipc), cosine.shape)
    numbers = {"cosine": cosine, "index": index, "pairwise": cosine.mean(axis=2) - 0.2, "halves": halves}
    return DiversityResult(**about, **of_data, **network, **numbers, space=space, seed=0)


@pytest.fixture
def measured(monkeypatch) -> dict[tuple[str, str], float]:
    """Pretend that these (source, space) were measured, with that similarity."""
    known: dict[tuple[str, str], float] = {}

    def stored(subject: Subject, space: str = "teacher", **_rest):
        value = known.get((subject.source, space))
        return None if value is None else result(subject, value, space)

    monkeypatch.setattr("pages.shared.diversity.data.stored_result", stored)
    monkeypatch.setattr("pages.shared.diversity.embedding.stored_embedding", lambda *_rest: None)
    return known


@pytest.fixture
def asked(monkeypatch) -> list[list[str]]:
    """Replace processes by a note of their commands."""
    found: list[list[str]] = []
    monkeypatch.setattr(tasks, "start", lambda work, words: found.append(list(words)) or work)
    return found


def make(home: Path, name: str, method: str = "delt", ipc: int = 10) -> Run:
    return make_finished_run(home / "runs" / f"20260101-000000-{name}", fake_experiment(method, ipc))


def test_curves_of_runs_and_real_images_and_their_halves(open_page, home, measured) -> None:
    delt, cda = make(home, "a"), make(home, "b", "cda")
    measured |= {(delt.id, "teacher"): 0.8, (cda.id, "teacher"): 0.9, ("real", "teacher"): 0.7}
    app = open_page(PAGE)
    found = {trace["name"]: trace for trace in traces(app)}
    assert set(found) == {"DELT", "CDA", "Real images (mean of draws)"}
    assert found["DELT"]["y"] == pytest.approx([0.8, 0.7, 0.6])
    assert found["Real images (mean of draws)"]["line"]["dash"] == "dash"
    assert any("Not measured yet, teacher: Random real images" in entry.value for entry in app.markdown)
    table = table_with(app, "Cosine to centroid")
    assert dict(zip(table["Images"], table["Cosine to centroid"].round(4), strict=True))["CDA"] == 0.8
    assert {button.label for button in app.get("download_button")} >= {"CSV", "LaTeX", "Markdown"}
    words = {text for trace in traces(open_page(PAGE, figure="groups")) for text in trace.get("text") or []}
    schedule = delt.experiment.recover.schedule.image_iterations_each
    assert words >= {f"{schedule[0]} to {schedule[4]} iterations", f"{schedule[5]} to {schedule[9]} iterations"}


def test_space_and_choice_stand_in_the_address(open_page, home, measured, address) -> None:
    first, second = make(home, "a"), make(home, "b", "sre2l")
    measured |= {(first.id, "pixels"): 0.3, (second.id, "pixels"): 0.4}
    app = open_page(PAGE, space="pixels", runs=second.id)
    assert [trace["name"] for trace in traces(app)] == ["SRe²L"]
    assert "It sees colour and place, not content." in captions(app)
    app.segmented_control(key="diversity/space").set_value("teacher").run()
    assert address(app).get("space") is None
    assert address(app)["runs"] == second.id


def test_the_newest_run_stands_beside_the_examples(open_page, home, measured) -> None:
    examples = [
        make_finished_run(home / "assets" / "examples" / f"photos-{name}", fake_experiment(name, 10))
        for name in ("delt", "cda")
    ]
    older, newest = make(home, "a"), make(home, "b", "sre2l", 4)
    chosen = open_page(PAGE).multiselect(key="diversity/runs")
    assert chosen.value == [newest.id]  # alone at its number of images
    app = open_page(PAGE, run=older.id)
    assert app.multiselect(key="diversity/runs").value == [*(run.id for run in examples), older.id]
    app = open_page(PAGE, run="nothing")
    assert "There is no run nothing here" in app.warning[0].value


def test_the_claim_is_told_in_the_numbers_that_are_shown(open_page, home, measured) -> None:
    delt, cda = make(home, "a"), make(home, "b", "cda")
    measured |= {(delt.id, "teacher"): 0.8, (cda.id, "teacher"): 0.9}
    app = open_page(PAGE, figure="groups")
    assert "at the same MI, here 40: DELT (0.700), CDA (0.800)" in texts(app)
    assert "early 0.900, late 0.500" in texts(app)
    boxes = [trace for trace in traces(open_page(PAGE, figure="boxes")) if trace["type"] == "box"]
    assert {box["name"]: len(box["x"]) for box in boxes} == {"DELT": 30, "CDA": 30}


def test_what_is_missing_is_measured_by_a_task(open_page, home, measured, asked) -> None:
    run = make(home, "a")
    app = open_page(PAGE)
    command = f"delt diversity {run.id} --reference real,random"
    assert command in [block.value for block in app.code]
    press(app, "diversity/measure", "diversity/map")
    assert asked[0] == shlex.split(command)[1:]
    assert asked[1] == ["diversity", run.id, "--reference", "none", "--space", "teacher", "--map"]


def test_one_image_a_class_has_no_similarity_and_runs_of_other_sizes_are_another_choice(
    open_page, home, measured
) -> None:
    make(home, "a", ipc=1)
    assert any("IPC 1 has no similarity" in entry.value for entry in open_page(PAGE).info)
    make(home, "b", ipc=4)
    ten = make(home, "c", ipc=10)
    assert open_page(PAGE, ipc="10").multiselect(key="diversity/runs").value == [ten.id]


def test_the_map_shows_each_image_under_its_point(open_page, home, measured, monkeypatch) -> None:
    run = make(home, "a", ipc=4)
    made = Embedding(
        sources=("real", run.id),
        titles=("Real images", "DELT"),
        methods=("real", "delt"),
        shown=(2, 3),
        totals=(1500, 12),
        class_names=run.class_names,
        space="teacher",
        network_title="resnet18",
        seed=0,
        explained=(0.5, 0.25),
        pca=np.zeros((5, 2)),
        tsne=np.linspace(0, 1, 10).reshape(5, 2),
        set_number=[0, 0, 1, 1, 1],
        class_index=[0, 2, 0, 0, 1],
        index=[3, 77, 0, 2, 1],
    )
    drawn = {}
    monkeypatch.setattr("pages.shared.diversity.embedding.stored_embedding", lambda *_rest: made)
    monkeypatch.setattr("pages.shared.diversity.embedding._map", lambda key, data, **_rest: drawn.update(data))
    monkeypatch.setattr("pages.shared.cached.is_at_hand", lambda _name: False)
    app = open_page(PAGE)
    assert "5 of 1,512 images are shown" in captions(app)
    assert list(zip(drawn["names"], drawn["s"], drawn["t"], strict=True)) == [
        ("astronaut, image 4", -1, 0),
        ("coffee, image 78", -1, 1),
        ("astronaut, image 1", 0, 0),
        ("astronaut, image 3", 0, 2),
        ("cat, image 2", 1, 1),
    ]
    assert (drawn["c"], drawn["i"]) == ((0, 2, 0, 0, 1), (3, 77, 0, 2, 1))
    assert [group["run"] for group in drawn["groups"]] == ["", run.id]  # real images are in no gallery
    assert [sheet["columns"] for sheet in drawn["sheets"]] == [4, 4]
    assert "round-04.png" in drawn["sheets"][0]["url"]
    assert [(group["title"], group["open"]) for group in drawn["groups"]] == [("Real images", True), ("DELT", False)]
    app.selectbox(key="diversity/map_class").set_value("cat").run()
    assert drawn["names"] == ("cat, image 2",)


def test_real_images_of_a_map_are_one_sheet(home, monkeypatch) -> None:
    run = make(home, "a", ipc=4)
    colours = np.zeros((50, 32, 32, 3), np.uint8)
    colours[:, :, :, 0] = 5 * np.arange(50)[:, None, None]
    train = SimpleNamespace(pixels=lambda indices: colours[indices])
    data = SimpleNamespace(fingerprint="f00d", train=train)
    monkeypatch.setattr("pages.shared.cached.dataset", lambda *_of: data)
    indices = tuple(range(49, 9, -1))
    sheet = Image.open(io.BytesIO(base64.b64decode(real_sheet(run, indices).partition(",")[2])))
    assert sheet.size == (32 * COLUMNS, 64)  # 40 tiles in lines of 32
    shown = [sheet.getpixel((tile % COLUMNS * 32 + 16, tile // COLUMNS * 32 + 16))[0] for tile in range(40)]
    assert shown == pytest.approx([5 * index for index in indices], abs=4)
    data.fingerprint = "another"  # the photographs were exchanged since: no picture rather than a wrong one
    assert real_sheet(run, indices) == ""


def test_two_ways_to_make_squares_are_one_choice_where_both_show_the_whole_picture() -> None:
    runs = [run for run in example_runs() if run.experiment.dataset == "cifar10" and run.record().kind == "recover"]
    assert {run.record().dataset.resize for run in runs} == {"whole", "published"}
    assert {data._title(run) for run in runs} == {"CIFAR-10, 32 px"}
    assert len({data._dataset(run) for run in runs}) == 1
