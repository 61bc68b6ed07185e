"""Recover: settings that cannot be wrong, the plan, the start, and the ways on from a run."""

from __future__ import annotations

import json
import shutil
from dataclasses import fields
from types import SimpleNamespace

import pytest
import small_pictures
from click.testing import CliRunner
from fake_runs import fake_experiment, make_finished_run
from page_helpers import captions, keys, metrics, move, pair, press, texts
from some_card import write_card
from some_curve import ship

from delt_engine.analysis.cost import Rate, RateKey
from delt_engine.cli import main
from delt_engine.config import Experiment, RecoverConfig
from delt_engine.data.available import add_folder
from delt_engine.data.catalogue import load_dataset
from delt_engine.errors import RunError
from delt_engine.jobs import start, tasks
from delt_engine.jobs.measured_rates import keep_rate
from delt_engine.models import processor
from delt_engine.models.card import find_teacher, read_card
from delt_engine.runs.lineage import parent_of
from delt_engine.runs.titles import read_title
from pages.shared import cached
from pages.shared.recover import cost
from pages.shared.wording import long_title

PAGE = "distill/recover"


def of_photos(app):
    return app.selectbox(key="recover/dataset").set_value("photos").run()


def test_start_runs_what_the_form_says(open_page, started, address) -> None:
    app = open_page(PAGE)
    app.number_input(key="recover/ipc").set_value(4)
    app.number_input(key="recover/seed").set_value(7)
    app.number_input(key="recover/learning_rate").set_value(0.1)
    app.selectbox(key="recover/criterion").set_value("top").run()
    app.button(key="recover/start").click().run()
    experiment, kind = started.experiments[0]
    assert kind == "recover"
    assert (experiment.seed, experiment.select.criterion) == (7, "top")
    assert experiment.recover == RecoverConfig(ipc=4, iterations=200, round_iterations=50, learning_rate=0.1)
    assert address(app)["run"] == started.runs[0].id


def test_imitated_bfloat16_and_a_wild_rate_are_warned_of_beside_their_choice(open_page, monkeypatch) -> None:
    monkeypatch.setattr(processor, "has_slow_bfloat16", lambda: True)
    app = open_page(PAGE)
    assert not app.warning
    app.session_state["recover/precision"] = "bfloat16"
    app.session_state["recover/device"] = "cpu"
    app.session_state["recover/learning_rate"] = 5.0
    app.run()
    assert "bfloat16 is about 20 times slower than float32" in app.warning[0].value
    assert "Learning rate 5: a step of Adam is about as long" in app.warning[1].value


def test_a_row_of_a_paper_sets_dataset_method_and_numbers_and_names_its_table(open_page, started) -> None:
    app = open_page(PAGE)
    app.selectbox(key="recover/paper").set_value("cda-tiny-imagenet").run()
    assert "Source: CDA Table 12b" in captions(app)
    table = app.table[0].value
    row = table.set_index("Setting").loc["BatchNorm weight"]
    assert (row["Default"], row["Preset"], row["From"]) == ("0.01", "1", "CDA Table 12b")
    assert app.selectbox(key="recover/dataset").value == "tiny-imagenet"
    assert app.segmented_control(key="recover/method").value == "cda"
    assert (app.number_input(key="recover/r_bn").value, app.number_input(key="recover/jitter").value) == (1.0, 4)
    assert pair(app) == (4000, 500)
    assert app.button(key="recover/start").disabled
    assert "Tiny-ImageNet (200 classes) is not on this machine yet" in app.info[0].value
    app.pills(key="recover/preset").set_value("Tiny").run()
    assert app.selectbox(key="recover/paper").value is None
    assert app.number_input(key="recover/r_bn").value == 0.01
    assert pair(app) == (40, 10)


def test_a_row_of_a_paper_has_the_numbers_of_the_teacher_that_was_chosen(open_page, home, monkeypatch) -> None:
    monkeypatch.setenv("DELT_HOME", str(home))
    dense = {"network": "densenet121", "dataset": "imagenet-1k", "image_size": 224}
    write_card(home / "teachers" / "dense.safetensors", **dense)
    app = open_page(PAGE)
    app.selectbox(key="recover/dataset").set_value("imagenet-1k").run()
    app.text_input(key="recover/teacher").set_value("dense").run()
    app.selectbox(key="recover/paper").set_value("cda-imagenet-1k").run()
    assert pair(app) == (1000, 125)  # CDA Table 16d
    assert app.number_input(key="recover/learning_rate").value == 0.5
    assert app.text_input(key="recover/teacher").value == "dense"
    row = app.table[0].value.set_index("Setting").loc["Learning rate"]
    assert (row["Preset"], row["From"]) == ("0.5", "CDA Table 16d")
    app.text_input(key="recover/teacher").set_value("auto").run()
    app.selectbox(key="recover/paper").set_value("delt-imagenet-1k-convnet-4").run()
    assert app.text_input(key="recover/teacher").value == "imagenet-1k-convnet-4-64px"
    app.pills(key="recover/preset").set_value("Tiny").run()
    app.selectbox(key="recover/paper").set_value("delt-imagenet-1k").run()  # what a row named was not chosen
    assert (app.text_input(key="recover/teacher").value, pair(app)) == ("auto", (4000, 500))


