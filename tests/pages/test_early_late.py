"""Early vs late: the pipeline and eight lessons on a recorded lab or a run; what links lock cannot be moved."""

from __future__ import annotations

import json
import shutil

import pytest
from fake_runs import fake_experiment, make_evaluation, make_finished_run, make_half_done_run, write_fake_predictions
from page_helpers import captions, components, keys, metrics, texts

from delt_engine.lab.batch_lesson import lesson_experiment
from delt_engine.lab.material import open_lab
from delt_engine.paths import assets_dir
from delt_engine.pipeline.privacy import stored_tests
from delt_engine.runs.store import Run
from pages.shared import cached
from pages.shared.lab import batches, stored

PAGE = "explore/early_late"


@pytest.fixture(scope="module")
def lab():
    return open_lab(assets_dir() / "lab" / "cifar10-mini")


def predict(app, guess: str) -> None:
    """Pick an answer."""
    group = next(group for group in app.get("button_group") if group.key and group.key.startswith("lab/guess"))
    group.set_value(guess).run()


LAB = "lab-cifar10-mini"


@pytest.fixture
def company(home):
    """Runs of DELT, CDA and SRe2L under the same settings, in this order."""
    methods = ("delt", "cda", "sre2l")
    return [
        make_finished_run(home / "runs" / f"2026010{n}-000000-{m}", fake_experiment(m)) for n, m in enumerate(methods)
    ]


def pick(app, stage: str) -> None:
    """Open a stage of the pipeline as a click on its card does."""
    app.session_state["lab/stage"] = stage
    app.run()


def test_one_patch_is_shown_with_what_changes(open_page, lab, address) -> None:
    app = open_page(PAGE, step="1", src=LAB)
    (film,) = components(app)
    assert app.selectbox(key="lab/source").value == LAB
    assert app.selectbox(key="lab/class").value == lab.record.opens_with
    assert film["moments"] == list(lab.record.moments)
    assert film["at"] == 400
    real, now, change = film["lanes"]
    assert len(set(map(tuple, real["tiles"]))) == 1
    assert [tile[1] for tile in now["tiles"]] == list(range(len(lab.record.moments)))
    assert change["change"] == [0, 1]
    assert len(film["sheets"]) == 1
    assert film["sheets"][0].startswith("data:image/png")
    assert address(app)["step"] == "1"


def test_it_opens_on_the_pipeline_whose_stages_have_their_own_numbers(open_page, home, company, address) -> None:
    delt, cda, _ = company
    write_fake_predictions(delt)
    for run, top1 in ((delt, 42.0), (cda, 40.0)):
        make_evaluation(home / "runs" / f"{run.id}-students", run, (top1, top1 + 1))
    app = open_page(PAGE, src=delt.id, cls="cat")
    (pipeline,) = [found for found in components(app) if "cards" in found]
    assert [card["id"] for card in pipeline["cards"]] == ["squeeze", "rank", "select", "recover", "relabel", "evaluate"]
    numbers = [card["number"] for card in pipeline["cards"]]
    assert numbers == ["94.0 %", "–", "4 a class", "40 / 10", "90.0 %", "42.5 %"]
    assert [len(card["tiles"]) for card in pipeline["cards"]] == [3, 0, 4, 4, 0, 0]
    assert [bar[0] for bar in pipeline["cards"][5]["bars"]] == pytest.approx([1, 40.5 / 42.5])
    assert (pipeline["chosen"], metrics(app)["Accuracy on test images"]) == ("squeeze", "94.0 %")
    assert len(app.get("page_link")) == 1
    pick(app, "select")
    lines = [cell["lines"] for cell in components(app)[-1]["rows"][0]["cells"]]
    assert lines[0] == ["round 1", "40 iterations"]
    assert lines[-1] == ["round 4", "10 iterations"]
    assert address(app)["stage"] == "select"
    pick(app, "recover")
    assert "37.5 % of the image-iterations saved" in captions(app)
    pick(app, "relabel")
    assert components(app)[-1]["rows"][0]["cells"][0]["lines"][0] == "cat 90.0 %"
    pick(app, "evaluate")
    assert len(app.get("plotly_chart")) == 1
    assert f"From run {delt.id}" in captions(app)


def test_a_stage_shows_where_the_chosen_patches_lie(open_page, monkeypatch) -> None:
    monkeypatch.setattr(cached, "assets_dir", assets_dir)
    app = open_page(PAGE, src="photos-delt", stage="rank", cls="rocket")
    assert "500 patches of rocket" in captions(app)
    assert len(app.get("plotly_chart")) == 1


