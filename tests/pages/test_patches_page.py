"""Patches: the ranking of a class, what the criteria choose of it, and what happens when there is none yet."""

from __future__ import annotations

import numpy as np
import pytest
from page_helpers import captions, components, keys, photos_card, texts

from delt_engine.config import RankConfig
from delt_engine.data.catalogue import find_entry, load_dataset
from delt_engine.errors import CheckpointError
from delt_engine.models.card import TeacherCard
from delt_engine.patches.orders import median_order
from delt_engine.patches.ranking import Ranking, cached_ranking
from delt_engine.runs.events import StageEvent
from delt_engine.runs.processes import this_process
from pages.shared import cached, real_pictures
from pages.shared import session as session_module
from pages.shared.patches import band

PAGE = "distill/patches"
CHOSEN, MOSAICS, EXTREMES, ALL = range(4)
"""Which grid of the page is which."""


@pytest.fixture
def card(monkeypatch) -> TeacherCard:
    made = photos_card()
    monkeypatch.setattr(cached, "teacher", lambda *_: made)
    monkeypatch.setattr(cached, "cached_ranking", lambda *_: None)
    return made


@pytest.fixture
def ranking(card, monkeypatch) -> Ranking:
    """Probabilities that rise with the image's place in its class."""
    data = load_dataset("photos")
    n = len(data.train)
    probs = np.empty(n, np.float32)
    for number in range(10):
        rows = data.train.of_class(number)
        probs[rows] = np.linspace(0.1, 0.9, len(rows))
    boxes = np.array([[0, 0, *data.train.size(index)] for index in range(n)])
    scores, names = (np.arange(n), boxes, data.train.labels, probs), data.spec.class_names
    whose = ("photos", data.fingerprint, card.name, card.fingerprint)
    made = Ranking(*scores, *whose, 32, RankConfig(), names)
    monkeypatch.setattr(cached, "cached_ranking", lambda *_: made)
    monkeypatch.setattr(real_pictures, "alike_patches", lambda _name, _size, rows, *_: np.zeros((len(rows),) * 2, bool))
    return made


def chosen(app) -> list[str]:
    return [cell["counts"][0] for cell in components(app)[0]["rows"][0]["cells"]]


def expected(ranks: list[int]) -> list[str]:
    return [f"p {probability:.3f}" for probability in np.linspace(0.1, 0.9, 500)[ranks]]


def test_the_medium_patches_are_chosen_in_the_published_order_beside_others(open_page, ranking, address) -> None:
    app = open_page(PAGE, data="photos")
    assert chosen(app) == expected(median_order(500)[:10])
    grids = components(app)
    lines = [cell["lines"] for cell in grids[CHOSEN]["rows"][0]["cells"]]
    assert (lines[0], lines[-1]) == (["round 1", "200 iter."], ["round 4", "50 iter."])
    rows = grids[EXTREMES]["rows"]
    assert [row["title"] for row in rows] == ["Hardest (min)", "Medium", "Easiest (top)", "Random"]
    assert (rows[0]["cells"][0]["counts"], rows[2]["cells"][-1]["counts"]) == (["p 0.100"], ["p 0.900"])
    mosaics = [cell["counts"][0] for cell in grids[MOSAICS]["rows"][0]["cells"]]
    assert mosaics == [f"{k} x {k}" for k in range(1, 7)]
    assert not app.dataframe
    app.toggle(key="patches/table").set_value(True).run()
    table = app.dataframe[0].value
    assert (len(table), table["Joins in round"].notna().sum()) == (500, 10)
    assert table["Patch"][0].startswith("data:image/png")
    app = open_page(PAGE, data="photos", cls="coffee")
    assert app.selectbox(key="patches/class").value == "coffee"
    app.selectbox(key="patches/class").set_value("temple").run()
    assert address(app)["cls"] == "temple"


