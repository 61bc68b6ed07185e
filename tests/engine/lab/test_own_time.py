import pytest

from delt_engine.config import RecoverConfig
from delt_engine.errors import ConfigError
from delt_engine.lab.image_schedule import own_time

CONFIG = RecoverConfig(ipc=8, iterations=400, round_iterations=50)


def test_an_early_image_sees_the_whole_of_both_schedules() -> None:
    early = own_time(CONFIG, 1)
    assert (early.iterations[0], early.iterations[-1]) == (0, 399)
    assert early.learning_rates[0] == 0.25
    assert early.learning_rates[-1] < 1e-4
    assert early.smallest_crops[0] == 1.0
    assert early.smallest_crops[-1] == pytest.approx(0.08, abs=1e-3)


def test_a_late_image_meets_them_where_they_stand() -> None:
    early, late = own_time(CONFIG, 1, points=400), own_time(CONFIG, 8, points=50)
    assert late.iterations == tuple(range(50))
    assert late.learning_rates == early.learning_rates[350:]
    assert late.smallest_crops == early.smallest_crops[350:]


def test_rounds_that_restart_give_late_images_the_same() -> None:
    again = CONFIG.replace(restart_rounds=True)
    assert own_time(again, 8, points=50).learning_rates[0] == 0.25


def test_a_round_that_is_not_there_is_refused() -> None:
    with pytest.raises(ConfigError, match="1 to 8"):
        own_time(CONFIG, 9)
