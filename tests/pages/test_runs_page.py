"""Runs: every run with its state, and what can be asked of it; also runs that are broken."""

from __future__ import annotations

import os
import time

import pytest
from events_of_runs import squeeze_step
from fake_runs import fake_experiment, make_evaluation, make_finished_run, make_half_done_run
from page_helpers import components, keys, texts

from delt_engine.errors import RunError
from delt_engine.jobs import queue, space, start, watchdog
from delt_engine.jobs.leases import Leases
from delt_engine.runs import heartbeat
from delt_engine.runs.heartbeat import Heartbeat
from delt_engine.runs.processes import this_process
from delt_engine.runs.record import now
from delt_engine.runs.store import Run
from delt_engine.runs.titles import RunTitle, read_title, write_title
from delt_engine.runs.workers import FOLDER

PAGE = "manage/runs"


def test_each_run_says_what_it_is_and_what_can_be_asked_of_it(open_page, home, finished, half_done, started) -> None:
    gone = make_half_done_run(home / "runs" / "20260103-000000-gone", alive=False)
    app = open_page(PAGE)
    row = row_of(app, finished)
    assert [text for text, _ in row["cells"][1:8]] == ["DELT", "Photos", "4", "40 / 10", row["cells"][5][0], "", "2 s"]
    assert 0 < row["cells"][5][1] < 1  # the cosine of random pixels
    assert (row["cells"][9][0], len(row["pictures"])) == ("finished", 3)
    assert "3 runs listed, with those of students. Select a run to see what can be done with it" in texts(app)
    app = open_page(PAGE, run=finished.id)
    assert "2 s on CPU · 150 image-iterations/s" in texts(app)
    deeds = {key.split("/")[1] for key in keys(app) if finished.id in key}
    assert {"open", "rerun", "free", "delete", "save"} <= deeds
    assert not {"pause", "stop", "resume", "watch"} & deeds
    assert app.get("download_button")[0].label == "Download ImageFolder"
    for deed, run in (("pause", half_done), ("stop", half_done), ("resume", gone)):
        open_page(PAGE, run=run.id).button(key=f"runs/{deed}/{run.id}").click().run()
    assert started.asked == [("pause", half_done.id), ("cancel", half_done.id), ("resume", gone.id)]


def test_students_stand_under_their_run_and_grids_and_examples_fold(open_page, home, finished) -> None:
    make_finished_run(home / "assets" / "examples" / "photos-delt")
    students = make_evaluation(home / "runs" / "20260102-000000-students", finished)
    cell = make_finished_run(home / "runs" / "20260103-000000-cell")
    write_title(cell, RunTitle("Grid: DELT cat MI 40 / RI 10"))
    app = open_page(PAGE)
    groups = components(app)[0]["groups"]
    assert [(group["title"], group["open"], len(group["rows"])) for group in groups] == [
        ("", True, 1),
        ("Grids of MI x RI, 1 run", False, 1),
        ("Examples, 1 run", False, 1),
    ]
    row = row_of(app, finished)
    assert [child["id"] for child in row["children"]] == [students.id]
    assert (row["below"], row["cells"][6], row["children"][0]["pictures"]) == ("1 student run", ["42.0 %", 42.0], [])
    app.multiselect(key="runs/methods").set_value(["Students"]).run()
    assert ids_shown(app) == [students.id]


def test_watch_and_open_lead_to_the_run(open_page, half_done, finished, address) -> None:
    for deed, run, title in (("watch", half_done, "Recover"), ("open", finished, "Gallery")):
        app = open_page(PAGE, run=run.id)
        app.button(key=f"runs/{deed}/{run.id}").click().run()
        assert (app.title[0].value, address(app)["run"]) == (title, run.id)


def test_names_in_titles_and_errors_are_shown_as_they_are(open_page, home) -> None:
    name = "a_b*c$d![x](http:e)"
    run = make_half_done_run(home / "runs" / "20260103-000000-failed", fake_experiment().replace(dataset=f"/x/{name}"))
    run.set_status("failed", process=None, error=f"dataset: the folder /x/{name} does not exist.")
    app = open_page(PAGE, run=run.id)
    assert row_of(app, run)["cells"][0][0].startswith(f"{name} · DELT")  # the browser takes it as text
    assert r"a\_b\*c\$d\!\[x\](http\:e) · DELT" in texts(app)
    assert app.error[0].value == r"The folder /x/a\_b\*c\$d\!\[x\](http\:e) does not exist."
    assert name not in texts(app)