def test_twins_wait_for_their_round_and_say_their_own_iterations(open_page, lab) -> None:
    (film,) = components(open_page(PAGE, src=LAB, step="2", cls="cat"))
    subject = lab.subjects("cat")[0]
    assert [lane["first"] for lane in film["lanes"]] == [0, 100, 200, 350]
    last = film["lanes"][3]
    at = film["moments"].index(350)
    assert last["lines"][0][at - 1] == "waits, joins at 350"
    assert last["lines"][0][at] == "0 of 50 iterations"
    assert last["lines"][0][-1] == "50 of 50 iterations"
    assert last["lines"][1][-1] == f"mean change {subject.twins[3].change[-1]:.1f} of 255"
    assert last["lines"][2][-1] == f"teacher: {100 * subject.twins[3].probability[-1]:.1f} % cat"
    assert {tuple(tile) for tile in last["tiles"][: at + 1]} == {(0, 0, 3)}
    assert len({lane["colour"] for lane in film["lanes"]}) == 4


def test_what_a_late_image_gets_stands_in_curves_and_numbers(open_page) -> None:
    app = open_page(PAGE, src=LAB, step="3", cls="cat")
    rate, crop, change = components(app)[0]["charts"]
    assert rate["series"][3]["ys"][0] == pytest.approx(0.0095, abs=1e-4)
    assert rate["series"][3]["xs"][-1] == 49
    assert crop["series"][0]["ys"][0] == 1.0
    assert len(change["series"]) == 4
    assert list(app.table[0].value["Own iterations"]) == ["400", "300", "200", "50"]


def test_delt_is_held_against_cda_and_the_answer_comes_after_a_prediction(open_page, company) -> None:
    delt, cda, _ = company
    app = open_page(PAGE, src=delt.id, step="4", cls="cat")
    (grid,) = components(app)
    assert [row["title"] for row in grid["rows"]] == ["DELT", "CDA", "SRe²L"]
    assert [frame["tick"] for frame in grid["frames"]] == ["0", "10", "20", "30", "40"]
    assert len(grid["sheets"]) == 15
    found = stored.claim(tuple(company))
    numbers = [f"{one.alike['cat']:.3f}" for one in (found.delt, found.baseline)]
    assert not any(number in texts(app) for number in numbers)
    right = found.more_alike("cat")
    predict(app, "cda" if right == "delt" else "delt")
    assert app.warning[0].value.startswith("Not this time")
    predict(app, right)
    said = app.success[0].value
    assert said.startswith("Right")
    assert all(number in said for number in numbers)
    assert f"{found.agrees(found.baseline)} of 3 classes" in texts(app)
    assert "inside one DELT run" in texts(app)
    assert f"Runs {delt.id}, {cda.id}" in captions(app)
    assert len(app.get("plotly_chart")) == 2


def test_without_company_the_halves_are_shown_for_what_they_are(open_page, lab, home, finished) -> None:
    app = open_page(PAGE, src=LAB, step="4", cls="cat")
    record = lab.halves("cat")
    assert "no such finished runs" in app.info[0].value
    assert [metric.value for metric in app.metric] == [f"{record.early[-1]:.3f}", f"{record.late[-1]:.3f}"]
    assert "does not say how alike the whole class is" in captions(app)
    app = open_page(PAGE, src=finished.id, step="4", cls="cat")
    assert "normalised pixels" in captions(app)
    assert len(app.metric) == 2
    small = make_finished_run(home / "runs" / "20260301-000000-small", fake_experiment(ipc=2))
    assert "need at least 4" in captions(open_page(PAGE, src=small.id, step="4"))
    half = make_half_done_run(home / "runs" / "20260103-000000-half", alive=False)
    (film,) = components(open_page(PAGE, src=half.id, step="3"))
    assert film["moments"] == [0, 10, 20]  # as far as it is


def test_an_iteration_has_six_stages_with_its_numbers(open_page, lab) -> None:
    (steps,) = components(open_page(PAGE, src=LAB, step="5", cls="cat"))
    assert [iteration["label"] for iteration in steps["iterations"]] == ["21 of 400", "201 of 400", "361 of 400"]
    stages = steps["iterations"][1]["stages"]
    titles = [stage["title"] for stage in stages]
    assert titles == ["Crop", "Forward", "Two loss terms", "Gradient", "Adam's update", "Clip"]
    record = lab.subjects("cat")[0].stages[1]
    assert stages[1]["bars"][0][:2] == list(record.top[0])
    assert stages[0]["pictures"][0]["box"] == list(record.crop)
    facts = dict(stages[2]["facts"])
    assert facts["Loss"] == f"{record.ce_loss + record.bn_weight * record.bn_loss:.3f}"


