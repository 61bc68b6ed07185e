"""The page of the applications: prunings side by side, and how one is started, watched and stopped."""

from __future__ import annotations

import json

import pytest
from page_helpers import captions, keys, metrics, press, put_task, table_with, texts, traces

from delt_engine.jobs import tasks
from delt_engine.runs.prunings import PRUNINGS
from pages.shared.applications import pruning_form as form

PAGE = "study/applications"


@pytest.fixture(autouse=True)
def own_home(home, monkeypatch) -> None:
    monkeypatch.setenv("DELT_HOME", str(home))
    monkeypatch.setattr("delt_engine.runs.application_files.assets_dir", lambda: home / "assets")


def write(key: str, method: str, title: str, finetuned: tuple[float, ...], **changes: object) -> None:
    """Put a pruning of a network of two layers among the user's."""
    images = {"source": f"run-{method}", "source_title": title, "method": method, "method_title": title, "ipc": 10}
    data = {"dataset": "photos", "dataset_title": "Photos", "dataset_fingerprint": "d", "test_images": 1000}
    network = {"network": "vgg11_bn", "width": 0.25, "network_name": "photos-vgg", "network_fingerprint": "f"}
    settings = {"percent": 50.0, "sparsity": 1e-4, "sparsity_epochs": 3, "epochs": 3, "network_epochs": 20}
    training = {"recipe": "delt", "recipe_title": "DELT", "teacher": "photos", "chance": 10.0}
    facts = {**images, **data, **network, **settings, **training, "command": f"delt prune run-{method}", **changes}
    layers = [{"name": "features.0", "channels": 16, "kept": 6}, {"name": "features.4", "channels": 32, "kept": 18}]
    sizes = {"parameters": {"before": 1000, "after": 300}, "macs": {"before": 8000, "after": 4000}}
    numbers = {"before": 92.0, "sparse": 80.0, "pruned": 20.0, "kept_percent": 50.0, "seconds": 1.0, "layers": layers}
    results = [
        {"seed": seed, **numbers, **sizes, "finetuned": one, "finetuned_best": one + 1}
        for seed, one in enumerate(finetuned)
    ]
    PRUNINGS.write(PRUNINGS.folder / key, facts, results)


def test_prunings_of_one_question_stand_side_by_side(open_page) -> None:
    write("photos-a", "random", "Random real", (40.0, 42.0))
    write("photos-b", "delt", "DELT", (44.0, 46.0))
    write("photos-c", "delt", "DELT", (50.0,), epochs=9)
    PRUNINGS.write(PRUNINGS.folder / "photos-odd", {"method": "delt"}, [{"seed": 0}])  # of others, and left out
    app = open_page(PAGE)
    bars = {trace["name"]: trace for trace in traces(app)}
    assert list(bars) == ["DELT, IPC 10", "Random real, IPC 10"]
    (line,) = json.loads(app.get("plotly_chart")[0].proto.spec)["layout"]["shapes"]
    assert (line["name"], line["showlegend"], line["y0"], line["y1"]) == ("Chance, 10 %", True, 10.0, 10.0)
    assert bars["DELT, IPC 10"]["y"] == [92.0, 80.0, 20.0, 45.0]
    assert bars["DELT, IPC 10"]["error_y"]["array"][3] == pytest.approx(2**0.5)
    layers = {trace["name"]: trace["y"] for trace in traces(app, 1)}
    assert layers == {"Before": [16, 32], "DELT, IPC 10": [6.0, 18.0], "Random real, IPC 10": [6.0, 18.0]}
    assert metrics(app) == {
        "Channels kept": "50.0 %",
        "Weights kept": "30.0 %",
        "Parameters": "300",
        "MACs of an image": "4,000",
    }
    assert "1,000 test images of Photos, mean over 2 seeds" in captions(app)
    assert list(table_with(app, "Fine-tuned (%)")["Fine-tuned (%)"]) == [45.0, 41.0]
    other = next(key for key in app.selectbox(key="applications/of").options if "9 epochs" in key)
    app.selectbox(key="applications/of").select(other).run()
    assert [trace["name"] for trace in traces(app)] == ["DELT, IPC 10"]


def test_a_pruning_is_started_and_stopped(open_page, finished, monkeypatch) -> None:
    asked = []
    monkeypatch.setattr(tasks.Task, "forget", lambda self: (self.path / "process.json").unlink())
    monkeypatch.setattr(tasks, "start", lambda _work, words, **_how: asked.append(words))
    app = open_page(PAGE)
    assert "Nothing was pruned here yet" in texts(app)
    app.number_input(key=f"{form.PAGE}/percent").set_value(40.0)
    app.number_input(key=f"{form.PAGE}/epochs").set_value(7).run()
    press(app, f"{form.PAGE}/start")
    assert asked == [["prune", finished.id, "--percent", "40", "--epochs", "7"]]
    work = form.work()
    put_task(work, '{"what": "fine-tune", "done": 3, "total": 12}')
    app.run()
    assert "Fine-tune: 3 of 12" in captions(app)
    assert f"{form.PAGE}/start" not in keys(app)
    press(app, f"{form.PAGE}/stop")
    assert f"{form.PAGE}/start" in keys(app)


def test_a_pruning_that_failed_says_why(open_page, finished) -> None:
    work = form.work()
    put_task(work, "Error: network: ResNet given, but slimming needs a chain.", is_running=False)
    app = open_page(PAGE)
    assert [entry.value for entry in app.error] == ["network: ResNet given, but slimming needs a chain."]