def test_criterion_order_mosaic_and_ipc_change_what_is_chosen_and_the_next_run(open_page, ranking) -> None:
    app = open_page(PAGE, data="photos")
    app.number_input(key="patches/mosaic").set_value(2).run()
    assert len(components(app)[CHOSEN]["sheets"]) == 10
    assert any("40 patches" in entry.value for entry in app.caption)
    app.number_input(key="patches/mosaic").set_value(1)
    app.number_input(key="patches/ipc").set_value(600).run()
    assert "has 500 patches" in app.error[0].value
    app.selectbox(key="patches/criterion").set_value("top")
    app.selectbox(key="patches/order").set_value("ascending")
    app.number_input(key="patches/ipc").set_value(3).run()
    assert chosen(app) == expected([497, 498, 499])
    app.button(key="patches/use").click().run()
    assert app.title[0].value == "Recover"
    assert app.selectbox(key="recover/criterion").value == "top"
    assert app.number_input(key="recover/ipc").value == 3


def test_all_patches_are_paged_sorted_and_the_chosen_ones_marked(open_page, ranking) -> None:
    app = open_page(PAGE, data="photos")
    cells = components(app)[ALL]["rows"][0]["cells"]
    assert len(cells) == 100
    assert cells[0]["counts"] == ["p 0.100"]
    assert not any(cell["lines"] for cell in cells)
    app.get("pagination")[0].set_value(3).run()
    marked = [cell for cell in components(app)[ALL]["rows"][0]["cells"] if cell["lines"]]
    assert len(marked) == 10  # the median lies on page 3 of 5
    app.segmented_control(key="patches/sort").set_value("easiest first").run()
    app.get("pagination")[0].set_value(1).run()
    assert components(app)[ALL]["rows"][0]["cells"][0]["counts"] == ["p 0.900"]


def test_without_a_ranking_one_button_makes_it_and_says_how_far_it_is(open_page, card, started) -> None:
    app = open_page(PAGE, data="photos")
    assert "has not ranked these images yet" in app.info[0].value
    app.button(key="patches/rank").click().run()
    assert [kind for _, kind in started.experiments] == ["rank"]
    run = started.runs[0]
    assert f"patches/stop/{run.id}" in {entry.key for entry in app.button}
    run.event(StageEvent(stage="rank", done=1250, total=5000))
    run.set_status("running", process=this_process())
    app.run()
    bar = app.main.get("progress")[0].proto
    assert (bar.value, bar.text) == (25, "Ranking patches by the teacher's probability, 1,250 of 5,000")
    app = open_page(PAGE, data="photos")
    app.number_input(key="patches/crops").set_value(5).run()
    assert "has not ranked these images yet" in app.info[0].value


def test_a_ranking_is_imported_and_ranks_from_then_on_and_another_file_is_a_sentence(
    open_page, card, tmp_path, monkeypatch
) -> None:
    monkeypatch.setenv("DELT_HOME", str(tmp_path))
    monkeypatch.setattr(cached, "cached_ranking", cached_ranking)
    monkeypatch.setattr(real_pictures, "alike_patches", lambda _name, _size, rows, *_: np.zeros((len(rows),) * 2, bool))
    data = load_dataset("photos")
    rows = [f"{i % 500 / 500},{name.removeprefix('train/')},x" for i, name in enumerate(data.train.names)]
    app = open_page(PAGE, data="photos")
    app.get("file_uploader")[0].upload("mine.csv", b"score,img_path,class\n0.5,cat/x.png,cat\n", "text/csv").run()
    assert "none of the 1 images in mine.csv" in app.error[0].value
    assert not list(tmp_path.rglob("mine.csv"))
    table = "\n".join(["score,img_path,class", *rows]).encode()
    app.get("file_uploader")[0].upload("mine.csv", table, "text/csv").run()
    assert "Ranking imported from mine.csv." in captions(app)
    (kept,) = map(str, tmp_path.rglob("mine.csv"))
    assert app.selectbox(key="patches/ranker").value == kept
    assert len(chosen(app)) == 10
    app.button(key="patches/use").click().run()
    assert app.selectbox(key="recover/ranker").value == kept


