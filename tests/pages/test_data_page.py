"""Data and teachers: what a dataset shows, folders, the teacher's health, training, and checkpoints."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from events_of_runs import squeeze_epoch, squeeze_step
from page_helpers import metrics, photos_card, texts
from PIL import Image

from delt_engine.config import Experiment, SqueezeConfig
from delt_engine.data.available import known_folders
from delt_engine.data.catalogue import load_dataset
from delt_engine.errors import CheckpointError
from delt_engine.jobs import tasks
from delt_engine.models.card import TeacherCard
from delt_engine.models.health import CheckRecord, keep_check
from delt_engine.paths import cache_dir
from delt_engine.runs.processes import this_process
from delt_engine.runs.store import Run
from pages.shared import cached
from pages.shared.runs.progress import progress
from pages.shared.wording import plain

PAGE = "distill/data_and_teachers"


@pytest.fixture(autouse=True)
def own_home(home, monkeypatch):
    """Folders, checks and tasks of this test only; decoded datasets are shared by all."""
    cache = cache_dir()
    cache.mkdir(parents=True, exist_ok=True)
    monkeypatch.setenv("DELT_HOME", str(home))
    (home / "cache").symlink_to(cache)
    return home


@pytest.fixture
def asked(monkeypatch) -> list[tuple[str, list[str]]]:
    """What the page asks of processes, in place of processes."""
    log: list[tuple[str, list[str]]] = []
    monkeypatch.setattr(tasks, "start", lambda work, words: log.append((work.name, list(words))))
    return log


@pytest.fixture
def card(monkeypatch) -> TeacherCard:
    made = photos_card()
    monkeypatch.setattr(cached, "teacher", lambda *_: made)
    return made


def measured(accuracy: float, verdict: str = "good") -> CheckRecord:
    names = ("photos-net", "beef", "photos", load_dataset("photos").fingerprint)
    return CheckRecord(*names, accuracy, 1000, 1000, 10.0, verdict, "It is right on few.", "2026-01-01T00:00:00Z")


def test_the_dataset_shows_its_numbers_and_where_others_go(open_page, card) -> None:
    app = open_page(PAGE)
    values = metrics(app)
    assert (values["Classes"], values["Training images"], values["Test images"]) == ("10", "5,000", "1,000")
    assert any("Every class has 500 training" in entry.value for entry in app.caption)
    table = app.dataframe[-1].value.set_index("Name")
    assert table["State"]["photos"] == "here"
    assert "cifar-10-python.tar.gz" in table["What to do"]["cifar10"]


@pytest.mark.parametrize(
    ("accuracy", "verdict", "title"),
    [(94.0, "good", "Healthy"), (88.0, "good", "Off: class order?"), (10.0, "class order?", "Class order?")],
)
def test_the_health_of_the_teacher_is_said_first(open_page, card, accuracy, verdict, title) -> None:
    keep_check(measured(accuracy, verdict))
    app = open_page(PAGE)
    assert title in texts(app)
    assert bool(app.error) == (title != "Healthy")
    if accuracy == 88.0:
        assert "First suspect: class order?" in app.error[0].value


def test_an_unchecked_teacher_is_checked_on_a_button_and_other_classes_are_red(
    open_page, card, asked, monkeypatch
) -> None:
    app = open_page(PAGE)
    assert "Not checked yet" in texts(app)
    app.button(key="data/check").click().run()
    assert asked[0][1] == ["teachers", "check", "auto", "--dataset", "photos", "--device", "auto"]
    turned = replace(card, class_names=card.class_names[::-1])
    monkeypatch.setattr(cached, "teacher", lambda *_: turned)
    assert "trained on the same classes in another order" in open_page(PAGE).error[0].value


def test_without_a_teacher_one_button_trains_a_small_one(open_page, started, monkeypatch) -> None:
    def none(*_):
        raise CheckpointError("teacher: there is none for photos; train one.")

    monkeypatch.setattr(cached, "teacher", none)
    app = open_page(PAGE)
    assert "There is no teacher for Photos at 32 px yet" in app.info[0].value
    app.button(key="data/train_small").click().run()
    experiment, kind = started.experiments[0]
    assert (kind, experiment.squeeze.width, experiment.squeeze.epochs) == ("squeeze", 0.25, 12)
    assert "data/train_small" not in {button.key for button in app.button}


def test_a_teacher_is_trained_with_the_settings_and_watched(open_page, card, started) -> None:
    app = open_page(PAGE)
    app.number_input(key="data/epochs").set_value(3)
    app.selectbox(key="data/network").set_value("convnet-3").run()
    app.button(key="data/train").click().run()
    run = started.runs[0]
    assert (run.experiment.squeeze.network, run.experiment.squeeze.epochs) == ("convnet-3", 3)
    run.event(squeeze_epoch(epoch=1, epochs=3))
    run.event(squeeze_step(epoch=2, epochs=3))
    run.set_status("running", process=this_process())
    app.run()
    assert any("Epoch 2 of 3" in entry.proto.text for entry in app.main.get("progress"))
    assert app.get("plotly_chart")


def test_the_time_left_of_a_teacher_follows_the_rate_since_it_went_on(tmp_path) -> None:
    experiment = Experiment(dataset="photos", squeeze=SqueezeConfig(epochs=10))
    run = Run.create(tmp_path / "teacher", experiment, "squeeze")
    run.set_status("running", process=this_process())

    def step(seconds: float, epoch: int, number: int) -> None:
        run.event(squeeze_step(t=seconds, epoch=epoch, epochs=10, step=number, train_accuracy=60.0))

    for seconds, epoch in ((1.0, 1), (500.0, 4), (1000.0, 5)):
        step(seconds, epoch, 1)
    step(1000.0, 3, 1)  # killed, and gone on from the checkpoint of epoch 2
    assert progress(run).left_s is None
    step(1005.0, 3, 6)
    now = progress(run)
    assert now.left_s == pytest.approx(74.0)  # a step a second, 26 of 100 done
    assert now.fraction == 0.26
    assert now.text.startswith("epoch 3 of 10, training accuracy 60 %, ")


def test_a_folder_is_added_read_and_shown_with_what_was_left_out(open_page, asked, tmp_path) -> None:
    folder = tmp_path / "mine"
    for name in ("a", "b"):
        (folder / name).mkdir(parents=True)
        for number in range(4):
            Image.fromarray(np.full((8, 8, 3), 40 * number, np.uint8)).save(folder / name / f"{number}.png")
    (folder / "a" / "torn.png").write_bytes(b"no image")
    app = open_page(PAGE)
    app.button(key="data/own").click().run()
    app.segmented_control(key="data/way").set_value("path").run()
    app.text_input(key="data/folder").set_value(str(tmp_path / "gone"))
    app.button(key="data/add").click().run()
    assert app.error[0].value == plain(f"The folder {tmp_path / 'gone'} does not exist.")
    assert not asked
    app.text_input(key="data/folder").set_value(str(folder))
    app.button(key="data/add").click().run()
    assert known_folders() == (str(folder),)
    assert asked[0][1] == ["datasets", str(folder)]
    load_dataset(str(folder))  # what the process does
    app.run()
    assert metrics(app)["Classes"] == "2"
    assert "1 file left out" in {entry.label for entry in app.expander}
    assert list(app.dataframe[0].value["File"]) == ["a/torn.png"]


def test_a_set_that_is_not_here_says_what_to_put_where(open_page, asked) -> None:
    app = open_page(PAGE)
    app.selectbox(key="data/dataset").set_value("cifar10").run()
    assert "cifar-10-batches-py" in app.info[0].value
    app.button(key="data/read").click().run()
    assert asked[0][1] == ["datasets", "cifar10"]
    app.selectbox(key="data/dataset").set_value("imagewoof").run()
    assert "Put its train and val folders" in app.warning[0].value


def test_a_checkpoint_is_handed_to_a_process_and_a_refusal_is_shown(open_page, card, asked, own_home) -> None:
    app = open_page(PAGE)
    app.button(key="data/checkpoint/add").click().run()
    assert "None given" in app.error[0].value
    app.text_input(key="data/checkpoint/path").set_value("/models/net.pth")
    app.button(key="data/checkpoint/add").click().run()
    assert asked[0][1][:3] == ["teachers", "add", "/models/net.pth"]
    work = tasks.Task(asked[0][0])
    work.path.mkdir(parents=True)
    gone = this_process().model_copy(update={"created": 1.0})
    (work.path / "process.json").write_text(gone.model_dump_json())
    (work.path / "log.txt").write_text('{"what": "teacher", "done": 0, "total": 1}\nError: teacher: it was refused.\n')
    app.run()
    assert app.error[0].value == "It was refused."