def test_the_expected_time_is_that_of_the_last_run_or_of_a_measurement(open_page, home, finished, monkeypatch) -> None:
    monkeypatch.setenv("DELT_HOME", str(home))
    asked = []
    monkeypatch.setattr(tasks, "start", lambda work, words: asked.append(words))
    app = of_photos(open_page(PAGE))
    assert metrics(app)["Time expected"] == "1 min 30 s"  # 13,500 image-iterations at 150 a second
    assert finished.id in next(entry for entry in app.metric if entry.label == "Time expected").help
    shutil.rmtree(finished.path)
    app.run()
    assert metrics(app)["Time expected"] == "–"
    app.button(key="recover/measure").click().run()
    assert asked[0][:5] == ["cost", "--measure", "--dataset", "photos", "--method"]
    teacher = read_card(find_teacher("auto", "photos", None)).fingerprint
    keep_rate(Rate(RateKey("cpu", teacher, 32, 100), 0.1, 0.002, "CPU", "measured", "2026-01-01T00:00:00.000Z"))
    app.text_input(key="recover/device").set_value("cpu").run()
    assert metrics(app)["Time expected"] == "47 s"  # 200 iterations at 0.1 s and 13,500 image-iterations at 2 ms
    assert "Measured on this machine in the measurement of 2026-01-01 00:00 UTC: 333 image" in captions(app)
    app.selectbox(key="recover/bn_targets").set_value("class").run()
    assert metrics(app)["Time expected"] == "54 s"  # and half an image-iteration for each of 5,000 training images
    assert "8 s of it is a look at the training images for the BatchNorm targets, once." in captions(app)


def test_the_plan_says_what_a_smaller_mi_costs_and_fast_takes_the_smallest_that_is_enough(open_page, home) -> None:
    assert "Students of " not in captions(open_page(PAGE))
    ship(home / "assets")
    app = of_photos(open_page(PAGE))
    app.pills(key="recover/preset").set_value("Fast").run()
    assert pair(app) == (2000, 250)
    assert "Source: smallest MI within one standard deviation of MI 4,000" in captions(app)
    assert "Students of DELT: 45.4 ± 1.0 % at MI 2,000, 46.0 ± 1.0 % at MI 4,000" in captions(app)
    app.segmented_control(key="recover/method").set_value("sre2l").run()
    assert "Students of " not in captions(app)
    app.pills(key="recover/preset").set_value("Tiny").run()
    app.pills(key="recover/preset").set_value("Fast").run()
    assert "accuracy over MI was not measured for 'sre2l'; it is there for delt, cda" in app.error[0].value
    assert pair(app) == (40, 10)


def test_the_plan_says_groups_curves_disk_cost_saving_and_command(open_page) -> None:
    app = of_photos(open_page(PAGE))
    assert "3 with 200 iterations, 3 with 150, 2 with 100, 2 with 50" in captions(app)
    assert len(app.get("plotly_chart")) == 2
    assert (metrics(app)["Disk"], metrics(app)["Soft labels"]) == ("1.7 MB", "600 kB")
    assert metrics(app)["Memory"] == "–"  # no run with this teacher tells it
    app.pills(key="recover/preset").set_value("As published").run()
    said = {name: metrics(app)[name] for name in ("Rounds", "Image-iterations", "Saved")}
    assert said == {"Rounds": "8", "Image-iterations": "255,000", "Saved": "36.3 %"}
    assert app.code[0].value == "delt recover --dataset photos"
    assert "get 4,000 iterations; the latest join in round 8 and get 500" in captions(app)
    app.number_input(key="recover/ipc").set_value(1).run()
    assert "EarlyLate does nothing and saves nothing" in captions(app)
    assert metrics(app)["Saved"] == "0.0 %"


def test_a_method_brings_its_settings_and_keeps_the_size(open_page, started) -> None:
    app = open_page(PAGE)
    app.number_input(key="recover/ipc").set_value(3).run()
    app.segmented_control(key="recover/method").set_value("sre2l").run()
    assert app.selectbox(key="recover/initialization").value == "noise"
    assert app.selectbox(key="recover/curriculum").value == "constant"
    assert "All 3 images of a class join in round 1" in captions(app)
    app.button(key="recover/start").click().run()
    expected = RecoverConfig.for_method("sre2l", ipc=3, iterations=200, round_iterations=50)
    assert started.experiments[0][0].recover == expected