def test_five_hundred_runs_are_listed(open_page, home) -> None:
    text = Run.create(home / "runs" / "first", fake_experiment()).path / "run.json"
    for number in range(499):
        folder = home / "runs" / f"20260101-000000-{number:03d}"
        folder.mkdir()
        (folder / "run.json").write_text(text.read_text().replace('"id": "first"', f'"id": "{folder.name}"'))
    assert len(ids_shown(open_page(PAGE))) == 500


def test_examples_stand_apart(open_page, home) -> None:
    make_finished_run(home / "assets" / "examples" / "photos-delt")
    app = open_page(PAGE)
    assert "No runs yet" in texts(app)
    assert components(app)[0]["groups"][1]["open"]
    app = open_page(PAGE, run="photos-delt")
    assert {"runs/open/photos-delt", "runs/rerun/photos-delt"} <= keys(app)
    assert not {"runs/delete/photos-delt", "runs/free/photos-delt", "runs/save/photos-delt"} & keys(app)


def test_teachers_and_rankings_are_followed_like_runs(open_page, home, started) -> None:
    run = Run.create(home / "runs" / "20260501-000000-teacher", fake_experiment(), "squeeze")
    run.set_status("running", started=now(), process=this_process())
    run.event(squeeze_step(t=9.0, epochs=4, train_accuracy=62.5))
    app = open_page(PAGE, run=run.id)
    assert "photos · teacher resnet18" in texts(app)
    assert "Epoch 2 of 4, training accuracy 62 %, 15 s left" in [entry.value for entry in app.sidebar.caption]
    assert f"runs/open/{run.id}" not in keys(app)
    app.button(key=f"runs/pause/{run.id}").click().run()
    assert started.asked == [("pause", run.id)]
    app.button(key=f"runs/watch/{run.id}").click().run()
    assert app.title[0].value == "Data and teachers"
    assert app.main.get("progress")[0].proto.value == 37
    run.set_status("paused", process=None)
    open_page(PAGE, run=run.id).button(key=f"runs/resume/{run.id}").click().run()
    assert started.asked == [("pause", run.id), ("resume", run.id)]


def test_what_cannot_be_done_is_one_sentence_in_its_place(open_page, home, started, monkeypatch) -> None:
    def refuse(run: Run) -> None:
        raise RunError(f"run {run.id}: its process cannot be started.")

    monkeypatch.setattr(start, "resume", refuse)
    gone = make_half_done_run(home / "runs" / "20260103-000000-gone", alive=False)
    app = open_page(PAGE, run=gone.id)
    app.button(key=f"runs/resume/{gone.id}").click().run()
    refusal = f"run {gone.id}: its process cannot be started."
    assert refusal in [entry.value for entry in app.error]
    assert refusal not in [entry.value for entry in app.run().error]


def ids_shown(app) -> list[str]:
    return [row["id"] for row in all_rows(app)]


def all_rows(app) -> list[dict]:
    """The rows of the table; those of students stand under their run."""
    return [row for made in components(app) for group in made.get("groups", ()) for row in group["rows"]]


def row_of(app, run: Run) -> dict:
    return next(row for row in all_rows(app) if row["id"] == run.id)


def select(app, *runs: Run):
    app.query_params["run"] = ",".join(run.id for run in runs)
    return app.run()


@pytest.fixture
def three(home, finished) -> list[Run]:
    """A DELT run of 2 s with a large file, a stopped CDA run, and one that cannot be read."""
    (finished.path / "large").write_bytes(bytes(500_000))
    stopped = make_half_done_run(home / "runs" / "20260102-000000-cda", fake_experiment("cda"), alive=False)
    stopped.set_status("cancelled", process=None)
    broken = home / "runs" / "20260104-000000-broken"
    broken.mkdir()
    (broken / "run.json").write_text("{")
    return [finished, stopped, Run(broken)]


def test_runs_are_found_by_words_status_and_method(open_page, three) -> None:
    finished, stopped, broken = three
    app = open_page(PAGE)
    assert set(ids_shown(app)) == {run.id for run in three}
    assert row_of(app, broken)["cells"][0][0] == "Unreadable run"
    app.text_input(key="runs/find").set_value("cda").run()
    assert ids_shown(app) == [stopped.id]
    app.text_input(key="runs/find").set_value("").run()
    app.multiselect(key="runs/statuses").set_value(["finished", "cancelled"]).run()
    assert set(ids_shown(app)) == {finished.id, stopped.id}
    assert row_of(app, finished)["cells"][8][1] > 500_000
    app.multiselect(key="runs/methods").set_value(["CDA"]).run()
    assert ids_shown(app) == [stopped.id]
    app.multiselect(key="runs/statuses").set_value(["finished"]).run()
    assert "No run is like that." in texts(app)