def test_both_ways_of_matching_are_made_here_and_measured(open_page, home, started, monkeypatch) -> None:
    app = open_page(PAGE, src=LAB, step="6")
    assert "256,000 real images" in texts(app)
    assert "guessed" in captions(app)
    assert [words.value.split()[:6] for words in app.code[-3:]][1][:2] == ["delt", "recover"]
    app.button(key="lab/batches").click().run()
    assert [experiment.recover.method for experiment, _ in started.experiments] == ["sre2l-init", "dm", "dc"]
    assert {experiment.recover.initialization for experiment, _ in started.experiments} == {"patches"}
    assert "lab/batches" not in keys(app)
    experiments = [lesson_experiment(method) for method in ("sre2l-init", "dm")]
    for run in started.runs:
        shutil.rmtree(run.path)
    for number, experiment in enumerate(experiments):
        run = make_finished_run(home / "runs" / f"2026020{number}-000000-{number}", experiment)
        record = json.loads((run.path / "run.json").read_text())
        record |= {"image_iterations_per_second": 20.0 / (1 + number), "memory": {"loop_mb": 12.0}}
        (run.path / "run.json").write_text(json.dumps(record))
    runs = {run.experiment.recover.method: run for run in cached.runs()}
    monkeypatch.setattr(batches, "made", lambda experiment: runs.get(experiment.recover.method))
    app = open_page(PAGE, src=LAB, step="6")
    rows = app.table[0].value
    assert list(rows["Time an image-iteration"]) == ["50.0 ms", "100.0 ms"]
    assert list(rows["Peak memory of the loop"]) == ["12 MB", "12 MB"]
    assert list(rows["Real images an iteration"]) == ["0", "192"]
    (grid,) = components(app)
    assert [row["title"] for row in grid["rows"]] == ["SRe²L + real init", "DM"]
    assert [frame["tick"] for frame in grid["frames"]] == ["0", "10", "20", "30", "40"]
    app.button(key="lab/batches").click().run()
    assert [experiment.recover.method for experiment, _ in started.experiments[3:]] == ["dc"]


def test_the_lesson_on_batches_has_no_choice_of_images_and_the_next_one_goes_on(open_page, finished) -> None:
    app = open_page(PAGE, src=finished.id, cls="cat", patch="3", step="5")
    app.button(key="lab/next").click().run()
    assert not {"lab/source", "lab/class", "lab/patch"} & keys(app)
    assert f"src={finished.id}" in app.code[0].value  # the link of the lesson
    app.button(key="lab/next").click().run()
    chosen = [app.selectbox(key=f"lab/{name}").value for name in ("source", "class", "patch")]
    assert chosen == [finished.id, "cat", 3]


def test_the_tour_is_walked_forward_and_back_to_what_can_be_saved(open_page, address) -> None:
    app = open_page(PAGE, src=LAB, step="1")
    app.button(key="lab/next").click().run()
    assert (app.subheader[0].value, address(app)["step"]) == ("Early and late twins", "2")
    app.button(key="lab/back").click().run()
    app.button(key="lab/back").click().run()
    assert address(app)["step"] == "0"
    app = open_page(PAGE, src=LAB, step="8", cls="cat")
    labels = [button.proto.label for button in app.get("download_button")]
    file = "4 lessons as one file (HTML)"
    assert labels == [file, file, "Film strip (PNG)", "Animation (GIF)", "Animation (WebP)"]  # one is by the link
    assert "delt lab --dataset cifar10-mini" in app.code[-1].value


def test_what_a_link_locks_cannot_be_moved(open_page) -> None:
    app = open_page(PAGE, src=LAB, step="3", lock="1", cls="frog", upto="200")
    assert app.subheader[0].value == "What a late image gets"
    assert app.selectbox(key="lab/class").value == "frog"
    assert all(app.selectbox(key=f"lab/{name}").disabled for name in ("class", "source"))
    assert next(group for group in app.get("button_group") if group.key == "lab/step").disabled
    assert not keys(app) & {"lab/next", "lab/back"}
    assert not app.multiselect
    (film,) = components(app)
    assert (film["moments"][-1], film["at"]) == (200, 200)
    app = open_page(PAGE, src=LAB, step="2", lock="cls,unheard", cls="frog")
    assert app.selectbox(key="lab/class").disabled
    assert not app.selectbox(key="lab/source").disabled
    assert app.button(key="lab/next")


