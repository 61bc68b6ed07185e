import pytest

from delt_engine.config.schedule import EarlyLateSchedule, check_rounds, images_per_round
from delt_engine.errors import ConfigError


@pytest.mark.parametrize(
    ("ipc", "num_rounds", "expected"),
    [
        (10, 8, (2, 2, 1, 1, 1, 1, 1, 1)),
        (50, 8, (7, 7, 6, 6, 6, 6, 6, 6)),
        (5, 8, (1, 1, 1, 1, 1, 0, 0, 0)),
        (100, 8, (13, 13, 13, 13, 12, 12, 12, 12)),
        (4, 4, (1, 1, 1, 1)),
        (3, 1, (3,)),
    ],
)
def test_images_per_round_as_published(ipc, num_rounds, expected) -> None:
    assert images_per_round(ipc, num_rounds) == expected


@pytest.mark.parametrize("ipc", range(1, 40))
@pytest.mark.parametrize("num_rounds", [1, 2, 3, 8, 16])
def test_no_image_is_lost_and_the_remainder_goes_first(ipc, num_rounds) -> None:
    counts = images_per_round(ipc, num_rounds)
    assert sum(counts) == ipc
    assert len(counts) == num_rounds
    assert list(counts) == sorted(counts, reverse=True)
    assert max(counts) - min(counts) <= 1


def test_image_iterations_by_brute_force() -> None:
    schedule = EarlyLateSchedule(ipc=11, iterations=600, round_iterations=100)
    alive = 0
    spent = 0
    for iteration in range(600):
        if iteration % 100 == 0:
            alive += schedule.newcomers[iteration // 100]
        spent += alive
    assert schedule.image_iterations() == spent
    assert schedule.image_iterations(7) == 7 * spent
    assert schedule.baseline_image_iterations(7) == 7 * 11 * 600


@pytest.mark.parametrize(("ipc", "saved"), [(10, 36.25), (50, 42.25), (100, 42.75), (1, 0.0)])
def test_saving_at_mi_4000_ri_500(ipc, saved) -> None:
    assert EarlyLateSchedule(ipc, 4000, 500).saved_percent == pytest.approx(saved)


@pytest.mark.parametrize(
    ("schedule", "starts", "iterations"),
    [
        (EarlyLateSchedule(4, 40, 10), (1, 2, 3, 4), (40, 30, 20, 10)),
        (EarlyLateSchedule(5, 4000, 500), (1, 2, 3, 4, 5), (4000, 3500, 3000, 2500, 2000)),  # last rounds: nobody new
    ],
)
def test_start_rounds_and_iterations_of_each_image(schedule, starts, iterations) -> None:
    assert (schedule.start_rounds, schedule.image_iterations_each) == (starts, iterations)
    assert tuple(schedule.joined(number) for number in starts) == starts


@pytest.mark.parametrize(
    "schedule",
    [EarlyLateSchedule(1, 4000, 500), EarlyLateSchedule(6, 4000, 500, False), EarlyLateSchedule(6, 500, 500)],
)
def test_without_rounds_everyone_gets_mi(schedule) -> None:
    assert not schedule.has_rounds
    assert set(schedule.start_rounds) == {1}
    assert set(schedule.image_iterations_each) == {schedule.iterations}
    assert schedule.saved_percent == 0


@pytest.mark.parametrize(
    ("iterations", "round_iterations", "sentence"),
    [
        (1000, 300, "RI = 300 given, but it must divide MI = 1000 .* 250 and 500"),
        (100, 200, "RI = 200 given, but it must not be larger than MI = 100"),
        (100, 0, "both must be at least 1"),
        (0, 1, "both must be at least 1"),
    ],
)
def test_impossible_rounds_are_refused(iterations, round_iterations, sentence) -> None:
    with pytest.raises(ConfigError, match=sentence):
        check_rounds(iterations, round_iterations)


def test_impossible_counts_are_refused() -> None:
    with pytest.raises(ConfigError, match="ipc: 0 given"):
        EarlyLateSchedule(0, 100, 50)
    with pytest.raises(ConfigError, match="num_rounds: 0 given"):
        images_per_round(3, 0)
