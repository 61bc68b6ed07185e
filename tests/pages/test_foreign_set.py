"""Runs: a published set is imported from a path or a zip, and stands among the runs under its own name."""

from __future__ import annotations

import json
import os
from types import SimpleNamespace

import pytest
from fake_runs import fake_experiment, make_evaluation, make_finished_run
from page_helpers import keys, press, put_task, texts

from delt_engine.config import RecoverConfig
from delt_engine.jobs import tasks
from delt_engine.plots.accuracy import Score
from delt_engine.runs.record import ImportRecord
from delt_engine.runs.store import Run
from pages.shared.accuracy import data
from pages.shared.runs import foreign_set


@pytest.fixture
def imported(home) -> Run:
    """A run that is said to be imported."""
    run = make_finished_run(home / "runs" / "20260101-000000-photos-imported", fake_experiment("random"))
    record = run.record()
    recover = RecoverConfig(method="imported", early_late=False, iterations=0, round_iterations=1, ipc=4)
    origin = ImportRecord(method="MTT", path="/sets/mtt", layout="tensors", digest="d")
    changed = record.changed(origin=origin, experiment=record.experiment.replace(recover=recover))
    (run.path / "run.json").write_text(changed.to_json())
    (run.path / "selection.csv").unlink()
    return run


def test_what_is_typed_starts_the_import_and_its_end_is_said(open_page, home, imported, monkeypatch) -> None:
    asked = []
    monkeypatch.setenv("DELT_HOME", str(home))
    monkeypatch.setattr(tasks, "start", lambda work, words: asked.append((work.name, words)))
    app = open_page("manage/runs")
    press(app, "runs/import/open", "runs/import/start")
    assert [entry.value for entry in app.error] == ["Nothing given, but a folder, a file or a zip is needed."]
    app.text_input(key="runs/import/path").set_value(" /sets/mtt ").run()
    app.selectbox(key="runs/import/dataset").set_value("photos").run()
    app.text_input(key="runs/import/name").set_value("MTT").run()
    press(app, "runs/import/start")
    words = ["--dataset", "photos", "--method-name", "MTT"]
    work = tasks.task("import", "/sets/mtt", *words)
    assert asked == [(work.name, ["import", "/sets/mtt", *words])]
    put_task(work, "Error: set: /sets/mtt does not exist.", is_running=False)
    app.run()
    assert [entry.value for entry in app.error] == ["/sets/mtt does not exist."]
    result = {"method": "MTT", "classes": 10, "ipc": 4, "notes": ["A note."], "path": str(imported.path)}
    (work.path / "result.json").write_text(json.dumps(result))
    app.run()
    assert "**MTT** is imported: 10 classes, 4 images each. A note." in texts(app)
    assert f"runs/import/open/{imported.id}" in keys(app)


def test_what_another_visitor_imports_is_not_taken_for_ones_own(open_page, home, imported, monkeypatch) -> None:
    monkeypatch.setenv("DELT_HOME", str(home))
    monkeypatch.setattr(tasks, "start_child", lambda *_: SimpleNamespace(pid=os.getpid()))
    pages = [open_page("manage/runs") for _ in range(2)]
    for app, path in zip(pages, ("/sets/mtt", "/sets/idm"), strict=True):
        press(app, "runs/import/open")
        app.text_input(key="runs/import/path").set_value(path).run()
        press(app, "runs/import/start")
        assert not app.error
    names = [app.session_state[foreign_set.WAITING][0] for app in pages]
    assert names[0] != names[1]
    assert all(tasks.Task(name).is_running for name in names)


def test_an_imported_run_goes_by_its_name_and_cannot_be_made_again(open_page, home, imported) -> None:
    app = open_page("manage/runs", run=imported.id)
    assert "MTT, imported from /sets/mtt (tensors)" in texts(app)
    assert f"runs/rerun/{imported.id}" not in keys(app)
    assert "MTT" in app.multiselect(key="runs/methods").options
    app = open_page("explore/gallery", run=imported.id)
    assert not app.error
    assert "gallery/use" not in keys(app)
    make_evaluation(home / "runs" / "20260102-000000-students", imported)
    for page in ("explore/accuracy", "explore/diversity", "explore/early_late", "distill/recover", "start/home"):
        app = open_page(page, run=imported.id)
        assert not app.error, page


def score(method: str, value: float, ipc: int = 10, spread: float = 0.5) -> Score:
    return Score(method.upper(), method, ipc, value, spread, 3)


@pytest.mark.parametrize(
    ("scores", "said"),
    [
        ([score("el2n", 40), score("delt", 45)], ""),
        ([score("el2n", 46)], ""),
        ([score("el2n", 46), score("imported", 40)], ""),
        (
            [score("herding", 48), score("el2n", 46), score("cda", 40), score("delt", 45)],
            "At IPC 10 **HERDING**, real images that nothing was optimised for, beats every optimised set here: "
            "48.0 % against 45.0 % of DELT.",
        ),
        (
            [score("random", 45.5), score("delt", 45), score("delt", 70, 50), score("random", 60, 50)],
            "At IPC 10 **RANDOM**, real images that nothing was optimised for, beats every optimised set here, by less "
            "than their students' spread: 45.5 % against 45.0 % of DELT.",
        ),
    ],
)
def test_real_images_that_win_are_said(scores, said) -> None:
    assert data.free_win(scores) == said