def test_the_trainings_of_a_coreset_are_priced(open_page) -> None:
    app = open_page(PAGE)
    for method, is_priced in (("random", False), ("el2n", True)):
        app.segmented_control(key="recover/method").set_value(method).run()
        assert ("Time for the scores" in metrics(app)) == is_priced
    told = next(metric.help for metric in app.metric if metric.label == "Time for the scores")
    assert "3 trainings of the teacher's network on all real images, 10 epochs each" in told


def test_g_vbsm_takes_a_committee_that_other_methods_forget(open_page, started) -> None:
    app = open_page(PAGE)
    app.segmented_control(key="recover/method").set_value("gvbsm").run()
    app.multiselect(key="recover/teachers").set_value(["cifar10-mini", "second"]).run()
    assert not app.error
    app.button(key="recover/start").click().run()
    experiment = started.experiments[0][0]
    assert (experiment.teachers, experiment.recover.committee) == (("cifar10-mini", "second"), True)
    app = open_page(PAGE)
    app.segmented_control(key="recover/method").set_value("gvbsm").run()
    app.multiselect(key="recover/teachers").set_value(["second"]).run()
    app.segmented_control(key="recover/method").set_value("cda").run()
    app.button(key="recover/start").click().run()
    assert started.experiments[1][0].teachers == ()


def test_settings_and_the_run_of_a_session_survive_a_visit_to_another_page(open_page, started, address) -> None:
    app = open_page(PAGE)
    app.number_input(key="recover/ipc").set_value(6).run()
    app.switch_page("pages/manage/runs.py").run()
    app.switch_page("pages/distill/recover.py").run()
    assert app.number_input(key="recover/ipc").value == 6
    app.button(key="recover/start").click().run()
    app.switch_page("pages/manage/runs.py").run()
    app.query_params.clear()
    app.switch_page("pages/distill/recover.py").run()
    assert address(app)["run"] == started.runs[0].id


@pytest.mark.parametrize(("page", "key"), [(PAGE, "recover/start"), ("start/home", "home/start")])
def test_a_start_that_fails_is_one_sentence(open_page, started, monkeypatch, page, key) -> None:
    def refuse(*_):
        raise RunError("runs: there is no permission to write there.")

    monkeypatch.setattr(start, "start", refuse)
    app = open_page(page)
    app.button(key=key).click().run()
    assert [entry.value for entry in app.error] == ["runs: there is no permission to write there."]
    assert not app.query_params


def test_of_two_folders_of_one_name_each_has_its_own_teacher(home, monkeypatch) -> None:
    """The newest teacher of that name knows other classes; a folder that was read asks for its own."""
    asked = []
    spec = SimpleNamespace(class_names=("cat", "dog"))
    monkeypatch.setattr(cached, "place_of", lambda name: SimpleNamespace(state="unread" if "new" in name else "ready"))
    monkeypatch.setattr(cached, "dataset", lambda *_: SimpleNamespace(spec=spec))
    monkeypatch.setattr(cached, "teacher", lambda *words: asked.append(words))
    for name in ("/a/pets", "/new/pets", "photos"):
        cached.planned_teacher(Experiment(dataset=name))
    assert asked == [
        ("auto", "/a/pets", None, ("cat", "dog")),
        ("auto", "/new/pets", None, None),
        ("auto", "photos", None, None),
    ]


def test_a_run_is_repeated_with_other_mi_and_ri_on_its_own_page(open_page, finished, started, address) -> None:
    app = open_page(PAGE, run=finished.id)
    key = f"rounds/{finished.id}"
    assert app.button(key="recover/again").disabled
    assert pair(app, key) == (40, 10)
    move(app, key, iterations=80)
    deltas = {entry.label: (entry.value, entry.delta) for entry in app.metric}
    assert deltas["Rounds"] == ("8", "was 4")
    assert deltas["Image-iterations"] == ("780", "was 300")  # of three classes
    assert deltas["Saved"] == ("18.8 %", "was 37.5 %")
    assert deltas["Time"] == ("5 s", "was 2 s")
    move(app, key, round_iterations=-1)
    assert app.button(key="recover/again").disabled
    move(app, key, iterations=80)
    press(app, "recover/again")
    (new,) = started.runs
    assert new.experiment.recover == finished.experiment.recover.replace(iterations=80)
    assert (parent_of(new), address(app)["run"]) == (finished, new.id)
    app = open_page(PAGE, run=finished.id)
    press(app, "recover/reuse")
    assert app.session_state["delt/session"].draft == finished.experiment
    assert "Rerun of **DELT · MI 40 / RI 10" in texts(app)