def test_without_a_teacher_it_says_how_to_get_one(open_page, monkeypatch) -> None:
    def none(*_):
        raise CheckpointError("teacher: there is none for photos; train one with `delt squeeze --dataset photos`.")

    monkeypatch.setattr(cached, "teacher", none)
    app = open_page(PAGE, data="photos")
    assert "delt squeeze --dataset photos" in app.info[0].value
    assert len(components(app)[0]["rows"][0]["cells"]) == 60


def test_a_dataset_that_is_not_here_is_fetched_by_a_process(open_page, started, monkeypatch) -> None:
    app = open_page(PAGE, data="photos")
    monkeypatch.setattr(cached, "load_dataset", lambda *_, **__: pytest.fail("the page itself fetched a dataset"))
    app.selectbox(key="patches/dataset").set_value("cifar10").run()
    assert "cifar10 is not on this machine yet" in app.info[0].value
    app.button(key="patches/rank").click().run()
    experiment, kind = started.experiments[0]
    assert (experiment.dataset, kind) == ("cifar10", "rank")


def test_a_folder_that_is_not_there_is_one_sentence(open_page) -> None:
    app = open_page("distill/recover")
    app.session_state["delt/session"].change(dataset="/nowhere/pets")
    app.switch_page(f"pages/{PAGE}.py").run()
    assert [entry.value for entry in app.error] == ["The folder /nowhere/pets does not exist."]


def test_the_band_chooses_at_once_and_the_next_run_takes_it(open_page, ranking, started) -> None:
    app = open_page(PAGE, data="photos")
    app.slider(key="patches/window").set_value((0.2, 0.25)).run()
    shown = components(app)[ALL]["rows"][0]["cells"]
    assert all(0.2 <= float(cell["counts"][0].removeprefix("p ")) <= 0.25 for cell in shown)
    inside = [rank for rank, p in enumerate(np.linspace(0.1, 0.9, 500)) if 0.2 <= p <= 0.25]
    assert chosen(app) == expected([inside[at] for at in median_order(len(inside))[:10]])
    assert f"**{len(inside)} in the band**, the 10 around its median are chosen. The same in every class." in texts(app)
    app.selectbox(key="patches/class").set_value("coffee").run()
    assert app.slider(key="patches/window").value == (0.2, 0.25)
    app.slider(key="patches/window").set_value((0.2, 0.2)).run()
    assert "**None in the band**, then the 10 nearest to it" in texts(app)
    app.slider(key="patches/window").set_value((0.2, 0.25)).run()
    app.switch_page("pages/distill/recover.py").run()
    app.button(key="recover/start").click().run()
    select = started.experiments[0][0].select
    assert (select.min_probability, select.max_probability, select.pinned) == (0.2, 0.25, ())
    app.switch_page(f"pages/{PAGE}.py").run()
    app.button(key="patches/show_all").click().run()
    assert app.slider(key="patches/window").value == (0.0, 1.0)


def test_selected_patches_are_pinned_dropped_and_it_is_said_where_they_join(open_page, ranking) -> None:
    app = open_page(PAGE, data="photos")
    before = chosen(app)
    app.session_state[band.LASSO] = (3, 7)
    app.run()
    assert "**2 selected**" in texts(app)
    app.button(key="patches/pin").click().run()
    assert "2 pinned: join in round 4 (50 iterations)." in captions(app)
    assert components(app)[CHOSEN]["rows"][0]["cells"][-1]["lines"] == ["round 4", "50 iter.", "pinned"]
    app.button(key="patches/release_all").click().run()
    app.session_state[band.LASSO] = tuple(median_order(500)[:10])
    app.run()
    app.button(key="patches/drop").click().run()
    assert not set(before) & set(chosen(app))
    app.button(key="patches/release_all").click().run()
    assert chosen(app) == before


