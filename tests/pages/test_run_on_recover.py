"""A run on the Recover page: at work, stopped, gone, finished, and beside the run that it was made from."""

from __future__ import annotations

import os
import time

import events_of_runs
from fake_runs import fake_experiment, make_finished_run, make_half_done_run, write_fake_round
from page_helpers import captions, move, press

from delt_engine.runs.events import StepEvent
from delt_engine.runs.lineage import parent_of, save_parent
from delt_engine.runs.store import Run
from pages.shared.runs import class_rows
from pages.shared.wording import handle

PAGE = "distill/recover"


def bar(app):
    """The progress of the run on the page; those of the sidebar have no words."""
    return next(entry.proto for entry in app.get("progress") if entry.proto.text)


def test_a_running_run_is_shown_paused_stopped_and_followed_to_its_end(open_page, started, half_done) -> None:
    groups = {"start_rounds": (1, 2), "start_ce_losses": (0.5, 1.5), "memory_mb": 512.3}
    last = half_done.latest_event(StepEvent)
    half_done.event(last.model_copy(update=groups))
    app = open_page(PAGE, run=half_done.id)
    assert "Round 2 of 4, iteration 20 of 40" in bar(app).text
    assert "EarlyLate saves 37.5 % · 512 MB of memory at most" in captions(app)
    assert len(app.get("bidi_component")) == 2  # MI and RI, and the images
    _, losses = app.get("plotly_chart")
    assert "Round 2" in losses.proto.spec
    press(app, f"recover/pause/{half_done.id}", f"recover/stop/{half_done.id}")
    assert started.asked == [("pause", half_done.id), ("cancel", half_done.id)]
    place = {"round": 3, "rounds": 4, "t": 0.9, "iteration": 27, "partial": True}
    half_done.event(events_of_runs.round_written(**place, classes=half_done.classes))
    half_done.set_status("cancelled", process=None)
    app.run()
    stopped = bar(app)  # the last step was told of at 20; it was stopped at 27
    assert "Stopped: round 2 of 4, iteration 27 of 40" in stopped.text
    assert stopped.value == round(100 * (last.image_iterations + 7 * last.joined) / last.image_iterations_total)
    assert class_rows.film_so_far(half_done, [0]).frames[-1].label == "After 20 of 40 iterations"
    write_fake_round(half_done, 0, 3)
    assert class_rows.film_so_far(half_done, [0]).frames[-1].label == "After 27 of 40 iterations"
    assert any("cancelled" in entry.value for entry in app.markdown)
    assert f"recover/resume/{half_done.id}" in [entry.key for entry in app.button]


def test_a_stop_request_on_its_way_is_said_and_not_asked_twice(open_page, started, half_done) -> None:
    half_done.request("cancel")
    os.utime(half_done.path / "control", (0, time.time() + 3600))  # it is not overdue, however long the page takes
    app = open_page(PAGE, run=half_done.id)
    assert any("stopping" in entry.value for entry in app.markdown)
    assert app.button(key=f"recover/stop/{half_done.id}").disabled


def test_a_run_whose_process_is_gone_can_be_resumed(open_page, home, started) -> None:
    run = make_half_done_run(home / "runs" / "20260103-000000-gone", alive=False)
    (run.path / "log.txt").write_text("Killed\n")
    app = open_page(PAGE, run=run.id)
    assert ["Killed" in entry.value for entry in app.error] == [True]
    app.button(key=f"recover/resume/{run.id}").click().run()
    assert started.asked == [("resume", run.id)]


def test_a_finished_run_leads_to_the_gallery_and_to_the_next_run(open_page, home, address) -> None:
    run = make_finished_run(home / "runs" / "20260105-000000-done", fake_experiment("cda", ipc=2))
    app = open_page(PAGE, run=run.id)
    assert "Finished in 2 s on CPU" in captions(app)
    app.button(key=f"recover/open/{run.id}").click().run()
    assert app.title[0].value == "Gallery"
    assert address(app)["run"] == run.id
    app = open_page(PAGE, run=run.id)
    assert "--dataset photos" in app.code[0].value
    app.button(key="recover/reuse").click().run()
    assert "run" not in address(app)
    assert app.segmented_control(key="recover/method").value == "cda"
    assert app.number_input(key="recover/ipc").value == 2


def test_an_unknown_run_is_named_and_one_that_waits_has_no_numbers_yet(open_page, home) -> None:
    app = open_page(PAGE, run="nothing-like-it")
    assert "nothing-like-it is neither a run folder" in app.error[0].value
    assert app.button(key="recover/start")
    app = open_page(PAGE, run=Run.create(home / "runs" / "20260104-000000-waits", fake_experiment()).id)
    assert bar(app).text == "Queued: starting"


def test_a_rerun_marks_what_differs_and_stands_beside_its_parent_or_alone(open_page, finished, started) -> None:
    before = {path: path.read_bytes() for path in finished.path.rglob("*") if path.is_file()}
    app = open_page(PAGE, run=finished.id)
    app.button(key="recover/reuse").click().run()
    assert "Nothing is changed yet" in captions(app)
    move(app, round_iterations=20)
    assert any("Round iterations (RI): 10 → 20" in entry.value for entry in app.markdown)
    app.button(key="recover/start").click().run()
    assert parent_of(started.runs[0]) == finished
    assert f"Repeats {handle(finished)} with 1 change" in captions(app)
    assert app.multiselect(key=f"recover/beside/{started.runs[0].id}").value == [finished.id]
    assert any("Round iterations (RI): 10 → 20" in entry.value for entry in app.markdown)
    assert {path: path.read_bytes() for path in finished.path.rglob("*") if path.is_file()} == before
    app = open_page(PAGE, run=finished.id)
    for deed in ("reuse", "unlink", "start"):
        app.button(key=f"recover/{deed}").click().run()
    assert parent_of(started.runs[1]) is None


def test_a_rerun_of_a_rerun_stands_beside_its_own_parent(open_page, finished) -> None:
    second, third = (make_finished_run(finished.path.parent / f"2026020{n}-000000-again") for n in (1, 2))
    save_parent(second, finished.id)
    save_parent(third, second.id)
    app = open_page(PAGE, run=second.id)
    assert app.multiselect(key=f"recover/beside/{second.id}").value == [finished.id]
    app.query_params.clear()
    app.query_params["run"] = third.id
    app.run()
    assert app.multiselect(key=f"recover/beside/{third.id}").value == [second.id]


def test_images_can_be_seen_over_what_they_started_from(open_page, finished) -> None:
    made = class_rows.film_so_far(finished, [0, 1])
    over = class_rows.over_starts(made, "patch")
    assert [row.note for row in over.rows] == ["", "patch it started from"] * 2
    image, patch = over.rows[2].cells[1], over.rows[3].cells[1]
    assert set(patch.sheets) == {image.sheets[0]}
    app = open_page(PAGE, run=finished.id)
    app.toggle(key="recover/starts").set_value(True).run()
