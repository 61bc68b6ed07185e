"""Data and teachers: what a dataset shows, folders, the teacher's health, training, and checkpoints."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from events_of_runs import squeeze_epoch, squeeze_step
from fake_runs import fake_experiment, make_evaluation, make_finished_run
from page_helpers import keys, metrics, photos_card, put_task, texts
from PIL import Image

from delt_engine.config import Experiment, SqueezeConfig
from delt_engine.data.available import add_folder, known_folders
from delt_engine.data.catalogue import load_dataset
from delt_engine.errors import CheckpointError
from delt_engine.jobs import tasks
from delt_engine.models.card import TeacherCard
from delt_engine.models.health import CheckRecord, keep_check
from delt_engine.papers.presets import find_preset
from delt_engine.paths import cache_dir
from delt_engine.runs.processes import this_process
from delt_engine.runs.store import Run
from pages.shared import cached
from pages.shared.runs.progress import progress
from pages.shared.teachers import card as teacher_card
from pages.shared.teachers import own_folder
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
    app = open_page(PAGE, data="photos")
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
    app = open_page(PAGE, data="photos")
    assert title in texts(app)
    assert bool(app.error) == (title != "Healthy")
    if accuracy == 88.0:
        assert "First suspect: class order?" in app.error[0].value


def test_an_unchecked_teacher_is_checked_on_a_button_and_other_classes_are_red(
    open_page, card, asked, monkeypatch
) -> None:
    app = open_page(PAGE, data="photos")
    assert "Not checked yet" in texts(app)
    app.button(key="data/check").click().run()
    assert asked[0][1] == ["teachers", "check", "auto", "--dataset", "photos", "--device", "auto"]
    turned = replace(card, class_names=card.class_names[::-1])
    monkeypatch.setattr(cached, "teacher", lambda *_: turned)
    assert "trained on the same classes in another order" in open_page(PAGE, data="photos").error[0].value


def test_without_a_teacher_one_button_trains_a_small_one(open_page, started, monkeypatch) -> None:
    def none(*_):
        raise CheckpointError("teacher: there is none for photos; train one.")

    monkeypatch.setattr(cached, "teacher", none)
    app = open_page(PAGE, data="photos")
    assert "There is no teacher for Photos at 32 px yet" in app.info[0].value
    app.button(key="data/train_small").click().run()
    experiment, kind = started.experiments[0]
    assert (kind, experiment.squeeze.width, experiment.squeeze.epochs) == ("squeeze", 0.25, 12)
    assert "data/train_small" not in {button.key for button in app.button}


def test_a_teacher_is_trained_as_a_paper_prints_it(open_page, card, started) -> None:
    app = open_page(PAGE, data="photos")
    app.selectbox(key="data/teacher/paper").set_value("cda-imagenet-1k").run()
    row = app.table[0].value.set_index("Setting").loc["Schedule"]
    assert (row["Default"], row["Preset"], row["From"]) == ("one-cycle", "steps", "CDA Table 16a")
    assert app.number_input(key="data/epochs").value == 90
    app.number_input(key="data/epochs").set_value(3).run()  # what the reader changes stays on top
    app.button(key="data/train").click().run()
    experiment = started.experiments[0][0]
    assert experiment.dataset == "photos"
    expected = find_preset("cda-imagenet-1k").published().experiment.squeeze
    assert experiment.squeeze == expected.replace(epochs=3)


def test_a_teacher_is_trained_with_the_settings_and_watched(open_page, card, started) -> None:
    app = open_page(PAGE, data="photos")
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
    app = open_page(PAGE, data="photos")
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
    app = open_page(PAGE, data="photos")
    app.selectbox(key="data/dataset").set_value("cifar10").run()
    assert "cifar-10-batches-py" in app.info[0].value
    app.button(key="data/read").click().run()
    assert asked[0][1] == ["datasets", "cifar10"]
    app.selectbox(key="data/dataset").set_value("imagewoof").run()
    assert "Put its train and val folders" in app.warning[0].value


def test_a_checkpoint_is_handed_to_a_process_and_a_refusal_is_shown(open_page, card, asked, own_home) -> None:
    app = open_page(PAGE, data="photos")
    app.button(key="data/checkpoint/add").click().run()
    assert "None given" in app.error[0].value
    app.text_input(key="data/checkpoint/path").set_value("/models/net.pth")
    app.button(key="data/checkpoint/add").click().run()
    assert asked[0][1][:3] == ["teachers", "add", "/models/net.pth"]
    work = tasks.Task(asked[0][0])
    put_task(work, '{"what": "teacher", "done": 0, "total": 1}\nError: teacher: it was refused.', is_running=False)
    app.run()
    assert app.error[0].value == "It was refused."


def test_published_weights_are_fetched_by_a_process(open_page, card, asked) -> None:
    app = open_page(PAGE, data="photos")
    app.segmented_control(key="data/checkpoint/way").set_value("published").run()
    app.selectbox(key="data/checkpoint/weights").set_value("torchvision:resnet50").run()
    app.button(key="data/checkpoint/add").click().run()
    assert asked[0][1] == ["teachers", "add", "torchvision:resnet50", "--device", "auto"], "photos cannot check it"


def pets(folder):
    """A small dataset of one's own."""
    for name, number in (("cat", 12), ("dog", 70)):
        (folder / name).mkdir(parents=True)
        for index in range(number):
            Image.fromarray(np.full((8, 8, 3), 3 * index, np.uint8)).save(folder / name / f"{index}.png")
    return folder


