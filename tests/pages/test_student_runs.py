"""Runs that train students, among the other runs: what they are called, what they reached, how far they are."""

from __future__ import annotations

import pytest
from events_of_runs import student_step
from fake_runs import make_evaluation, make_finished_run
from page_helpers import components, texts

from delt_engine.config import EvaluateConfig
from delt_engine.jobs.evaluations import evaluation_experiment
from delt_engine.runs.processes import this_process
from delt_engine.runs.sources import find_source
from delt_engine.runs.store import Run
from pages.shared import nav
from pages.shared.runs.progress import progress
from pages.shared.wording import own_title


def test_the_list_says_on_what_by_which_recipe_and_how_well(home, open_page) -> None:
    source = make_finished_run(home / "runs" / "20260101-000000-photos-delt-ipc4-aaaa")
    make_evaluation(home / "runs" / "20260102-000000-photos-students-delt-bbbb", source, (40.0, 42.0, 44.0))
    make_evaluation(home / "runs" / "20260103-000000-photos-students-delt-cccc", "real", (90.0,))
    app = open_page("manage/runs", run="20260102-000000-photos-students-delt-bbbb")
    said = texts(app)
    assert "photos · students of DELT, IPC 4 · DELT recipe" in said
    assert "top-1 42.0 % ± 2.0 over 3 seeds · 60 epochs · of 20260101-000000-photos-delt-ipc4-aaaa" in said
    rows = [row for group in components(app)[0]["groups"] for row in group["rows"]]
    assert [(row["cells"][0][0], row["cells"][6]) for row in rows] == [
        ("photos · students of all real images · DELT recipe", ["90.0 %", 90.0]),
        ("photos · DELT · IPC 4 · MI 40 / RI 10", ["42.0 %", 42.0]),
    ]
    app.text_input(key="runs/find").set_value("students ipc4-aaaa").run()
    rows = [row for group in components(app)[0]["groups"] for row in group["rows"]]
    assert [row["id"] for row in rows] == ["20260102-000000-photos-students-delt-bbbb"]


def test_two_evaluations_are_compared_by_settings_and_accuracy(home, open_page) -> None:
    source = make_finished_run(home / "runs" / "source")
    make_evaluation(home / "runs" / "one", source, (40.0,), epochs=60)
    make_evaluation(home / "runs" / "two", source, (50.0,), epochs=30)
    app = open_page("manage/runs", compare="one,two")
    summary, settings, _ = (table.value for table in app.table)
    assert list(summary["Student top-1"]) == ["40.0 %", "50.0 %"]
    assert ["Evaluate: Epochs", "60", "30"] in settings.to_numpy().tolist()


def test_the_job_strip_says_which_student_and_epoch(home, open_page) -> None:
    source = make_finished_run(home / "runs" / "source")
    found = find_source("source")
    experiment = evaluation_experiment(found, EvaluateConfig(epochs=60, seeds=3))
    run = Run.create(home / "runs" / "students", experiment, "evaluate", source=source.id)
    run.set_status("running", process=this_process())
    for step, seconds in ((1, 10.0), (2, 11.0)):
        run.event(student_step(t=seconds, epoch=12, epochs=60, step=step, steps=2))
    now = progress(run)
    assert now.text.startswith("training student 1 of 3, epoch 12 of 60, ")
    assert now.fraction == 12 / 180
    assert now.left_s == pytest.approx((180 - 12) * 2)  # half an epoch a second
    assert own_title(run.record()) == "photos · students of DELT, IPC 4 · DELT recipe"
    app = open_page("start/home")
    assert "Training student 1 of 3, epoch 12 of 60" in " ".join(entry.value for entry in app.sidebar.caption)


@pytest.mark.parametrize(
    ("reported", "words", "share"),
    [
        ([(0, 1), (1, 1), (2, 1), (0, 2), (1, 2), (2, 2)], "3 of 3 students side by side", 3 * 1 / 60 / 3),
        ([(1, 1), (2, 1), (1, 2), (2, 2)], "2 of 3 students side by side", (1 + 2 * 1 / 60) / 3),  # one is done
        ([(0, 1), (1, 1), (0, 2), (1, 2), (2, 1), (2, 1), (2, 2)], "student 3 of 3", (2 + 1 / 60) / 3),
        ([(0, 2), (1, 1), (1, 2)], "student 2 of 3", (1 + 1 / 60) / 3),  # one after the other
    ],
)
def test_students_side_by_side_are_told_and_counted_together(home, reported, words, share) -> None:
    source = make_finished_run(home / "runs" / "source")
    experiment = evaluation_experiment(find_source("source"), EvaluateConfig(epochs=60, seeds=3))
    run = Run.create(home / "runs" / "students", experiment, "evaluate", source=source.id)
    for number, (student, step) in enumerate(reported):
        run.event(student_step(t=float(number), student=student, epoch=1, epochs=60, step=step, steps=2))
    now = progress(run)
    assert now.text.startswith(f"training {words}, epoch 1 of 60")
    assert now.fraction == pytest.approx(share, abs=1e-9)


def test_finished_students_open_in_the_page_of_accuracies_and_images_in_the_gallery(
    home, open_page, monkeypatch
) -> None:
    source = make_finished_run(home / "runs" / "source")
    make_evaluation(home / "runs" / "students", source, (40.0,))
    visited = []
    monkeypatch.setattr(nav, "go", lambda name, **query: visited.append((name, query)))
    for run_id in ("students", "source"):
        open_page("manage/runs", run=run_id).button(key=f"runs/open/{run_id}").click().run()
    assert visited == [("explore/accuracy", {"runs": "students"}), ("explore/gallery", {"run": "source"})]
