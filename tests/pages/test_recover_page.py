"""Recover: settings that cannot be wrong, the plan, the start, and the view of a run in every state."""

from __future__ import annotations

import os
import shutil
import time
from types import SimpleNamespace

import pytest
from fake_runs import fake_experiment, make_finished_run, make_half_done_run
from page_helpers import captions, metrics, press

from delt_engine.analysis.cost import Rate, RateKey
from delt_engine.config import Experiment, RecoverConfig
from delt_engine.errors import RunError
from delt_engine.jobs import start, tasks
from delt_engine.jobs.measured_rates import keep_rate
from delt_engine.models import processor
from delt_engine.models.card import find_teacher, read_card
from delt_engine.runs.events import StepEvent
from delt_engine.runs.lineage import parent_of
from delt_engine.runs.store import Run
from pages.shared import cached
from pages.shared.runs import class_rows

PAGE = "distill/recover"


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


def test_imitated_bfloat16_is_warned_of_beside_its_choice(open_page, monkeypatch) -> None:
    monkeypatch.setattr(processor, "has_slow_bfloat16", lambda: True)
    app = open_page(PAGE)
    assert not app.warning
    app.session_state["recover/precision"] = "bfloat16"
    app.session_state["recover/device"] = "cpu"
    app.run()
    assert "bfloat16 is about 20 times slower than float32" in app.warning[0].value


def test_mi_and_ri_always_fit(open_page) -> None:
    app = open_page(PAGE)
    for iterations in (1, 7, 97, 120, 210, 1000, 4001, 100_003):
        app.number_input(key="recover/iterations").set_value(iterations).run()
        assert not app.error
        mi, ri, _ = pair(app)
        assert (mi, mi % ri) == (iterations, 0)


def pair(app) -> tuple[int, int, str]:
    keys = (app.number_input(key="recover/iterations"), app.number_input(key="recover/round_iterations"))
    return (*(int(entry.value) for entry in keys), metrics(app)["Rounds"])


def test_mi_ri_and_the_number_of_rounds_follow_each_other(open_page, started) -> None:
    app = open_page(PAGE)
    for name, value, expected in (
        ("iterations", 400, (400, 50, "8")),  # RI is kept where it still divides
        ("iterations", 410, (410, 41, "10")),  # 8.2 rounds of 50: ten of 41 are nearest
        ("iterations", 200, (200, 40, "5")),
        ("round_iterations", 100, (200, 100, "2")),  # MI follows a typed RI only where it must
        ("round_iterations", 60, (180, 60, "3")),
        ("round_iterations", 700, (700, 700, "1")),
    ):
        app.number_input(key=f"recover/{name}").set_value(value).run()
        assert pair(app) == expected
        assert app.number_input(key="recover/iterations").step == expected[1]
    app = open_page(PAGE)
    app.select_slider[0].set_value(8).run()
    assert pair(app) == (200, 25, "8")
    app.button(key="recover/start").click().run()
    assert started.experiments[0][0].recover.round_iterations == 25


def test_a_row_of_a_paper_sets_dataset_method_and_numbers_and_names_its_table(open_page, started) -> None:
    app = open_page(PAGE)
    app.selectbox(key="recover/paper").set_value("CDA, Tiny-ImageNet").run()
    assert "Source: CDA Table 12b" in captions(app)
    assert app.selectbox(key="recover/dataset").value == "tiny-imagenet"
    assert app.segmented_control(key="recover/method").value == "cda"
    assert (app.number_input(key="recover/r_bn").value, app.number_input(key="recover/jitter").value) == (1.0, 4)
    assert pair(app) == (4000, 500, "8")
    assert app.button(key="recover/start").disabled
    assert "Tiny-ImageNet (200 classes) is not on this machine yet" in app.info[0].value
    app.pills(key="recover/preset").set_value("Tiny").run()
    assert app.selectbox(key="recover/paper").value is None
    assert app.number_input(key="recover/r_bn").value == 0.01
    assert pair(app) == (40, 10, "4")