def test_ways_on_lead_with_the_run_and_other_methods_are_queued_once(
    open_page, home, finished, started, address
) -> None:
    app = open_page(PAGE, run=finished.id)
    press(app, "recover/baselines")
    assert [experiment.recover.method for experiment, _ in started.experiments] == ["cda", "sre2l"]
    for experiment, _ in started.experiments:
        same = ("ipc", "iterations", "round_iterations")
        assert all(getattr(experiment.recover, name) == getattr(finished.experiment.recover, name) for name in same)
        assert (experiment.seed, experiment.dataset) == (finished.experiment.seed, finished.experiment.dataset)
    assert "recover/baselines" not in keys(app)  # both are there, so neither is made again
    assert [experiment.recover.min_crop for experiment, _ in started.experiments] == [0.4, 1.0]  # CDA's and SRe2L's own
    assert "Under each paper's settings:" in captions(app)
    links = [entry.proto.label for entry in app.get("page_link")]
    assert any("CDA · MI 40 / RI 10" in label and "queued" in label for label in links)
    app.segmented_control(key="recover/basis").set_value("equal").run()
    press(app, "recover/baselines")
    assert [experiment.recover.min_crop for experiment, _ in started.experiments[2:]] == [0.08, 0.08]
    assert "Under the same settings:" in captions(app)
    for key, title in (("recover/students", "Accuracy"), ("recover/alike", "Diversity")):
        app = open_page(PAGE, run=finished.id)
        press(app, key)
        assert (app.title[0].value, address(app).get("run")) == (title, finished.id)
    lone = make_finished_run(home / "runs" / "20260201-000000-lone", fake_experiment(classes=("cat",)))
    button = open_page(PAGE, run=lone.id).button(key="recover/students")
    assert button.disabled
    assert button.help == "This run has one class, but students need at least two to tell apart."


def test_a_run_has_the_name_it_was_given_before_the_start(open_page, started) -> None:
    app = of_photos(open_page(PAGE))
    app.text_input(key="recover/name").set_value("Longer rounds").run()
    press(app, "recover/start")
    (run,) = started.runs
    assert read_title(run).title == "Longer rounds"
    assert "Longer rounds" in [entry.value for entry in app.subheader]
    assert long_title(run).startswith("Longer rounds · ")
    assert long_title(run).endswith("DELT · MI 200 / RI 50 · IPC 10 · photos")
    assert any(entry.proto.label.startswith("Longer rounds · ") for entry in app.get("page_link"))  # in the strip


@pytest.mark.parametrize("is_read", [True, False])
def test_a_folder_without_a_teacher_has_a_true_plan_and_can_have_one_trained(
    open_page, tmp_path, started, monkeypatch, is_read
) -> None:
    monkeypatch.setenv("DELT_HOME", str(tmp_path / "home"))
    folder = small_pictures.folder(tmp_path / "my pets", classes=4)
    add_folder(folder)
    if is_read:
        load_dataset(str(folder))
    app = open_page(PAGE)
    app.selectbox(key="recover/dataset").set_value(str(folder)).run()
    label, number = ("Image-iterations", "5,400") if is_read else ("Image-iterations per class", "1,350")
    assert metrics(app)[label] == number
    assert (metrics(app)["Disk"] == "–") is not is_read
    assert "There is no teacher for my pets" in texts(app)
    assert "delt squeeze" not in texts(app)
    assert app.button(key="recover/start").disabled
    press(app, "data/train_small")
    assert [(made.dataset, kind) for made, kind in started.experiments] == [(str(folder), "squeeze")]


@pytest.mark.parametrize("kind", ["built-in", "folder", "folder with a teacher"])
def test_the_plan_is_what_delt_cost_says(home, monkeypatch, tmp_path, kind) -> None:
    monkeypatch.setenv("DELT_HOME", str(tmp_path / "home"))
    name = "photos" if kind == "built-in" else str(small_pictures.folder(tmp_path / "pets", classes=4))
    if kind == "folder with a teacher":
        names = load_dataset(name).spec.class_names
        write_card(tmp_path / "home" / "teachers" / "pets.safetensors", dataset="pets", class_names=names)
    elif kind == "folder":
        load_dataset(name)
    answer = CliRunner().invoke(main, ["cost", "--dataset", name, "--mi", "400", "--ri", "50", "--json"])
    told = json.loads(answer.stdout)
    planned = cost.planned(Experiment(dataset=name, recover=RecoverConfig(iterations=400, round_iterations=50)))
    assert planned.classes == (10 if kind == "built-in" else 4)
    for field in fields(planned):
        value = getattr(planned, field.name)
        assert told[field.name] == (round(value, 2) if field.name == "saved_percent" else value)
