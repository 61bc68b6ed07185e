"""Continual learning on the page of the applications: side by side, printed values beside, started and watched."""

from __future__ import annotations

import pytest
from page_helpers import captions, keys, press, put_task, table_with, texts, traces

from delt_engine.jobs import tasks
from delt_engine.runs.continuals import CONTINUALS
from pages.shared.applications import continual_form as form

PAGE = "study/applications"


@pytest.fixture(autouse=True)
def own_home(home, monkeypatch) -> None:
    monkeypatch.setenv("DELT_HOME", str(home))
    monkeypatch.setattr("delt_engine.runs.application_files.assets_dir", lambda: home / "assets")


def write(key: str, method: str, title: str, orders: list[list[float]], **changes: object) -> None:
    """Put a measurement of ten classes in steps of two among the user's."""
    images = {"source": f"run-{method}", "source_title": title, "method": method, "method_title": title, "ipc": 10}
    data = {"dataset": "photos", "dataset_title": "Photos", "dataset_fingerprint": "d", "test_images": 1000}
    training = {"recipe": "delt", "recipe_title": "DELT", "teacher": "photos", "labels": "soft", "epochs": 30}
    student = {"student": "resnet18", "student_width": 0.25, "steps": 5, "num_classes": 10}
    facts = {**images, **data, **training, **student, "command": f"delt continual run-{method}", **changes}
    results = [
        {
            "seed": seed,
            "steps": [
                {"step": n, "classes": [], "seen": 2 * n, "images": 20 * n, "top1": top1, "per_class": [], "seconds": 1}
                for n, top1 in enumerate(tops, start=1)
            ],
        }
        for seed, tops in enumerate(orders)
    ]
    CONTINUALS.write(CONTINUALS.folder / key, facts, results)


def test_sets_of_one_question_stand_side_by_side(open_page) -> None:
    write("photos-a", "random", "Random real", [[80.0, 60.0, 50.0, 40.0, 30.0]])
    write("photos-b", "delt", "DELT", [[90.0, 70.0, 60.0, 50.0, 40.0], [92.0, 74.0]])  # the second order is at work
    write("photos-c", "delt", "DELT", [[50.0]], epochs=9)
    CONTINUALS.write(CONTINUALS.folder / "photos-odd", {"method": "delt"}, [{"seed": 0}])  # of others, and left out
    app = open_page(PAGE)
    app.segmented_control(key="applications/kind").select("continual").run()
    lines = {trace["name"]: trace for trace in traces(app) if "name" in trace}
    assert list(lines) == ["DELT, IPC 10", "Random real, IPC 10", "Chance"]
    assert lines["DELT, IPC 10"]["x"] == [2, 4, 6, 8, 10]
    assert lines["DELT, IPC 10"]["y"] == [91.0, 72.0, 60.0, 50.0, 40.0]
    assert lines["Chance"]["y"] == pytest.approx([50.0, 25.0, 100 / 6, 12.5, 10.0])
    (band,) = [trace for trace in traces(app) if trace.get("fill") == "toself"]
    assert band["y"][:2] == pytest.approx([91 + 2**0.5, 72 + 8**0.5])
    table = table_with(app, "Mean over steps (%)")
    assert list(table["Mean over steps (%)"]) == [62.0, 52.0]
    assert list(table["Orders"]) == [1, 1]
    assert "test images of Photos, mean over several class orders" in captions(app)
    other = next(key for key in app.selectbox(key="applications/learned").options if "9 epochs" in key)
    app.selectbox(key="applications/learned").select(other).run()
    assert [trace["name"] for trace in traces(app)] == ["DELT, IPC 10", "Chance"]


def test_printed_values_stand_beside_their_own_setting(open_page) -> None:
    write("tiny", "cda", "CDA", [[50.0] * 5], dataset="tiny-imagenet", dataset_title="Tiny-ImageNet", ipc=100)
    app = open_page(PAGE)
    app.segmented_control(key="applications/kind").select("continual").run()
    lines = {trace["name"]: trace for trace in traces(app)}
    assert lines["CDA, printed in CDA Table 14"]["y"] == [51.93, 53.63, 53.02, 52.60, 52.15]
    assert lines["CDA, printed in CDA Table 14"]["x"] == [40, 80, 120, 160, 200]
    assert "SRe²L, printed in CDA Table 14" in lines


def test_learning_is_started_and_stopped(open_page, finished, monkeypatch) -> None:
    asked = []
    monkeypatch.setattr(tasks.Task, "forget", lambda self: (self.path / "process.json").unlink())
    monkeypatch.setattr(tasks, "start", lambda _work, words, **_how: asked.append(words))
    app = open_page(PAGE)
    app.segmented_control(key="applications/kind").select("continual").run()
    assert "No classes were learned step by step here yet" in texts(app)
    classes = len(finished.record().dataset.class_names)
    app.number_input(key=f"{form.PAGE}/steps").set_value(classes + 1).run()
    assert f"steps: {classes + 1} given" in " ".join(entry.value for entry in app.error)
    app.number_input(key=f"{form.PAGE}/steps").set_value(classes)
    app.number_input(key=f"{form.PAGE}/orders").set_value(3)
    app.selectbox(key=f"{form.PAGE}/labels").select("hard").run()
    press(app, f"{form.PAGE}/start")
    (words,) = asked
    wanted = ["continual", finished.id, "--steps", str(classes), "--orders", "3", "--labels", "hard", "--random-real"]
    assert words == [*wanted, "--epochs", str(form.EPOCHS)]
    work = form.work()
    put_task(work, '{"what": "step 2 of 5", "done": 3, "total": 12}')
    app.run()
    assert "Step 2 of 5: 3 of 12" in captions(app)
    assert f"{form.PAGE}/start" not in keys(app)
    press(app, f"{form.PAGE}/stop")
    assert f"{form.PAGE}/start" in keys(app)
