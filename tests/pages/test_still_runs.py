"""Runs that optimise nothing: they open everywhere, say so, and are planned without MI and RI."""

from __future__ import annotations

import pytest
from fake_runs import fake_experiment, make_finished_run, make_half_done_run
from page_helpers import move, pair, texts

from delt_engine.config import Experiment
from pages.shared.nav import PAGES
from pages.shared.runs import class_rows
from pages.shared.runs.progress import progress


@pytest.fixture
def still(home):
    return make_finished_run(home / "runs" / "20260105-000000-photos-random-ipc4-eeee", fake_experiment("random"))


@pytest.mark.parametrize("name", [entry.name for entry in PAGES])
def test_every_page_opens_with_nothing_but_a_run_that_is_not_optimised(still, name, open_page) -> None:
    app = open_page(name, run=still.id)
    assert not app.error


def test_its_start_is_its_only_frame_and_its_images_do_not_wait(still) -> None:
    made = class_rows.film(still, still.classes)
    assert (made.rounds, [frame.label for frame in made.frames]) == ([0], ["Not optimised"])
    assert [(head.title, head.note) for head in made.head] == [("Real patches", "not optimised")]
    cells = [cell for row in made.rows for cell in row.cells]
    assert len(cells) == 12
    assert {cell.joins for cell in cells} == {0}
    assert cells[0].alt == "astronaut, image 1: a real patch, not optimised"


def test_gallery_and_detail_say_that_nothing_was_optimised(still, finished, home, open_page) -> None:
    app = open_page("explore/gallery", run=still.id, cls="cat", img="3")
    assert "It is a real patch, not optimised." in texts(app)
    assert "Nothing was optimised: the image is its patch." in texts(app)
    assert "MI 0" not in texts(app)
    assert not open_page("explore/gallery", run=finished.id, vs=still.id).exception  # beside an optimised run
    half = make_half_done_run(home / "runs" / "20260106-000000-photos-rded-ipc4-ffff", fake_experiment("rded"))
    for page in ("distill/recover", "explore/gallery"):
        open_page(page, run=half.id)


def test_the_view_of_the_run_has_no_losses(still, open_page) -> None:
    app = open_page("distill/recover", run=still.id)
    assert "Random real · IPC 4 · not optimised" in texts(app)
    assert "not optimised: the images are the selected patches" in texts(app)
    assert not app.get("plotly_chart")
    assert progress(still).fraction == 1


def test_the_form_hides_mi_and_ri_and_brings_them_back(open_page, started) -> None:
    app = open_page("distill/recover")
    move(app, iterations=400)
    app.segmented_control(key="recover/method").set_value("rded").run()
    assert not app.get("bidi_component")
    assert app.selectbox(key="recover/criterion").value == "top"
    assert "RDED optimises nothing, so there is no MI and no RI." in texts(app)
    assert "--method rded" in app.code[-1].value
    app.number_input(key="recover/ipc").set_value(3).run()
    app.button(key="recover/start").click().run()
    expected = Experiment.for_method("rded", size=32, recover={"ipc": 3})
    assert started.experiments[0][0] == expected

    app = open_page("distill/recover")
    app.segmented_control(key="recover/method").set_value("random").run()
    assert app.selectbox(key="recover/criterion").value == "random"
    app.pills(key="recover/preset").set_value("Tiny").run()  # sets only its IPC
    assert (
        app.session_state["delt/session"].draft.recover == Experiment.for_method("random", recover={"ipc": 4}).recover
    )
    app.segmented_control(key="recover/method").set_value("cda-init").run()
    assert app.selectbox(key="recover/criterion").value == "medium"
    assert pair(app) == (200, 50)
    assert not app.toggle(key="recover/early_late").value