def test_near_duplicates_are_marked_and_one_of_each_is_kept(open_page, ranking, monkeypatch) -> None:
    first, second = median_order(500)[:2]

    def alike(_name, _size, indices, *_) -> np.ndarray:
        found = np.zeros((len(indices), len(indices)), bool)
        found[first, second] = found[second, first] = True
        return found

    monkeypatch.setattr(real_pictures, "alike_patches", alike)
    app = open_page(PAGE, data="photos")
    assert "2 of this class are near-duplicates, 1 chosen beside another." in captions(app)
    assert components(app)[CHOSEN]["rows"][0]["cells"][1]["lines"][-1] == "near-duplicate"
    app.button(key="patches/keep_one").click().run()
    assert chosen(app) == expected([rank for rank in median_order(500) if rank != second][:10])
    assert "patches/keep_one" not in keys(app)


def test_a_link_opens_a_dataset_and_what_it_does_not_find_is_said(open_page, card, address) -> None:
    app = open_page(PAGE, data="nowhere", cls="unicorn")
    assert [entry.value for entry in app.warning] == [
        "The link asks for the dataset 'nowhere', which is not here; another one is shown.",
        "The link asks for the class 'unicorn', which is not here; another one is shown.",
    ]
    assert not app.run().warning
    app = open_page(PAGE, data="photos")
    assert app.selectbox(key="patches/class").value == find_entry("photos").striking
    app = open_page(PAGE, data="photos", cls="temple")
    assert (address(app), app.selectbox(key="patches/class").value, len(app.warning)) == (
        {"data": "photos", "cls": "temple"},
        "temple",
        0,
    )


def test_a_drag_is_a_band_and_a_lasso_is_single_patches(open_page, ranking, monkeypatch) -> None:
    state: dict = {}
    monkeypatch.setattr(band.st, "session_state", state)
    state[band.FIGURE] = {"selection": {"box": [{"x": [0.618, -0.2]}], "points": [{"customdata": 3}]}}
    band.take_drag()
    assert state[band.WINDOW] == (0.0, 0.62)
    assert band.selected_ranks(3) == []
    state[band.FIGURE] = {"selection": {"box": [], "points": [{"customdata": [2]}, {"customdata": 1}, {"x": 0.5}]}}
    band.take_drag()
    assert (band.selected_ranks(3), band.selected_ranks(2)) == ([1, 2], [1])
    assert state[band.WINDOW] == (0.0, 0.62)
    band.forget_selected()
    assert band.selected_ranks(3) == []


def test_a_click_pins_as_long_as_there_is_room(open_page, ranking, monkeypatch) -> None:
    now = session_module.Session()
    monkeypatch.setattr(band, "session", lambda: now)
    monkeypatch.setattr(band.st, "session_state", {})
    rows = [int(row) for row in ranking.ascending(0)[[3, 7, 9]]]
    band.pin(ranking, rows[:1], 0, 2)
    band.pin(ranking, rows[1:], 0, 2)
    assert now.draft.select.pinned == (rows[0], rows[1]), "there is room for two"
    band.drop(ranking, rows[:1])
    assert (now.draft.select.pinned, now.draft.select.dropped) == ((rows[1],), (rows[0],))
    band.release(ranking, rows)
    assert now.draft.select.picked_from == ""


def test_picks_of_another_ranking_are_named_and_left_out(open_page, ranking) -> None:
    app = open_page(PAGE, data="photos")
    stale = session_module.Session()
    stale.change(dataset="photos")
    stale.change("select", pinned=(1, 2), picked_from="beef")
    app.session_state["delt/session"] = stale
    app.run()
    assert "2 patches were pinned or dropped in another ranking" in app.warning[0].value
    assert chosen(app) == expected(median_order(500)[:10])
    app.button(key="patches/stale").click().run()
    assert not app.warning
