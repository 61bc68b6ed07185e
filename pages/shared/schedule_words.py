"""What happens to an image in a run, in words: where a round stands, who joins when, how many iterations each gets."""

from __future__ import annotations

from delt_engine.config.schedule import EarlyLateSchedule
from pages.shared.wording import count


def frame_label(schedule: EarlyLateSchedule, round_number: int, reached: int | None = None) -> str:
    """Return where in the run a snapshot stands; round 0 is the start.

    ``reached`` is the iteration at which a run was stopped, maybe within that round.

    >>> frame_label(EarlyLateSchedule(10, 200, 50), 2), frame_label(EarlyLateSchedule(10, 200, 50), 2, 72)
    ('After 100 of 200 iterations', 'After 72 of 200 iterations')
    """
    if schedule.is_still:
        return "Not optimised"
    if round_number == 0:
        return "Before the first iteration"
    done = round_number * schedule.round_iterations
    done = done if reached is None else min(done, reached)
    return f"After {count(done)} of {count(schedule.iterations)} iterations"


def round_note(schedule: EarlyLateSchedule, round_number: int) -> str:
    """Return the round and how many images of a class take part in it."""
    if schedule.is_still:
        return "real patches as they are"
    if round_number == 0:
        return "round 0"
    if not schedule.has_rounds:
        return f"round {round_number} of {schedule.num_rounds}"
    joined = f"{schedule.joined(round_number)} of {schedule.ipc} images have joined"
    return f"round {round_number} of {schedule.num_rounds}, {joined}"


def iterations_at(schedule: EarlyLateSchedule, start_round: int, round_number: int) -> int:
    """Return how many iterations an image that joins in ``start_round`` has had after ``round_number``.

    >>> iterations_at(EarlyLateSchedule(10, 200, 50), 3, 4)
    100
    """
    return max(0, round_number - start_round + 1) * schedule.round_iterations


def fate(schedule: EarlyLateSchedule, index: int) -> str:
    """Return what happens to the n-th image of a class in a run.

    >>> fate(EarlyLateSchedule(4, 40, 10), 3), fate(EarlyLateSchedule(4, 0, 1, False), 3)
    ('joins in round 4 and gets 10 iterations', 'a real patch, not optimised')
    """
    if schedule.is_still:
        return "a real patch, not optimised"
    total = count(schedule.image_iterations_each[index])
    return f"joins in round {schedule.start_rounds[index]} and gets {total} iterations"
