"""MI, RI and the rounds moved faster than the browser hears of what followed: its old values are no moves."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from pages.shared.recover import rounds as echo

PAGE = "distill/recover"


@pytest.fixture
def clock(monkeypatch) -> SimpleNamespace:
    """The clock that echoes are told by; ``clock.now`` moves it."""
    made = SimpleNamespace(now=100.0)
    made.monotonic = lambda: made.now
    monkeypatch.setattr(echo, "time", made)
    return made


def box(app, name: str):
    return app.number_input(key=f"recover/{name}")


def pair(app) -> tuple[int, int]:
    return int(box(app, "iterations").value), int(box(app, "round_iterations").value)


@pytest.fixture
def still_says(monkeypatch):
    """Let the browser's next words hold that of a widget it does not yet know to be gone."""

    def say(app, word) -> None:
        tell = app._tree.get_widget_states

        def told():
            words = tell()
            words.widgets.append(word)
            return words

        monkeypatch.setattr(app._tree, "get_widget_states", told)

    return say


def test_a_slider_that_has_not_heard_of_the_typed_ri_does_not_move_it(open_page, clock, still_says) -> None:
    app = open_page(PAGE)  # MI 200, RI 50: 4 rounds
    old = app.select_slider[0]._widget_state
    box(app, "round_iterations").set_value(20).run()
    assert app.select_slider[0].value == 10
    clock.now += 1000  # however slow the browser is
    still_says(app, old)
    box(app, "ipc").set_value(2).run()
    assert pair(app) == (200, 20)
    assert app.select_slider[0].value == 10


def test_a_slider_of_the_mi_before_has_nothing_to_say(open_page, clock, still_says) -> None:
    app = open_page(PAGE)
    old = app.select_slider[0]._widget_state
    box(app, "round_iterations").set_value(20).run()
    still_says(app, old)
    box(app, "iterations").set_value(40).run()
    assert (*pair(app), app.select_slider[0].value) == (40, 20, 2)
    app.select_slider[0].set_value(4).run()
    assert pair(app) == (40, 10)


def test_a_slider_that_is_moved_stays_the_one_it_is(open_page, clock) -> None:
    """It keeps the keyboard's focus, so that the next key moves it on."""
    app = open_page(PAGE)
    first = app.select_slider[0].id
    for rounds in (5, 8, 10):
        app.select_slider[0].set_value(rounds).run()
        assert app.select_slider[0].id == first


def test_quick_moves_of_the_slider_all_count(open_page, clock) -> None:
    app = open_page(PAGE)
    for before, rounds in ((50, 5), (40, 8), (25, 10)):
        box(app, "round_iterations").set_value(before)  # the browser's box stays a move behind
        app.select_slider[0].set_value(rounds).run()
        assert pair(app) == (200, 200 // rounds)


@pytest.mark.parametrize(("seconds", "expected"), [(0.0, (180, 60)), (0.9, (180, 60)), (1.1, (200, 50))])
def test_an_old_value_typed_again_counts_once_the_new_one_has_arrived(open_page, clock, seconds, expected) -> None:
    app = open_page(PAGE)
    box(app, "round_iterations").set_value(60).run()
    assert pair(app) == (180, 60)
    clock.now += seconds
    box(app, "iterations").set_value(200).run()  # before: what the browser still has
    assert pair(app) == expected


def test_a_value_is_under_way_until_the_page_has_been_drawn(monkeypatch, clock) -> None:
    state = {"box": 1}
    monkeypatch.setattr(echo.st, "session_state", state)
    echo.put("box", 2)
    echo.put("box", 3)
    clock.now += 1000
    for old in (1, 2):
        state["box"] = old
        assert echo.is_echo("box")
        assert echo.settle("box") == state["box"] == 3
    state["box"] = 4
    assert not echo.is_echo("box")
    assert echo.settle("box") == 4
    echo.drawn("box", "never put")
    clock.now += echo.ARRIVAL_SECONDS
    state["box"] = 1
    assert echo.settle("box") == 1
    echo.put("box", 5)
    state["box"] = 2
    assert not echo.is_echo("box")  # replaced long before
