"""MI and RI as one control: they always fit, each move is taken once, and what was refused starts nothing."""

from __future__ import annotations

from page_helpers import captions, control, metrics, move, pair, press

from delt_engine.config import RecoverConfig
from delt_engine.config.presets import GLANCE

PAGE = "distill/recover"


def said(app) -> str:
    return control(app)["said"]


def test_mi_and_ri_follow_each_other_and_say_so(open_page, started) -> None:
    app = open_page(PAGE)
    assert pair(app) == (200, 50)
    for name, value, expected, words in (
        ("iterations", 400, (400, 50), ""),  # RI is kept where it still divides
        ("iterations", 410, (410, 41), "RI set to 41 so that it divides MI 410."),  # 8.2 rounds of 50: ten are nearest
        ("iterations", 200, (200, 40), "RI set to 40 so that it divides MI 200."),
        ("round_iterations", 100, (200, 100), ""),  # MI follows RI only where it must
        ("round_iterations", 60, (180, 60), "MI set to 180 so that RI 60 divides it."),
        ("round_iterations", 700, (700, 700), "MI set to 700 so that RI 700 divides it."),
        ("iterations", 100_003, (100_003, 100_003), "RI set to 100,003 so that it divides MI 100,003."),
    ):
        move(app, **{name: value})
        assert (*pair(app), said(app)) == (*expected, words)
        assert metrics(app)["Rounds"] == str(expected[0] // expected[1])
    move(app, iterations=300)
    lines = control(app)["lines"]
    assert 300 in lines["iterations"]["options"]
    assert all(300 % option == 0 for option in lines["round_iterations"]["options"])
    move(app, round_iterations=25)
    press(app, "recover/start")
    assert started.experiments[0][0].recover == RecoverConfig(iterations=300, round_iterations=25)


def test_a_word_that_was_taken_does_not_move_what_was_chosen_since(open_page) -> None:
    """The browser goes on to say it with every other change."""
    app = open_page(PAGE)
    move(app, iterations=400)
    app.pills(key="recover/preset").set_value(GLANCE.title).run()
    app.number_input(key="recover/ipc").set_value(5).run()
    assert pair(app) == (40, 10)
    assert control(app)["answers"]  # so that the browser takes the pair for the answer to its word


def test_numbers_out_of_their_limits_print_them_and_start_nothing(open_page) -> None:
    app = open_page(PAGE)
    for value in (99_999_999_999, -5, 0, 20.5):
        move(app, iterations=value)
        assert control(app)["lines"]["iterations"]["refused"] == "MI is a whole number from 1 to 1,000,000."
        assert app.button(key="recover/start").disabled
        assert "Rounds" not in metrics(app)  # no plan that belongs to other numbers
    move(app, round_iterations=100)
    assert pair(app) == (200, 100)
    assert not app.button(key="recover/start").disabled
    for value in (0, 100_000):
        app.number_input(key="recover/ipc").set_value(value).run()
        assert any("Images per class (IPC): 1 to 10,000" in entry.value for entry in app.markdown)
        assert "Images per class (IPC): 1 to 10,000" in app.warning[0].value
        assert app.button(key="recover/start").disabled
    app.number_input(key="recover/ipc").set_value(4).run()
    app.number_input(key="recover/learning_rate").set_value(0.0).run()
    assert any("Learning rate: above 0, up to 10" in entry.value for entry in app.markdown)
    assert app.button(key="recover/start").disabled
    app.segmented_control(key="recover/method").set_value("random").run()
    assert not app.button(key="recover/start").disabled  # it has no learning rate


def test_more_rounds_than_images_are_warned_of_and_mended_by_a_click(open_page) -> None:
    app = open_page(PAGE)
    move(app, iterations=4000)
    assert pair(app) == (4000, 50)
    words = (
        "80 rounds for 10 images: after round 10 none is left to join. The last image gets 3,550 iterations; saved: 5.6"
    )
    assert words in app.warning[0].value
    press(app, "rounds/recover/fewer/set")
    assert pair(app) == (4000, 400)
    assert not app.warning
    assert "the latest join in round 10 and get 400" in captions(app)
