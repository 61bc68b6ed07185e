"""Home: a finished run on screen, and one button that starts a small run and leads to it."""

from __future__ import annotations

from fake_runs import fake_experiment, make_finished_run
from page_helpers import metrics, texts

from delt_engine.config.presets import GLANCE, QUICK
from delt_engine.errors import RunError
from delt_engine.jobs import start


def test_one_button_starts_a_small_run_and_shows_it(open_page, started, address) -> None:
    app = open_page()
    app.button(key="home/start").click().run()
    (experiment, kind), run = started.experiments[0], started.runs[0]
    assert kind == "recover"
    assert experiment == QUICK.experiment()
    assert (experiment.recover.method, experiment.recover.ipc) == ("delt", 10)
    assert app.title[0].value == "Recover"
    assert address(app)["run"] == run.id
    assert not app.exception


def test_the_size_of_the_run_can_be_chosen_first(open_page, started) -> None:
    app = open_page()
    app.segmented_control(key="home/preset").set_value(GLANCE.title).run()
    app.button(key="home/start").click().run()
    assert started.experiments == [(GLANCE.experiment(), "recover")]


def test_a_run_that_cannot_start_says_why(open_page, started, monkeypatch) -> None:
    def refuse(*_):
        raise RunError("runs: there is no space left on the disk.")

    monkeypatch.setattr(start, "start", refuse)
    app = open_page()
    app.button(key="home/start").click().run()
    assert [entry.value for entry in app.error] == ["runs: there is no space left on the disk."]
    assert app.title[0].value == "DELT Studio"


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


def test_running_jobs_stand_in_the_sidebar_of_every_page(open_page, half_done) -> None:
    for name in ("start/home", "manage/runs"):
        sidebar = open_page(name).sidebar
        assert "Running and queued" in [entry.value for entry in sidebar.caption]
        assert any("Round 2 of 4" in entry.value for entry in sidebar.caption)
