"""Home: what it gives in numbers read from a finished run, and one button that starts a small run and leads to it."""

from __future__ import annotations

from fake_runs import fake_experiment, make_evaluation, make_finished_run
from page_helpers import captions, components, metrics, texts

from delt_engine.config.presets import GLANCE, QUICK


def test_one_button_starts_a_small_run_of_the_chosen_size_and_shows_it(open_page, started, address) -> None:
    for preset in (QUICK, GLANCE):
        app = open_page()
        if preset is GLANCE:
            app.segmented_control(key="home/preset").set_value(preset.title).run()
        app.button(key="home/start").click().run()
        assert started.experiments[-1] == (preset.experiment(), "recover")
        assert app.title[0].value == "Recover"
        assert address(app)["run"] == started.runs[-1].id


def test_without_any_run_an_early_and_a_late_image_move(open_page, monkeypatch, tmp_path) -> None:
    (film,) = components(open_page())
    assert film["autoplay"]
    early, late = film["lanes"]
    assert early["first"] < late["first"]
    monkeypatch.setattr("delt_engine.lab.material.assets_dir", lambda: tmp_path / "none")
    app = open_page()
    assert "How EarlyLate works" in texts(app)
    assert len(app.get("plotly_chart")) == 1


def test_the_example_is_on_screen_with_three_numbers_and_what_they_stand_beside(open_page, home) -> None:
    make_finished_run(home / "runs" / "20260101-000000-mine", fake_experiment(ipc=2))
    accuracies = {"delt": 42.0, "cda": 40.0, "sre2l": 38.0, "random": 35.0}
    for method, top1 in accuracies.items():
        run = make_finished_run(home / "assets" / "examples" / f"photos-{method}", fake_experiment(method))
        make_evaluation(home / "assets" / "examples" / f"photos-{method}-students", run, (top1, top1 + 1))
    app = open_page()
    shown = metrics(app)
    assert shown["Student accuracy"] == "42.5 %"
    assert shown["Iterations saved"] == "37.5 %"
    assert 0 < float(shown["Similarity within a class"]) < 1
    said = captions(app).replace("\u00a0", " ")
    for words in ("DELT, CDA 40.5 %, SRe²L 38.5 %, Random real 35.5 %", "300 steps on single images instead of 480"):
        assert words in said
    assert "run photos-delt" in said
    film, pipeline, grid = components(app)
    assert len(pipeline["cards"]) == 6
    assert grid["rows"][0]["title"] == "astronaut"


def test_a_run_in_rounds_is_preferred_to_one_without(open_page, home) -> None:
    make_finished_run(home / "runs" / "20260101-000000-rounds")
    make_finished_run(home / "runs" / "20260102-000000-single", fake_experiment(ipc=1))
    app = open_page()
    assert "run 20260101-000000-rounds" in texts(app)
    assert metrics(app)["Student accuracy"] == "–"