def test_the_folder_of_a_run_can_be_chosen_without_being_added(open_page, home, tmp_path) -> None:
    folder = str(pets(tmp_path / "pets"))
    for number, path in enumerate((folder, str(tmp_path / "gone"))):
        make_finished_run(home / "runs" / f"2026010{number}-000000-x", fake_experiment().replace(dataset=path))
    assert cached.folders() == (folder,)
    app = open_page(PAGE, data=folder)
    assert not any("The link asks" in entry.value for entry in app.warning)
    assert app.selectbox(key="data/dataset").value == folder


def test_folders_are_clicked_through_and_one_is_used(open_page, asked, tmp_path, monkeypatch, address) -> None:
    folder = pets(tmp_path / "roots" / "my pets")
    (tmp_path / "roots" / "empty").mkdir()
    monkeypatch.setenv("DELT_DATA", str(tmp_path / "roots"))
    app = open_page(PAGE, data="photos")
    app.button(key="data/own").click().run()
    app.segmented_control(key="data/way").set_value("browse").run()
    app.button(key="data/into/empty").click().run()
    assert any("it should hold one folder of images a class" in entry.value for entry in app.caption)
    assert "data/use_folder" not in keys(app)
    app.button(key="data/trail/0").click().run()
    app.button(key="data/into/my pets").click().run()
    assert "**2 class folders**" in texts(app)
    app.button(key="data/use_folder").click().run()
    assert (asked[0][1], known_folders()) == (["datasets", str(folder)], (str(folder),))
    assert (address(app)["data"], app.selectbox(key="data/dataset").value) == (str(folder), str(folder))
    load_dataset(str(folder))  # what the process does
    app.run()
    assert "Cat" not in texts(app)
    said = [entry.value for entry in app.warning]
    assert said[0].startswith("cat has 10 training images; with fewer than 50")
    assert said[1].startswith("dog has 6 times as many images as cat")
    row = app.dataframe[-1].value.set_index("Name").loc[str(folder)]
    assert (row["Classes"], row["Size, px"], row["Training"], row["Test"]) == (2, 32, 66, 16)


def test_an_upload_is_unpacked_and_shown_and_a_bad_one_is_a_sentence(open_page, own_home, tmp_path) -> None:
    work = tasks.task("unpack", "bad.zip")
    put_task(work, "Error: dataset: bad.zip holds no images.", is_running=False)
    app = open_page(PAGE, data="photos")
    assert not app.error, "it is no upload of this session"
    app.session_state[own_folder.UNPACKING] = "bad.zip"
    app.run()
    assert [entry.value for entry in app.error] == ["bad.zip holds no images."]
    folder = pets(tmp_path / "mine")
    load_dataset(str(folder))
    add_folder(folder)
    work = tasks.task("unpack", "mine.zip")  # each upload has a task of its own
    put_task(work, "", is_running=False)
    (work.path / "result.json").write_text(json.dumps({"root": str(folder)}))
    app.session_state[own_folder.UNPACKING] = "mine.zip"
    app.run()
    assert (app.selectbox(key="data/dataset").value, metrics(app)["Classes"]) == (str(folder), "2")


def test_a_folder_that_cannot_be_used_says_so_without_a_button_that_must_fail(open_page, tmp_path) -> None:
    folder = pets(tmp_path / "mine")
    add_folder(folder)
    for file in (folder / "dog").iterdir():
        file.unlink()
    app = open_page(PAGE, data=str(folder))
    assert "'dog' has no image file" in app.warning[0].value
    assert "data/read" not in keys(app)
    assert app.dataframe[-1].value.set_index("Name")["State"][str(folder)] == "cannot be used"
    app.button(key="data/forget").click().run()
    assert known_folders() == ()


def test_the_steps_lead_from_one_to_the_next(open_page, card, home, monkeypatch, started) -> None:
    monkeypatch.setattr(cached, "ranking", lambda *_: None)
    app = open_page(PAGE, data="photos")
    app.button(key="data/next").click().run()
    assert app.title[0].value == "Patches"
    run = make_finished_run(home / "runs" / "20260101-000000-photos")
    app = open_page(PAGE, data="photos")
    assert app.get("download_button")[0].label == "Download ImageFolder"
    app.button(key="data/next").click().run()
    assert app.title[0].value == "Accuracy"
    make_evaluation(home / "runs" / "20260102-000000-students", run)
    assert "Students 42.0 %" in texts(open_page(PAGE, data="photos"))


def test_another_image_size_is_another_dataset(open_page, card, asked, monkeypatch) -> None:
    def no_teacher(*_):
        raise CheckpointError("teacher: there is none for photos; train one.")

    app = open_page(PAGE, data="photos")
    app.selectbox(key="data/image_size").set_value(64).run()
    assert app.session_state["delt/session"].draft.image_size == 64
    assert app.selectbox(key="data/image_size").value == 64
    monkeypatch.setattr(teacher_card, "other_size", lambda _data: 32)
    monkeypatch.setattr(cached, "teacher", no_teacher)
    app.run()
    app.button(key="data/size/teacher").click().run()
    assert app.selectbox(key="data/image_size").value == 32
    app.selectbox(key="data/dataset").set_value("digits").run()
    assert app.session_state["delt/session"].draft.image_size is None