def test_a_run_gets_a_title_tags_and_a_note_and_run_json_stays(open_page, finished) -> None:
    before = (finished.path / "run.json").read_bytes()
    app = open_page(PAGE, run=finished.id)
    assert str(finished.path) in [block.value for block in app.code]
    app.text_input(key=f"runs/title/{finished.id}").set_value("For the *lesson*")
    app.text_input(key=f"runs/tags/{finished.id}").set_value("good, ipc 4")
    app.text_area(key=f"runs/note/{finished.id}").set_value("Late ones stay close.")
    app.button(key=f"runs/save/{finished.id}").click().run()
    assert read_title(finished) == RunTitle("For the *lesson*", ("good", "ipc 4"), "Late ones stay close.")
    assert r"**For the \*lesson\***" in texts(app)
    assert (finished.path / "run.json").read_bytes() == before
    app.text_input(key="runs/find").set_value("lesson close").run()
    assert ids_shown(app) == [finished.id]


def test_deleting_can_be_undone_until_the_trash_is_emptied(open_page, three) -> None:
    finished, stopped, broken = three

    def delete_broken() -> None:
        open_page(PAGE, run=broken.id).button(key=f"runs/delete/{broken.id}").click().run()

    app = select(open_page(PAGE), finished, broken)
    app.button(key="runs/delete").click().run()
    assert ids_shown(app) == [stopped.id]
    app.button(key="runs/undo").click().run()
    assert set(ids_shown(app)) == {run.id for run in three}
    delete_broken()
    app = open_page(PAGE)  # another session, another day
    assert [run.id for run in space.trashed()] == [broken.id]
    app.button(key=f"runs/restore/{broken.id}").click().run()
    assert broken.id in ids_shown(app)
    delete_broken()
    open_page(PAGE).button(key="runs/empty_trash").click().run()
    assert space.trashed() == []


def test_a_run_at_work_is_not_deleted_and_it_is_said(open_page, half_done) -> None:
    other = make_half_done_run(half_done.path.parent / "20260103-000000-other")
    app = select(open_page(PAGE), half_done, other)
    app.button(key="runs/delete").click().run()
    assert "so stop it before it is deleted" in app.error[0].value
    assert set(ids_shown(app)) == {half_done.id, other.id}


def test_freeing_the_disk_says_what_goes_and_asks_first(open_page, finished) -> None:
    app = open_page(PAGE, run=finished.id)
    app.button(key=f"runs/free/{finished.id}").click().run()
    assert "the gallery then shows the start and the last round only" in app.checkbox(key="runs/free_rounds").label
    assert app.checkbox(key="runs/free_checkpoints").disabled
    assert finished.rounds_written(0) == [0, 1, 2, 3, 4]
    app.button(key="runs/free_now").click().run()
    assert finished.rounds_written(0) == [0, 4]
    assert "runs/free_now" not in keys(app)


def test_two_runs_are_compared_until_that_is_closed(open_page, home, finished, address) -> None:
    other = make_finished_run(home / "runs" / "20260103-000000-other", fake_experiment(mi=80, ri=20).replace(seed=7))
    app = select(open_page(PAGE), finished, other)
    app.button(key="runs/compare").click().run()
    assert set(address(app)["compare"].split(",")) == {finished.id, other.id}
    assert "Compare" in [entry.value for entry in app.subheader]
    app.button(key="runs/compare_close").click().run()
    assert "Compare" not in [entry.value for entry in app.subheader]


def test_a_run_is_done_again_as_it_was_or_changed(open_page, three, started) -> None:
    stopped = three[1]
    app = open_page(PAGE, run=stopped.id)
    app.button(key=f"runs/retry/{stopped.id}").click().run()
    assert started.asked == [("retry", stopped.id)]
    app = open_page(PAGE, run=stopped.id)
    app.button(key=f"runs/rerun/{stopped.id}").click().run()
    assert app.title[0].value == "Recover"
    assert app.session_state["delt/session"].draft == stopped.experiment