def test_the_expected_time_is_that_of_the_last_run_or_of_a_measurement(open_page, home, finished, monkeypatch) -> None:
    monkeypatch.setenv("DELT_HOME", str(home))
    asked = []
    monkeypatch.setattr(tasks, "start", lambda work, words: asked.append(words))
    app = open_page(PAGE)
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


def test_the_plan_says_groups_curves_disk_cost_saving_and_command(open_page) -> None:
    app = open_page(PAGE)
    assert "3 with 200 iterations, 3 with 150, 2 with 100, 2 with 50" in captions(app)
    assert len(app.get("plotly_chart")) == 2
    assert "Disk: about 1.7 MB when it is finished." in captions(app)
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


def test_a_wrong_value_is_one_sentence(open_page) -> None:
    app = open_page(PAGE)
    app.number_input(key="recover/learning_rate").set_value(0.0).run()
    assert [entry.value for entry in app.error] == [r"learning\_rate: 0.0 given, but it must be above 0.0."]


@pytest.mark.parametrize(("page", "key"), [(PAGE, "recover/start"), ("start/home", "home/start")])
def test_a_start_that_fails_is_one_sentence(open_page, started, monkeypatch, page, key) -> None:
    def refuse(*_):
        raise RunError("runs: there is no permission to write there.")

    monkeypatch.setattr(start, "start", refuse)
    app = open_page(page)
    app.button(key=key).click().run()
    assert [entry.value for entry in app.error] == ["runs: there is no permission to write there."]
    assert not app.query_params


def test_a_running_run_is_shown_paused_stopped_and_followed_to_its_end(open_page, started, half_done) -> None:
    groups = {"start_rounds": (1, 2), "start_ce_losses": (0.5, 1.5), "memory_mb": 512.3}
    half_done.event(half_done.latest_event(StepEvent).model_copy(update=groups))
    app = open_page(PAGE, run=half_done.id)
    assert (metrics(app)["Round"], metrics(app)["Memory"]) == ("2 of 4", "512 MB")
    assert len(app.get("bidi_component")) == 1
    (losses,) = app.get("plotly_chart")
    assert "Round 2" in losses.proto.spec
    press(app, f"recover/pause/{half_done.id}", f"recover/stop/{half_done.id}")
    assert started.asked == [("pause", half_done.id), ("cancel", half_done.id)]
    half_done.set_status("cancelled", process=None)
    app.run()
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
    assert metrics(app)["Round"] == "4 of 4"
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
    assert metrics(app)["Round"] == "–"


def test_a_rerun_marks_what_differs_and_stands_beside_its_parent_or_alone(open_page, finished, started) -> None:
    before = {path: path.read_bytes() for path in finished.path.rglob("*") if path.is_file()}
    app = open_page(PAGE, run=finished.id)
    app.button(key="recover/reuse").click().run()
    assert "Nothing is changed yet" in captions(app)
    app.number_input(key="recover/round_iterations").set_value(20).run()
    assert any("Round iterations (RI): 10 → 20" in entry.value for entry in app.markdown)
    app.button(key="recover/start").click().run()
    assert parent_of(started.runs[0]) == finished
    assert f"Repeats {finished.id} with 1 change" in captions(app)
    assert app.multiselect(key="recover/beside").value == [finished.id]
    assert any("Round iterations (RI): 10 → 20" in entry.value for entry in app.markdown)
    assert {path: path.read_bytes() for path in finished.path.rglob("*") if path.is_file()} == before
    app = open_page(PAGE, run=finished.id)
    for deed in ("reuse", "unlink", "start"):
        app.button(key=f"recover/{deed}").click().run()
    assert parent_of(started.runs[1]) is None


def test_images_can_be_seen_over_what_they_started_from(open_page, finished) -> None:
    made = class_rows.film_so_far(finished, [0, 1])
    over = class_rows.over_starts(made, "patch")
    assert [row.note for row in over.rows] == ["", "patch it started from"] * 2
    image, patch = over.rows[2].cells[1], over.rows[3].cells[1]
    assert set(patch.sheets) == {image.sheets[0]}
    app = open_page(PAGE, run=finished.id)
    app.toggle(key="recover/starts").set_value(True).run()


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
