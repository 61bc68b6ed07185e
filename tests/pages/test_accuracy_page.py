"""Accuracy: what may stand side by side does, nothing else; published numbers apart; students are trained from here."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from fake_runs import dataset_record, fake_experiment, make_evaluation, make_finished_run, make_training
from page_helpers import captions, keys, metrics, planned_dataset, press, table_with, texts, traces
from some_curve import ship

from delt_engine.data.catalogue import CATALOGUE, load_dataset
from delt_engine.jobs.evaluations import Evaluation, evaluations
from delt_engine.models.card import find_teacher, read_card
from delt_engine.runs.ablations import keep, with_gaps
from delt_engine.runs.processes import this_process
from delt_engine.runs.record import TeacherRecord
from pages.shared.accuracy import data

PAGE = "explore/accuracy"
CIFAR = dataset_record("cifar10", CATALOGUE["cifar10"].class_names, title="CIFAR-10", fingerprint="c1fa")


def bars(app) -> dict[str, dict]:
    return {trace["name"]: trace for trace in traces(app) if trace["type"] == "bar"}


def make(home: Path, name: str, method: str = "delt", ipc: int = 10, **settings):
    """A finished run with an evaluation."""
    run = make_finished_run(home / "runs" / f"20260101-000000-{name}", fake_experiment(method, ipc))
    return run, make_evaluation(home / "runs" / f"20260102-000000-{name}", run, **settings)


def recipes(app) -> list[str]:
    """The recipes that the page offers."""
    groups = [*app.button_group, *app.selectbox]
    return [str(option) for group in groups if group.key == "accuracy/recipe" for option in group.options]


def test_methods_of_one_recipe_stand_side_by_side_and_random_images_are_a_line(open_page, home) -> None:
    make(home, "a", "delt", top1=(60.0, 62.0, 64.0))
    make(home, "b", "sre2l", top1=(44.0, 45.0, 46.0))
    make(home, "c", "delt", 4, epochs=300)
    make_evaluation(home / "runs" / "20260103-000000-real", "real", (90.0,))
    app = open_page(PAGE)
    assert set(bars(app)) == {"DELT"}  # the newest run's students come first
    assert bars(app)["DELT"]["y"] == [42.0]
    app = open_page(PAGE, recipe="delt-60ep")
    assert set(bars(app)) == {"DELT", "SRe²L"}
    names = {trace.get("name") for trace in traces(app)}
    assert {"Whole real set", "Chance"} <= names
    assert "Random real images" not in names
    assert "Not evaluated under this recipe yet: random real images." in captions(app)
    assert [entry for entry in app.markdown if "shortened: 60 of 300 epochs" in entry.value]
    row = table_with(app, "n").set_index("Method").loc["DELT"]
    assert (row["n"], row["± Top-1, last epoch (%)"]) == (3, 2.0)
    make(home, "d", "random", top1=(30.0, 31.0, 32.0))
    app = open_page(PAGE)
    assert set(bars(app)) == {"DELT", "SRe²L"}
    line = next(trace for trace in traces(app) if trace.get("name") == "Random real images")
    assert line["y"] == [31.0, 31.0]
    gaps = table_with(app, "Above random real (points)").set_index("Method")["Above random real (points)"]
    assert (gaps["DELT"], gaps["SRe²L"]) == (31.0, 14.0)


def test_an_ablation_of_the_dataset_is_shown_with_its_command(open_page, home) -> None:
    make(home, "a")
    rows = [
        {"title": "DELT", "top1_last": 40.0, "top1_last_std": 0.5, "image_iterations": 60000},
        {"title": "Re-mix", "top1_last": 42.5, "top1_last_std": 1.5, "image_iterations": 60000},
    ]
    told = {"dataset_title": "Photos", "teacher": "photos", "teacher_fingerprint": "1", "dataset_fingerprint": "2"}
    told |= {"ipc": 10, "iterations": 1000, "round_iterations": 200, "seed": 0, "seeds": 3, "test_images": 1000}
    told |= {"training": "resnet18, DELT, 300 epochs, 3 seeds", "machine": "a processor", "command": ["delt", "ablate"]}
    keep({**told, "dataset": "photos", "rows": with_gaps(rows)})
    app = open_page(PAGE)
    table = table_with(app, "Against DELT").set_index("Switch")
    assert (table.loc["Re-mix", "Against DELT"], table.loc["Re-mix", "± Top-1, last epoch (%)"]) == (2.5, 1.5)
    assert table.loc["DELT", "Image-iterations"] == 60000
    assert "mean ± sample standard deviation over the seeds, all labelled by photos alone" in captions(app)
    assert "delt ablate" in [block.value for block in app.code]


def test_accuracy_over_mi_is_a_chart_with_its_table_and_command(open_page, home) -> None:
    make(home, "a")
    ship(home / "assets")
    app = open_page(PAGE)
    charts = [traces(app, place) for place in range(len(app.get("plotly_chart")))]
    curve = next(trace for chart in charts for trace in chart if trace.get("name") == "CDA")
    assert (curve["x"], curve["y"]) == ([504, 1000, 2000, 4000], [30.0, 31.0, 35.0, 36.5])
    table = table_with(app, "MI").set_index("MI")
    assert table["± Top-1, last epoch (%)"].tolist() == [1.0] * 8
    assert "measured on CIFAR-10 with resnet18 of width 0.25" in captions(app)
    assert "delt compare --over-mi 504,1000,2000,4000" in [block.value for block in app.code]


def test_last_best_and_averaged_accuracy(open_page, home, address) -> None:
    make(home, "a", recipe="edc", epochs=1000, top1=(50.0,), ema=True)
    app = open_page(PAGE)
    for kind, value in (("best", 51.0), ("ema", 52.0)):
        app.segmented_control(key="accuracy/accuracy").set_value(kind).run()
        assert bars(app)["DELT"]["y"] == [value]
        assert address(app)["accuracy"] == kind
    assert "one student each (n = 1), so no spread" in captions(app)


def test_the_address_opens_the_same_view(open_page, home, address) -> None:
    make(home, "a", "delt", 10)
    make(home, "b", "delt", 4, epochs=300)
    make(home, "c", "cda", 10, epochs=300)
    app = open_page(PAGE, recipe="delt-60ep", figure="epochs")
    assert app.segmented_control(key="accuracy/recipe").value == "delt-60ep"
    assert [trace["name"] for trace in traces(app)][-1] == "DELT, IPC 10"
    app = open_page(PAGE, dataset="photos", recipe="delt", ipc="4")
    assert set(bars(app)) == {"DELT"}
    assert address(app)["ipc"] == "4"
    app = open_page(PAGE, recipe="nothing", ipc="x", runs="none")


def test_of_two_evaluations_of_a_cell_the_newest_is_shown_until_both_are_asked_for(open_page, home) -> None:
    run, old = make(home, "a", top1=(40.0,))
    new = make_evaluation(home / "runs" / "20260104-000000-new", run, (50.0,))
    app = open_page(PAGE)
    assert [trace["y"] for trace in bars(app).values()] == [[50.0]]
    app.multiselect(key="accuracy/runs").set_value([old.id, new.id]).run()
    assert sorted(trace["y"] for trace in bars(app).values()) == [[40.0], [50.0]]
    assert len(bars(app)) == 2


def test_classes_are_compared_in_points(open_page, home) -> None:
    make(home, "a", "delt", top1=(60.0,))
    make(home, "b", "cda", top1=(50.0,))
    app = open_page(PAGE, figure="classes")
    trace = traces(app)[0]
    assert trace["text"] == ["+10.0"] * 3
    assert trace["hovertext"][0] == "coffee: DELT, IPC 10 70.0 %, CDA, IPC 10 60.0 %"
    app.selectbox(key="accuracy/class_second").set_value(app.selectbox(key="accuracy/class_first").value).run()
    assert "Choose two different evaluations." in [entry.value for entry in app.info]


def test_photos_have_no_published_numbers_and_cifar10_is_offered_apart(open_page, home) -> None:
    make(home, "a")
    app = open_page(PAGE)
    assert any("The papers print no accuracies for Photos" in entry.value for entry in app.info)
    table = table_with(app, "CIFAR-10, published")
    row = table[(table["Method"] == "DELT") & (table["From"] == "DELT Table 1")].iloc[0]
    assert row["CIFAR-10, published"] == "43.0 ± 0.9 %"


def test_you_and_the_paper_names_gap_table_and_settings_of_the_same_classes(open_page, home) -> None:
    make(home, "a", top1=(41.0, 42.0, 43.0), epochs=300, dataset=CIFAR, student_width=1.0)
    app = open_page(PAGE)
    row = table_with(app, "Gap, points").iloc[0]
    assert (row["Published"], row["From"]) == ("43.0 ± 0.9 %", "DELT Table 1")
    assert row["Gap, points"] == pytest.approx(-1.0)
    assert row["Measured here"] == "42.0 ± 1.0 % (3 students)"
    assert "Recovery: Iterations (MI)" in set(table_with(app, "Here")["Setting"])
    shutil.rmtree(home / "runs")
    some = CIFAR.model_copy(update={"class_names": CIFAR.class_names[:3]})
    make(home, "a", epochs=300, dataset=some, student_width=1.0)
    app = open_page(PAGE)
    assert not any("Gap, points" in frame.value.columns for frame in app.dataframe)
    assert any("on these 3 classes; they do for all classes" in entry.value for entry in app.info)


def test_table_has_every_number_and_scores_say_what_is_missing(open_page, home) -> None:
    titled = CIFAR.model_copy(update={"title": "my_own_[set](there)"})
    run, evaluation = make(home, "a", top1=(60.0, 62.0), dataset=titled)
    app = open_page(PAGE)
    row = table_with(app, "Evaluation").iloc[0]
    assert (row["Top-1, last epoch (%)"], row["Evaluation"], row["Images"]) == (61.0, evaluation.id, run.id)
    assert {button.label for button in app.get("download_button")} >= {"CSV", "LaTeX", "Markdown"}
    assert "test images of my\\_own\\_\\[set\\](there); recipe" in captions(app)  # a title is no markdown
    assert metrics(app)["Label-robust score (LRS)"] == "–"
    assert any("--recipe hard" in block.value for block in app.code)


def test_compare_queues_recovery_before_students_and_takes_what_is_there(open_page, started, home) -> None:
    app = open_page(PAGE)
    app.pills(key="accuracy/methods").set_value(["rded", "delt"]).run()
    command = next(block.value for block in app.code if block.value.startswith("delt compare"))
    assert command.startswith(f"delt compare --dataset {planned_dataset(app)} --methods rded,delt --ipc 10")
    app.button(key="accuracy/compare").click().run()
    assert [kind for _, kind in started.experiments] == ["recover", "evaluate", "recover", "evaluate"]
    methods = [experiment.recover.method for experiment, _ in started.experiments]
    assert methods == ["rded", "rded", "delt", "delt"]
    assert started.experiments[0][0].rank.crops == 5
    assert started.sources == [run.id for run in started.runs if run.record().kind == "recover"]
    app.button(key="accuracy/compare").click().run()  # both recoveries wait already
    assert [kind for _, kind in started.experiments[4:]] == ["evaluate", "evaluate"]


def test_what_was_chosen_on_patches_and_the_basis_reach_the_comparison_and_its_command(
    open_page, started, home
) -> None:
    app = open_page(PAGE)
    now = app.session_state["delt/session"]
    now.change("select", criterion="top", mosaic=2, pinned=(3,))
    now.change("recover", r_bn=0.05)
    app.session_state["delt/session"] = now
    app.pills(key="accuracy/methods").set_value(["cda", "cda-init", "random"]).run()
    for basis, r_bn in (("published", 0.01), ("equal", 0.05)):
        app.segmented_control(key="accuracy/basis").set_value(basis).run()
        before = len(started.experiments)
        app.button(key="accuracy/compare").click().run()
        made = [one for one, kind in started.experiments[before:] if kind == "recover"]
        assert [one.recover.r_bn for one in made if one.recover.is_optimised] == [r_bn, r_bn]
        chosen = {one.recover.method: (one.select.criterion, one.select.mosaic, one.select.pinned) for one in made}
        assert chosen["cda-init"] == ("top", 2, (3,))
        command = next(block.value for block in app.code if block.value.startswith("delt compare"))
        assert "--mi 200 --ri 50" in command
        assert "--criterion top --mosaic 2 --pinned 3" in command
        assert ("--settings equal" in command) == ("--r-bn 0.05" in command) == (basis == "equal")


def test_compare_takes_no_run_of_another_teacher(open_page, started, home) -> None:
    app = open_page(PAGE)
    app.pills(key="accuracy/methods").set_value(["delt"]).run()
    for fingerprint, new in (("another", ["recover", "evaluate"]), (None, ["evaluate"])):
        app.button(key="accuracy/compare").click().run()
        made = next(run for run in reversed(started.runs) if run.record().kind == "recover")
        name = planned_dataset(app)
        card = read_card(find_teacher(name))
        made.update(
            dataset=CIFAR.model_copy(update={"name": name, "fingerprint": load_dataset(name).fingerprint}),
            teacher=TeacherRecord(name=name, network="resnet18", fingerprint=fingerprint or card.fingerprint),
        )
        made.set_status("running", process=this_process())
        before = len(started.experiments)
        app.button(key="accuracy/compare").click().run()
        assert [kind for _, kind in started.experiments[before:]] == new


def test_the_real_set_is_compared_on_the_planned_classes(open_page, started, home) -> None:
    app = open_page(PAGE)
    now, classes = app.session_state["delt/session"], ("astronaut", "coffee")
    now.change(classes=classes, seed=7)
    app.session_state["delt/session"] = now
    app.pills(key="accuracy/methods").set_value(["random", "real"]).run()
    app.button(key="accuracy/compare").click().run()
    assert [(one.classes, one.seed) for one, _ in started.experiments] == [(classes, 7)] * 3
    command = next(block.value for block in app.code if block.value.startswith("delt compare"))
    assert command.endswith("--classes astronaut,coffee --seed 7")
    assert "--epochs " in command  # left out, it would be a shortened number on the built-in datasets


def test_training_is_watched_and_controlled(open_page, started, finished, home) -> None:
    training = make_training(home / "runs" / "20260105-000000-students", finished)
    app = open_page(PAGE, run=training.id)
    said = {name: metrics(app)[name] for name in ("Student", "Epoch", "Accuracy", "Time left")}
    # 40 % of 20 in 60 epochs, an epoch a second
    assert said == {"Student": "2 of 2", "Epoch": "20 of 60", "Accuracy": "13.3 %", "Time left": "40 s"}
    assert {"Student 1", "Student 2"} <= {trace["name"] for trace in traces(app)}
    press(app, f"accuracy/pause/{training.id}", f"accuracy/stop/{training.id}")
    assert started.asked == [("pause", training.id), ("cancel", training.id)]


def test_a_broken_off_training_can_go_on_or_be_hidden(open_page, started, finished, home) -> None:
    training = make_training(home / "runs" / "20260105-000000-students", finished, alive=False)
    app = open_page(PAGE)
    app.button(key=f"accuracy/resume/{training.id}").click().run()
    assert started.asked == [("resume", training.id)]
    failed = make_training(home / "runs" / "20260106-000000-students", finished)
    failed.set_status("failed", error="device: it is on fire.", process=None)
    app = open_page(PAGE)
    assert any("on fire" in entry.value for entry in app.error)
    app.button(key=f"accuracy/hide/{failed.id}").click().run()
    assert not any("on fire" in entry.value for entry in app.error)


def test_the_run_of_the_address_is_chosen_and_its_students_are_one_press_away(open_page, started, home) -> None:
    make(home, "a", "cda", top1=(50.0, 51.0))
    run = make_finished_run(home / "runs" / "20260107-000000-new", fake_experiment("delt", 10))
    app = open_page(PAGE, run=run.id)
    assert app.multiselect(key="accuracy/train/sources").value == [run.id]
    assert set(bars(app)) == {"CDA"}  # what its students will stand beside
    assert "The run you came from, **DELT, IPC 10, MI 40 / RI 10" in texts(app)
    app.button(key="accuracy/way_on").click().run()
    experiment, kind = started.experiments[0]
    assert (kind, started.sources) == ("evaluate", [run.id])
    assert (experiment.evaluate.epochs, experiment.evaluate.seeds) == (60, 2)
    assert "are in training" in texts(app)
    app = open_page(PAGE, run="nothing")
    assert [entry.value for entry in app.warning] == ["There is no run nothing here, so the page shows what there is."]
    assert "Students of your newest run" in texts(app)


def test_a_run_of_one_class_is_not_offered_to_students(open_page, home) -> None:
    make(home, "a", "cda")
    run = make_finished_run(home / "runs" / "20260107-000000-new", fake_experiment("delt", 10, classes=("cat",)))
    app = open_page(PAGE, run=run.id)
    assert any("has one class, but students need at least two" in entry.value for entry in app.info)
    assert "accuracy/way_on" not in keys(app)
    assert not any(
        "IPC 10 · photos" in title and "DELT" in title
        for title in app.multiselect(key="accuracy/train/sources").options
    )


def test_a_lone_student_gets_its_baselines_in_one_press(open_page, started, home) -> None:
    run, evaluation = make(home, "a", "delt", top1=(60.0, 61.0))
    make(home, "b", "cda", 4)  # of another number of images
    app = open_page(PAGE, run=run.id)
    assert "baselines beside it yet: Random real, RDED, SRe²L, CDA." in texts(app)
    assert "Makes 4 sets of images (" in texts(app)
    assert "trains 8 students" in texts(app)
    app.button(key="accuracy/way_on").click().run()
    assert [kind for _, kind in started.experiments] == ["recover", "evaluate"] * 4
    recovered = [experiment for experiment, kind in started.experiments if kind == "recover"]
    assert [(one.recover.method, one.recover.ipc, one.recover.iterations) for one in recovered] == [
        ("random", 10, 0),
        ("rded", 10, 0),
        ("sre2l", 10, 40),
        ("cda", 10, 40),
    ]
    trained = [experiment.evaluate for experiment, kind in started.experiments if kind == "evaluate"]
    assert all(one == evaluation.experiment.evaluate for one in trained)
    assert "In training: CDA, Random real, RDED, SRe²L." in texts(app)


def test_only_equal_setups_share_a_name(home) -> None:
    make(home, "a", epochs=300)
    make(home, "b", epochs=60)
    make(home, "c", epochs=60, mix="none")
    make(home, "d", epochs=60, dataset=CIFAR)
    make(home, "e", epochs=60, student="convnet-3")
    found = {data.setup_of(one) for one in evaluations()}
    assert len(found) == 5
    titles = {one.recipe_title for one in found}
    assert {"DELT", "DELT · 60 epochs", "DELT · 60 epochs · mix none"} == titles


def test_how_students_are_computed_and_tested_makes_no_other_setup(home) -> None:
    make(home, "a", epochs=300)
    make(home, "b", epochs=300, precision="bfloat16", validate_every=100)
    make(home, "c", epochs=300, ema_decay=0.9, validate_every=100)
    found = [data.setup_of(one) for one in evaluations()]
    assert sorted({one.recipe_title for one in found}) == ["DELT", "DELT · EMA decay 0.9"]
    assert len(set(found)) == 2


def test_ways_to_make_pictures_square_that_change_no_test_image_make_no_other_setup(home) -> None:
    _, run = make(home, "a", epochs=300, dataset=CIFAR)
    result = run.record().result
    published = result | {"dataset_fingerprint": "c1fa-published"}
    alike, other = published | {"test_fingerprint": "c1fa"}, published | {"test_fingerprint": "c1fa-published"}
    first, same, apart = (data.setup_of(Evaluation(run, one)) for one in (result, alike, other))
    assert first == same != apart
    del result["test_fingerprint"]  # as in evaluations of old
    assert data.setup_of(Evaluation(run, result)) == first


def test_on_a_printed_dataset_each_method_may_stand_under_the_recipe_of_its_own_paper(open_page, home) -> None:
    own = {"student": "resnet18", "student_width": None, "dataset": CIFAR}
    make(home, "a", "delt", epochs=300, top1=(40.0,), **own)
    make(home, "b", "sre2l", recipe="sre2l-cifar", epochs=400, top1=(29.0,), **own)
    make(home, "c", "rded", recipe="rded", epochs=300, top1=(37.0,), validate_every=100, **own)
    make(home, "d", "sre2l", epochs=300, top1=(33.0,), **own)  # by DELT's recipe: with it, but not its own
    make(home, "e", "cda", epochs=60, top1=(31.0,), **own)
    make(home, "f", "random", epochs=300, top1=(30.0,), **own)
    app = open_page(PAGE, recipe="own")
    assert data.OWN_TITLE in recipes(app)
    assert {name: bar["y"] for name, bar in bars(app).items()} == {"DELT": [40.0], "SRe²L": [29.0], "RDED": [37.0]}
    assert "Student and recipe" in set(table_with(app, "n").columns)
    assert "Train the baselines" not in [button.label for button in app.button]
    assert "Some were tested every" not in texts(app)
    app = open_page(PAGE, recipe="own", accuracy="best")
    assert "Some were tested every 100 epochs, so theirs is the best of fewer." in captions(app)
    app = open_page(PAGE, recipe="delt")
    assert {name: bar["y"] for name, bar in bars(app).items()} == {"DELT": [40.0], "SRe²L": [33.0]}


def test_without_a_second_recipe_there_is_none_of_its_own(open_page, home) -> None:
    make(home, "a", "delt", epochs=300, student="resnet18", student_width=None, dataset=CIFAR)
    make(home, "b", "random", epochs=300, student="resnet18", student_width=None, dataset=CIFAR)
    assert recipes(open_page(PAGE)) == ["DELT"]


def test_labels_tell_runs_of_one_method_apart(home) -> None:
    pairs = []
    for name, mi in (("a", 40), ("b", 80)):
        run = make_finished_run(home / "runs" / f"20260101-000000-{name}", fake_experiment("delt", 10, mi=mi))
        pairs.append(make_evaluation(home / "runs" / f"20260102-000000-{name}", run))
    found = data.labels([Evaluation(run, run.record().result) for run in pairs])
    assert list(found.values()) == ["DELT, MI 40 / RI 10", "DELT, MI 80 / RI 10"]