WRONG = {"step": "9 x", "cls": "unicorn", "patch": "7", "src": "nothing", "upto": "70 4000", "it": "-5 x 99999"}


@pytest.mark.parametrize("wrong", [{name: value} for name, values in WRONG.items() for value in values.split()])
@pytest.mark.parametrize("lock", [{}, {"lock": "1"}])
def test_limits_hold_in_the_address_too(open_page, wrong, lock) -> None:
    app = open_page(PAGE, **{"step": "1"} | wrong, **lock)
    if "step" in wrong:  # of which the first step is left
        assert app.subheader[0].value.startswith("From a dataset")
        return
    (film,) = components(app)
    assert film["moments"][-1] == 400
    assert 0 <= film["at"] <= 400


def test_a_lesson_link_names_what_it_locks(open_page) -> None:
    app = open_page(PAGE, src=LAB, step="2", cls="cat")
    assert "lock=1" in app.code[0].value
    slider = app.select_slider(key="lab/upto")
    assert slider.proto.default == [7]  # what a browser that lost the slider's state starts from: the end
    slider.set_value(200).run()
    assert app.select_slider(key="lab/upto").proto.default == [3]
    app.multiselect(key="lab/lock").set_value(["cls", "upto"]).run()
    for words in ("upto=200", "lock=cls%2Cupto", "step=2"):
        assert words in app.code[0].value
    assert components(app)[0]["moments"][-1] == 200


def test_any_run_can_be_shown_by_its_rounds(open_page, finished, address) -> None:
    app = open_page(PAGE, src=finished.id, step="2", cls="coffee")
    (film,) = components(app)
    assert film["moments"] == [0, 10, 20, 30, 40]
    assert [lane["title"] for lane in film["lanes"]] == [f"Image {n}, round {n}" for n in (1, 2, 3, 4)]
    assert film["lanes"][2]["tiles"] == [[0, 2, 0], [1, 2, 0], [2, 2, 0], [3, 2, 0], [4, 2, 0]]
    assert film["lanes"][3]["lines"][1][3] == "mean change 0.0 of 255"
    assert float(film["lanes"][0]["lines"][1][4].split()[2]) > 50
    assert len(film["sheets"]) == 5
    assert address(app)["src"] == finished.id


def test_every_step_works_on_a_run(open_page, finished) -> None:
    for step in range(9):
        app = open_page(PAGE, src=finished.id, step=str(step), cls="cat", patch="3")
        assert step == 6 or app.selectbox(key="lab/patch").value == 3


def test_without_any_material_it_says_what_to_do(open_page, monkeypatch, tmp_path) -> None:
    monkeypatch.setattr("delt_engine.lab.material.assets_dir", lambda: tmp_path / "none")
    app = open_page(PAGE)
    assert "delt lab" in app.info[0].value


def test_the_lesson_on_privacy_shows_a_shipped_test_at_once(open_page, monkeypatch) -> None:
    monkeypatch.setattr("pages.shared.cached.assets_dir", assets_dir)
    app = open_page(PAGE, src=LAB, step="7", cls="horse")
    assert [metric.label for metric in app.metric] == ["Recognised, top 1", "Recognised, top 5", "Start patches, top 1"]
    found = stored_tests(Run.open(assets_dir() / "examples" / "cifar10-mini-delt"))["pixels"]
    values = [found.recognised(1), found.recognised(5), found.recognised(1, at_start=True)]
    assert [metric.value for metric in app.metric] == [f"{value} of 100" for value in values]
    assert "by chance 0.05" in captions(app)
    assert f"the photograph behind {values[0]} of 100 images by nothing but distance" in texts(app)
    assert "no proof of privacy" in texts(app)
    assert "The nearest real image is its own photograph" in captions(app)
    app.session_state["lab/privacy_picked/cifar10-mini-delt"] = 1
    app.run()
    assert "airplane, image 2, 1,000 iterations" in captions(app)


def test_a_run_that_was_not_looked_up_has_a_price_and_a_button(open_page, finished) -> None:
    app = open_page(PAGE, src=finished.id, step="7", cls="cat")
    assert app.button(key="diversity/privacy").label == "Find the nearest"
    assert f"delt privacy {finished.id}" in app.code[-1].value
    assert not app.metric
