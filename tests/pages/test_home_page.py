"""Home: a finished run on screen, and one button that starts a small run and leads to it."""

from __future__ import annotations

from fake_runs import fake_experiment, make_finished_run
from page_helpers import metrics, texts

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


def test_without_any_run_it_explains_the_rounds(open_page) -> None:
    app = open_page()
    assert "How EarlyLate works" in texts(app)
    assert len(app.get("plotly_chart")) == 1
    assert not app.get("bidi_component")


def test_the_shipped_example_is_on_screen_with_its_numbers(open_page, home) -> None:
    make_finished_run(home / "runs" / "20260101-000000-mine", fake_experiment(ipc=2))
    make_finished_run(home / "assets" / "examples" / "photos-delt")
    app = open_page()
    assert len(app.get("bidi_component")) == 1
    assert "run photos-delt" in texts(app)
    assert metrics(app) == {
        "Images per class (IPC)": "4",
        "MI / RI": "40 / 10",
        "Saved by EarlyLate": "37.5 %",
        "Took": "2 s",
    }


def test_a_run_in_rounds_is_preferred_to_one_without(open_page, home) -> None:
    make_finished_run(home / "runs" / "20260101-000000-rounds")
    make_finished_run(home / "runs" / "20260102-000000-single", fake_experiment(ipc=1))
    assert "run 20260101-000000-rounds" in texts(open_page())