def test_who_waits_is_shown_in_turn_and_can_be_moved(open_page, home, half_done) -> None:
    waiting = [Run.create(home / "runs" / f"20260501-00000{number}-waiting", fake_experiment()) for number in (1, 2)]
    for run in waiting:
        run.update(process=this_process())
        queue.enter(run, "cpu", is_ready=True)
    app = open_page()
    said = [entry.value for entry in app.sidebar.caption]
    assert [text for text in said if text.endswith("in the queue")] == ["1st in the queue", "2nd in the queue"]
    assert any("iteration" in text and text.startswith("Round") for text in said)
    assert any(text.startswith("CPU · ") and "B of memory" in text for text in said)
    app.button(key=f"strip/first/{waiting[1].id}").click().run()
    assert [queue.place(run) for run in waiting] == [2, 1]
    for run in waiting:
        queue.leave(run)


def test_a_run_that_broke_off_is_in_the_strip_with_its_last_texts(open_page, home, started) -> None:
    gone = make_half_done_run(home / "runs" / "20260103-000000-gone", alive=False)
    (gone.path / "log.txt").write_text("Killed: out of memory\n")
    app = open_page()
    assert "The process is gone; its last words: Killed: out of memory" in [e.value for e in app.sidebar.caption]
    app.button(key=f"strip/resume/{gone.id}").click().run()
    assert started.asked == [("resume", gone.id)]


def test_a_process_that_does_not_react_can_be_ended(open_page, half_done, started, monkeypatch) -> None:
    monkeypatch.setattr(start, "stop_hard", lambda run: started.asked.append(("stop_hard", run.id)))
    half_done.request("cancel")
    os.utime(half_done.path / "control", (0, time.time() + 3600))  # the page has all the time it needs
    assert f"runs/stop_hard/{half_done.id}" not in keys(open_page(PAGE, run=half_done.id))
    os.utime(half_done.path / "control", (0, time.time() - 3))
    open_page(PAGE, run=half_done.id).button(key=f"runs/stop_hard/{half_done.id}").click().run()
    assert started.asked == [("stop_hard", half_done.id)]


def test_workers_of_a_shared_run_and_their_batches_are_told(open_page, home) -> None:
    run = make_half_done_run(home / "runs" / "20260104-000000-shared")
    run.update(process=None)
    (run.path / FOLDER).mkdir(parents=True)
    assert run.status == "interrupted"  # all of them have gone
    first, second = Leases(run.path), Leases(run.path)
    first.join()
    second.join()
    first.say(4)
    app = open_page(PAGE, run=run.id)
    assert "2 workers at batch 5" in texts(app)
    assert "2 workers at batch 5" in [entry.value for entry in app.sidebar.caption]
    second.say(1)
    assert "2 workers at batches 2, 5" in texts(open_page(PAGE, run=run.id))
    assert run.status == "running"
    start.pause(run)
    assert (run.requested(), run.status) == ("pause", "running")  # they will say that it has stopped


def test_a_run_that_hangs_is_told_in_the_strip_and_can_be_ended_and_resumed(open_page, home, monkeypatch) -> None:
    run = make_half_done_run(home / "runs" / "20260103-000000-hung")
    Heartbeat(run).beat()
    assert not any("No sign of life" in entry.value for entry in open_page(PAGE).sidebar.caption)
    now, asked = time.monotonic(), []
    monkeypatch.setattr(heartbeat.time, "monotonic", lambda: now + 130)
    monkeypatch.setattr(watchdog, "end_and_resume", asked.append)
    app = open_page(PAGE)
    assert f":orange[No sign of life since {heartbeat.silent_since(run):%H:%M}]" in [
        entry.value for entry in app.sidebar.caption
    ]
    app.button(key=f"strip/end_and_resume/{run.id}").click().run()
    assert asked == [run]


def test_a_run_that_failed_shows_the_end_of_its_log(open_page, home) -> None:
    run = make_half_done_run(home / "runs" / "20260103-000000-failed")
    run.set_status("failed", process=None, error="the disk is full.")
    assert not any("log" in entry.label for entry in open_page(PAGE, run=run.id).expander)
    (run.path / "log.txt").write_text("".join(f"line {number}\n" for number in range(30)))
    app = open_page(PAGE, run=run.id)
    assert "Last lines of the log" in [entry.label for entry in app.expander]
    assert "\n".join(f"line {number}" for number in range(10, 30)) in [entry.value for entry in app.code]
